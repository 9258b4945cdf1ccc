/** What was usual around one time of day on past days: of a gauge's jumps, or of its values. */
import { dayMs } from "../../core/time.ts";

/** Past days whose jumps excuse today's: a week. Fewer say nothing. */
export const usualDays = 7;
export const usualDaysMin = 3;
/** Slots either side of the same time: jobs do not start at the same minute. */
export const around = 2;

export type Usual = { readonly mean: number; readonly most: number; readonly least: number };

/**
 * The trimmed mean of days, and the largest and the smallest of all slots but those of the one day that went furthest:
 * a past incident must not hide the next, and what came on two days is a habit, told or not. Null: too few are known.
 */
export function usualOf(days: readonly (Usual | null)[]): Usual | null {
  let [count, sum, low, high] = [0, 0, Infinity, -Infinity];
  let [most, most2, least, least2] = [-Infinity, -Infinity, Infinity, Infinity];
  for (const day of days) {
    if (day === null) continue;
    count += 1;
    sum += day.mean;
    low = Math.min(low, day.mean);
    high = Math.max(high, day.mean);
    if (day.most > most) [most2, most] = [most, day.most];
    else if (day.most > most2) most2 = day.most;
    if (day.least < least) [least2, least] = [least, day.least];
    else if (day.least < least2) least2 = day.least;
  }
  if (count < usualDaysMin) return null;
  const mean = (sum - low - high) / (count - 2);
  return { mean, most: Math.max(mean, most2), least: Math.min(mean, least2) };
}

/**
 * Of one day; null where nothing is known.
 * @param cell below 0 = not held
 * @param valueAt what is asked of a cell; NaN = nothing
 */
export function usualOn(cell: number, stepMs: number, valueAt: (cell: number) => number): Usual | null {
  if (cell < 0) return null;
  let [slots, sum, most, least] = [0, 0, -Infinity, Infinity];
  for (let at = cell - around; at <= cell + aroundAfter(stepMs); at += 1) {
    const value = valueAt(at);
    if (Number.isNaN(value)) continue;
    slots += 1;
    sum += value;
    if (value > most) most = value;
    if (value < least) least = value;
  }
  return slots === 0 ? null : { mean: sum / slots, most, least };
}

/** Slots after the same time of the day before that lie before the slot under test. */
function aroundAfter(stepMs: number): number {
  return Math.min(around, Math.max(1, Math.round(dayMs / stepMs)) - 1);
}
