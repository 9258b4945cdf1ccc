import type { Sampler } from "../../src/core/definitions.ts";
import { minuteMs } from "../../src/core/time.ts";

/** A sampler whole enough for everything that takes one: orders of each minute, not judged. */
export const plainSampler: Sampler = {
  name: "shop-orders",
  title: "Orders placed",
  owner: "shop-team",
  group: "shop-team",
  purpose: null,
  runbook: null,
  schedule: { kind: "every", stepMs: minuteMs, delayMs: 0 },
  zone: "UTC",
  active: null,
  timeoutMs: 10_000,
  calendar: null,
  graceMs: 0,
  resample: 0,
  historyMs: 0,
  source: { kind: "sql", options: {} },
  point: { measurement: "orders", tags: [], fields: ["orders"] },
  empty: "missing",
  judge: {},
  priority: "medium",
  alerts: true,
  alerting: { pendingCount: 2, pendingOf: 3, recoverCount: 3 },
  labels: {},
  place: "samplers/shop/orders.yaml:1:1",
};
