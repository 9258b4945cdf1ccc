import { countEvidence } from "./countevidence.ts";

/**
 * How strongly `hits` of `trials` speak against an expected rate, in nats: the log-likelihood ratio between "the rate is
 * what was seen" and "the rate is as expected". Of two models of what exceeds binomial variance the one that says less:
 * all of it is noise of the same shape (the binomial ratio divided by the dispersion), or the rarer outcome comes in
 * bursts (the negative binomial's, whose tail is longer).
 * Scores: (K ln(K / (N p)) + (N - K) ln((N - K) / (N (1 - p)))) / D; and {@link countEvidence} of the rarer outcome, whose
 * count is expected to be M with variance D M, over 1 - M / N.
 * Source: deviance of the binomial and quasi-likelihood, McCullagh, P. and Nelder, J. A. (1989), "Generalized Linear
 * Models", 2nd ed., sections 4.4 and 9.2; half the deviance is the log-likelihood ratio.
 * Complexity: O(1).
 * @param hits K, 0 to `trials`
 * @param trials N, > 0
 * @param rate p, above 0 and below 1
 * @param dispersion D, variance of the prediction over N p (1 - p), at least 1
 * @throws Error if a number is out of range
 * @example ratioEvidence(0, 10, 0.5, 1) // => 6.93
 */
export function ratioEvidence(hits: number, trials: number, rate: number, dispersion: number): number {
  if (!(hits >= 0 && hits <= trials && trials > 0)) {
    throw new Error(`ratioEvidence requires 0 <= hits <= trials, trials > 0 (got ${hits} of ${trials})`);
  }
  if (!(rate > 0 && rate < 1)) throw new Error(`ratioEvidence requires 0 < rate < 1 (got ${rate})`);
  if (!(dispersion >= 1)) throw new Error(`ratioEvidence requires dispersion >= 1 (got ${dispersion})`);
  const alike = information(hits, trials * rate) + information(trials - hits, trials * (1 - rate));
  const [rarer, expected] = rate <= 0.5 ? [hits, trials * rate] : [trials - hits, trials * (1 - rate)];
  const bursts = countEvidence(rarer, expected, dispersion * expected) / (1 - expected / trials);
  return Math.max(0, Math.min(alike / dispersion, bursts));
}

function information(observed: number, expected: number): number {
  return observed <= 0 ? 0 : observed * Math.log(observed / expected);
}
