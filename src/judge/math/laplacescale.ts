import { median } from "simple-statistics";

/**
 * A robust spread: the median distance from the centre divided by ln 2, which is the scale s of a Laplace
 * distribution (half of its mass lies within s ln 2 of the centre). Up to half of the values may be wild.
 * Source: Hampel, F. R. (1974), "The influence curve and its role in robust estimation", JASA 69(346), for the median
 * absolute deviation.
 * Complexity: O(n) on average.
 * @param deviations value minus centre, at least 1
 * @throws Error with fewer values
 * @example laplaceScale([-1, 1, -1, 1, 50]) // => 1.4427...
 */
export function laplaceScale(deviations: readonly number[]): number {
  if (deviations.length < 1) throw new Error("laplaceScale requires at least 1 value (got 0)");
  return median(deviations.map(Math.abs)) / Math.LN2;
}
