/**
 * What a decision reads: one series' values on a grid of slots, and where on it the slots lie that matter.
 *
 * Live judging holds a few stretches of each series (today's newest slots, the same hour on the days before), a
 * backtest holds the whole series; the decision does not see the difference.
 */
import type { JudgeMemory } from "../core/model.ts";
import { dayMs, minuteMs } from "../core/time.ts";
import type { OnCampaign } from "./campaigns.ts";

/** One cell a slot; arrays have the same length, but for `least` and `most`, which may end after the slot under test. */
export type Cells = {
  /** NaN = no value. */
  readonly values: Float64Array;
  /** 1 = the slot was part of an incident and is no reference for later ones. */
  inIncident: Uint8Array;
  /** What was expected of a slot when it was judged, at least and at most; NaN = nothing. */
  least: Float64Array;
  most: Float64Array;
  /** Of a ratio: what each value was measured on, NaN = not known; null: nobody says. */
  denominators: Float64Array | null;
  /** Of a gauge: each value less what the values before it predict, as far as somebody asked; see `detectors/jumps.ts`. */
  jumps: Float64Array | null;
  /**
   * By what the weekday of the slot under test usually differs from that of the day 1, 2, ... days before, as a factor;
   * null = not known.
   */
  ratios: readonly number[] | null;
  /** By how many percent the last seven days had more than the seven before; NaN = not known. */
  drift: number;
};

/** Where one slot lies. {@link reachSlots} cells before it, and those around each day's cell that {@link dayReach} tells, exist. */
export type Place = {
  readonly timeMs: number;
  readonly stepMs: number;
  /** Cell of the slot itself. */
  readonly now: number;
  /** Cell of the same slot 1, 2, ... calendar days before; -1 = not held, hence no value. */
  readonly days: readonly number[];
  /** Whether that part of each of these days is of the same kind as today's: see `dayparts.ts`. */
  readonly alike: readonly boolean[];
  /** By what each of these days' values are to be multiplied, where a new level was accepted since. Absent: by 1. */
  readonly scales?: readonly number[] | undefined;
  /** Which of these days had a campaign of their own, and are no reference. Absent: none. */
  readonly onCampaign?: readonly boolean[];
  /** The campaign that runs now. */
  readonly campaign?: OnCampaign;
  /** None runs, but this one ended so lately that its values may be among those just before. */
  readonly endedCampaign?: OnCampaign;
};

/** What is going on in a series before the slot under test: the newest verdict of an incident that has not ended. */
export type Ongoing = {
  readonly sinceMs: number;
  /** Expected minus observed, summed since then. */
  readonly loss: number;
  readonly direction: "up" | "down";
};

/** What the verdicts before the slot under test leave it. */
export type Before = {
  readonly ongoing: Ongoing | null;
  /** The newest slot at which an incident ended: sums of evidence do not reach behind it. -Infinity: none is known. */
  readonly endedMs: number;
  readonly memory: JudgeMemory;
};

export const nothingBefore: Before = { ongoing: null, endedMs: Number.NEGATIVE_INFINITY, memory: {} };

/** Days before that are looked at, whatever the baseline that people see looks back. */
export const referenceDays = 14;

/** Evidence is summed over at most so much time, and over at most so many slots. */
const windowMs = 300 * minuteMs;
const windowSlotsMax = 300;

export function windowSlots(stepMs: number): number {
  return Math.max(1, Math.min(windowSlotsMax, Math.round(windowMs / stepMs)));
}

/** Slots back in which the forecast's points are sought begin at most so far back. */
export const skipSlotsMax = 32;

/** What went on before a pause longer than this is not taken up again: 4 days. */
export const latchMsMax = 4 * dayMs;

/** What a verdict remembers is forgotten after so many slots without one that has a value. */
export const memorySlots = 60;

/** Slots that may be summed: never behind the last end, nor, inside an incident, behind its beginning. */
export function reachOf({ timeMs, stepMs }: Place, { ongoing, endedMs }: Before): number {
  const fromMs = ongoing === null ? endedMs + stepMs : ongoing.sinceMs;
  const slots = Math.floor((timeMs - fromMs) / stepMs) + 1;
  return Math.max(1, Math.min(slots, windowSlots(stepMs)));
}

/** Slots that the forecast looks back over for its points. */
export function forecastReach(points: number): number {
  return 2 * points;
}

/** Cells that must exist before the cell under test: sums of evidence, and the forecast's points. */
export function reachSlots(stepMs: number, points: number): number {
  return Math.max(windowSlots(stepMs), skipSlotsMax + forecastReach(points), dayReach.before);
}

/** A count's reference is smoothed over at most so much time either side, and over at most so many slots. */
const smoothMs = 30 * minuteMs;
const smoothSlotsMax = 30;

export function smoothSlots(stepMs: number): number {
  return Math.min(smoothSlotsMax, Math.floor(smoothMs / stepMs));
}

/** Cells around the same slot of each day before: smoothing; and before them the values that predict a gauge. */
export const dayReach = { before: 44, after: smoothSlotsMax };

/** Values beyond this cannot be squared and summed safely; they are not judged and are no reference. */
const magnitudeMax = 1e60;

/** Where the denominators of a ratio are put. */
export function denominatorsOf(cells: Cells): Float64Array {
  cells.denominators ??= new Float64Array(cells.values.length).fill(Number.NaN);
  return cells.denominators;
}

/** A value as a cell holds it: NaN for what is no number, not finite or beyond {@link magnitudeMax}. */
export function cellValue(value: unknown): number {
  return typeof value === "number" && Math.abs(value) <= magnitudeMax ? value : Number.NaN;
}

export function makeCells(length: number, expectedLength = length): Cells {
  return {
    values: new Float64Array(length).fill(Number.NaN),
    inIncident: new Uint8Array(length),
    least: new Float64Array(expectedLength).fill(Number.NaN),
    most: new Float64Array(expectedLength).fill(Number.NaN),
    denominators: null,
    jumps: null,
    ratios: null,
    drift: Number.NaN,
  };
}

/**
 * Marks what an incident's verdict at cell `now` covers: from the incident's begin, as far as an onset can be noticed
 * late. Earlier slots of the incident were marked by their own verdicts.
 */
export function markIncident(cells: Cells, now: number, slotsSince: number): void {
  const slots = Math.min(slotsSince, windowSlotsMax - 1);
  cells.inIncident.fill(1, Math.max(0, now - slots), now + 1);
}
