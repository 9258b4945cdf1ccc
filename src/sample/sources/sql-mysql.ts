/** MySQL and MariaDB, read-only: a transaction that is rolled back, limits in the session, and a session that is reset. */
import { isIP } from "node:net";
import { createConnection } from "mysql2";
import { z } from "zod";
import type { Source, SourceDeps } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { parseDurationMs, secondMs } from "../../core/time.ts";
import { addressOf, credentialsOf, serverOptions } from "./sql-address.ts";
import { zone } from "./sql-bounds.ts";
import { mysqlProblem } from "./sql-mysql-problems.ts";
import { ask, type MysqlRaw, MysqlSession } from "./sql-mysql-session.ts";
import { ServerSource } from "./sql-server.ts";
import { type Dialect, type Session, Sessions } from "./sql-sessions.ts";
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

export class Mysql implements Dialect<MysqlRaw> {
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
    const { host } = this.#address;
    if (ssl !== undefined && isIP(host) !== 0) {
      // The driver would check the certificate of an address against the name localhost.
      const fix = "write the server's name, as its certificate has it";
      const what = `no trusted encryption with ${host}: certificates of MySQL are checked by name`;
      throw new Problem(what, { code: "SQL-016", where: this.#where, fix });
    }
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

  async begin(raw: MysqlRaw): Promise<void> {
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

  session(raw: MysqlRaw): Session {
    return new MysqlSession(raw, this.#where, this.limitMs, this.#version ?? "");
  }

  /** Resetting gives up locks, variables, temporary tables and limits. */
  async end(raw: MysqlRaw): Promise<void> {
    await ask(raw, "rollback");
    await new Promise<void>((resolve, reject) => {
      (raw as unknown as { reset(done: (fault: unknown) => void): void }).reset((fault) =>
        fault === null || fault === undefined ? resolve() : reject(fault),
      );
    });
  }

  async cancel(raw: MysqlRaw): Promise<void> {
    const other = createConnection(this.settings());
    await new Promise<void>((resolve, reject) => {
      other.on("error", reject);
      other.query(`kill query ${raw.threadId}`, (fault) => (fault === null ? resolve() : reject(fault)));
    }).finally(() => other.destroy());
  }

  sever(raw: MysqlRaw): void {
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
