/** What kind of number a field has, where nobody says: told from the values at hand. */
import type { FieldJudging } from "../core/definitions.ts";
import type { JudgeMemory } from "../core/model.ts";
import { type Cells, dayReach, type Place, referenceDays, skipSlotsMax } from "./cells.ts";

export type Kind = "count" | "gauge" | "ratio";

/** Slots between two looks at a series that was judged before. */
const slotsBetween = 16;

/** Pairs of neighbouring slots that noise is told from, at least; and days left out because they are noisiest. */
const pairsMin = 50;
const daysDropped = 2;
/** Ten times what a count's slot is taken to scatter beyond Poisson, relative; and by how many standard errors. */
const noiseMax = 0.02;
const errors = 4;

/**
 * A count is never negative and never broken, and not much noisier than counting is: what jumps from slot to slot by
 * more is judged as a gauge, by its own noise. What was judged as one before stays one until it is quieter than counting
 * is by one standard error: a series near the line must not change sides every hour, nor one whose nights are too thin
 * to tell every night.
 */
export function kindOf(
  cells: Cells,
  place: Place,
  { kind }: FieldJudging,
  { tails, level, recovery, calm }: JudgeMemory,
): Kind {
  if (kind === "gauge" || kind === "ratio") return kind;
  // An incident is judged to its end as what it began as.
  if (recovery !== undefined) return "count";
  if (calm !== undefined) return "gauge";
  // What it was judged as is looked at again now and then, and where a value cannot be that of a count.
  const looks = Math.floor(place.timeMs / place.stepMs) % slotsBetween === 0;
  if (!looks && tails !== undefined) return "gauge";
  if (!looks && level !== undefined)
    return isBroken(cells.values[place.now] as number, kind === "count") ? "gauge" : "count";
  if (someBroken(cells, place, kind === "count")) return "gauge";
  if (kind === "count") return kind;
  return noisy(cells, place, tails !== undefined) ? "gauge" : "count";
}

/** @param negativeOnly what is called a count may have broken values, as sums of shares have */
function someBroken({ values }: Cells, { now, days }: Place, negativeOnly: boolean): boolean {
  for (let cell = now; cell > now - skipSlotsMax; cell -= 1) {
    if (isBroken(values[cell] as number, negativeOnly)) return true;
  }
  for (const day of days) {
    for (let cell = day; day >= 0 && cell > day - skipSlotsMax; cell -= 1) {
      if (isBroken(values[cell] as number, negativeOnly)) return true;
    }
  }
  return false;
}

function isBroken(value: number, negativeOnly: boolean): boolean {
  return !Number.isNaN(value) && (value < 0 || !(negativeOnly || Number.isInteger(value)));
}

/**
 * Half the mean squared difference of neighbours is the variance of a slot's noise, but for what the series' shape adds;
 * a quarter of that of neighbours' differences from day to day is too, but for what differs from day to day. The smaller
 * of the two is taken. Of a count it is the mean m; what exceeds that, relative to m^2, has a standard error of about
 * sqrt(3/n + 3/(4 n m)) / m over n differences.
 * Source: von Neumann, J. (1941), "Distribution of the ratio of the mean square successive difference to the variance",
 * Ann. Math. Statist. 12(4), for the estimate from differences.
 */
function noisy(cells: Cells, { days }: Place, wasGauge: boolean): boolean {
  const found: Differences[] = [];
  for (let day = 0; day + 1 < Math.min(days.length, referenceDays); day += 1) {
    const [later, earlier] = [days[day] as number, days[day + 1] as number];
    if (later < 0 || earlier < 0) continue;
    const sums = differences(cells, later, earlier);
    if (sums.pairs > 0) found.push(sums);
  }
  const kept = Math.max(1, found.length - daysDropped);
  const calmest = found.sort((a, b) => a.bySlots - b.bySlots).slice(0, kept);
  let [pairs, sum, bySlots, byDays] = [0, 0, 0, 0];
  for (const day of calmest) {
    pairs += day.pairs;
    sum += day.sum;
    bySlots += day.bySlots;
    byDays += day.byDays;
  }
  if (pairs < pairsMin || sum <= 0) return false;
  const mean = sum / pairs;
  const variance = Math.min(bySlots / 2, byDays / 4) / pairs;
  const error = Math.sqrt(3 / pairs + 0.75 / (pairs * mean)) / mean;
  return (variance - mean) / mean ** 2 > (wasGauge ? -error : noiseMax + errors * error);
}

/** Sums over neighbours on one day and the day before: how many, values, squares of the two kinds of differences. */
type Differences = {
  readonly pairs: number;
  readonly sum: number;
  readonly bySlots: number;
  readonly byDays: number;
};

/** Incidents and gaps left out. */
function differences({ values, inIncident }: Cells, later: number, earlier: number): Differences {
  let [pairs, sum, bySlots, byDays] = [0, 0, 0, 0];
  let before = Number.NaN;
  let dayBefore = Number.NaN;
  for (let back = Math.min(dayReach.before, later, earlier); back >= 0; back -= 1) {
    const usable = inIncident[later - back] === 0 && inIncident[earlier - back] === 0;
    const value = usable ? (values[later - back] as number) : Number.NaN;
    const difference = value - (values[earlier - back] as number);
    if (!Number.isNaN(difference) && !Number.isNaN(dayBefore)) {
      pairs += 1;
      sum += value;
      bySlots += (value - before) ** 2;
      byDays += (difference - dayBefore) ** 2;
    }
    before = value;
    dayBefore = difference;
  }
  return { pairs, sum, bySlots, byDays };
}
