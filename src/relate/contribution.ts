/** Which of a total's series explain what is wrong with it. Pure. */
import type { Contribution, Share } from "../core/contribution.ts";
import { tagsKey } from "../core/labels.ts";
import type { Tags } from "../core/model.ts";

/** What was expected of one slot, and what it was; null or NaN: not known. */
export type JudgedSlot = {
  readonly timeMs: number;
  readonly expected: number | null;
  readonly observed: number | null;
};

export type JudgedSeries = { readonly tags: Tags; readonly slots: readonly JudgedSlot[] };

/** Series that explain so much of the difference together explain it... */
const explainedMin = 0.8;
/** ...if there are no more of them than people keep in mind. */
const namedMax = 3;
/** One that went the other way by so much of the difference is named. */
const againstMin = 0.3;
/** What is left when they are taken out must have moved less than so much of what the total did, for its size. */
const evenRate = 0.5;

type Part = Share & { readonly loss: number; readonly expected: number };
type Sum = { readonly loss: number; readonly expected: number };

/**
 * A series' share is what it lacks, or has too much, of what was expected of it in all these slots, as a part of the
 * same of the total. The fewest with 80 % together are named, three at most, and only if what is left fared better:
 * where everything falls by a third, the largest country falls most, and explains nothing. Slots in which the total is not
 * known have no say; a series without a value in one had none to add to the total.
 *
 * As with "explanatory power" and "surprise" in Bhagwan et al., Adtributor (NSDI 2014).
 * @returns null where the total is as expected, or there are not two series to choose from
 */
export function contributionOf(total: readonly JudgedSlot[], series: readonly JudgedSeries[]): Contribution | null {
  const [first] = series;
  const slots = total.filter(({ expected, observed }) => isKnown(expected) && isKnown(observed));
  const times = new Set(slots.map(({ timeMs }) => timeMs));
  const whole = sumOf(slots, times);
  if (whole === null || whole.loss === 0 || first === undefined || series.length < 2) return null;
  const parts = series.flatMap(({ tags, slots: own }): Part[] => {
    const sum = sumOf(own, times);
    return sum === null ? [] : [{ tags, share: sum.loss / whole.loss, ...sum }];
  });
  parts.sort((a, b) => b.share - a.share || tagsKey(a.tags).localeCompare(tagsKey(b.tags)));
  const by = fewest(parts);
  const named = by !== null && by.length < parts.length && standOut(by, whole) ? by : [];
  const enough = parts.reduce((sum, { share }) => sum + Math.max(0, share), 0) >= explainedMin;
  const moved = parts.filter((part) => part.share > 0 && !fares(part, whole)).length;
  return {
    direction: whole.loss > 0 ? "down" : "up",
    tags: Object.keys(first.tags),
    by: named.map(shareOf),
    spread: named.length === 0 && enough ? { moved, of: parts.length } : null,
    against: parts
      .filter(({ share }) => share <= -againstMin)
      .map(shareOf)
      .reverse()
      .slice(0, namedMax),
    unknown: series.length - parts.length,
  };
}

/** Null if too many would be needed. */
function fewest(parts: readonly Part[]): readonly Part[] | null {
  let sum = 0;
  for (const [index, { share }] of parts.slice(0, namedMax).entries()) {
    sum += share;
    if (sum >= explainedMin) return parts.slice(0, index + 1);
  }
  return null;
}

/** Does the rest of the total fare better without them? */
function standOut(by: readonly Part[], whole: Sum): boolean {
  const without = (key: keyof Sum): number => by.reduce((left, part) => left - part[key], whole[key]);
  const rest = { loss: without("loss"), expected: without("expected") };
  return rest.expected <= 0 || fares(rest, whole);
}

/** Whether one moved clearly less than the whole did, or the other way, for its size. */
function fares(one: Sum, whole: Sum): boolean {
  if (whole.expected <= 0 || one.expected <= 0) return false;
  return (one.loss / one.expected) * Math.sign(whole.loss) < evenRate * (Math.abs(whole.loss) / whole.expected);
}

/** Null if nothing was expected of it in any of these slots, because nobody knew. */
function sumOf(slots: readonly JudgedSlot[], times: ReadonlySet<number>): Sum | null {
  const usable = slots.filter(({ timeMs, expected }) => times.has(timeMs) && isKnown(expected));
  if (usable.length === 0) return null;
  const expected = usable.reduce((sum, slot) => sum + (slot.expected as number), 0);
  const observed = usable.reduce((sum, slot) => sum + (isKnown(slot.observed) ? slot.observed : 0), 0);
  return { loss: expected - observed, expected };
}

function isKnown(value: number | null): value is number {
  return value !== null && Number.isFinite(value);
}

function shareOf({ tags, share }: Part): Share {
  return { tags, share };
}
