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
import { centreAt, quietReach, usableCount, usableDaysMin } from "./detectors/baseline.ts";
import { forecastAt, type Outlook } from "./detectors/forecast.ts";
import { ended, incidentReach } from "./ended.ts";
import { onset } from "./math/onset.ts";
import {
  type Context,
  directionOf,
  gatesOf,
  type Kind,
  kindOf,
  levelOf,
  onsetNats,
  percentOf,
  type Reading,
  type Readings,
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
  const context: Context = { cells, place, judging, kind: kindOf(cells, place, judging) };
  if (Number.isNaN(cells.values[place.now])) return unknown(context, ongoing);
  // Without a baseline nobody could ever tell the end.
  if (usableCount(cells, place) < usableDaysMin) return unknown(context, null);
  if (ongoing !== null && !ended(context, ongoing)) return latched(context, ongoing);
  const quiet = outside(context);
  // What ends and begins again at once has not ended; in the other direction it is news.
  const same = ongoing !== null && quiet.ongoing?.direction === ongoing.direction;
  return same ? latched(context, ongoing) : quiet;
}

/** No value, or nothing to compare it with. What goes on without a value goes on. */
function unknown({ cells, place, judging, kind }: Context, ongoing: Ongoing | null): Decision {
  const value = cells.values[place.now] as number;
  const missing = Number.isNaN(value);
  const centre = centreAt(cells, place, 0, judging.baseline.trim);
  return {
    state: stateOf(value),
    level: "unknown",
    kind,
    observed: missing ? null : value,
    expected: Number.isNaN(centre) ? null : centre,
    lower: null,
    upper: null,
    outlook: forecastAt(cells, place, judging.forecast.points, 0),
    evidence: 0,
    percent: 0,
    slotsSummed: 1,
    gates: [],
    direction: ongoing?.direction ?? null,
    ongoing,
    because: missing ? "missing" : "cold",
  };
}

/** @param value NaN = no value */
export function stateOf(value: number): DataState {
  if (Number.isNaN(value)) return "missing";
  return value === 0 ? "zero" : "value";
}

/** Outside an incident: does one begin? */
function outside(context: Context): Decision {
  const { cells, place, judging, kind } = context;
  const points = judging.forecast.points;
  const read = readings(context, quietReach(cells, place));
  const direction = directionOf(read.best.observed, read.best.expected);
  const gates = gatesOf(context, read.best);
  const conclude = (level: Level, outlook: Outlook, ongoing: Ongoing | null, because: Decision["because"]) =>
    conclusion(context, read, { level, outlook, gates, direction, ongoing, because });
  if (gates.some((gate) => !gate.passed)) return conclude("normal", forecastAt(cells, place, points, 0), null, null);
  const trouble = begin(context, read.best, direction);
  const outlook = forecastAt(cells, place, points, Math.min(trouble.slots, points, sumSlotsMax) - 1);
  const explained = outlook.kind === "value" && explains(outlook.value, read.best, kind, judging);
  if (explained) return conclude("normal", outlook, null, "forecast");
  return conclude(levelOf(read.best, judging), outlook, trouble.ongoing, null);
}

/** Inside an incident that has not ended. */
function latched(context: Context, before: Ongoing): Decision {
  const { cells, place, judging } = context;
  const read = readings(context, incidentReach(place, before));
  const lost = read.plain.expected / read.plain.slots - (cells.values[place.now] as number);
  return conclusion(context, read, {
    level: levelOf(read.best, judging),
    outlook: forecastAt(cells, place, judging.forecast.points, 0),
    gates: gatesOf(context, read.best),
    direction: before.direction,
    ongoing: { ...before, loss: finite(before.loss + lost) },
    because: "latched",
  });
}

type Finding = Pick<Decision, "level" | "outlook" | "gates" | "direction" | "ongoing" | "because">;

function conclusion(context: Context, read: Readings, finding: Finding): Decision {
  const { best, plain } = read;
  const value = context.cells.values[context.place.now] as number;
  const expected = plain.expected / plain.slots;
  const half = bandHalf(context, read, expected);
  const lower = expected - half;
  return {
    state: stateOf(value),
    level: finding.level,
    kind: context.kind,
    observed: value,
    expected,
    lower: context.kind === "count" ? Math.max(0, lower) : lower,
    upper: expected + half,
    outlook: finding.outlook,
    evidence: best.evidence,
    percent: best.observed < best.expected ? -best.percent : best.percent,
    slotsSummed: best.slots,
    gates: finding.gates,
    direction: finding.direction,
    ongoing: finding.ongoing,
    because: finding.because,
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

/** How far from the expectation is still normal: the relative floor, or noise of the threshold's strength. */
function bandHalf({ judging, kind }: Context, { plain, longest }: Readings, expected: number): number {
  const relative = (judging.floor.percent / 100) * Math.abs(expected);
  // z^2 / 2 nats = z deviations.
  const noise =
    kind === "count"
      ? Math.sqrt(2 * onsetNats * slotVariance(longest, expected))
      : onsetNats * Math.sqrt(plain.variance / 2);
  return Math.max(relative, noise, plain.slots === 1 && kind !== "ratio" ? judging.floor.absolute : 0);
}

/**
 * Variance of one slot's count, m + phi m^2 as a negative binomial has it; 0 where negative values among the counts
 * leave less than nothing. The overdispersion phi is taken from the longest sum: a handful of days says little of the
 * noise of a thin slot, and would make the band jump.
 */
function slotVariance({ expected: sum, variance }: Reading, expected: number): number {
  const phi = sum > 0 ? finite(Math.max(0, (variance / sum - 1) / sum)) : 0;
  return Math.max(0, expected + phi * expected ** 2);
}
