/** Opens the SQL database of facts and brings its tables up to date. */
import type { Knex } from "knex";
import type { Clock, Log, Measured } from "../core/ports.ts";
import { Problem, toProblem } from "../core/problem.ts";
import { AlertBook } from "./alerts.ts";
import { AuditLog } from "./audit.ts";
import { connect, Database } from "./connection.ts";
import { Leases } from "./leases.ts";
import { migrations } from "./migrations/index.ts";
import { Outbox } from "./outbox.ts";
import { PeopleBook } from "./people.ts";
import { Processes } from "./processes.ts";
import { SilenceBook } from "./silences.ts";
import { SlotLedger } from "./slots.ts";

/** Everything that must be true after a crash: who was told what, which slots ran, who holds which lease. */
export type State = AsyncDisposable &
  Measured & {
    readonly slots: SlotLedger;
    readonly alerts: AlertBook;
    readonly outbox: Outbox;
    readonly silences: SilenceBook;
    readonly audit: AuditLog;
    readonly people: PeopleBook;
    readonly leases: Leases;
    readonly processes: Processes;
  };

export type StateOptions = {
  /** Path of the SQLite file, made if it is not there; `:memory:` forgets everything at the end. */
  file: string;
  clock: Clock;
  log: Log;
};

/**
 * Several processes may have one file open: each change waits for the other's.
 * @throws Problem if the file cannot be opened, is damaged (STR-002), or was written by a newer build (SPL-002)
 */
export async function openState(options: StateOptions): Promise<State> {
  const database = new Database(connect(options.file, options.log));
  try {
    await migrate(database, options.file);
  } catch (thrown) {
    await database[Symbol.asyncDispose]();
    throw toProblem(thrown, "cannot open the state", {
      code: "STR-002",
      where: options.file,
      fix: "check that the folder can be written and the file is a SQLite database, or put a backup in its place",
    });
  }
  const slots = new SlotLedger(database);
  const alerts = new AlertBook(database, options.clock);
  const outbox = new Outbox(database);
  return {
    slots,
    alerts,
    outbox,
    silences: new SilenceBook(database),
    audit: new AuditLog(database),
    people: new PeopleBook(database),
    leases: new Leases(database),
    processes: new Processes(database),
    measures: async () => [
      ...(await slots.measures()),
      ...(await alerts.measures()),
      ...(await outbox.measures()),
      ...database.measures(options.file),
    ],
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

/**
 * All in one transaction, knex's own lock row included: a process killed in the middle leaves neither half a schema
 * nor a lock that nobody would ever free.
 */
async function migrate(database: Database, file: string): Promise<void> {
  const config = { migrationSource: migrations };
  const known = await migrations.getMigrations();
  const applied = await database.run((query) => appliedMigrations(query));
  const foreign = applied.filter((name) => !known.includes(name));
  if (foreign.length > 0) {
    throw new Problem(`written by a newer build: schema ${foreign.at(-1)}, this build reads up to ${known.at(-1)}`, {
      code: "SPL-002",
      where: file,
      fix: "start the newer build, or move the file away",
    });
  }
  if (applied.length === known.length) return;
  await database.transaction((query) => query.migrate.latest(config));
}

async function appliedMigrations(query: Knex): Promise<string[]> {
  if (!(await query.schema.hasTable("knex_migrations"))) return [];
  return query("knex_migrations").orderBy("id").pluck("name");
}
