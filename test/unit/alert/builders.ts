import type { Definitions, Group, Person, Route, Rule, Sampler } from "../../../src/core/definitions.ts";
import type { JudgeMemory, Level, NoticeKind, OutboxItem, Tags, Verdict } from "../../../src/core/model.ts";
import { defaultCollection } from "../../../src/define/collection.ts";
import { plainSampler } from "../../support/sampler.ts";

/** Small definitions and verdicts, whole enough for everything after judging. */

export const minuteMs = 60_000;

export function sampler(fields: Partial<Sampler> = {}): Sampler {
  return {
    ...plainSampler,
    runbook: "docs/runbooks/orders.md",
    zone: "Europe/London",
    point: { measurement: "orders", tags: ["country"], fields: ["orders"] },
    empty: "zero",
    judge: {
      orders: {
        kind: "count",
        direction: "both",
        baseline: { days: 7, trim: 1 },
        forecast: { points: 8 },
        floor: { percent: 30, criticalPercent: 50, absolute: 10, volume: 20 },
      },
    },
    labels: { team: "shop" },
    ...fields,
  };
}

export function rule(fields: Partial<Rule> & { name: string }): Rule {
  return {
    title: null,
    match: [],
    level: "warning",
    direction: "both",
    needs: [],
    labels: {},
    runbook: null,
    pendingCount: 2,
    pendingOf: 3,
    recoverCount: 3,
    place: "rules/detect/rules.yaml:1:1",
    ...fields,
  };
}

export function route(fields: Partial<Route> = {}): Route {
  return {
    group: null,
    match: [],
    groupBy: ["sampler"],
    groupWaitMs: 10_000,
    groupIntervalMs: 5 * minuteMs,
    repeatIntervalMs: 4 * 60 * minuteMs,
    continue: false,
    routes: [],
    place: "rules/routes/routes.yaml:1:1",
    ...fields,
  };
}

export function person(id: string, fields: Partial<Person> = {}): Person {
  return {
    id,
    name: `${id[0]?.toUpperCase()}${id.slice(1)}`,
    email: `${id}@shop.example`,
    phone: null,
    place: "",
    ...fields,
  };
}

export function group(id: string, members: string[], fields: Partial<Group> = {}): Group {
  return { id, title: id, members, steps: [{ notifier: "email", to: null, waitMs: 0 }], place: "", ...fields };
}

export function definitions(
  parts: { samplers?: Sampler[]; rules?: Rule[]; route?: Route; people?: Person[]; groups?: Group[] } = {},
): Definitions {
  const named = <T extends { name: string }>(items: T[]): Map<string, T> =>
    new Map(items.map((item) => [item.name, item]));
  const known = <T extends { id: string }>(items: T[]): Map<string, T> => new Map(items.map((item) => [item.id, item]));
  return {
    samplers: named(parts.samplers ?? [sampler()]),
    rules: named(parts.rules ?? []),
    route: parts.route ?? route(),
    people: known(parts.people ?? [person("ana"), person("bo")]),
    groups: known(parts.groups ?? [group("shop-team", ["ana", "bo"])]),
    calendars: new Map(),
    connections: new Map(),
    collection: defaultCollection,
  };
}

export type VerdictParts = {
  level: Level;
  timeMs: number;
  observed?: number | null;
  expected?: number | null;
  country?: string;
  tags?: Tags;
  sampler?: string;
  direction?: "up" | "down" | null;
  sinceMs?: number | null;
  lossSoFar?: number | null;
  stepMs?: number;
  memory?: JudgeMemory;
  trials?: { slot: number; summed: number };
};

export function verdict(parts: VerdictParts): Verdict {
  const bad = parts.level === "warning" || parts.level === "critical";
  const observed = parts.observed === undefined ? (bad ? 3 : 20) : parts.observed;
  return {
    sampler: parts.sampler ?? "shop-orders",
    series: {
      measurement: "orders",
      tags: parts.tags ?? { country: parts.country ?? "United Kingdom" },
      field: "orders",
    },
    timeMs: parts.timeMs,
    stepMs: parts.stepMs ?? minuteMs,
    state: observed === null ? "missing" : "value",
    level: parts.level,
    observed,
    expected: parts.expected === undefined ? 21 : parts.expected,
    lower: 12,
    upper: 30,
    forecast: { value: null, abstained: "too few points" },
    baseline: { centre: 21, spread: 3, daysUsed: 5, daysTrimmed: 2, days: [] },
    evidence: bad ? 12 : 0,
    gates: [],
    direction: parts.direction === undefined ? (bad ? "down" : null) : parts.direction,
    sinceMs: parts.sinceMs === undefined ? (bad ? parts.timeMs : null) : parts.sinceMs,
    lossSoFar: parts.lossSoFar === undefined ? (bad ? 18 : null) : parts.lossSoFar,
    slotsSummed: 1,
    memory: parts.memory,
    trials: parts.trials,
    reason: `${observed} orders, about 21 were expected`,
  };
}

/** A message to Ana of the shop team, being sent. */
export function outboxItem(kind: NoticeKind, number: number, step = 0): OutboxItem {
  return {
    id: "item-1",
    noticeKey: `incident-1:${number}:shop-team.${step}`,
    incidentId: "incident-1",
    kind,
    notifier: "email",
    recipient: "ana@shop.example",
    recipientName: "Ana",
    state: "sending",
    dueMs: 0,
    attempts: 1,
    leaseOwner: "w",
    leaseUntilMs: 1,
    createdMs: 0,
    sentMs: null,
    receipt: null,
    error: null,
  };
}
