/**
 * Evidence in counts: sums over 1 to 300 minutes against what the days before predict of them, with the error of that
 * prediction, as a log-likelihood ratio of the negative binomial: a short dip of a busy series and a long one of a thin
 * series are both found.
 */
import { type Cells, type Place, windowSlots } from "../cells.ts";
import { countEvidence } from "../math/countevidence.ts";
import { type Reading, type Readings, readingsOf } from "./readings.ts";
import type { Expectation } from "./references.ts";

/** Counting nothing in all days still leaves a rate of about a tenth of a count in a sum. */
const leastExpected = 0.1;
/** Variance of a slot beyond Poisson's, relative. */
export const slotNoise = 0.002;
/** Relative error of the expectation, however many days it rests on, and what one day adds to it. */
const modelError = 0.05;
const referenceError = 0.08;
/** Where the ratios of weekdays are known, the first of them is smaller. */
const modelErrorWithRatios = 0.04;

/** Expectation of the slot under test itself, today's level included. */
export type Range = { readonly least: number; readonly most: number };

/**
 * @param place.now must have a value
 * @param reach slots that may be summed, at least 1
 * @param enough whether a difference is large enough to matter
 */
export function countReadings(
  cells: Cells,
  place: Place,
  { plan, range, reach }: { readonly plan: Expectation; readonly range: Range; readonly reach: number },
  enough: (observed: number, expected: number) => boolean,
): Readings<Reading> {
  const relative = relativeVariance(plan, cells);
  const total = { observed: 0, least: 0, most: 0, squares: 0 };
  const longest = Math.min(reach, windowSlots(place.stepMs));
  let back = 0;
  const read = (length: number): Reading => {
    for (; back < length; back += 1) add(total, cells, place.now - back, back === 0 ? range : null);
    return readingOf(total, length, plan, relative);
  };
  return readingsOf(longest, read, ({ observed, expected }) => enough(observed, expected));
}

type Total = { observed: number; least: number; most: number; squares: number };

function add(total: Total, cells: Cells, cell: number, range: Range | null): void {
  const value = cells.values[cell] as number;
  const least = range === null ? (cells.least[cell] as number) : range.least;
  const most = range === null ? (cells.most[cell] as number) : range.most;
  if (Number.isNaN(value) || Number.isNaN(least)) return;
  total.observed += value;
  total.least += least;
  total.most += most;
  total.squares += clamp(value, least, most) ** 2;
}

function readingOf({ observed: sum, least, most, squares }: Total, reach: number, plan: Expectation, relative: number) {
  const observed = Math.max(0, sum);
  const expected = clamp(observed, least, most);
  if (observed === expected) return { reach, observed, expected, evidence: 0 };
  const mean = Math.max(leastExpected, expected);
  const shared = (mean / plan.references) * Math.min(1, reach / plan.smoothedSlots);
  const variance = mean + slotNoise * squares + relative * mean ** 2 + shared;
  // Within one deviation the square is as good as the ratio, and much cheaper; nearly all sums are.
  const square = (observed - mean) ** 2 / variance;
  if (square < 1) return { reach, observed, expected, evidence: square / 2 };
  return { reach, observed, expected, evidence: countEvidence(observed, mean, variance) };
}

/** Of the expectation: what no number of days removes, what each day adds, and how much the days differ. */
function relativeVariance({ references, spread, centre }: Expectation, cells: Cells): number {
  const error = cells.ratios === null ? modelError : modelErrorWithRatios;
  const differ = centre > 0 ? spread / centre : 0;
  return error ** 2 + (referenceError ** 2 + differ ** 2) / references;
}

/** Relative variance of one slot's expectation, for those who look at slots one by one. */
export const slotVariance = modelErrorWithRatios ** 2 + referenceError ** 2;

export function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
