/** What the days before lead one to expect of a count, kind of day by kind of day. */
import { medianSorted } from "simple-statistics";
import { minuteMs } from "../../core/time.ts";
import { type Cells, type Place, referenceDays, smoothSlots } from "../cells.ts";
import { ascending } from "../math/ascending.ts";

/** Above this mean a slot is busy: smoothed by a median of two minutes either side, else by a mean over more. */
const busyMean = 20;
const busyMs = 2 * minuteMs;
const busySlotsMax = 5;
/** How busy a slot is is told from so many slots either side of each day's, evenly spread. */
const strides = 15;
/** Counts that a smoothed reference should rest on, in all days together. */
const smoothCounts = 500;
/**
 * Days of any kind that must be known at all; where there are not two of the same kind, they stand in if last week's
 * same weekday is among them.
 */
export const daysMin = 4;
export const alikeMin = 2;
/** By how much last week's slot must differ to be a level of its own: as a share, and in deviations of its count. */
const weekShare = 0.2;
const weekNoise = 1;

/** Days on which something went up at a time that make a habit of it. */
const habitDays = 3;

/** Of one slot, before today's own level is taken into account. */
export type Expectation = {
  /** Equal, or a band where the references disagree or are too few: nothing inside is news. */
  readonly lower: number;
  readonly upper: number;
  readonly centre: number;
  /** Days that it rests on. */
  readonly references: number;
  /** Standard deviation among them beyond what counting explains. */
  readonly spread: number;
  /** Slots that each of them is smoothed over: so long their noise is the same. */
  readonly smoothedSlots: number;
};

type Smoothing = { readonly reach: number; readonly busy: boolean };

/** Null where too few days can be used: nothing is expected then. A campaign that runs reshapes it. */
export function expectationAt(cells: Cells, place: Place): Expectation | null {
  const { campaign } = place;
  if (campaign === undefined) return usualAt(cells, place);
  const { expect, likeCell } = campaign;
  if (expect.kind === "like") return likeAt(cells, place, likeCell, expect.scale);
  const usual = usualAt(cells, place);
  if (usual === null) return null;
  const { lower, upper, centre, spread, ...rest } = usual;
  const middle = (expect.min + expect.max) / 2;
  return {
    ...rest,
    lower: lower * expect.min,
    upper: upper * expect.max,
    centre: centre * middle,
    spread: spread * middle,
  };
}

/** As on one day before, so many times. */
function likeAt(cells: Cells, place: Place, cell: number, scale: number): Expectation | null {
  const smoothing = smoothingAt(cells, place);
  const own = smoothed(cells, cell, smoothing, 0);
  // A day that one campaign is to be like may well have been an incident when nobody had told of it.
  const value = (Number.isNaN(own) ? smoothed(cells, cell, smoothing, 1) : own) * scale;
  if (Number.isNaN(value)) return null;
  const smoothedSlots = 2 * smoothing.reach + 1;
  return { lower: value, upper: value, centre: value, references: 1, spread: 0, smoothedSlots };
}

function usualAt(cells: Cells, place: Place): Expectation | null {
  const smoothing = smoothingAt(cells, place);
  const smoothedSlots = 2 * smoothing.reach + 1;
  const alike: number[] = [];
  const all: number[] = [];
  const incidents: number[] = [];
  let weekAgo = Number.NaN;
  for (let day = 0; day < Math.min(referenceDays, place.days.length); day += 1) {
    const cell = place.days[day] as number;
    const own = smoothed(cells, cell, smoothing, 0);
    if (Number.isNaN(own)) {
      const bad = smoothed(cells, cell, smoothing, 1);
      if (!Number.isNaN(bad)) incidents.push(bad);
      continue;
    }
    const value = own * (place.scales?.[day] ?? 1);
    all.push(value);
    if (day === 6) weekAgo = value;
    if (place.alike[day] === true) alike.push(value * (cells.ratios?.[day] ?? 1));
  }
  if (all.length < daysMin) return null;
  if (alike.length >= alikeMin) return recurring(widened(ofAlike(ascending(alike), smoothedSlots), weekAgo), incidents);
  // In the first week a false incident would hide its day, and the next such day would have nothing to compare with.
  if (Number.isNaN(weekAgo)) return null;
  return ofAnyKind(all, smoothedSlots);
}

/**
 * The band of all days, narrower by what counting alone spreads them: it is summed over many slots, in each of which
 * another day is the lowest by chance. What the days truly differ by stays.
 */
function ofAnyKind(values: readonly number[], smoothedSlots: number): Expectation {
  const references = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / references;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (references - 1);
  const counting = Math.max(0, mean) / smoothedSlots;
  const kept = variance > counting ? Math.sqrt(1 - counting / variance) : 0;
  const lower = mean + kept * (Math.min(...values) - mean);
  const upper = mean + kept * (Math.max(...values) - mean);
  return { lower, upper, centre: (lower + upper) / 2, references, spread: 0, smoothedSlots };
}

/** Thin counts are smoothed over as many slots as give enough of them; told from the days around the slot's time. */
function smoothingAt({ values, inIncident }: Cells, { days, stepMs }: Place): Smoothing {
  const longest = smoothSlots(stepMs);
  const stride = Math.max(1, Math.ceil(longest / strides));
  let sum = 0;
  let slots = 0;
  for (const cell of days) {
    if (cell < 0) continue;
    for (let at = Math.max(0, cell - longest); at <= cell + longest; at += stride) {
      const value = values[at] as number;
      if (Number.isNaN(value) || inIncident[at] !== 0) continue;
      sum += value;
      slots += 1;
    }
  }
  const mean = slots === 0 ? 0 : sum / slots;
  if (mean > busyMean) return { reach: Math.min(busySlotsMax, Math.round(busyMs / stepMs)), busy: true };
  const wanted = Math.max(1, Math.round((smoothCounts / (referenceDays * mean) - 1) / 2));
  return { reach: mean > 0 ? Math.min(longest, wanted) : 0, busy: false };
}

/** NaN where half of the slots or more are missing or part of an incident. @param mark 1: of slots in incidents instead */
function smoothed({ values, inIncident }: Cells, cell: number, { reach, busy }: Smoothing, mark: 0 | 1): number {
  if (cell < 0) return Number.NaN;
  const found: number[] = [];
  let sum = 0;
  for (let at = Math.max(0, cell - reach); at <= cell + reach; at += 1) {
    const value = values[at] as number;
    if (Number.isNaN(value) || inIncident[at] !== mark) continue;
    // A stray negative number among counts is none.
    const count = Math.max(0, value);
    found.push(count);
    sum += count;
  }
  if (2 * found.length <= 2 * reach + 1) return Number.NaN;
  return busy ? medianSorted(ascending(found)) : sum / found.length;
}

/** @param sorted ascending, at least two */
function ofAlike(sorted: readonly number[], smoothedSlots: number): Expectation {
  const references = sorted.length;
  const trim = references >= 8 ? 2 : references >= 4 ? 1 : 0;
  const kept = sorted.slice(trim, references - trim);
  const centre = references === 3 ? (sorted[1] as number) : kept.reduce((sum, x) => sum + x, 0) / kept.length;
  const variance = kept.reduce((sum, x) => sum + (x - centre) ** 2, 0) / Math.max(1, kept.length - 1);
  const spread = Math.sqrt(Math.max(0, variance - Math.max(0, centre) / smoothedSlots));
  // Two that disagree do not say which of them is right.
  const [lower, upper] = references === 2 ? [sorted[0] as number, sorted[1] as number] : [centre, centre];
  return { lower, upper, centre, references, spread, smoothedSlots };
}

/** What the same weekday had last week is no news either, where it really was another level. */
function widened(expectation: Expectation, weekAgo: number): Expectation {
  const { lower, upper, centre, smoothedSlots } = expectation;
  const noise = weekNoise * Math.sqrt(Math.max(0, centre) / smoothedSlots);
  if (!(Math.abs(weekAgo - centre) > Math.max(weekShare * centre, noise))) return expectation;
  return { ...expectation, lower: Math.min(lower, weekAgo), upper: Math.max(upper, weekAgo) };
}

/** What went up at this time on three days already is a habit, not an incident: a promotion that nobody announced. */
function recurring(expectation: Expectation, incidents: readonly number[]): Expectation {
  const above = incidents.filter((value) => value > expectation.upper).sort((a, b) => b - a);
  if (above.length < habitDays) return expectation;
  return { ...expectation, upper: above[habitDays - 2] as number };
}
