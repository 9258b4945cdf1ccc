import type { Grid } from "../series.ts";
import { filled } from "./filled.ts";

/** Points of the short memory, days of the same time looked at (today among them), slots either side there. */
const shortMemory = 10;
const days = 5;
const halo = 2;
/** Extreme values: what share of the non-zero surprises begins the tail, and the risk that calls. */
const tailFrom = 0.98;
const risk = 1e-3;
/** Days that calibrate a series before anything is said, and non-zero surprises needed at least, one of them a peak. */
const calibrationDays = 7;
const calibrationMin = 20;
/** Peaks that a short calibration begins with. */
const peaksMin = 3;
/** Where the residual never stirred on any day. */
const scoreMax = 100;

/**
 * How much an EWMA residual begins to fluctuate, minus the most it did at this time on past days, against a threshold
 * from the tail of the series' own surprises so far.
 * Source: Li, J. et al. (2021), "FluxEV: A Fast and Effective Unsupervised Framework for Time-Series Anomaly
 * Detection", WSDM; streaming peaks over threshold after Siffer, A. et al. (2017), KDD, by the method of moments.
 */
export function fluxEv({ values, perDay }: Grid): Float64Array {
  const scores = new Float64Array(values.length);
  const fluctuation = fluctuationsOf(filled(values));
  const tail = new Tail();
  for (let cell = (days - 1) * perDay + halo; cell < values.length; cell += 1) {
    if (Number.isNaN(values[cell])) continue;
    let usual = 0;
    for (let day = 1; day < days; day += 1) {
      const centre = cell - day * perDay;
      for (let at = Math.max(0, centre - halo); at <= Math.min(cell - 1, centre + halo); at += 1) {
        usual = Math.max(usual, fluctuation[at] as number);
      }
    }
    const surprise = Math.max(0, (fluctuation[cell] as number) - usual);
    if (tail.ready) scores[cell] = tail.take(surprise);
    else tail.calibrate(surprise, cell >= calibrationDays * perDay);
  }
  return scores;
}

/** By how much the newest EWMA residual raises the deviation of those before it; 0 if it does not. */
function fluctuationsOf(known: Float64Array): Float64Array {
  const fluctuations = new Float64Array(known.length);
  const residuals = new Float64Array(known.length);
  const weight = 2 / (shortMemory + 1);
  let average = known[0] ?? 0;
  for (let cell = 0; cell < known.length; cell += 1) {
    const value = known[cell] as number;
    residuals[cell] = value - average;
    average += weight * (value - average);
    if (cell < 2 * shortMemory) continue;
    const before = deviationOf(residuals, cell - shortMemory, cell);
    fluctuations[cell] = Math.max(0, deviationOf(residuals, cell - shortMemory, cell + 1) - before);
  }
  return fluctuations;
}

function deviationOf(residuals: Float64Array, from: number, to: number): number {
  let mean = 0;
  for (let at = from; at < to; at += 1) mean += (residuals[at] as number) / (to - from);
  let squares = 0;
  for (let at = from; at < to; at += 1) squares += ((residuals[at] as number) - mean) ** 2;
  return Math.sqrt(squares / (to - from));
}

/** Streaming peaks over threshold: what it calls is not learnt from. */
class Tail {
  #first: number[] = [];
  #start = 0;
  #count = 0;
  #peaks = 0;
  #sum = 0;
  #squares = 0;
  #threshold = 0;

  /** Whether it has a threshold. */
  get ready(): boolean {
    return this.#peaks > 0;
  }

  /** @param enough whether time enough has passed to begin, if what was seen has a tail */
  calibrate(surprise: number, enough: boolean): void {
    if (surprise > 0) this.#first.push(surprise);
    if (!enough || this.#first.length < calibrationMin) return;
    const sorted = this.#first.toSorted((a, b) => a - b);
    const count = sorted.length;
    this.#start = sorted[Math.min(Math.floor(tailFrom * count), count - 1 - peaksMin)] as number;
    this.#count = count;
    for (const one of sorted) if (one > this.#start) this.#learn(one - this.#start);
    if (!this.ready) return;
    this.#first = [];
    this.#threshold = this.#thresholdNow();
  }

  /** The surprise in units of the threshold that held before it. */
  take(surprise: number): number {
    if (surprise === 0) return 0;
    const score = Math.min(scoreMax, surprise / this.#threshold);
    if (score >= 1) return score;
    this.#count += 1;
    if (surprise > this.#start) {
      this.#learn(surprise - this.#start);
      this.#threshold = this.#thresholdNow();
    }
    return score;
  }

  #learn(peak: number): void {
    this.#peaks += 1;
    this.#sum += peak;
    this.#squares += peak * peak;
  }

  /** The quantile of a generalized Pareto tail whose mean and variance are those of the peaks. */
  #thresholdNow(): number {
    const mean = this.#sum / this.#peaks;
    const variance = this.#squares / this.#peaks - mean * mean;
    const ratio = variance > 0 ? (mean * mean) / variance : 1;
    const shape = 0.5 * (1 - ratio);
    const scale = 0.5 * mean * (ratio + 1);
    const share = (risk * this.#count) / this.#peaks;
    const beyond = Math.abs(shape) < 1e-9 ? -scale * Math.log(share) : (scale / shape) * (share ** -shape - 1);
    return this.#start + Math.max(0, beyond);
  }
}
