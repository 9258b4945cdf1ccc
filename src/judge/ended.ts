/** Whether an incident in counts is over. */
import { type Ongoing, windowSlots } from "./cells.ts";
import { clamp, type Range, slotNoise, slotVariance } from "./detectors/counts.ts";
import type { Context } from "./reading.ts";

/** How bad a trouble is taken to be: at least as far off as so much, and not beyond a fiftieth. */
const leastOff = 0.2;
const worst = 0.02;

export type Recovery = {
  /** Evidence for "as expected" against "as bad as it was so far". */
  readonly nats: number;
  /** What came as a share of what was expected, while it was bad. */
  readonly ratio: number;
};

/**
 * Page's CUSUM of recovery over the slots since the incident began, as far as they are at hand. What looks like recovery
 * is no measure of how bad it was, unless it comes to nothing.
 * Source: Page, E. S. (1954), "Continuous inspection schemes", Biometrika 41.
 */
export function recoveryOf({ cells, place }: Context, range: Range, { sinceMs, direction }: Ongoing): Recovery {
  const slots = Math.floor((place.timeMs - sinceMs) / place.stepMs) + 1;
  const bad = { observed: 0, expected: 0 };
  const better = { observed: 0, expected: 0 };
  let nats = 0;
  for (let back = Math.min(slots, windowSlots(place.stepMs)) - 1; back >= 0; back -= 1) {
    const cell = place.now - back;
    const value = cells.values[cell] as number;
    const least = back === 0 ? range.least : (cells.least[cell] as number);
    const most = back === 0 ? range.most : (cells.most[cell] as number);
    if (Number.isNaN(value) || Number.isNaN(least)) continue;
    const expected = Math.max(0.01, clamp(value, least, most));
    const ratio = bad.expected > 0 ? bad.observed / bad.expected : value / expected;
    const as = direction === "up" ? Math.max(1 + leastOff, ratio) : clamp(ratio, worst, 1 - leastOff);
    const scatter = 1 + slotNoise * expected + expected * slotVariance;
    nats += (value * Math.log(1 / as) - expected * (1 - as)) / scatter;
    better.observed += value;
    better.expected += expected;
    if (nats > 0) continue;
    nats = 0;
    bad.observed += better.observed;
    bad.expected += better.expected;
    better.observed = 0;
    better.expected = 0;
  }
  return { nats, ratio: bad.expected > 0 ? bad.observed / bad.expected : 1 };
}
