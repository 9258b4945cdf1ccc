import { readdirSync, readFileSync } from "node:fs";
import Database from "better-sqlite3";
import type { Connection, Sampler } from "../../../src/core/definitions.ts";
import type { Log, Source, SourceDeps } from "../../../src/core/ports.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import { plainSampler } from "../../support/sampler.ts";

const quiet = (): void => {};
export const quietLog: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

export const sampler = (changes: Partial<Sampler> = {}): Sampler => ({
  ...plainSampler,
  title: "Orders",
  point: { measurement: "orders", tags: ["country"], fields: ["orders", "amount"] },
  ...changes,
});

/** A database file made by SQL statements. */
export function makeDatabase(file: string, statements: string): void {
  const database = new Database(file);
  database.exec(statements);
  database.close();
}

export function shopDeps(dataDir: string, options: object = {}): SourceDeps {
  const shop: Connection = {
    name: "shop",
    kind: "sqlite",
    options: { file: "shop.db", ...options },
    budgetMs: 3_600_000,
    place: "c:1:1",
  };
  return { connections: new Map([["shop", shop]]), dataDir, secret: () => "", production: false, log: quietLog };
}

/** `unchecked` leaves out the check of the query's text, so that only the database stands in the way. */
export function sqlSource(
  deps: SourceDeps,
  query: string,
  more: { rows_max?: number; unchecked?: boolean } = {},
): Source {
  const { unchecked = false, rows_max = 1000 } = more;
  const options = { connection: "shop", query, rows_max };
  return sources.sql!.create(unchecked ? options : sources.sql!.options.parse(options), deps);
}

/** Ids of the processes that have `text` among their arguments. */
export function processesWith(text: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && argumentsOf(pid).includes(text));
}

function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
