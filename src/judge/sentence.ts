/** The reason of a verdict: one plain sentence. */
import type { FieldJudging } from "../core/definitions.ts";
import type { Baseline, Forecast } from "../core/model.ts";
import type { ZoneDays } from "./days.ts";
import type { Decision } from "./decision.ts";
import { openNats } from "./reading.ts";

export type Facts = {
  readonly decision: Decision;
  readonly baseline: Baseline;
  readonly forecast: Forecast;
  readonly judging: FieldJudging;
  readonly field: string;
  readonly timeMs: number;
  /** Begin of what goes on, or of what just ended; null = nothing. */
  readonly sinceMs: number | null;
  readonly closes: boolean;
  /** Where it was not judged, what there is too little of for that. */
  readonly lacking: string | null;
  /** Title of the campaign that runs; null = none. */
  readonly campaign: string | null;
  readonly clock: ZoneDays;
};

/**
 * `0 orders at 14:05; 6.1 expected (7-day trimmed 6.2, forecast abstained: ...); 100 % below over 4 slots, since 14:02,
 * about 21 orders lost`. Times are the sampler's wall clock; the unit is the field's name.
 */
export function sentence(facts: Facts): string {
  const { decision, field, timeMs, clock } = facts;
  const at = timeOfDay(clock.wallMs(timeMs));
  if (decision.because === "missing") return missing(facts, at);
  const trials = decision.trials?.slot ?? null;
  const say = figureOf(decision);
  const of = trials === null ? "" : ` of ${figure(trials)} ${facts.judging.denominator}`;
  const head = `${say(decision.observed as number)} ${field}${of} at ${at}`;
  if (decision.because === "cold") return `${head}; not judged: ${facts.lacking}`;
  const { centre } = facts.baseline;
  const days = `${facts.judging.baseline.days}-day trimmed ${centre === null ? "unknown" : say(centre)}`;
  const during = facts.campaign === null ? "" : ` in ${facts.campaign}`;
  const expected = `${expectedText(decision)} expected${during} (${days}, ${outlook(facts)})`;
  return `${head}; ${expected}; ${finding(facts)}`;
}

/**
 * `12 orders at 14:05; not judged: its history could not be read (no server answers)`.
 * @param without why, in words that follow "not judged:"
 * @param wallMs of the slot, as {@link ZoneDays.wallMs} has it
 */
export function sentenceWithout(without: string, observed: number | null, field: string, wallMs: number): string {
  const what = observed === null ? `no ${field} known` : `${figure(observed)} ${field}`;
  return `${what} at ${timeOfDay(wallMs)}; not judged: ${without}`;
}

function missing(facts: Facts, at: string): string {
  const { expected } = facts.decision;
  const wanted = expected === null ? "" : `; ${figureOf(facts.decision)(expected)} expected`;
  const since = facts.sinceMs === null ? "" : `; the incident since ${moment(facts, facts.sinceMs)} goes on`;
  return `no ${facts.field} known at ${at}${wanted}; a missing value is not a zero${since}`;
}

/** From here to there where the days do not agree: it is the nearer end that a value is off. */
function expectedText(decision: Decision): string {
  const say = figureOf(decision);
  const { range, expected } = decision;
  const [least, most] = range === null ? ["", ""] : [say(range.least), say(range.most)];
  return least === most ? say(expected as number) : `${least} to ${most}`;
}

function outlook({ forecast, decision }: Facts): string {
  if (forecast.value === null) return `forecast abstained: ${forecast.abstained}`;
  return `forecast ${figureOf(decision)(forecast.value)}`;
}

function finding(facts: Facts): string {
  const { decision } = facts;
  if (decision.because === "drift") {
    const drift = decision.drift as number;
    const side = drift > 0 ? "more" : "less";
    return `as expected, but ${Math.round(Math.abs(drift))} % ${side} in the last seven days than in the seven before`;
  }
  if (decision.level !== "normal") {
    const off = decision.gates.find((gate) => gate.name === "relative")?.passed === true;
    const early = decision.because === "recovering" || (decision.because === "latched" && !off);
    return `${difference(decision)}${early ? ", too early to call it over" : ""}${sinceAndLoss(facts)}`;
  }
  if (decision.because === "accepted") {
    return `taken for the new normal, after being off since ${moment(facts, facts.sinceMs as number)}`;
  }
  if (facts.closes && facts.sinceMs === null) return "as expected, no longer part of an incident";
  if (facts.closes) return `as expected again, after trouble since ${moment(facts, facts.sinceMs as number)}`;
  const failed = decision.gates.find((gate) => !gate.passed);
  // Only where the percentage stands out does a reader wonder what held it back.
  const relative = decision.gates.find((gate) => gate.name === "relative");
  const stands = relative?.passed === true && (relative.needed > 0 || decision.evidence >= openNats / 2);
  if (!stands || failed === undefined) return `as expected${over(decision)}`;
  return `${difference(decision)}, but ${held(failed.name, failed.measured, failed.needed)}`;
}

function held(name: string, measured: number, needed: number): string {
  switch (name) {
    case "absolute":
      return `only ${figure(measured)} off, ${figure(needed)} needed`;
    case "volume":
      return `only ${figure(measured)} at stake, ${figure(needed)} needed to judge`;
    case "evidence":
      return `that may be chance: evidence ${measured.toFixed(1)} of ${openNats} nats`;
    default:
      return "in the direction that does not matter";
  }
}

function difference(decision: Decision): string {
  const side = decision.percent > 0 ? "above" : "below";
  const percent = Math.round(Math.abs(decision.percent));
  // Of next to nothing expected, a percentage says nothing.
  if (percent >= 100_000) return `far ${side}${over(decision)}`;
  return `${percent} % ${side}${over(decision)}`;
}

function over({ slotsSummed, trials }: Decision): string {
  const of = trials === null ? "" : `, ${figure(trials.summed)} in all`;
  return slotsSummed === 1 ? "" : ` over ${slotsSummed} slots${of}`;
}

function sinceAndLoss(facts: Facts): string {
  const { ongoing, kind } = facts.decision;
  if (ongoing === null) return "";
  const since = `, since ${moment(facts, ongoing.sinceMs)}`;
  // A sum of ratios is no loss.
  if (kind === "ratio" || figure(Math.abs(ongoing.loss)) === "0") return since;
  const word = ongoing.loss > 0 ? "lost" : "more than usual";
  return `${since}, about ${figure(roundedLoss(ongoing.loss))} ${facts.field} ${word}`;
}

/** "About": whole units, of thousands only three digits. */
function roundedLoss(loss: number): number {
  const size = Math.abs(loss);
  return size < 1 ? size : Number(Math.round(size).toPrecision(Math.max(3, Math.ceil(Math.log10(size + 1)) - 2)));
}

/** The time of day, with the date where it is another day than the slot's. */
function moment(facts: Facts, timeMs: number): string {
  const wallMs = facts.clock.wallMs(timeMs);
  const sameDay = dateOf(wallMs) === dateOf(facts.clock.wallMs(facts.timeMs));
  return sameDay ? timeOfDay(wallMs) : `${dateOf(wallMs)} ${timeOfDay(wallMs)}`;
}

function dateOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10);
}

/** With seconds where they are not zero: slots may be shorter than a minute. */
function timeOfDay(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(11, wallMs % 60_000 === 0 ? 16 : 19);
}

function figureOf({ kind }: Decision): (value: number) => string {
  return kind === "ratio" ? shareFigure : figure;
}

/** 99.93 % is not all: two digits of whichever is nearer, nothing or all. */
function shareFigure(value: number): string {
  const near = Math.min(value, 1 - value);
  if (!(near > 0)) return figure(value);
  return String(Number(value.toFixed(Math.min(12, 1 - Math.floor(Math.log10(near))))));
}

/** A number as people say it: whole from 100 on, one decimal below, two digits below 1. */
function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e15) return value.toExponential(2);
  if (Number.isInteger(value)) return String(value);
  if (size >= 100) return String(Math.round(value));
  if (size >= 1) return String(Number(value.toFixed(1)));
  return size < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(2)));
}
