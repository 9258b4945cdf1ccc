/**
 * Where the trouble that ends at the newest value began: how many of the newest values belong to it, at least 1. Each
 * value counts for the trouble as far as it lies beyond half way between what was expected and what the trouble is
 * like, and against it otherwise; the stretch with the largest sum wins. "What the trouble is like" is first the mean
 * of the `seen` newest values, then that of the stretch found.
 * Source: the maximum-likelihood change point of a shift in mean, Hinkley, D. V. (1970), Biometrika 57(1); the running
 * sum is Page's CUSUM (1954) read backwards.
 * Complexity: O(n).
 * @param observed newest first, at least 1; NaN = no value, belongs to whatever surrounds it
 * @param expected same length
 * @param seen how many of the newest values gave the trouble away, at least 1
 * @throws Error with no value
 * @example onset([0, 0, 0, 5, 6], [5, 5, 5, 5, 5], 4) // => 3
 */
export function onset(observed: readonly number[], expected: readonly number[], seen: number): number {
  if (observed.length < 1) throw new Error("onset requires at least 1 value (got 0)");
  let length = Math.min(seen, observed.length);
  for (let pass = 0; pass < 2; pass += 1) {
    let deviation = 0;
    let volume = 0;
    for (let i = 0; i < length; i += 1) {
      if (Number.isNaN(observed[i])) continue;
      deviation += (observed[i] as number) - (expected[i] as number);
      volume += Math.abs(expected[i] as number);
    }
    length = longestOn(observed, expected, deviation, volume);
  }
  return length;
}

function longestOn(
  observed: readonly number[],
  expected: readonly number[],
  deviation: number,
  volume: number,
): number {
  const sign = Math.sign(deviation);
  // Half of the deviation per unit expected; with nothing expected, any deviation counts in full.
  const half = volume === 0 ? 0 : Math.abs(deviation) / volume / 2;
  let best = 1;
  let bestSum = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < observed.length; i += 1) {
    if (Number.isNaN(observed[i])) continue;
    const wanted = expected[i] as number;
    sum += sign * ((observed[i] as number) - wanted) - half * Math.abs(wanted);
    if (sum > bestSum) {
      bestSum = sum;
      best = i + 1;
    }
  }
  return best;
}
