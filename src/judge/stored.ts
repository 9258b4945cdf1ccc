/** Verdicts as they are stored, and what judging reads back of them. */
import {
  type FieldValue,
  type JudgeMemory,
  levelNumbers,
  type Point,
  type Recovery,
  type Tails,
  type Verdict,
} from "../core/model.ts";
import type { Accepted } from "./accepted.ts";
import type { Range } from "./detectors/counts.ts";

/** Name of the measurement that holds the verdicts on `measurement`. */
export function verdictMeasurement(measurement: string): string {
  return `${measurement}_verdict`;
}

/** What {@link leftIn} needs. */
export const leftFields = ["expected", "memory"] as const;

/**
 * A verdict as it is stored: measurement `<measurement>_verdict`, the series' tags and `field`, time of the slot.
 * Numbers that are absent are left out. `since`, `loss` and `direction` are there while something is going on, in slots
 * that have a value; `since` is 0 where it ends. From them alone, from what was expected of the newest slots and from
 * what the newest verdict left in `memory` the next slot is judged, after a restart too.
 * `accepted` is there where something ends: since when, and by what the days before are to be multiplied, if it is the
 * new normal. `part` is there in the first slot after each two hours: their sum, for the ratios of weekdays.
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
    part: verdict.part === undefined ? null : (verdict.part ?? unknownPart),
  };
  for (const [name, value] of Object.entries(numbers)) {
    if (value !== null && Number.isFinite(value)) fields[name] = value;
  }
  if (revises || verdict.closes === true) fields.accepted = acceptedText(verdict);
  if (verdict.observed !== null && verdict.memory !== undefined) fields.memory = memoryText(verdict);
  if (goesOn && verdict.direction !== null) fields.direction = verdict.direction;
  if (revises || verdict.state === "late" || verdict.state === "source-down") fields.state = verdict.state;
  return {
    measurement: verdictMeasurement(series.measurement),
    tags: { ...series.tags, field: series.field },
    fields,
    timeMs: verdict.timeMs,
  };
}

/**
 * One field, so that a slot judged again leaves nothing of what was remembered before: `range LEAST MOST`,
 * `level OBSERVED EXPECTED`, `bad OBSERVED EXPECTED NATS OBSERVED EXPECTED` and of a ratio
 * `of TRIALS TRIALS`, `tails POINTS RISES SUM DROPS SUM`, `calm SLOTS`, each where there is one. A range that is
 * one number is `expected` itself.
 */
function memoryText({ expected, range, memory = {} }: Verdict): string {
  const { level, recovery, tails, calm } = memory;
  const parts: (string | number)[] = [];
  if (range === undefined) parts.push("none");
  else if (range.least !== expected || range.most !== expected) parts.push("range", range.least, range.most);
  if (level !== undefined) parts.push("level", level.observed, level.expected);
  if (recovery !== undefined) {
    const { bad, nats, better } = recovery;
    parts.push("bad", bad.observed, bad.expected, nats, better.observed, better.expected);
    if (bad.trials !== undefined) parts.push("of", bad.trials, better.trials ?? 0);
  }
  if (tails !== undefined) {
    const { points, rises, drops } = tails;
    parts.push("tails", points, rises.peaks, rises.sum, drops.peaks, drops.sum);
  }
  if (calm !== undefined) parts.push("calm", calm);
  return parts.join(" ");
}

/** `SINCE RATIO`, or nothing where what ends did not become the new normal. */
function acceptedText({ accepted }: Verdict): string {
  return accepted === undefined ? "" : `${accepted.sinceMs} ${accepted.ratio}`;
}

/** Null: nothing became the new normal at `atMs`. */
export function acceptedIn(stored: unknown, atMs: number): Accepted | null {
  if (typeof stored !== "string") return null;
  const [sinceMs = Number.NaN, ratio = Number.NaN] = stored.split(" ").map(Number);
  return sinceMs > 0 && ratio > 0 ? { atMs, sinceMs, ratio } : null;
}

/** A part of which too little is known is stored as such, so that nothing older stays. */
const unknownPart = -1;

/** NaN: too little is known of it. */
export function partIn(stored: unknown): number {
  return typeof stored === "number" && stored >= 0 ? stored : Number.NaN;
}

/** What a verdict leaves for the slots after it. */
export type Left = {
  /** What was expected of the slot, at least and at most; null: nothing. */
  readonly range: Range | null;
  /** Null: nothing is remembered. */
  readonly memory: JudgeMemory | null;
};

/** @param fields of one verdict as they were read; any may be absent */
export function leftIn({ expected, memory }: Readonly<Record<string, unknown>>): Left {
  if (typeof memory !== "string") return { range: null, memory: null };
  const words = memory.split(" ");
  const [least, most] = numbersAfter(words, "range", 2) ?? [expected, expected];
  const known = !words.includes("none") && typeof least === "number" && typeof most === "number";
  return { range: known ? { least, most } : null, memory: memoryIn(words) };
}

function memoryIn(words: readonly string[]): JudgeMemory | null {
  const [level, bad, trials, tails, calm] = [
    numbersAfter(words, "level", 2),
    numbersAfter(words, "bad", 5),
    numbersAfter(words, "of", 2),
    numbersAfter(words, "tails", 5),
    numbersAfter(words, "calm", 1),
  ];
  const memory = {
    ...(level === null ? {} : { level: { observed: at(level, 0), expected: at(level, 1) } }),
    ...(bad === null ? {} : { recovery: recoveryOf(bad, trials) }),
    ...(tails === null ? {} : { tails: tailsOf(tails) }),
    ...(calm === null ? {} : { calm: at(calm, 0) }),
  };
  return Object.keys(memory).length === 0 ? null : memory;
}

function recoveryOf(numbers: readonly number[], trials: readonly number[] | null): Recovery {
  const of = (index: number) => (trials === null ? {} : { trials: at(trials, index) });
  const bad = { observed: at(numbers, 0), expected: at(numbers, 1), ...of(0) };
  return { bad, nats: at(numbers, 2), better: { observed: at(numbers, 3), expected: at(numbers, 4), ...of(1) } };
}

function tailsOf(numbers: readonly number[]): Tails {
  const rises = { peaks: at(numbers, 1), sum: at(numbers, 2) };
  return { points: at(numbers, 0), rises, drops: { peaks: at(numbers, 3), sum: at(numbers, 4) } };
}

function at(numbers: readonly number[], index: number): number {
  return numbers[index] as number;
}

/** The `count` numbers after a name; null where they are not there. */
function numbersAfter(words: readonly string[], name: string, count: number): number[] | null {
  const place = words.indexOf(name);
  if (place < 0) return null;
  const numbers = words.slice(place + 1, place + 1 + count).map(Number);
  return numbers.length === count && numbers.every(Number.isFinite) ? numbers : null;
}
