import { describe, expect, test } from "vitest";
import { type CollectionFacts, collectionConditions } from "../../src/collectionconditions.ts";
import type { Sampler } from "../../src/core/definitions.ts";
import { defaultCollection } from "../../src/define/collection.ts";
import type { SlotUsage } from "../../src/state/slots.ts";
import { definitions, sampler } from "./alert/builders.ts";

const minuteMs = 60_000;
const nowMs = Date.parse("2026-11-20T09:00:30Z");
const reads = (name: string, connection = "shop", changes: Partial<Sampler> = {}): Sampler =>
  sampler({ name, title: name, group: `${name}-team`, source: { kind: "sql", options: { connection } }, ...changes });

const used: SlotUsage = {
  runs: 60,
  failed: 0,
  caughtUp: 0,
  latenessMsAvg: 5,
  latenessMsMax: 20,
  durationMsAvg: 40,
  durationMsMax: 90,
  rows: 120,
  rowsRead: 0,
  serverMs: 600,
};
const nothing: CollectionFacts = {
  usage: new Map([
    ["orders", used],
    ["payments", used],
  ]),
  waitingMs: new Map(),
  failing: new Map(),
  emptySlots: new Map(),
  plannedMs: new Map(),
};
const failing = (slots: number, dataState: "source-down" | "missing", error = "SQL-015 - cannot open") => {
  return { slots, sinceMs: nowMs - slots * minuteMs, dataState, error };
};

const told = (
  facts: Partial<CollectionFacts>,
  rules = {},
  samplers = [reads("orders"), reads("payments")],
): string[] => {
  const defined = { ...definitions({ samplers }), collection: { ...defaultCollection, ...rules } };
  return collectionConditions(defined, { ...nothing, ...facts }, nowMs).map(
    ({ kind, subject, severity, group }) =>
      `${kind} ${subject} ${severity}${group === undefined ? "" : ` to ${group}`}`,
  );
};

test("nothing is told while all is well", () => {
  expect(told({})).toEqual([]);
});

describe("late", () => {
  test.each<[string, number, string[]]>([
    ["a minute is nothing", 1, []],
    ["two minutes and two steps are a warning", 2, ["sampler-late orders warning to orders-team"]],
    ["ten are critical", 10, ["sampler-late orders critical to orders-team"]],
  ])("%s", (_, minutes, conditions) => {
    expect(told({ waitingMs: new Map([["orders", nowMs - minutes * minuteMs]]) })).toEqual(conditions);
  });

  test("one that catches up is not: its slots end, one after the other", () => {
    expect(told({ waitingMs: new Map([["orders", null]]) })).toEqual([]);
  });

  test("the words stay the same while it lasts: each change is written down", () => {
    const defined = definitions({ samplers: [reads("orders")] });
    const facts = { ...nothing, waitingMs: new Map([["orders", nowMs - 3 * minuteMs]]) };
    const reasons = [0, 1_000, 90_000].map(
      (laterMs) => collectionConditions(defined, facts, nowMs + laterMs)[0]?.reason ?? "",
    );
    expect(reasons[0]).toMatch(/^orders: slots have waited since 2026-11-20T08:57:30Z\./);
    expect(new Set(reasons).size).toBe(1);
  });

  test("a sampler of long steps may take two of them", () => {
    const hourly = [reads("orders", "shop", { schedule: { kind: "every", stepMs: 60 * minuteMs, delayMs: 0 } })];
    expect(told({ waitingMs: new Map([["orders", nowMs - 110 * minuteMs]]) }, {}, hourly)).toEqual([]);
    expect(told({ waitingMs: new Map([["orders", nowMs - 120 * minuteMs]]) }, {}, hourly)).toHaveLength(1);
  });

  test("on a clock that runs fast it is waited as many times as long", () => {
    const defined = definitions({ samplers: [reads("orders")] });
    const facts = { ...nothing, waitingMs: new Map([["orders", nowMs - 30 * minuteMs]]) };
    expect(collectionConditions(defined, facts, nowMs, 25)).toEqual([]);
    expect(collectionConditions(defined, facts, nowMs, 1)).toHaveLength(1);
  });
});

describe("failing", () => {
  test("two slots in a row are not told, three are, to the sampler's group", () => {
    expect(told({ failing: new Map([["orders", failing(2, "missing")]]) })).toEqual([]);
    expect(told({ failing: new Map([["orders", failing(3, "missing")]]) })).toEqual([
      "sampler-failing orders critical to orders-team",
    ]);
  });

  test("a source that is down is one trouble, however many samplers read it", () => {
    const both = new Map([
      ["orders", failing(3, "source-down")],
      ["payments", failing(4, "source-down")],
    ]);
    expect(told({ failing: both })).toEqual(["source-down shop critical"]);
    const [condition] = collectionConditions(
      definitions({ samplers: [reads("orders"), reads("payments")] }),
      { ...nothing, failing: both },
      nowMs,
    );
    expect(condition?.sinceMs).toBe(nowMs - 4 * minuteMs);
    expect(condition?.reason).toBe(
      "Connection shop does not answer: 2 samplers that read it are unknown until it does, and their slots are read then (SQL-015 - cannot open).",
    );
  });

  test("while another sampler of the connection is read, it is the failing one's own trouble", () => {
    expect(told({ failing: new Map([["orders", failing(3, "source-down")]]) })).toEqual([
      "sampler-failing orders critical to orders-team",
    ]);
  });

  test("samplers of other connections have no part in it", () => {
    const samplers = [reads("orders"), reads("payments", "bank")];
    expect(told({ failing: new Map([["orders", failing(3, "source-down")]]) }, {}, samplers)).toEqual([
      "source-down shop critical",
    ]);
  });
});

test("slots without rows are told where a rule asks for it, and nothing means missing", () => {
  const samplers = [reads("orders", "shop", { empty: "missing" })];
  const emptySlots = new Map([["orders", 30]]);
  expect(told({ emptySlots }, {}, samplers)).toEqual([]);
  expect(told({ emptySlots }, { missingSlots: 31 }, samplers)).toEqual([]);
  expect(told({ emptySlots }, { missingSlots: 30 }, samplers)).toEqual(["sampler-empty orders warning to orders-team"]);
});

test("slots that take half of their time limit on average are slow; four runs prove nothing", () => {
  const slow = (runs: number, durationMsAvg: number) => ({
    usage: new Map([["orders", { ...used, runs, durationMsAvg }]]),
  });
  expect(told(slow(60, 4_999))).toEqual([]);
  expect(told(slow(60, 5_000))).toEqual(["sampler-slow orders warning to orders-team"]);
  expect(told(slow(4, 9_000))).toEqual([]);
});

describe("dead", () => {
  const planned = (minutesAgo: number) => ({
    usage: new Map(),
    plannedMs: new Map([["orders", nowMs - minutesAgo * minuteMs]]),
  });

  test("nothing was planned for longer than a very late slot is waited for", () => {
    expect(told(planned(5))).toEqual([]);
    expect(told(planned(15))).toEqual(["sampler-dead orders critical to orders-team"]);
  });

  test("outside its active hours nothing is to be planned", () => {
    const active = { zone: "UTC", weekdays: [1, 2, 3, 4, 5], fromMinute: 600, toMinute: 1_020 };
    // Yesterday's last slot began at 16:59.
    expect(told(planned(16 * 60 + 1), {}, [reads("orders", "shop", { active })])).toEqual([]);
  });

  test("one that waits is late, and not dead", () => {
    const facts = { ...planned(15), waitingMs: new Map([["orders", nowMs - 15 * minuteMs]]) };
    expect(told(facts)).toEqual(["sampler-late orders critical to orders-team"]);
  });
});
