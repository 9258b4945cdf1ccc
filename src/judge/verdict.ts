import type { FieldJudging, Sampler } from "../core/definitions.ts";
import { type FieldValue, levelNumbers, type Point, type SeriesId, type Verdict } from "../core/model.ts";
import { type Cells, cellValue, type Ongoing, type Place } from "./cells.ts";
import type { ZoneDays } from "./days.ts";
import { type Decision, stateOf } from "./decide.ts";
import { baselineOf } from "./detectors/baseline.ts";
import { forecastOf } from "./detectors/forecast.ts";
import { sentence, sentenceWithout } from "./sentence.ts";

export type About = {
  readonly sampler: string;
  readonly series: SeriesId;
  readonly judging: FieldJudging;
  readonly clock: ZoneDays;
  /** What was going on before this slot. */
  readonly before: Ongoing | null;
  /** Whether this slot's own earlier verdict, if there was one, was part of an incident or closed one. */
  readonly wasInIncident: boolean;
};

/** A decision with everything that a person may ask about it. */
export function verdictOf(decision: Decision, cells: Cells, place: Place, about: About): Verdict {
  const { judging, series, before } = about;
  const starts = place.days.map((_, index) => about.clock.beforeMs(place.timeMs, index + 1));
  const baseline = baselineOf(cells, place, judging.baseline.trim, starts);
  const forecast = forecastOf(decision.outlook, judging.forecast.points);
  const closes = decision.ongoing === null && (before !== null || about.wasInIncident);
  const { timeMs } = place;
  const reason = sentence({
    decision,
    baseline,
    forecast,
    judging,
    field: series.field,
    timeMs,
    sinceMs: decision.ongoing?.sinceMs ?? before?.sinceMs ?? null,
    closes,
    clock: about.clock,
  });
  return {
    sampler: about.sampler,
    series,
    timeMs,
    stepMs: place.stepMs,
    state: decision.state,
    level: decision.level,
    observed: decision.observed,
    expected: decision.expected,
    lower: decision.lower,
    upper: decision.upper,
    forecast,
    baseline,
    evidence: decision.evidence,
    gates: decision.gates,
    direction: decision.direction,
    sinceMs: decision.ongoing?.sinceMs ?? null,
    lossSoFar: decision.ongoing?.loss ?? null,
    slotsSummed: decision.slotsSummed,
    ...(closes ? { closes } : {}),
    reason,
  };
}

/**
 * The verdict on one field of a point where there is no history to judge it by: `unknown`. It leaves no mark, so what
 * went on before goes on once there is history again.
 * @param without why, in words that follow "not judged:"
 */
export function verdictWithout(
  without: string,
  { tags, fields, timeMs }: Point,
  { sampler, field, clock }: { readonly sampler: Sampler; readonly field: string; readonly clock: ZoneDays },
): Verdict {
  const value = cellValue(fields[field]);
  const observed = Number.isNaN(value) ? null : value;
  return {
    sampler: sampler.name,
    series: { measurement: sampler.point.measurement, tags, field },
    timeMs,
    stepMs: sampler.schedule.stepMs,
    state: stateOf(value),
    level: "unknown",
    observed,
    expected: null,
    lower: null,
    upper: null,
    forecast: { value: null, abstained: "there is no history to forecast from" },
    baseline: { centre: null, spread: null, daysUsed: 0, daysTrimmed: 0, days: [] },
    evidence: 0,
    gates: [],
    direction: null,
    sinceMs: null,
    lossSoFar: null,
    slotsSummed: 1,
    reason: sentenceWithout(without, observed, field, clock.wallMs(timeMs)),
  };
}

/** Name of the measurement that holds the verdicts on `measurement`. */
export function verdictMeasurement(measurement: string): string {
  return `${measurement}_verdict`;
}

/**
 * A verdict as it is stored: measurement `<measurement>_verdict`, the series' tags and `field`, time of the slot.
 * Numbers that are absent are left out. `since`, `loss` and `direction` are there while something is going on, in slots
 * that have a value; `since` is 0 where it ends. From them alone the next slot, after a restart too, knows what goes on.
 * `state` is there where a value is absent and more is known than that: `late`, `source-down`.
 * @param revises true: an earlier verdict on this slot may be stored, whose `state` this one takes the place of
 */
export function verdictPoint(verdict: Verdict, revises = false): Point {
  const { series } = verdict;
  const fields: Record<string, FieldValue> = { level: levelNumbers[verdict.level], reason: verdict.reason };
  const goesOn = verdict.sinceMs !== null && verdict.observed !== null;
  const numbers = {
    observed: verdict.observed,
    expected: verdict.expected,
    lower: verdict.lower,
    upper: verdict.upper,
    forecast: verdict.forecast.value,
    evidence: verdict.evidence,
    since: verdict.closes === true ? 0 : goesOn ? verdict.sinceMs : null,
    loss: goesOn ? verdict.lossSoFar : null,
  };
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== null && Number.isFinite(value)) fields[name] = value;
  }
  if (goesOn && verdict.direction !== null) fields.direction = verdict.direction;
  if (revises || verdict.state === "late" || verdict.state === "source-down") fields.state = verdict.state;
  return {
    measurement: verdictMeasurement(series.measurement),
    tags: { ...series.tags, field: series.field },
    fields,
    timeMs: verdict.timeMs,
  };
}
