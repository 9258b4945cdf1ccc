/** Facts in a database of PostgreSQL, for several processes on several machines. */
import knex, { type Knex } from "knex";
import { type Client, types } from "pg";
import type { Log } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
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

/** Names our lock among all that others may take in the same database: the word in hexadecimal. */
const lockKey = "x'62656c6c77657468'::bigint";
/** 64-bit integers, which the driver would hand over as text; ours are times and counts, exact up to 2^53. */
const int8 = 20;

/** Opens nothing yet: the first statement does. */
export function postgresEngine(address: ServerAddress, options: PoolOptions, log: Log): Engine {
  const limits = limitsOf(options);
  const watch = new Watch();
  const query = connect(address, limits, watch, false, log);
  return {
    kind: "postgres",
    where: address.where,
    knex: query,
    undoesSchema: true,
    faultOf,
    waitBusy,
    waitUnreachable: (tries, elapsedMs) => waitUnreachable(tries, elapsedMs, limits.patienceMs),
    transaction: (work) => query.transaction(work),
    exclusively: async (work) => {
      const alone = connect(address, schemaLimits(limits), watch, true, log);
      try {
        return await alone.transaction(async (trx) => {
          await trx.raw(`select pg_advisory_xact_lock(${lockKey})`);
          return work(trx);
        });
      } finally {
        await alone.destroy();
      }
    },
    clockMs: async (now) => {
      const { rows } = await now.raw("select extract(epoch from clock_timestamp()) * 1000 as ms");
      return Number(rows[0].ms);
    },
    check: async (asked) => {
      const { rows } = await asked.raw("show server_encoding");
      const encoding = rows[0].server_encoding;
      if (encoding === "UTF8") return;
      throw new Problem(`the database keeps text as ${encoding}, which has no room for all names`, {
        code: "STR-002",
        where: address.where,
        fix: "make one with: create database NAME template template0 encoding 'UTF8'",
      });
    },
    measures: () => poolMeasures(query, limits),
    dispose: async () => {
      await query.destroy();
      watch.stop();
    },
  };
}

function connect({ url }: ServerAddress, limits: PoolLimits, watch: Watch, once: boolean, log: Log): Knex {
  const { connectTimeoutMs, statementTimeoutMs } = limits;
  const session = [
    "set session characteristics as transaction isolation level read committed",
    `set statement_timeout = ${statementTimeoutMs}`,
    `set lock_timeout = ${Math.ceil(statementTimeoutMs * 0.8)}`,
    `set idle_in_transaction_session_timeout = ${idleTransactionMs}`,
  ].join("; ");
  return knex({
    client: "pg",
    connection: {
      connectionString: url.href,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: "bellwether",
      types: {
        getTypeParser: ((oid: number, format?: "text" | "binary") =>
          oid === int8 && format !== "binary"
            ? Number
            : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
      },
    } as Knex.PgConnectionConfig,
    // Values are people's names and addresses: they are not part of an error's text.
    compileSqlOnError: false,
    log: knexLog(log),
    ...poolConfig<PgConnection>(limits, watch, {
      setUp: async (connection) => {
        await connection.query(session);
      },
      cut: (connection) => connection.connection.stream.destroy(),
      once,
    }),
  });
}

/** The driver's socket, which its types do not show. */
type PgConnection = Client & { readonly connection: { readonly stream: { destroy(): void } } };
