/** A queue inside the process. Jobs go through JSON, so that they are what a queue over a network makes them. */

import { gauge } from "../../core/measure.ts";
import type { Priority } from "../../core/model.ts";
import type { Clock, Job, JobOf, Log, Measure, Measured, Queue } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { deadline, secondMs } from "../../core/time.ts";

export type MemoryQueueOptions = {
  readonly clock: Clock;
  readonly log: Log;
  /** Jobs that wait, delayed ones included; one more is a Problem. Default 100,000. */
  readonly waitingMax?: number;
  /** How long handlers may finish by themselves when the queue is closed, before their signal aborts. Default 5 s. */
  readonly drainMs?: number;
};

type Kind = Job["kind"];
type Waiting = { readonly job: Job; readonly priority: Priority };
type Worker = { readonly concurrency: number; readonly handle: (job: never, signal: AbortSignal) => Promise<void> };

/** First in, first out for each kind and priority. Closing forgets what waits: the truth lies in SQL. */
export class MemoryQueue implements Queue, Measured {
  readonly #options: Required<MemoryQueueOptions>;
  /** Ids that are delayed, waiting or running. */
  readonly #ids = new Set<string>();
  readonly #lines: Record<Kind, Lines> = { sample: new Lines(), notify: new Lines() };
  /** Jobs of shares that are not served, by share. */
  readonly #parked = new Map<number, Waiting[]>();
  #served: ReadonlySet<number> = new Set();
  readonly #workers = new Map<Kind, Worker>();
  readonly #running = new Map<Kind, Set<Promise<void>>>();
  readonly #closing = new AbortController();
  readonly #stopped = new AbortController();

  constructor(options: MemoryQueueOptions) {
    this.#options = { waitingMax: 100_000, drainMs: 5 * secondMs, ...options };
  }

  async add(job: Job, options: { delayMs?: number; priority?: Priority } = {}): Promise<void> {
    if (this.#closing.signal.aborted) throw new Problem("the queue is closed", { where: "queue", retryable: true });
    if (this.#ids.has(job.id)) return;
    const { waiting } = this.depth();
    if (waiting >= this.#options.waitingMax) {
      throw new Problem(`the queue is full with ${waiting} jobs`, {
        where: "queue",
        fix: "find out why workers are slow; the job is made again from the ledger",
        retryable: true,
      });
    }
    const copy = JSON.parse(JSON.stringify(job)) as Job;
    this.#ids.add(copy.id);
    const { delayMs = 0, priority = "medium" } = options;
    if (delayMs > 0) void this.#later({ job: copy, priority }, delayMs);
    else this.#push({ job: copy, priority });
  }

  serve(shares: ReadonlySet<number>): void {
    this.#served = new Set(shares);
    for (const share of shares) {
      const waiting = this.#parked.get(share) ?? [];
      this.#parked.delete(share);
      for (const each of waiting) this.#lines[each.job.kind].push(each);
    }
    this.#dispatch("sample");
  }

  work<K extends Kind>(kind: K, concurrency: number, handle: (job: JobOf<K>, signal: AbortSignal) => Promise<void>) {
    if (this.#workers.has(kind)) throw new Error(`jobs of kind ${kind} are handled already`);
    this.#workers.set(kind, { concurrency, handle });
    this.#running.set(kind, new Set());
    this.#dispatch(kind);
  }

  depth(): { waiting: number; running: number } {
    const running = [...this.#running.values()].reduce((sum, jobs) => sum + jobs.size, 0);
    return { waiting: this.#ids.size - running, running };
  }

  measures(): Measure[] {
    return [gauge("queue_waiting_max", "Jobs that may wait in the queue.", this.#options.waitingMax)];
  }

  /** Starts nothing more, lets handlers finish for a while, then aborts them, and returns when the last has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const running = [...this.#running.values()].flatMap((jobs) => [...jobs]);
    if (running.length === 0) return;
    const patience = deadline(this.#options.drainMs);
    patience.addEventListener("abort", () => this.#stopped.abort(), { once: true });
    if (patience.aborted) this.#stopped.abort();
    await Promise.all(running);
  }

  async #later(waiting: Waiting, delayMs: number): Promise<void> {
    try {
      await this.#options.clock.sleep(delayMs, this.#closing.signal);
      this.#push(waiting);
    } catch {
      this.#ids.delete(waiting.job.id);
    }
  }

  #push(waiting: Waiting): void {
    const { kind } = waiting.job;
    this.#lines[kind].push(waiting);
    this.#dispatch(kind);
  }

  /** The next job to handle; those of shares that are not served are set aside on the way. */
  #next(kind: Kind): Job | undefined {
    for (;;) {
      const waiting = this.#lines[kind].shift();
      if (waiting === undefined) return undefined;
      const { job } = waiting;
      if (job.kind !== "sample" || this.#served.has(job.share)) return job;
      const parked = this.#parked.get(job.share);
      if (parked === undefined) this.#parked.set(job.share, [waiting]);
      else parked.push(waiting);
    }
  }

  #dispatch(kind: Kind): void {
    const worker = this.#workers.get(kind);
    const running = this.#running.get(kind);
    if (worker === undefined || running === undefined) return;
    while (running.size < worker.concurrency && !this.#closing.signal.aborted) {
      const job = this.#next(kind);
      if (job === undefined) return;
      const handled = this.#handle(worker, job).finally(() => {
        running.delete(handled);
        this.#ids.delete(job.id);
        this.#dispatch(kind);
      });
      running.add(handled);
    }
  }

  async #handle(worker: Worker, job: Job): Promise<void> {
    try {
      await worker.handle(job as never, this.#stopped.signal);
    } catch (thrown) {
      this.#options.log.error({ err: thrown, job: job.id }, `job ${job.id} failed: ${messageOf(thrown)}`);
    }
  }
}

/** A line for each priority. */
class Lines {
  readonly #lines: Record<Priority, Fifo<Waiting>> = { high: new Fifo(), medium: new Fifo(), low: new Fifo() };

  push(waiting: Waiting): void {
    this.#lines[waiting.priority].push(waiting);
  }

  shift(): Waiting | undefined {
    return this.#lines.high.shift() ?? this.#lines.medium.shift() ?? this.#lines.low.shift();
  }
}

/** A line to stand in; taking the first one is quick however long the line is. */
class Fifo<T> {
  #items: T[] = [];
  #first = 0;

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#first += 1;
    if (this.#first > 1_000 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
