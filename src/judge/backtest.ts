import type { FieldJudging } from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { dayMs, formatDuration, minuteMs } from "../core/time.ts";
import { type Accepted, scalesOf } from "./accepted.ts";
import {
  type Before,
  type Cells,
  cellValue,
  dayReach,
  denominatorsOf,
  makeCells,
  nothingBefore,
  type Place,
  reachSlots,
  referenceDays,
} from "./cells.ts";
import { dayPart, isFree } from "./dayparts.ts";
import { ZoneDays } from "./days.ts";
import { decide } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { Parts, partBefore } from "./parts.ts";
import { openNats } from "./reading.ts";
import { remember, still } from "./remember.ts";

/** Times further than this from 1970 have no calendar day that could be looked back from. */
const timeMsMax = 8e15;
/** Cells that one series may have in a backtest: 95 years at 1 minute. */
const cellsMax = 50_000_000;

export type SeriesToJudge = {
  /** Start of each slot that has a row, ascending. */
  readonly timesMs: ArrayLike<number>;
  /** Same length; what is no finite number is a missing value. */
  readonly values: ArrayLike<number>;
  /** Of a ratio: what each value was measured on; same length. Default: nobody says. */
  readonly denominators?: ArrayLike<number>;
  readonly stepMs: number;
  readonly kind: FieldJudging["kind"];
  /** Zone of the calendar days. Default UTC. */
  readonly zone?: string;
  /** Default {@link backtestJudging}. */
  readonly judging?: FieldJudging;
};

/** What the one threshold did with a row. */
export type Judged = {
  readonly anomaly: 0 | 1;
  /** Evidence in nats; a row is an anomaly exactly if this reaches {@link scoreThreshold}. */
  readonly score: number;
};

/** The threshold that scores are compared with. */
export const scoreThreshold = openNats;

/** The shipped defaults. */
export function backtestJudging(kind: FieldJudging["kind"]): FieldJudging {
  const floor = { percent: null, criticalPercent: 50, absolute: null, volume: null };
  return { kind, direction: "both", baseline: { days: 7, trim: 1 }, forecast: { points: 8 }, floor };
}

/**
 * Judges a whole series by the decision that live judging takes, slot by slot: a row's verdict uses that row and
 * earlier ones only. The answer has one entry a row.
 * @param hear gets each decision on the way
 * @throws Problem if the times do not ascend, or span more slots than a backtest holds
 */
export function judgeSeries(series: SeriesToJudge, hear: (decision: Decision) => void = () => {}): Judged[] {
  const judged: Judged[] = [];
  for (const decision of decisions(series)) {
    hear(decision);
    judged.push(scored(decision));
  }
  return judged;
}

/** The decisions themselves, for those who want the reasons. */
export function* decisions(series: SeriesToJudge): Generator<Decision> {
  const { timesMs, values, stepMs } = series;
  let judging = series.judging ?? backtestJudging(series.kind);
  // Told from the rows so far: a count until a value is negative or broken, and a gauge ever after.
  let undecided = judging.kind === "auto";
  const count = timesMs.length;
  if (count === 0) return;
  checkTimes(timesMs, stepMs);
  const grid = gridOf(series, judging);
  const parts = new Parts();
  let accepted: Accepted[] = [];
  let before: Before = nothingBefore;
  let latestMs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < count; row += 1) {
    const timeMs = timesMs[row] as number;
    const place = placeOf(timeMs, grid, accepted);
    const value = cellValue(values[row]);
    grid.cells.values[place.now] = value;
    if (series.denominators !== undefined) {
      denominatorsOf(grid.cells)[place.now] = cellValue(series.denominators[row]);
    }
    if (undecided && !Number.isNaN(value) && (value < 0 || !Number.isInteger(value))) {
      judging = { ...judging, kind: "gauge" };
      undecided = false;
    }
    const part = partBefore(grid.cells, place, grid.clock);
    if (part !== null) parts.put(part);
    grid.cells.ratios = parts.at(timeMs, grid.clock, isFree(null, grid.zone, timeMs), accepted);
    grid.cells.drift = parts.drift(timeMs, grid.clock, accepted);
    const decision = decide(grid.cells, place, judging, still(before, timeMs, latestMs, stepMs));
    before = remember(grid.cells, place, before, decision);
    if (decision.accepted !== null) accepted = [...accepted, decision.accepted];
    if (!Number.isNaN(value)) latestMs = timeMs;
    yield decision;
  }
}

type Grid = {
  readonly cells: Cells;
  readonly stepMs: number;
  readonly zone: string;
  readonly clock: ZoneDays;
  readonly days: number;
  readonly cellOf: (timeMs: number) => number;
  /** Calendar day's part by slot, for the same ones are asked for again and again. */
  readonly partAt: (timeMs: number) => string;
};

function gridOf({ timesMs, stepMs, zone = "UTC" }: SeriesToJudge, judging: FieldJudging): Grid {
  const firstMs = timesMs[0] as number;
  const pad = reachSlots(stepMs, judging.forecast.points);
  // The nearest: a change of the clock moves rows off the grid of the first one.
  const cellOf = (timeMs: number) => pad + Math.round((timeMs - firstMs) / stepMs);
  const cells = makeCells(cellOf(timesMs[timesMs.length - 1] as number) + 1);
  const days = Math.max(referenceDays, judging.baseline.days);
  const known = new Map<number, string>();
  const partAt = (timeMs: number): string => {
    // Parts of days begin at a quarter of an hour in every zone.
    const quarter = Math.floor(timeMs / (15 * minuteMs));
    const part = known.get(quarter) ?? dayPart(null, zone, timeMs);
    known.set(quarter, part);
    return part;
  };
  return { cells, stepMs, zone, clock: new ZoneDays(zone), days, cellOf, partAt };
}

function placeOf(timeMs: number, { stepMs, clock, days, cellOf, partAt }: Grid, accepted: readonly Accepted[]): Place {
  const starts = clock.sameSlotsMs(timeMs, days);
  const cells = starts.map((startMs) => {
    const cell = startMs === null ? -1 : cellOf(startMs);
    return cell < dayReach.before ? -1 : cell;
  });
  const part = partAt(timeMs);
  const alike = starts.map((startMs) => startMs !== null && partAt(startMs) === part);
  return { timeMs, stepMs, now: cellOf(timeMs), days: cells, alike, scales: scalesOf(accepted, timeMs, starts) };
}

function checkTimes(timesMs: ArrayLike<number>, stepMs: number): void {
  const count = timesMs.length;
  for (let row = 0; row < count; row += 1) {
    const timeMs = timesMs[row] as number;
    const after = row === 0 ? Number.NEGATIVE_INFINITY : (timesMs[row - 1] as number);
    if (!(Math.abs(timeMs) <= timeMsMax)) {
      throw new Problem(`row ${row + 1}: a time beyond the calendar (got ${timeMs} ms)`, {
        fix: "check the row's time, and its unit",
      });
    }
    if (!(timeMs > after)) {
      throw new Problem(`row ${row + 1}: times must ascend (got ${timeMs} after ${after})`, {
        fix: "sort the rows by time and keep one a slot",
      });
    }
  }
  const slots = ((timesMs[count - 1] as number) - (timesMs[0] as number)) / stepMs;
  if (!(stepMs > 0) || slots > cellsMax) {
    const what = `too many slots (got ${Math.ceil(slots)} of ${formatDuration(stepMs)}, at most ${cellsMax})`;
    throw new Problem(what, { fix: "take out rows that lie far from all others, or judge a shorter stretch" });
  }
}

function scored({ level, because, evidence }: Decision): Judged {
  const anomaly = (level === "warning" || level === "critical") && because !== "recovering";
  // One threshold must tell all: what a gate held back stays under it, what is latched stays over it.
  if (anomaly) return { anomaly: 1, score: Math.max(evidence, scoreThreshold) };
  return { anomaly: 0, score: Math.min(evidence, scoreThreshold * 0.999) };
}

/**
 * The step of a series: the commonest distance between neighbouring rows, the shorter of two that are equally common.
 * @returns a day for fewer than two rows
 */
export function findStepMs(timesMs: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (let row = 1; row < timesMs.length; row += 1) {
    const distanceMs = (timesMs[row] as number) - (timesMs[row - 1] as number);
    if (distanceMs > 0) counts.set(distanceMs, (counts.get(distanceMs) ?? 0) + 1);
  }
  let stepMs = dayMs;
  let most = 0;
  for (const [distanceMs, count] of counts) {
    if (count > most || (count === most && distanceMs < stepMs)) {
      stepMs = distanceMs;
      most = count;
    }
  }
  return stepMs;
}
