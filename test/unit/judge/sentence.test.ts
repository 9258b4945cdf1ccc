/** What people read: figures that say what they mean, and why something was not judged. */
import { expect, test } from "vitest";
import type { Decision } from "../../../src/judge/decision.ts";
import { forecastOf } from "../../../src/judge/detectors/forecast.ts";
import { sentence } from "../../../src/judge/sentence.ts";
import { judgeOn, judgingOf, memoryStore, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;
const stepMs = 10 * minuteMs;
/** A Monday. */
const startMs = Date.parse("2026-03-02T00:00:00Z");

const quiet: Decision = {
  ...{ state: "value", level: "normal", kind: "count", observed: 4, expected: 7.8, lower: 0, upper: 20 },
  outlook: { kind: "grade", c: 0.87, p: 0.75 },
  ...{ evidence: 0, percent: -16.6, slotsSummed: 1, trials: null, direction: "down", ongoing: null, because: null },
  gates: [
    { name: "relative", passed: false, measured: 16.6, needed: 20 },
    { name: "evidence", passed: false, measured: 0.4, needed: 12 },
  ],
  ...{ range: null, memory: {}, drift: null, accepted: null },
};

function said(decision: Partial<Decision>): string {
  const whole = { ...quiet, ...decision };
  return sentence({
    decision: whole,
    baseline: { centre: whole.expected, spread: 0, daysUsed: 7, daysTrimmed: 0, days: [] },
    forecast: forecastOf(whole.outlook),
    judging: judgingOf({ denominator: "attempts" }),
    ...{ field: "success", timeMs: startMs, sinceMs: null, closes: false, lacking: null, campaign: null },
    clock: { wallMs: (timeMs: number) => timeMs } as never,
  });
}

test.each([
  [0.9993, "0.9993"],
  [0.9912345, "0.9912"],
  [0.95, "0.95"],
  [0.5, "0.5"],
  [0.00271, "0.0027"],
  [1, "1"],
  [0, "0"],
  [1.02, "1"],
  [99.5, "99.5"],
])("a share of %d is said as %s", (share, text) => {
  expect(said({ kind: "ratio", observed: share, expected: share })).toMatch(
    `${text} success at 00:00; ${text} expected`,
  );
});

test("a band is said from one end to the other, for it is the nearer one that a value is off", () => {
  expect(said({ range: { least: 4.796, most: 10.8 } })).toContain("; 4.8 to 10.8 expected (");
  expect(said({ range: { least: 7.79, most: 7.81 } })).toContain("; 7.8 expected (");
});

test.each([
  [{ c: 0.87, p: 0.75 }, "poor fit: C 0.87 above 0.65)"],
  [{ c: 0.6, p: 0.63 }, "poor fit: P 0.63 below 0.70)"],
  [{ c: 0.87, p: 0.5 }, "poor fit: C 0.87 above 0.65, P 0.50 below 0.70)"],
])("the forecast says by which test it abstains: %o", (model, text) => {
  expect(said({ outlook: { kind: "grade", ...model } })).toContain(text);
});

test("without a floor a quiet slot is as expected; what holds back a strong one is said", () => {
  const gates = (evidence: number): Decision["gates"] => [
    { name: "relative", passed: true, measured: 3, needed: 0 },
    { name: "evidence", passed: false, measured: evidence, needed: 12 },
  ];
  expect(said({ kind: "gauge", gates: gates(0.2), evidence: 0.2 })).toMatch(/; as expected$/);
  expect(said({ kind: "gauge", gates: gates(8), evidence: 8 })).toContain("17 % below, but that may be chance");
});

/** The reason of the verdict on a slot after so many days of values, each of a slot's number. */
async function lastReason(
  kind: "count" | "gauge" | "ratio",
  slots: number,
  fields: (slot: number) => Record<string, number>,
): Promise<string> {
  const judging = judgingOf({ kind, ...(kind === "ratio" ? { denominator: "tried" } : {}) });
  const sampler = samplerOf({ stepMs, judge: { orders: judging } });
  const store = memoryStore();
  const points = Array.from({ length: slots }, (_, slot) => {
    return { measurement: "orders", tags: {}, fields: fields(slot), timeMs: startMs + slot * stepMs };
  });
  await store.write(points);
  const last = points.slice(-1);
  const [verdict] = await runSlot(store, judgeOn(store), sampler, startMs + (slots - 1) * stepMs, last);
  expect(verdict?.level).toBe("unknown");
  return verdict?.reason ?? "";
}

test("what there is too little of is said of what was asked for", async () => {
  const day = dayMs / stepMs;
  const orders = (slot: number) => ({ orders: 20 + (slot % 7) });
  expect(await lastReason("count", 3 * day + 40, orders)).toMatch(/not judged: 3 days known at this time, 4 needed$/);
  // The first Saturday.
  const saturday = /not judged: 0 days like today known at this time, 2 needed$/;
  expect(await lastReason("count", 5 * day + 72, orders)).toMatch(saturday);
  expect(await lastReason("gauge", 2 * day + 40, (slot) => ({ orders: slot / 7 }))).toMatch(
    /not judged: 2 days known at this time, 3 needed$/,
  );
  expect(await lastReason("ratio", 8 * day + 40, () => ({ orders: 0.95 }))).toMatch(
    /not judged: 0 days like today known at this time with tried, 2 needed$/,
  );
});
