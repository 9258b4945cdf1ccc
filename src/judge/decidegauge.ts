/** Gauges: the surprise of the slot alone, against that of past days at this time. */
import type { Before, Ongoing } from "./cells.ts";
import { type Decision, stateOf } from "./decision.ts";
import { type Jump, jumpAt } from "./detectors/jumps.ts";
import {
  type Context,
  gatesOf,
  levelOf,
  openNats,
  outlookOf,
  passesFloors,
  sensitivityOf,
  signedPercent,
} from "./reading.ts";

/** An incident goes on while surprises are at least this part of the one demanded, and so many calm slots end it. */
const calmScore = 0.5;
const calmSlots = 3;

/** Null where there is no value, or nothing to compare it with. */
export function decideGauge(context: Context, before: Before): Decision | null {
  const { cells, place, judging } = context;
  const observed = cells.values[place.now] as number;
  const jump = jumpAt(cells, place, before.memory.tails, { sensitivity: sensitivityOf(judging), kind: context.kind });
  if (jump === null) return null;
  const alarms = jump.score >= 1 && passesFloors(context, observed, jump.expected);
  const lasts = alarms || lastsAt(jump, before.ongoing);
  const calm = lasts ? 0 : (before.memory.calm ?? 0) + 1;
  const ongoing = alarms ? begun(context, before.ongoing, jump) : goesOn(context, before.ongoing, jump, calm);
  const percent = signedPercent(observed, jump.expected);
  const evidence = jump.score * openNats;
  return {
    state: stateOf(observed),
    level: ongoing === null ? "normal" : levelOf(percent, context),
    kind: context.kind,
    observed,
    expected: jump.expected,
    lower: Number.isFinite(jump.lower) ? jump.lower : null,
    upper: Number.isFinite(jump.upper) ? jump.upper : null,
    outlook: outlookOf(context, ongoing),
    evidence,
    percent,
    slotsSummed: 1,
    trials: null,
    gates: gatesOf(context, observed, jump.expected, evidence),
    direction: ongoing?.direction ?? (percent === 0 ? null : jump.direction),
    ongoing,
    because: ongoing === null || alarms ? null : lasts ? "latched" : "recovering",
    range: jump.range,
    drift: null,
    memory: { tails: jump.tails, ...(ongoing === null ? {} : { calm }) },
    accepted: null,
  };
}

/** What lies beyond on the other side does not keep an incident open. */
function lastsAt(jump: Jump, ongoing: Ongoing | null): boolean {
  return ongoing !== null && jump[ongoing.direction] >= calmScore;
}

/** A surprise in the other direction is the way back, or another incident: either way it is not the old one. */
function begun({ cells, place }: Context, before: Ongoing | null, jump: Jump): Ongoing {
  const { direction, expected } = jump;
  const lost = expected - (cells.values[place.now] as number);
  if (before !== null && before.direction === direction) return { ...before, loss: before.loss + lost };
  return { sinceMs: place.timeMs, loss: lost, direction };
}

function goesOn({ cells, place }: Context, before: Ongoing | null, jump: Jump, calm: number): Ongoing | null {
  if (before === null || calm >= calmSlots) return null;
  const lost = jump.expected - (cells.values[place.now] as number);
  return { ...before, loss: before.loss + lost };
}
