import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { type Kinds, type Loaded, type LoadOptions, loadDefinitions } from "../../../src/define/load.ts";
import { SimulatedClock } from "../../support/clock.ts";

/** Stand-ins in the shape of adapters: options of sources, connections they can use, names of notifiers. */
export const kinds: Kinds = {
  sources: {
    sql: {
      isRepeatable: ({ query }) => query !== "select now",
      warnings: ({ query }) =>
        query === "select 2"
          ? [
              new Problem("always the same", {
                code: "SQL-W11",
                path: "query",
                fix: "ask for a slot",
                severity: "warning",
              }),
            ]
          : [],
      options: z.strictObject({
        connection: z.string().describe("a name in rules/connections.yaml"),
        query: z.string().describe("one SELECT"),
        rows_max: z.int().min(1).max(100_000).prefault(1000),
      }),
      connections: {
        sqlite: z.strictObject({ file: z.string() }),
        postgres: z.strictObject({ host: z.string(), user: z.string().optional(), password: z.string().optional() }),
      },
    },
    http: {
      options: z.strictObject({ url: z.string(), connection: z.string() }),
      connections: { web: z.strictObject({}) },
    },
  },
  notifiers: ["email", "webhook"],
};

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A config folder of its own for one test. */
export function folder(files: Files): string {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-define-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  write(dir, files);
  return dir;
}

export function write(dir: string, files: Files): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), content);
  }
}

export function optionsFor(dir: string): LoadOptions & { clock: SimulatedClock } {
  return { dir, zone: "Europe/London", kinds, env: {}, clock: new SimulatedClock("2026-01-10T12:03:00Z") };
}

export async function load(files: Files, options: Partial<LoadOptions> = {}): Promise<Loaded> {
  return loadDefinitions({ ...optionsFor(folder(files)), ...options });
}

export function messages({ problems }: Pick<Loaded, "problems">): string[] {
  return problems.map(formatProblem);
}

/** Who owns and what connects the sampler below. */
export const base: Files = {
  "rules/connections.yaml": "connections: { shop: { sqlite: { file: shop.db } } }\n",
  "rules/people/shop.yaml":
    "people: { ana: { name: Ana Silva, email: ana@shop.example } }\ngroups: { shop-team: { members: [ana] } }\n",
};

/** A sound sampler, line by line; `changes` replace the line of a key (null removes it) or add one at the end. */
export function sampler(changes: Readonly<Record<string, string | null>> = {}): string {
  const lines: Record<string, string | null> = {
    name: "shop-orders",
    title: "Orders placed",
    owner: "shop-team",
    every: "1m",
    source: "{ sql: { connection: shop, query: select 1 } }",
    point: "{ measurement: orders, tags: [country], fields: [orders] }",
    empty: "zero",
    ...changes,
  };
  return Object.entries(lines)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");
}
