import { afterAll } from "vitest";
import type { Calendar, FieldJudging, Sampler } from "../../../src/core/definitions.ts";
import type { FieldValue, Point, Tags, Verdict } from "../../../src/core/model.ts";
import type { Log, Measured, TimeSeriesStore } from "../../../src/core/ports.ts";
import { Judge } from "../../../src/judge/judge.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { stores } from "../../../src/store/stores/index.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { plainSampler } from "../../support/sampler.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** The real embedded store, in memory; closed at the end of the test file. */
export function memoryStore(): TimeSeriesStore & Measured {
  const store = stores.sqlite.create({ file: ":memory:" }, { clock: new SimulatedClock(0), log: silent });
  afterAll(() => store[Symbol.asyncDispose]());
  return store;
}

export type JudgingParts = {
  [K in keyof FieldJudging]?: FieldJudging[K] extends string ? FieldJudging[K] : Partial<FieldJudging[K]>;
};

/** The defaults of definitions, changed where a test says so. */
export function judgingOf(parts: JudgingParts = {}): FieldJudging {
  return {
    kind: parts.kind ?? "auto",
    ...(parts.denominator === undefined ? {} : { denominator: parts.denominator }),
    direction: parts.direction ?? "both",
    baseline: { days: 7, trim: 1, ...parts.baseline },
    forecast: { points: 8, ...parts.forecast },
    floor: { percent: null, criticalPercent: 50, absolute: null, volume: null, ...parts.floor },
  };
}

export function samplerOf(parts: {
  stepMs?: number;
  zone?: string;
  judge?: Record<string, FieldJudging>;
  tags?: readonly string[];
}): Sampler {
  const { stepMs = 60_000, zone = "UTC", tags = [], judge = { orders: judgingOf() } } = parts;
  return {
    ...plainSampler,
    schedule: { kind: "every", stepMs, delayMs: 0 },
    zone,
    point: { measurement: "orders", tags, fields: Object.keys(judge) },
    judge,
  };
}

export function orders(timeMs: number, value: FieldValue, tags: Tags = {}): Point {
  return { measurement: "orders", tags, fields: { orders: value }, timeMs };
}

/** What a slot job does around judging: stores the points, judges, stores the verdicts. */
export async function runSlot(
  store: TimeSeriesStore,
  judge: Judge,
  sampler: Sampler,
  timeMs: number,
  points: readonly Point[],
): Promise<readonly Verdict[]> {
  await store.write(points);
  const verdicts = await judge.judgeSlot(sampler, timeMs, points);
  const { rejected } = await store.write(verdicts.map((verdict) => verdictPoint(verdict)));
  if (rejected.length > 0) throw new Error(`verdicts were rejected: ${JSON.stringify(rejected)}`);
  return verdicts;
}

export function judgeOn(store: TimeSeriesStore, calendar: Calendar | null = null): Judge {
  return new Judge({ store, log: silent, calendarOf: () => calendar });
}
