import type { Sampler, Schedule } from "../../../src/core/definitions.ts";
import type { Clock, Log } from "../../../src/core/ports.ts";
import { MemoryQueue } from "../../../src/schedule/queues/memory.ts";
import { Scheduler } from "../../../src/schedule/scheduler.ts";
import { SlotWorker, type SlotWorkerDeps } from "../../../src/schedule/worker.ts";
import { openState, type State } from "../../../src/state/database.ts";
import type { SlotLedger } from "../../../src/state/slots.ts";
import { idle } from "../../support/clock.ts";
import { plainSampler } from "../../support/sampler.ts";

/** Remembers what was logged, as `level: text`. */
export class NotedLog implements Log {
  readonly lines: string[] = [];
  debug(): void {}
  info(_: object, text: string): void {
    this.lines.push(`info: ${text}`);
  }
  warn(_: object, text: string): void {
    this.lines.push(`warn: ${text}`);
  }
  error(_: object, text: string): void {
    this.lines.push(`error: ${text}`);
  }
}

export const every = (stepMs: number, delayMs = 0): Schedule => ({ kind: "every", stepMs, delayMs });

export const cron = (expression: string, zone = "UTC", stepMs = 3_600_000): Schedule => {
  return { kind: "cron", expression, stepMs, delayMs: 0, zone };
};

export const sampler = (name: string, schedule: Schedule, changes: Partial<Sampler> = {}): Sampler => ({
  ...plainSampler,
  name,
  title: name,
  schedule,
  point: { measurement: name, tags: [], fields: ["n"] },
  place: `samplers/${name}.yaml:1:1`,
  ...changes,
});

export const byName = (...samplers: readonly Sampler[]): ReadonlyMap<string, Sampler> =>
  new Map(samplers.map((each) => [each.name, each]));

export const memoryState = (clock: Clock): Promise<State> =>
  openState({ file: ":memory:", clock, log: new NotedLog() });

/** `2026-11-20T09:00:00Z` of the moments. */
export const iso = (timesMs: readonly number[]): string[] =>
  timesMs.map((timeMs) => new Date(timeMs).toISOString().replace(".000Z", "Z"));

/** A clock that somebody sets wrong. */
export class SetClock implements Clock {
  readonly #clock: Clock;
  awayMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs() + this.awayMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(ms, signal);
  }
}

export type Run = { readonly sampler: string; readonly startMs: number; readonly atMs: number; readonly by: string };
export type Execute = SlotWorkerDeps["execute"];

const done = { rows: 1, points: 1, dataState: "value" as const, cost: null };

/** A scheduler and a worker on a ledger: one process, as far as scheduling goes. */
export class Process {
  readonly log = new NotedLog();
  readonly queue: MemoryQueue;
  readonly scheduler: Scheduler;
  readonly worker: SlotWorker;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #samplers: ReadonlyMap<string, Sampler> = new Map();

  constructor(
    rig: { slots: SlotLedger; clock: Clock; runs: Run[]; owner?: string; execute?: Execute; concurrency?: number },
    catchUp = { ageMsMax: 86_400_000, slotsMax: 1_500 },
  ) {
    const { slots, clock, runs, owner = "one", execute = async () => done, concurrency = 8 } = rig;
    const log = this.log;
    this.queue = new MemoryQueue({ clock, log, drainMs: 0 });
    this.queue.serve(new Set([0]));
    this.scheduler = new Scheduler({ clock, slots, queue: this.queue, log, catchUp, shareOf: () => 0 });
    this.worker = new SlotWorker({
      clock,
      slots,
      queue: this.queue,
      log,
      owner,
      concurrency,
      sampler: (name) => this.#samplers.get(name),
      shareOf: () => 0,
      execute: (sampler, slot, signal) => {
        runs.push({ sampler: sampler.name, startMs: slot.startMs, atMs: clock.nowMs(), by: owner });
        return execute(sampler, slot, signal);
      },
    });
  }

  define(...samplers: readonly Sampler[]): void {
    this.#samplers = byName(...samplers);
    this.scheduler.setSamplers(this.#samplers);
  }

  start(...samplers: readonly Sampler[]): this {
    this.define(...samplers);
    this.worker.start();
    this.#running = this.scheduler.run(this.#stop.signal);
    return this;
  }

  /** As after SIGTERM. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.queue[Symbol.asyncDispose]();
  }

  measure(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const all = [...this.scheduler.measures(), ...this.worker.measures()];
    return all.find((each) => {
      const wanted = Object.entries(labels).every(([key, value]) => each.labels?.[key] === value);
      return each.name === `bellwether_${name}` && wanted;
    })?.value;
  }
}

/** Lets what is ready run, databases included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await idle();
}
