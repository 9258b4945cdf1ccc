import type { FieldJudging } from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { dayMs } from "../core/time.ts";
import { cellValue, latchMsMax, markIncident, type Ongoing, type Place, reachSlots } from "./cells.ts";
import { ZoneDays } from "./days.ts";
import { type Decision, decide } from "./decide.ts";
import { onsetNats } from "./reading.ts";

/** Cells that one series may have in a backtest: 95 years at 1 minute. */
const cellsMax = 50_000_000;

export type SeriesToJudge = {
  /** Start of each slot that has a row, ascending. */
  readonly timesMs: ArrayLike<number>;
  /** Same length; what is no finite number is a missing value. */
  readonly values: ArrayLike<number>;
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
export const scoreThreshold = onsetNats;

/**
 * The shipped defaults. Of a gauge read from a file nobody has said what difference matters, so only the percentage
 * and the evidence speak there.
 */
export function backtestJudging(kind: FieldJudging["kind"]): FieldJudging {
  const floor =
    kind === "gauge" || kind === "ratio"
      ? { percent: 30, criticalPercent: 50, absolute: 0, volume: 0 }
      : { percent: 30, criticalPercent: 50, absolute: 10, volume: 20 };
  return { kind, direction: "both", baseline: { days: 7, trim: 1 }, forecast: { points: 8 }, floor };
}

/**
 * Judges a whole series by the decision that live judging takes, slot by slot: a row's verdict uses that row and
 * earlier ones only. The answer has one entry a row.
 * @throws Problem if the times do not ascend, or span more slots than a backtest holds
 */
export function judgeSeries(series: SeriesToJudge): Judged[] {
  const judged: Judged[] = [];
  for (const decision of decisions(series)) judged.push(scored(decision));
  return judged;
}

/** The decisions themselves, for those who want the reasons. */
export function* decisions(series: SeriesToJudge): Generator<Decision> {
  const { timesMs, values, stepMs } = series;
  let judging = series.judging ?? backtestJudging(series.kind === "auto" ? "count" : series.kind);
  // Told from the rows so far: a count until a value is negative or broken, and a gauge ever after.
  let undecided = series.kind === "auto" && series.judging === undefined;
  const count = timesMs.length;
  if (count === 0) return;
  checkTimes(timesMs, stepMs);
  const firstMs = timesMs[0] as number;
  const pad = reachSlots(judging.forecast.points);
  // The nearest: a change of the clock moves rows off the grid of the first one.
  const cellOf = (timeMs: number) => pad + Math.round((timeMs - firstMs) / stepMs);
  const length = cellOf(timesMs[count - 1] as number) + 1;
  const cells = { values: new Float64Array(length).fill(Number.NaN), inIncident: new Uint8Array(length) };
  const clock = new ZoneDays(series.zone ?? "UTC");
  let ongoing: Ongoing | null = null;
  let latestMs = firstMs;
  for (let row = 0; row < count; row += 1) {
    const timeMs = timesMs[row] as number;
    const place = placeOf(timeMs, stepMs, cellOf, clock, judging.baseline.days, pad);
    const value = cellValue(values[row]);
    cells.values[place.now] = value;
    if (undecided && !Number.isNaN(value) && (value < 0 || !Number.isInteger(value))) {
      judging = backtestJudging("gauge");
      undecided = false;
    }
    if (timeMs - latestMs > latchMsMax) ongoing = null;
    const decision: Decision = decide(cells, place, judging, ongoing);
    ongoing = decision.ongoing;
    if (!Number.isNaN(value)) latestMs = timeMs;
    if (ongoing !== null) markIncident(cells, place.now, Math.floor((timeMs - ongoing.sinceMs) / stepMs));
    yield decision;
  }
}

function placeOf(
  timeMs: number,
  stepMs: number,
  cellOf: (timeMs: number) => number,
  clock: ZoneDays,
  days: number,
  pad: number,
): Place {
  const cells = clock.sameSlotsMs(timeMs, days).map((startMs) => {
    const cell = startMs === null ? -1 : cellOf(startMs);
    return cell < pad ? -1 : cell;
  });
  return { timeMs, stepMs, now: cellOf(timeMs), days: cells };
}

function checkTimes(timesMs: ArrayLike<number>, stepMs: number): void {
  const count = timesMs.length;
  for (let row = 0; row < count; row += 1) {
    const timeMs = timesMs[row] as number;
    const after = row === 0 ? Number.NEGATIVE_INFINITY : (timesMs[row - 1] as number);
    if (!(timeMs > after) || Math.abs(timeMs) > 8e15) {
      throw new Problem(`row ${row + 1}: times must ascend (got ${timeMs} after ${after})`, {
        fix: "sort the rows by time and keep one a slot",
      });
    }
  }
  const slots = ((timesMs[count - 1] as number) - (timesMs[0] as number)) / stepMs;
  if (!(stepMs > 0) || slots > cellsMax) {
    throw new Problem(`too many slots (got ${slots} of ${stepMs} ms, at most ${cellsMax})`, {
      fix: "give the step of the data, or a shorter stretch of it",
    });
  }
}

function scored(decision: Decision): Judged {
  const anomaly = decision.level === "warning" || decision.level === "critical";
  const { evidence } = decision;
  // One threshold must tell all: what a gate or the forecast held back stays under it, what is latched stays over it.
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
