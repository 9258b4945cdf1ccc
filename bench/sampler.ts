import type { Sampler } from "../src/core/definitions.ts";
import { minuteMs } from "../src/core/time.ts";
import { backtestJudging } from "../src/judge/backtest.ts";

/** One that counts each minute, judged by the shipped defaults. */
export function samplerOf(measurement: string, tags: readonly string[]): Sampler {
  return {
    name: measurement,
    title: "Orders placed",
    owner: "shop-team",
    group: "shop-team",
    purpose: null,
    runbook: null,
    schedule: { kind: "every", stepMs: minuteMs, delayMs: 0 },
    zone: "Europe/London",
    active: null,
    timeoutMs: 10_000,
    calendar: null,
    graceMs: 0,
    resample: 0,
    source: { kind: "sql", options: {} },
    point: { measurement, tags, fields: ["orders"] },
    empty: "zero",
    judge: { orders: backtestJudging("auto") },
    priority: "medium",
    alerts: true,
    alerting: { pendingCount: 2, pendingOf: 3, recoverCount: 3 },
    labels: {},
    place: "samplers/shop/orders.yaml:1:1",
  };
}
