/** Whether an incident in counts is over. */
import type { Direction, Recovery } from "../core/model.ts";
import { clamp, type Range, slotNoise, slotVariance } from "./detectors/counts.ts";
import { rounded } from "./math/rounded.ts";

/** How bad a trouble is taken to be: at least as far off as so much, and not beyond a twentieth. */
const leastOff = 0.2;
const worst = 0.05;

/** What is known of the recovery where an incident begins. @param observed what came, of what was `expected` */
export function noRecovery(observed: number, expected: number): Recovery {
  return { bad: { observed, expected }, nats: 0, better: { observed: 0, expected: 0 } };
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
  return nats > 0 ? { ...before, nats: rounded(nats), better } : noRecovery(...values(sum(before.bad, better)));
}

/** What came as a share of what was expected, while it was bad. */
export function badRatio({ bad }: Recovery): number {
  return bad.expected > 0 ? bad.observed / bad.expected : 1;
}

type Counted = Recovery["bad"];

function sum(one: Counted, other: Counted): Counted {
  return { observed: rounded(one.observed + other.observed), expected: rounded(one.expected + other.expected) };
}

function values({ observed, expected }: Counted): [number, number] {
  return [observed, expected];
}
