/** What the days before lead a count to expect, kind of day by kind of day. */
import { mean, median } from "simple-statistics";
import { dayMs, hourMs, minuteMs } from "../../../src/core/time.ts";
import type { Grid } from "../series.ts";

/** Days looked back. */
const days = 14;
/** Above this mean a slot is busy: smoothed by a median of two minutes either side, else by a mean over more. */
const busyMean = 20;
/** Counts that a smoothed reference should rest on, in all days together, and how far either side it may reach for them. */
const smoothCounts = 500;
const smoothMs = 45 * minuteMs;
/** The pattern of weekday and weekend fades between these hours of the evening and the morning. */
const eveningHour = 21;
const morningHour = 6;
/** Days of any kind that stand in where there are not two of the same kind. */
const strangersMin = 4;
/** How far one weekday may differ from another of its kind, unless two weeks agree to this. */
const weekdayRatioMax = 1.12;
const weekendRatioMax = 1.3;
const agreement = 0.05;
/** By how much last week's slot must differ to be a level of its own: as a share, and in deviations of its count. */
const weekShare = 0.2;
const weekNoise = 1;
const halfHoursMin = 12;
const halfHourCountsMin = 20;

export type Expectation = {
  /** Equal, or a band where two references are all there is: nothing in it is news. NaN: nothing is expected. */
  readonly lower: number;
  readonly upper: number;
  readonly centre: number;
  readonly references: number;
  /** Deviation among the references beyond what counting explains. */
  readonly spread: number;
};

const unknown: Expectation = { lower: Number.NaN, upper: Number.NaN, centre: Number.NaN, references: 0, spread: 0 };

export class References {
  readonly #values: Float64Array;
  /** Cells of incidents, left out of what later ones are compared with; the caller marks and unmarks them. */
  readonly #masked: Uint8Array;
  readonly #perDay: number;
  readonly #stepMs: number;
  readonly #firstSlot: number;
  readonly #firstDay: number;
  /** Smoothed cells, made when they are first asked for, a day later: -1 = not yet. */
  readonly #smoothed: Float64Array;
  readonly #halfHour: number;
  #reach = 0;
  #busy = false;
  #ratios: readonly number[] = [];

  /** @param firstMs start of the grid's first cell */
  constructor({ values, perDay, stepMs }: Grid, firstMs: number, masked: Uint8Array) {
    this.#values = values;
    this.#masked = masked;
    this.#perDay = perDay;
    this.#stepMs = stepMs;
    this.#firstSlot = Math.floor((firstMs % dayMs) / stepMs);
    this.#firstDay = Math.floor(firstMs / dayMs);
    this.#smoothed = new Float64Array(values.length).fill(-1);
    this.#halfHour = Math.max(1, Math.round((30 * minuteMs) / stepMs));
  }

  /** Slots that a reference is smoothed over. */
  get smoothedSlots(): number {
    return 2 * this.#reach + 1;
  }

  /** What is decided once a day: how much is smoothed, and how weekdays differ. Called for each cell, in order. */
  onSlot(cell: number): void {
    if (cell !== 0 && (this.#firstSlot + cell) % this.#perDay !== 0) return;
    const known = this.#values.subarray(Math.max(0, cell - days * this.#perDay), cell).filter((x) => !Number.isNaN(x));
    const mean = known.reduce((sum, x) => sum + x, 0) / known.length;
    const busy = mean > busyMean;
    const perMinute = minuteMs / this.#stepMs;
    const wanted = Math.max(1, Math.round((smoothCounts / (days * mean) - 1) / 2));
    const thin = mean > 0 ? Math.min(Math.round(smoothMs / this.#stepMs), wanted) : 0;
    const reach = busy ? Math.round(2 * perMinute) : thin;
    if (reach !== this.#reach || busy !== this.#busy) this.#smoothed.fill(-1);
    this.#reach = reach;
    this.#busy = busy;
    this.#ratios = Array.from({ length: days + 1 }, (_, day) => (day === 0 ? 1 : this.#ratio(this.#dayOf(cell), day)));
  }

  at(cell: number): Expectation {
    const kind = this.#kindOf(cell);
    const same: number[] = [];
    const all: number[] = [];
    for (let day = 1; day <= days && cell >= day * this.#perDay; day += 1) {
      const before = cell - day * this.#perDay;
      const value = this.#smooth(before);
      if (Number.isNaN(value)) continue;
      all.push(value);
      if (this.#kindOf(before) === kind) same.push(value * (this.#ratios[day] as number));
    }
    const weekAgo = cell - 7 * this.#perDay;
    if (same.length >= 2) return this.#widened(this.#expectation(same.sort((a, b) => a - b)), weekAgo);
    // In the first week a false incident would hide its day, and the next such day would have nothing to compare with.
    if (all.length < strangersMin || weekAgo < 0 || Number.isNaN(this.#smooth(weekAgo))) return unknown;
    const [lower, upper] = [Math.min(...all), Math.max(...all)];
    return { lower, upper, centre: (lower + upper) / 2, references: all.length, spread: 0 };
  }

  /** What the same weekday had last week is no news either, where it really was another level. */
  #widened(expectation: Expectation, weekAgo: number): Expectation {
    const { lower, upper, centre } = expectation;
    const before = weekAgo < 0 ? Number.NaN : this.#smooth(weekAgo);
    const noise = weekNoise * Math.sqrt(centre / this.smoothedSlots);
    if (!(Math.abs(before - centre) > Math.max(weekShare * centre, noise))) return expectation;
    return { ...expectation, lower: Math.min(lower, before), upper: Math.max(upper, before) };
  }

  /** @param sorted ascending, at least two */
  #expectation(sorted: readonly number[]): Expectation {
    const references = sorted.length;
    const trim = references >= 8 ? 2 : references >= 4 ? 1 : 0;
    const kept = sorted.slice(trim, references - trim);
    const mean = kept.reduce((sum, x) => sum + x, 0) / kept.length;
    const centre = references === 3 ? (sorted[1] as number) : mean;
    const variance = kept.reduce((sum, x) => sum + (x - centre) ** 2, 0) / Math.max(1, kept.length - 1);
    const spread = Math.sqrt(Math.max(0, variance - centre / this.smoothedSlots));
    const band = references === 2;
    return {
      lower: band ? (sorted[0] as number) : centre,
      upper: band ? (sorted[1] as number) : centre,
      centre,
      references,
      spread,
    };
  }

  /** NaN where half of the slots or more are missing or part of an incident. */
  #smooth(cell: number): number {
    const known = this.#smoothed[cell] as number;
    if (known !== -1) return known;
    const found: number[] = [];
    for (let at = Math.max(0, cell - this.#reach); at <= cell + this.#reach; at += 1) {
      if (!Number.isNaN(this.#values[at]) && this.#masked[at] === 0) found.push(this.#values[at] as number);
    }
    let value = Number.NaN;
    if (2 * found.length > this.smoothedSlots) {
      value = this.#busy ? median(found) : mean(found);
    }
    this.#smoothed[cell] = value;
    return value;
  }

  #dayOf(cell: number): number {
    return Math.floor((this.#firstSlot + cell) / this.#perDay);
  }

  #isWeekend(day: number): boolean {
    // 1 January 1970 was a Thursday.
    return [0, 6].includes((this.#firstDay + day + 4) % 7);
  }

  /** Parts of days have kinds, not days: a Saturday's small hours are those of a Friday night. */
  #kindOf(cell: number): string {
    const day = this.#dayOf(cell);
    const hour = (((this.#firstSlot + cell) % this.#perDay) * this.#stepMs) / hourMs;
    if (hour < morningHour) return `morning ${this.#isWeekend(day - 1)} ${this.#isWeekend(day)}`;
    if (hour >= eveningHour) return `evening ${this.#isWeekend(day)} ${this.#isWeekend(day + 1)}`;
    return `day ${this.#isWeekend(day)}`;
  }

  /** By what a day of `today`'s weekday usually differs from the day so many days before: its half hours compared. */
  #ratio(today: number, daysBefore: number): number {
    if (daysBefore % 7 === 0) return 1;
    const other = this.#halfHours(today - daysBefore);
    const found = [7, 14].flatMap((week) => {
      const own = this.#halfHours(today - week);
      const logs = own.flatMap((count, at) => {
        const before = other[at] as number;
        return count + before >= halfHourCountsMin ? [Math.log((count + 0.5) / (before + 0.5))] : [];
      });
      if (logs.length < halfHoursMin) return [];
      const middle = median(logs);
      const scatter = 1.4826 * median(logs.map((x) => Math.abs(x - middle)));
      return [{ middle, error: (1.25 * scatter) / Math.sqrt(logs.length) }];
    });
    if (found.length === 0) return 1;
    const mean = found.reduce((sum, { middle }) => sum + middle, 0) / found.length;
    const error = Math.sqrt(found.reduce((sum, one) => sum + one.error ** 2, 0)) / found.length;
    // Shrunk towards no difference by what is not sure of it.
    const shrunk = mean * Math.max(0, 1 - (error / (Math.abs(mean) + 1e-9)) ** 2);
    const [one, two] = found;
    if (one !== undefined && two !== undefined && Math.abs(one.middle - two.middle) < agreement)
      return Math.exp(shrunk);
    const limit = Math.log(this.#isWeekend(today) ? weekendRatioMax : weekdayRatioMax);
    return Math.exp(Math.max(-limit, Math.min(limit, shrunk)));
  }

  /** Counts of a day's half hours; NaN where half of one is missing or part of an incident. */
  #halfHours(day: number): number[] {
    const counts: number[] = [];
    const firstCell = day * this.#perDay - this.#firstSlot;
    for (let from = firstCell; from < firstCell + this.#perDay; from += this.#halfHour) {
      let sum = 0;
      let slots = 0;
      for (let cell = Math.max(0, from); cell < from + this.#halfHour; cell += 1) {
        if (Number.isNaN(this.#values[cell] ?? Number.NaN) || this.#masked[cell] !== 0) continue;
        sum += this.#values[cell] as number;
        slots += 1;
      }
      counts.push(2 * slots > this.#halfHour ? (sum / slots) * this.#halfHour : Number.NaN);
    }
    return counts;
  }
}
