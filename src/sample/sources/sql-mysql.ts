/** MySQL and MariaDB, read-only: a transaction that is rolled back, limits in the session, and a session that is reset. */
import type { Connection, FieldPacket, PrepareStatementInfo } from "mysql2";
import { createConnection } from "mysql2";
import { z } from "zod";
import type { Source, SourceDeps } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { parseDurationMs, secondMs, stopwatch, systemClock } from "../../core/time.ts";
import { addressOf, credentialsOf, serverOptions } from "./sql-address.ts";
import { zone } from "./sql-bounds.ts";
import { answerBytesMax, readRows, tooManyRows, tooMuchText } from "./sql-cells.ts";
import type { Plan } from "./sql-guard.ts";
import { excessOf } from "./sql-mysql-account.ts";
import { type MysqlField, readerOf } from "./sql-mysql-cells.ts";
import { type ExplainRow, planOf, type TableSize } from "./sql-mysql-plan.ts";
import { mysqlProblem } from "./sql-mysql-problems.ts";
import { ServerSource } from "./sql-server.ts";
import { Broken, type Dialect, type Session, Sessions, type Statement } from "./sql-sessions.ts";
import { type Asked, share } from "./sql-shared.ts";

export const mysql = z.strictObject({
  ...serverOptions("mysql"),
  time: z
    .enum(["datetime", "epoch-s", "epoch-ms"])
    .default("datetime")
    .describe("how times are stored: datetime or timestamp columns, or seconds or milliseconds since 1970"),
  zone: zone.describe("zone of datetime columns; the session itself is in UTC, as timestamp columns are"),
});
export type MysqlConnection = z.infer<typeof mysql>;

export function mysqlSource({ connection, query, rowsMax }: Asked, deps: SourceDeps): Source {
  const options = mysql.parse(connection.options);
  const where = `connection ${connection.name}`;
  const key = JSON.stringify(["mysql", connection.name, options]);
  const sessions = share(deps, key, () => {
    return new Sessions(connection.name, options.pool_max, new Mysql(options, deps, where));
  });
  const { zone, rows_estimate_max: estimateMax, cost_max: costMax = null } = options;
  const time = options.time === "datetime" ? "text" : options.time;
  const ceilings = { rowsMax: estimateMax, costMax };
  return new ServerSource({ where, query, dialect: "mysql", rowsMax, ceilings, time, zone }, deps, sessions);
}

const connectMs = 10_000;

/** None of the modes that change what quotation marks, backslashes, spaces and bars mean. */
const sqlMode = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

type Raw = Connection & { readonly stream: NodeJS.ReadableStream & { readonly bytesRead: number; destroy(): void } };

export class Mysql implements Dialect<Raw> {
  readonly client = "mysql2";
  readonly place: string;
  readonly #options: MysqlConnection;
  readonly #deps: SourceDeps;
  readonly #where: string;
  /** As the server says it, `10.11.19-MariaDB-...`; null before the first session. */
  #version: string | null = null;

  constructor(options: MysqlConnection, deps: SourceDeps, where: string) {
    this.#options = options;
    this.#deps = deps;
    this.#where = where;
    const { host, port, database } = this.#address;
    this.place = `${host}:${port}/${database}`;
  }

  settings(): object {
    const { ssl, ...who } = credentialsOf(this.#options, this.#deps, this.#where);
    return {
      ...this.#address,
      ...who,
      ...(ssl === undefined ? {} : { ssl: { ...ssl, rejectUnauthorized: true, verifyIdentity: true } }),
      connectTimeout: connectMs,
      multipleStatements: false,
      // The server could ask for any file of ours.
      flags: ["-LOCAL_FILES", "-IGNORE_SPACE"],
      dateStrings: true,
      supportBigNumbers: true,
      charset: "utf8mb4",
      maxPreparedStatements: 10,
    };
  }

  async begin(raw: Raw): Promise<void> {
    this.#version ??= String((await ask(raw, "select version() as v"))[0]?.v);
    const lockSeconds = Math.max(1, Math.ceil(this.limitMs / secondMs));
    const limits = this.isMariadb
      ? [`max_statement_time = ${this.limitMs / secondMs}`]
      : [`max_execution_time = ${this.limitMs}`];
    limits.push(
      `lock_wait_timeout = ${lockSeconds}`,
      `innodb_lock_wait_timeout = ${lockSeconds}`,
      "time_zone = '+00:00'",
      // What a text means must not hang on the server's modes and character sets: the parser has read it in these.
      `sql_mode = '${sqlMode}'`,
      "character_set_client = utf8mb4",
      "character_set_connection = utf8mb4",
      "character_set_results = utf8mb4",
      "transaction_read_only = 1",
    );
    await ask(raw, `set session ${(this.isMariadb ? limits.map(mariadbName) : limits).join(", session ")}`);
    await ask(raw, "start transaction read only");
  }

  session(raw: Raw): Session {
    return new MysqlSession(raw, this.#where, this.limitMs, this.#version ?? "");
  }

  /** Resetting gives up locks, variables, temporary tables and limits. */
  async end(raw: Raw): Promise<void> {
    await ask(raw, "rollback");
    await new Promise<void>((resolve, reject) => {
      (raw as unknown as { reset(done: (fault: unknown) => void): void }).reset((fault) =>
        fault === null || fault === undefined ? resolve() : reject(fault),
      );
    });
  }

  async cancel(raw: Raw): Promise<void> {
    const other = createConnection(this.settings());
    await new Promise<void>((resolve, reject) => {
      other.on("error", reject);
      other.query(`kill query ${raw.threadId}`, (fault) => (fault === null ? resolve() : reject(fault)));
    }).finally(() => other.destroy());
  }

  sever(raw: Raw): void {
    raw.destroy();
    raw.stream.destroy();
  }

  problemOf(thrown: unknown): Problem {
    return mysqlProblem(thrown, this.#where, this.#address);
  }

  get limitMs(): number {
    return parseDurationMs(this.#options.timeout_max) as number;
  }

  get isMariadb(): boolean {
    return this.#version?.includes("MariaDB") === true;
  }

  get #address() {
    return addressOf(this.#options.url, "mysql") as NonNullable<ReturnType<typeof addressOf>>;
  }
}

/** MariaDB has the older name for it until 11.1. */
function mariadbName(setting: string): string {
  return setting.replace("transaction_read_only", "tx_read_only");
}

class MysqlSession implements Session {
  readonly #raw: Raw;
  readonly #where: string;
  readonly #limitMs: number;
  readonly #version: string;

  constructor(raw: Raw, where: string, limitMs: number, version: string) {
    this.#raw = raw;
    this.#where = where;
    this.#limitMs = limitMs;
    this.#version = version;
  }

  /** A prepared statement is one statement, and one that gives no columns is never run. */
  async select({ text, values }: Statement, rowsMax: number) {
    const elapsedMs = stopwatch();
    await ask(this.#raw, `set session sql_select_limit = ${rowsMax + 1}`);
    const info = await prepared(this.#raw, text);
    const { columns } = info as unknown as { columns: readonly unknown[] };
    if (columns.length === 0) {
      throw new Problem("it gives no rows", { code: "SQL-002", where: this.#where, fix: "write one SELECT" });
    }
    const before = await this.#rowsCounted();
    const { fields, rows } = await this.#streamed({ text, values }, rowsMax);
    // A function that was cut gives 0 in place of an error.
    if (elapsedMs() >= this.#limitMs) throw Object.assign(new Error("over the limit"), { errno: 1969 });
    const after = await this.#rowsCounted();
    const read = fields.map((field) => ({ name: field.name, read: readerOf(field) }));
    const rowsRead = before === null || after === null ? null : after - before;
    return { rows: readRows(read, rows, this.#where), rowsRead };
  }

  /** To plan may be to run: derived tables are made for it. So the same limits hold. */
  async plan({ text, values }: Statement): Promise<Plan | null> {
    const extended = this.#version.includes("MariaDB") ? "extended " : "";
    const elapsedMs = stopwatch();
    await ask(this.#raw, "set session sql_select_limit = default");
    const rows = await explained(this.#raw, `explain ${extended}${text}`, values);
    if (elapsedMs() >= this.#limitMs) throw Object.assign(new Error("over the limit"), { errno: 1969 });
    return rows === null ? null : planOf(rows, await this.#tables(rows, text));
  }

  async about() {
    const sentMs = systemClock.nowMs();
    const [row] = await ask(this.#raw, "select cast(unix_timestamp(now(6)) * 1000 as signed) as ms");
    const middleMs = (sentMs + systemClock.nowMs()) / 2;
    const [number = ""] = this.#version.split("-");
    const name = this.#version.includes("MariaDB") ? "MariaDB" : "MySQL";
    return { server: `${name} ${number}`, clockAheadMs: Math.round(Number(row?.ms) - middleMs) };
  }

  async excess(): Promise<readonly string[]> {
    const grants = (await ask(this.#raw, "show grants")).map((row) => String(Object.values(row)[0]));
    const tables = await ask(
      this.#raw,
      `select table_schema as s, count(*) as n from information_schema.tables
       where table_schema not in ('information_schema', 'performance_schema', 'mysql', 'sys') group by table_schema`,
    );
    return excessOf(grants, (schema, table) => {
      if (table !== null) return 1;
      const covered = tables.filter(({ s }) => schema === null || String(s) === schema.replaceAll("\\_", "_"));
      return covered.reduce((sum, { n }) => sum + Number(n), 0);
    });
  }

  /** Aliases are what a plan names: a table whose name stands in the query, where that leaves no doubt. */
  async #tables(rows: readonly ExplainRow[], text: string): Promise<Map<string, TableSize>> {
    const sizes = await ask(
      this.#raw,
      `select table_schema as s, table_name as t, table_rows as n from information_schema.tables
       where table_schema not in ('information_schema', 'performance_schema', 'mysql', 'sys') limit 5000`,
    );
    const known = new Map(
      sizes.map(({ s, t, n }) => [String(t).toLowerCase(), { name: `${s}.${t}`, rows: Number(n) }]),
    );
    const names = new Map<string, TableSize>();
    for (const { table } of rows) {
      if (table === null) continue;
      const behind = new RegExp(`([\\w$]+)\`?\\s+(?:as\\s+)?\`?${table.replace(/[^\w]/g, "\\$&")}\\b`, "i").exec(
        text,
      )?.[1];
      const size = known.get(table.toLowerCase()) ?? known.get(behind?.toLowerCase() ?? "");
      if (size !== undefined) names.set(table, size);
    }
    return names;
  }

  /** MariaDB counts rows as it goes; MySQL counts its steps, of which each is a row. */
  async #rowsCounted(): Promise<number | null> {
    const pattern = this.#version.includes("MariaDB") ? "Rows_read" : "Handler_read_%";
    const rows = await ask(this.#raw, `show session status like '${pattern}'`);
    return rows.length === 0 ? null : rows.reduce((sum, row) => sum + Number(Object.values(row)[1]), 0);
  }

  /** Takes rows as they come, and has the server stop after one more than is allowed. */
  async #streamed({ text, values }: Statement, rowsMax: number): Promise<{ fields: MysqlField[]; rows: unknown[][] }> {
    const { stream } = this.#raw;
    const startBytes = stream.bytesRead;
    const rows: unknown[][] = [];
    let fields: MysqlField[] = [];
    let lost = (): void => {};
    const streamed = new Promise<void>((resolve, reject) => {
      // A statement without a callback is not told of a connection that breaks.
      lost = () => reject(Object.assign(new Error("it was closed"), { code: "PROTOCOL_CONNECTION_LOST" }));
      stream.on("close", lost);
      const command = this.#raw.execute({ sql: text, rowsAsArray: true }, [...values]);
      command.on("fields", (found: FieldPacket[]) => {
        fields = found as unknown as MysqlField[];
      });
      command.on("result", (row: unknown) => {
        if (!Array.isArray(row)) return;
        if (rows.length > rowsMax) return reject(new Broken(tooManyRows(rowsMax, this.#where)));
        if (stream.bytesRead - startBytes > 2 * answerBytesMax) reject(new Broken(tooMuchText(this.#where)));
        rows.push(row);
      });
      command.on("error", reject).on("end", () => resolve());
    });
    await streamed.finally(() => stream.off("close", lost));
    if (rows.length > rowsMax) throw tooManyRows(rowsMax, this.#where);
    return { fields, rows };
  }
}

/** A statement of ours, as text: some of them cannot be prepared. */
function ask(raw: Raw, text: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    raw.query(text, (fault, rows) => (fault === null ? resolve(rows as Record<string, unknown>[]) : reject(fault)));
  });
}

/** Of a view, only those see the plan that may see its text and read its tables. */
const hiddenPlan = 1345;

function explained(raw: Raw, text: string, values: readonly string[]): Promise<ExplainRow[] | null> {
  return new Promise((resolve, reject) => {
    raw.execute(text, [...values], (fault, rows) => {
      if (fault === null) resolve(rows as unknown as ExplainRow[]);
      else if (fault.errno === hiddenPlan) resolve(null);
      else reject(fault);
    });
  });
}

function prepared(raw: Raw, text: string): Promise<PrepareStatementInfo> {
  return new Promise((resolve, reject) => {
    raw.prepare({ sql: text, rowsAsArray: true } as never, (fault, info) =>
      fault === null ? resolve(info) : reject(fault),
    );
  });
}
