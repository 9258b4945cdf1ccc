/**
 * How strongly a count speaks against its expectation, in nats: the log-likelihood ratio between "the rate is what was
 * counted" and "the rate is as expected", under a negative binomial whose variance is that of the prediction. With
 * `variance` = `expected` it is the Poisson ratio X ln(X / M) - (X - M).
 * Score: X ln(X/M) - (X + r) ln((X + r) / (M + r)) with r = M^2 / (V - M).
 * Source: deviance of the negative binomial, McCullagh, P. and Nelder, J. A. (1989), "Generalized Linear Models", 2nd
 * ed., sections 2.3 and 6.2; half the deviance is the log-likelihood ratio.
 * Complexity: O(1).
 * @param observed X, >= 0
 * @param expected M, > 0
 * @param variance V of the prediction; below M it counts as M
 * @throws Error if a number is out of range
 * @example countEvidence(0, 24, 24) // => 24
 */
export function countEvidence(observed: number, expected: number, variance: number): number {
  if (!(observed >= 0)) throw new Error(`countEvidence requires observed >= 0 (got ${observed})`);
  if (!(expected > 0)) throw new Error(`countEvidence requires expected > 0 (got ${expected})`);
  const information = observed === 0 ? 0 : observed * Math.log(observed / expected);
  // From here on the ratio differs from Poisson's by less than rounding would.
  if (variance <= expected * (1 + 1e-9)) return Math.max(0, information - (observed - expected));
  const r = expected ** 2 / (variance - expected);
  const difference = (observed - expected) / (expected + r);
  // log1p keeps the digits near 1, and loses them near 0.
  const ratio = Math.abs(difference) < 0.5 ? Math.log1p(difference) : Math.log((observed + r) / (expected + r));
  return Math.max(0, information - (observed + r) * ratio);
}
