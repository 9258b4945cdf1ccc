/** Samplers as the benchmarks of this folder define them, and what a runner of them is made with. */
import type { Connection, Sampler } from "../../src/core/definitions.ts";
import { systemClock } from "../../src/core/time.ts";
import { SamplerRunner, type SamplerRunnerDeps } from "../../src/sample/sample.ts";
import { plainSampler } from "../../test/support/sampler.ts";
import { silent } from "../support.ts";

/** One that nobody judges: it counts orders by country. */
export function samplerOf(name: string, source: Sampler["source"], changes: Partial<Sampler> = {}): Sampler {
  return {
    ...plainSampler,
    name,
    title: name,
    source,
    point: { measurement: name, tags: ["country"], fields: ["orders"] },
    alerts: false,
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
