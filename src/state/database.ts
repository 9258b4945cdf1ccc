/** Opens the SQL database of facts and brings its tables up to date. */
import type { Clock, Log, Measured } from "../core/ports.ts";
import { Problem, toProblem } from "../core/problem.ts";
import { parseServerAddress } from "./address.ts";
import { AlertBook } from "./alerts.ts";
import { AuditLog } from "./audit.ts";
import { Database } from "./connection.ts";
import type { Engine } from "./engine.ts";
import { mysqlEngine } from "./engine-mysql.ts";
import { postgresEngine } from "./engine-postgres.ts";
import { sqliteEngine } from "./engine-sqlite.ts";
import { Leases } from "./leases.ts";
import { Outbox } from "./outbox.ts";
import { PeopleBook } from "./people.ts";
import type { PoolOptions } from "./pool.ts";
import { Processes } from "./processes.ts";
import { migrate } from "./schema.ts";
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
    /**
     * The database's clock less ours, ms: several processes whose clocks differ would take each other's leases. With
     * SQLite 0, as there is one clock. @throws Problem, retryable
     */
    clockAheadMs(): Promise<number>;
  };

export type StateOptions = Place & {
  clock: Clock;
  log: Log;
};

type Place =
  | {
      /** Path of the SQLite file, made if it is not there; `:memory:` forgets everything at the end. */
      file: string;
    }
  | {
      /** `postgres://user:password@host:5432/database` or `mysql://...`, which MariaDB answers to as well. */
      url: string;
      pool?: PoolOptions | undefined;
    };

/**
 * Several processes may have one database open; each change waits for the other's.
 * @throws Problem if it cannot be opened or reached (STR-002; retryable where a server may only be down), is damaged
 * (STR-002), or was written by a newer build (SPL-002)
 */
export async function openState(options: StateOptions): Promise<State> {
  const { clock } = options;
  const database = new Database(engineOf(options));
  try {
    await database.run((query) => database.engine.check(query));
    await migrate(database, clock);
  } catch (thrown) {
    await database[Symbol.asyncDispose]();
    throw openingProblem(thrown, database.engine);
  }
  const slots = new SlotLedger(database);
  const alerts = new AlertBook(database, clock);
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
    clockAheadMs: () => database.clockAheadMs(clock),
    measures: async () => [
      ...(await slots.measures()),
      ...(await alerts.measures()),
      ...(await outbox.measures()),
      ...database.measures(),
    ],
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

function engineOf(options: StateOptions): Engine {
  const { log } = options;
  if ("file" in options) return sqliteEngine(options.file, log);
  const address = parseServerAddress(options.url);
  return (address.kind === "postgres" ? postgresEngine : mysqlEngine)(address, options.pool ?? {}, log);
}

const fixes: Readonly<Record<Engine["kind"], string>> = {
  sqlite: "check that the folder can be written and the file is a SQLite database, or put a backup in its place",
  postgres: "correct DATABASE_URL, and let its user create tables: grant create on schema public to USER",
  mysql: "correct DATABASE_URL, and let its user create and alter tables: grant all on DATABASE.* to USER",
};

function openingProblem(thrown: unknown, { kind, where }: Engine): Problem {
  if (thrown instanceof Problem && thrown.code !== undefined) return thrown;
  if (thrown instanceof Problem) {
    const { message, fix, retryable } = thrown;
    return new Problem(message, { code: "STR-002", where, fix, retryable, cause: thrown });
  }
  return toProblem(thrown, "cannot open the state", { code: "STR-002", where, fix: fixes[kind] });
}
