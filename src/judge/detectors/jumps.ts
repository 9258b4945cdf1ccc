/**
 * Surprise in gauges: the jump from the median of the values just before, less what is usual at this time and the
 * largest jump seen at this time on past days; against a threshold from the tail of the series' own surprises.
 * Source: Li, J. et al. (2021), "FluxEV: A Fast and Effective Unsupervised Framework for Time-Series Anomaly
 * Detection", WSDM, for jumps compared with those of past days; Siffer, A. et al. (2017), "Anomaly Detection in Streams
 * with Extreme Value Theory", KDD, for the threshold, here with an exponential tail from zero on.
 */
import { medianSorted } from "simple-statistics";
import type { Tail, Tails } from "../../core/model.ts";
import { dayMs } from "../../core/time.ts";
import type { Cells, Place } from "../cells.ts";
import type { Kind } from "../kind.ts";
import { ascending } from "../math/ascending.ts";
import { rounded } from "../math/rounded.ts";
import { type Announcement, announcementAt, type Band, bandAt } from "./announced.ts";
import { predictorReach, predictors, predictorsMax, predictorsMin } from "./predictors.ts";
import { type Asked, around, usualDays, usualOf } from "./usual.ts";

/** Chance alone may bring one alarm of each direction in this time. */
const falseAlarmMs = 56 * dayMs;
/** Mean memory of the calibration. */
const memoryMs = 180 * dayMs;
/** A surprise teaches at most this part of the one demanded: what comes near the threshold is hardly chance. */
const teaches = 0.5;
/**
 * With fewer surprises than these there is no threshold yet; only what goes beyond so many times the whole range of jumps
 * at this time is one then.
 */
const peaksMin = 3;
const quietRanges = 10;
/** The threshold is twice as high at the first point; nothing more after so long. */
const earlyMs = 21 * dayMs;
/** Values of a constant gauge after a step that tell it from a spike. */
const stays = 3;
/** Differences below this part of the level are those of arithmetic. */
const rounding = 1e-9;
const scoreMax = 1e4;

const noTail: Tail = { peaks: 0, sum: 0 };
const noTails: Tails = { points: 0, rises: noTail, drops: noTail };

/** What is known of one slot of a gauge. */
export type Jump = {
  /** What the values before and the usual jump at this time predict; or a campaign, which may leave a range. */
  readonly expected: number;
  readonly range: { readonly least: number; readonly most: number } | null;
  /** From here to here a value is no surprise, and from here to here none that matters. */
  readonly lower: number;
  readonly upper: number;
  /** The surprise over the one demanded: 1 = it matters. The larger of both directions, and each. */
  readonly score: number;
  readonly up: number;
  readonly down: number;
  readonly direction: "up" | "down";
  readonly tails: Tails;
};

export type JumpOptions = {
  /** What is demanded is divided by it. */
  readonly sensitivity: number;
  readonly kind: Kind;
};

/** Null where too few values or days are known. */
export function jumpAt(cells: Cells, place: Place, before: Tails | undefined, options: JumpOptions): Jump | null {
  if (Number.isNaN(cells.values[place.now])) return null;
  const tails = before ?? noTails;
  const announcement = announcementAt(cells, place, options.kind);
  if (announcement === null) return fromBefore(cells, place, tails, options);
  const band = bandAt(cells, place, announcement);
  return band === null ? null : fromBand(cells, place, tails, { ...options, ...announcement, band });
}

/** What the values just before and past days say. */
function fromBefore(cells: Cells, place: Place, tails: Tails, { sensitivity }: JumpOptions): Jump | null {
  const value = cells.values[place.now] as number;
  const { stepMs } = place;
  const bases = basesAt(cells, place);
  const usual = usualOf(place.days.slice(0, usualDays), stepMs, jumpsOf(cells, stepMs));
  if (bases === null || usual === null) return null;
  const base = Math.min(bases.high, Math.max(bases.low, value - usual.mean));
  const jump = value - base;
  const step = jump !== 0 && isStep(cells, place);
  const about = { tails, stepMs, range: usual.most - usual.least, step, sensitivity };
  const rise = surprise(about, tails.rises, jump - usual.most);
  const drop = surprise(about, tails.drops, usual.least - jump);
  return {
    expected: base + usual.mean,
    range: null,
    lower: bases.low + usual.least - drop.demanded,
    upper: bases.high + usual.most + rise.demanded,
    ...scoresOf(rise, drop, jump > usual.mean),
    tails: taught(tails, rise.tail, drop.tail, stepMs),
  };
}

type Announced = JumpOptions & Announcement & { readonly band: Band };

/** What a campaign says. It teaches nothing of surprises: it is none. */
function fromBand(cells: Cells, place: Place, tails: Tails, { band, sensitivity, sinceMs }: Announced): Jump {
  const value = cells.values[place.now] as number;
  const { least, most, width } = band;
  const expected = Math.min(most, Math.max(least, value));
  const step = width <= rounding * Math.abs(most) && staysBeyond(cells, place, sinceMs, band);
  const about = { tails, stepMs: place.stepMs, range: width, step, sensitivity };
  const rise = surprise(about, tails.rises, value - most);
  const drop = surprise(about, tails.drops, least - value);
  return {
    expected,
    range: { least, most },
    lower: least - drop.demanded,
    upper: most + rise.demanded,
    ...scoresOf(rise, drop, value > expected),
    tails: taught(tails, tails.rises, tails.drops, place.stepMs),
  };
}

/** A constant has no surprises that could be demanded: its newest values since then all lie on one side. */
function staysBeyond(
  { values }: Cells,
  { now, timeMs, stepMs }: Place,
  sinceMs: number,
  { least, most }: Band,
): boolean {
  if (timeMs - sinceMs < (stays - 1) * stepMs) return false;
  const newest = values.subarray(now - stays + 1, now + 1);
  return newest.every((value) => value > most) || newest.every((value) => value < least);
}

function scoresOf(
  { score: up }: Surprise,
  { score: down }: Surprise,
  above: boolean,
): Pick<Jump, "score" | "up" | "down" | "direction"> {
  return { score: Math.max(up, down), up, down, direction: up > down || (up === down && above) ? "up" : "down" };
}

/** What the values before predict: anything from one to the other. */
type Bases = { readonly low: number; readonly high: number };

/**
 * An incident soon moves the median. What then goes back to where it was before is no surprise, so the median of what
 * was part of no incident is another prediction.
 */
function basesAt({ values, inIncident }: Cells, { now, stepMs }: Place): Bases | null {
  const base = baseOf(values, now, stepMs, null);
  if (Number.isNaN(base)) return null;
  const disturbed = inIncident.subarray(Math.max(0, now - predictorReach), now).includes(1);
  const before = disturbed ? baseOf(values, now, stepMs, inIncident) : Number.NaN;
  return Number.isNaN(before)
    ? { low: base, high: base }
    : { low: Math.min(base, before), high: Math.max(base, before) };
}

/**
 * The median of the newest {@link predictors} values before; NaN where there are too few within {@link predictorReach}.
 * @param without marks those that are left out
 */
function baseOf(values: Float64Array, cell: number, stepMs: number, without: Uint8Array | null): number {
  const wanted = predictors(stepMs);
  const found: number[] = [];
  for (let at = cell - 1; at >= cell - predictorReach && at >= 0 && found.length < wanted; at -= 1) {
    const one = values[at] as number;
    if (!Number.isNaN(one) && without?.[at] !== 1) found.push(one);
  }
  return found.length < predictorsMin ? Number.NaN : medianSorted(ascending(found));
}

/** Each value less what those before predicted. */
function jumpsOf(cells: Cells, stepMs: number): Asked {
  const { values } = cells;
  cells.jumps ??= new Float64Array(values.length).fill(Number.POSITIVE_INFINITY);
  return { known: cells.jumps, ask: (at) => (values[at] as number) - baseOf(values, at, stepMs, null) };
}

type Surprise = { readonly score: number; readonly demanded: number; readonly tail: Tail };

type About = {
  readonly tails: Tails;
  readonly stepMs: number;
  /** Of jumps at this time on past days. */
  readonly range: number;
  readonly step: boolean;
  readonly sensitivity: number;
};

function surprise({ tails, stepMs, range, step, sensitivity }: About, { peaks, sum }: Tail, beyond: number): Surprise {
  const { points } = tails;
  const allowed = Math.max(1, points) * (stepMs / falseAlarmMs);
  const rarity = Math.log(Math.max(Math.E, peaks / allowed));
  const caution = 1 + Math.max(0, 1 - (points * stepMs) / earlyMs);
  const known = (sum / peaks) * rarity * (1 + 1 / Math.sqrt(peaks)) * caution;
  const usual = peaks >= peaksMin ? known : range > 0 ? quietRanges * range : Infinity;
  const demanded = usual / sensitivity;
  if (!(beyond > 0)) return { score: 0, demanded, tail: { peaks, sum } };
  // A step of a constant gauge: half a window of surprises; as many steps as chance is allowed alarm, more do not.
  const alarms = step && peaks < (predictorsMax / 2) * Math.max(1, allowed);
  const score = Math.min(scoreMax, Math.max(beyond / demanded, alarms ? 2 : 0));
  return { score, demanded, tail: { peaks: peaks + 1, sum: sum + Math.min(beyond, teaches * usual) } };
}

function taught({ points }: Tails, rises: Tail, drops: Tail, stepMs: number): Tails {
  const keep = 1 - stepMs / memoryMs;
  const faded = ({ peaks, sum }: Tail): Tail => ({ peaks: rounded(peaks * keep), sum: rounded(sum * keep) });
  return { points: rounded(points * keep + 1), rises: faded(rises), drops: faded(drops) };
}

/** The newest values lie together on one side of what all values before were, also at this time on every past day. */
function isStep({ values }: Cells, { now, days: past }: Place): boolean {
  const start = now - stays + 1;
  if (start < predictorReach) return false;
  let level = Number.NaN;
  const same = (from: number, to: number): boolean => {
    for (let at = from; at <= to; at += 1) {
      const value = values[at] as number;
      if (Number.isNaN(value)) continue;
      if (Number.isNaN(level)) level = value;
      else if (Math.abs(value - level) > rounding * Math.abs(level)) return false;
    }
    return !Number.isNaN(level);
  };
  if (!same(start - predictorReach, start - 1)) return false;
  for (const cell of past.slice(0, usualDays)) if (cell < 0 || !same(cell - around, cell + around)) return false;
  const side = Math.sign((values[now] as number) - level);
  for (let at = start; at <= now; at += 1) {
    if (!(((values[at] as number) - level) * side > rounding * Math.abs(level))) return false;
  }
  return true;
}
