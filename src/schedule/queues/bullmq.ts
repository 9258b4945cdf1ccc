/**
 * A queue over Redis, by BullMQ: one queue of its own for each share and one for messages. Redis only wakes workers, so
 * whatever it forgets or brings back is harmless: the ledger's sweep makes jobs again, and SQL decides who runs what.
 */
import { createRedisBackend, type IQueueBackend } from "bullmq";
import type { Redis } from "ioredis";
import { counter, gauge } from "../../core/measure.ts";
import type { Priority } from "../../core/model.ts";
import {
  type Job,
  type JobOf,
  type Log,
  type Measure,
  type Measured,
  type Queue,
  shareCount,
} from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { deadline, minuteMs, secondMs, systemClock } from "../../core/time.ts";
import { redisAddress } from "./bullmq-address.ts";
import { inspectRedis } from "./bullmq-check.ts";
import { blockMs, Dispatcher } from "./bullmq-dispatch.ts";
import { Lane, look } from "./bullmq-dispatch-lane.ts";
import { openRedis, RedisHealth } from "./bullmq-link.ts";

export type BullmqQueueOptions = {
  /** `redis://user:password@host:6379/0`, `rediss://` for TLS. */
  readonly url: string;
  readonly log: Log;
  /** What all keys begin with. Default `bellwether`. */
  readonly prefix?: string;
  /** Jobs that wait in Redis; about so many, and one more is a Problem. Default 100,000. */
  readonly waitingMax?: number;
  /** How long handlers may finish by themselves when the queue is closed, before their signal aborts. Default 5 s. */
  readonly drainMs?: number;
};

/** A job whose holder has not renewed its lock for so long is handled by another. */
const lockMs = 10 * secondMs;
/** How often locks are renewed, and jobs without one are looked for: found within 14 s. */
const careMs = 4 * secondMs;
/** A job that has lost so many holders is given up; a sweep of the ledger makes it anew. */
const stalledMax = 3;
/** How long `add` waits for an answer. */
const addMs = secondMs;
const tickMs = secondMs;
/** Entries of BullMQ's own log of a queue, which nobody reads. */
const eventsMax = 100;

export class BullmqQueue implements Queue, Measured {
  readonly #options: Required<BullmqQueueOptions>;
  readonly #place: string;
  readonly #address: ReturnType<typeof redisAddress>;
  readonly #client: Redis;
  readonly #health: RedisHealth;
  readonly #root: IQueueBackend;
  readonly #messages: Lane;
  readonly #shares: readonly Lane[];
  readonly #dispatchers = new Map<Job["kind"], Dispatcher>();
  readonly #closing = new AbortController();
  readonly #ended = new AbortController();
  readonly #ticking: Promise<void>;
  #served: ReadonlySet<number> = new Set();
  #waiting = 0;
  #isCountOld = true;
  #stalled = 0;

  /** Connects by itself, now or whenever Redis answers. @throws Problem if `url` is not the address of a Redis */
  constructor(options: BullmqQueueOptions) {
    this.#options = { prefix: "bellwether", waitingMax: 100_000, drainMs: 5 * secondMs, ...options };
    this.#address = redisAddress(options.url);
    this.#place = `REDIS_URL ${this.#address.place}`;
    this.#client = openRedis(this.#address.options);
    this.#health = new RedisHealth(this.#client, this.#address.place, options.log);
    const { prefix } = this.#options;
    const settings = { lockDuration: lockMs, stalledInterval: careMs - secondMs / 2, maxStalledCount: stalledMax };
    const connection = { connection: this.#client, prefix, skipVersionCheck: true, ...settings };
    this.#root = createRedisBackend("notify", connection, {});
    // Its errors are those of the client, which are told there.
    this.#root.on("error", () => {});
    const shared = { prefix, root: this.#root, client: this.#client, lockMs };
    const lane = (name: string): Lane => new Lane({ name, ...shared });
    this.#messages = lane("notify");
    this.#shares = Array.from({ length: shareCount }, (_, share) => lane(`sample-${String(share).padStart(2, "0")}`));
    this.#ticking = this.#tick();
  }

  async add(job: Job, options: { delayMs?: number; priority?: Priority } = {}): Promise<void> {
    if (this.#closing.signal.aborted) throw new Problem("the queue is closed", { where: "queue", retryable: true });
    const { delayMs = 0, priority = "medium" } = options;
    const { waitingMax } = this.#options;
    if (!this.#health.isUp) await within(addMs, this.#health.firstTry).catch(() => {});
    if (!this.#health.isUp) throw this.#away();
    if (this.#waiting >= waitingMax) throw this.#refusal(`the queue is full with ${this.#waiting} jobs`);
    try {
      await within(addMs, this.#laneOf(job).add(job, delayMs, priority));
      this.#isCountOld = true;
    } catch (thrown) {
      this.#health.fault(thrown, "add jobs");
      if (!this.#health.isUp) throw this.#away(true);
      throw this.#refusal(`Redis did not take a job: ${messageOf(thrown)}`, thrown === late);
    }
  }

  serve(shares: ReadonlySet<number>): void {
    this.#served = new Set(shares);
    this.#dispatchers.get("sample")?.serve(this.#shares.filter((_, share) => shares.has(share)));
  }

  work<K extends Job["kind"]>(
    kind: K,
    concurrency: number,
    handle: (job: JobOf<K>, signal: AbortSignal) => Promise<void>,
  ): void {
    if (this.#dispatchers.has(kind)) throw new Error(`jobs of kind ${kind} are handled already`);
    const waiting = openRedis(this.#address.options, blockMs);
    // The other connection tells what is to be told.
    waiting.on("error", () => {});
    const dispatcher = new Dispatcher({
      client: this.#client,
      waiting,
      concurrency,
      handle: handle as (job: Job, signal: AbortSignal) => Promise<void>,
      prefix: this.#options.prefix,
      log: this.#options.log,
      fault: (thrown, what) => this.#health.fault(thrown, what),
      ended: () => {
        this.#isCountOld = true;
      },
    });
    this.#dispatchers.set(kind, dispatcher);
    if (kind === "notify") dispatcher.serve([this.#messages]);
    else this.serve(this.#served);
  }

  /** `waiting`: of all shares and processes, as of a second ago; `running`: here, now. */
  depth(): { readonly waiting: number; readonly running: number } {
    const running = [...this.#dispatchers.values()].reduce((sum, dispatcher) => sum + dispatcher.running, 0);
    return { waiting: this.#waiting, running };
  }

  measures(): Measure[] {
    return [
      ...this.#health.measures(),
      gauge("queue_waiting_max", "Jobs that may wait in the queue.", this.#options.waitingMax),
      counter("queue_stalled", "Jobs found here that a worker had taken and lost.", this.#stalled),
    ];
  }

  /** Starts nothing more, lets handlers finish for a while, then aborts them; what waits stays in Redis. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#health.end();
    const patience = deadline(this.#options.drainMs);
    await Promise.all([...this.#dispatchers.values()].map((dispatcher) => dispatcher.close(patience)));
    this.#ended.abort();
    await this.#ticking;
    this.#client.disconnect();
  }

  #laneOf(job: Job): Lane {
    if (job.kind === "notify") return this.#messages;
    const lane = this.#shares[job.share];
    if (lane === undefined) throw new Error(`there is no share ${job.share}`);
    return lane;
  }

  #away(uncertain = false): Problem {
    return this.#refusal(`Redis does not answer: ${this.#health.reason}`, uncertain);
  }

  #refusal(what: string, uncertain = false): Problem {
    return new Problem(what, {
      where: this.#place,
      fix: "nothing is lost: the job is made again from the ledger; see that Redis runs and has memory",
      retryable: true,
      uncertain,
    });
  }

  /** Counts, renews locks and looks for jobs without one, until the last handler has ended. */
  async #tick(): Promise<void> {
    const { signal } = this.#ended;
    await this.#health.firstTry;
    for (let tick = 0; !signal.aborted; tick += 1) {
      const isCare = tick % (careMs / tickMs) === 0;
      if (this.#health.isUp) {
        try {
          if (tick % (minuteMs / tickMs) === 0) await this.#limitEvents();
          if (isCare) await this.#care();
          if (isCare || this.#isCountOld) await this.#count();
        } catch (thrown) {
          this.#health.fault(thrown, "look after jobs");
        }
      }
      await systemClock.sleep(tickMs, signal).catch(() => {});
    }
  }

  async #care(): Promise<void> {
    for (const dispatcher of this.#dispatchers.values()) await dispatcher.extendLocks();
    const served = this.#dispatchers.has("sample") ? this.#shares.filter((_, share) => this.#served.has(share)) : [];
    const lanes = this.#dispatchers.has("notify") ? [...served, this.#messages] : served;
    for (const lane of lanes) this.#stalled += await lane.recover();
  }

  /** Again and again: Redis may have been emptied. */
  async #limitEvents(): Promise<void> {
    for (const lane of [this.#messages, ...this.#shares]) await lane.limitEvents(eventsMax);
  }

  async #count(): Promise<void> {
    this.#isCountOld = false;
    const looks = await look(this.#client, [this.#messages, ...this.#shares]);
    this.#waiting = looks.reduce((sum, { waiting }) => sum + waiting, 0);
  }
}

const late = new Error(`no answer for ${addMs} ms`);

/** @throws {@link late}; what becomes of the work then, nobody hears */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const tooLate = systemClock.sleep(ms, ended.signal).then(
    () => Promise.reject(late),
    () => work,
  );
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    ended.abort();
  }
}

/**
 * What is wrong with a Redis, for `start`, `check --connect` and `doctor`: one connection and one `INFO`. RDS-001: it may
 * drop jobs; RDS-002: it forgets them when it restarts; RDS-003: it is too old; other Problems have no code. All are
 * errors, save a server on the network that is open to all, which is a warning.
 * @throws Problem if `url` is not the address of a Redis
 */
export async function checkRedis(url: string): Promise<Problem[]> {
  return inspectRedis(redisAddress(url));
}
