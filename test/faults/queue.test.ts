/**
 * Redis only wakes workers: whatever becomes of it, every slot runs once, soon after it is back. Real Redis, real ledger,
 * real clock; two workers with half of the shares each, and a scheduler.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as Client } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { shareCount } from "../../src/core/ports.ts";
import { systemClock } from "../../src/core/time.ts";
import { queues } from "../../src/schedule/queues/index.ts";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { shareOf } from "../../src/schedule/share.ts";
import { SlotWorker } from "../../src/schedule/worker.ts";
import { openState, type State } from "../../src/state/database.ts";
import { sample } from "../contracts/queue.ts";
import { freePort } from "../support/servers/process.ts";
import { type Redis, type RedisConfig, startRedis, whyNoRedis } from "../support/servers/redis.ts";
import { byName, every, NotedLog, sampler } from "../unit/schedule/support.ts";

const missing = whyNoRedis({ own: true });
const suffix = missing === null ? "" : ` (${missing})`;
type BullmqQueue = ReturnType<typeof queues.bullmq>;

/** How long after Redis is back all that is due must have run. */
const recoverMsMax = 30_000;

const allShares = Array.from({ length: shareCount }, (_, share) => share);
const samplers = byName(...Array.from({ length: 12 }, (_, index) => sampler(`faulty-${index}`, every(2_000))));

/** Two workers and a scheduler as three processes would be: each with its own connection. */
class Fleet implements AsyncDisposable {
  readonly log = new NotedLog();
  readonly runs: string[] = [];
  readonly queues: BullmqQueue[] = [];
  readonly #state: State;
  readonly #stop = new AbortController();
  #scheduling: Promise<void> = Promise.resolve();

  private constructor(state: State) {
    this.#state = state;
  }

  static async start(url: string): Promise<Fleet> {
    const fleet = new Fleet(await openState({ file: ":memory:", clock: systemClock, log: new NotedLog() }));
    fleet.#startWorker(url, "one", allShares.slice(0, 16));
    fleet.#startWorker(url, "two", allShares.slice(16));
    const scheduler = new Scheduler({
      clock: systemClock,
      slots: fleet.#state.slots,
      queue: fleet.#queue(url),
      log: fleet.log,
      catchUp: { ageMsMax: 86_400_000, slotsMax: 1_500 },
      shareOf,
    });
    scheduler.setSamplers(samplers);
    fleet.#scheduling = scheduler.run(fleet.#stop.signal);
    return fleet;
  }

  /** Slots that were due by then; resolved once each of them is done. */
  async allDone(byMs: number, timeoutMs: number): Promise<void> {
    await vi.waitFor(
      async () => {
        const slots = await this.#state.slots.list({ limit: 10_000 });
        const open = slots.filter(({ dueMs, state }) => dueMs <= byMs && state !== "done" && state !== "caught-up");
        expect(open.map((slot) => `${slot.sampler} ${slot.state}`)).toEqual([]);
      },
      { timeout: timeoutMs, interval: 100 },
    );
  }

  /** Every slot that ended was started once, as the ledger and the workers say. */
  async expectOnce(): Promise<number> {
    const slots = (await this.#state.slots.list({ limit: 10_000 })).filter(({ state }) => state !== "due");
    expect(slots.filter(({ attempts, state }) => attempts !== 1 && state !== "leased")).toEqual([]);
    expect(this.runs.length).toBe(new Set(this.runs).size);
    return slots.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#scheduling;
    await Promise.all(this.queues.map((queue) => queue[Symbol.asyncDispose]()));
    await this.#state[Symbol.asyncDispose]();
  }

  #queue(url: string): BullmqQueue {
    const queue = queues.bullmq({ url, log: this.log, drainMs: 500 });
    this.queues.push(queue);
    return queue;
  }

  #startWorker(url: string, owner: string, shares: readonly number[]): void {
    const queue = this.#queue(url);
    const worker = new SlotWorker({
      clock: systemClock,
      slots: this.#state.slots,
      queue,
      log: this.log,
      owner,
      sampler: (name) => samplers.get(name),
      shareOf,
      execute: async (_, slot) => {
        this.runs.push(`${slot.sampler} ${slot.startMs}`);
        await sleep(20);
        return { rows: 1, points: 1, dataState: "value", cost: null };
      },
    });
    worker.start();
    queue.serve(new Set(shares));
  }
}

describe.skipIf(missing !== null)(`every slot runs once${suffix}`, () => {
  const servers: Redis[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]())));
  const start = async (config: RedisConfig = {}): Promise<Redis> => {
    const server = await startRedis({ own: true, config });
    servers.push(server);
    return server;
  };

  /** Lets the fleet work, does something to Redis that ends well, and expects the end to be well. */
  async function survive(redis: Redis, harm: (fleet: Fleet) => Promise<void>): Promise<Fleet> {
    const fleet = await Fleet.start(redis.url);
    await using ending = fleet;
    await sleep(5_000);
    expect(fleet.runs.length).toBeGreaterThan(0);
    await harm(fleet);
    const backMs = systemClock.nowMs();
    await fleet.allDone(backMs, recoverMsMax);
    // And it goes on as before: what becomes due now runs at once.
    await sleep(3_000);
    const dueMs = systemClock.nowMs();
    await fleet.allDone(dueMs, 3_000);
    expect(await ending.expectOnce()).toBeGreaterThan(samplers.size * 2);
    return fleet;
  }

  test("X21: FLUSHALL, again and again", async () => {
    const redis = await start();
    await survive(redis, async () => {
      const client = new Client(redis.url);
      for (let turn = 0; turn < 30; turn += 1) {
        await client.flushall();
        await sleep(100);
      }
      client.disconnect();
    });
  });

  test("X21: killed, and back after four seconds", async () => {
    const redis = await start();
    const fleet = await survive(redis, async () => {
      await redis.kill();
      await sleep(4_000);
      await redis.start();
    });
    const said = fleet.log.lines.filter((line) => /Redis at/.test(line));
    // Three connections that tell, each once that it is gone and once that it is back.
    expect(said.filter((line) => /^warn: Redis at .* does not answer/.test(line))).toHaveLength(3);
    expect(said.filter((line) => /^info: Redis at .* answers again after \ds/.test(line))).toHaveLength(3);
  });

  test("X21: killed, and its file cut off", async () => {
    const redis = await start();
    await survive(redis, async () => {
      await redis.kill();
      const folder = join(redis.dir, "appendonlydir");
      const file = readdirSync(folder).find((name) => name.endsWith(".incr.aof")) as string;
      const { size } = statSync(join(folder, file));
      expect(size).toBeGreaterThan(1_000);
      truncateSync(join(folder, file), Math.floor(size * 0.6));
      await redis.start();
    });
  });

  test("X22: a replica that was behind takes over", async () => {
    const primary = await start();
    const replica = await start({ replicaof: `127.0.0.1 ${primary.port}` });
    await survive(primary, async () => {
      const client = new Client(replica.url);
      await vi.waitFor(async () => expect(await client.info()).toContain("master_link_status:up"), { timeout: 10_000 });
      client.disconnect();
      await sleep(1_000);
      replica.pause();
      await sleep(5_000);
      await primary.kill();
      replica.resume();
      // Its state, at the address that is known: what a name or a virtual address does.
      const promoted = new Client(replica.url);
      await promoted.replicaof("NO", "ONE");
      await primary.start({ replicaof: `127.0.0.1 ${replica.port}` });
      const old = new Client(primary.url);
      await vi.waitFor(async () => expect(await old.info()).toContain("master_link_status:up"), { timeout: 10_000 });
      await old.replicaof("NO", "ONE");
      for (const each of [promoted, old]) each.disconnect();
    });
  });

  test("X23: its memory is full for eight seconds", async () => {
    const redis = await start();
    const fleet = await survive(redis, async () => {
      const client = new Client(redis.url);
      await client.set("filler", "x".repeat(4_000_000));
      await client.config("SET", "maxmemory", "3mb");
      await sleep(1_000);
      await expect(fleetAdd(redis.url)).rejects.toMatchObject({
        message: expect.stringContaining("OOM command not allowed"),
        retryable: true,
      });
      await sleep(7_000);
      await client.config("SET", "maxmemory", "0");
      await client.del("filler");
      client.disconnect();
    });
    expect(fleet.log.lines.some((line) => /^warn: Redis at .*: cannot add jobs: .*OOM/.test(line))).toBe(true);
  });
});

/** A job of an application of its own. */
async function fleetAdd(url: string): Promise<void> {
  await using queue = queues.bullmq({ url, log: new NotedLog(), prefix: "elsewhere" });
  await queue.add(sample("a"));
}

describe.skipIf(missing !== null)(`a queue whose Redis is away${suffix}`, () => {
  let redis: Redis;
  const opened: BullmqQueue[] = [];
  beforeAll(async () => {
    redis = await startRedis({ own: true });
  });
  beforeEach(async () => {
    if (!redis.isRunning) await redis.start();
  });
  afterEach(() => Promise.all(opened.splice(0).map((queue) => queue[Symbol.asyncDispose]())));
  afterAll(() => redis?.[Symbol.asyncDispose]());

  const open = (log = new NotedLog(), url = redis.url): BullmqQueue => {
    const queue = queues.bullmq({ url, log, prefix: `away-${randomUUID()}`, drainMs: 100 });
    opened.push(queue);
    return queue;
  };
  const measure = (queue: BullmqQueue, name: string): number | undefined =>
    queue.measures().find((each) => each.name === `bellwether_${name}`)?.value;
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const begunMs = performance.now();
    await work();
    return performance.now() - begunMs;
  };

  test.each(["killed", "paused"] as const)("%s: nothing hangs, and it goes on by itself", async (how) => {
    const log = new NotedLog();
    const queue = open(log);
    const seen: string[] = [];
    queue.work("sample", 2, async (job) => void seen.push(job.id));
    queue.serve(new Set([0]));
    await queue.add(sample("before"));
    await vi.waitFor(() => expect(seen).toEqual(["before"]));
    expect(measure(queue, "queue_redis_up")).toBe(1);
    if (how === "killed") await redis.kill();
    else redis.pause();
    const tookMs = await timed(() => expect(queue.add(sample("during"))).rejects.toMatchObject({ retryable: true }));
    expect(tookMs).toBeLessThan(1_500);
    await sleep(6_000);
    expect(
      await timed(() => expect(queue.add(sample("during"))).rejects.toThrow("Redis does not answer")),
    ).toBeLessThan(200);
    expect(measure(queue, "queue_redis_up")).toBe(0);
    expect(measure(queue, "queue_redis_faults_total")).toBeGreaterThan(1);
    if (how === "killed") await redis.start();
    else redis.resume();
    await vi.waitFor(() => queue.add(sample("after")), { timeout: 8_000, interval: 100 });
    await vi.waitFor(() => expect(seen).toContain("after"), { timeout: 8_000 });
    expect(measure(queue, "queue_redis_up")).toBe(1);
    const outage = log.lines.filter((line) => /does not answer|answers again/.test(line));
    expect(outage.map((line) => line.slice(0, 4))).toEqual(["warn", "info"]);
  });

  test.each(["killed", "paused"] as const)("%s: closing does not wait for it", async (how) => {
    const queue = open();
    queue.work("sample", 1, (_, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())));
    queue.serve(new Set([0]));
    await queue.add(sample("held"));
    await vi.waitFor(() => expect(queue.depth().running).toBe(1));
    if (how === "killed") await redis.kill();
    else redis.pause();
    expect(await timed(async () => await queue[Symbol.asyncDispose]())).toBeLessThan(5_000);
    if (how === "paused") redis.resume();
  });

  test("started before its Redis is, and never found it", async () => {
    const port = await freePort();
    const url = `redis://127.0.0.1:${port}`;
    const log = new NotedLog();
    const queue = open(log, url);
    const seen: string[] = [];
    queue.work("notify", 1, async (job) => void seen.push(job.id));
    await expect(queue.add({ kind: "notify", id: "early" })).rejects.toMatchObject({
      where: `REDIS_URL 127.0.0.1:${port}`,
      message: expect.stringContaining("ECONNREFUSED"),
      retryable: true,
    });
    await sleep(2_500);
    expect(log.lines.filter((line) => line.startsWith("warn"))).toHaveLength(1);
    const begunMs = performance.now();
    await queue[Symbol.asyncDispose]();
    expect(performance.now() - begunMs).toBeLessThan(1_000);
  });

  test("started before its Redis is, which comes", async () => {
    await redis.kill();
    const queue = open();
    const seen: string[] = [];
    queue.work("notify", 1, async (job) => void seen.push(job.id));
    await expect(queue.add({ kind: "notify", id: "early" })).rejects.toThrow("Redis does not answer");
    await redis.start();
    await vi.waitFor(() => queue.add({ kind: "notify", id: "late" }), { timeout: 8_000, interval: 100 });
    await vi.waitFor(() => expect(seen).toEqual(["late"]), { timeout: 8_000 });
  });

  test("a password that is refused shows nowhere", async () => {
    await using guarded = await startRedis({ own: true, config: { requirepass: "correct-horse" } });
    const said: string[] = [];
    const note = (fields: object, text: string): void =>
      void said.push(text, JSON.stringify(fields, Object.keys(fields)));
    const log = { debug: note, info: note, warn: note, error: note };
    await using queue = queues.bullmq({ url: `redis://u:battery-staple@127.0.0.1:${guarded.port}`, log });
    queue.work("sample", 1, async () => {});
    queue.serve(new Set([0]));
    const thrown = await queue.add(sample("a")).catch((error: unknown) => error);
    await sleep(1_500);
    expect(String(thrown)).toContain("WRONGPASS");
    expect(said.length).toBeGreaterThan(0);
    expect(said.join("\n")).not.toContain("battery-staple");
  });

  test("X24: the job of a holder that was killed, or is busy elsewhere, is handled by the next", {
    timeout: 120_000,
  }, async () => {
    const holders = (["wait", "block"] as const).map((how, share) => {
      const args = [join(import.meta.dirname, "queue-holder.ts"), redis.url, "held", String(share), how];
      return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    });
    const queue = queues.bullmq({ url: redis.url, log: new NotedLog(), prefix: "held" });
    opened.push(queue);
    for (const share of [0, 1]) await queue.add(sample(`job-${share}`, share));
    await Promise.all(holders.map(({ stdout }) => once(stdout, "data")));
    holders[0]?.kill("SIGKILL");
    const tookMs: number[] = [];
    const begunMs = performance.now();
    queue.work("sample", 2, async () => void tookMs.push(performance.now() - begunMs));
    queue.serve(new Set([0, 1]));
    await vi.waitFor(() => expect(tookMs).toHaveLength(2), { timeout: 16_000 });
    expect(Math.max(...tookMs)).toBeLessThan(15_000);
    expect(measure(queue, "queue_stalled_total")).toBe(2);
    // The one that was busy ends its job too, too late: it is no longer there, and nobody minds.
    await sleep(7_000);
    expect(tookMs).toHaveLength(2);
    expect(holders[1]?.exitCode).toBe(null);
    holders[1]?.kill("SIGKILL");
  });
});
