/**
 * What no series should be and some are: whatever comes, a slot has a verdict or is `unknown` with a reason; nothing
 * throws, nothing stored is not finite, and a verdict does not depend on who judges or how often. All through the
 * judge's public doors. `BELLWETHER_TEST_CASES=1000` is the long form of the properties.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { FieldJudging, Sampler, Schedule } from "../../../src/core/definitions.ts";
import { type FieldValue, levelNumbers, type Point, type Verdict } from "../../../src/core/model.ts";
import type { TimeSeriesStore } from "../../../src/core/ports.ts";
import { decisions, judgeSeries, scoreThreshold } from "../../../src/judge/backtest.ts";
import { verdictPoint } from "../../../src/judge/verdict.ts";
import { slotsEndingIn } from "../../../src/schedule/cron.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const numRuns = Number(process.env.BELLWETHER_TEST_CASES ?? 40);

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;

/** Moments at which a zone's clock changes; for UTC just a moment. */
const changes = [
  ["UTC", "2026-03-11T14:00:00Z"],
  ["Europe/Berlin", "2026-03-29T01:00:00Z"],
  ["Europe/Berlin", "2026-10-25T01:00:00Z"],
  ["America/New_York", "2026-03-08T07:00:00Z"],
  ["America/New_York", "2026-11-01T06:00:00Z"],
  // Half an hour: back in April, forward in October.
  ["Australia/Lord_Howe", "2026-04-04T15:00:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T15:30:00Z"],
  // The 30th of December 2011 was left out.
  ["Pacific/Apia", "2011-12-30T10:00:00Z"],
] as const;

/** The crons of an hour and a day name hours, so that what spring skips is made up for at odd times. */
const steps = [
  ["1m", minuteMs, "* * * * *"],
  ["5m", 5 * minuteMs, "*/5 * * * *"],
  ["1h", hourMs, "15 0-22 * * *"],
  ["1d", dayMs, "30 2 * * *"],
] as const;

type Setting = {
  readonly name: string;
  readonly zone: string;
  /** When the clock changes. */
  readonly changeMs: number;
  readonly schedule: Schedule;
};

const settings: readonly Setting[] = changes.flatMap(([zone, change]) =>
  steps.flatMap(([step, stepMs, expression]): Setting[] => {
    const about = { zone, changeMs: Date.parse(change) };
    const name = `${zone} around ${change}`;
    return [
      { ...about, name: `every ${step}, ${name}`, schedule: { kind: "every", stepMs, delayMs: 0 } },
      { ...about, name: `cron ${step}, ${name}`, schedule: { kind: "cron", expression, stepMs, delayMs: 0, zone } },
    ];
  }),
);

function samplerIn({ zone, schedule }: Setting, judging: FieldJudging = judgingOf()): Sampler {
  return { ...samplerOf({ zone, tags: ["input"], judge: { orders: judging } }), schedule };
}

/** Starts of the slots that the schedule has, ascending. */
function starts(sampler: Sampler, fromMs: number, toMs: number): number[] {
  const { stepMs } = sampler.schedule;
  return slotsEndingIn(sampler, fromMs + stepMs - 1, toMs + stepMs - 1, 100_000).map(({ startMs }) => startMs);
}

/** Slots that judging at `timeMs` may look at, and none that it does not. */
function slotsBefore(sampler: Sampler, timeMs: number, days = 8): number[] {
  const { stepMs } = sampler.schedule;
  const reachMs = 50 * stepMs;
  if (stepMs >= hourMs) return starts(sampler, timeMs - days * dayMs - reachMs, timeMs);
  const found = new Set<number>();
  for (let day = 0; day <= days; day += 1) {
    const aroundMs = timeMs - day * dayMs;
    // A changed clock moves the same slot by an hour at most, or by the day that was left out.
    for (const about of [aroundMs - hourMs, aroundMs, aroundMs + hourMs]) {
      for (const startMs of starts(sampler, about - reachMs, Math.min(timeMs, about + 5 * stepMs))) found.add(startMs);
    }
  }
  return [...found].sort((one, other) => one - other);
}

/** What every verdict must be, whatever it says. */
function expectSound(verdict: Verdict, where: string): void {
  expect(Object.keys(levelNumbers), where).toContain(verdict.level);
  expect(verdict.reason, where).toMatch(/^\S[^\n\r]*\S$/);
  expect(verdict.reason, where).not.toMatch(/NaN|Infinity|undefined|null|\[object/);
  const numbers = Object.entries(verdictPoint(verdict).fields).filter(([, value]) => typeof value === "number");
  expect(
    numbers.filter(([, value]) => !Number.isFinite(value)),
    where,
  ).toEqual([]);
  // What is left out of a point because it is no number was wrong before.
  expect(JSON.stringify(verdict, (_, value) => (Number.isNaN(value) ? "NaN" : value)), where).not.toContain('"NaN"');
}

/** The verdicts of one series as the store gives them back. */
async function stored(store: TimeSeriesStore, verdict: Verdict): Promise<Record<string, FieldValue>> {
  const fields = Object.keys(verdictPoint(verdict).fields);
  const { series } = await store.read({
    measurement: "orders_verdict",
    fields,
    windows: [{ fromMs: verdict.timeMs, toMs: verdict.timeMs + 1 }],
  });
  const own = series.filter(({ tags }) => tags.input === verdict.series.tags.input);
  return Object.fromEntries(own.map(({ field, values }) => [field, values[0] as FieldValue]));
}

type Input = {
  readonly what: string;
  /** Value of the slot, the how manieth of those before the change it is; undefined: none. */
  readonly before: (slot: number) => FieldValue | undefined;
  /** Value of slots from the change on. */
  readonly after: (slot: number) => FieldValue | undefined;
  /** Levels that slots after the change may have. */
  readonly levels: readonly string[];
};

const steady = (slot: number) => 100 + (slot % 5);
const any = ["normal", "warning", "critical", "unknown"];

const inputs: readonly Input[] = [
  { what: "NaN after good days", before: steady, after: () => Number.NaN, levels: ["unknown"] },
  { what: "infinity after good days", before: steady, after: () => Number.POSITIVE_INFINITY, levels: ["unknown"] },
  { what: "1e300 after good days", before: steady, after: () => 1e300, levels: ["unknown"] },
  { what: "a text after good days", before: steady, after: () => "many", levels: ["unknown"] },
  { what: "nothing after good days", before: steady, after: () => undefined, levels: ["unknown"] },
  { what: "NaN ever since", before: () => Number.NaN, after: () => Number.NaN, levels: ["unknown"] },
  { what: "1e300 ever since", before: () => 1e300, after: () => 1e300, levels: ["unknown"] },
  { what: "-1e300 ever since", before: () => -1e300, after: () => -1e300, levels: ["unknown"] },
  { what: "a value after days of NaN", before: () => Number.NaN, after: () => 100, levels: ["unknown"] },
  { what: "a value after days of 1e300", before: () => 1e300, after: () => 100, levels: ["unknown"] },
  { what: "values as large as can be judged", before: () => 1e60, after: () => -1e60, levels: ["critical"] },
  { what: "wild values", before: (slot) => [1e60, -1e60, 0, 5e-324, 0.1][slot % 5], after: steady, levels: any },
  { what: "the smallest of all values", before: () => 5e-324, after: () => 5e-324, levels: ["normal"] },
  { what: "a constant", before: () => 100, after: () => 100, levels: ["normal"] },
  { what: "a constant that is broken", before: () => 100, after: () => 0, levels: ["critical"] },
  { what: "a broken constant", before: () => 12.5, after: () => 12.5, levels: ["normal"] },
  { what: "all zeros", before: () => 0, after: () => 0, levels: ["normal"] },
  { what: "minus zeros", before: () => -0, after: () => 0, levels: ["normal"] },
  { what: "a value after zeros", before: () => 0, after: () => 5, levels: ["normal"] },
  { what: "negative counts", before: (slot) => -100 - (slot % 5), after: () => -100, levels: ["normal"] },
  { what: "negative counts that jump", before: (slot) => -100 - (slot % 5), after: () => -9_000, levels: ["critical"] },
  { what: "a single point", before: () => undefined, after: (slot) => (slot === 0 ? 7 : undefined), levels: ["unknown"] },
  { what: "a single NaN", before: () => undefined, after: () => Number.NaN, levels: ["unknown"] },
  { what: "a single 1e300", before: () => undefined, after: () => 1e300, levels: ["unknown"] },
];

describe("around a change of the clock, with every step and schedule", () => {
  /** Of each setting: the verdicts of the slots after the change, by input. */
  const verdicts = new Map<string, Map<string, Verdict[]>>();
  const storedFields = new Map<string, Record<string, FieldValue>>();

  beforeAll(async () => {
    for (const setting of settings) {
      const sampler = samplerIn(setting);
      const { changeMs } = setting;
      const { stepMs } = sampler.schedule;
      const slots = starts(sampler, changeMs, changeMs + 3 * Math.max(stepMs, hourMs)).slice(0, 3);
      const store = memoryStore();
      const past = slotsBefore(sampler, changeMs);
      const pointsAt = (timeMs: number, slot: number, part: "before" | "after") =>
        inputs.flatMap((input): Point[] => {
          const value = input[part](slot);
          return value === undefined ? [] : [orders(timeMs, value, { input: input.what })];
        });
      await store.write(past.filter((timeMs) => timeMs < changeMs).flatMap((timeMs, slot) => pointsAt(timeMs, slot, "before")));
      const judge = judgeOn(store);
      const found = new Map<string, Verdict[]>(inputs.map(({ what }) => [what, []]));
      for (const [slot, timeMs] of slots.entries()) {
        for (const verdict of await runSlot(store, judge, sampler, timeMs, pointsAt(timeMs, slot, "after"))) {
          found.get(verdict.series.tags.input as string)?.push(verdict);
        }
      }
      verdicts.set(setting.name, found);
      for (const [what, list] of found) {
        const last = list.at(-1);
        if (last !== undefined) storedFields.set(`${setting.name}/${what}`, await stored(store, last));
      }
      await store[Symbol.asyncDispose]();
    }
  });

  test.each(inputs)("$what: $levels", ({ what, levels, after }) => {
    const others: string[] = [];
    for (const setting of settings) {
      const found = verdicts.get(setting.name)?.get(what) ?? [];
      const where = `${what}, ${setting.name}`;
      if (found.length < (after(1) === undefined ? 1 : 3)) others.push(`${found.length} verdicts, ${setting.name}`);
      if (found.length === 0) continue;
      for (const { level, reason } of found) {
        if (!levels.includes(level)) others.push(`${level}: ${reason}, ${setting.name}`);
      }
      for (const verdict of found) expectSound(verdict, where);
      const last = found.at(-1) as Verdict;
      expect(storedFields.get(`${setting.name}/${what}`), where).toEqual(verdictPoint(last).fields);
    }
    expect(others).toEqual([]);
  });
});
