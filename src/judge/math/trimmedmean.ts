/**
 * The trimmed mean: the mean of what is left when the `trim` smallest and the `trim` largest values are dropped. One
 * wild day cannot move it, and unlike the median it still uses most of the days.
 * Source: Tukey, J. W. (1962), "The Future of Data Analysis", Ann. Math. Statist. 33(1), section 14.
 * Complexity: O(n).
 * @param sorted ascending, at least 2 * trim + 1 values
 * @param trim values dropped at each end, 0 or more
 * @throws Error with fewer values
 * @example trimmedMean([1, 2, 3, 4, 100], 1) // => 3
 */
export function trimmedMean(sorted: readonly number[], trim: number): number {
  const kept = sorted.length - 2 * trim;
  if (kept < 1) throw new Error(`trimmedMean requires at least ${2 * trim + 1} values (got ${sorted.length})`);
  let sum = 0;
  for (let i = trim; i < sorted.length - trim; i += 1) sum += sorted[i] as number;
  return sum / kept;
}
