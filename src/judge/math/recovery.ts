/**
 * How strongly the newest values say that a trouble is over, in nats: the largest log-likelihood ratio, over the newest
 * 1, 2, ... values, of "as expected" against "as bad as the trouble was". 0 if every stretch speaks for the trouble.
 * It is Page's CUSUM of recovery, computed anew each time so that nothing need be remembered.
 * Source: Page, E. S. (1954), "Continuous inspection schemes", Biometrika 41.
 * Complexity: O(n).
 * @param ratios log-likelihood ratio of each value, newest first; NaN = no value
 * @example recovery([2, 1, -5, 9]) // => 7
 */
export function recovery(ratios: readonly number[]): number {
  let best = 0;
  let sum = 0;
  for (const ratio of ratios) {
    if (Number.isNaN(ratio)) continue;
    sum += ratio;
    if (sum > best) best = sum;
  }
  return best;
}

/**
 * Log-likelihood ratio of one count: rate as expected against `bad` times that, in nats.
 * @param bad > 0, other than 1
 */
export function countRatio(observed: number, expected: number, bad: number): number {
  return expected * (bad - 1) - observed * Math.log(bad);
}

/** The same for a gauge under Laplace noise of `scale` > 0; `offset` is how far off the trouble is. */
export function gaugeRatio(observed: number, expected: number, offset: number, scale: number): number {
  return (Math.abs(observed - expected - offset) - Math.abs(observed - expected)) / scale;
}
