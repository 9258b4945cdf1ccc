/** Samplers over a real PostgreSQL, run by scheduler, queue and worker as in one process; some of them hang. */
import type { Connection, Sampler } from "../../src/core/definitions.ts";
import { dayMs, secondMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { SamplerRunner } from "../../src/sample/sample.ts";
import { MemoryQueue } from "../../src/schedule/queues/memory.ts";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { SlotWorker } from "../../src/schedule/worker.ts";
import type { Postgres } from "../support/servers/postgres.ts";
import { postgresShop, type Shop } from "../unit/sample/sql-shop.ts";
import { memoryState, NotedLog, sampler as samplerOf } from "../unit/schedule/support.ts";

export type Play = {
  readonly sound: number;
  /** Samplers whose reads never end by themselves. */
  readonly hanging: number;
  /** Whether those that hang read by the connection of the others. */
  readonly shared: boolean;
  /** Connections at a time, of each connection. */
  readonly poolMax: number;
  readonly forMs: number;
};

/** Of the sound samplers alone; times in ms, of each slot that became due during the play. */
export type Played = {
  /** From due to the start of its run. */
  readonly startsMs: readonly number[];
  /** From due to its end, answer and all. */
  readonly endsMs: readonly number[];
  /** Attempts that ended without rows. */
  readonly failed: number;
  /** Slots that had no rows within {@link drainMsMax} after the play. */
  readonly missed: number;
  /** Slots there were. */
  readonly due: number;
  /** Reads of hanging samplers that were cut. */
  readonly cut: number;
  /** Sound samplers that were slowed down. */
  readonly slowed: number;
};

const stepMs = secondMs;
const drainMsMax = 15 * secondMs;
/** Planning, the first connections and plans are over by then. */
const settleMs = 7 * secondMs;

export const openShop = (): Promise<Shop<Postgres>> => postgresShop({ own: true });

function crowdOf({ sound, hanging, shared }: Play): Sampler[] {
  const made = (name: string, connection: string, query: string): Sampler => {
    const source = { kind: "sql", options: { connection, query } };
    return samplerOf(name, { kind: "every", stepMs, delayMs: 0 }, { source, timeoutMs: 2 * secondMs });
  };
  const orders = "select count(*) as n from invoices where invoiced_at >= :slot_start and invoiced_at < :slot_end";
  return [
    ...Array.from({ length: sound }, (_, index) => made(`sound-${index}`, "shop", orders)),
    ...Array.from({ length: hanging }, (_, index) =>
      made(`hanging-${index}`, shared ? "shop" : "slow", "select s from slow"),
    ),
  ];
}

/** Samplers of one step each second, in real time. */
export async function play(shop: Shop<Postgres>, options: Play): Promise<Played> {
  const log = new NotedLog();
  const { connections, ...rest } = shop.deps("reader", { pool_max: options.poolMax });
  const connection = connections.get("shop") as Connection;
  const both = new Map([
    ["shop", connection],
    ["slow", { ...connection, name: "slow" }],
  ]);
  await using runner = new SamplerRunner({ ...rest, connections: both, clock: systemClock, log });
  await using state = await memoryState(systemClock);
  const queue = new MemoryQueue({ clock: systemClock, log, drainMs: 0 });
  queue.serve(new Set([0]));
  const samplers = new Map(crowdOf(options).map((each) => [each.name, each]));
  const beginMs = systemClock.nowMs() + settleMs;
  const endMs = beginMs + options.forMs;
  const startsMs: number[] = [];
  const endsMs: number[] = [];
  let failed = 0;
  let done = 0;
  const shareOf = (): number => 0;
  const { slots } = state;
  const worker = new SlotWorker({
    clock: systemClock,
    slots,
    queue,
    log,
    owner: "one",
    sampler: (name) => samplers.get(name),
    shareOf,
    execute: async (sampler, slot, signal) => {
      const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
      const { rows, cost } = await runner.run(sampler, window, signal);
      return { rows: rows.length, points: 0, dataState: "value", cost };
    },
    ended: ({ record, outcome, startedMs, endedMs }) => {
      // When it became due, whatever attempt this was.
      const dueMs = record.startMs + record.stepMs;
      if (!record.sampler.startsWith("sound") || dueMs < beginMs || dueMs > endMs) return;
      if (record.attempts === 1) startsMs.push(startedMs - dueMs);
      if (outcome.state === "done" || outcome.state === "caught-up") {
        done += 1;
        endsMs.push(endedMs - dueMs);
      } else failed += 1;
    },
  });
  const catchUp = { ageMsMax: dayMs, slotsMax: 1_500 };
  const scheduler = new Scheduler({ clock: systemClock, slots, queue, log, catchUp, shareOf });
  scheduler.setSamplers(samplers);
  worker.start();
  const stop = new AbortController();
  const running = scheduler.run(stop.signal);
  await systemClock.sleep(endMs - systemClock.nowMs(), stop.signal);
  const measures = runner.measures();
  const due = options.sound * (Math.floor(endMs / stepMs) - Math.ceil(beginMs / stepMs) + 1);
  const elapsedMs = stopwatch();
  while (done < due && elapsedMs() < drainMsMax) await systemClock.sleep(stepMs / 10, stop.signal);
  stop.abort();
  await running;
  await queue[Symbol.asyncDispose]();
  const of = (name: string, of: string): number => {
    const all = measures.filter((each) => each.name === `bellwether_${name}` && each.labels?.sampler?.startsWith(of));
    return all.reduce((sum, { value }) => sum + value, 0);
  };
  return {
    startsMs,
    endsMs,
    failed,
    missed: due - done,
    due,
    cut: of("sample_faults_total", "hanging"),
    slowed: of("sample_held_back_total", "sound"),
  };
}

/** `share` of the values are no greater, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
