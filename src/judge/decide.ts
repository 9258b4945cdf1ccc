/**
 * The decision on one slot of one series: pure, and the same for live judging and for backtests.
 *
 * Outside an incident the baseline must be left by enough (gates), with enough evidence, and the forecast must not
 * explain it. Inside one the forecast has long followed, so it has no say: the incident is latched until the values
 * speak for the baseline again.
 */
import type { FieldJudging } from "../core/definitions.ts";
import type { DataState, Direction, Gate, Level } from "../core/model.ts";
import { type Cells, type Ongoing, type Place, sumSlotsMax } from "./cells.ts";
import {
  centreAt,
  countSums,
  gaugeScale,
  quietReach,
  type Sum,
  sameWeekdayValues,
  usableDaysMin,
  usableValues,
} from "./detectors/baseline.ts";
import { forecastAt, type Outlook } from "./detectors/forecast.ts";
import { countEvidence } from "./math/countevidence.ts";
import { gaugeEvidence } from "./math/gaugeevidence.ts";
import { onset } from "./math/onset.ts";
import { countRatio, gaugeRatio, recovery } from "./math/recovery.ts";

/** Evidence that opens an incident, in nats. See docs/judge.md for how often clean data reaches it. */
export const onsetNats = 10;

/** Evidence for "as expected" against "as bad as it was" that ends one, in nats. */
const recoveryNats = 4;

/** Evidence is cut here: beyond it a number says no more. */
const evidenceMax = 1e6;

/** Percentages are cut here: of an expectation of zero everything is infinitely far. */
const percentMax = 1e6;

export type Kind = "count" | "gauge" | "ratio";

/** Numbers only; {@link verdictOf} puts them into words. */
export type Decision = {
  readonly state: DataState;
  readonly level: Level;
  readonly kind: Kind;
  /** Null where there is no value. */
  readonly observed: number | null;
  /** Of the slot alone; null at cold start. */
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly outlook: Outlook;
  readonly evidence: number;
  /** Percent by which the slots summed differ from what was expected of them. */
  readonly percent: number;
  readonly slotsSummed: number;
  readonly gates: readonly Gate[];
  readonly direction: Direction | null;
  /** The incident that goes on after this slot; null if none does. */
  readonly ongoing: Ongoing | null;
  /** What decided, where the level alone does not tell. */
  readonly because: "gates" | "forecast" | "latched" | "ended" | "missing" | "cold" | null;
};

/** Evidence of the newest slots, alone or summed, against the baseline. */
type Reading = Sum & { readonly evidence: number; readonly percent: number; readonly gates: readonly Gate[] };

/** @param ongoing what the verdicts before say is going on; null = nothing */
export function decide(cells: Cells, place: Place, judging: FieldJudging, ongoing: Ongoing | null): Decision {
  const value = cells.values[place.now] as number;
  const kind = kindOf(cells, place, judging);
  const context: Context = { cells, place, judging, kind };
  const points = judging.forecast.points;
  const centre = centreAt(cells, place, 0, judging.baseline.trim);
  if (Number.isNaN(value) || Number.isNaN(centre)) {
    const missing = Number.isNaN(value);
    return {
      ...nothing,
      kind,
      state: missing ? "missing" : stateOf(value),
      observed: missing ? null : value,
      expected: Number.isNaN(centre) ? null : centre,
      outlook: forecastAt(cells, place, points, 0),
      // Without a value nothing changes; without a baseline nobody could ever tell the end.
      ongoing: missing ? ongoing : null,
      direction: missing ? (ongoing?.direction ?? null) : null,
      because: missing ? "missing" : "cold",
    };
  }
  if (ongoing !== null && !ended(context, ongoing)) return latched(context, ongoing);
  const quiet = outside(context);
  if (ongoing === null) return quiet;
  if (quiet.ongoing?.direction === ongoing.direction) return latched(context, ongoing);
  return quiet.level === "normal" ? { ...quiet, because: "ended" } : quiet;
}

type Context = {
  readonly cells: Cells;
  readonly place: Place;
  readonly judging: FieldJudging;
  readonly kind: Kind;
};

const nothing = {
  level: "unknown",
  lower: null,
  upper: null,
  evidence: 0,
  percent: 0,
  slotsSummed: 1,
  gates: [],
  direction: null,
  ongoing: null,
} as const;

function stateOf(value: number): DataState {
  return value === 0 ? "zero" : "value";
}

/** Outside an incident: does one begin? */
function outside(context: Context): Decision {
  const { cells, place, judging, kind } = context;
  const points = judging.forecast.points;
  const { best, plain } = readings(context, quietReach(cells, place));
  const direction = directionOf(best);
  if (!best.gates.every((gate) => gate.passed)) {
    const outlook = forecastAt(cells, place, points, 0);
    return { ...base(context, best, plain), level: "normal", outlook, direction, ongoing: null, because: "gates" };
  }
  const trouble = begin(context, best, direction);
  const outlook = forecastAt(cells, place, points, Math.min(trouble.slots, points, sumSlotsMax) - 1);
  const common = { ...base(context, best, plain), outlook, direction };
  if (outlook.kind === "value" && explains(outlook.value, best, kind, judging)) {
    return { ...common, level: "normal", ongoing: null, because: "forecast" };
  }
  return { ...common, level: levelOf(best, judging), ongoing: trouble.ongoing, because: null };
}

/** Inside an incident that has not ended. */
function latched(context: Context, before: Ongoing): Decision {
  const { cells, place, judging } = context;
  const { best, plain } = readings(context, incidentReach(place, before));
  const common = base(context, best, plain);
  const ongoing = { ...before, loss: finite(before.loss + (common.expected as number) - (common.observed as number)) };
  return {
    ...common,
    level: levelOf(best, judging),
    outlook: forecastAt(cells, place, judging.forecast.points, 0),
    direction: before.direction,
    ongoing,
    because: "latched",
  };
}

function base(context: Context, best: Reading, plain: Reading) {
  const { cells, place, kind } = context;
  const value = cells.values[place.now] as number;
  const expected = plain.expected / plain.slots;
  return {
    kind,
    state: stateOf(value),
    observed: value,
    expected,
    ...band(context, plain, expected),
    evidence: best.evidence,
    percent: best.percent,
    slotsSummed: best.slots,
    gates: best.gates,
  };
}

/** Counts and gauges are told apart by their values: a count is never negative and never broken. */
function kindOf(cells: Cells, place: Place, judging: FieldJudging): Kind {
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

/**
 * All readings of the newest slots, the plainest (fewest slots with enough volume) and the best: the one with the most
 * evidence among those that pass the other gates, or among all where none does.
 */
function readings(context: Context, reach: number): { best: Reading; plain: Reading } {
  const all = context.kind === "count" ? countReadings(context, reach) : [gaugeReading(context)];
  const plain = all[0] as Reading;
  let best = plain;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const reading of all) {
    const held = reading.gates.some((gate) => gate.name !== "evidence" && !gate.passed);
    const score = held ? reading.evidence - 2 * evidenceMax : reading.evidence;
    if (score > bestScore) {
      bestScore = score;
      best = reading;
    }
  }
  return { best, plain };
}

function countReadings(context: Context, reach: number): Reading[] {
  const { cells, place, judging } = context;
  const sums = countSums(cells, place, reach, judging.baseline.trim);
  const enough = sums.filter((sum) => sum.expected >= judging.floor.volume);
  return (enough.length > 0 ? enough : sums.slice(-1)).map((sum) => {
    const observed = Math.max(0, sum.observed);
    let evidence = evidenceMax;
    for (const { expected, variance } of [sum, ...sum.sameWeekday]) {
      evidence = Math.min(evidence, countEvidence(observed, expected, variance));
    }
    return readingOf(context, sum, evidence);
  });
}

function gaugeReading(context: Context): Reading {
  const { cells, place, judging } = context;
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
  return readingOf(context, { reach: 1, slots: 1, observed, expected, variance, sameWeekday }, evidence);
}

function readingOf(context: Context, sum: Sum, evidence: number): Reading {
  const { floor, direction } = context.judging;
  const difference = sum.observed - sum.expected;
  const percent = percentOf(difference, sum.expected);
  const gates: Gate[] = [gate("relative", percent, floor.percent)];
  // A ratio's difference is measured in percentage points; it has no volume of its own.
  if (context.kind === "ratio") gates.push(gate("absolute", 100 * Math.abs(difference), floor.absolute));
  else {
    gates.push(gate("absolute", Math.abs(difference), floor.absolute));
    gates.push(gate("volume", Math.abs(sum.expected), floor.volume));
  }
  gates.push(gate("evidence", evidence, onsetNats));
  if (direction !== "both") {
    const wanted = direction === "up" ? 1 : -1;
    gates.push({
      name: "direction",
      passed: Math.sign(difference) === wanted,
      measured: Math.sign(difference),
      needed: wanted,
    });
  }
  return { ...sum, evidence, percent, gates };
}

function gate(name: Gate["name"], measured: number, needed: number): Gate {
  return { name, passed: measured >= needed, measured, needed };
}

function percentOf(difference: number, expected: number): number {
  if (difference === 0) return 0;
  return Math.min((100 * Math.abs(difference)) / Math.abs(expected), percentMax);
}

function directionOf(reading: Reading): Direction | null {
  if (reading.observed === reading.expected) return null;
  return reading.observed > reading.expected ? "up" : "down";
}

function levelOf(reading: Reading, judging: FieldJudging): Level {
  return reading.percent >= judging.floor.criticalPercent ? "critical" : "warning";
}

/** Does the forecast, made from points before the trouble, explain what the baseline does not? */
function explains(forecast: number, reading: Reading, kind: Kind, judging: FieldJudging): boolean {
  const wanted = (kind === "count" ? Math.max(0, forecast) : forecast) * reading.slots;
  const difference = reading.observed - wanted;
  const sameSide = Math.sign(difference) === Math.sign(reading.observed - reading.expected);
  return !sameSide || percentOf(difference, wanted) < judging.floor.percent;
}

/** Where the trouble began, and what it has cost. */
function begin(context: Context, best: Reading, direction: Direction | null): { slots: number; ongoing: Ongoing } {
  const { cells, place } = context;
  const { observed, expected } = slotBySlot(context, quietReach(cells, place), best);
  const slots = onset(observed, expected, best.reach);
  let loss = 0;
  for (let back = 0; back < slots; back += 1) {
    if (!Number.isNaN(observed[back])) loss += (expected[back] as number) - (observed[back] as number);
  }
  const sinceMs = place.timeMs - (slots - 1) * place.stepMs;
  return { slots, ongoing: { sinceMs, loss: finite(loss), direction: direction ?? "up" } };
}

/**
 * The newest slots one by one, newest first; NaN where value or baseline is missing. The baselines of single slots are
 * rough for thin counts, so they are scaled to agree with the sum that was read.
 */
function slotBySlot(context: Context, reach: number, reading: Reading) {
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

/** Slots of the incident up to the one under test, as far as sums reach. */
function incidentReach(place: Place, ongoing: Ongoing): number {
  const slots = Math.floor((place.timeMs - ongoing.sinceMs) / place.stepMs) + 1;
  return Math.max(1, Math.min(slots, sumSlotsMax));
}

/**
 * Whether the incident is over: the newest slots are likelier under the baseline than if it were as bad as it was in
 * the older half of what can be seen of it.
 */
function ended(context: Context, ongoing: Ongoing): boolean {
  const { cells, place, judging, kind } = context;
  const reach = incidentReach(place, ongoing);
  if (reach < 2) return false;
  const { plain } = readings(context, reach);
  const { observed, expected } = slotBySlot(context, reach, plain);
  const newer = Math.floor(reach / 2);
  let badObserved = 0;
  let badExpected = 0;
  let badSlots = 0;
  for (let back = newer; back < reach; back += 1) {
    if (Number.isNaN(observed[back])) continue;
    badObserved += observed[back] as number;
    badExpected += expected[back] as number;
    badSlots += 1;
  }
  const sign = ongoing.direction === "up" ? 1 : -1;
  const least = judging.floor.percent / 100;
  const usual = 1 + (sign * judging.floor.criticalPercent) / 100;
  if (kind === "count") {
    // Between a twentieth and twenty times; at least as far off as the floor. Nothing seen of it: the critical floor.
    const seen = badExpected > 0 ? badObserved / badExpected : usual;
    const bad = sign > 0 ? clamp(seen, 1 + least, 20) : clamp(seen, 0.05, Math.max(0.05, 1 - least));
    // What scatters more than Poisson says less per count.
    const scatter = Math.max(1, plain.variance / plain.expected);
    const ratios = newest(observed, newer).map((value, back) =>
      Number.isNaN(value) ? value : countRatio(Math.max(0, value), expected[back] as number, bad) / scatter,
    );
    return recovery(ratios) >= recoveryNats;
  }
  const scale = gaugeScale(cells, place, plain.expected, judging.baseline.trim);
  const seen = badSlots > 0 ? (badObserved - badExpected) / badSlots : (usual - 1) * Math.abs(plain.expected);
  const offset = sign * Math.max(sign * seen, least * Math.abs(plain.expected));
  const ratios = newest(observed, newer).map((value, back) =>
    Number.isNaN(value) ? value : gaugeRatio(value, expected[back] as number, offset, scale),
  );
  return recovery(ratios) >= recoveryNats;
}

function newest(values: readonly number[], slots: number): readonly number[] {
  return values.slice(0, slots);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

/** What is normal for this slot now: as far as the relative floor, or as noise of the threshold's strength reaches. */
function band(context: Context, plain: Reading, expected: number): { lower: number; upper: number } {
  const { judging, kind } = context;
  const relative = (judging.floor.percent / 100) * Math.abs(expected);
  // Slots summed scatter less, each, than one alone: scale back to the slot. 2 nats = 2 standard deviations squared.
  const noise =
    kind === "count"
      ? Math.sqrt(2 * onsetNats * (plain.variance / plain.slots))
      : onsetNats * Math.sqrt(plain.variance / 2);
  const half = Math.max(relative, noise, plain.slots === 1 && kind !== "ratio" ? judging.floor.absolute : 0);
  const lower = expected - half;
  return { lower: kind === "count" ? Math.max(0, lower) : lower, upper: expected + half };
}

/** Days that can be used for the slot under test, for the sentence of a cold start. */
export function usableDays(cells: Cells, place: Place): { usable: number; needed: number } {
  return { usable: usableValues(cells, place, 0).length, needed: usableDaysMin };
}
