/** Connections to a server of SQL, and what becomes of them when it is silent, full or gone. */
import type { Knex } from "knex";
import { gauge } from "../core/measure.ts";
import type { Log, Measure } from "../core/ports.ts";
import { secondMs, stopwatch, systemClock } from "../core/time.ts";
import { Silence } from "./engine.ts";

/** Bounds of the connections to a server; each has its default. */
export type PoolOptions = {
  /** Connections at a time; statements wait for each other beyond it. Default 10. */
  readonly connectionsMax?: number | undefined;
  /** How long a connection may take to come about, and a statement may wait for one, ms. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How long the server itself lets a statement run, and wait for a lock, ms; whatever is silent for two seconds longer
   * is given up. Default 15,000.
   */
  readonly statementTimeoutMs?: number | undefined;
  /** How long calls go on trying while the server cannot be reached, before they fail, ms. Default 5,000. */
  readonly patienceMs?: number | undefined;
};

export type PoolLimits = { readonly [Name in keyof PoolOptions]-?: NonNullable<PoolOptions[Name]> };

/** What the schema may take, where indexes are built over a million rows. */
const schemaTimeoutMs = 600 * secondMs;
/** What an answer may take on its way beyond the server's own limit. */
const graceMs = 2 * secondMs;
/** An open transaction that has nothing more to say for so long is ended by the server, with its locks. */
export const idleTransactionMs = 60 * secondMs;
/** Tries after a deadlock or a lock that was held for too long. */
const busyTriesMax = 5;

export function limitsOf(options: PoolOptions): PoolLimits {
  return {
    connectionsMax: options.connectionsMax ?? 10,
    connectTimeoutMs: options.connectTimeoutMs ?? 5 * secondMs,
    statementTimeoutMs: options.statementTimeoutMs ?? 15 * secondMs,
    patienceMs: options.patienceMs ?? 5 * secondMs,
  };
}

/** For the one connection that changes the schema: a second one would be without its lock. */
export function schemaLimits(limits: PoolLimits): PoolLimits {
  return { ...limits, connectionsMax: 1, statementTimeoutMs: schemaTimeoutMs };
}

/** What knex has to say is about itself, never about users' mistakes. */
export function knexLog(log: Log): Knex.Logger {
  const say = (message: unknown): void => log.debug({ knex: message }, "knex says");
  return { warn: say, error: say, deprecate: say, debug: say };
}

/** A connection of `pg` or `mysql2`, as much of it as is needed here. */
type RawConnection = {
  query(...args: unknown[]): unknown;
  __knex__disposed?: unknown;
};

export type PoolPlan<C> = {
  /** Statements that a new connection begins with. */
  readonly setUp: (connection: C) => Promise<void>;
  /** Ends its socket at once, without a word to the server. */
  readonly cut: (connection: C) => void;
  /** True: never a second connection after the first. */
  readonly once: boolean;
};

/** Settings of knex's pool, with every new connection watched. */
export function poolConfig<C extends RawConnection>(limits: PoolLimits, watch: Watch, plan: PoolPlan<C>) {
  let made = 0;
  const pool: Knex.PoolConfig = {
    min: 0,
    max: limits.connectionsMax,
    createTimeoutMillis: limits.connectTimeoutMs + graceMs,
    idleTimeoutMillis: plan.once ? schemaTimeoutMs : 30 * secondMs,
    // A failed connection is told to whoever waits for it, rather than tried again out of sight.
    propagateCreateError: true,
    afterCreate: (connection: C, done: (thrown: unknown, connection: C) => void) => {
      made += 1;
      watch.over(connection, limits.statementTimeoutMs + graceMs, plan.cut);
      const ready = plan.once && made > 1 ? Promise.reject(new Silence("lost the lock")) : plan.setUp(connection);
      ready.then(
        () => done(null, connection),
        (thrown: unknown) => {
          plan.cut(connection);
          done(thrown, connection);
        },
      );
    },
  };
  return { pool, acquireConnectionTimeout: limits.connectTimeoutMs + limits.statementTimeoutMs };
}

type Pending = { readonly elapsedMs: () => number; readonly limitMs: number; readonly giveUp: () => void };

/**
 * Gives up connections whose server is silent: a stopped process, or a network that swallows everything, would hold
 * a statement for ever. Drivers' own limits leave the connection in the pool with the answer still to come.
 */
export class Watch {
  readonly #pending = new Set<Pending>();
  readonly #stopping = new AbortController();
  #looking = false;

  over<C extends RawConnection>(connection: C, limitMs: number, cut: (connection: C) => void): void {
    const query = connection.query.bind(connection);
    connection.query = (...args: unknown[]): unknown => {
      const callback = args.pop();
      if (typeof callback !== "function") return query(...args, callback);
      const settle = (...results: unknown[]): void => {
        if (this.#pending.delete(pending)) callback(...results);
      };
      const pending: Pending = {
        elapsedMs: stopwatch(),
        limitMs,
        giveUp: () => {
          const silence = new Silence(`no answer within ${Math.round(limitMs / secondMs)} s`);
          connection.__knex__disposed = silence;
          settle(silence);
          cut(connection);
        },
      };
      this.#pending.add(pending);
      if (!this.#looking) void this.#look();
      return query(...args.map(storable), settle);
    };
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** One look now and then for all of them, as a timer for each statement would cost more than many statements. */
  async #look(): Promise<void> {
    this.#looking = true;
    try {
      while (this.#pending.size > 0) {
        await systemClock.sleep(250, this.#stopping.signal);
        for (const each of this.#pending) if (each.elapsedMs() > each.limitMs) each.giveUp();
      }
    } catch {
      // Stopped.
    } finally {
      this.#looking = false;
    }
  }
}

/** PostgreSQL takes no NUL in text, and sources may send one: as with text of an unknown encoding, it is shown as such. */
function storable(argument: unknown): unknown {
  if (typeof argument === "string") return argument.includes("\0") ? argument.replaceAll("\0", "\uFFFD") : argument;
  if (Array.isArray(argument)) return argument.map(storable);
  const { values } = (argument ?? {}) as { values?: unknown };
  return Array.isArray(values) ? { ...(argument as object), values: values.map(storable) } : argument;
}

/** 20, 40, 80, 160 ms and as much again by chance, so that two that met do not meet again. */
export async function waitBusy(tries: number): Promise<boolean> {
  if (tries >= busyTriesMax) return false;
  await pause(10 * 2 ** tries);
  return true;
}

/** From 50 ms on, doubling up to a second, until the patience is at its end. */
export async function waitUnreachable(tries: number, elapsedMs: number, patienceMs: number): Promise<boolean> {
  const leftMs = patienceMs - elapsedMs;
  if (leftMs <= 0) return false;
  await pause(Math.min(25 * 2 ** Math.min(tries, 6), secondMs / 2, leftMs));
  return true;
}

function pause(leastMs: number): Promise<void> {
  return systemClock.sleep(leastMs * (1 + Math.random()), new AbortController().signal);
}

/** How many connections there are, and who waits for one. */
export function poolMeasures(query: Knex, limits: PoolLimits): Measure[] {
  const { pool } = query.client as {
    pool?: { numUsed(): number; numFree(): number; numPendingAcquires(): number } | undefined;
  };
  const help = "Connections to the database of facts.";
  return [
    gauge("state_connections", help, pool?.numUsed() ?? 0, { state: "used" }),
    gauge("state_connections", help, pool?.numFree() ?? 0, { state: "free" }),
    gauge("state_connections_max", "Connections to the database of facts at most.", limits.connectionsMax),
    gauge("state_connections_waiting", "Statements that wait for a connection.", pool?.numPendingAcquires() ?? 0),
  ];
}
