/** BullMQ over a real Redis: the suite of all queues, and what only several processes over one server can show. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Client } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { BullmqQueueOptions } from "../../src/schedule/queues/bullmq.ts";
import { queues } from "../../src/schedule/queues/index.ts";
import { type Redis, startRedis, whyNoRedis } from "../support/servers/redis.ts";
import { NotedLog } from "../unit/schedule/support.ts";
import { Gate, queueContract, sample } from "./queue.ts";

type BullmqQueue = ReturnType<typeof queues.bullmq>;

const missing = whyNoRedis();

describe.skipIf(missing !== null)(`BullMQ over Redis${missing === null ? "" : ` (${missing})`}`, () => {
  let redis: Redis;
  let client: Client;
  let prefix = "";
  const opened: BullmqQueue[] = [];
  beforeAll(async () => {
    redis = await startRedis();
    client = new Client(redis.url);
  });
  afterEach(() => {
    prefix = "";
    return Promise.all(opened.splice(0).map((queue) => queue[Symbol.asyncDispose]()));
  });
  afterAll(async () => {
    client?.disconnect();
    await redis?.[Symbol.asyncDispose]();
  });

  /** Queues of one test are of one installation, as two processes are. */
  const open = (options: Partial<BullmqQueueOptions> = {}): BullmqQueue => {
    prefix ||= `test-${randomUUID()}`;
    const queue = queues.bullmq({ url: redis.url, log: new NotedLog(), prefix, drainMs: 50, ...options });
    opened.push(queue);
    return queue;
  };
  const soon = (check: () => void, timeout = 5_000): Promise<void> => vi.waitFor(check, { timeout, interval: 10 });

  queueContract({
    name: "bullmq",
    open: async () => {
      prefix = "";
      return open();
    },
    pass: (ms) => sleep(Math.min(ms, 1_200)),
  });

  test("of those that serve a share, exactly one handles a job", async () => {
    const seen: string[] = [];
    for (let worker = 0; worker < 3; worker += 1) {
      const queue = open();
      queue.work("sample", 4, async (job) => {
        seen.push(job.id);
        await sleep(2);
      });
      queue.serve(new Set([3, 4]));
    }
    const scheduler = open();
    const ids = Array.from({ length: 200 }, (_, index) => `job-${index}`);
    for (const [index, id] of ids.entries()) await scheduler.add(sample(id, 3 + (index % 2)));
    await soon(() => expect(seen.length).toBeGreaterThanOrEqual(200));
    await sleep(200);
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });

  test("places are shared by all shares", async () => {
    const gate = new Gate();
    const queue = open();
    queue.work("sample", 3, gate.handle);
    queue.serve(new Set(Array.from({ length: 32 }, (_, share) => share)));
    for (let share = 0; share < 32; share += 1) await queue.add(sample(`share-${share}`, share));
    await soon(() => expect(gate.started).toHaveLength(3));
    await sleep(100);
    expect(gate.started).toHaveLength(3);
    // What has no place is not locked by anybody: others may take it.
    expect(await client.keys(`${prefix}:*:lock`)).toHaveLength(3);
    await soon(() => expect(queue.depth()).toEqual({ waiting: 29, running: 3 }));
    for (let turn = 0; turn < 100 && gate.started.length < 32; turn += 1) {
      gate.letGo();
      await sleep(10);
    }
    expect(new Set(gate.started).size).toBe(32);
    gate.letGo();
  });

  test("a share that moves to another process takes its waiting jobs along", async () => {
    const [one, two] = [new Gate(), new Gate()];
    const [first, second] = [open(), open()];
    first.work("sample", 1, one.handle);
    second.work("sample", 1, two.handle);
    first.serve(new Set([5, 6]));
    for (const id of ["a", "b"]) await first.add(sample(id, 5));
    await soon(() => expect(one.started).toEqual(["a"]));
    first.serve(new Set([6]));
    second.serve(new Set([5]));
    await soon(() => expect(two.started).toEqual(["b"]));
    one.letGo();
    two.letGo();
    await sleep(100);
    expect([one.started, two.started]).toEqual([["a"], ["b"]]);
  });

  test("a waiting worker is woken within 20 ms, half of the times at least", async () => {
    const queue = open();
    const startedMs: number[] = [];
    queue.work("sample", 4, async () => void startedMs.push(performance.now()));
    queue.serve(new Set(Array.from({ length: 32 }, (_, share) => share)));
    await queue.add(sample("warm"));
    await soon(() => expect(startedMs).toHaveLength(1));
    const tookMs: number[] = [];
    for (let turn = 0; turn < 21; turn += 1) {
      await sleep(20);
      const addedMs = performance.now();
      await queue.add(sample(`turn-${turn}`, turn));
      await soon(() => expect(startedMs).toHaveLength(turn + 2));
      tookMs.push((startedMs.at(-1) as number) - addedMs);
    }
    expect(tookMs.toSorted((a, b) => a - b)[10]).toBeLessThan(20);
  });

  test("a delayed job of one process is handled by another when it is time", async () => {
    const worker = open();
    const seen: number[] = [];
    worker.work("sample", 1, async () => void seen.push(performance.now()));
    worker.serve(new Set([0, 1]));
    await worker.add(sample("warm"));
    await soon(() => expect(seen).toHaveLength(1));
    const scheduler = open();
    const addedMs = performance.now();
    await scheduler.add(sample("late", 1), { delayMs: 1_500 });
    await scheduler.add(sample("soon", 1), { delayMs: 700 });
    await soon(() => expect(seen).toHaveLength(3));
    const waitedMs = seen.slice(1).map((atMs) => atMs - addedMs);
    expect(waitedMs[0]).toBeGreaterThanOrEqual(690);
    expect(waitedMs[0]).toBeLessThan(1_100);
    expect(waitedMs[1]).toBeGreaterThanOrEqual(1_490);
    expect(waitedMs[1]).toBeLessThan(1_900);
  });

  test("what waits when a process ends stays for the next one, with its priorities", async () => {
    const first = open();
    const gate = new Gate();
    first.work("sample", 1, gate.handle);
    first.serve(new Set([0]));
    await first.add(sample("running"));
    await soon(() => expect(gate.started).toEqual(["running"]));
    await first.add(sample("low"), { priority: "low" });
    await first.add(sample("high"), { priority: "high" });
    await first[Symbol.asyncDispose]();
    expect(gate.signals[0]?.aborted).toBe(true);
    const seen: string[] = [];
    const second = open();
    second.work("sample", 1, async (job) => void seen.push(job.id));
    second.serve(new Set([0]));
    await soon(() => expect(seen).toEqual(["high", "low"]));
  });

  test("nothing is left in Redis of jobs that ended, and little of their history", async () => {
    const queue = open();
    let handled = 0;
    queue.work("sample", 8, async () => {
      handled += 1;
      if (handled % 2 === 0) throw new Error("no");
    });
    queue.serve(new Set([0]));
    for (let index = 0; index < 1_000; index += 1) await queue.add(sample(`job-${index}`));
    await soon(() => expect(handled).toBe(1_000));
    await soon(() => expect(queue.depth()).toEqual({ waiting: 0, running: 0 }));
    expect(await client.keys(`${prefix}:*:j-*`)).toEqual([]);
    expect(await client.xlen(`${prefix}:sample-00:events`)).toBeLessThan(500);
  });

  test("ids that BullMQ would not take, or would take for its own keys", async () => {
    const queue = open();
    const seen: string[] = [];
    queue.work("sample", 1, async (job) => void seen.push(job.id));
    queue.serve(new Set([0]));
    for (const id of ["17", "0", "meta", "wait", "a_3a_b-17-0"]) await queue.add(sample(id));
    await soon(() => expect(seen).toEqual(["17", "0", "meta", "wait", "a_3a_b-17-0"]));
  });

  test("beyond its bound one more job is a Problem that says so", async () => {
    const queue = open({ waitingMax: 2 });
    for (const id of ["a", "b"]) await queue.add(sample(id));
    await soon(() => expect(queue.depth().waiting).toBe(2));
    await expect(queue.add(sample("c"))).rejects.toMatchObject({
      message: "the queue is full with 2 jobs",
      retryable: true,
    });
  });
});
