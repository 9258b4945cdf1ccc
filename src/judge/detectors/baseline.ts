import { mean, sampleStandardDeviation } from "simple-statistics";
import type { Baseline, BaselineDay } from "../../core/model.ts";
import { type Cells, type Place, sumSlotsMax } from "../cells.ts";
import { ascending } from "../math/ascending.ts";
import { laplaceScale } from "../math/laplacescale.ts";
import { trimmedMean } from "../math/trimmedmean.ts";
import { trimmedVariance } from "../math/trimmedvariance.ts";

/** Fewer usable days than this are a cold start: nothing is expected, the level is unknown. */
export const usableDaysMin = 4;

/** Relative error of any baseline, whatever the days say: 5 %. Measured as .04 to .08 on real and made series. */
const modelError = 0.05;

/** Relative error of a single day as the model of another of the same weekday. */
const weekdayError = 0.1;

/** Relative error of the baseline while no day of the same weekday is usable: nobody knows yet what a Saturday is like. */
const modelErrorOtherWeekday = 0.25;

/** Counting nothing on five days still leaves a rate of about half a count in all of them. */
export const leastExpected = 0.1;

/** Slots before the one under test whose days show how much a gauge usually scatters. */
const gaugeScaleSlots = 16;

/** The same slot, or sum of slots, on the days before: what it leads one to expect. */
type Expectation = {
  readonly expected: number;
  /** Of the prediction: noise of the slots, of the days, and of the baseline itself. */
  readonly variance: number;
  /**
   * What each usable day of the same weekday alone leads one to expect. A mean over seven days mixes weekdays and
   * weekends; what last Saturday explains is no news on a Saturday.
   */
  readonly sameWeekday: readonly { readonly expected: number; readonly variance: number }[];
};

/** The newest slots with a value, summed, against the same slots of the days before. */
export type Sum = Expectation & {
  /** How many slots back the oldest lies, plus one. */
  readonly reach: number;
  /** Slots with a value. */
  readonly slots: number;
  readonly observed: number;
};

/** Values of the slot `back` slots ago on the days before, incidents and gaps left out. */
function usableValues(cells: Cells, place: Place, back: number): number[] {
  const found: number[] = [];
  for (const cell of place.days) {
    if (cell < 0 || cells.inIncident[cell - back] !== 0) continue;
    const value = cells.values[cell - back] as number;
    if (!Number.isNaN(value)) found.push(value);
  }
  return found;
}

/** How many days can be used for the slot under test. */
export function usableCount(cells: Cells, place: Place): number {
  let count = 0;
  for (const cell of place.days) {
    if (cell >= 0 && cells.inIncident[cell] === 0 && !Number.isNaN(cells.values[cell])) count += 1;
  }
  return count;
}

/** The same slot on usable days of the same weekday. */
export function sameWeekdayValues(cells: Cells, place: Place): number[] {
  const found: number[] = [];
  for (let day = 6; day < place.days.length; day += 7) {
    const cell = place.days[day] as number;
    const value = cell < 0 || cells.inIncident[cell] !== 0 ? Number.NaN : (cells.values[cell] as number);
    if (!Number.isNaN(value)) found.push(value);
  }
  return found;
}

/** Days trimmed at each end: as asked, as long as two days remain. */
function trimOf(days: number, asked: number): number {
  return Math.min(asked, Math.floor((days - 2) / 2));
}

/** Trimmed mean of the slot `back` slots ago on the days before; NaN with fewer than {@link usableDaysMin} days. */
export function centreAt(cells: Cells, place: Place, back: number, trim: number): number {
  const values = usableValues(cells, place, back);
  if (values.length < usableDaysMin) return Number.NaN;
  return trimmedMean(values, trimOf(values.length, trim));
}

/**
 * Sums over the newest 1, 2, 4, ... slots, none reaching further back than `reach` slots, each against the same sums
 * of the days before. A day takes part if more than half of the slots are there; what it lacks is made up in
 * proportion. Days are summed first and trimmed then: trimming thin counts slot by slot would bend them downwards.
 * Stops where fewer than {@link usableDaysMin} days take part.
 * @param wanted which sums are worth having; the others are left out. `last`: there is no longer one
 */
export function countSums(
  cells: Cells,
  place: Place,
  reach: number,
  trim: number,
  wanted: (observed: number, expected: number, last: boolean) => boolean,
): Sum[] {
  const { values } = cells;
  const past = pastSums(place.days.length);
  const sums: Sum[] = [];
  let observed = 0;
  let slots = 0;
  for (let from = 0, to = 1; from < reach; from = to, to = Math.min(2 * to, reach)) {
    const slotsBefore = slots;
    for (let back = from; back < to; back += 1) {
      const value = values[place.now - back] as number;
      if (Number.isNaN(value)) continue;
      observed += value;
      slots += 1;
    }
    if (slots === slotsBefore) continue;
    addPast(past, cells, place, from, to);
    const days = daySums(past, slots, false);
    if (days.length < usableDaysMin) break;
    const expected = trimmedMean(days, trimOf(days.length, trim));
    if (!wanted(observed, expected, to === reach)) continue;
    const sameWeekday = sameWeekdaySums(past, slots);
    const known = sameWeekday.length > 0;
    const variance = varianceOf(expected, days.length, known ? days : daySums(past, slots, true), trim);
    const error = (known ? modelError : modelErrorOtherWeekday) * expected;
    sums.push({ reach: to, slots, observed, expected, variance: variance + error * error, sameWeekday });
  }
  return sums;
}

/**
 * Sums of past days in one array, four numbers a day: total and number of the usable slots, then total and number of
 * those in incidents.
 */
type PastSums = Float64Array;

/** Used anew by each call, which is synchronous and leaves nothing in it: making one costs a fifth of a judgement. */
let scratch = new Float64Array(4 * 7);

function pastSums(days: number): PastSums {
  if (scratch.length !== 4 * days) scratch = new Float64Array(4 * days);
  return scratch.fill(0);
}

/** Adds the slots `from` to `to` (exclusive) slots back, as far as today has a value for them. */
function addPast(past: PastSums, { values, inIncident }: Cells, place: Place, from: number, to: number): void {
  const { now, days } = place;
  for (let day = 0; day < days.length; day += 1) {
    const cell = days[day] as number;
    if (cell < 0) continue;
    let total = 0;
    let slots = 0;
    for (let back = from; back < to; back += 1) {
      const value = values[cell - back] as number;
      if (Number.isNaN(value) || Number.isNaN(values[now - back])) continue;
      if (inIncident[cell - back] === 0) {
        total += value;
        slots += 1;
      } else {
        (past[4 * day + 2] as number) += value;
        (past[4 * day + 3] as number) += 1;
      }
    }
    (past[4 * day] as number) += total;
    (past[4 * day + 1] as number) += slots;
  }
}

/** What the days have for `slots` slots; a day with half of them or fewer has nothing. */
function daySums(past: PastSums, slots: number, withIncidents: boolean): number[] {
  const sums: number[] = [];
  for (let at = 0; at < past.length; at += 4) {
    const total = (past[at] as number) + (withIncidents ? (past[at + 2] as number) : 0);
    const count = (past[at + 1] as number) + (withIncidents ? (past[at + 3] as number) : 0);
    if (2 * count > slots) sums.push(count === slots ? total : (total * slots) / count);
  }
  return sums;
}

/** What each usable day of the same weekday predicts alone: the noise of both days, and 10 %. */
function sameWeekdaySums(past: PastSums, slots: number): Sum["sameWeekday"] {
  const found: { expected: number; variance: number }[] = [];
  for (let at = 4 * 6; at < past.length; at += 4 * 7) {
    const count = past[at + 1] as number;
    if (2 * count <= slots) continue;
    const sum = ((past[at] as number) * slots) / count;
    const expected = Math.max(sum, 0.5);
    found.push({ expected, variance: 2 * expected + (weekdayError * sum) ** 2 });
  }
  return found;
}

/**
 * Variance of a count around its baseline: what the days show, at least Poisson's, and once more the n-th part of it
 * for the baseline, which is itself a mean of n days.
 * @param shown the usable days; while none of the same weekday is among them, those in incidents too, for they show how
 * much days differ: else a false incident, which hides its own day, would come back on that day of every week
 */
function varianceOf(expected: number, days: number, shown: readonly number[], trim: number): number {
  const noise = Math.max(expected, leastExpected, trimmedVariance(ascending(shown), trimOf(shown.length, trim)));
  return noise * (1 + 1 / days);
}

/**
 * How much a gauge usually scatters around its baseline, as the scale of Laplace noise: over the newest
 * {@link gaugeScaleSlots} slots of all usable days, at least 2 % of the expectation.
 * @returns NaN where no slot has enough days
 */
export function gaugeScale(cells: Cells, place: Place, centre: number, trim: number): number {
  const deviations: number[] = [];
  for (let back = 0; back < gaugeScaleSlots; back += 1) {
    const values = usableValues(cells, place, back);
    if (values.length < usableDaysMin) continue;
    const middle = trimmedMean(values, trimOf(values.length, trim));
    for (const value of values) deviations.push(value - middle);
  }
  if (deviations.length === 0) return Number.NaN;
  return Math.max(laplaceScale(deviations), 0.02 * Math.abs(centre), Number.MIN_VALUE);
}

/** The slot's own baseline with every day looked at, as people see it; `dayStartsMs` is when its slot begins. */
export function baselineOf(cells: Cells, place: Place, trim: number, dayStartsMs: readonly number[]): Baseline {
  const days: BaselineDay[] = place.days.map((cell, day) => {
    const value = cell < 0 ? Number.NaN : (cells.values[cell] as number);
    const startMs = dayStartsMs[day] as number;
    if (Number.isNaN(value)) return { startMs, value: null, use: "missing" };
    return { startMs, value, use: cells.inIncident[cell] === 0 ? "used" : "incident" };
  });
  const byValue = days.flatMap((day, index) => (day.use === "used" ? [index] : []));
  byValue.sort((one, other) => (days[one]?.value as number) - (days[other]?.value as number));
  if (byValue.length < usableDaysMin) {
    return { centre: null, spread: null, daysUsed: byValue.length, daysTrimmed: 0, days };
  }
  const dropped = trimOf(byValue.length, trim);
  for (const index of [...byValue.slice(0, dropped), ...byValue.slice(byValue.length - dropped)]) {
    days[index] = { ...(days[index] as BaselineDay), use: "trimmed" };
  }
  const kept = byValue.slice(dropped, byValue.length - dropped).map((index) => days[index]?.value as number);
  return {
    centre: mean(kept),
    spread: sampleStandardDeviation(kept),
    daysUsed: kept.length,
    daysTrimmed: 2 * dropped,
    days,
  };
}

/** Slots before the one under test that belong to no incident, the slot itself included, at most the most summed. */
export function quietReach(cells: Cells, place: Place): number {
  let reach = 1;
  while (reach < sumSlotsMax && cells.inIncident[place.now - reach] === 0) reach += 1;
  return reach;
}
