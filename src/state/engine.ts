/** What a database of facts must be able to do besides SQL, and how each kind says so. One file a kind. */
import type { Knex } from "knex";
import type { Measure } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";

/**
 * What an error of a driver means:
 * - `busy`: somebody else was in the way; nothing was written, the same again may succeed at once.
 * - `duplicate`: a unique index refused a row; somebody else was faster.
 * - `unreachable`: no connection, or it was lost; a statement that was under way may have taken effect.
 * - `refused`: the server is there and will not do it now (too slow, full, read-only); nothing was written.
 */
export type FaultKind = "busy" | "duplicate" | "unreachable" | "refused";

export interface Engine {
  readonly kind: "sqlite" | "postgres" | "mysql";
  /** The file, or the address without user and password. */
  readonly where: string;
  readonly knex: Knex;
  /** True: changes of the schema are undone with their transaction. */
  readonly undoesSchema: boolean;
  /** @returns null for anything else: a defect, or a fault that no repetition mends */
  faultOf(thrown: unknown): FaultKind | null;
  /** Before statement `tries + 1`, after `busy`; false: no more tries. */
  waitBusy(tries: number): Promise<boolean>;
  /** Before another try after `unreachable`; false: `elapsedMs` of trying is enough. */
  waitUnreachable(tries: number, elapsedMs: number): Promise<boolean>;
  /** All or nothing, on the disk when it resolves. A transaction that fails to commit rejects with the driver's error. */
  transaction<T>(work: (query: Knex) => Promise<T>): Promise<T>;
  /** Runs `work` while no other process is in here: for the schema. Ends with the process, however that ends. */
  exclusively<T>(work: (query: Knex) => Promise<T>): Promise<T>;
  /** Time of the server's clock, epoch ms; null: it is ours. */
  readonly clockMs: ((query: Knex) => Promise<number>) | null;
  /** What makes this database unfit, found out at the opening. */
  check(query: Knex): Promise<void>;
  measures(): Measure[];
  dispose(): Promise<void>;
}

/** A server said nothing for longer than its own limits allow, and the connection was given up. */
export class Silence extends Error {
  readonly code = "SILENCE";
}

const codes: readonly [FaultKind, RegExp][] = [
  ["busy", /^(SQLITE_BUSY|SQLITE_LOCKED|40001|40P01|55P03|ER_LOCK_DEADLOCK|ER_LOCK_WAIT_TIMEOUT|ER_CHECKREAD)/],
  ["duplicate", /^(SQLITE_CONSTRAINT_UNIQUE|SQLITE_CONSTRAINT_PRIMARYKEY|23505|ER_DUP_ENTRY)$/],
  // Of sockets and names, then PostgreSQL's classes 08 and 57P, and its limit of connections; then MySQL's.
  [
    "unreachable",
    /^(SILENCE|ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|EADDRNOTAVAIL)$/,
  ],
  ["unreachable", /^(08\w{3}|57P0[1-5]|53300|25P0[34])$/],
  [
    "unreachable",
    /^(PROTOCOL_CONNECTION_LOST|ER_SERVER_SHUTDOWN|ER_CON_COUNT_ERROR|ER_CONNECTION_KILLED|ER_NORMAL_SHUTDOWN|ER_TOO_MANY_USER_CONNECTIONS|ER_CLIENT_INTERACTION_TIMEOUT)$/,
  ],
  // Statements that took too long, full disks and memory, servers that only read.
  ["refused", /^(57014|53\w{3}|25006|ER_STATEMENT_TIMEOUT|ER_QUERY_INTERRUPTED|ER_QUERY_TIMEOUT|ER_DISK_FULL)$/],
  ["refused", /^(ER_RECORD_FILE_FULL|ER_OPTION_PREVENTS_STATEMENT|ER_READ_ONLY_MODE|ER_OUT_OF_RESOURCES)$/],
];

/** Connections that broke say so without a code. */
const lostTexts =
  /^(Connection terminated|Client (has encountered a connection error|was closed)|timeout expired|Can't add new command when connection is in closed state|Timeout acquiring a connection|Unable to acquire a connection|aborted$)/;

/** What the driver said; knex puts the statement before it. */
export function driverText(thrown: unknown): string {
  return messageOf(thrown).replace(/^.* - (?=.)/s, "");
}

/** By the code of the driver's error, and where it gives none by its text. */
export function faultOf(thrown: unknown): FaultKind | null {
  if (!(thrown instanceof Error) || thrown instanceof Problem) return null;
  const { code, cause } = thrown as { code?: unknown; cause?: unknown };
  const found = codes.find(([, pattern]) => pattern.test(String(code ?? "")));
  if (found !== undefined) return found[0];
  if (lostTexts.test(driverText(thrown))) return "unreachable";
  return cause === undefined ? null : faultOf(cause);
}

/** Whether a unique index refused a row: somebody else was faster. */
export function isDuplicate(thrown: unknown): boolean {
  return faultOf(thrown) === "duplicate";
}
