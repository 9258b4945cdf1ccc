/** The worker: samples, judges, stores, alerts and delivers, for the shares of the samplers that it holds. */
import { randomUUID } from "node:crypto";
import { Collector } from "./collector.ts";
import type { Definitions } from "./core/definitions.ts";
import type { Measured, Notifier, Queue } from "./core/ports.ts";
import { shareCount } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { deadline, minuteMs, secondMs, systemClock } from "./core/time.ts";
import type { Desk } from "./desk.ts";
import { fillGaps } from "./gaps.ts";
import { every, keepPoints } from "./housekeeping.ts";
import { Deliverer } from "./notify/deliver.ts";
import { Resampler } from "./resampling.ts";
import { slotJob } from "./schedule/job.ts";
import { queues } from "./schedule/queues/index.ts";
import { ShareKeeper } from "./schedule/shares.ts";
import { SlotWorker } from "./schedule/worker.ts";

/** A lease that is not renewed for so long is taken over: by others soon, by the next start of the only process later. */
const leaseMs = { shared: 15 * secondMs, alone: minuteMs };
/** How often it is looked for slots whose points had no room, in real time. */
const gapsMs = 5 * secondMs;
/** A slot that nobody was woken for is run so long after it was due; it is looked for these so often. */
const unwokenMs = 20 * secondMs;
const unwokenLookMs = 5 * secondMs;
/** How long the servers may take to say which series others have written. */
const relearnMs = 10 * secondMs;
/** Handlers of the jobs that say that a message is owed. */
const notifyConcurrency = 1;

export type WorkerRoleDeps = {
  readonly desk: Desk;
  readonly queue: Queue;
  readonly owner: string;
  readonly shareOf: (sampler: string) => number;
  /** Null: this process is the only one, and works on everything. */
  readonly workers: (() => Promise<number>) | null;
  readonly tempo: number;
  readonly baseUrl: () => string;
};

export class WorkerRole implements AsyncDisposable {
  readonly #deps: WorkerRoleDeps;
  readonly #worker: SlotWorker;
  readonly #shares: ShareKeeper | null;
  readonly #collector: Collector;
  /** Wakes this worker by itself where the queue that it shares with others does not; null where there is no such queue. */
  readonly #own: Queue | null;
  readonly #notifiers: Map<string, Notifier>;
  readonly #deliverer: Deliverer;
  #started = false;

  constructor(deps: WorkerRoleDeps) {
    const { desk, queue, owner, shareOf, workers, tempo, baseUrl } = deps;
    const { clock, log, settings, state, pipeline, store, secret } = desk;
    this.#deps = deps;
    this.#notifiers = desk.openNotifiers();
    this.#deliverer = new Deliverer({
      clock,
      state,
      notifiers: this.#notifiers,
      log,
      owner,
      // The console's address is known once it listens.
      compose: (item) => desk.composer(baseUrl()).compose(item),
      secret,
      newId: randomUUID,
    });
    this.#collector = new Collector({ store, log });
    const resampler = new Resampler({ slots: state.slots, pipeline, log });
    this.#shares = workers === null ? null : this.#keeper(workers);
    this.#own = workers === null ? null : queues.memory({ clock, log });
    this.#worker = new SlotWorker({
      clock,
      slots: state.slots,
      queue,
      log,
      owner,
      concurrency: settings.concurrency,
      leaseMs: (workers === null ? leaseMs.alone : leaseMs.shared) * tempo,
      catchUp: settings.catchUp,
      sampler: (name) => desk.definitions.samplers.get(name),
      shareOf,
      holds: (share) => this.#shares?.holds(share) ?? true,
      execute: async (sampler, slot, signal) => {
        const result = await pipeline.run(sampler, slot, signal);
        const laterMs = await resampler.after(sampler, slot, signal);
        const { serverMs, rowsRead } = result.cost;
        return { ...result, cost: { serverMs: serverMs + laterMs, rowsRead } };
      },
      failed: async (sampler, slot, state, reason) => {
        if (state === "late" || state === "source-down") await pipeline.runWithout(sampler, slot, { state, reason });
      },
      ended: (end) => this.#collector.note(end),
    });
  }

  get measured(): readonly Measured[] {
    return [this.#worker, this.#collector, this.#deliverer, ...(this.#shares === null ? [] : [this.#shares])];
  }

  /** Takes jobs from now on; again: does nothing. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    const all = new Set(Array.from({ length: shareCount }, (_, share) => share));
    this.#worker.start();
    if (this.#own === null) {
      this.#deps.queue.serve(all);
      return;
    }
    this.#worker.start(this.#own);
    this.#own.serve(all);
  }

  run(signal: AbortSignal): Promise<void>[] {
    const { desk, queue } = this.#deps;
    const { log } = desk;
    this.start();
    queue.work("notify", notifyConcurrency, async () => void (await this.#deliverer.deliverDue()));
    return [
      ...(this.#shares === null ? [] : [this.#shares.run(signal)]),
      ...(this.#own === null
        ? []
        : [every(unwokenLookMs, systemClock, signal, log, "slots that nobody was woken for", () => this.#wakeSelf())]),
      this.#deliverer.run(signal),
      this.#collector.run(signal),
      keepPoints(desk, signal),
      every(gapsMs, systemClock, signal, log, "gaps", () => fillGaps(desk, (sampler) => this.#holds(sampler))),
    ];
  }

  /** Of whom something is remembered here that may have changed elsewhere. */
  takeDefinitions(before: Definitions | null, now: Definitions): void {
    const { runner, judge } = this.#deps.desk;
    const sameConnections = isSame(before?.connections ?? now.connections, now.connections);
    for (const [name, sampler] of before?.samplers ?? []) {
      const same = now.samplers.get(name) === sampler;
      if (!same || !sameConnections) void runner.forget(name);
      if (!same) judge.forget(name);
    }
  }

  /** The truth lies in the ledger: a queue that is away, or forgot, delays slots and loses none. */
  async #wakeSelf(): Promise<void> {
    const { desk, shareOf } = this.#deps;
    const nowMs = desk.clock.nowMs();
    for (const sampler of (await desk.state.slots.overdue(nowMs - unwokenMs)).keys()) {
      const slot = this.#holds(sampler) ? await desk.state.slots.readyOf(sampler, nowMs) : null;
      if (slot !== null) await this.#own?.add(slotJob(slot, shareOf(sampler)));
    }
  }

  /** Starts no slot that nobody was woken for any more; ends with the last of those that run. */
  async close(): Promise<void> {
    await this.#own?.[Symbol.asyncDispose]();
  }

  /** After the last slot has ended: others may have what was held, once they can read what it left. */
  async leave(waitMs: number): Promise<void> {
    await this.#shares?.release(waitMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const notifier of this.#notifiers.values()) await notifier[Symbol.asyncDispose]();
  }

  #holds(sampler: string): boolean {
    return this.#shares?.holds(this.#deps.shareOf(sampler)) ?? true;
  }

  #keeper(workers: () => Promise<number>): ShareKeeper {
    const { desk, queue, owner, shareOf } = this.#deps;
    const { clock, log, state, judge, mirror } = desk;
    return new ShareKeeper({
      clock,
      log,
      owner,
      workers,
      leases: state.leases,
      busy: () => this.#worker.busy(),
      // Without copies there is one process, or one file that all of them read.
      arrived: async (timeoutMs) => (await mirror?.arrived(timeoutMs)) ?? true,
      onChange: (gained, lost) => {
        // Of what was gained, too: a slot that ran on after its share was lost has remembered again what is old by now.
        const moved = new Set([...gained, ...lost]);
        const isMoved = (sampler: string): boolean => moved.has(shareOf(sampler));
        this.#worker.forget(isMoved);
        for (const name of desk.definitions.samplers.keys()) if (isMoved(name)) judge.forget(name);
        // Others may have written series of these samplers that this process has never seen.
        const learnt = gained.length === 0 ? undefined : mirror?.learnOthers(deadline(relearnMs));
        void (learnt ?? Promise.resolve())
          .catch((thrown: unknown) => log.warn({ err: thrown }, `series of others: ${messageOf(thrown)}`))
          .then(() => queue.serve(this.#shares?.held() ?? new Set()));
      },
    });
  }
}

/** Equal keys with the very same values, as after a reload that left their files alone. */
function isSame<T>(one: ReadonlyMap<string, T>, other: ReadonlyMap<string, T>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}
