/** Takes jobs of one kind from the lanes that are served, as many at a time as may be handled, and handles them. */
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Job, Log } from "../../core/ports.ts";
import { messageOf } from "../../core/problem.ts";
import { secondMs, stopwatch, systemClock } from "../../core/time.ts";
import { type Lane, look, type Taken } from "./bullmq-dispatch-lane.ts";

/** The longest wait for a marker, and how often all lanes are looked at although none has one. */
export const blockMs = 5 * secondMs;
/** Where jobs wait for places, one of a higher priority may be overlooked for so long: looking costs a request. */
const overlookMs = 50;
/** Redis before 7.0.8 takes shorter waits for "for ever". */
const blockMsMin = 10;
/** After a command that failed. */
const pauseMs = 200;

type DispatcherDeps = {
  /** For commands. */
  readonly client: Redis;
  /** For waiting; nobody else's. */
  readonly waiting: Redis;
  readonly concurrency: number;
  readonly handle: (job: Job, signal: AbortSignal) => Promise<void>;
  /** Starts of keys of its own. */
  readonly prefix: string;
  readonly log: Log;
  readonly fault: (thrown: unknown, what: string) => void;
  /** Told after each job. */
  readonly ended: () => void;
};

/**
 * One loop. It asks for a job only when there is a place for it, so that a lock is never held by a job that waits, and
 * all lanes share the places. Where nothing is ready it waits for BullMQ's markers of all lanes in one blocking read:
 * a process needs one such connection a kind, however many shares it serves.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #owner = randomUUID();
  readonly #wakeKey: string;
  #lanes: ReadonlySet<Lane> = new Set();
  /** Lanes that may hold a job that is ready. */
  readonly #ready = new Set<Lane>();
  readonly #running = new Map<Taken, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #stopped = new AbortController();
  readonly #loop: Promise<void>;
  #placeFreed = Promise.withResolvers<void>();
  #sinceLookMs = stopwatch();
  #taken = 0;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#wakeKey = `${deps.prefix}:wake-${this.#owner}`;
    this.#loop = this.#run();
  }

  get running(): number {
    return this.#running.size;
  }

  /** Jobs are taken from these lanes only; those that run go on. */
  serve(lanes: readonly Lane[]): void {
    const gained = lanes.filter((lane) => !this.#lanes.has(lane));
    this.#lanes = new Set(lanes);
    for (const lane of this.#ready) if (!this.#lanes.has(lane)) this.#ready.delete(lane);
    for (const lane of gained) this.#ready.add(lane);
    // Ends the blocking read; if that fails, it ends by itself soon.
    const wake = this.#deps.client
      .pipeline()
      .zadd(this.#wakeKey, 0, "0")
      .pexpire(this.#wakeKey, 2 * blockMs);
    wake.exec().catch(() => {});
  }

  /** Keeps the locks of what runs. */
  async extendLocks(): Promise<void> {
    const byLane = Map.groupBy(this.#running.keys(), ({ lane }) => lane);
    for (const [lane, jobs] of byLane) await lane.extendLocks(jobs);
  }

  /** Takes nothing more, and returns when the last handler has ended; `patience` over, their signal aborts. */
  async close(patience: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.#placeFreed.resolve();
    this.#deps.waiting.disconnect();
    const stop = (): void => this.#stopped.abort();
    if (patience.aborted) stop();
    else patience.addEventListener("abort", stop, { once: true });
    await this.#loop;
    await Promise.all(this.#running.values());
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        // Before the first connection BullMQ would wait for it, for ever.
        if (this.#deps.client.status === "ready") {
          await this.#step();
          continue;
        }
      } catch (thrown) {
        if (signal.aborted) return;
        this.#deps.fault(thrown, "take jobs");
      }
      await systemClock.sleep(pauseMs, signal).catch(() => {});
      // What happened to markers meanwhile, nobody knows.
      this.#lookAtAll();
    }
  }

  async #step(): Promise<void> {
    if (this.#running.size >= this.#deps.concurrency) {
      this.#placeFreed = Promise.withResolvers();
      await this.#placeFreed.promise;
      // While there was no place, other lanes may have got jobs that go first.
      if (this.#sinceLookMs() >= overlookMs) this.#lookAtAll();
      return;
    }
    const lanes = await this.#choose();
    if (lanes.length === 0) return this.#wait();
    const places = this.#deps.concurrency - this.#running.size;
    const taken = await Promise.allSettled(lanes.slice(0, places).map((lane) => this.#take(lane)));
    const failed = taken.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }

  async #take(lane: Lane): Promise<void> {
    // Whoever was served goes to the end of the line.
    this.#ready.delete(lane);
    this.#ready.add(lane);
    const taken = await lane.take(`${this.#owner}-${this.#taken++}`);
    if (taken === null) this.#ready.delete(lane);
    else if (this.#closing.signal.aborted || !this.#lanes.has(lane)) await lane.giveBack(taken);
    else this.#start(taken);
  }

  /** The lanes whose first jobs go first: all are of one priority. The one that has waited longest for its turn leads. */
  async #choose(): Promise<Lane[]> {
    const lanes = [...this.#ready];
    if (lanes.length < 2) return lanes;
    const looks = await look(this.#deps.client, lanes);
    const ranks = new Map(lanes.map((lane, index) => [lane, looks[index]?.rank ?? null]));
    for (const [lane, rank] of ranks) if (rank === null) this.#ready.delete(lane);
    const best = Math.min(...[...ranks.values()].map((rank) => rank ?? Number.POSITIVE_INFINITY));
    return lanes.filter((lane) => ranks.get(lane) === best && this.#lanes.has(lane));
  }

  /** Until a lane has something to take, or might have. */
  async #wait(): Promise<void> {
    const lanes = [...this.#lanes];
    const dueMs = Math.min(...lanes.map((lane) => lane.dueMs ?? Number.POSITIVE_INFINITY));
    const patienceMs = Math.max(Math.min(dueMs - systemClock.nowMs(), blockMs), blockMsMin);
    const keys = [...lanes.map((lane) => lane.marker), this.#wakeKey];
    const found = await this.#deps.waiting.bzpopmin(...keys, patienceMs / secondMs);
    const nowMs = systemClock.nowMs();
    if (found !== null) this.#mark(found[0], Number(found[2]), nowMs);
    for (const lane of this.#lanes) if (lane.dueMs !== null && lane.dueMs <= nowMs) this.#ready.add(lane);
    // A marker may have been taken by a process that died of it.
    if (this.#sinceLookMs() >= blockMs) this.#lookAtAll();
  }

  #lookAtAll(): void {
    for (const lane of this.#lanes) this.#ready.add(lane);
    this.#sinceLookMs = stopwatch();
  }

  /** @param score 0: there is a job; else when a delayed one will be ready, epoch ms */
  #mark(key: string, score: number, nowMs: number): void {
    const lane = [...this.#lanes].find(({ marker }) => marker === key);
    if (lane === undefined) return;
    if (score > nowMs) lane.dueMs = Math.min(lane.dueMs ?? score, score);
    else this.#ready.add(lane);
  }

  #start(taken: Taken): void {
    const handled = this.#handle(taken).finally(() => {
      this.#running.delete(taken);
      this.#placeFreed.resolve();
      this.#deps.ended();
    });
    this.#running.set(taken, handled);
  }

  async #handle(taken: Taken): Promise<void> {
    const { log, handle, fault } = this.#deps;
    const { job, givenUp } = taken;
    if (givenUp !== null) log.warn({ job: job.id, givenUp }, `job ${job.id} is given up: ${givenUp}`);
    try {
      if (givenUp === null) await handle(job, this.#stopped.signal);
    } catch (thrown) {
      log.error({ err: thrown, job: job.id }, `job ${job.id} failed: ${messageOf(thrown)}`);
    }
    try {
      const isOurs = await taken.lane.finish(taken);
      if (!isOurs) log.debug({ job: job.id }, `job ${job.id} was no longer ours when it ended`);
    } catch (thrown) {
      // Its lock runs out, and it is handled once more: a wake-up too many.
      fault(thrown, "finish jobs");
    }
  }
}
