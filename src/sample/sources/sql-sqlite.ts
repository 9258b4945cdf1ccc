/** Rows of a query over a SQLite file, read-only, in processes that are killed with a query that hangs. */
import { resolve } from "node:path";
import { z } from "zod";
import type { Row, TimeWindow } from "../../core/model.ts";
import type { Measure, Source, SourceAnswer, SourceDeps, SourceFacts } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import type { Share, Shareable } from "../../core/shares.ts";
import { stopwatch, timedOut } from "../../core/time.ts";
import { timeValue, zone } from "./sql-bounds.ts";
import { checkedQuery } from "./sql-checked.ts";
import type { Answer, Question } from "./sql-child.ts";
import { ChildPool } from "./sql-pool.ts";
import { cutAt } from "./sql-problems.ts";
import { type Asked, share } from "./sql-shared.ts";
import { namedQueries } from "./sql-text.ts";

export const sqlite = z.strictObject({
  file: z.string().min(1).describe("the database; a relative path lies in the data folder"),
  time: z
    .enum(["text", "epoch-s", "epoch-ms"])
    .default("text")
    .describe("how the database writes times: 2026-11-21 09:30:00, or seconds or milliseconds since 1970"),
  zone: zone.describe("zone of times written as text"),
  processes_max: z.int().min(1).max(16).default(4).describe("processes that read the file at a time"),
  queries: namedQueries,
});
type SqliteConnection = z.infer<typeof sqlite>;

/** A read of a table with more rows than this, for want of an index on the time column, is told of. */
const rowsWithoutIndexMax = 10_000;

class Processes implements Shareable {
  readonly pool: ChildPool<Question, Answer>;
  readonly #connection: string;

  constructor(connection: string, file: string, childrenMax: number, deps: SourceDeps) {
    this.#connection = connection;
    const entry = new URL("./sql-child.ts", import.meta.url);
    this.pool = new ChildPool({ entry, args: [file], what: `connection ${connection}`, childrenMax, log: deps.log });
  }

  measures(): Measure[] {
    const { running, waiting, killed } = this.pool.state();
    const labels = { connection: this.#connection };
    const name = (what: string): string => `bellwether_sql_${what}`;
    return [
      { name: name("processes"), help: "Processes that read.", kind: "gauge", value: running, labels },
      { name: name("queries_waiting"), help: "Queries that wait for one.", kind: "gauge", value: waiting, labels },
      { name: name("processes_killed_total"), help: "Killed within a query.", kind: "counter", value: killed, labels },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }
}

export class SqliteSource implements Source {
  readonly #connection: SqliteConnection;
  readonly #where: string;
  /** Of the file that is read. */
  readonly #path: string;
  readonly #query: string;
  #text: Promise<string> | null = null;
  readonly #rowsMax: number;
  readonly #share: Share<Processes>;

  constructor({ connection, query, rowsMax }: Asked, deps: SourceDeps) {
    const { name } = connection;
    this.#where = `connection ${name}`;
    this.#connection = sqlite.parse(connection.options);
    this.#query = query;
    this.#rowsMax = rowsMax;
    const { file, processes_max } = this.#connection;
    this.#path = resolve(deps.dataDir, file);
    const key = JSON.stringify(["sqlite", name, this.#path, processes_max]);
    this.#share = share(deps, key, () => new Processes(name, this.#path, processes_max, deps));
  }

  async read(window: TimeWindow, signal: AbortSignal): Promise<SourceAnswer> {
    const question = { query: await this.#checked(), bindings: this.#bindings(window), rowsMax: this.#rowsMax };
    const { rows, elapsedMs } = await this.#ask(question, signal);
    return { rows, cost: { serverMs: elapsedMs, rowsRead: null } };
  }

  async inspect(window: TimeWindow, signal: AbortSignal): Promise<SourceFacts> {
    const ask = async (query: string, plan: boolean): Promise<Record<string, unknown>[]> => {
      const bindings = plan ? this.#bindings(window) : {};
      return [...(await this.#ask({ query, bindings, rowsMax: 1_000, plan }, signal)).rows];
    };
    const [version] = await ask("select sqlite_version() as version", false);
    const steps = (await ask(await this.#checked(), true)).map(({ detail }) => String(detail));
    const tables: { name: string; rows: number | null }[] = [];
    const known = await ask("select name from sqlite_schema where type = 'table'", false);
    for (const { name } of known) {
      if (!steps.some((step) => tableOf(step) === name)) continue;
      // The newest row's number is found at once; a count would read the whole table.
      const quoted = String(name).replaceAll('"', '""');
      const [newest] = await ask(`select max(rowid) as n from "${quoted}"`, false).catch(() => []);
      tables.push({ name: String(name), rows: newest === undefined ? null : Number(newest.n ?? 0) });
    }
    return {
      server: `SQLite ${version?.version} at ${this.#connection.file}`,
      clockAheadMs: null,
      tables,
      estimate: null,
      problems: steps.flatMap((step) => this.#unserved(step, tables)),
    };
  }

  /** Queries under way finish first; the last source of a connection ends its processes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#share.giveBack();
  }

  /** @throws Problem for a query that its parser refuses */
  async #checked(): Promise<string> {
    this.#text ??= checkedQuery(this.#query, "sqlite", this.#where).then(({ text }) => text);
    return this.#text;
  }

  #bindings({ fromMs, toMs }: TimeWindow): Question["bindings"] {
    const { time, zone } = this.#connection;
    return { slot_start: timeValue(fromMs, time, zone), slot_end: timeValue(toMs, time, zone) };
  }

  async #ask(question: Question, signal: AbortSignal): Promise<{ rows: Row[]; elapsedMs: number }> {
    const elapsedMs = stopwatch();
    const held = this.#share.another();
    try {
      const answer = await held.thing.pool.ask(question, signal);
      // An answer that comes after the deadline is as late as none.
      signal.throwIfAborted();
      if ("rows" in answer)
        return { rows: answer.rows.map((row) => named(answer.columns, row)), elapsedMs: answer.elapsedMs };
      throw problemOf(answer.fault, { file: this.#connection.file, path: this.#path }, this.#where);
    } catch (thrown) {
      throw timedOut(signal) ? cutAt(elapsedMs(), this.#where) : thrown;
    } finally {
      await held.giveBack();
    }
  }

  /** A step of the plan that goes through a whole table, though the query asks for one slot. */
  #unserved(step: string, tables: SourceFacts["tables"]): Problem[] {
    const table = /^SCAN /.test(step) ? tables.find(({ name }) => name === tableOf(step)) : undefined;
    if (table === undefined || (table.rows ?? 0) <= rowsWithoutIndexMax) return [];
    return [
      new Problem(`goes through all of ${table.name}, about ${table.rows?.toLocaleString("en")} rows`, {
        code: "SQL-W12",
        where: this.#where,
        fix: "compare a time column that has an index with :slot_start and :slot_end",
        severity: "warning",
      }),
    ];
  }
}

function named(columns: readonly string[], cells: readonly unknown[]): Row {
  return Object.fromEntries(columns.map((column, at) => [column, cells[at]]));
}

/** `SEARCH invoices USING INDEX ...`: the table. */
function tableOf(step: string): string | undefined {
  return /^(?:SCAN|SEARCH) (?:TABLE )?(\S+)/.exec(step)?.[1];
}

type Fault = Extract<Answer, { fault: unknown }>["fault"];

/** What SQLite said, as what the reader can do about it. */
function problemOf({ code, text }: Fault, { file, path }: { file: string; path: string }, where: string): Problem {
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
    // A relative name says nothing of the folder that was looked in.
    return problem(`cannot open ${path}`, { code: "SQL-015", fix, retryable: true });
  }
  if (code === "SQLITE_NOTADB") {
    return problem(`${file} is not a SQLite database, or is encrypted`, { code: "SQL-014", fix: "name another file" });
  }
  if (code.startsWith("SQLITE_READONLY")) return problem(text, { code: "SQL-002", fix: "write one SELECT" });
  const busy = /^SQLITE_(BUSY|LOCKED|IOERR|PROTOCOL)/.test(code);
  return problem(`the query failed: ${text}`, busy ? { retryable: true } : { fix: "correct the query" });
}
