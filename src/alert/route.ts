/** The routing tree: which groups hear of an alert, and what is told together. */
import type { Route } from "../core/definitions.ts";
import { matchesAll, parseMatcher, tagsKey } from "../core/labels.ts";
import { type Alert, type Labels, ownSampler } from "../core/model.ts";

/** A route that an alert takes. */
export type Taken = {
  readonly route: Route;
  /** Position in the tree: "0" the root, "0.2" its third child. */
  readonly position: string;
  /** Group that hears it, inherited from the nearest route above that names one; else the alert's label `group`. */
  readonly group: string;
};

/** What routes and silences see of an alert: its labels, and its severity as one more. */
export function routingLabels(alert: Pick<Alert, "labels" | "severity">): Labels {
  return { ...alert.labels, severity: alert.severity };
}

/**
 * The routes an alert takes, at least one. At each node the first child that matches takes it, and further ones as
 * long as those before say `continue`; where no child matches, the node itself does. The root takes everything.
 * @param otherwise who hears it where neither a route nor its label `group` says so
 */
export function routesTaken(root: Route, labels: Labels, otherwise = ""): readonly [Taken, ...Taken[]] {
  const descend = (route: Route, position: string, inherited: string): [Taken, ...Taken[]] => {
    const group = route.group ?? inherited;
    const found: Taken[] = [];
    for (const [index, child] of route.routes.entries()) {
      if (!matchesAll(child.match.map(parseMatcher), labels)) continue;
      found.push(...descend(child, `${position}.${index}`, group));
      if (!child.continue) break;
    }
    const [first, ...rest] = found;
    return first === undefined ? [{ route, position, group }] : [first, ...rest];
  };
  return descend(root, "0", labels.group ?? otherwise);
}

/**
 * What makes alerts of one route one incident: the route, its group, and the values of the labels it groups by. Those
 * about Bellwether itself have none of the labels of series, and share no incident with any.
 */
export function groupOf(taken: Taken, labels: Labels): { readonly key: string; readonly labels: Labels } {
  const groupBy = labels.sampler === ownSampler ? [...taken.route.groupBy, "sampler"] : taken.route.groupBy;
  const values = Object.fromEntries(groupBy.map((label) => [label, labels[label] ?? ""]));
  return { key: `${taken.position} ${taken.group} ${tagsKey(values)}`, labels: values };
}
