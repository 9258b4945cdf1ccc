/** One connection to Redis that comes back by itself, and what is said of it while it is away. */
import { Redis, type RedisOptions } from "ioredis";
import { counter, gauge } from "../../core/measure.ts";
import type { Log, Measure } from "../../core/ports.ts";
import { messageOf } from "../../core/problem.ts";
import { formatDuration, hourMs, minuteMs, secondMs, stopwatch } from "../../core/time.ts";

/** Answers as they are by default; the type of the client hangs on it. */
type Plain<T> = Omit<T, "replyMapping">;

/** Between two attempts to connect; each is twice as long as the one before. */
const retryMs = { first: 50, max: 2 * secondMs };
/** A server that is there and says nothing for so long is as good as away. */
const silenceMs = 3 * secondMs;
/** An outage, or a command that goes on failing, is told again after this, and each time after twice as long. */
const repeatMs = { first: minuteMs, max: hourMs };

/**
 * @param blockMs the longest wait that a command of this connection asks the server for
 */
export function openRedis(options: Plain<RedisOptions>, blockMs = 0): Redis {
  const full: Plain<RedisOptions> = {
    ...options,
    connectionName: "bellwether",
    // Nobody waits for a server that is away: commands fail at once, those under way when the connection breaks. With
    // null in place of 0, as BullMQ has it, these would neither fail nor be sent again.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: silenceMs,
    socketTimeout: silenceMs + blockMs,
    retryStrategy: (times) => Math.min(retryMs.first * 2 ** Math.min(times - 1, 10), retryMs.max),
    // A primary that was demoted: by name, another server may answer now.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  return new Redis(full);
}

/**
 * Notes whether Redis answers: one line when it stops, few while it is away, one when it is back. Texts only: errors of
 * the client carry the commands that failed, AUTH with its password among them.
 */
export class RedisHealth {
  /** Fulfilled once it is known whether the server answers. */
  readonly firstTry: Promise<void>;
  readonly #client: Redis;
  readonly #place: string;
  readonly #log: Log;
  #reason = "no connection";
  #awayMs: (() => number) | null = null;
  #sayAgainMs = 0;
  #faults = 0;
  #ended = false;
  readonly #failing = new Map<string, { readonly sinceMs: () => number; sayAgainMs: number }>();

  constructor(client: Redis, place: string, log: Log) {
    this.#client = client;
    this.#place = place;
    this.#log = log;
    this.firstTry = new Promise((resolve) => {
      client.once("ready", resolve).once("close", resolve);
    });
    client.on("error", (error) => {
      this.#reason = messageOf(error);
    });
    client.on("close", () => this.#away());
    client.on("ready", () => this.#back());
  }

  get isUp(): boolean {
    return this.#client.status === "ready";
  }

  /** What was last said of why there is no connection. */
  get reason(): string {
    return this.#reason;
  }

  /** A command failed although there is a connection. */
  fault(thrown: unknown, what: string): void {
    if (this.#ended || !this.isUp) return;
    this.#faults += 1;
    const reason = messageOf(thrown);
    const known = this.#failing.get(what);
    if (known !== undefined && known.sinceMs() < known.sayAgainMs) return;
    const sayAgainMs = known === undefined ? repeatMs.first : Math.min(known.sayAgainMs * 2, repeatMs.max);
    this.#failing.set(what, { sinceMs: stopwatch(), sayAgainMs });
    this.#log.warn({ reason }, `Redis at ${this.#place}: cannot ${what}: ${reason}`);
  }

  /** Says nothing more. */
  end(): void {
    this.#ended = true;
  }

  measures(): Measure[] {
    return [
      gauge("queue_redis_up", "Whether Redis, which wakes workers, is connected.", this.isUp ? 1 : 0),
      counter(
        "queue_redis_faults",
        "Connections to Redis that failed or broke, and commands that failed.",
        this.#faults,
      ),
    ];
  }

  #away(): void {
    if (this.#ended) return;
    this.#faults += 1;
    this.#awayMs ??= stopwatch();
    const awayMs = this.#awayMs();
    if (awayMs < this.#sayAgainMs) return;
    this.#sayAgainMs = awayMs + Math.min(Math.max(awayMs, repeatMs.first), repeatMs.max);
    this.#log.warn(
      { reason: this.#reason, awayMs: Math.round(awayMs) },
      `Redis at ${this.#place} does not answer: ${this.#reason}; nobody is woken until it does, nothing is lost`,
    );
  }

  #back(): void {
    this.#failing.clear();
    this.#reason = "the connection broke";
    if (this.#awayMs === null) return;
    const awayMs = this.#awayMs();
    this.#awayMs = null;
    this.#sayAgainMs = 0;
    this.#log.info(
      { awayMs: Math.round(awayMs) },
      `Redis at ${this.#place} answers again after ${formatDuration(awayMs)}`,
    );
  }
}
