/** What was usual around one time of day on past days: of a gauge's jumps, or of its values. */
import { dayMs } from "../../core/time.ts";

/** Past days whose jumps excuse today's: a week. Fewer say nothing. */
export const usualDays = 7;
export const usualDaysMin = 3;
/** Slots either side of the same time: jobs do not start at the same minute. */
export const around = 2;

/** A number by cell; NaN = nothing. What is Infinity is not known yet, and asked for. */
export type Asked = { readonly known: Float64Array; readonly ask?: (cell: number) => number };

export type Usual = { readonly mean: number; readonly most: number; readonly least: number };

/**
 * The trimmed mean of days, and the largest and the smallest of all slots but those of the one day that went furthest:
 * a past incident must not hide the next, and what came on two days is a habit, told or not. Null: too few are known.
 * @param days a cell of each, the newest first; below 0 = not held
 * @param slope by how much a day rises over the day before
 */
export function usualOf(days: readonly number[], stepMs: number, of: Asked, slope = 0): Usual | null {
  let [count, sum, low, high] = [0, 0, Infinity, -Infinity];
  let [most, most2, least, least2] = [-Infinity, -Infinity, Infinity, Infinity];
  for (let index = 0; index < days.length; index += 1) {
    const day = usualOn(days[index] as number, stepMs, of);
    if (day === null) continue;
    const rise = slope * (index + 1);
    count += 1;
    sum += day.mean + rise;
    low = Math.min(low, day.mean + rise);
    high = Math.max(high, day.mean + rise);
    if (day.most + rise > most) [most2, most] = [most, day.most + rise];
    else if (day.most + rise > most2) most2 = day.most + rise;
    if (day.least + rise < least) [least2, least] = [least, day.least + rise];
    else if (day.least + rise < least2) least2 = day.least + rise;
  }
  if (count < usualDaysMin) return null;
  const mean = (sum - low - high) / (count - 2);
  return { mean, most: Math.max(mean, most2), least: Math.min(mean, least2) };
}

/** Of one day; null where nothing is known. */
export function usualOn(cell: number, stepMs: number, { known, ask }: Asked): Usual | null {
  if (cell < 0) return null;
  let [slots, sum, most, least] = [0, 0, -Infinity, Infinity];
  const last = cell + aroundAfter(stepMs);
  for (let at = cell - around; at <= last; at += 1) {
    let value = known[at] ?? Number.NaN;
    if (value === Number.POSITIVE_INFINITY && ask !== undefined) known[at] = value = ask(at);
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
