/** Samplers as the benchmarks of this folder define them, and what a runner of them is made with. */
import type { Connection, Sampler } from "../../src/core/definitions.ts";
import { minuteMs, systemClock } from "../../src/core/time.ts";
import { SamplerRunner, type SamplerRunnerDeps } from "../../src/sample/sample.ts";
import { silent } from "../support.ts";

/** One that nobody judges: it counts orders by country. */
export function samplerOf(name: string, source: Sampler["source"], changes: Partial<Sampler> = {}): Sampler {
  return {
    name,
    title: name,
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
    source,
    point: { measurement: name, tags: ["country"], fields: ["orders"] },
    empty: "missing",
    judge: {},
    priority: "medium",
    alerts: false,
    alerting: { pendingCount: 2, pendingOf: 3, recoverCount: 3 },
    labels: {},
    place: `samplers/${name}.yaml:1:1`,
    ...changes,
  };
}

/** @param secrets reference -> what it stands for */
export function runnerOf(
  connection: Pick<Connection, "kind" | "options">,
  secrets: Readonly<Record<string, string>> = {},
  changes: Partial<SamplerRunnerDeps> = {},
): SamplerRunner {
  const shop = { ...connection, name: "shop", budgetMs: 3_600_000, place: "rules/connections.yaml:1:1" };
  return new SamplerRunner({
    connections: new Map([["shop", shop]]),
    dataDir: "/",
    secret: (reference) => secrets[reference] ?? "",
    production: true,
    clock: systemClock,
    log: silent,
    ...changes,
  });
}
