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
import { decisions, judgeSeries, type SeriesToJudge, scoreThreshold } from "../../../src/judge/backtest.ts";
import type { Decision } from "../../../src/judge/decision.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { slotsEndingIn } from "../../../src/schedule/cron.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const numRuns = Number(process.env.BELLWETHER_TEST_CASES ?? 10);
/** Long forms take their time. */
const propertyTimeoutMs = 30_000 + 1_000 * numRuns;

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

/** Slots that judging at `timeMs` may look at. @param reach how many before the same slot of each day */
function slotsBefore(sampler: Sampler, timeMs: number, reach = 36): number[] {
  const { stepMs } = sampler.schedule;
  const days = 8;
  const reachMs = reach * stepMs;
  if (stepMs >= hourMs) return starts(sampler, timeMs - days * dayMs - reachMs, timeMs);
  const found = new Set<number>();
  for (let day = 0; day <= days; day += 1) {
    const aroundMs = timeMs - day * dayMs;
    // A changed clock moves the same slot by an hour at most, or by the day that was left out.
    const toMs = Math.min(timeMs, aroundMs + hourMs + 5 * stepMs);
    for (const startMs of starts(sampler, aroundMs - hourMs - reachMs, toMs)) found.add(startMs);
  }
  return [...found].sort((one, other) => one - other);
}

/** Paths of the numbers in `value` that are not finite. */
function notFinite(value: unknown, path = ""): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [`${path} is ${value}`];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => notFinite(part, `${path}.${name}`));
}

/** What every verdict must be, whatever it says. */
function expectSound(verdict: Verdict, where: string): void {
  expect(Object.keys(levelNumbers), where).toContain(verdict.level);
  expect(verdict.reason, where).toMatch(/^\S[^\n\r]*\S$/);
  expect(verdict.reason, where).not.toMatch(/NaN|Infinity|undefined|null|\[object/);
  // All of it: what is no number would be left out of the point without a word.
  expect(notFinite(verdict), where).toEqual([]);
  expect(notFinite(verdictPoint(verdict).fields), where).toEqual([]);
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
  // Negative, so a gauge; and a constant one is told at the third value after a step.
  { what: "values as large as can be judged", before: () => 1e60, after: () => -1e60, levels: ["normal", "critical"] },
  { what: "wild values", before: (slot) => [1e60, -1e60, 0, 5e-324, 0.1][slot % 5], after: steady, levels: any },
  { what: "the smallest of all values", before: () => 5e-324, after: () => 5e-324, levels: ["normal"] },
  { what: "a constant", before: () => 100, after: () => 100, levels: ["normal"] },
  { what: "a constant that is broken", before: () => 100, after: () => 0, levels: ["critical"] },
  { what: "a broken constant", before: () => 12.5, after: () => 12.5, levels: ["normal"] },
  { what: "all zeros", before: () => 0, after: () => 0, levels: ["normal"] },
  { what: "minus zeros", before: () => -0, after: () => 0, levels: ["normal"] },
  { what: "a value after zeros", before: () => 0, after: () => 5, levels: ["normal", "critical"] },
  { what: "negative counts", before: (slot) => -100 - (slot % 5), after: () => -100, levels: ["normal"] },
  {
    what: "negative counts that jump",
    before: (slot) => -100 - (slot % 5),
    after: () => -9_000,
    levels: ["critical", "warning"],
  },
  {
    what: "a single point",
    before: () => undefined,
    after: (slot) => (slot === 0 ? 7 : undefined),
    levels: ["unknown"],
  },
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
      await store.write(
        past.filter((timeMs) => timeMs < changeMs).flatMap((timeMs, slot) => pointsAt(timeMs, slot, "before")),
      );
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

  test.each(inputs)("$what", ({ what, levels, after }) => {
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

/** Values that a series may bring, the usual ones more often than the others. */
const hostileValue = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 95, max: 105 }) },
  { weight: 2, arbitrary: fc.constantFrom(0, 3, 400, -100, -0) },
  { weight: 1, arbitrary: fc.constantFrom(1e300, -1e300, 1e60, 1e59, 5e-324, 0.1, 1e15) },
  { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
);

const judgings = fc.record({
  kind: fc.constantFrom("auto" as const, "auto" as const, "count" as const, "gauge" as const, "ratio" as const),
  direction: fc.constantFrom("both" as const, "both" as const, "down" as const),
  baseline: fc.constantFrom({ days: 7, trim: 1 }, { days: 7, trim: 1 }, { days: 4, trim: 0 }, { days: 8, trim: 3 }),
  forecast: fc.constantFrom({ points: 8 }, { points: 8 }, { points: 4 }, { points: 64 }),
  floor: fc.constantFrom({}, {}, { absolute: 0, volume: 0 }),
});

/** One thing that happens to a sampler. */
const happening = fc.record({
  /** Mostly the next slot; some are left out, some are judged again because of late data, one is a day later. */
  move: fc.constantFrom(1, 1, 1, 1, 1, 2, 3, -1, -4, 14),
  values: fc.tuple(fc.option(hostileValue, { freq: 8 }), fc.option(hostileValue, { freq: 8 })),
  /** Somebody else judges it. */
  elsewhere: fc.integer({ min: 0, max: 5 }).map((dice) => dice === 0),
  forgets: fc.integer({ min: 0, max: 3 }).map((dice) => dice === 0),
  again: fc.integer({ min: 0, max: 3 }).map((dice) => dice === 0),
});

function byInput(verdicts: readonly Verdict[]): Verdict[] {
  return [...verdicts].sort((one, other) =>
    (one.series.tags.input as string).localeCompare(other.series.tags.input as string),
  );
}

/** Slots around the change, and for short steps those of a day later too. */
function storySlots(sampler: Sampler, changeMs: number): number[] {
  const { stepMs } = sampler.schedule;
  const around = starts(sampler, changeMs - 8 * stepMs, changeMs + 30 * stepMs);
  if (stepMs >= hourMs) return around;
  return [...around.slice(0, 16), ...starts(sampler, changeMs + dayMs - 4 * stepMs, changeMs + dayMs + 20 * stepMs)];
}

describe("a verdict does not depend on who judges, nor on how often", () => {
  test.each(steps)(
    "with a step of %s",
    async (_, stepMs) => {
      const setting = fc.constantFrom(...settings.filter(({ schedule }) => schedule.stepMs === stepMs));
      await fc.assert(
        fc.asyncProperty(
          setting,
          judgings,
          fc.array(hostileValue, { minLength: 1, maxLength: 30 }),
          fc.array(happening, { minLength: 1, maxLength: 25 }),
          async (where, judging, past, story) => {
            const sampler = samplerIn(where, judgingOf(judging));
            const slots = storySlots(sampler, where.changeMs);
            const store = memoryStore();
            const reach = 40 + 2 * judging.forecast.points;
            const history = [slots[0] as number, slots.at(-1) as number]
              .flatMap((timeMs) => slotsBefore(sampler, timeMs, reach))
              .filter((timeMs) => timeMs < (slots[0] as number));
            await store.write(
              [...new Set(history)].flatMap((timeMs, slot) => [
                orders(timeMs, past[slot % past.length] as number, { input: "a" }),
                orders(timeMs, steady(slot), { input: "b" }),
              ]),
            );
            const longLived = judgeOn(store);
            const forgetful = judgeOn(store);
            const valuesAt = new Map<number, readonly (number | null)[]>();
            const foreign = new Set<number>();
            let at = -1;
            let newest = -1;
            for (const { move, values, elsewhere, forgets, again } of story) {
              at = Math.max(0, at + move);
              const timeMs = slots[at];
              if (timeMs === undefined) break;
              // What is stored of a slot belongs to its points when it is judged again; no value that could be judged is
              // taken back by one that cannot.
              const known = values.map((value, series) => {
                const earlier = valuesAt.get(timeMs)?.[series] ?? null;
                return value === null || (earlier !== null && Math.abs(value) > 1e60) ? earlier : value;
              });
              valuesAt.set(timeMs, known);
              const points = known.flatMap((value, series) =>
                value === null ? [] : [orders(timeMs, value, { input: "ab"[series] as string })],
              );
              await store.write(points);
              const byNew = byInput(await judgeOn(store).judgeSlot(sampler, timeMs, points));
              if (forgets) forgetful.forget(sampler.name);
              // What others judged is noticed where it is newer, and else after a restart or this, as where shares move.
              if (elsewhere ? at <= newest : foreign.has(at)) {
                longLived.forget(sampler.name);
                forgetful.forget(sampler.name);
              }
              if (elsewhere) foreign.add(at);
              else {
                expect(byInput(await longLived.judgeSlot(sampler, timeMs, points)), "by one that goes on").toEqual(
                  byNew,
                );
                expect(byInput(await forgetful.judgeSlot(sampler, timeMs, points)), "after it forgot").toEqual(byNew);
                if (again) {
                  const twice = byInput(await longLived.judgeSlot(sampler, timeMs, points));
                  expect(twice, "twice by the same").toEqual(byNew);
                }
              }
              newest = Math.max(newest, at);
              for (const verdict of byNew) expectSound(verdict, where.name);
              const { rejected } = await store.write(byNew.map((verdict) => verdictPoint(verdict)));
              expect(rejected).toEqual([]);
              const afterwards = byInput(await judgeOn(store).judgeSlot(sampler, timeMs, points));
              expect(afterwards, "again, its own verdict being stored").toEqual(byNew);
            }
            await store[Symbol.asyncDispose]();
          },
        ),
        { numRuns },
      );
    },
    propertyTimeoutMs,
  );
});

describe("negative counts are gauges", () => {
  const negative = (slot: number) => -100 - (slot % 5);

  const coarse = settings.filter(({ schedule }) => schedule.stepMs >= hourMs);
  const kinds = ["auto", "count", "gauge"] as const;

  async function judgedAs(setting: Setting, kind: (typeof kinds)[number]): Promise<Verdict[]> {
    const { changeMs, schedule } = setting;
    const sampler = samplerIn(setting, judgingOf({ kind }));
    const store = memoryStore();
    const past = slotsBefore(sampler, changeMs).filter((timeMs) => timeMs < changeMs);
    await store.write(past.map((timeMs, slot) => orders(timeMs, negative(slot), { input: "refunds" })));
    const judge = judgeOn(store);
    const verdicts: Verdict[] = [];
    for (const [slot, timeMs] of starts(sampler, changeMs, changeMs + 4 * schedule.stepMs).entries()) {
      const points = [orders(timeMs, slot === 0 ? -101 : -400, { input: "refunds" })];
      verdicts.push(...(await runSlot(store, judge, sampler, timeMs, points)));
    }
    await store[Symbol.asyncDispose]();
    return verdicts;
  }

  test("whatever kind they are called, each verdict is that of a gauge", async () => {
    for (const setting of coarse) {
      const [auto, count, gauge] = await Promise.all(kinds.map((kind) => judgedAs(setting, kind)));
      expect(auto, setting.name).toEqual(gauge);
      expect(count, setting.name).toEqual(gauge);
      expect(gauge?.[0], setting.name).toMatchObject({ level: "normal" });
      expect(gauge?.[0]?.lower, setting.name).toBeLessThan(-101);
      expect(gauge?.[1], setting.name).toMatchObject({ level: "critical", direction: "down" });
    }
  });
});

test("a slot is compared with those of the days before by the calendar, whatever the clock does", async () => {
  const others: string[] = [];
  for (const setting of settings.filter(({ schedule }) => schedule.stepMs === dayMs)) {
    const sampler = samplerIn(setting);
    const slots = starts(sampler, setting.changeMs - 9 * dayMs, setting.changeMs + 9 * dayMs);
    const store = memoryStore();
    const judge = judgeOn(store);
    for (const [slot, timeMs] of slots.entries()) {
      const [verdict] = await runSlot(store, judge, sampler, timeMs, [orders(timeMs, slot, { input: "days" })]);
      const values = (verdict as Verdict).baseline.days.flatMap(({ value }) => value ?? []);
      const wanted = Array.from({ length: Math.min(slot, 7) }, (_, back) => slot - 1 - back);
      // A day that Samoa left out is none of the seven, and a cron may fire twice on the day after it.
      const right =
        setting.zone === "Pacific/Apia"
          ? values.length >= wanted.length - 1 && values.every((value, day) => value < (values[day - 1] ?? slot))
          : values.join() === wanted.join();
      if (!right) others.push(`${slot}: ${values}, ${setting.name}`);
    }
    await store[Symbol.asyncDispose]();
  }
  expect(others).toEqual([]);
});

/** Steady minutes of the seven days before `nowMs`, and slots from it on. */
async function steadyStore(sampler: Sampler, nowMs: number): Promise<TimeSeriesStore> {
  const store = memoryStore();
  const past = slotsBefore(sampler, nowMs).filter((timeMs) => timeMs < nowMs);
  await store.write(past.map((timeMs, slot) => orders(timeMs, steady(slot), { input: "a" })));
  return store;
}

describe("time that jumps", () => {
  const ordinary = settings.filter(({ schedule: { stepMs } }) => stepMs === hourMs);

  test("a clock that goes back, years ahead and back again: each slot is judged as by one who saw no jump", async () => {
    for (const setting of ordinary) {
      const sampler = samplerIn(setting);
      const { changeMs, schedule } = setting;
      const store = await steadyStore(sampler, changeMs);
      const judge = judgeOn(store);
      const near = starts(sampler, changeMs, changeMs + 8 * schedule.stepMs);
      const far = [-hourMs, 3_650 * dayMs, -400 * dayMs, 90 * dayMs].flatMap((jumpMs) =>
        starts(sampler, changeMs + jumpMs, changeMs + jumpMs + dayMs).slice(0, 1),
      );
      const slots = near.slice(0, 4).flatMap((timeMs, index) => [timeMs, far[index] ?? timeMs]);
      for (const timeMs of slots) {
        const points = [orders(timeMs, 100, { input: "a" })];
        await store.write(points);
        const expected = await judgeOn(store).judgeSlot(sampler, timeMs, points);
        const verdicts = await runSlot(store, judge, sampler, timeMs, points);
        expect(verdicts, setting.name).toEqual(expected);
        for (const verdict of verdicts) expectSound(verdict, setting.name);
        const isNear = near.includes(timeMs) || timeMs === far[0];
        expect(verdicts, setting.name).toMatchObject([{ level: isNear ? "normal" : "unknown" }]);
      }
      await store[Symbol.asyncDispose]();
    }
  });

  test("400 days of gaps: unknown until four days are known again, and what went on before them is over", async () => {
    for (const setting of settings.filter(({ schedule }) => schedule.kind === "every" && schedule.stepMs >= hourMs)) {
      const sampler = samplerIn(setting);
      const { stepMs } = setting.schedule;
      const agoMs = setting.changeMs - 400 * dayMs;
      const store = await steadyStore(sampler, agoMs);
      const judge = judgeOn(store);
      for (const timeMs of starts(sampler, agoMs, agoMs + 3 * stepMs)) {
        const verdicts = await runSlot(store, judge, sampler, timeMs, [orders(timeMs, 0, { input: "a" })]);
        expect(verdicts, setting.name).toMatchObject([{ level: "critical" }]);
      }
      const slots = starts(sampler, setting.changeMs, setting.changeMs + 3 * dayMs);
      // With what is left out between them, too.
      for (const timeMs of slots.filter((_, slot) => slot < 2 || slot % 24 === 0 || slot === slots.length - 1)) {
        const points = [orders(timeMs, 100, { input: "a" })];
        await store.write(points);
        const expected = await judgeOn(store).judgeSlot(sampler, timeMs, points);
        const verdicts = await runSlot(store, judge, sampler, timeMs, points);
        expect(verdicts, setting.name).toEqual(expected);
        // What went on 400 days ago is nobody's trouble now.
        expect(verdicts, setting.name).toMatchObject([{ level: "unknown", sinceMs: null }]);
        expect(verdicts[0]?.reason, setting.name).toMatch(/not judged: [0-3] days? (like today )?known at this time/);
      }
      await store[Symbol.asyncDispose]();
    }
  });
});

test(
  "a series that changes its step: judged on, by a Judge that knew the old step as by a new one",
  async () => {
    const orderly = fc.shuffledSubarray([minuteMs, 5 * minuteMs, hourMs, dayMs], { minLength: 2 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...settings), orderly, async (setting, order) => {
        const first = samplerIn(setting);
        const store = await steadyStore(first, setting.changeMs);
        const judge = judgeOn(store);
        let nowMs = setting.changeMs;
        for (const stepMs of order) {
          // Nobody tells it: `forget` is the pipeline's business, and may come late.
          const sampler: Sampler = { ...first, schedule: { kind: "every", stepMs, delayMs: 0 } };
          for (const timeMs of starts(sampler, nowMs, nowMs + 3 * stepMs)) {
            const points = [orders(timeMs, 100, { input: "a" })];
            await store.write(points);
            const expected = await judgeOn(store).judgeSlot(sampler, timeMs, points);
            const verdicts = await runSlot(store, judge, sampler, timeMs, points);
            expect(verdicts, setting.name).toEqual(expected);
            expect(verdicts, setting.name).toHaveLength(1);
            for (const verdict of verdicts) expectSound(verdict, setting.name);
            nowMs = timeMs + stepMs;
          }
        }
        await store[Symbol.asyncDispose]();
      }),
      { numRuns },
    );
  },
  propertyTimeoutMs,
);

describe("a backtest over hostile rows", () => {
  const zones = fc.constantFrom(...new Set(changes.map(([zone]) => zone)));
  const change = fc.constantFrom(...changes.map(([, time]) => Date.parse(time)));
  const cell = fc.oneof(
    { weight: 4, arbitrary: hostileValue },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
  );
  /** Steps between rows: mostly one, some rows missing, some off the grid, once in a while 400 days. */
  const stride = fc.oneof(
    { weight: 20, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.constantFrom(2, 5, 0.5, 1.25) },
    { weight: 1, arbitrary: fc.constantFrom(70, 500) },
  );

  const rows = fc.record({
    zone: zones,
    changeMs: change,
    stepMs: fc.constantFrom(...steps.map(([, stepMs]) => stepMs)),
    kind: fc.constantFrom("auto" as const, "count" as const, "gauge" as const, "ratio" as const),
    values: fc.array(cell, { minLength: 1, maxLength: 60 }),
    strides: fc.array(stride, { minLength: 1, maxLength: 40 }),
    rest: fc.option(fc.constant(400 * dayMs), { freq: 2 }),
  });

  type Rows = typeof rows extends fc.Arbitrary<infer T> ? T : never;

  /** Ten days of rows, of a daily step sixty; of short steps, only the same few hours of each day. */
  function seriesOf(parts: Rows): SeriesToJudge {
    const { zone, changeMs, stepMs, kind, values, strides, rest } = parts;
    const timesMs: number[] = [];
    const perDay = Math.min(60, dayMs / stepMs);
    const days = stepMs === dayMs ? 60 : 10;
    let timeMs = Number.NEGATIVE_INFINITY;
    for (let day = 0; day < days; day += 1) {
      timeMs = Math.max(timeMs, changeMs + (day - days + 2) * dayMs);
      for (let slot = 0; slot < perDay; slot += 1) {
        timesMs.push(timeMs);
        timeMs += (strides[timesMs.length % strides.length] as number) * stepMs;
      }
    }
    if (rest !== null) timesMs.push(timeMs + rest, timeMs + rest + stepMs);
    const found = timesMs.map((_, row) => values[row % values.length] as number);
    return { timesMs, values: found, stepMs, kind, zone };
  }

  test(
    "decides about each row, with finite numbers, and without looking ahead",
    () => {
      fc.assert(
        fc.property(rows, fc.nat(), (parts, cut) => {
          const series = seriesOf(parts);
          const all = [...decisions(series)];
          expect(all).toHaveLength(series.timesMs.length);
          for (const [row, { outlook: _, ...decision }] of all.entries()) {
            expect(Object.keys(levelNumbers)).toContain(decision.level);
            expect(notFinite(decision), `row ${row}`).toEqual([]);
            const value = series.values[row] as number;
            if (!(Math.abs(value) <= 1e60)) expect(decision).toMatchObject({ level: "unknown", observed: null });
          }
          const length = 1 + (cut % series.timesMs.length);
          const earlier = judgeSeries({
            ...series,
            timesMs: Array.from(series.timesMs).slice(0, length),
            values: Array.from(series.values).slice(0, length),
          });
          const judged = judgeSeries(series);
          expect(judged.slice(0, length)).toEqual(earlier);
          for (const [row, { anomaly, score }] of judged.entries()) {
            expect(score >= scoreThreshold, `row ${row}`).toBe(anomaly === 1);
            const { level, because } = all[row] as Decision;
            const bad = (level === "warning" || level === "critical") && because !== "recovering";
            expect(anomaly === 1, `row ${row}`).toBe(bad);
          }
        }),
        { numRuns: 2 * numRuns },
      );
    },
    propertyTimeoutMs,
  );
});
