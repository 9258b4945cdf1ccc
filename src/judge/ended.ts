/** Whether an incident in counts, or in ratios, is over. */
import type { Direction, Recovery } from "../core/model.ts";
import { clamp, type Range, slotNoise, slotVariance } from "./detectors/counts.ts";
import { dispersionIn, type Rate } from "./detectors/rates.ts";
import { rounded } from "./math/rounded.ts";

/** Evidence for "as expected" against "as bad as it was" that ends an incident, in nats. */
export const closeNats = 4;
/** Evidence of recovery above which a slot looks better, though the incident has not ended. */
export const betterNats = 0.2;

/** How bad a trouble is taken to be: at least as far off as so much, and not beyond a twentieth. */
const leastOff = 0.2;
const worst = 0.05;

/** What is known of the recovery where an incident begins. @param bad what came, of what was expected */
export function noRecovery(bad: Counted): Recovery {
  return { bad: sum(bad, nothing(bad)), nats: 0, better: nothing(bad) };
}

/**
 * The recovery after one more slot: Page's CUSUM of "as expected" against "as bad as it was so far". What looks like
 * recovery is no measure of how bad it was, unless it comes to nothing.
 * Source: Page, E. S. (1954), "Continuous inspection schemes", Biometrika 41.
 */
export function recovered(before: Recovery, observed: number, range: Range, direction: Direction): Recovery {
  const expected = Math.max(0.01, clamp(observed, range.least, range.most));
  const ratio = badRatio(before);
  const as = direction === "up" ? Math.max(1 + leastOff, ratio) : clamp(ratio, worst, 1 - leastOff);
  const scatter = 1 + slotNoise * expected + expected * slotVariance;
  const nats = before.nats + (observed * Math.log(1 / as) - expected * (1 - as)) / scatter;
  const better = sum(before.better, { observed, expected });
  return nats > 0 ? { ...before, nats: rounded(nats), better } : noRecovery(sum(before.bad, better));
}

/** What came as a share of what was expected, while it was bad. */
export function badRatio({ bad }: Recovery): number {
  return bad.expected > 0 ? bad.observed / bad.expected : 1;
}

/** A trouble is taken to have changed the odds of a ratio by at least so much, and by at most. */
const leastOdds = 1.5;
const mostOdds = 1_000;

/**
 * As {@link recovered}, of a ratio: how bad it was is told by its odds, so that 98 % of 99 % and 2 % of 1 % are alike.
 * @param slot null: nothing was measured
 */
export function ratioOver(
  before: Recovery = noRecovery({ observed: 0, expected: 0, trials: 0 }),
  slot: { readonly hits: number; readonly trials: number } | null,
  plan: Rate,
  direction: Direction,
): Recovery {
  if (slot === null) return before;
  const { rate } = plan;
  const found = oddsOf(before.bad.observed, before.bad) / oddsOf(before.bad.expected, before.bad);
  const odds = direction === "up" ? clamp(found, leastOdds, mostOdds) : clamp(found, 1 / mostOdds, 1 / leastOdds);
  const bad = (odds * rate) / (1 - rate + odds * rate);
  const { hits, trials } = slot;
  const gained = hits * Math.log(rate / bad) + (trials - hits) * Math.log((1 - rate) / (1 - bad));
  const nats = before.nats + gained / dispersionIn(plan, rate, trials);
  const better = sum(before.better, { observed: hits, expected: rate * trials, trials });
  return nats > 0 ? { ...before, nats: rounded(nats), better } : noRecovery(sum(before.bad, better));
}

/** With half a hit and half a miss added, for there may be none. */
function oddsOf(hits: number, { trials = 0 }: Counted): number {
  return (hits + 0.5) / (Math.max(0, trials - hits) + 0.5);
}

type Counted = Recovery["bad"];

/** Nothing yet, of the same kind: a ratio has trials. */
function nothing({ trials }: Counted): Counted {
  return trials === undefined ? { observed: 0, expected: 0 } : { observed: 0, expected: 0, trials: 0 };
}

function sum(one: Counted, other: Counted): Counted {
  const counted = {
    observed: rounded(one.observed + other.observed),
    expected: rounded(one.expected + other.expected),
  };
  const known = one.trials !== undefined || other.trials !== undefined;
  return known ? { ...counted, trials: rounded((one.trials ?? 0) + (other.trials ?? 0)) } : counted;
}
