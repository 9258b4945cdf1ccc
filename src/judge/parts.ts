/**
 * How days of a series differ by their weekday: sums of two hours, and the ratio of one weekday to another in them. A
 * Saturday that usually has 12 % more than a Sunday is expected to have 12 % more.
 */
import { median } from "simple-statistics";
import { dayMs, hourMs } from "../core/time.ts";
import type { Accepted } from "./accepted.ts";
import { type Cells, type Place, referenceDays, windowSlots } from "./cells.ts";
import type { ZoneDays } from "./days.ts";

export const partMs = 2 * hourMs;
const partsADay = dayMs / partMs;
/** Days whose sums are remembered: those looked back to, and today. */
const days = referenceDays + 1;
export const partsMs = days * dayMs;
/** A ratio rests on at least so many parts of the day, each of at least so many counts on both days together. */
const partsMin = partsADay / 2;
const countsMin = 20;
/** How far one day may differ from another, unless two weeks agree to this. */
const workingMax = 1.12;
const freeMax = 1.3;
const agreement = 0.05;

/** A part of a day that is over, and what came in it; NaN where half of it or more is missing or part of an incident. */
export type Part = { readonly index: number; readonly sum: number };

/** The part that ends right before the slot, if one does; steps of more than a part have none. */
export function partBefore(
  { values, inIncident }: Cells,
  { now, timeMs, stepMs }: Place,
  clock: ZoneDays,
): Part | null {
  const index = endedPart(timeMs, stepMs, clock);
  if (index === null) return null;
  // No more than a block holds before its first slot.
  const whole = Math.min(Math.round(partMs / stepMs), windowSlots(stepMs));
  let sum = 0;
  let slots = 0;
  for (let back = 1; back <= Math.min(now, whole) && partOf(timeMs - back * stepMs, clock) === index; back += 1) {
    const value = values[now - back] as number;
    if (Number.isNaN(value) || inIncident[now - back] !== 0) continue;
    // A stray negative number among counts is none.
    sum += Math.max(0, value);
    slots += 1;
  }
  return { index, sum: 2 * slots > whole ? (sum * whole) / slots : Number.NaN };
}

/** Which part ends right before the slot at `timeMs`; null: none. */
export function endedPart(timeMs: number, stepMs: number, clock: ZoneDays): number | null {
  if (stepMs > partMs) return null;
  const index = partOf(timeMs - stepMs, clock);
  return partOf(timeMs, clock) === index ? null : index;
}

function partOf(timeMs: number, clock: ZoneDays): number {
  return Math.floor(clock.wallMs(timeMs) / partMs);
}

/** The sums of one series. */
export class Parts {
  readonly #sums = new Float64Array(days * partsADay).fill(Number.NaN);
  /** -1 = none. */
  readonly #indexes = new Int32Array(days * partsADay).fill(-1);
  #ratios: readonly number[] | null = null;
  #ratiosDay = Number.NaN;
  #drift = Number.NaN;
  #driftDay = Number.NaN;

  /** Since which part a level that became the new normal is there, and by what what came before is to be multiplied. */
  #levels: readonly { readonly until: number; readonly ratio: number }[] = [];
  #levelsKnown = 0;

  /** Whether anything is known that slots from `timeMs` on may ask for. */
  holds(timeMs: number, clock: ZoneDays): boolean {
    const oldest = partOf(timeMs - partsMs, clock);
    return this.#indexes.some((index, at) => index >= oldest && !Number.isNaN(this.#sums[at]));
  }

  #know(accepted: readonly Accepted[], timeMs: number, clock: ZoneDays): void {
    if (accepted.length === 0 && this.#levels.length === 0) return;
    const known = accepted.filter(({ atMs }) => atMs < timeMs);
    const newest = known.at(-1)?.atMs ?? 0;
    if (newest === this.#levelsKnown && known.length === this.#levels.length) return;
    this.#levelsKnown = newest;
    this.#levels = known.map(({ sinceMs, ratio }) => ({ until: partOf(sinceMs, clock), ratio }));
    this.#ratiosDay = Number.NaN;
    this.#driftDay = Number.NaN;
  }

  put({ index, sum }: Part): void {
    const at = index % this.#sums.length;
    // Parts may come in any order, after a pause too.
    if (index < (this.#indexes[at] as number)) return;
    this.#sums[at] = sum;
    this.#indexes[at] = index;
    this.#ratiosDay = Number.NaN;
    this.#driftDay = Number.NaN;
  }

  /**
   * By what the day that holds `timeMs` usually differs from the day 1, 2, ... days before; null: nothing is known.
   * @param free a day off, which differs more
   * @param scales by what the values of the day 1, 2, ... days before are to be multiplied
   */
  at(timeMs: number, clock: ZoneDays, free: boolean, accepted: readonly Accepted[] = []): readonly number[] | null {
    const today = Math.floor(clock.wallMs(timeMs) / dayMs);
    this.#know(accepted, timeMs, clock);
    if (this.#ratiosDay === today) return this.#ratios;
    this.#ratiosDay = today;
    const ratio = (_: unknown, day: number): number => this.#ratio(today, day + 1, free);
    const found = Array.from({ length: referenceDays }, ratio);
    this.#ratios = found.some((ratio) => !Number.isNaN(ratio)) ? found.map((ratio) => ratio || 1) : null;
    return this.#ratios;
  }

  /**
   * By how many percent the seven days before the one that holds `timeMs` had more (less: negative) than the seven before
   * them, as far as that is sure; NaN: too little is known.
   */
  drift(timeMs: number, clock: ZoneDays, accepted: readonly Accepted[] = []): number {
    const today = Math.floor(clock.wallMs(timeMs) / dayMs);
    this.#know(accepted, timeMs, clock);
    if (this.#driftDay === today) return this.#drift;
    this.#driftDay = today;
    const logs: number[] = [];
    for (let day = 1; day <= 7; day += 1) {
      for (let part = 0; part < partsADay; part += 1) {
        const [one, two] = [this.#sum(today - day, part), this.#sum(today - day - 7, part)];
        if (one + two >= countsMin) logs.push(Math.log((one + 0.5) / (two + 0.5)));
      }
    }
    this.#drift = Number.NaN;
    if (logs.length < 7 * partsMin) return this.#drift;
    const { log, error } = middleOf(logs);
    const sure = Math.sign(log) * Math.max(0, Math.abs(log) - 2 * error);
    this.#drift = 100 * (Math.exp(sure) - 1);
    return this.#drift;
  }

  /** NaN: not known. */
  #ratio(today: number, daysBefore: number, free: boolean): number {
    if (daysBefore % 7 === 0) return Number.NaN;
    const weeks = [7, 14].flatMap((week) => this.#logRatio(today, week, daysBefore) ?? []);
    const [one, two] = weeks;
    if (one === undefined) return Number.NaN;
    const mean = two === undefined ? one.log : (one.log + two.log) / 2;
    const error = two === undefined ? one.error : Math.hypot(one.error, two.error) / 2;
    // Shrunk towards no difference by what is not sure of it.
    const shrunk = mean * Math.max(0, 1 - (error / (Math.abs(mean) + 1e-9)) ** 2);
    if (two !== undefined && Math.abs(one.log - two.log) < agreement) return Math.exp(shrunk);
    const limit = Math.log(free ? freeMax : workingMax);
    return Math.exp(Math.max(-limit, Math.min(limit, shrunk)));
  }

  /** How two days differ; null: too few of their parts are known. */
  #logRatio(today: number, week: number, daysBefore: number): { log: number; error: number } | null {
    const logs: number[] = [];
    for (let part = 0; part < partsADay; part += 1) {
      const [one, two] = [this.#sum(today - week, part), this.#sum(today - daysBefore, part)];
      if (one + two >= countsMin) logs.push(Math.log((one + 0.5) / (two + 0.5)));
    }
    return logs.length < partsMin ? null : middleOf(logs);
  }

  #sum(day: number, part: number): number {
    const index = day * partsADay + part;
    const at = index % this.#sums.length;
    if (this.#indexes[at] !== index) return Number.NaN;
    return this.#levels.reduce(
      (sum, { until, ratio }) => (index <= until ? sum * ratio : sum),
      this.#sums[at] as number,
    );
  }
}

/** The median of log ratios, with its standard error from their scatter. */
function middleOf(logs: number[]): { log: number; error: number } {
  const log = median(logs);
  const scatter = 1.4826 * median(logs.map((each) => Math.abs(each - log)));
  return { log, error: (1.25 * scatter) / Math.sqrt(logs.length) };
}
