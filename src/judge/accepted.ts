/** Levels that went on for so long that they became the new normal. */
import { dayMs } from "../core/time.ts";

/** The days before `sinceMs`, times `ratio`, are what is normal from `atMs` on. */
export type Accepted = { readonly atMs: number; readonly sinceMs: number; readonly ratio: number };

/** Beyond the days that anything looks back to. */
export const acceptedMsMax = 30 * dayMs;

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
