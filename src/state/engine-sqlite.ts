/** Facts in one SQLite file, which several processes may have open. */
import { statSync } from "node:fs";
import type Sqlite from "better-sqlite3";
import knex, { type Knex } from "knex";
import { gauge } from "../core/measure.ts";
import type { Log } from "../core/ports.ts";
import { type Engine, faultOf } from "./engine.ts";
import { knexLog } from "./pool.ts";

/** How long SQLite itself waits for another process; short, because it stops this one meanwhile. */
const busyTimeoutMs = 50;
/** How often a statement that found the database locked is tried again: about 10 s in all. */
const triesMax = 200;
/** Prepared statements that are kept; more than there are of those that run again and again. */
const statementsMax = 200;

/** Opens nothing yet: the first statement does. */
export function sqliteEngine(file: string, log: Log): Engine {
  const query = connect(file, log);
  /**
   * On SQLite a change survives the death of the process, but the last ones may be lost in a power cut unless they are
   * waited for: right for leases and slots, which are simply run again, and not for what is decided in transactions.
   */
  async function transaction<T>(work: (trx: Knex) => Promise<T>): Promise<T> {
    const connection = await query.client.acquireConnection();
    try {
      connection.pragma("synchronous = FULL");
      return await query.transaction(work, { connection });
    } finally {
      connection.pragma("synchronous = NORMAL");
      await query.client.releaseConnection(connection);
    }
  }
  return {
    kind: "sqlite",
    where: file,
    knex: query,
    undoesSchema: true,
    faultOf,
    waitBusy: async (tries) => {
      if (tries >= triesMax) return false;
      await turn();
      return true;
    },
    waitUnreachable: async () => false,
    transaction,
    // A write begins it, and SQLite has one writer.
    exclusively: transaction,
    clockMs: null,
    check: async () => {},
    measures: () => [
      gauge("state_bytes", "Size of the state's SQLite file.", statSync(file, { throwIfNoEntry: false })?.size ?? 0),
    ],
    dispose: () => query.destroy(),
  };
}

/** Lets whoever holds the lock in this very process go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function connect(file: string, log: Log): Knex {
  return knex({
    client: "better-sqlite3",
    connection: { filename: file },
    useNullAsDefault: true,
    // Values are people's names and addresses: they are not part of an error's text.
    compileSqlOnError: false,
    log: knexLog(log),
    pool: {
      // SQLite has one writer; a second connection of our own would only wait for the first.
      min: 1,
      max: 1,
      afterCreate: (connection: Sqlite.Database, done: (thrown: unknown) => void) => {
        try {
          keepStatements(connection);
          connection.pragma(`busy_timeout = ${busyTimeoutMs}`);
          connection.pragma("journal_mode = WAL");
          connection.pragma("synchronous = NORMAL");
          done(null);
        } catch (thrown) {
          done(thrown);
        }
      },
    },
  });
}

/** knex prepares a statement anew each time it runs, which takes nearly as long as running it. */
function keepStatements(connection: Sqlite.Database): void {
  const prepare = connection.prepare.bind(connection);
  /** Least recently used first. */
  const kept = new Map<string, Sqlite.Statement>();
  connection.prepare = ((text: string) => {
    const statement = kept.get(text) ?? prepare(text);
    kept.delete(text);
    kept.set(text, statement);
    if (kept.size > statementsMax) kept.delete(kept.keys().next().value as string);
    return statement;
  }) as typeof connection.prepare;
}
