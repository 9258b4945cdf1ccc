import { expect, test } from "vitest";
import { queues } from "../../src/schedule/queues/index.ts";
import { MemoryQueue } from "../../src/schedule/queues/memory.ts";
import { idle, SimulatedClock } from "../support/clock.ts";
import { NotedLog } from "../unit/schedule/support.ts";
import { queueContract, sample } from "./queue.ts";

const clock = new SimulatedClock("2026-11-20T09:00:00Z");
queueContract({
  name: "memory",
  open: async () => queues.memory({ clock, log: new NotedLog(), drainMs: 10 }),
  pass: (ms) => clock.advance(ms),
});

test("memory: waiting jobs are bounded; one more is a Problem that says so", async () => {
  await using queue = new MemoryQueue({ clock, log: new NotedLog(), waitingMax: 2 });
  await queue.add(sample("a"));
  await queue.add(sample("b"), { delayMs: 60_000 });
  await queue.add(sample("a"));
  await expect(queue.add(sample("c"))).rejects.toMatchObject({
    message: "the queue is full with 2 jobs",
    retryable: true,
  });
});

test("memory: a handler's error is logged with its job", async () => {
  const log = new NotedLog();
  await using queue = new MemoryQueue({ clock, log });
  queue.serve(new Set([0]));
  queue.work("sample", 1, () => Promise.reject(new Error("no")));
  await queue.add(sample("a"));
  await idle();
  expect(log.lines).toEqual(["error: job a failed: no"]);
});

test("memory: closing lets a handler finish before its patience ends", async () => {
  const queue = new MemoryQueue({ clock, log: new NotedLog() });
  let finish = (): void => {};
  const signals: AbortSignal[] = [];
  queue.serve(new Set([0]));
  queue.work("sample", 1, (_, signal) => {
    signals.push(signal);
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  await queue.add(sample("a"));
  const closing = queue[Symbol.asyncDispose]();
  finish();
  await closing;
  expect(signals[0]?.aborted).toBe(false);
});

test("memory: 100,000 jobs pass in order", async () => {
  await using queue = new MemoryQueue({ clock, log: new NotedLog() });
  for (let index = 0; index < 100_000; index += 1) await queue.add(sample(String(index)));
  const seen: number[] = [];
  queue.serve(new Set([0]));
  queue.work("sample", 4, async (job) => void seen.push(Number(job.id)));
  await expect.poll(() => seen.length, { timeout: 60_000 }).toBe(100_000);
  expect(seen.every((id, index) => id === index)).toBe(true);
});
