import type { FieldJudging, Sampler } from "../core/definitions.ts";
import type { Point, SeriesId, Verdict } from "../core/model.ts";
import { reshapes } from "./campaigns.ts";
import { type Cells, cellValue, type Ongoing, type Place } from "./cells.ts";
import type { ZoneDays } from "./days.ts";
import { type Decision, stateOf } from "./decision.ts";
import { baselineOf } from "./detectors/baseline.ts";
import { forecastOf } from "./detectors/forecast.ts";
import { lackingAt } from "./lacking.ts";
import type { Part } from "./parts.ts";
import { sentence, sentenceWithout } from "./sentence.ts";

export type About = {
  readonly sampler: string;
  readonly series: SeriesId;
  readonly judging: FieldJudging;
  readonly clock: ZoneDays;
  /** What was going on before this slot. */
  readonly before: Ongoing | null;
  /** The part of the day that ends right before the slot. */
  readonly part: Part | null;
  /** Whether this slot's own earlier verdict, if there was one, was part of an incident or closed one. */
  readonly wasInIncident: boolean;
};

/** A decision with everything that a person may ask about it. */
export function verdictOf(decision: Decision, cells: Cells, place: Place, about: About): Verdict {
  const { judging, series, before } = about;
  const days = place.days.slice(0, judging.baseline.days);
  const starts = days.map((_, index) => about.clock.beforeMs(place.timeMs, index + 1));
  const baseline = baselineOf(cells, place, judging.baseline, starts);
  const forecast = forecastOf(decision.outlook);
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
    lacking: decision.because === "cold" ? lackingAt(cells, place, decision.kind, judging) : null,
    campaign: campaignOf(place, decision, judging),
    clock: about.clock,
  });
  return {
    sampler: about.sampler,
    series,
    timeMs,
    stepMs: place.stepMs,
    state: decision.state,
    level: decision.level,
    kind: decision.kind,
    ...(decision.drift === null ? {} : { drift: decision.drift }),
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
    // A sum of ratios is no loss.
    lossSoFar: decision.kind === "ratio" ? null : (decision.ongoing?.loss ?? null),
    slotsSummed: decision.slotsSummed,
    ...(decision.trials === null ? {} : { trials: decision.trials }),
    ...(closes ? { closes } : {}),
    range: decision.range ?? undefined,
    memory: decision.memory,
    ...(decision.accepted === null
      ? {}
      : { accepted: { sinceMs: decision.accepted.sinceMs, ratio: decision.accepted.ratio } }),
    ...(about.part === null ? {} : { part: Number.isNaN(about.part.sum) ? null : about.part.sum }),
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

/** Title of the campaign that what is expected comes from. */
function campaignOf({ campaign }: Place, { kind }: Decision, { denominator }: FieldJudging): string | null {
  return campaign !== undefined && reshapes(campaign, kind, denominator !== undefined) ? campaign.title : null;
}
