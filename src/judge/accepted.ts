/** Levels that went on for so long that they became the new normal. */
import { dayMs, hourMs } from "../core/time.ts";
import type { Ongoing, Place } from "./cells.ts";
import { rounded } from "./math/rounded.ts";

/** The days before `sinceMs`, times `ratio`, are what is normal from `atMs` on. */
export type Accepted = { readonly atMs: number; readonly sinceMs: number; readonly ratio: number };

/** What goes on for so long is the new normal, unless next to nothing comes: that never is. */
const newNormalMs = 48 * hourMs;
const nextToNothing = 0.05;

/** Beyond the days that anything looks back to. */
export const acceptedMsMax = 30 * dayMs;

/** Null: it is not, yet. @param ratio what came as a share of what was expected, while it went on */
export function acceptedOf({ timeMs }: Place, { sinceMs }: Ongoing, ratio: number): Accepted | null {
  if (timeMs - sinceMs <= newNormalMs || !(ratio >= nextToNothing)) return null;
  return { atMs: timeMs, sinceMs, ratio: rounded(Math.min(ratio, 1 / nextToNothing)) };
}

/**
 * By what the values of each day before are to be multiplied.
 * @param starts when the slot begins on each of them; null: it does not
 * @returns undefined where all are to be left as they are
 */
export function scalesOf(
  accepted: readonly Accepted[],
  timeMs: number,
  starts: readonly (number | null)[],
): number[] | undefined {
  const known = accepted.filter(({ atMs }) => atMs < timeMs);
  if (known.length === 0) return undefined;
  return starts.map((startMs) => {
    if (startMs === null) return 1;
    return known.reduce((scale, { sinceMs, ratio }) => (startMs < sinceMs ? scale * ratio : scale), 1);
  });
}
