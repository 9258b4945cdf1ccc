/** Ratios whose denominators are known: 3 of 4 is not 3,000 of 4,000. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Calendar, Campaign, Sampler } from "../../../src/core/definitions.ts";
import type { Point, Verdict } from "../../../src/core/model.ts";
import { backtestJudging, decisions } from "../../../src/judge/backtest.ts";
import { rateToday } from "../../../src/judge/detectors/odds.ts";
import { ratioEvidence } from "../../../src/judge/math/ratioevidence.ts";
import { judgeOn, judgingOf, memoryStore, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** A Monday. */
const startMs = Date.parse("2026-03-02T00:00:00Z");
const stepMs = 10 * minuteMs;
const slotsADay = dayMs / stepMs;
const judging = judgingOf({ kind: "ratio", denominator: "tried" });
const sampler: Sampler = { ...samplerOf({ stepMs, judge: { paid: judging } }) };

/** `paid` null: none; `tried` undefined: the point does not say. */
type Slot = { readonly paid: number | null; readonly tried?: number };

/** 95 % of so many, give or take what repeats every seven slots. */
function usual(tried: number, slot: number): Slot {
  return { paid: Math.min(1, Math.round(tried * (0.95 + 0.004 * ((slot % 7) - 3))) / tried), tried };
}

function pointOf(timeMs: number, { paid, tried }: Slot): Point[] {
  if (paid === null) return [];
  const fields = tried === undefined ? { paid } : { paid, tried };
  return [{ measurement: "orders", tags: {}, fields, timeMs }];
}

const times = <T>(count: number, value: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => value(i));
const lately = (tried: number): Slot[] => times(10 * slotsADay, (slot) => usual(tried, slot));

/** Ten days as usual, then what a test says; in slots of `looks` a new Judge and `explain` must come to the same. */
async function judged(
  tried: number,
  after: readonly Slot[],
  looks: readonly number[] = [],
  { past = lately(tried), calendar = null }: { past?: readonly Slot[]; calendar?: Calendar | null } = {},
): Promise<Verdict[]> {
  const store = memoryStore();
  const judge = judgeOn(store, calendar);
  const verdicts: Verdict[] = [];
  await store.write(past.flatMap((slot, index) => pointOf(startMs + index * stepMs, slot)));
  for (const [index, slot] of after.entries()) {
    const timeMs = startMs + (past.length + index) * stepMs;
    const points = pointOf(timeMs, slot);
    await store.write(points);
    const byNew = looks.includes(index) ? await judgeOn(store, calendar).judgeSlot(sampler, timeMs, points) : null;
    const found = await runSlot(store, judge, sampler, timeMs, points);
    if (byNew !== null) {
      expect(found).toEqual(byNew);
      const { verdict } = await judgeOn(store, calendar).explain(
        sampler,
        found[0]?.series as Verdict["series"],
        timeMs,
      );
      expect(verdict).toEqual(found[0]);
    }
    verdicts.push(...found);
  }
  return verdicts;
}

// Expected: differences of log probabilities by lgamma, binomial and negative binomial, outside of this project.
test.each([
  [0, 10, 0.5, 1, 6.931],
  [75, 100, 0.95, 1, 21.301],
  [75, 100, 0.95, 3, 4.743],
  [3_000, 4_000, 0.95, 4, 137.604],
  [3, 4, 0.95, 1, 0.852],
  [40, 1_000, 0.02, 2, 3.467],
  [0, 500, 0.02, 1, 10.101],
  [95, 100, 0.95, 1, 0],
])("%d of %d where %d is usual, dispersion %d: %d nats", (hits, trials, rate, dispersion, nats) => {
  expect(ratioEvidence(hits, trials, rate, dispersion)).toBeCloseTo(nats, 3);
});

test.each([
  [-1, 4, 0.5, 1],
  [5, 4, 0.5, 1],
  [0, 0, 0.5, 1],
  [1, 4, 0, 1],
  [1, 4, 1, 1],
  [1, 4, 0.5, 0.9],
])("%d of %d, rate %d, dispersion %d is refused", (hits, trials, rate, dispersion) => {
  expect(() => ratioEvidence(hits, trials, rate, dispersion)).toThrow("ratioEvidence requires");
});

// Expected: by hand. Days differ by 0.2 in log odds where b is 0.05 at one half.
test.each([
  ["nothing known of today", undefined, 0.05, 0.5, 0.06],
  ["days that do not differ", { observed: 120, expected: 80 }, 0, 0.5, 0.06],
  ["four fifths believed", { observed: 120, expected: 80 }, 0.05, 0.579986, 0.04],
  ["two deviations at most", { observed: 200, expected: 50 }, 0.05, 0.59869, 0.03894],
  ["less than planned", { observed: 80, expected: 120 }, 0.05, 0.420014, 0.04],
])("today against plan: %s", (_, sums, differ, rate, error) => {
  const found = rateToday({ rate: 0.5, error: 0.06, dispersion: 1, between: differ ** 2 }, sums);
  expect(found.rate).toBeCloseTo(rate, 5);
  expect(found.error).toBeCloseTo(error, 5);
});

test("where days differ, today's first hours tell which way it goes; an incident teaches nothing", async () => {
  const like = (day: number, tried: number): Slot => ({ paid: day % 2 === 0 ? 0.9 : 0.94, tried });
  const past = times(10 * slotsADay, (slot) => like(Math.floor(slot / slotsADay), 2_000));
  const bad = times(6, () => ({ paid: 0.5, tried: 2_000 }));
  const verdicts = await judged(2_000, [...times(24, () => like(0, 2_000)), ...bad], [1, 12, 26], { past });
  const expected = verdicts.map((verdict) => verdict.expected as number);
  expect(expected[0]).toBeCloseTo(0.92, 2);
  expect(expected[23]).toBeLessThan(0.905);
  expect(verdicts.slice(0, 24).every(({ level }) => level === "normal")).toBe(true);
  expect(verdicts.slice(24).every(({ direction }) => direction === "down")).toBe(true);
  const levels = verdicts.map(({ memory }) => memory?.level);
  expect(levels.slice(24)).toEqual(times(6, () => levels[23]));
});

test("3 of 4 is chance, 3,000 of 4,000 is not; the sentence says of how many", async () => {
  const [few] = await judged(400, [{ paid: 0.75, tried: 4 }]);
  expect(few?.level).toBe("normal");
  expect(few?.reason).toMatch(/^0\.75 paid of 4 tried at 00:00; 0\.9\d expected/);
  const [many] = await judged(4_000, [{ paid: 0.75, tried: 4_000 }]);
  expect(many?.level).toBe("warning");
  expect(many?.direction).toBe("down");
  expect(many?.trials).toEqual({ slot: 4_000, summed: 4_000 });
  expect(many?.lossSoFar).toBeNull();
});

test("a thin ratio is summed until it is sure, and its beginning is found", async () => {
  const bad = times(20, () => ({ paid: 0.4, tried: 5 }));
  const after = [...times(6, (slot) => usual(5, slot)), ...bad];
  const verdicts = await judged(5, after, [5, 8, 9, 10, 15]);
  const first = verdicts.findIndex(({ level }) => level !== "normal");
  expect(first).toBeGreaterThan(6);
  expect(first).toBeLessThan(11);
  expect(verdicts[first]?.sinceMs).toBe(startMs + (10 * slotsADay + 6) * stepMs);
  expect(verdicts[first]?.slotsSummed).toBeGreaterThan(1);
  expect(verdicts[first]?.reason).toMatch(/ below over \d+ slots, \d+ in all, since 01:00$/);
});

test("it ends once enough went well again, and not before; nothing measured says nothing", async () => {
  const after = [
    ...times(6, () => ({ paid: 0.5, tried: 40 })),
    { paid: 0.95 },
    { paid: null },
    { paid: 0, tried: 0 },
    ...times(8, (slot) => usual(40, slot)),
  ];
  const verdicts = await judged(40, after, [3, 6, 8, 9, 12]);
  expect(verdicts.slice(0, 7).map(({ sinceMs }) => sinceMs !== null)).toEqual(times(7, () => true));
  expect(verdicts[6]?.reason).toMatch(/^0\.95 paid at 01:00; /);
  expect(verdicts[6]?.trials?.slot).toBeNull();
  expect(verdicts[8]?.reason).toMatch(/^0 paid of 0 tried at 01:20; /);
  expect(verdicts[8]?.sinceMs).toBe(verdicts[0]?.sinceMs);
  const end = verdicts.findIndex(({ closes }) => closes === true);
  expect(end).toBeGreaterThanOrEqual(9);
  expect(end).toBeLessThan(12);
  expect(verdicts.slice(end + 1).every(({ level }) => level === "normal")).toBe(true);
});

test("more than usual is found too, and its other direction is another incident", async () => {
  const after = [...times(4, () => ({ paid: 1, tried: 2_000 })), ...times(2, () => ({ paid: 0.7, tried: 2_000 }))];
  const verdicts = await judged(2_000, after, [1, 5]);
  expect(verdicts.map(({ direction }) => direction)).toEqual(["up", "up", "up", "up", "down", "down"]);
  expect(verdicts[4]?.sinceMs).toBe(startMs + (10 * slotsADay + 4) * stepMs);
});

test("what goes on for two days is the new normal", async () => {
  const after = times(3 * slotsADay, (slot) => ({ ...usual(200, slot), paid: 0.7 }));
  const verdicts = await judged(200, after, [288, 289, 290, 300]);
  const accepted = verdicts.findIndex((verdict) => verdict.accepted !== undefined);
  expect(accepted).toBe(289);
  expect(verdicts[accepted]?.accepted?.ratio).toBeCloseTo(0.7 / 0.95, 2);
  expect(verdicts.slice(accepted).every(({ level }) => level === "normal")).toBe(true);
  expect(verdicts.at(-1)?.expected).toBeCloseTo(0.7, 1);
});

test("a campaign that is to be like a day has that day's ratio, whatever its scale, and an incident's if it was one", async () => {
  const rush = (slot: number): boolean => slot >= 3 * slotsADay && slot < 3 * slotsADay + 12;
  const past = times(10 * slotsADay, (slot) => (rush(slot) ? { paid: 0.8, tried: 2_000 } : usual(400, slot)));
  const fromMs = startMs + 10 * dayMs;
  const campaign: Campaign = {
    title: "Sale",
    fromMs,
    toMs: fromMs + 2 * hourMs,
    match: [],
    expect: { kind: "like", day: "2026-03-05", daysBefore: 7, scale: 3 },
    place: "rules/calendars/shop.yaml:5:5",
  };
  const calendar: Calendar = {
    name: "shop",
    zone: "Etc/UTC",
    place: "rules/calendars/shop.yaml:1:1",
    holidays: {},
    workdays: {},
    knownUntil: null,
    campaigns: [campaign],
  };
  const inSale = (paid: number) =>
    judged(
      400,
      times(6, () => ({ paid, tried: 4_000 })),
      [2],
      { past, calendar },
    );
  const asThen = await inSale(0.8);
  expect(asThen.map(({ level }) => level)).toEqual(times(6, () => "normal"));
  expect(asThen.at(-1)?.expected).toBeCloseTo(0.8, 1);
  expect((await inSale(0.5)).map(({ direction }) => direction)).toEqual(times(6, () => "down"));
  expect((await inSale(0.95)).map(({ direction }) => direction)).toEqual(times(6, () => "up"));
});

test("a backtest comes to what live judging came to", async () => {
  const after = [...times(40, (slot) => (slot > 9 && slot < 16 ? { paid: 0.6, tried: 30 } : usual(30, slot)))];
  const verdicts = await judged(30, after);
  const all = [...times(10 * slotsADay, (slot) => usual(30, slot)), ...after];
  const found = [
    ...decisions({
      timesMs: all.map((_, slot) => startMs + slot * stepMs),
      values: all.map(({ paid }) => paid as number),
      denominators: all.map(({ tried }) => tried as number),
      stepMs,
      kind: "ratio",
      judging: { ...backtestJudging("ratio"), denominator: "tried" },
    }),
  ].slice(-after.length);
  const ongoing = (verdict: { sinceMs: number | null }) => verdict.sinceMs;
  expect(found.map((each) => each.ongoing?.sinceMs ?? null)).toEqual(verdicts.map(ongoing));
  expect(found.some((each) => each.ongoing !== null)).toBe(true);
});

test("whatever the values and denominators are: no throw, and no number that cannot be stored", () => {
  const number = fc.oneof(
    fc.double(),
    fc.constantFrom(0, 1, -1, 0.5, 1e-300, 1e300, 1e12, Number.NaN, Number.POSITIVE_INFINITY),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(50),
  );
  const rows = fc.array(fc.tuple(number, number), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(rows, fc.constantFrom(hourMs, 3 * hourMs, dayMs), (few, step) => {
      const count = (20 * dayMs) / step;
      const series = {
        timesMs: times(count, (slot) => startMs + slot * step),
        values: times(count, (slot) => (few[slot % few.length] as [number, number])[0]),
        denominators: times(count, (slot) => (few[(slot * 3) % few.length] as [number, number])[1]),
      };
      for (const found of decisions({ ...series, stepMs: step, kind: "ratio", judging })) {
        const { observed, expected, lower, upper, evidence, percent, slotsSummed, trials } = found;
        const numbers = [
          observed,
          expected,
          lower,
          upper,
          evidence,
          percent,
          slotsSummed,
          trials?.slot,
          trials?.summed,
        ];
        const remembered = Object.values(found.memory.recovery ?? {}).flatMap((each) =>
          typeof each === "number" ? each : Object.values(each),
        );
        for (const each of [...numbers, ...remembered]) expect(Number.isFinite(each ?? 0)).toBe(true);
        expect(evidence).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 150 },
  );
});
