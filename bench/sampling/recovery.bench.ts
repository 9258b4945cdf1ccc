/**
 * What a FLUSHALL costs: a hundred samplers of five seconds (`--step` for another) on one scheduler and two workers, whole processes over Redis,
 * PostgreSQL and two InfluxDBs. Redis loses everything at once; how long until slots are as punctual as before, and how
 * many are lost. The ledger is the truth, so none should be.
 */
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import { secondMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { quantile } from "../../test/faults/crowd.ts";
import { type BenchRow, formatMs, median, printTable } from "../support.ts";
import { type Run, Site, type Slot, whyNoSite } from "./site.ts";

const rounds = 3;
const { values: args } = parseArgs({ options: { step: { type: "string", default: "5s" } } });
/** Spread over five seconds: what is measured is Redis, not a rush at full seconds. */
const crowd = { samplers: 100, seriesEach: 1, step: args.step, judged: false, delay: (n: number) => `${n % 5}s` };
const settleMs = 20 * secondMs;
const beforeMs = 15 * secondMs;
const afterMs = 25 * secondMs;
const drainMsMax = 30 * secondMs;
const never = new AbortController().signal;

const missing = whyNoSite();
if (missing !== null) {
  console.log(`left out: ${missing}`);
  process.exit();
}

type Seen = {
  /** Of slots started before it. */
  readonly before: readonly Slot[];
  /** Of slots started after it. */
  readonly after: readonly Slot[];
  /** Until the last start that was later than twice the p99 of before; 0: there was none. */
  readonly normalAfterMs: number;
  readonly lost: number;
};

const startOf = ({ dueMs, latenessMs }: Slot): number => dueMs + latenessMs;
const latenessOf = (slots: readonly Slot[], share: number): number =>
  quantile(
    slots.map(({ latenessMs }) => latenessMs),
    share,
  );

/** The longest time in which no slot was started. */
function pauseMs(slots: readonly Slot[]): number {
  const starts = slots.map(startOf).toSorted((one, other) => one - other);
  return Math.max(...starts.map((atMs, index) => atMs - (starts[index - 1] ?? atMs)));
}

async function flush(site: Site, run: Run): Promise<Seen> {
  const fromMs = systemClock.nowMs();
  await systemClock.sleep(beforeMs, never);
  const redis = new Redis(site.redis.url);
  await redis.flushall();
  const flushedMs = systemClock.nowMs();
  redis.disconnect();
  await systemClock.sleep(afterMs, never);
  const toMs = systemClock.nowMs();
  const elapsedMs = stopwatch();
  let slots = await run.slots(fromMs, toMs);
  while (slots.lost > 0 && elapsedMs() < drainMsMax) {
    await systemClock.sleep(secondMs, never);
    slots = await run.slots(fromMs, toMs);
  }
  const before = slots.done.filter((slot) => startOf(slot) < flushedMs);
  const after = slots.done.filter((slot) => startOf(slot) >= flushedMs);
  if (before.length === 0 || after.length === 0)
    throw new Error(`the machine is too slow for samplers of ${args.step}`);
  const late = after.filter(({ latenessMs }) => latenessMs > 2 * latenessOf(before, 0.99));
  const normalAfterMs = Math.max(0, ...late.map((slot) => startOf(slot) - flushedMs));
  return { before, after, normalAfterMs, lost: slots.lost };
}

await using site = await Site.start();
await using run = await site.run(crowd, 2);
await systemClock.sleep(settleMs, never);
const seen: Seen[] = [];
for (let round = 0; round < rounds; round += 1) seen.push(await flush(site, run));

const late = (when: "before" | "after"): string =>
  [0.5, 0.99].map((share) => formatMs(median(seen.map((each) => latenessOf(each[when], share))))).join(" / ");
const pause = (when: "before" | "after"): string => formatMs(median(seen.map((each) => pauseMs(each[when]))));
const row = (what: string, measured: string, peer = "", goal = ""): BenchRow => ({
  what,
  measured,
  peer,
  ratio: "",
  goal,
});
const lost = seen.reduce((sum, each) => sum + each.lost, 0);
printTable(`FLUSHALL under ${crowd.samplers} samplers of ${crowd.step} (${rounds} rounds)`, [
  row("late, p50 / p99", late("after"), `before: ${late("before")}`),
  row("longest time without a start", pause("after"), `before: ${pause("before")}`),
  row("punctual again after", formatMs(median(seen.map(({ normalAfterMs }) => normalAfterMs)))),
  row("slots lost", String(lost), "", `0: ${lost === 0 ? "met" : "missed"}`),
]);
for (const fault of run.faults) console.log(`a read failed: ${fault}`);
