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
export type Expectation = {
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
export function usableValues(cells: Cells, place: Place, back: number): number[] {
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
  return trimmedMean(ascending(values), trimOf(values.length, trim));
}

/**
 * Sums over the newest 1, 2, 4, ... slots, none reaching further back than `reach` slots, each against the same sums
 * of the days before. A day takes part if more than half of the slots are there; what it lacks is made up in
 * proportion. Days are summed first and trimmed then: trimming thin counts slot by slot would bend them downwards.
 * Stops where fewer than {@link usableDaysMin} days take part.
 */
export function countSums(cells: Cells, place: Place, reach: number, trim: number): Sum[] {
  const { values, inIncident } = cells;
  const count = place.days.length;
  const usable = { totals: zeros(count), slots: zeros(count) };
  const hidden = { totals: zeros(count), slots: zeros(count) };
  const sums: Sum[] = [];
  let observed = 0;
  let slots = 0;
  let slotsBefore = 0;
  let next = 1;
  for (let back = 0; back < reach; back += 1) {
    const value = values[place.now - back] as number;
    if (!Number.isNaN(value)) {
      observed += value;
      slots += 1;
      for (let day = 0; day < count; day += 1) {
        const cell = (place.days[day] as number) - back;
        const then = cell < 0 ? Number.NaN : (values[cell] as number);
        if (Number.isNaN(then)) continue;
        const sum = inIncident[cell] === 0 ? usable : hidden;
        (sum.totals[day] as number) += then;
        (sum.slots[day] as number) += 1;
      }
    }
    if (back + 1 !== next && back + 1 !== reach) continue;
    next *= 2;
    if (slots === slotsBefore) continue;
    slotsBefore = slots;
    const expectation = expectationOf(usable, hidden, slots, trim);
    if (expectation === null) break;
    const { expected, variance, sameWeekday } = expectation;
    sums.push({ reach: back + 1, slots, observed, expected, variance, sameWeekday });
  }
  return sums;
}

/** Sums of the past days, one entry a day: values, and how many slots they come from. */
type DaySums = { readonly totals: number[]; readonly slots: number[] };

function zeros(count: number): number[] {
  return new Array<number>(count).fill(0);
}

/**
 * Of counts. The variance of the prediction is what the usable days show, at least Poisson's; once more the n-th part
 * of it for the baseline, which is itself a mean of n days; and the model's own error. While no day of the same weekday
 * is usable, days in incidents (`hidden`) too show how much days differ: else a false incident, which hides its own
 * day, would come back on that day of every week.
 */
function expectationOf(usable: DaySums, hidden: DaySums, slots: number, trim: number): Expectation | null {
  const days: number[] = [];
  const sameWeekday: { expected: number; variance: number }[] = [];
  for (let day = 0; day < usable.slots.length; day += 1) {
    const present = usable.slots[day] as number;
    if (2 * present <= slots) continue;
    const sum = ((usable.totals[day] as number) * slots) / present;
    days.push(sum);
    if ((day + 1) % 7 !== 0) continue;
    // One day predicts another: the noise of both.
    const variance = 2 * Math.max(sum, 0.5) + (weekdayError * sum) ** 2;
    sameWeekday.push({ expected: Math.max(sum, 0.5), variance });
  }
  if (days.length < usableDaysMin) return null;
  const sorted = ascending(days);
  const expected = trimmedMean(sorted, trimOf(days.length, trim));
  const known = sameWeekday.length > 0;
  const shown = known ? sorted : ascending(allDays(usable, hidden, slots));
  const noise = Math.max(expected, leastExpected, trimmedVariance(shown, trimOf(shown.length, trim)));
  const error = known ? modelError : modelErrorOtherWeekday;
  return { expected, variance: noise * (1 + 1 / days.length) + (error * expected) ** 2, sameWeekday };
}

function allDays(usable: DaySums, hidden: DaySums, slots: number): number[] {
  const days: number[] = [];
  for (const [day, total] of usable.totals.entries()) {
    const present = (usable.slots[day] as number) + (hidden.slots[day] as number);
    if (2 * present > slots) days.push(((total + (hidden.totals[day] as number)) * slots) / present);
  }
  return days;
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
    const middle = trimmedMean(ascending(values), trimOf(values.length, trim));
    for (const value of values) deviations.push(value - middle);
  }
  if (deviations.length === 0) return Number.NaN;
  return Math.max(laplaceScale(deviations), 0.02 * Math.abs(centre), Number.MIN_VALUE);
}

/** The slot's own baseline with every day looked at, as people see it. */
export function baselineOf(cells: Cells, place: Place, trim: number): Baseline {
  const days: BaselineDay[] = place.days.map((cell, day) => {
    const value = cell < 0 ? Number.NaN : (cells.values[cell] as number);
    const startMs = place.dayStartsMs[day] as number;
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
