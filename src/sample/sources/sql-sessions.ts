/** Connections to one server, shared by the samplers that read it: one session at a time each, and none left behind. */
import knex, { type Knex } from "knex";
import type { Row } from "../../core/model.ts";
import type { Measure } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import type { Shareable } from "../../core/shares.ts";
import { deadline } from "../../core/time.ts";
import type { Plan } from "./sql-guard.ts";

/** A query with marks in place of values. */
export type Statement = { readonly text: string; readonly values: readonly string[] };

/** One read-only transaction. It runs what it is given: whether that is a SELECT, others have judged. */
export interface Session {
  /** @throws Problem; {@link Broken} where the server may still be at it */
  select(statement: Statement, rowsMax: number): Promise<{ rows: readonly Row[]; rowsRead: number | null }>;
  /** Null: the account may read, and not see how that is done. */
  plan(statement: Statement): Promise<Plan | null>;
  /** `PostgreSQL 15.8`, and its clock less ours. */
  about(): Promise<{ readonly server: string; readonly clockAheadMs: number }>;
  /** What the account may do beyond reading: `INSERT on 41 tables`. */
  excess(): Promise<readonly string[]>;
}

/** What one kind of server needs; `Raw` is its driver's connection. */
export interface Dialect<Raw extends object> {
  readonly client: "pg" | "mysql2";
  /** `host:port/database`. */
  readonly place: string;
  /** The driver's settings, user and password in them. */
  settings(): object;
  begin(raw: Raw): Promise<void>;
  session(raw: Raw): Session;
  /** Ends the transaction and forgets all that a session remembers. */
  end(raw: Raw): Promise<void>;
  /** Has the server stop what the connection is at, over another connection. */
  cancel(raw: Raw): Promise<void>;
  /** Ends the connection as it stands. */
  sever(raw: Raw): void;
  problemOf(thrown: unknown): Problem;
}

/** A fault after which the server may still be working for the connection. */
export class Broken extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** How long a cancelled statement, a rollback and the like may take before the connection is simply ended. */
const patienceMs = 2_000;

/** How long a connection is kept without use. */
const idleMs = 60_000;

/** A pool of `tarn`, which knex makes; its types do not show it. */
type Pool<Raw> = {
  acquire(): { readonly promise: Promise<Raw>; abort(): void };
  release(raw: Raw): void;
  numUsed(): number;
  numPendingAcquires(): number;
};

export class Sessions<Raw extends object> implements Shareable {
  readonly dialect: Dialect<Raw>;
  readonly #connection: string;
  readonly #connectionsMax: number;
  readonly #knex: Knex;
  readonly #used = new WeakSet<Raw>();
  readonly #ending = new Set<Promise<void>>();
  #settingsStale = false;
  #cut = 0;

  constructor(connection: string, connectionsMax: number, dialect: Dialect<Raw>) {
    this.dialect = dialect;
    this.#connection = connection;
    this.#connectionsMax = connectionsMax;
    const quiet = (): void => {};
    this.#knex = knex({
      client: dialect.client,
      connection: () => {
        this.#settingsStale = false;
        return { ...dialect.settings(), expirationChecker: () => this.#settingsStale };
      },
      pool: { min: 0, max: connectionsMax, idleTimeoutMillis: idleMs },
      // Whoever waits has a deadline of its own.
      acquireConnectionTimeout: 3_600_000,
      log: { warn: quiet, error: quiet, deprecate: quiet, debug: quiet },
    });
  }

  /**
   * Waits for a connection, works in a transaction of its own, and leaves nothing behind. When the signal aborts, the
   * server is told to stop, and the connection is ended.
   * @throws the signal's reason if it aborts; Problem
   */
  async session<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const raw = await this.#begun(signal);
    const working = work(this.dialect.session(raw));
    try {
      const result = await untilAborted(working, signal);
      // Nobody waits for a session to be wiped, but the next that wants the connection.
      this.#finish(this.#end(raw));
      return result;
    } catch (thrown) {
      const clean = thrown instanceof Problem && !signal.aborted;
      if (clean) await this.#end(raw);
      else this.#stop(raw, working);
      if (signal.aborted) throw signal.reason;
      throw thrown instanceof Broken ? thrown.problem : this.#problemOf(thrown);
    }
  }

  get connectionsMax(): number {
    return this.#connectionsMax;
  }

  /** Whether all connections are in use. */
  get isFull(): boolean {
    return this.#pool.numUsed() >= this.#connectionsMax;
  }

  measures(): Measure[] {
    const labels = { connection: this.#connection };
    const pool = this.#pool;
    const name = (what: string): string => `bellwether_sql_${what}`;
    const gauge = (what: string, help: string, value: number): Measure => {
      return { name: name(what), help, kind: "gauge", value, labels };
    };
    return [
      gauge("connections_busy", "Connections in use.", pool.numUsed()),
      gauge("connections_max", "Connections at a time.", this.#connectionsMax),
      gauge("queries_waiting", "Queries that wait for one.", pool.numPendingAcquires()),
      { name: name("queries_cut_total"), help: "Stopped in the server.", kind: "counter", value: this.#cut, labels },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ending);
    await this.#knex.destroy();
  }

  get #pool(): Pool<Raw> {
    return this.#knex.client.pool as Pool<Raw>;
  }

  /** A connection that the server has ended meanwhile is noticed at its first word; then another one is taken. */
  async #begun(signal: AbortSignal): Promise<Raw> {
    for (;;) {
      const raw = await this.#acquire(signal);
      const reused = this.#used.has(raw);
      this.#used.add(raw);
      const beginning = this.dialect.begin(raw);
      try {
        await untilAborted(beginning, signal);
        return raw;
      } catch (thrown) {
        this.#stop(raw, beginning);
        if (signal.aborted) throw signal.reason;
        if (!reused) throw this.#problemOf(thrown);
      }
    }
  }

  async #acquire(signal: AbortSignal): Promise<Raw> {
    signal.throwIfAborted();
    const pending = this.#pool.acquire();
    try {
      return await untilAborted(pending.promise, signal);
    } catch (thrown) {
      if (!signal.aborted) throw this.#problemOf(thrown);
      pending.abort();
      // It may have been there already.
      pending.promise.then(
        (raw) => this.#pool.release(raw),
        () => {},
      );
      throw signal.reason;
    }
  }

  async #end(raw: Raw): Promise<void> {
    const ending = this.dialect.end(raw);
    try {
      await untilAborted(ending, deadline(patienceMs));
      this.#pool.release(raw);
    } catch {
      this.#stop(raw, ending);
    }
  }

  /** The connection counts as busy until the server has let go of it, so that a slow one is not asked ever more. */
  #stop(raw: Raw, working: Promise<unknown>): void {
    this.#cut += 1;
    this.#finish(this.#cutOff(raw, working));
  }

  #finish(work: Promise<void>): void {
    const finishing = work.finally(() => this.#ending.delete(finishing));
    this.#ending.add(finishing);
  }

  async #cutOff(raw: Raw, working: Promise<unknown>): Promise<void> {
    let over = false;
    const settled = working.then(
      () => {
        over = true;
      },
      () => {
        over = true;
      },
    );
    await Promise.resolve();
    if (!over) {
      const patience = deadline(patienceMs);
      const cancelled = this.dialect.cancel(raw).catch(() => {});
      await untilAborted(Promise.all([cancelled, settled]), patience).catch(() => {});
    }
    this.dialect.sever(raw);
    Object.assign(raw, { __knex__disposed: "ended by us" });
    this.#pool.release(raw);
  }

  #problemOf(thrown: unknown): Problem {
    const problem = thrown instanceof Problem ? thrown : this.dialect.problemOf(thrown);
    // A password may have been changed meanwhile: the next connection reads it again.
    if (problem.code === "SQL-014") this.#settingsStale = true;
    return problem;
  }
}

/** @throws the signal's reason as soon as it aborts; what the promise then does is nobody's concern */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => {});
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop as () => void);
  }
}

/** The words of a driver's error, in one line and without values, which may be anybody's name or number. */
export function wordsOf(thrown: unknown): string {
  return messageOf(thrown)
    .replace(/\s+/g, " ")
    .replace(/: ".*$/, "")
    .slice(0, 300);
}
