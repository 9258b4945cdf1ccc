/**
 * How strongly a gauge speaks against its expectation: its distance in robust spreads. With the spread of
 * {@link laplaceScale} that is the log-likelihood ratio in nats under Laplace noise, which has the heavy tails that
 * measured values have, so counts and gauges share one threshold. A Gaussian would call 4 deviations 8 nats; here
 * that takes 5.5 of them.
 * Source: density e^(-|x - m| / s) / 2s, Laplace (1774).
 * Complexity: O(1).
 * @param scale > 0
 * @throws Error if the scale is not positive
 * @example gaugeEvidence(10, 4, 2) // => 3
 */
export function gaugeEvidence(observed: number, expected: number, scale: number): number {
  if (!(scale > 0)) throw new Error(`gaugeEvidence requires scale > 0 (got ${scale})`);
  return Math.abs(observed - expected) / scale;
}
