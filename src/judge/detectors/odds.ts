/** How a ratio runs today against plan, in odds: as far as days are known to differ, and hardly while something may be wrong. */
import type { JudgeMemory } from "../../core/model.ts";
import { certain, type Rate, type Slot } from "./rates.ts";

type Sums = NonNullable<JudgeMemory["level"]>;

/** Deviations of days that today may be off at most, and by what factor its odds. */
const deviationsMax = 2;
const oddsMax = 1.5;

/**
 * What is expected of a slot's rate today. The odds of what came today, over those that were planned, are Mantel, N. and
 * Haenszel, W. (1959), J. Natl. Cancer Inst. 22(4); how far they are believed is how much days differ beyond what so few
 * trials do by chance.
 * @param sums of slots before, as {@link oddsOf} gives them; absent: nothing is known of today
 */
export function rateToday(plan: Rate, sums?: Sums): Rate {
  const { rate, between, dispersion } = plan;
  if (sums === undefined || between === 0) return plan;
  const variance = rate * (1 - rate);
  const differ = between / variance ** 2;
  const information = (sums.observed + sums.expected) / 2 / dispersion;
  const sure = (differ * information) / (1 + differ * information);
  const limit = Math.min(Math.log(oddsMax), deviationsMax * Math.sqrt(differ));
  const log = sure * Math.log((sums.observed + 0.5) / (sums.expected + 0.5));
  const odds = (rate / (1 - rate)) * Math.exp(Math.max(-limit, Math.min(limit, log)));
  return {
    ...plan,
    rate: certain(odds / (1 + odds)),
    error: Math.sqrt(Math.max(0, plan.error ** 2 - sure * between)),
  };
}

/** What one slot adds to the sums: hits and misses, each weighted with what was planned of the other. */
export function oddsOf({ hits, trials }: Slot, { rate }: Rate): Sums {
  return { observed: hits * (1 - rate), expected: (trials - hits) * rate };
}
