import fc from "fast-check";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { describe, expect, test } from "vitest";
import { decisions, findStepMs, type Judged, judgeSeries, scoreThreshold } from "../../../src/judge/backtest.ts";
import type { Decision } from "../../../src/judge/decision.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
const startMs = Date.parse("2026-03-01T00:00:00Z");

/** Poisson counts of a day with a busy noon; the seed makes the same series on every machine. */
function poissonSeries(parts: { seed: number; days: number; mean: number; dayNoise?: number; weekend?: number }) {
  const random = xoroshiro128plus(parts.seed);
  const uniform = () => ((random.next() >>> 0) + 0.5) / 2 ** 32;
  const values: number[] = [];
  let level = 1;
  for (let slot = 0; slot < parts.days * 1440; slot += 1) {
    if (slot % 1440 === 0) {
      const normal = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
      const weekday = Math.floor(slot / 1440) % 7 >= 5 ? (parts.weekend ?? 1) : 1;
      level = weekday * Math.exp((parts.dayNoise ?? 0) * normal);
    }
    const rate = parts.mean * level * (1 - 0.5 * Math.cos((2 * Math.PI * (slot % 1440)) / 1440));
    const limit = Math.exp(-rate);
    let count = -1;
    for (let product = 1; product > limit; product *= uniform()) count += 1;
    values.push(count);
  }
  return { values, timesMs: values.map((_, slot) => startMs + slot * minuteMs) };
}

function incidents(judged: readonly Judged[]): number {
  return judged.filter(({ anomaly }, row) => anomaly === 1 && judged[row - 1]?.anomaly !== 1).length;
}

describe("thin counts do not raise false alarms, and a full outage is found", () => {
  test.each([
    { mean: 3, dayNoise: 0, weekend: 1, slotsMax: 10 },
    { mean: 6, dayNoise: 0.05, weekend: 0.8, slotsMax: 7 },
    { mean: 10, dayNoise: 0.05, weekend: 0.8, slotsMax: 5 },
  ])("$mean a minute, days differing by $dayNoise, weekends at $weekend", ({ mean, dayNoise, weekend, slotsMax }) => {
    const series = poissonSeries({ seed: mean, days: 28, mean, dayNoise, weekend });
    expect(incidents(judgeSeries({ ...series, stepMs: minuteMs, kind: "count" }))).toBeLessThanOrEqual(1);
    for (const day of [15, 18, 22]) {
      const from = day * 1440 + 11 * 60;
      const values = series.values.map((value, slot) => (slot >= from && slot < from + 40 ? 0 : value));
      const judged = judgeSeries({ ...series, values, stepMs: minuteMs, kind: "count" });
      const found = judged.findIndex(({ anomaly }, slot) => slot >= from && anomaly === 1) - from;
      expect(found).toBeGreaterThanOrEqual(0);
      expect(found).toBeLessThan(slotsMax);
      // It lasts as long as the outage, and ends within as many slots again.
      expect(judged.slice(from + found, from + 40).every(({ anomaly }) => anomaly === 1)).toBe(true);
      expect(judged.slice(from + 40 + slotsMax, from + 100).some(({ anomaly }) => anomaly === 1)).toBe(false);
    }
  });
});

test("what has passed before it was enough does not begin when a stray slot makes it so", () => {
  const floor = { absolute: 97 };
  const from = 9 * 1440 + 600;
  const beginsAfter = (lasts: number) => {
    const values = Array.from({ length: from + 120 }, (_, slot) => {
      const more = slot >= from && slot < from + lasts ? 1 + ((slot - from) % 2) : 0;
      return 1 + 2 * (slot % 2) + more + (slot === from + 95 ? 6 : 0);
    });
    const timesMs = values.map((_, slot) => startMs + slot * minuteMs);
    const judged = judgeSeries({ timesMs, values, stepMs: minuteMs, kind: "count", judging: judgingOf({ floor }) });
    return judged.findIndex(({ anomaly }) => anomaly === 1) - from;
  };
  expect(beginsAfter(65)).toBeLessThan(0);
  expect(beginsAfter(95)).toBeGreaterThan(60);
});

test("where no two days of the kind are known, the noise of single days is no band", () => {
  // The second Friday's night: the one before it is the only one of its kind.
  const from = 12 * 1440 + 22 * 60;
  const foundAfter = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
    const { values, timesMs } = poissonSeries({ seed, days: 13, mean: 10 });
    const thinned = values.map((value, slot) => (slot >= from && slot < from + 40 ? Math.floor(value / 3) : value));
    const judged = judgeSeries({ timesMs, values: thinned, stepMs: minuteMs, kind: "count" });
    return judged.findIndex(({ anomaly }, slot) => slot >= from && anomaly === 1) - from;
  });
  expect(Math.min(...foundAfter)).toBeGreaterThan(0);
  expect(foundAfter.reduce((sum, slots) => sum + slots, 0) / 8).toBeLessThan(9);
});

test("what comes in bursts by day is not taken for a count every night, when it is too thin to tell", () => {
  const random = xoroshiro128plus(6);
  const uniform = () => ((random.next() >>> 0) + 0.5) / 2 ** 32;
  const thin = (rate: number): number => {
    let count = -1;
    for (let product = 1; product > Math.exp(-rate); product *= uniform()) count += 1;
    return count;
  };
  const stepMs = 5 * minuteMs;
  const timesMs = Array.from({ length: 40 * 288 }, (_, slot) => startMs + slot * stepMs);
  const values = timesMs.map((timeMs) => {
    const hour = (timeMs % dayMs) / (60 * minuteMs);
    if (hour >= 8 && hour < 20) return Math.floor(-20 * Math.log(uniform()));
    return thin(uniform() < 0.5 ? 1.5 : 2.5);
  });
  const kinds = [...decisions({ timesMs, values, stepMs, kind: "auto" })].map(({ kind }) => kind).slice(20 * 288);
  const changes = kinds.filter((kind, slot) => slot > 0 && kind !== kinds[slot - 1]);
  expect(changes.length).toBeLessThan(10);
});

test("a row is judged by itself and earlier rows only", () => {
  const series = poissonSeries({ seed: 5, days: 10, mean: 8 });
  const values = series.values.map((value, slot) => (slot > 9 * 1440 + 600 ? value * 4 : value));
  const all = judgeSeries({ timesMs: series.timesMs, values, stepMs: minuteMs, kind: "auto" });
  for (const rows of [1, 2, 8 * 1440, 9 * 1440 + 605, 9 * 1440 + 700]) {
    const part = { timesMs: series.timesMs.slice(0, rows), values: values.slice(0, rows) };
    expect(judgeSeries({ ...part, stepMs: minuteMs, kind: "auto" })).toEqual(all.slice(0, rows));
  }
});

test("live judging on the store and the backtest over arrays come to the same", async () => {
  const stepMs = 15 * minuteMs;
  const { values } = poissonSeries({ seed: 9, days: 12, mean: 40 });
  const counts = Array.from({ length: 12 * 96 }, (_, slot) => values[slot * 15] as number);
  for (let slot = 9 * 96; slot < 9 * 96 + 12; slot += 1) counts[slot] = 2;
  for (let slot = 10 * 96 + 50; slot < 10 * 96 + 53; slot += 1) counts[slot] = 400;
  const rows = counts.flatMap((value, slot) => (slot % 53 === 7 ? [] : [{ timeMs: startMs + slot * stepMs, value }]));
  const judging = judgingOf({ kind: "count" });
  const series = {
    timesMs: rows.map(({ timeMs }) => timeMs),
    values: rows.map(({ value }) => value),
    stepMs,
    kind: "count",
    zone: "Europe/London",
    judging,
  } as const;
  const decided = [...decisions(series)];
  const store = memoryStore();
  const judge = judgeOn(store);
  const sampler = samplerOf({ stepMs, zone: "Europe/London", judge: { orders: judging } });
  for (const [row, { timeMs, value }] of rows.entries()) {
    const [verdict] = await runSlot(store, judge, sampler, timeMs, [orders(timeMs, value)]);
    const { level, expected, evidence } = decided[row] as Decision;
    expect({ row, ...verdict }).toMatchObject({ row, level, expected, evidence });
  }
  const incidents = new Set(decided.flatMap(({ ongoing }) => ongoing?.sinceMs ?? []));
  expect(incidents.size).toBe(2);
});

test("one threshold tells all: the score reaches it exactly at anomalies", async () => {
  const value = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(0, 1e6, -5, 0.5, Number.NaN, 1e300));
  await fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 40 }),
      fc.constantFrom("auto", "count", "gauge"),
      (some, kind) => {
        const values = Array.from({ length: 400 }, (_, row) => some[row % some.length] as number);
        const timesMs = values.map((_, row) => startMs + row * 3_600_000);
        for (const { anomaly, score } of judgeSeries({ timesMs, values, stepMs: 3_600_000, kind })) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score >= scoreThreshold).toBe(anomaly === 1);
        }
      },
    ),
    { numRuns: 50 },
  );
});

describe("odd series are judged, not refused", () => {
  test.each([
    { what: "no row", values: [] },
    { what: "one row", values: [5] },
    { what: "all zero", values: Array(2000).fill(0) },
    { what: "constant", values: Array(2000).fill(12.5) },
    { what: "not a number", values: Array(2000).fill(Number.NaN) },
  ])("$what", ({ values }) => {
    const timesMs = values.map((_, row) => startMs + row * 3_600_000);
    expect(judgeSeries({ timesMs, values, stepMs: 3_600_000, kind: "auto" })).toEqual(
      values.map(() => ({ anomaly: 0, score: 0 })),
    );
  });

  test("a gap of a year", () => {
    const timesMs = [startMs, startMs + minuteMs, startMs + 365 * dayMs];
    expect(judgeSeries({ timesMs, values: [1, 2, 3], stepMs: minuteMs, kind: "count" })).toHaveLength(3);
  });

  test.each([
    { what: "times that do not ascend", timesMs: [startMs, startMs], fix: "sort the rows by time" },
    { what: "more slots than can be held", timesMs: [0, 4e15], fix: "take out rows that lie far from all others" },
    { what: "times beyond the calendar", timesMs: [0, 8.64e15], fix: "check the row's time" },
    { what: "times that are no numbers", timesMs: [Number.NaN, 0], fix: "check the row's time" },
  ])("$what are a Problem", ({ timesMs, fix }) => {
    const judge = () => judgeSeries({ timesMs, values: [1, 2], stepMs: minuteMs, kind: "count" });
    expect(judge).toThrow(expect.objectContaining({ fix: expect.stringContaining(fix) }));
  });
});

describe("the step of a series", () => {
  test.each([
    [[0, 60, 120, 180], 60],
    [[0, 60, 180, 240, 300], 60],
    [[0, 300, 360, 660, 960], 300],
    [[0, 60, 180], 60],
    [[7], dayMs],
    [[], dayMs],
  ])("of %j is %d", (timesMs, stepMs) => {
    expect(findStepMs(timesMs)).toBe(stepMs);
  });
});
