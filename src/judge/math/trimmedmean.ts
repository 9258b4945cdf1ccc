import { ascending } from "./ascending.ts";

/**
 * The trimmed mean: the mean of what is left when the `trim` smallest and the `trim` largest values are dropped. One
 * wild day cannot move it, and unlike the median it still uses most of the days.
 * Source: Tukey, J. W. (1962), "The Future of Data Analysis", Ann. Math. Statist. 33(1), section 14.
 * Complexity: O(n) for the usual `trim` of 1, which needs no sorting; else O(n^2) as {@link ascending}.
 * @param values in any order, at least 2 * trim + 1
 * @param trim values dropped at each end, 0 or more
 * @throws Error with fewer values
 * @example trimmedMean([1, 100, 3, 2, 4], 1) // => 3
 */
export function trimmedMean(values: readonly number[], trim: number): number {
  const kept = values.length - 2 * trim;
  if (kept < 1) throw new Error(`trimmedMean requires at least ${2 * trim + 1} values (got ${values.length})`);
  if (trim === 1) return sumBetweenExtremes(values) / kept;
  const sorted = trim === 0 ? values : ascending(values);
  let sum = 0;
  for (let i = trim; i < values.length - trim; i += 1) sum += sorted[i] as number;
  return sum / kept;
}

/** Never adds an extreme to the sum: taking a huge one off again would leave nothing of the small ones. */
function sumBetweenExtremes(values: readonly number[]): number {
  let low = Math.min(values[0] as number, values[1] as number);
  let high = Math.max(values[0] as number, values[1] as number);
  let sum = 0;
  for (let i = 2; i < values.length; i += 1) {
    const value = values[i] as number;
    if (value > high) {
      sum += high;
      high = value;
    } else if (value < low) {
      sum += low;
      low = value;
    } else sum += value;
  }
  return sum;
}
