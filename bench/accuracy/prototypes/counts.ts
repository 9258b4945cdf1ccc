/**
 * Evidence in counts: sums over 1 to 300 minutes against what the days before predict of them, with the error of that
 * prediction, as a log-likelihood ratio of the negative binomial. A prototype of what the judge is to become.
 */
import { hourMs, minuteMs } from "../../../src/core/time.ts";
import type { Grid } from "../series.ts";
import { References } from "./references.ts";

/** Evidence that opens an incident, that turns it round, and that ends it, in nats. */
const openNats = 12;
const oppositeNats = 12;
const closeNats = 6;
/** Evidence of recovery above which a slot no longer counts as part of what is wrong, before the incident ends. */
const betterNats = 0.2;
/** Longest sum, and how much longer each is than the one before. */
const windowMs = 300 * minuteMs;
const windowGrowth = 1.27;
/** Least difference: in counts, and as a share of the expectation. */
const differenceMin = 3;
const shareMin = 0.2;
/** Variance of a slot beyond Poisson's, relative; of the model however many references, and with one reference. */
const slotNoise = 0.002;
const modelError = 0.035;
const referenceError = 0.08;
/** The recent level: counts that hold it at 1, how far it may go, its half-life, and its pace while in doubt. */
const levelPrior = 400;
const levelMax = 0.12;
const levelHalfLifeMs = 3 * hourMs;
const doubtNats = 2;
const doubtPace = 0.25;
/** What goes on for so long is the new normal. */
const newNormalMs = 48 * hourMs;

type Incident = { direction: number; since: number; observed: number; expected: number } & Recovery;
type Recovery = { nats: number; from: number; observedSince: number; expectedSince: number };
type Reading = { nats: number; slots: number; direction: number; observed: number; expected: number; doubt: number };

/** A score a cell: evidence over what opens an incident, at least 1 while one goes on and does not get better. */
export function countEvidence(grid: Grid): Float64Array {
  const scores = new Float64Array(grid.values.length);
  const counts = new Counts(grid);
  for (let cell = 0; cell < scores.length; cell += 1) scores[cell] = counts.judge(cell);
  return scores;
}

class Counts {
  readonly #grid: Grid;
  readonly #references: References;
  readonly #masked: Uint8Array;
  readonly #windows: readonly number[];
  readonly #sums: Sums;
  readonly #expected: Float64Array;
  readonly #decay: number;
  #level = { observed: 0, expected: 0 };
  /** Windows never reach behind the last alert or end. */
  #start = 0;
  #incident: Incident | null = null;

  constructor(grid: Grid) {
    this.#grid = grid;
    const { values, stepMs, rows } = grid;
    this.#masked = new Uint8Array(values.length);
    this.#references = new References(grid, (rows[0]?.timeS ?? 0) * 1_000, this.#masked);
    this.#windows = lengths(Math.max(1, Math.round(windowMs / stepMs)));
    this.#sums = new Sums(values.length);
    this.#expected = new Float64Array(values.length).fill(Number.NaN);
    this.#decay = 0.5 ** (stepMs / levelHalfLifeMs);
  }

  judge(cell: number): number {
    this.#references.onSlot(cell);
    const value = this.#grid.values[cell] as number;
    const { lower, upper, centre, references, spread } = this.#references.at(cell);
    const level = this.#levelNow();
    this.#expected[cell] = centre * level;
    if (Number.isNaN(value) || Number.isNaN(centre)) {
      this.#sums.skip(cell);
      return 0;
    }
    this.#sums.add(cell, value, { lower: lower * level, upper: upper * level, references, spread: spread * level });
    const reading = this.#read(cell, references);
    const bad = this.#incident === null ? this.#outside(cell, reading) : this.#inside(cell, value, reading);
    if (this.#incident === null) this.#learn(value, centre, reading.doubt);
    return bad ? Math.max(1, reading.nats / openNats) : Math.min(0.999, reading.nats / openNats);
  }

  /** The sum with the most evidence among those that are off by enough; `doubt` is the most of all. */
  #read(cell: number, references: number): Reading {
    let best: Reading = { nats: 0, slots: 0, direction: 0, observed: 0, expected: 0, doubt: 0 };
    let doubt = 0;
    const relative = modelError ** 2 + referenceError ** 2 / references;
    for (const slots of this.#windows) {
      if (cell + 1 - slots < this.#start) break;
      const sum = this.#sums.of(cell, slots);
      const expected = Math.max(sum.expected, 1e-6);
      const errors = sum.referenceNoise * Math.min(1, slots / this.#references.smoothedSlots) + sum.spread ** 2;
      const variance = expected + slotNoise * sum.squares + relative * expected ** 2 + errors;
      const nats = evidence(sum.observed, expected, variance);
      doubt = Math.max(doubt, nats);
      const difference = sum.observed - expected;
      const enough = Math.abs(difference) >= Math.max(differenceMin, shareMin * expected);
      if (!enough || nats <= best.nats) continue;
      best = { nats, slots, direction: Math.sign(difference), observed: sum.observed, expected, doubt };
    }
    return { ...best, doubt };
  }

  #outside(cell: number, reading: Reading): boolean {
    if (reading.nats < openNats) return false;
    this.#open(cell, reading);
    return true;
  }

  #open(cell: number, { slots, direction, observed, expected }: Reading): void {
    const since = cell + 1 - slots;
    this.#masked.fill(1, since, cell + 1);
    this.#incident = { direction, since, observed, expected, nats: 0, from: cell, observedSince: 0, expectedSince: 0 };
    this.#start = cell + 1;
  }

  /** CUSUM of "as expected" against "as bad as it was so far". */
  #inside(cell: number, value: number, reading: Reading): boolean {
    const incident = this.#incident as Incident;
    this.#masked[cell] = 1;
    if (reading.nats >= oppositeNats && reading.direction === -incident.direction) {
      this.#open(cell, reading);
      return true;
    }
    const expected = Math.max(this.#expected[cell] as number, 0.01);
    recover(incident, cell, value, expected);
    if (incident.nats >= closeNats) {
      this.#masked.fill(0, incident.from, cell + 1);
      this.#end(cell);
      return false;
    }
    if ((cell - incident.since) * this.#grid.stepMs > newNormalMs) {
      this.#masked.fill(0, incident.since, cell + 1);
      this.#level = { observed: 0, expected: 0 };
      this.#end(cell);
    }
    return incident.nats < betterNats;
  }

  #end(cell: number): void {
    this.#incident = null;
    this.#start = cell + 1;
  }

  #levelNow(): number {
    const { observed, expected } = this.#level;
    return Math.max(1 - levelMax, Math.min(1 + levelMax, (observed + levelPrior) / (expected + levelPrior)));
  }

  #learn(observed: number, expected: number, doubt: number): void {
    const pace = doubt >= doubtNats ? doubtPace : 1;
    const keep = this.#decay ** pace;
    this.#level.observed = this.#level.observed * keep + pace * observed;
    this.#level.expected = this.#level.expected * keep + pace * expected;
  }
}

/** What looks like recovery is no measure of how bad it was, unless it comes to nothing. */
function recover(incident: Incident, cell: number, observed: number, expected: number): void {
  const { direction } = incident;
  const seen = incident.expected > 0 ? incident.observed / incident.expected : 1;
  const bad = direction > 0 ? Math.max(1 + shareMin, seen) : Math.min(1 - shareMin, Math.max(0.02, seen));
  const scatter = 1 + slotNoise * expected + expected * (modelError ** 2 + referenceError ** 2);
  const nats = (observed * Math.log(1 / bad) - expected * (1 - bad)) / scatter;
  if (incident.nats <= 0) {
    incident.from = cell;
    incident.observedSince = 0;
    incident.expectedSince = 0;
  }
  incident.nats = Math.max(0, incident.nats + nats);
  incident.observedSince += observed;
  incident.expectedSince += expected;
  if (incident.nats > 0) return;
  incident.observed += incident.observedSince;
  incident.expected += incident.expectedSince;
}

/** Log-likelihood ratio of a negative binomial's own mean against the expected one: size r = m^2 / (v - m). */
function evidence(observed: number, expected: number, variance: number): number {
  const size = expected ** 2 / Math.max(variance - expected, 1e-9 * expected ** 2);
  const own = observed > 0 ? observed * Math.log(observed / expected) : 0;
  return own - (observed + size) * Math.log((observed + size) / (expected + size));
}

function lengths(longest: number): number[] {
  const found: number[] = [];
  for (let slots = 1; slots <= longest; slots = Math.max(slots + 1, Math.round(slots * windowGrowth)))
    found.push(slots);
  return found;
}

type Slot = { readonly lower: number; readonly upper: number; readonly references: number; readonly spread: number };

/** Running sums from the first cell on, so that any window is a difference of two. */
class Sums {
  readonly #columns: readonly Float64Array[];

  constructor(cells: number) {
    this.#columns = Array.from({ length: 6 }, () => new Float64Array(cells + 1));
  }

  skip(cell: number): void {
    for (const column of this.#columns) column[cell + 1] = column[cell] as number;
  }

  add(cell: number, observed: number, { lower, upper, references, spread }: Slot): void {
    const expected = Math.max(lower, Math.min(upper, observed));
    const parts = [observed, lower, upper, expected ** 2, expected / references, spread / Math.sqrt(references)];
    for (const [at, column] of this.#columns.entries()) {
      column[cell + 1] = (column[cell] as number) + (parts[at] as number);
    }
  }

  of(cell: number, slots: number) {
    const part = (at: number): number => {
      const column = this.#columns[at] as Float64Array;
      return (column[cell + 1] as number) - (column[cell + 1 - slots] as number);
    };
    const observed = part(0);
    const expected = Math.max(part(1), Math.min(part(2), observed));
    return { observed, expected, squares: part(3), referenceNoise: part(4), spread: part(5) };
  }
}
