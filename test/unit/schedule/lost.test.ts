import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Sampler } from "../../../src/core/definitions.ts";
import { systemClock } from "../../../src/core/time.ts";
import { slotJob } from "../../../src/schedule/job.ts";
import { MemoryQueue } from "../../../src/schedule/queues/memory.ts";
import { SlotWorker } from "../../../src/schedule/worker.ts";
import { every, memoryState, NotedLog, sampler } from "./support.ts";

const orders: Sampler = sampler("orders", every(60_000));

test("who has lost a slot's lease says nothing of the slot: the other one does", async () => {
  await using state = await memoryState(systemClock);
  const startMs = Math.floor(systemClock.nowMs() / 60_000) * 60_000 - 600_000;
  await state.slots.add([{ sampler: "orders", startMs, stepMs: 60_000, dueMs: startMs + 60_000, catchUp: false }]);
  const log = new NotedLog();
  await using queue = new MemoryQueue({ clock: systemClock, log, drainMs: 0 });
  const told: string[] = [];
  const worker = new SlotWorker({
    clock: systemClock,
    slots: state.slots,
    queue,
    log,
    owner: "one",
    leaseMs: 200,
    sampler: () => orders,
    shareOf: () => 0,
    execute: (_, __, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
    failed: async (_, __, dataState, reason) => void told.push(`${dataState}: ${reason}`),
    ended: ({ outcome }) => void told.push(outcome.state),
  });
  worker.start();
  queue.serve(new Set([0]));
  const slot = await state.slots.get("orders", startMs);
  await queue.add(slotJob(slot!, 0));
  await expect.poll(async () => (await state.slots.get("orders", startMs))?.state).toBe("leased");
  // Another worker comes after a pause of this one, as its clock tells it, and ends the slot well.
  const laterMs = systemClock.nowMs() + 10_000;
  expect(await state.slots.lease({ sampler: "orders", startMs }, "two", laterMs, laterMs + 60_000)).not.toBeNull();
  await state.slots.finish({ sampler: "orders", startMs }, "two", { state: "done", dataState: "value" }, laterMs);
  await expect.poll(() => log.lines).toEqual(["warn: a lease was lost: another worker has the slot"]);
  await sleep(50);
  expect(told).toEqual([]);
  expect(await state.slots.get("orders", startMs)).toMatchObject({ state: "done", dataState: "value", attempts: 2 });
});
