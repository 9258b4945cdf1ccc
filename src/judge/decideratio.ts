/** Ratios whose denominators are known: evidence of sums, against the rate of past days at this time. */
import type { Direction, Recovery } from "../core/model.ts";
import { acceptedOf } from "./accepted.ts";
import { type Before, type Ongoing, reachOf } from "./cells.ts";
import { type Decision, stateOf } from "./decision.ts";
import { dispersionIn, type Rate, type RateReading, rateAt, rateReadings, slotAt } from "./detectors/rates.ts";
import { strongest } from "./detectors/readings.ts";
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

/** Null where there is no value, or nothing to compare it with. */
export function decideRatio(context: Context, before: Before): Decision | null {
  const { cells, place } = context;
  if (Number.isNaN(cells.values[place.now])) return null;
  const plan = rateAt(cells, place);
  if (plan === null) return null;
  const enough = (observed: number, expected: number) => passesFloors(context, observed, expected);
  const readings = rateReadings(cells, place, { plan, reach: reachOf(place, before) }, enough);
  const { plain, up, down } = readings;
  const { ongoing, memory } = before;
  const best = strongest(readings);
  if (ongoing === null) return opens(context, best) ? begun(context, plan, best) : quiet(context, plan, best ?? plain);
  const against = ongoing.direction === "up" ? down : up;
  if (opens(context, against)) return begun(context, plan, against);
  const recovery = ratioOver(memory.recovery, slotAt(cells, place.now), plan, ongoing.direction);
  if (recovery.nats >= closeNats) return quiet(context, plan, plain);
  const accepted = acceptedOf(place, ongoing, recovery.bad.observed / recovery.bad.expected);
  if (accepted !== null) return { ...quiet(context, plan, plain), because: "accepted", accepted };
  return goesOn(context, plan, { ongoing, recovery, reading: (ongoing.direction === "up" ? up : down) ?? plain });
}

function quiet(context: Context, plan: Rate, reading: RateReading): Decision {
  const direction = directionOf(reading.observed, reading.expected);
  return concluded(context, plan, reading, { level: "normal", direction, ongoing: null, because: null, memory: {} });
}

function begun(context: Context, plan: Rate, reading: RateReading): Decision {
  const { observed, expected, trials } = reading;
  const direction = observed > expected ? "up" : "down";
  const recovery = noRecovery({ observed: observed * trials, expected: expected * trials, trials });
  return concluded(context, plan, reading, {
    level: levelOf(signedPercent(observed, expected), context),
    direction,
    ongoing: { sinceMs: beginningMs(context, plan, reading), loss: 0, direction },
    because: null,
    memory: { recovery },
  });
}

function goesOn(
  context: Context,
  plan: Rate,
  { ongoing, recovery, reading }: { ongoing: Ongoing; recovery: Recovery; reading: RateReading },
): Decision {
  return concluded(context, plan, reading, {
    level: levelOf(signedPercent(reading.observed, reading.expected), context),
    direction: ongoing.direction,
    ongoing,
    because: recovery.nats < betterNats ? "latched" : "recovering",
    memory: { recovery },
  });
}

/** Where the trouble began, in numerators. */
function beginningMs({ cells, place }: Context, plan: Rate, { reach }: RateReading): number {
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

function concluded(context: Context, plan: Rate, reading: RateReading, finding: Finding): Decision {
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
    trials: { slot: Number.isNaN(denominator) ? null : denominator, summed: reading.trials },
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
