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
import { centreAt, quietReach } from "./detectors/baseline.ts";
import { forecastAt, type Outlook } from "./detectors/forecast.ts";
import { ended, incidentReach } from "./ended.ts";
import { onset } from "./math/onset.ts";
import {
  type Context,
  directionOf,
  type Kind,
  kindOf,
  levelOf,
  onsetNats,
  percentOf,
  type Reading,
  readings,
  slotBySlot,
} from "./reading.ts";

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
  /** Percent by which the slots summed lie above (below: negative) what was expected of them. */
  readonly percent: number;
  readonly slotsSummed: number;
  readonly gates: readonly Gate[];
  readonly direction: Direction | null;
  /** The incident that goes on after this slot; null if none does. */
  readonly ongoing: Ongoing | null;
  /** What decided, where the level alone does not tell. */
  readonly because: "forecast" | "latched" | "missing" | "cold" | null;
};

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
  // What ends and begins again at once has not ended; in the other direction it is news.
  const same = ongoing !== null && quiet.ongoing?.direction === ongoing.direction;
  return same ? latched(context, ongoing) : quiet;
}

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
    return { ...base(context, best, plain), level: "normal", outlook, direction, ongoing: null, because: null };
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
    percent: best.observed < best.expected ? -best.percent : best.percent,
    slotsSummed: best.slots,
    gates: best.gates,
  };
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
