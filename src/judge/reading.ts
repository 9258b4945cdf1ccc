/** How a field is judged: what kind its numbers are, which differences matter, and how much evidence is asked for. */
import type { FieldJudging } from "../core/definitions.ts";
import type { Direction, Gate, JudgeMemory, Level } from "../core/model.ts";
import type { Cells, Ongoing, Place } from "./cells.ts";
import { forecastAt, type Outlook } from "./detectors/forecast.ts";
import type { Reading } from "./detectors/readings.ts";
import { type Kind, kindOf } from "./kind.ts";

/** Evidence that opens an incident at `sensitivity: normal`, in nats. See docs/judging.md for how often chance reaches it. */
export const openNats = 12;

/**
 * One word for one threshold: evidence is multiplied by this and then compared with {@link openNats}, so that 12 nats
 * always are what matters.
 */
const sensitivities = { low: 0.75, normal: 1, high: 4 / 3 } as const;

/** Percentages are cut here: of an expectation of zero everything is infinitely far. */
const percentMax = 1e6;

/** What a field's differences must reach where its definition does not say; a gauge says by its own surprises. */
const floors = {
  count: { percent: 20, absolute: 3, volume: 3 },
  gauge: { percent: 0, absolute: 0, volume: 0 },
  ratio: { percent: 0, absolute: 0, volume: 0 },
} as const;

type Floor = {
  readonly percent: number;
  readonly criticalPercent: number;
  readonly absolute: number;
  readonly volume: number;
};

/** One slot of one series, to be judged. */
export type Context = {
  readonly cells: Cells;
  readonly place: Place;
  readonly judging: FieldJudging;
  readonly kind: Kind;
  readonly floor: Floor;
};

export function contextOf(cells: Cells, place: Place, judging: FieldJudging, memory: JudgeMemory): Context {
  const kind = kindOf(cells, place, judging, memory);
  const { criticalPercent, percent, absolute, volume } = judging.floor;
  const usual = floors[kind];
  const floor = {
    criticalPercent,
    percent: percent ?? usual.percent,
    absolute: absolute ?? usual.absolute,
    volume: volume ?? usual.volume,
  };
  return { cells, place, judging, kind, floor };
}

export function sensitivityOf({ sensitivity = "normal" }: FieldJudging): number {
  return sensitivities[sensitivity];
}

/** What is compared with {@link openNats}; 0 where there is no sum. */
export function evidenceOf({ judging }: Context, reading: Reading | null): number {
  return reading === null ? 0 : reading.evidence * sensitivityOf(judging);
}

export function opens<R extends Reading>(context: Context, reading: R | null): reading is R {
  return evidenceOf(context, reading) >= openNats;
}

/** How far from what is expected one number of this variance is still normal: z^2 / 2 nats = z deviations. */
export function noiseHalf({ judging }: Context, variance: number): number {
  return Math.sqrt((2 * openNats * variance) / sensitivityOf(judging));
}

/** What the forecast says, which learns nothing from what goes on. */
export function outlookOf({ cells, place, judging }: Context, ongoing: Ongoing | null): Outlook {
  const skip = ongoing === null ? 0 : Math.round((place.timeMs - ongoing.sinceMs) / place.stepMs);
  return forecastAt(cells, place, judging.forecast.points, skip);
}

/** All gates but that of evidence, without saying which. */
export function passesFloors(context: Context, observed: number, expected: number): boolean {
  const { direction } = context.judging;
  const { floor } = context;
  return (
    percentOf(observed - expected, expected) >= floor.percent &&
    differenceOf(context, observed, expected) >= floor.absolute &&
    (context.kind === "ratio" || volumeOf(observed, expected) >= floor.volume) &&
    (direction === "both" || direction === directionOf(observed, expected))
  );
}

/** A ratio's difference is measured in percentage points. */
function differenceOf({ kind }: Context, observed: number, expected: number): number {
  return (kind === "ratio" ? 100 : 1) * Math.abs(observed - expected);
}

/** What is at stake: what was expected, or what came instead. */
function volumeOf(observed: number, expected: number): number {
  return Math.max(Math.abs(observed), Math.abs(expected));
}

/** Each gate with what was measured and what it wants; a ratio has no volume of its own. */
export function gatesOf(context: Context, observed: number, expected: number, evidence: number): Gate[] {
  const { floor, kind } = context;
  const { direction } = context.judging;
  const gates = [
    gate("relative", percentOf(observed - expected, expected), floor.percent),
    gate("absolute", differenceOf(context, observed, expected), floor.absolute),
  ];
  if (kind !== "ratio") gates.push(gate("volume", volumeOf(observed, expected), floor.volume));
  gates.push(gate("evidence", evidence, openNats));
  if (direction !== "both") {
    const measured = Math.sign(observed - expected);
    const needed = direction === "up" ? 1 : -1;
    gates.push({ name: "direction", passed: measured === needed, measured, needed });
  }
  return gates;
}

function gate(name: Gate["name"], measured: number, needed: number): Gate {
  return { name, passed: measured >= needed, measured, needed };
}

function percentOf(difference: number, expected: number): number {
  if (difference === 0) return 0;
  return Math.min((100 * Math.abs(difference)) / Math.abs(expected), percentMax);
}

/** Above is positive. */
export function signedPercent(observed: number, expected: number): number {
  const percent = percentOf(observed - expected, expected);
  return observed < expected ? -percent : percent;
}

export function directionOf(observed: number, expected: number): Direction | null {
  if (observed === expected) return null;
  return observed > expected ? "up" : "down";
}

export function levelOf(percent: number, { floor }: Context): Level {
  return Math.abs(percent) >= floor.criticalPercent ? "critical" : "warning";
}
