/**
 * A ratio whose denominators are known: what the days before lead one to expect of it, and how strongly sums of numerators
 * over 1 to 300 minutes speak against that. 3 of 4 is not 3,000 of 4,000.
 */
import { type Cells, type Place, referenceDays, smoothSlots, windowSlots } from "../cells.ts";
import { ratioEvidence } from "../math/ratioevidence.ts";
import { type Reading, type Readings, readingsOf } from "./readings.ts";
import { alikeMin, daysMin } from "./references.ts";

/** A day this many deviations off the others is no reference, of so many at most: trouble that nobody marked. */
const oddDeviations = 3;
const oddDays = 2;
/** Error of an expected rate that no number of days removes, relative to its binomial variance: in its log odds. */
const modelError = 0.15;

/** Denominators are numbers of something; less than this is nothing. */
const trialsMin = 1e-6;
const rateMin = 1e-9;

/** What is expected of one slot's ratio. */
export type Rate = {
  /** Above 0 and below 1. */
  readonly rate: number;
  /** Standard error of it: of the days it rests on, of their differences, and of the model. */
  readonly error: number;
  /** Variance of a slot over that of a binomial, at least 1: failures come in bursts. */
  readonly dispersion: number;
  /** Variance of the rates of days beyond chance. */
  readonly between: number;
};

/** Of the sums: their ratios, and on how many these were measured. */
export type RateReading = Reading & { readonly trials: number };

export type Slot = { readonly hits: number; readonly trials: number };

/** The slots of one day together. */
type Day = Slot & {
  readonly slots: number;
  /** Of each slot's hits about what the day as a whole had: squares, over the slot's trials, summed. */
  readonly scatter: number;
};

/** One slot's numerator and denominator; null where either is not known, or nothing was measured. */
export function slotAt({ values, denominators }: Cells, cell: number): Slot | null {
  const trials = denominators?.[cell] ?? Number.NaN;
  const value = values[cell] ?? Number.NaN;
  if (Number.isNaN(value) || !(trials >= trialsMin)) return null;
  return { hits: Math.max(0, Math.min(1, value)) * trials, trials };
}

/** Null where too few days can be used: nothing is expected then. A campaign that is to be like a day is. */
export function rateAt(cells: Cells, place: Place): Rate | null {
  const { campaign, stepMs } = place;
  if (campaign?.expect.kind === "like") return likeAt(cells, campaign.likeCell, stepMs);
  const all: Day[] = [];
  const alike: Day[] = [];
  for (let day = 0; day < Math.min(referenceDays, place.days.length); day += 1) {
    const found = dayAt(cells, place.days[day] as number, stepMs, place.scales?.[day]);
    if (found === null) continue;
    all.push(found);
    if (place.alike[day] === true) alike.push(found);
  }
  if (alike.length >= alikeMin) return pooled(withoutOdd(alike));
  return all.length >= daysMin ? pooled(withoutOdd(all)) : null;
}

/** As on one day before. How many more come than on that day is no matter of a ratio. */
function likeAt(cells: Cells, cell: number, stepMs: number): Rate | null {
  // A day that one campaign is to be like may well have been an incident when nobody had told of it.
  const day = dayAt(cells, cell, stepMs) ?? dayAt(cells, cell, stepMs, 1, 1);
  return day === null ? null : pooled([day]);
}

/**
 * The same time of one day before, and half an hour either side; null where nothing was measured.
 * @param cell -1 = not held
 * @param scale by what its ratios are to be multiplied
 * @param mark 1: of slots in incidents instead
 */
function dayAt(cells: Cells, cell: number, stepMs: number, scale = 1, mark: 0 | 1 = 0): Day | null {
  if (cell < 0) return null;
  const reach = smoothSlots(stepMs);
  const slots: Slot[] = [];
  let [hits, trials] = [0, 0];
  for (let at = Math.max(0, cell - reach); at <= cell + reach; at += 1) {
    const found = cells.inIncident[at] === mark ? slotAt(cells, at) : null;
    if (found === null) continue;
    const slot = { hits: Math.min(found.trials, found.hits * scale), trials: found.trials };
    slots.push(slot);
    hits += slot.hits;
    trials += slot.trials;
  }
  if (trials === 0) return null;
  const own = hits / trials;
  const scatter = slots.reduce((sum, slot) => sum + (slot.hits - own * slot.trials) ** 2 / slot.trials, 0);
  return { hits, trials, slots: slots.length, scatter };
}

/** Left out are days that chance does not make, not the highest and lowest: of few trials those are chance. */
function withoutOdd(days: readonly Day[]): readonly Day[] {
  let kept = days;
  for (let dropped = 0; dropped < oddDays && kept.length > daysMin; dropped += 1) {
    let [odd, most] = [-1, oddDeviations];
    for (const [index, day] of kept.entries()) {
      const { rate, error, dispersion } = pooled(kept.filter((_, other) => other !== index));
      const variance = (dispersion * rate * (1 - rate)) / day.trials + error ** 2;
      const deviations = Math.abs(day.hits / day.trials - rate) / Math.sqrt(variance);
      if (deviations > most) [odd, most] = [index, deviations];
    }
    if (odd < 0) return kept;
    kept = kept.filter((_, index) => index !== odd);
  }
  return kept;
}

/**
 * Hits of all days over their trials, with half of either added: Jeffreys' prior. How much days differ beyond chance is
 * the moment estimator of DerSimonian, R. and Laird, N. (1986), "Meta-analysis in clinical trials", Controlled Clinical
 * Trials 7(3); how much slots do, Pearson's chi square over their number.
 */
function pooled(days: readonly Day[]): Rate {
  let [hits, trials, squares] = [0, 0, 0];
  for (const day of days) {
    hits += day.hits;
    trials += day.trials;
    squares += day.trials ** 2;
  }
  const rate = certain((hits + 0.5) / (trials + 1));
  const variance = rate * (1 - rate);
  const dispersion = dispersionOf(days, variance);
  const scatter = days.reduce((sum, day) => sum + day.trials * (day.hits / day.trials - rate) ** 2, 0);
  const weight = trials - squares / trials;
  const between = weight > 0 ? Math.max(0, (scatter - (days.length - 1) * dispersion * variance) / weight) : 0;
  const ofDays = (dispersion * variance) / (trials + 1) + between * (1 + 1 / days.length);
  const error = Math.sqrt(ofDays + (modelError * variance) ** 2);
  return { rate, error, dispersion, between };
}

/** Each slot against its own day, so that days that differ do not count twice. */
function dispersionOf(days: readonly Day[], variance: number): number {
  let [squares, freedom] = [0, 0];
  for (const { slots, scatter } of days) {
    squares += scatter / variance;
    freedom += slots - 1;
  }
  return freedom > 0 ? Math.max(1, squares / freedom) : 1;
}

/**
 * @param place.now must have a value and a denominator, or the slot adds nothing
 * @param reach slots that may be summed, at least 1
 * @param enough whether a difference is large enough to matter
 */
export function rateReadings(
  cells: Cells,
  place: Place,
  { plan, reach }: { readonly plan: Rate; readonly reach: number },
  enough: (observed: number, expected: number) => boolean,
): Readings<RateReading> {
  const total = { hits: 0, wanted: 0, trials: 0 };
  const longest = Math.min(reach, windowSlots(place.stepMs));
  let back = 0;
  const read = (length: number): RateReading => {
    for (; back < length; back += 1) {
      const slot = slotAt(cells, place.now - back);
      const rate = back === 0 ? plan.rate : (cells.least[place.now - back] as number);
      if (slot === null || Number.isNaN(rate)) continue;
      total.hits += slot.hits;
      total.trials += slot.trials;
      total.wanted += rate * slot.trials;
    }
    return readingOf(total, length, plan);
  };
  return readingsOf(longest, read, ({ trials, observed, expected }) => trials > 0 && enough(observed, expected));
}

function readingOf(total: { hits: number; wanted: number; trials: number }, reach: number, plan: Rate): RateReading {
  const { hits, wanted, trials } = total;
  if (trials === 0) return { reach, trials, observed: plan.rate, expected: plan.rate, evidence: 0 };
  const expected = certain(wanted / trials);
  const evidence = ratioEvidence(Math.min(hits, trials), trials, expected, dispersionIn(plan, expected, trials));
  return { reach, trials, observed: hits / trials, expected, evidence };
}

/** Nothing is as sure as arithmetic makes it. */
export function certain(rate: number): number {
  return Math.min(1 - rateMin, Math.max(rateMin, rate));
}

/** Variance of what so many trials give over that of a binomial, the error of the expectation included. */
export function dispersionIn({ error, dispersion }: Rate, rate: number, trials: number): number {
  return dispersion + (trials * error ** 2) / (rate * (1 - rate));
}
