import type { Sampler } from "../src/core/definitions.ts";
import { backtestJudging } from "../src/judge/backtest.ts";
import { plainSampler } from "../test/support/sampler.ts";

/** One that counts each minute, judged by the shipped defaults. */
export function samplerOf(measurement: string, tags: readonly string[]): Sampler {
  return {
    ...plainSampler,
    name: measurement,
    zone: "Europe/London",
    point: { measurement, tags, fields: ["orders"] },
    empty: "zero",
    judge: { orders: backtestJudging("auto") },
  };
}
