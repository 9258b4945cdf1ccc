/**
 * What a FLUSHALL costs: a hundred samplers of one second on one scheduler and two workers, whole processes over Redis,
 * PostgreSQL and two InfluxDBs. Redis loses everything at once; how long until slots are as punctual as before, and how
 * many are lost. The ledger is the truth, so none should be.
 */
import { Redis } from "ioredis";
import { secondMs, systemClock } from "../../src/core/time.ts";
import { quantile } from "../../test/faults/crowd.ts";
import { type BenchRow, formatMs, median, printTable } from "../support.ts";
import { type Run, Site, type Slot, whyNoSite } from "./site.ts";

const rounds = 3;
const crowd = { samplers: 100, seriesEach: 1, step: "1s", judged: false };
const settleMs = 20 * secondMs;
const beforeMs = 15 * secondMs;
const afterMs = 25 * secondMs;
const never = new AbortController().signal;

const missing = whyNoSite();
if (missing !== null) {
  console.log(`left out: ${missing}`);
  process.exit();
}

type Seen = {
  readonly beforeMs: readonly number[];
  readonly worstMs: number;
  readonly normalAfterMs: number;
  readonly lost: number;
};

async function flush(site: Site, run: Run): Promise<Seen> {
  await systemClock.sleep(beforeMs, never);
  const redis = new Redis(site.redis.url);
  const flushedMs = systemClock.nowMs();
  await redis.flushall();
  redis.disconnect();
  await systemClock.sleep(afterMs, never);
  const fromMs = flushedMs - beforeMs;
  const toMs = systemClock.nowMs() - 3 * secondMs;
  const { done, lost } = await run.slots(fromMs, toMs);
  const isAfter = ({ dueMs, latenessMs }: Slot): boolean => dueMs + latenessMs >= flushedMs;
  const before = done.filter((slot) => !isAfter(slot)).map(({ latenessMs }) => latenessMs);
  const after = done.filter(isAfter);
  // Normal again: the last slot that is later than nearly all were before has been started.
  const normalMs = quantile(before, 0.99);
  const ends = after.filter(({ latenessMs, dueMs }) => latenessMs > 2 * normalMs && dueMs < flushedMs + afterMs / 2);
  const lastMs = Math.max(flushedMs, ...ends.map(({ dueMs, latenessMs }) => dueMs + latenessMs));
  return {
    beforeMs: before,
    worstMs: Math.max(...after.map(({ latenessMs }) => latenessMs)),
    normalAfterMs: lastMs - flushedMs,
    lost,
  };
}

await using site = await Site.start();
await using run = await site.run(crowd, 2);
await systemClock.sleep(settleMs, never);
const seen: Seen[] = [];
for (let round = 0; round < rounds; round += 1) seen.push(await flush(site, run));

const p = (share: number): string => formatMs(median(seen.map((each) => quantile(each.beforeMs, share))));
const row = (what: string, measured: string, goal = ""): BenchRow => ({ what, measured, peer: "", ratio: "", goal });
const lost = seen.reduce((sum, each) => sum + each.lost, 0);
printTable(`FLUSHALL under ${crowd.samplers} samplers of ${crowd.step} (${rounds} rounds)`, [
  row("late before, p50 / p99", `${p(0.5)} / ${p(0.99)}`),
  row("latest start after it", formatMs(median(seen.map(({ worstMs }) => worstMs)))),
  row("punctual again after", formatMs(median(seen.map(({ normalAfterMs }) => normalAfterMs)))),
  row("slots lost", String(lost), `0: ${lost === 0 ? "met" : "missed"}`),
]);
