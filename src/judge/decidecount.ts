/** Counts: evidence summed over many slots, against days of the same kind. */
import type { Direction } from "../core/model.ts";
import { acceptedOf } from "./accepted.ts";
import { type Before, type Ongoing, reachOf } from "./cells.ts";
import { type Decision, stateOf } from "./decision.ts";
import { clamp, countReadings, type Range, slotNoise } from "./detectors/counts.ts";
import { learnt, levelOf as levelNow } from "./detectors/level.ts";
import { type Reading, type Readings, strongest } from "./detectors/readings.ts";
import { type Expectation, expectationAt } from "./detectors/references.ts";
import { badRatio, betterNats, closeNats, noRecovery, recovered } from "./ended.ts";
import { onset } from "./math/onset.ts";
import {
  type Context,
  directionOf,
  evidenceOf,
  gatesOf,
  levelOf,
  noiseHalf,
  opens,
  outlookOf,
  passesFloors,
  signedPercent,
} from "./reading.ts";

/** One slot, and what is known of it before the incident of before is looked at. */
type Slot = {
  readonly context: Context;
  readonly before: Before;
  readonly plan: Expectation;
  readonly range: Range;
  readonly readings: Readings<Reading>;
};

/** Null where there is no value, or nothing to compare it with. */
export function decideCount(context: Context, before: Before): Decision | null {
  const { cells, place } = context;
  if (Number.isNaN(cells.values[place.now])) return null;
  const plan = expectationAt(cells, place);
  if (plan === null) return null;
  const level = levelNow(before.memory.level);
  const range = { least: plan.lower * level, most: plan.upper * level };
  const reach = reachOf(place, before);
  const enough = (observed: number, expected: number) => passesFloors(context, observed, expected);
  const readings = countReadings(cells, place, { plan, range, reach }, enough);
  const slot = { context, before, plan, range, readings };
  return before.ongoing === null ? outside(slot) : inside(slot, before.ongoing);
}

/** Outside an incident: does one begin? */
function outside(slot: Slot): Decision {
  const { context, readings } = slot;
  const begins = (reading: Reading | null) => (opens(context, reading) && !isOver(slot, reading) ? reading : null);
  const found = strongest({ up: begins(readings.up), down: begins(readings.down) });
  if (found !== null) return begun(slot, found);
  const best = strongest(readings);
  return quiet(slot, opens(context, best) ? null : best);
}

/** A long sum still holds a trouble that has passed: what would end at once does not begin. */
function isOver(slot: Slot, best: Reading): boolean {
  const direction = best.observed > best.expected ? "up" : "down";
  let recovery = noRecovery(best);
  for (let back = best.reach - 1; back >= 0; back -= 1) {
    const { observed, range } = slotAt(slot, back);
    if (!Number.isNaN(observed)) recovery = recovered(recovery, observed, range, direction);
  }
  return recovery.nats >= closeNats;
}

/** Inside one: does it turn round, end, become the new normal, or go on? */
function inside(slot: Slot, ongoing: Ongoing): Decision {
  const { context, readings } = slot;
  const against = ongoing.direction === "up" ? readings.down : readings.up;
  if (opens(context, against)) return begun(slot, against);
  const observed = context.cells.values[context.place.now] as number;
  const before = slot.before.memory.recovery ?? noRecovery({ observed: 0, expected: 0 });
  const recovery = recovered(before, observed, slot.range, ongoing.direction);
  if (recovery.nats >= closeNats) return quiet(slot, null);
  const accepted = acceptedOf(context.place, ongoing, badRatio(recovery));
  if (accepted !== null) {
    const decision = quiet(slot, null);
    const memory = { level: { observed: 0, expected: 0 } };
    return { ...decision, level: "normal", because: "accepted", accepted, memory };
  }
  const lost = clamp(observed, slot.range.least, slot.range.most) - observed;
  const along = (ongoing.direction === "up" ? readings.up : readings.down) ?? readings.plain;
  return concluded(slot, along, {
    level: levelOf(signedPercent(along.observed, along.expected), context),
    direction: ongoing.direction,
    ongoing: { ...ongoing, loss: finite(ongoing.loss + lost) },
    because: recovery.nats < betterNats ? "latched" : "recovering",
    memory: { level: slot.before.memory.level, recovery },
  });
}

function quiet(slot: Slot, best: Reading | null): Decision {
  const { context, before, plan, readings } = slot;
  const observed = context.cells.values[context.place.now] as number;
  const level = learnt(before.memory.level, { observed, expected: plan.centre }, readings.doubt, context.place.stepMs);
  const reading = best ?? readings.plain;
  const direction = directionOf(reading.observed, reading.expected);
  const found = { ongoing: null, memory: { level } };
  const drift = driftOf(context);
  if (drift === null) return concluded(slot, reading, { ...found, level: "normal", direction, because: null });
  return concluded(slot, reading, { ...found, level: "warning", direction: drift, because: "drift" });
}

/** A baseline that moves along never sees a slow drift; whole weeks do. Null: nobody asked, or there is none. */
function driftOf({ cells, judging }: Context): Direction | null {
  const { drift: asked, direction: wanted } = judging;
  if (asked === undefined || !(Math.abs(cells.drift) >= asked)) return null;
  const direction = cells.drift > 0 ? "up" : "down";
  return wanted === "both" || wanted === direction ? direction : null;
}

function begun(slot: Slot, best: Reading): Decision {
  const { context } = slot;
  return concluded(slot, best, {
    level: levelOf(signedPercent(best.observed, best.expected), context),
    direction: directionOf(best.observed, best.expected),
    ongoing: beginning(slot, best),
    because: null,
    memory: { level: slot.before.memory.level, recovery: noRecovery(best) },
  });
}

/** Where the trouble began, and what it has cost. */
function beginning(slot: Slot, best: Reading): Ongoing {
  const { place } = slot.context;
  const observed: number[] = [];
  const expected: number[] = [];
  for (let back = 0; back < best.reach; back += 1) {
    const one = slotAt(slot, back);
    observed.push(one.observed);
    expected.push(clamp(one.observed, one.range.least, one.range.most));
  }
  const slots = onset(observed, expected, best.reach);
  let loss = 0;
  for (let back = 0; back < slots; back += 1) {
    if (!Number.isNaN(observed[back])) loss += (expected[back] as number) - (observed[back] as number);
  }
  const direction = best.observed > best.expected ? "up" : "down";
  return { sinceMs: place.timeMs - (slots - 1) * place.stepMs, loss: finite(loss), direction };
}

/** A slot so far back, and what was expected of it; NaN came where nothing was, or it has no value. */
function slotAt({ context, range }: Slot, back: number): { readonly observed: number; readonly range: Range } {
  const { cells, place } = context;
  const cell = place.now - back;
  const own = back === 0 ? range : { least: cells.least[cell] as number, most: cells.most[cell] as number };
  return { observed: Number.isNaN(own.least) ? Number.NaN : (cells.values[cell] as number), range: own };
}

type Finding = Pick<Decision, "level" | "direction" | "ongoing" | "because" | "memory">;

function concluded(slot: Slot, reading: Reading, finding: Finding): Decision {
  const { context, plan, range } = slot;
  const { cells, place } = context;
  const observed = cells.values[place.now] as number;
  const evidence = evidenceOf(context, reading);
  const level = levelNow(slot.before.memory.level);
  return {
    state: stateOf(observed),
    kind: context.kind,
    observed,
    expected: plan.centre * level,
    lower: Math.max(0, range.least - bandHalf(context, range.least)),
    upper: range.most + bandHalf(context, range.most),
    outlook: outlookOf(context, finding.ongoing),
    evidence,
    percent: signedPercent(reading.observed, reading.expected),
    slotsSummed: reading.reach,
    trials: null,
    gates: gatesOf(context, reading.observed, reading.expected, evidence),
    range,
    drift: Number.isNaN(cells.drift) ? null : cells.drift,
    accepted: null,
    ...finding,
  };
}

/** How far from the expectation one slot alone is still normal: the floors, or noise as strong as the threshold. */
function bandHalf(context: Context, expected: number): number {
  const { floor } = context;
  const noise = noiseHalf(context, expected + slotNoise * expected ** 2);
  return Math.max((floor.percent / 100) * expected, noise, floor.absolute);
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}
