/**
 * How much one more value may be expected to vary around the trimmed mean, judged without the dropped tails: the
 * variance of the winsorized values (each dropped value replaced by its nearest kept one), divided by the square of
 * the share kept, which makes up for the tails.
 * Source: Tukey, J. W. and McLaughlin, D. H. (1963), "Less vulnerable confidence and significance procedures for
 * location based on a single sample", Sankhya A 25: the squared standard error of a trimmed mean is
 * s_w^2 / ((1 - 2 g)^2 n); this is n times that.
 * Complexity: O(n).
 * @param sorted ascending, at least 2 * trim + 2 values
 * @param trim values dropped at each end, 0 or more; 0 gives the sample variance
 * @throws Error with fewer values
 * @example trimmedVariance([1, 2, 3, 4, 5], 0) // => 2.5
 */
export function trimmedVariance(sorted: readonly number[], trim: number): number {
  const n = sorted.length;
  const kept = n - 2 * trim;
  if (kept < 2) throw new Error(`trimmedVariance requires at least ${2 * trim + 2} values (got ${n})`);
  const low = sorted[trim] as number;
  const high = sorted[n - 1 - trim] as number;
  let sum = trim * (low + high);
  for (let i = trim; i < n - trim; i += 1) sum += sorted[i] as number;
  const mean = sum / n;
  let squares = trim * ((low - mean) ** 2 + (high - mean) ** 2);
  for (let i = trim; i < n - trim; i += 1) squares += ((sorted[i] as number) - mean) ** 2;
  return squares / (n - 1) / (kept / n) ** 2;
}
