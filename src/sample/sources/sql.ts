/** Rows of a SQL query over SQLite files, read-only, in processes that are killed with a query that hangs. */
import { resolve } from "node:path";
import { z } from "zod";
import type { Connection } from "../../core/definitions.ts";
import type { Row, TimeWindow } from "../../core/model.ts";
import type { Measure, Plugin, Source, SourceDeps } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { secondMs, stopwatch } from "../../core/time.ts";
import { isZone, msToWall } from "../../core/zone.ts";
import type { Answer, Question } from "./sql-child.ts";
import { ChildPool } from "./sql-pool.ts";
import { bareQuery, bindsSlot, queryFaults } from "./sql-text.ts";

const options = z.strictObject({
  connection: z.string().min(1).describe("a name in rules/connections.yaml"),
  query: z
    .string()
    .max(100_000)
    .describe("one SELECT over the slot, with :slot_start and :slot_end")
    .superRefine((query, context) => {
      for (const message of queryFaults(query)) context.addIssue({ code: "custom", message });
    }),
  rows_max: z.int().min(1).max(100_000).default(1000).describe("rows of a slot at most; one more is a fault"),
});
type SqlOptions = z.infer<typeof options>;

const sqlite = z.strictObject({
  file: z.string().min(1).describe("the database; a relative path lies in the data folder"),
  time: z
    .enum(["text", "epoch-s", "epoch-ms"])
    .default("text")
    .describe("how the database writes times: 2026-11-21 09:30:00, or seconds or milliseconds since 1970"),
  zone: z
    .string()
    .refine(isZone, "SCH-004 unknown zone. Fix: use an IANA name such as Europe/London")
    .default("UTC")
    .describe("zone of times written as text"),
  processes_max: z.int().min(1).max(16).default(4).describe("processes that read the file at a time"),
});
type SqliteConnection = z.infer<typeof sqlite>;

/**
 * `rows_max` bounds an answer; a cell is at most 64 KiB and an answer at most 64 MiB of text. The caller's
 * signal bounds the time: when it aborts, the process that runs the query is killed.
 */
export const sql: Plugin<Source, SqlOptions, SourceDeps> = {
  kind: "sql",
  summary: "Rows of one read-only SELECT over a SQL database.",
  example: `sql:
  connection: shop
  query: >
    select country, count(*) as orders, sum(amount) as amount from invoices
    where invoiced_at >= :slot_start and invoiced_at < :slot_end group by country
  rows_max: 1000
`,
  options,
  connections: { sqlite },
  create: (chosen, deps) => new SqliteSource(chosen, deps),
  warnings: ({ query }) => {
    if (bindsSlot(query)) return [];
    return [
      new Problem("not repeatable: gaps cannot be sampled again", {
        code: "SQL-W11",
        path: "query",
        fix: "compare a time column with :slot_start and :slot_end",
        severity: "warning",
      }),
    ];
  },
  measures: (deps) => [...(poolsOf.get(deps)?.values() ?? [])].flatMap(poolMeasures),
};

// ---- processes, shared by the samplers of a connection ----------------------------------------------------------

type Pool = ChildPool<Question, Answer>;
type SharedPool = { readonly connection: string; readonly pool: Pool; holders: number };

/** Pools live as long as the sources that use them, and belong to whoever made those. */
const poolsOf = new WeakMap<SourceDeps, Map<string, SharedPool>>();

function sharedPool(deps: SourceDeps, name: string, file: string, childrenMax: number): SharedPool {
  const pools = poolsOf.get(deps) ?? new Map<string, SharedPool>();
  poolsOf.set(deps, pools);
  const key = JSON.stringify([name, file, childrenMax]);
  const known = pools.get(key);
  if (known !== undefined) return known;
  const entry = new URL("./sql-child.ts", import.meta.url);
  const pool: Pool = new ChildPool({ entry, args: [file], what: `connection ${name}`, childrenMax, log: deps.log });
  const shared = { connection: name, pool, holders: 0 };
  pools.set(key, shared);
  return shared;
}

async function release(deps: SourceDeps, shared: SharedPool): Promise<void> {
  shared.holders -= 1;
  if (shared.holders > 0) return;
  const pools = poolsOf.get(deps);
  for (const [key, other] of pools ?? []) if (other === shared) pools?.delete(key);
  await shared.pool[Symbol.asyncDispose]();
}

function poolMeasures({ connection, pool }: SharedPool): Measure[] {
  const { running, waiting, killed } = pool.state();
  const labels = { connection };
  const name = (what: string): string => `bellwether_sql_${what}`;
  return [
    { name: name("processes"), help: "Processes that read.", kind: "gauge", value: running, labels },
    { name: name("queries_waiting"), help: "Queries that wait for one.", kind: "gauge", value: waiting, labels },
    { name: name("processes_killed_total"), help: "Killed within a query.", kind: "counter", value: killed, labels },
  ];
}

// ---- the source -------------------------------------------------------------------------------------------------

class SqliteSource implements Source {
  readonly #deps: SourceDeps;
  readonly #connection: SqliteConnection;
  readonly #where: string;
  readonly #query: string;
  readonly #rowsMax: number;
  readonly #shared: SharedPool;

  constructor(chosen: SqlOptions, deps: SourceDeps) {
    this.#deps = deps;
    this.#where = `connection ${chosen.connection}`;
    this.#connection = connectionOf(chosen.connection, deps.connections);
    this.#query = bareQuery(chosen.query);
    this.#rowsMax = chosen.rows_max;
    const { file, processes_max } = this.#connection;
    this.#shared = sharedPool(deps, chosen.connection, resolve(deps.dataDir, file), processes_max);
    this.#shared.holders += 1;
  }

  async read(window: TimeWindow, signal: AbortSignal): Promise<readonly Row[]> {
    const elapsedMs = stopwatch();
    const { file, time, zone } = this.#connection;
    const bindings = {
      slot_start: timeValue(window.fromMs, time, zone),
      slot_end: timeValue(window.toMs, time, zone),
    };
    this.#shared.holders += 1;
    try {
      const question = { query: this.#query, bindings, rowsMax: this.#rowsMax };
      const answer = await this.#shared.pool.ask(question, signal);
      // An answer that comes after the deadline is as late as none.
      signal.throwIfAborted();
      if ("rows" in answer) return answer.rows;
      throw problemOf(answer.fault, file, this.#where);
    } catch (thrown) {
      if (!timedOut(signal)) throw thrown;
      throw new Problem(`cut at ${(elapsedMs() / secondMs).toFixed(1)} s`, {
        code: "SQL-008",
        where: this.#where,
        fix: "add an index on the time column, ask for less, or raise the sampler's timeout",
        retryable: true,
      });
    } finally {
      await release(this.#deps, this.#shared);
    }
  }

  /** Queries under way finish first; the last source of a connection ends its processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await release(this.#deps, this.#shared);
  }
}

function connectionOf(name: string, connections: ReadonlyMap<string, Connection>): SqliteConnection {
  const connection = connections.get(name);
  if (connection?.kind === "sqlite") return sqlite.parse(connection.options);
  const what = connection === undefined ? "unknown connection" : `cannot read connections of kind ${connection.kind}`;
  throw new Problem(`${what} (got ${JSON.stringify(name)})`, {
    where: connection?.place ?? "rules/connections.yaml",
    fix: `name one of ${[...connections.keys()].join(", ") || "the connections in rules/connections.yaml"}`,
  });
}

/** A moment as the database writes it; whole numbers as bigint, which SQLite takes for integers. */
function timeValue(timeMs: number, time: SqliteConnection["time"], zone: string): string | bigint {
  if (time === "epoch-ms") return BigInt(timeMs);
  if (time === "epoch-s") return BigInt(Math.floor(timeMs / secondMs));
  return new Date(msToWall(timeMs, zone)).toISOString().slice(0, 19).replace("T", " ");
}

function timedOut(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
}

type Fault = Extract<Answer, { fault: unknown }>["fault"];

/** What SQLite said, as what the reader can do about it. */
function problemOf({ code, text }: Fault, file: string, where: string): Problem {
  const problem = (what: string, rest: { code?: string; fix?: string; retryable?: boolean }): Problem =>
    new Problem(what, { where, ...rest });
  const unknown = /^no such (table|column|function): (.+)$/.exec(text);
  if (code === "ROWS") {
    return problem(`stopped at ${text}`, { code: "SQL-007", fix: "group more coarsely, or raise rows_max" });
  }
  if (code === "CELL") return problem(text, { code: "SQL-018", fix: "select numbers and short text only" });
  if (code === "SIZE") return problem(`the answer has ${text}`, { code: "SQL-007", fix: "select fewer columns" });
  if (unknown !== null) {
    const [, kind, name] = unknown;
    const fix = `name a ${kind} that ${file} has`;
    return problem(`unknown ${kind} "${name}"`, { code: kind === "function" ? "SQL-006" : "SQL-013", fix });
  }
  if (code === "SQLITE_CANTOPEN" || text.includes("directory does not exist")) {
    const fix = "check the connection's file and who may read it";
    return problem(`cannot open ${file}`, { code: "SQL-015", fix, retryable: true });
  }
  if (code === "SQLITE_NOTADB") {
    return problem(`${file} is not a SQLite database, or is encrypted`, { code: "SQL-014", fix: "name another file" });
  }
  if (code.startsWith("SQLITE_READONLY")) return problem(text, { code: "SQL-002", fix: "write one SELECT" });
  const busy = /^SQLITE_(BUSY|LOCKED|IOERR|PROTOCOL)/.test(code);
  return problem(`the query failed: ${text}`, busy ? { retryable: true } : { fix: "correct the query" });
}
