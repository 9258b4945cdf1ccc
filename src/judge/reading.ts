/** What the newest slots of a series say, alone or summed, and whether it passes the gates. */
import type { FieldJudging } from "../core/definitions.ts";
import type { Direction, Gate, Level } from "../core/model.ts";
import { type Cells, type Place, sumSlotsMax } from "./cells.ts";
import { centreAt, countSums, gaugeScale, leastExpected, type Sum, sameWeekdayValues } from "./detectors/baseline.ts";
import { countEvidence } from "./math/countevidence.ts";
import { gaugeEvidence } from "./math/gaugeevidence.ts";

/** Evidence that opens an incident, in nats. See docs/judge.md for how often clean data reaches it. */
export const onsetNats = 10;

/** Evidence is cut here: beyond it a number says no more. */
const evidenceMax = 1e6;

/** Percentages are cut here: of an expectation of zero everything is infinitely far. */
const percentMax = 1e6;

export type Kind = "count" | "gauge" | "ratio";

/** One slot of one series, to be judged. */
export type Context = {
  readonly cells: Cells;
  readonly place: Place;
  readonly judging: FieldJudging;
  readonly kind: Kind;
};

/** Evidence of the newest slots, alone or summed, against the baseline; `percent` is how far they are off, >= 0. */
export type Reading = Sum & { readonly evidence: number; readonly percent: number };

/**
 * Counts and gauges are told apart by their values: a count is never negative and never broken. What is called a count
 * and usually lies below zero is none.
 */
export function kindOf(cells: Cells, place: Place, judging: FieldJudging): Kind {
  if (judging.kind === "count") return centreAt(cells, place, 0, judging.baseline.trim) < 0 ? "gauge" : "count";
  if (judging.kind !== "auto") return judging.kind;
  for (let back = 0; back < sumSlotsMax; back += 1) {
    const value = cells.values[place.now - back] as number;
    if (!(Number.isNaN(value) || (value >= 0 && Number.isInteger(value)))) return "gauge";
  }
  for (const cell of place.days) {
    for (let back = 0; cell >= 0 && back < sumSlotsMax / 2; back += 1) {
      const value = cells.values[cell - back] as number;
      if (!(Number.isNaN(value) || (value >= 0 && Number.isInteger(value)))) return "gauge";
    }
  }
  return "count";
}

export type Readings = { readonly best: Reading; readonly plain: Reading; readonly longest: Reading };

/**
 * Readings of the newest slots: the plainest (fewest slots with enough volume), and the one with the most evidence
 * among those that pass the other gates; where none does, that is the plainest too; and the longest.
 */
export function readings(context: Context, reach: number): Readings {
  const all = context.kind === "count" ? countReadings(context, reach) : [gaugeReading(context)];
  const plain = all[0] as Reading;
  let best: Reading | null = null;
  for (const reading of all) {
    const stronger = best === null || reading.evidence > best.evidence;
    if (stronger && passesFloors(context, reading.observed, reading.expected)) best = reading;
  }
  return { best: best ?? plain, plain, longest: all.at(-1) as Reading };
}

function countReadings(context: Context, reach: number): Reading[] {
  const { cells, place, judging } = context;
  const { volume } = judging.floor;
  const { trim } = judging.baseline;
  let found = false;
  // The plainest sum with enough volume, those that pass the floors, and the longest, which tells the usual noise best;
  // where none has enough volume, the last stands in.
  let sums = countSums(cells, place, reach, trim, (observed, expected, last) => {
    if (expected < volume) return last && !found;
    const first = !found;
    found = true;
    return first || last || passesFloors(context, observed, expected);
  });
  if (sums.length === 0) sums = countSums(cells, place, reach, trim, () => true).slice(-1);
  return sums.map((sum) => {
    const observed = Math.max(0, sum.observed);
    let evidence = observed === sum.expected ? 0 : evidenceMax;
    evidence = Math.min(evidence, countEvidence(observed, Math.max(sum.expected, leastExpected), sum.variance));
    for (const { expected, variance } of sum.sameWeekday) {
      evidence = Math.min(evidence, countEvidence(observed, expected, variance));
    }
    return readingOf(sum, evidence);
  });
}

function gaugeReading({ cells, place, judging }: Context): Reading {
  const trim = judging.baseline.trim;
  const expected = centreAt(cells, place, 0, trim);
  const observed = cells.values[place.now] as number;
  const scale = gaugeScale(cells, place, expected, trim);
  // Laplace noise of scale s has the variance 2 s^2.
  const variance = 2 * scale ** 2;
  const sameWeekday = sameWeekdayValues(cells, place).map((value) => ({ expected: value, variance }));
  let evidence = evidenceMax;
  for (const other of [expected, ...sameWeekday.map((day) => day.expected)]) {
    evidence = Math.min(evidence, gaugeEvidence(observed, other, scale));
  }
  return readingOf({ reach: 1, slots: 1, observed, expected, variance, sameWeekday }, evidence);
}

function readingOf({ reach, slots, observed, expected, variance, sameWeekday }: Sum, evidence: number): Reading {
  const percent = percentOf(observed - expected, expected);
  return { reach, slots, observed, expected, variance, sameWeekday, evidence, percent };
}

/** All gates but that of evidence, without saying which. */
function passesFloors(context: Context, observed: number, expected: number): boolean {
  const { floor, direction } = context.judging;
  return (
    percentOf(observed - expected, expected) >= floor.percent &&
    differenceOf(context, observed, expected) >= floor.absolute &&
    (context.kind === "ratio" || Math.abs(expected) >= floor.volume) &&
    (direction === "both" || direction === directionOf(observed, expected))
  );
}

/** A ratio's difference is measured in percentage points. */
function differenceOf({ kind }: Context, observed: number, expected: number): number {
  return (kind === "ratio" ? 100 : 1) * Math.abs(observed - expected);
}

/** Each gate with what was measured and what it wants; a ratio has no volume of its own. */
export function gatesOf(context: Context, reading: Reading): Gate[] {
  const { floor, direction } = context.judging;
  const gates = [
    gate("relative", reading.percent, floor.percent),
    gate("absolute", differenceOf(context, reading.observed, reading.expected), floor.absolute),
  ];
  if (context.kind !== "ratio") gates.push(gate("volume", Math.abs(reading.expected), floor.volume));
  gates.push(gate("evidence", reading.evidence, onsetNats));
  if (direction !== "both") {
    const measured = Math.sign(reading.observed - reading.expected);
    const needed = direction === "up" ? 1 : -1;
    gates.push({ name: "direction", passed: measured === needed, measured, needed });
  }
  return gates;
}

function gate(name: Gate["name"], measured: number, needed: number): Gate {
  return { name, passed: measured >= needed, measured, needed };
}

export function percentOf(difference: number, expected: number): number {
  if (difference === 0) return 0;
  return Math.min((100 * Math.abs(difference)) / Math.abs(expected), percentMax);
}

export function directionOf(observed: number, expected: number): Direction | null {
  if (observed === expected) return null;
  return observed > expected ? "up" : "down";
}

export function levelOf(reading: Reading, judging: FieldJudging): Level {
  return reading.percent >= judging.floor.criticalPercent ? "critical" : "warning";
}

/**
 * The newest slots one by one, newest first; NaN where value or baseline is missing. The baselines of single slots are
 * rough for thin counts, so they are scaled to agree with the sum that was read.
 */
export function slotBySlot(context: Context, reach: number, reading: Reading) {
  const { cells, place, judging } = context;
  const observed: number[] = [];
  const expected: number[] = [];
  let inSum = 0;
  for (let back = 0; back < reach; back += 1) {
    const centre = centreAt(cells, place, back, judging.baseline.trim);
    observed.push(Number.isNaN(centre) ? Number.NaN : (cells.values[place.now - back] as number));
    expected.push(centre);
    if (back < reading.reach && !Number.isNaN(observed[back])) inSum += centre;
  }
  if (context.kind !== "count" || inSum <= 0) return { observed, expected };
  const scale = reading.expected / inSum;
  return { observed, expected: expected.map((centre) => centre * scale) };
}
