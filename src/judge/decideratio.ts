/** Ratios whose denominators are known: evidence of sums, against the rate of past days at this time. */
import type { Direction } from "../core/model.ts";
import { acceptedOf } from "./accepted.ts";
import { type Before, type Ongoing, reachOf } from "./cells.ts";
import { type Decision, stateOf } from "./decision.ts";
import { learnt } from "./detectors/level.ts";
import { oddsOf, rateToday } from "./detectors/odds.ts";
import { dispersionIn, type Rate, type RateReading, rateAt, rateReadings, slotAt } from "./detectors/rates.ts";
import { type Readings, strongest } from "./detectors/readings.ts";
import { betterNats, closeNats, noRecovery, ratioOver } from "./ended.ts";
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
  /** Expected by past days alone, and as today runs. */
  readonly usual: Rate;
  readonly plan: Rate;
  readonly readings: Readings<RateReading>;
};

/** Null where there is no value, or nothing to compare it with. */
export function decideRatio(context: Context, before: Before): Decision | null {
  const { cells, place } = context;
  if (Number.isNaN(cells.values[place.now])) return null;
  const usual = rateAt(cells, place);
  if (usual === null) return null;
  const plan = rateToday(usual, before.memory.level);
  const enough = (observed: number, expected: number) => passesFloors(context, observed, expected);
  const readings = rateReadings(cells, place, { plan, reach: reachOf(place, before) }, enough);
  const slot = { context, before, usual, plan, readings };
  return before.ongoing === null ? outside(slot) : inside(slot, before.ongoing);
}

/** Outside an incident: does one begin? */
function outside(slot: Slot): Decision {
  const { context, readings } = slot;
  const best = strongest(readings);
  return opens(context, best) ? begun(slot, best) : quiet(slot, best ?? readings.plain);
}

/** Inside one: does it turn round, end, become the new normal, or go on? */
function inside(slot: Slot, ongoing: Ongoing): Decision {
  const { context, before, plan, readings } = slot;
  const { plain, up, down } = readings;
  const { cells, place } = context;
  const against = ongoing.direction === "up" ? down : up;
  if (opens(context, against)) return begun(slot, against);
  const recovery = ratioOver(before.memory.recovery, slotAt(cells, place.now), plan, ongoing.direction);
  if (recovery.nats >= closeNats) return quiet(slot, plain);
  const accepted = acceptedOf(place, ongoing, recovery.bad.observed / recovery.bad.expected);
  if (accepted !== null) return { ...quiet(slot, plain), because: "accepted", accepted, memory: {} };
  const along = (ongoing.direction === "up" ? up : down) ?? plain;
  return concluded(slot, along, {
    level: levelOf(signedPercent(along.observed, along.expected), context),
    direction: ongoing.direction,
    ongoing,
    because: recovery.nats < betterNats ? "latched" : "recovering",
    memory: { level: before.memory.level, recovery },
  });
}

function quiet(slot: Slot, reading: RateReading): Decision {
  const { context, before, usual, readings } = slot;
  const { cells, place } = context;
  const own = slotAt(cells, place.now);
  const { level } = before.memory;
  const memory = { level: own === null ? level : learnt(level, oddsOf(own, usual), readings.doubt, place.stepMs) };
  const direction = directionOf(reading.observed, reading.expected);
  return concluded(slot, reading, { level: "normal", direction, ongoing: null, because: null, memory });
}

function begun(slot: Slot, reading: RateReading): Decision {
  const { context, before } = slot;
  const { observed, expected, trials } = reading;
  const direction = observed > expected ? "up" : "down";
  const recovery = noRecovery({ observed: observed * trials, expected: expected * trials, trials });
  return concluded(slot, reading, {
    level: levelOf(signedPercent(observed, expected), context),
    direction,
    ongoing: { sinceMs: beginningMs(slot, reading), loss: 0, direction },
    because: null,
    memory: { level: before.memory.level, recovery },
  });
}

/** Where the trouble began, in numerators. */
function beginningMs({ context: { cells, place }, plan }: Slot, { reach }: RateReading): number {
  const observed: number[] = [];
  const expected: number[] = [];
  for (let back = 0; back < reach; back += 1) {
    const slot = slotAt(cells, place.now - back);
    const rate = back === 0 ? plan.rate : (cells.least[place.now - back] as number);
    const known = slot !== null && !Number.isNaN(rate);
    observed.push(known ? slot.hits : Number.NaN);
    expected.push(known ? rate * slot.trials : Number.NaN);
  }
  return place.timeMs - (onset(observed, expected, reach) - 1) * place.stepMs;
}

type Finding = Pick<Decision, "level" | "ongoing" | "because" | "memory"> & { readonly direction: Direction | null };

function concluded({ context, plan }: Slot, reading: RateReading, finding: Finding): Decision {
  const { cells, place } = context;
  const observed = cells.values[place.now] as number;
  const { rate } = plan;
  const denominator = cells.denominators?.[place.now] ?? Number.NaN;
  const evidence = evidenceOf(context, reading);
  const half = bandHalf(context, plan, denominator);
  return {
    state: stateOf(observed),
    kind: context.kind,
    observed,
    expected: rate,
    lower: Math.max(0, rate - half),
    upper: Math.min(1, rate + half),
    outlook: outlookOf(context, finding.ongoing),
    evidence,
    percent: signedPercent(reading.observed, reading.expected),
    slotsSummed: reading.reach,
    trials: { slot: denominator >= 0 ? denominator : null, summed: reading.trials },
    gates: gatesOf(context, reading.observed, reading.expected, evidence),
    range: { least: rate, most: rate },
    drift: null,
    accepted: null,
    ...finding,
  };
}

/** How far from the expectation one slot alone is still normal: the floors, or noise as strong as the threshold. */
function bandHalf(context: Context, plan: Rate, trials: number): number {
  if (!(trials > 0)) return 1;
  const { floor } = context;
  const { rate } = plan;
  const noise = noiseHalf(context, (dispersionIn(plan, rate, trials) * rate * (1 - rate)) / trials);
  return Math.max(noise, (floor.percent / 100) * rate, floor.absolute / 100);
}
