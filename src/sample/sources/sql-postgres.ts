/** PostgreSQL, read-only: a transaction that is rolled back, a cursor, and a session that is wiped. */
import { connect } from "node:net";
import { type Client, escapeLiteral, type FieldDef, type QueryArrayResult, type QueryResult } from "pg";
import { z } from "zod";
import type { Source, SourceDeps } from "../../core/ports.ts";
import type { Problem } from "../../core/problem.ts";
import { deadline, minuteMs, parseDurationMs, stopwatch, systemClock } from "../../core/time.ts";
import { addressOf, credentialsOf, serverOptions } from "./sql-address.ts";
import { zone } from "./sql-bounds.ts";
import { answerBytesMax, readRows, tooManyRows, tooMuchText } from "./sql-cells.ts";
import type { Plan } from "./sql-guard.ts";
import { excessOf, excessQuery } from "./sql-postgres-account.ts";
import { readerOf } from "./sql-postgres-cells.ts";
import { type PlanNode, planOf, tablesOf } from "./sql-postgres-plan.ts";
import { postgresProblem } from "./sql-postgres-problems.ts";
import { ServerSource } from "./sql-server.ts";
import { Broken, type Dialect, type Session, Sessions, type Statement, untilAborted } from "./sql-sessions.ts";
import { type Asked, share } from "./sql-shared.ts";

export const postgres = z.strictObject({
  ...serverOptions("postgres"),
  time: z
    .enum(["timestamptz", "timestamp", "epoch-s", "epoch-ms"])
    .default("timestamptz")
    .describe("type of the time column; timestamp is a wall clock without a zone; or seconds, milliseconds since 1970"),
  zone: zone.describe("zone of the session, and of times without one"),
});
export type PostgresConnection = z.infer<typeof postgres>;

export function postgresSource({ connection, query, rowsMax }: Asked, deps: SourceDeps): Source {
  const options = postgres.parse(connection.options);
  const where = `connection ${connection.name}`;
  const key = JSON.stringify(["postgres", connection.name, options]);
  const sessions = share(deps, key, () => {
    return new Sessions(connection.name, options.pool_max, new Postgres(options, deps, where));
  });
  const { time, zone, rows_estimate_max: estimateMax, cost_max: costMax = null } = options;
  const ceilings = { rowsMax: estimateMax, costMax };
  return new ServerSource({ where, query, dialect: "postgres", rowsMax, ceilings, time, zone }, deps, sessions);
}

/** `CancelRequest` of the protocol: nothing but the connection's number and its secret, so it needs no account. */
const cancelCode = 80_877_102;

const connectMs = 10_000;

/** Memory of one sort or hash, of which a query may take several. */
const workMem = "16MB";

/** Disk for what does not fit memory, where the account may limit it. */
const tempFileLimit = "1GB";

/** How long the numbers of what a query reads are kept, and of how many queries. */
const relationsKeptMs = 5 * minuteMs;
const relationsMax = 1_000;

/** Fields of a connection that the driver's types leave out. */
type Raw = Client & { readonly processID: number; readonly secretKey: number; readonly connection: Wire };
type Wire = { readonly stream: NodeJS.ReadableStream & { readonly bytesRead: number; destroy(): void } };

export class Postgres implements Dialect<Raw> {
  readonly client = "pg";
  readonly place: string;
  readonly #options: PostgresConnection;
  readonly #deps: SourceDeps;
  readonly #where: string;
  /** Sets those of our limits that the server has. Null before the first session. */
  #limits: string | null = null;
  /** Null until it was tried: only some accounts may. */
  #limitsTempFiles: boolean | null = null;
  readonly #relations = new Relations();

  constructor(options: PostgresConnection, deps: SourceDeps, where: string) {
    this.#options = options;
    this.#deps = deps;
    this.#where = where;
    const { host, port, database } = this.#address;
    this.place = `${host}:${port}/${database}`;
  }

  settings(): object {
    return {
      ...this.#address,
      ...credentialsOf(this.#options, this.#deps, this.#where),
      application_name: "bellwether",
      connectionTimeoutMillis: connectMs,
      keepAlive: true,
    };
  }

  /** All limits in one statement, and all of them gone with the transaction. */
  async begin(raw: Raw): Promise<void> {
    this.#limits ??= await this.#limiting(raw);
    await ask(raw, "begin transaction isolation level repeatable read, read only");
    await ask(raw, this.#limits);
  }

  async #limiting(raw: Raw): Promise<string> {
    this.#limitsTempFiles ??= await mayLimitTempFiles(raw);
    const limitMs = String(this.limitMs);
    const limits: Record<string, string> = {
      statement_timeout: limitMs,
      lock_timeout: limitMs,
      // Between two statements of ours lies no work; a session that stands there has lost us.
      idle_in_transaction_session_timeout: limitMs,
      client_connection_check_interval: "2000",
      default_transaction_read_only: "on",
      work_mem: workMem,
      // One query, one core; and rows that helpers read would not be counted.
      max_parallel_workers_per_gather: "0",
      // The cursor is read to its end.
      cursor_tuple_fraction: "1",
      timezone: this.#options.zone,
      datestyle: "ISO",
      intervalstyle: "iso_8601",
      extra_float_digits: "1",
      ...(this.#limitsTempFiles ? { temp_file_limit: tempFileLimit } : {}),
    };
    const names = await knownSettings(raw, Object.keys(limits));
    const set = names.map((name) => `set_config('${name}', ${escapeLiteral(limits[name] as string)}, true)`);
    return `select ${set.join(", ")}`;
  }

  session(raw: Raw): Session {
    return new PostgresSession(raw, this.#where, this.limitMs, this.#relations);
  }

  /** Nothing is ever committed: not even what a read-only transaction lets through, as large objects are. */
  async end(raw: Raw): Promise<void> {
    await ask(raw, "rollback");
    await ask(raw, "discard all");
  }

  async cancel({ processID, secretKey }: Raw): Promise<void> {
    const request = Buffer.alloc(16);
    [16, cancelCode, processID, secretKey].forEach((word, at) => {
      request.writeInt32BE(word, at * 4);
    });
    const { host, port } = this.#address;
    const socket = connect({ host, port }, () => socket.end(request));
    const closed = new Promise<void>((resolve, reject) => {
      socket
        .on("error", reject)
        .on("close", () => resolve())
        .resume();
    });
    await untilAborted(closed, deadline(connectMs)).finally(() => socket.destroy());
  }

  sever(raw: Raw): void {
    raw.connection.stream.destroy();
  }

  problemOf(thrown: unknown): Problem {
    return postgresProblem(thrown, this.#where, this.#address);
  }

  /** How long a statement may take in the server. */
  get limitMs(): number {
    return parseDurationMs(this.#options.timeout_max) as number;
  }

  get #address() {
    return addressOf(this.#options.url, "postgres") as NonNullable<ReturnType<typeof addressOf>>;
  }
}

/** Numbers of what queries read, by their texts. Tables are renewed, and partitions come and go: they are kept for a while. */
class Relations {
  readonly #kept = new Map<string, { readonly ageMs: () => number; readonly oids: readonly number[] }>();

  of(text: string): readonly number[] | null {
    const kept = this.#kept.get(text);
    return kept === undefined || kept.ageMs() >= relationsKeptMs ? null : kept.oids;
  }

  keep(text: string, oids: readonly number[]): readonly number[] {
    if (this.#kept.size >= relationsMax) this.#kept.clear();
    this.#kept.set(text, { ageMs: stopwatch(), oids });
    return oids;
  }
}

class PostgresSession implements Session {
  readonly #raw: Raw;
  readonly #where: string;
  readonly #limitMs: number;
  readonly #relations: Relations;

  constructor(raw: Raw, where: string, limitMs: number, relations: Relations) {
    this.#raw = raw;
    this.#where = where;
    this.#limitMs = limitMs;
    this.#relations = relations;
  }

  /** A cursor takes nothing but one SELECT, whatever the text says, and gives no more rows than it is asked for. */
  async select({ text, values }: Statement, rowsMax: number) {
    const relations = this.#relations.of(text) ?? (await this.#relationsOf(await this.#explain(text, values), text));
    const elapsedMs = stopwatch();
    await ask(this.#raw, `declare answer no scroll cursor for ${text}`, values);
    const { fields, rows } = await this.#bounded(fetch(this.#raw, rowsMax + 1));
    if (elapsedMs() >= this.#limitMs) throw Object.assign(new Error("over the limit"), { code: "57014" });
    if (rows.length > rowsMax) throw tooManyRows(rowsMax, this.#where);
    const columns = fields.map(({ name, dataTypeID }) => ({ name, read: readerOf(dataTypeID) }));
    return { rows: readRows(columns, rows, this.#where), rowsRead: await rowsReadIn(this.#raw, relations) };
  }

  async plan({ text, values }: Statement): Promise<Plan> {
    const root = await this.#explain(text, values);
    await this.#relationsOf(root, text);
    const tables = tablesOf(root);
    const { rows } = await ask<{ name: string; rows: number }>(
      this.#raw,
      `select n.nspname || '.' || c.relname as name, c.reltuples::float8 as rows from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relname = any($1) and n.nspname = any($2)`,
      [tables.map(({ table }) => table), tables.map(({ schema }) => schema)],
    );
    return planOf(root, new Map(rows.map(({ name, rows }) => [name, rows])));
  }

  async about() {
    const sentMs = systemClock.nowMs();
    const { rows } = await ask<{ version: string; ms: number }>(
      this.#raw,
      `select current_setting('server_version') as version,
       (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`,
    );
    const { version, ms } = rows[0] as { version: string; ms: number };
    const middleMs = (sentMs + systemClock.nowMs()) / 2;
    return { server: `PostgreSQL ${version.split(" ")[0]}`, clockAheadMs: Math.round(ms - middleMs) };
  }

  async excess(): Promise<readonly string[]> {
    const { rows } = await ask<Record<string, unknown>>(this.#raw, excessQuery);
    return excessOf(rows[0] ?? {});
  }

  async #explain(text: string, values: readonly string[]): Promise<PlanNode> {
    const { rows } = await ask<{ plan: string }>(this.#raw, `explain (format json, verbose) ${text}`, values);
    const [{ Plan }] = Object.values(rows[0] as object)[0] as [{ Plan: PlanNode }];
    return Plan;
  }

  /** Numbers of the plan's tables and their indices, which are kept for the next slots. */
  async #relationsOf(plan: PlanNode, text: string): Promise<readonly number[]> {
    const tables = tablesOf(plan);
    const { rows } = await ask<{ oid: number }>(
      this.#raw,
      `with read as (
         select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relname = any($1) and n.nspname = any($2))
       select oid from read union select indexrelid from pg_catalog.pg_index where indrelid in (select oid from read)`,
      [tables.map(({ table }) => table), tables.map(({ schema }) => schema)],
    );
    return this.#relations.keep(
      text,
      rows.map(({ oid }) => oid),
    );
  }

  /** Ends an answer whose bytes come without end, before they fill our memory. */
  async #bounded<T>(answer: Promise<T>): Promise<T> {
    const { stream } = this.#raw.connection;
    const startBytes = stream.bytesRead;
    let watch = (): void => {};
    const flooded = new Promise<never>((_, reject) => {
      watch = () => {
        if (stream.bytesRead - startBytes > 2 * answerBytesMax) reject(new Broken(tooMuchText(this.#where)));
      };
      stream.on("data", watch);
    });
    answer.catch(() => {});
    try {
      return await Promise.race([answer, flooded]);
    } finally {
      stream.off("data", watch);
    }
  }
}

/** The extended protocol, always: there, one text is one statement. */
async function ask<T extends object = object>(
  raw: Raw,
  text: string,
  values: readonly unknown[] = [],
): Promise<QueryResult<T & Record<string, unknown>>> {
  return raw.query({ text, values: [...values], queryMode: "extended" } as never);
}

/** Cells as the text that the server sends. */
async function fetch(raw: Raw, rows: number): Promise<{ fields: FieldDef[]; rows: unknown[][] }> {
  const types = { getTypeParser: () => String };
  const config = { text: `fetch forward ${rows} from answer`, queryMode: "extended", rowMode: "array", types };
  return (await raw.query(config as never)) as unknown as QueryArrayResult<unknown[]>;
}

/** What this transaction has gone through in the relations, by the server's own count. */
async function rowsReadIn(raw: Raw, relations: readonly number[]): Promise<number | null> {
  const text = "select sum(pg_stat_get_xact_tuples_returned(oid))::float8 as rows from unnest($1::oid[]) as oid";
  return (await ask<{ rows: number | null }>(raw, text, [relations])).rows[0]?.rows ?? null;
}

/** Servers of different ages differ in the settings they have. */
async function knownSettings(raw: Raw, names: readonly string[]): Promise<string[]> {
  const text = "select lower(name) as name from pg_catalog.pg_settings where lower(name) = any($1)";
  return (await ask<{ name: string }>(raw, text, [names])).rows.map(({ name }) => name);
}

async function mayLimitTempFiles(raw: Raw): Promise<boolean> {
  try {
    await ask(raw, `set temp_file_limit = '${tempFileLimit}'`);
    return true;
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === "42501") return false;
    throw thrown;
  }
}
