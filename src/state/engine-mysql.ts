/** Facts in a database of MySQL or MariaDB, for several processes on several machines. */
import knex, { type Knex } from "knex";
import type { Connection, ConnectionOptions } from "mysql2";
import type { Log } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";
import type { ServerAddress } from "./address.ts";
import { type Engine, faultOf } from "./engine.ts";
import {
  idleTransactionMs,
  knexLog,
  limitsOf,
  type PoolLimits,
  type PoolOptions,
  poolConfig,
  poolMeasures,
  schemaLimits,
  Watch,
  waitBusy,
  waitUnreachable,
} from "./pool.ts";

/** A lock of the whole server has a name of 64 characters at most, so the database goes into it as a digest. */
const lockName = "concat('bellwether-', left(sha1(database()), 40))";

/** Opens nothing yet: the first statement does. */
export function mysqlEngine(address: ServerAddress, options: PoolOptions, log: Log): Engine {
  const limits = limitsOf(options);
  const watch = new Watch();
  const query = connect(address, limits, watch, false, log);
  return {
    kind: "mysql",
    where: address.where,
    knex: query,
    undoesSchema: false,
    faultOf,
    waitBusy,
    waitUnreachable: (tries, elapsedMs) => waitUnreachable(tries, elapsedMs, limits.patienceMs),
    transaction: (work) => query.transaction(work),
    exclusively: async (work) => {
      const slow = schemaLimits(limits);
      const alone = connect(address, slow, watch, true, log);
      try {
        // It is the session's own, and goes with it.
        const seconds = Math.floor(slow.statementTimeoutMs / secondMs) - 10;
        const [[row]] = await alone.raw(`select get_lock(${lockName}, ${seconds}) as got`);
        if (row.got !== 1) throw stillLocked(address.where);
        return await work(alone);
      } finally {
        await alone.destroy();
      }
    },
    clockMs: async (now) => {
      const [[row]] = await now.raw("select unix_timestamp(now(3)) * 1000 as ms");
      return Number(row.ms);
    },
    check: async () => {},
    measures: () => poolMeasures(query, limits),
    dispose: async () => {
      await query.destroy();
      watch.stop();
    },
  };
}

function stillLocked(where: string): Problem {
  return new Problem("another process has been changing the tables for ten minutes", {
    code: "STR-002",
    where,
    retryable: true,
    fix: "wait for it, or end it and start again",
  });
}

function connect({ url }: ServerAddress, limits: PoolLimits, watch: Watch, once: boolean, log: Log): Knex {
  const connection: ConnectionOptions = {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 3306),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    charset: "utf8mb4",
    timezone: "Z",
    connectTimeout: limits.connectTimeoutMs,
    enableKeepAlive: true,
    keepAliveInitialDelay: 10_000,
    // An update counts the rows that it found, also those that held the same already.
    flags: ["FOUND_ROWS"],
    ...tlsOf(url),
  };
  return knex({
    client: "mysql2",
    connection: connection as Knex.StaticConnectionConfig,
    // Values are people's names and addresses: they are not part of an error's text.
    compileSqlOnError: false,
    log: knexLog(log),
    ...poolConfig<Connection & { query(...args: unknown[]): unknown }>(limits, watch, {
      setUp: (connection) => setUp(connection, limits, once),
      cut: (connection) => connection.destroy(),
      once,
    }),
  });
}

/** As PostgreSQL's addresses say it: `?sslmode=require` encrypts, `verify-full` checks the certificate too. */
function tlsOf(url: URL): { ssl?: { rejectUnauthorized: boolean } } {
  const mode = url.searchParams.get("sslmode") ?? "disable";
  if (mode === "disable") return {};
  return { ssl: { rejectUnauthorized: mode.startsWith("verify") } };
}

async function setUp(connection: Connection, limits: PoolLimits, schema: boolean): Promise<void> {
  const [row] = await ask(connection, "select version() as version");
  const isMariadb = String(row?.version).includes("MariaDB");
  const statementMs = limits.statementTimeoutMs;
  const lockSeconds = Math.max(1, Math.floor((schema ? 60 * secondMs : statementMs * 0.8) / secondMs));
  const variables = {
    // Text that is too long is refused and not cut; a backslash stays one in what the driver escapes.
    sql_mode: "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    innodb_lock_wait_timeout: lockSeconds,
    lock_wait_timeout: lockSeconds,
    // One that has nothing to say, as its machine is gone, is ended by the server; our pool ends it before.
    wait_timeout: Math.ceil((schema ? statementMs : 2 * idleTransactionMs) / secondMs),
    ...(isMariadb
      ? { max_statement_time: statementMs / secondMs, idle_transaction_timeout: idleTransactionMs / secondMs }
      : { max_execution_time: statementMs }),
  };
  const assignments = Object.entries(variables).map(([name, value]) => `session ${name} = ${value}`);
  await ask(connection, `set ${assignments.join(", ")}`);
  await ask(connection, "set session transaction isolation level read committed");
}

function ask(connection: Connection, sql: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    connection.query(sql, (error, rows) => (error ? reject(error) : resolve(rows as Record<string, unknown>[])));
  });
}
