/** What goes on for hours and days, and what comes again; through the judge's public doors, on the embedded store. */
import { expect, test } from "vitest";
import { SeriesLife } from "../../../src/backtest-series.ts";
import type { Verdict } from "../../../src/core/model.ts";
import { decisions, judgeSeries } from "../../../src/judge/backtest.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const stepMs = 5 * minuteMs;
const startMs = Date.parse("2026-03-02T00:00:00Z");
const judging = judgingOf({ kind: "count" });

/** 400 orders a slot, with a little that repeats every 35 minutes. */
const usual = (timeMs: number): number => 400 + ((timeMs / stepMs) % 7);

/** The last verdicts of some days: live, with a new judge once a day, and as a backtest, which must come to the same. */
async function judged(
  days: number,
  value: (timeMs: number) => number,
  kind: "count" | "gauge" = "count",
): Promise<Verdict[]> {
  const sampler = samplerOf({ stepMs, judge: { orders: judgingOf({ kind }) } });
  const store = memoryStore();
  const timesMs = Array.from({ length: (days * dayMs) / stepMs }, (_, slot) => startMs + slot * stepMs);
  const values = timesMs.map(value);
  const verdicts: Verdict[] = [];
  let judge = judgeOn(store);
  for (const [row, timeMs] of timesMs.entries()) {
    if (row % (dayMs / stepMs) === 100) judge = judgeOn(store);
    verdicts.push(...(await runSlot(store, judge, sampler, timeMs, [orders(timeMs, values[row] as number)])));
  }
  const tested = [...decisions({ timesMs, values, stepMs, kind })];
  const facts = tested.map(({ level, expected, ongoing }) => ({ level, expected, sinceMs: ongoing?.sinceMs ?? null }));
  expect(verdicts.map(({ level, expected, sinceMs }) => ({ level, expected, sinceMs }))).toEqual(facts);
  return verdicts;
}

function incidents(verdicts: readonly Verdict[]): number[] {
  return [...new Set(verdicts.flatMap(({ sinceMs }) => sinceMs ?? []))];
}

const at = (day: number, hour = 0): number => startMs + day * dayMs + hour * hourMs;

test("a day without orders is one incident", async () => {
  const verdicts = await judged(10, (timeMs) => (timeMs >= at(8, 6) && timeMs < at(9, 6) ? 0 : usual(timeMs)));
  expect(incidents(verdicts)).toEqual([at(8, 6)]);
  expect(verdicts.at(-1)).toMatchObject({ level: "normal", sinceMs: null });
});

test("half as many orders for a day and a half are one incident, until they are back", async () => {
  const verdicts = await judged(11, (timeMs) => usual(timeMs) * (timeMs >= at(8, 6) && timeMs < at(9, 18) ? 0.5 : 1));
  expect(incidents(verdicts)).toEqual([at(8, 6)]);
  expect(verdicts.at(-1)).toMatchObject({ level: "normal", sinceMs: null });
});

test("what has gone on for two days is the new normal, and stays it", async () => {
  const verdicts = await judged(21, (timeMs) => usual(timeMs) * (timeMs >= at(9, 6) ? 1.6 : 1));
  expect(incidents(verdicts)).toEqual([at(9, 6)]);
  const accepted = verdicts.filter((verdict) => verdict.accepted !== undefined);
  expect(accepted).toMatchObject([{ level: "normal", closes: true, accepted: { sinceMs: at(9, 6) } }]);
  expect(accepted[0]?.accepted?.ratio).toBeCloseTo(1.6, 2);
  expect(accepted[0]?.reason).toContain("taken for the new normal, after being off since 2026-03-11 06:00");
  expect(verdicts.at(-1)?.expected).toBeCloseTo(643, -1);
});

test("two days without any orders are no new normal", async () => {
  const verdicts = await judged(12, (timeMs) => (timeMs >= at(9, 6) ? 0 : usual(timeMs)));
  expect(incidents(verdicts)).toEqual([at(9, 6)]);
  expect(verdicts.at(-1)).toMatchObject({ level: "critical" });
});

test("a promotion at noon of each day is told on three days and is a habit from then on", async () => {
  const verdicts = await judged(14, (timeMs) => {
    const hour = (timeMs % dayMs) / hourMs;
    return usual(timeMs) * (timeMs >= at(8) && hour >= 12 && hour < 13 ? 2 : 1);
  });
  expect(incidents(verdicts).map((sinceMs) => new Date(sinceMs).toISOString().slice(5, 16))).toEqual([
    "03-10T12:00",
    "03-11T12:00",
    "03-12T12:00",
  ]);
});

test("two percent less each day leave no day's band; the week before shows them, to those who ask", async () => {
  const falling = (timeMs: number): number => 1_000 * 0.98 ** ((timeMs - startMs) / dayMs) + ((timeMs / stepMs) % 7);
  const timesMs = Array.from({ length: (30 * dayMs) / stepMs }, (_, slot) => startMs + slot * stepMs);
  const values = timesMs.map((timeMs) => Math.round(falling(timeMs)));
  const last = (drift: number | undefined) => {
    return [...decisions({ timesMs, values, stepMs, kind: "count", judging: { ...judging, drift } })].at(-1);
  };
  expect(last(undefined)).toMatchObject({ level: "normal", because: null });
  expect(last(undefined)?.drift).toBeCloseTo(-13, 0);
  expect(last(10)).toMatchObject({ level: "warning", direction: "down", because: "drift", ongoing: null });
  expect(last(20)).toMatchObject({ level: "normal" });
});

/** A gauge about 400 whose noise repeats every 65 minutes, so not from day to day. */
const gauge = (timeMs: number): number => 400 + ((((timeMs / stepMs) % 13) * 5) % 13);
const starts = (verdicts: readonly Verdict[]) =>
  incidents(verdicts).map((ms) => new Date(ms).toISOString().slice(5, 16));

test("a gauge that comes back from an hour and a half far above is one incident, not two", async () => {
  const bad = (timeMs: number) => timeMs >= at(8, 6) && timeMs < at(8, 7.5);
  const verdicts = await judged(9, (timeMs) => gauge(timeMs) * (bad(timeMs) ? 3 : 1), "gauge");
  expect(starts(verdicts)).toEqual(["03-10T06:00"]);
  const back = verdicts.find(({ timeMs }) => timeMs === at(8, 7.5));
  expect(back).toMatchObject({ level: "normal", sinceMs: null });
  expect(back?.expected).toBeCloseTo(400, -2);
});

test("a gauge that is somewhat low after a spike does not keep the spike's incident open", async () => {
  const after = (timeMs: number) => timeMs > at(8, 6) && timeMs < at(8, 6.5);
  const verdicts = await judged(
    9,
    (timeMs) => (timeMs === at(8, 6) ? 900 : after(timeMs) ? 396 : gauge(timeMs)),
    "gauge",
  );
  expect(starts(verdicts)).toEqual(["03-10T06:00"]);
  expect(verdicts.filter(({ sinceMs }) => sinceMs !== null)).toHaveLength(3);
});

test("a job that runs at one time of each day is told on two days and is a habit of the gauge from then on", async () => {
  const runs = (timeMs: number) => timeMs >= at(8) && (timeMs % dayMs) / hourMs === 4;
  const verdicts = await judged(14, (timeMs) => gauge(timeMs) + (runs(timeMs) ? 800 : 0), "gauge");
  expect(starts(verdicts)).toEqual(["03-10T04:00", "03-11T04:00"]);
});

test("the slots that a gauge's incident waits for do not fire: a spike of one slot is one bad slot", () => {
  const slots = 30 * 288;
  const spike = slots - 20;
  const values = Array.from({ length: slots }, (_, slot) => 50.5 + 5 * Math.sin(slot / 9) + (slot === spike ? 400 : 0));
  const timesMs = values.map((_, slot) => startMs + slot * stepMs);
  const series = { timesMs, values, stepMs, kind: "gauge" as const };
  const found = [...decisions(series)].slice(spike, spike + 4);
  expect(found.map(({ memory }) => memory.calm)).toEqual([0, 1, 2, undefined]);
  expect(
    judgeSeries(series)
      .slice(spike, spike + 4)
      .map(({ anomaly }) => anomaly),
  ).toEqual([1, 0, 0, 0]);
  const messages = (pendingCount: number) => {
    const life = new SeriesLife(series, { pendingCount, pendingOf: 3, recoverCount: 3 });
    for (const decision of decisions(series)) life.hear(decision);
    return life.heard().messages.filter(({ atMs }) => atMs >= (timesMs[spike] as number)).length;
  };
  expect([messages(1), messages(2)]).toEqual([2, 0]);
});
