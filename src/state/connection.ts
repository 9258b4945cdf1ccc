/** A connection to the SQL database: how statements and transactions run, and which errors mean what. */
import { statSync } from "node:fs";
import type Sqlite from "better-sqlite3";
import knex, { type Knex } from "knex";
import type { Log, Measure } from "../core/ports.ts";

/** How long SQLite itself waits for another process; short, because it stops this one meanwhile. */
const busyTimeoutMs = 50;
/** How often a statement that found the database locked is tried again: about 10 s in all. */
const triesMax = 200;
/** Prepared statements that are kept; more than there are of those that run again and again. */
const statementsMax = 200;

/** One database. Statements that lose against another process are run again, here and nowhere else. */
export class Database {
  readonly #knex: Knex;
  #retries = 0;

  constructor(query: Knex) {
    this.#knex = query;
  }

  /**
   * Runs `work` with every statement on its own, and again from its beginning if the database was locked: write at
   * most once in it. On SQLite a change survives the death of the process, but the last ones may be lost in a power
   * cut: right for leases and slots, which are simply run again.
   */
  async run<T>(work: (query: Knex) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await work(this.#knex);
      } catch (thrown) {
        if (!isBusy(thrown) || tries === triesMax) throw thrown;
        this.#retries += 1;
        await turn();
      }
    }
  }

  /**
   * Runs `work` in one transaction: all of it or, if it throws, nothing; on the disk when the promise resolves. Begin
   * it with a write: a transaction that has read first cannot wait for another writer and has to start over.
   */
  transaction<T>(work: (query: Knex) => Promise<T>): Promise<T> {
    return this.run(async (query) => {
      if (!isSqlite(query)) return query.transaction(work);
      const connection = await query.client.acquireConnection();
      try {
        connection.pragma("synchronous = FULL");
        return await query.transaction(work, { connection });
      } finally {
        connection.pragma("synchronous = NORMAL");
        await query.client.releaseConnection(connection);
      }
    });
  }

  measures(file: string): Measure[] {
    return [
      {
        name: "bellwether_state_bytes",
        help: "Size of the state's SQLite file.",
        kind: "gauge",
        value: statSync(file, { throwIfNoEntry: false })?.size ?? 0,
      },
      {
        name: "bellwether_state_retries_total",
        help: "Statements run again because another process held the database.",
        kind: "counter",
        value: this.#retries,
      },
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#knex.destroy();
  }
}

/** Lets whoever holds the lock in this very process go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isSqlite(query: Knex): boolean {
  return query.client.driverName === "better-sqlite3";
}

/** Locked, a deadlock, or a transaction that could not be put in order with another. */
function isBusy(thrown: unknown): boolean {
  return /^(SQLITE_BUSY|SQLITE_LOCKED|40001|40P01|ER_LOCK_DEADLOCK|ER_LOCK_WAIT_TIMEOUT)/.test(codeOf(thrown));
}

/** A unique index refused a row: somebody else was faster. */
export function isDuplicate(thrown: unknown): boolean {
  return /^(SQLITE_CONSTRAINT_UNIQUE|SQLITE_CONSTRAINT_PRIMARYKEY|23505|ER_DUP_ENTRY)$/.test(codeOf(thrown));
}

function codeOf(thrown: unknown): string {
  return String((thrown as { code?: unknown } | null)?.code ?? "");
}

/** Opens nothing yet: the first statement does. */
export function connect(file: string, log: Log): Knex {
  const say = (message: unknown): void => log.debug({ knex: message }, "knex says");
  return knex({
    client: "better-sqlite3",
    connection: { filename: file },
    useNullAsDefault: true,
    log: { warn: say, error: say, deprecate: say, debug: say },
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
