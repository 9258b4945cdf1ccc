/**
 * What a decision reads: one series' values on a grid of slots, and where on it the slots lie that matter.
 *
 * Live judging holds a few stretches of each series (today's newest slots, the same hour on the days before), a
 * backtest holds the whole series; the decision does not see the difference.
 */

import { dayMs } from "../core/time.ts";

/** One cell a slot; both arrays have the same length. */
export type Cells = {
  /** NaN = no value. */
  readonly values: Float64Array;
  /** 1 = the slot was part of an incident and is no reference for later ones. */
  readonly inIncident: Uint8Array;
};

/** Where one slot lies. {@link reachSlots} cells before each index exist. */
export type Place = {
  readonly timeMs: number;
  readonly stepMs: number;
  /** Cell of the slot itself. */
  readonly now: number;
  /** Cell of the same slot 1, 2, ... calendar days before; -1 = not held, hence no value. */
  readonly days: readonly number[];
};

/** What is going on in a series before the slot under test: the newest verdict of an incident that has not ended. */
export type Ongoing = {
  readonly sinceMs: number;
  /** Expected minus observed, summed since then. */
  readonly loss: number;
  readonly direction: "up" | "down";
};

/** At most so many slots are summed to reach the least volume, and so far back the onset is sought. */
export const sumSlotsMax = 32;

/** What went on before a pause longer than this is not taken up again: 4 days. */
export const latchMsMax = 4 * dayMs;

/** Slots that the forecast looks back over for its points. */
export function forecastReach(points: number): number {
  return 2 * points;
}

/** Cells that must exist before the cell under test: sums, and behind them the forecast's points. */
export function reachSlots(points: number): number {
  return sumSlotsMax + forecastReach(points);
}

/** Values beyond this cannot be squared and summed safely; they are not judged and are no reference. */
const magnitudeMax = 1e60;

/** A value as a cell holds it: NaN for what is no number, not finite or beyond {@link magnitudeMax}. */
export function cellValue(value: unknown): number {
  return typeof value === "number" && Math.abs(value) <= magnitudeMax ? value : Number.NaN;
}

/**
 * Marks what an incident's verdict at cell `now` covers: from the incident's begin, at most {@link sumSlotsMax} cells,
 * which is how late an onset can be noticed. Earlier slots of the incident were marked by their own verdicts.
 */
export function markIncident(cells: Cells, now: number, slotsSince: number): void {
  const slots = Math.min(slotsSince, sumSlotsMax - 1);
  cells.inIncident.fill(1, Math.max(0, now - slots), now + 1);
}
