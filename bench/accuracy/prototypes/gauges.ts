/**
 * Surprise in gauges: the jump from the median of the values just before, less what is usual at this time and the
 * largest jump seen at this time on past days; against a threshold from the tail of the series' own surprises. A
 * prototype of what the judge is to become.
 * After Li, J. et al. (2021), "FluxEV", WSDM, and Siffer, A. et al. (2017), "Anomaly Detection in Streams with Extreme
 * Value Theory", KDD: threshold 0, an exponential tail, and a risk that is a number of alarms in time, whatever the step.
 */
import { median, medianSorted } from "simple-statistics";
import { dayMs } from "../../../src/core/time.ts";
import { trimmedMean } from "../../../src/judge/math/trimmedmean.ts";
import type { Grid } from "../series.ts";

/** Values before a point whose median predicts it; fewer than this predict nothing. */
const window = 20;
const windowMin = 3;
/** Past days whose jumps excuse today's: a week. Slots either side there: jobs do not start at the same minute. */
const days = 7;
const daysMin = 3;
const around = 2;
/** Chance alone may bring one alarm of each direction in this time. */
const falseAlarmMs = 28 * dayMs;
/** Mean memory of the calibration. */
const memoryMs = 180 * dayMs;
/** Peaks before a direction is judged, and peaks from whose median the tail begins: an early incident must not blind it. */
const peaksMin = 3;
const peaksFirst = 15;
/** How much higher the threshold is at the first point; nothing more after so long. */
const early = 1;
const earlyMs = 21 * dayMs;
const scoreMax = 100;

/** A score a cell: the surprise over the surprise that is demanded. */
export function gaugeSurprise({ values, perDay, stepMs }: Grid): Float64Array {
  const scores = new Float64Array(values.length);
  const jumps = jumpsOf(values);
  const rises = new Tail(stepMs);
  const drops = new Tail(stepMs);
  let seen = 0;
  for (let cell = 0; cell < values.length; cell += 1) {
    const jump = jumps[cell] as number;
    if (Number.isNaN(values[cell])) continue;
    seen += 1;
    const past = pastDays(jumps, cell, perDay);
    if (Number.isNaN(jump) || past.length < daysMin) continue;
    const usual = trimmedMean(
      past.map(({ mean }) => mean),
      1,
    );
    const caution = 1 + early * Math.max(0, 1 - (seen * stepMs) / earlyMs);
    const rise = jump - usual - secondLargest(past.map(({ most }) => most - usual));
    const drop = usual - jump - secondLargest(past.map(({ least }) => usual - least));
    scores[cell] = Math.max(rises.take(Math.max(0, rise), caution), drops.take(Math.max(0, drop), caution));
  }
  return scores;
}

/** Each value less the median of those before it; NaN where there are too few. */
function jumpsOf(values: Float64Array): Float64Array {
  const jumps = new Float64Array(values.length).fill(Number.NaN);
  for (let cell = 0; cell < values.length; cell += 1) {
    const before = values.subarray(Math.max(0, cell - window), cell).filter((value) => !Number.isNaN(value));
    if (before.length < windowMin) continue;
    jumps[cell] = (values[cell] as number) - medianSorted([...before.sort()]);
  }
  return jumps;
}

type PastDay = { readonly mean: number; readonly most: number; readonly least: number };

function pastDays(jumps: Float64Array, cell: number, perDay: number): PastDay[] {
  const found: PastDay[] = [];
  for (let day = 1; day <= days; day += 1) {
    const centre = cell - day * perDay;
    if (centre - around < 0) break;
    const near = jumps.subarray(centre - around, centre + around + 1).filter((jump) => !Number.isNaN(jump));
    if (near.length === 0) continue;
    const mean = near.reduce((sum, jump) => sum + jump, 0) / near.length;
    found.push({ mean, most: Math.max(...near), least: Math.min(...near) });
  }
  return found;
}

/** The day that jumped most excuses nothing: a past incident must not hide the next. At least 0. */
function secondLargest(jumps: readonly number[]): number {
  return Math.max(0, [...jumps].sort((a, b) => b - a)[1] as number);
}

/** Surprises of one direction: how often there are any, and how large they are in the mean. */
class Tail {
  readonly #risk: number;
  readonly #keep: number;
  #points = 0;
  #peaks = 0;
  #sum = 0;
  #first: number[] | null = [];

  constructor(stepMs: number) {
    this.#risk = stepMs / falseAlarmMs;
    this.#keep = 1 - stepMs / memoryMs;
  }

  /** @returns the surprise over the one demanded; it is learnt, at most as the one demanded */
  take(surprise: number, caution: number): number {
    const demanded = this.#peaks < peaksMin ? Number.POSITIVE_INFINITY : this.#demanded(caution);
    const score = surprise === 0 ? 0 : Math.min(surprise / demanded, scoreMax);
    this.#points = this.#points * this.#keep + 1;
    this.#peaks *= this.#keep;
    this.#sum *= this.#keep;
    if (surprise > 0) this.#learn(surprise, demanded);
    return score;
  }

  /** The height that chance reaches once in {@link falseAlarmMs}, and a standard error of the mean peak more. */
  #demanded(caution: number): number {
    const mean = this.#first === null ? this.#sum / this.#peaks : meanOfTail(this.#first);
    return mean * this.#rarity * (1 + 1 / Math.sqrt(this.#peaks)) * caution;
  }

  get #rarity(): number {
    return Math.log(Math.max(Math.E, this.#peaks / (this.#points * this.#risk)));
  }

  #learn(surprise: number, demanded: number): void {
    this.#peaks += 1;
    this.#sum += Math.min(surprise, demanded);
    if (this.#first === null) return;
    this.#first.push(surprise);
    if (this.#first.length < peaksFirst) return;
    const most = meanOfTail(this.#first) * this.#rarity;
    const capped = this.#first.reduce((sum, peak) => sum + Math.min(peak, most), 0);
    this.#sum = (capped / this.#first.length) * this.#peaks;
    this.#first = null;
  }
}

/** An exponential tail has its median at ln 2 of its mean. */
function meanOfTail(peaks: readonly number[]): number {
  return median([...peaks]) / Math.LN2;
}
