/**
 * What a wake-up costs: from `add` to the handler's start, and jobs a second through both. The queue in memory and the
 * one over Redis, beside BullMQ as its guide has it (one queue, one worker) on the same server, for all in turns. The
 * Redis is a real one, started here, with an append-only file.
 */
import { Queue as BareQueue, Worker as BareWorker } from "bullmq";
import { Redis } from "ioredis";
import { type Job, type Queue, shareCount } from "../../src/core/ports.ts";
import { stopwatch, systemClock } from "../../src/core/time.ts";
import { queues } from "../../src/schedule/queues/index.ts";
import { startRedis, whyNoRedis } from "../../test/support/servers/redis.ts";
import { formatMs, median, printTable, silent } from "../support.ts";

const rounds = 5;
const wakes = 200;
const flood = 2_000;
const concurrency = 32;
const restMs = 5;

const missing = whyNoRedis();
if (missing !== null) {
  console.log(`left out: ${missing}`);
  process.exit();
}

/** Something that takes jobs and hands them to a handler. */
type Subject = { readonly add: (id: string, share: number) => Promise<unknown>; close(): Promise<unknown> };
type Open = (handle: () => void) => Promise<Subject>;

const job = (id: string, share: number): Job => ({ kind: "sample", id, sampler: "orders", startMs: 0, share });

async function ours(queue: Queue, handle: () => void): Promise<Subject> {
  queue.work("sample", concurrency, async () => handle());
  queue.serve(new Set(Array.from({ length: shareCount }, (_, share) => share)));
  return { add: (id, share) => queue.add(job(id, share)), close: async () => queue[Symbol.asyncDispose]() };
}

async function bare(url: string, handle: () => void): Promise<Subject> {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const queue = new BareQueue("bare", { connection });
  const worker = new BareWorker("bare", async () => handle(), { connection, concurrency });
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
  const options = { removeOnComplete: true, removeOnFail: true };
  return {
    add: (id, share) => queue.add("sample", job(id, share), { ...options, jobId: id }),
    close: async () => {
      await worker.close();
      await queue.close();
      connection.disconnect();
    },
  };
}

let next = 0;

/** One wake after the other, with a rest between, so that the worker waits each time. */
async function wakeTimesMs(open: Open): Promise<number[]> {
  let started = Promise.withResolvers<void>();
  const subject = await open(() => started.resolve());
  const times: number[] = [];
  for (let wake = -20; wake < wakes; wake += 1) {
    started = Promise.withResolvers();
    await systemClock.sleep(restMs, new AbortController().signal);
    const elapsedMs = stopwatch();
    await Promise.all([
      subject.add(`wake-${next++}`, Math.abs(wake) % shareCount),
      started.promise.then(() => times.push(elapsedMs())),
    ]);
  }
  await subject.close();
  return times.slice(20).sort((a, b) => a - b);
}

/** All at once, spread over the shares, until the last was handled. */
async function floodMs(open: Open): Promise<number> {
  const all = Promise.withResolvers<void>();
  let handled = 0;
  const subject = await open(() => {
    handled += 1;
    if (handled === flood) all.resolve();
  });
  await subject.add(`warm-${next++}`, 0);
  handled = Math.min(handled, 0);
  const elapsedMs = stopwatch();
  for (let index = 0; index < flood; index += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, each) => subject.add(`flood-${next++}`, (index + each) % shareCount)),
    );
  }
  await all.promise;
  const tookMs = elapsedMs();
  await subject.close();
  return tookMs;
}

await using redis = await startRedis();
const subjects: Readonly<Record<string, Open>> = {
  memory: (handle) => ours(queues.memory({ clock: systemClock, log: silent }), handle),
  bullmq: (handle) => ours(queues.bullmq({ url: redis.url, log: silent, prefix: "bench" }), handle),
  bare: (handle) => bare(redis.url, handle),
};
type Seen = { readonly p50: number[]; readonly p99: number[]; readonly flood: number[] };
const seen = Object.fromEntries(Object.keys(subjects).map((name) => [name, { p50: [], p99: [], flood: [] } as Seen]));
for (let round = 0; round <= rounds; round += 1) {
  for (const [name, open] of Object.entries(subjects)) {
    const times = await wakeTimesMs(open);
    const tookMs = await floodMs(open);
    if (round === 0) continue;
    seen[name]?.p50.push(times[Math.floor(times.length * 0.5)] as number);
    seen[name]?.p99.push(times[Math.floor(times.length * 0.99)] as number);
    seen[name]?.flood.push(tookMs);
  }
}

const row = (what: string, name: string, key: keyof Seen, goal: string) => {
  const [work, peer] = [median(seen[name]?.[key] ?? []), median(seen.bare?.[key] ?? [])];
  const shown = (ms: number): string => (key === "flood" ? `${Math.round(flood / (ms / 1_000))} jobs/s` : formatMs(ms));
  return { what, measured: shown(work), peer: `bare BullMQ ${shown(peer)}`, ratio: (peer / work).toFixed(2), goal };
};
printTable(`Wake-ups (${rounds} rounds of ${wakes} single ones and ${flood} at once, ${shareCount} shares)`, [
  row("over Redis, add to start, p50", "bullmq", "p50", "< 20 ms"),
  row("over Redis, add to start, p99", "bullmq", "p99", ""),
  row("over Redis, at once", "bullmq", "flood", ""),
  row("in memory, add to start, p50", "memory", "p50", ""),
  row("in memory, add to start, p99", "memory", "p99", ""),
  row("in memory, at once", "memory", "flood", ""),
]);
