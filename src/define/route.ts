/** `rules/routes/`: who hears of which alert, grouped how, told how often. */
import { z } from "zod";
import type { Place, Route } from "../core/definitions.ts";
import { duration, label, matcher, name, stepRange, waitRange } from "./scalars.ts";

const node = {
  group: name.optional().describe("group that hears it; default: the one above, at the root the sampler's own"),
  group_by: z.array(label).max(10).optional().describe("labels whose values make one incident; default [sampler]"),
  group_wait: duration(waitRange).optional().describe("how long the first message waits for company; default 10s"),
  group_interval: duration(stepRange)
    .optional()
    .describe("least time between an update and the one before; default 5m"),
  repeat_interval: duration(stepRange).optional().describe("how often a standing incident is told again; default 4h"),
};

const ownSchema = z.strictObject(node);

type Child = z.output<typeof ownSchema> & {
  readonly match: readonly string[];
  readonly continue: boolean;
  readonly routes: readonly Child[];
};

const childSchema: z.ZodType<Child> = z
  .strictObject({
    match: z.array(matcher).min(1).describe("matchers; all must hold"),
    ...node,
    continue: z.boolean().prefault(false).describe("look at the following siblings too"),
    routes: z.lazy(() => routes),
  })
  .meta({ id: "route" });

const routes = z.array(childSchema).max(1000).prefault([]).describe("looked at in order; the first that matches wins");

/** The root takes every alert, so it has no matchers. */
export const routeSchema = z.strictObject({ ...node, routes });

/** `file:line:column` of the node at that path below the root. */
export type PlaceOf = (path: readonly (string | number)[]) => Place;

/** What a tree without a word means: the sampler's own group hears it. */
export const defaultRoute: Route = {
  group: null,
  match: [],
  groupBy: ["sampler"],
  groupWaitMs: 10_000,
  groupIntervalMs: 300_000,
  repeatIntervalMs: 14_400_000,
  continue: false,
  routes: [],
  place: "default",
};

/** Children inherit what they leave out. */
export function toRoute(root: z.output<typeof routeSchema>, placeOf: PlaceOf): Route {
  return inherit({ ...root, match: [], continue: false }, defaultRoute, [], placeOf);
}

function inherit(route: Child, above: Route, path: readonly (string | number)[], placeOf: PlaceOf): Route {
  const own: Route = {
    group: route.group ?? above.group,
    match: route.match,
    groupBy: route.group_by ?? above.groupBy,
    groupWaitMs: route.group_wait ?? above.groupWaitMs,
    groupIntervalMs: route.group_interval ?? above.groupIntervalMs,
    repeatIntervalMs: route.repeat_interval ?? above.repeatIntervalMs,
    continue: route.continue,
    routes: [],
    place: placeOf(path),
  };
  const routes = route.routes.map((child, index) => inherit(child, own, [...path, "routes", index], placeOf));
  return { ...own, routes };
}
