/**
 * Reading history for judging from an InfluxDB: one slot a minute of 5,000 series, each beside the same minutes of seven
 * days before. History is read in blocks that serve many slots; what a slot costs is a block's time shared among them.
 * Beside it the same from the embedded store, and seven statements a slot as one would write them by hand.
 */
import { join } from "node:path";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { dayMs, minuteMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { Judge } from "../../src/judge/judge.ts";
import { stores } from "../../src/store/stores/index.ts";
import { samplerOf } from "../pipeline/world.ts";
import { formatMs, median, printTable, silent } from "../support.ts";
import { Pair, slotOf } from "./pair.ts";

const seriesCount = 5_000;
/** Three whole blocks. */
const slots = 171;
/** Minutes around the slots that are stored of each day; judging reads no others. */
const aroundMs = { before: 60 * minuteMs, after: (slots + 5) * minuteMs };
const nowMs = Date.parse("2026-11-17T12:00:00Z");

async function writePast(store: TimeSeriesStore & { drain?(ms: number): Promise<void> }): Promise<void> {
  for (let day = 7; day >= 0; day -= 1) {
    const middleMs = nowMs - day * dayMs;
    const untilMs = day === 0 ? middleMs : middleMs + aroundMs.after;
    for (let timeMs = middleMs - aroundMs.before; timeMs < untilMs; timeMs += minuteMs) {
      await store.write(slotOf(seriesCount, timeMs));
    }
    await store.drain?.(10 * minuteMs);
  }
}

/** Time spent in reads, by slot. */
async function judge(store: TimeSeriesStore): Promise<{ totalMs: number; longestMs: number; reads: number }> {
  const times: number[] = [];
  let readMs = 0;
  let reads = 0;
  const timed: TimeSeriesStore = {
    ...(store.farAway === undefined ? {} : { farAway: store.farAway }),
    write: (points, origin) => store.write(points, origin),
    list: (query) => store.list(query),
    expire: (beforeMs) => store.expire(beforeMs),
    read: async (query) => {
      const elapsedMs = stopwatch();
      const found = await store.read(query);
      if (found.stale) throw new Error("a stale answer: the figures would say nothing");
      readMs += elapsedMs();
      reads += 1;
      return found;
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const judge = new Judge({ store: timed, log: silent });
  const sampler = { ...samplerOf(), point: { measurement: "orders", tags: ["shop", "product"], fields: ["orders"] } };
  for (let slot = 0; slot < slots; slot += 1) {
    readMs = 0;
    const points = slotOf(seriesCount, nowMs + slot * minuteMs);
    const verdicts = await judge.judgeSlot(sampler, nowMs + slot * minuteMs, points);
    if (verdicts.length !== seriesCount) throw new Error(`${verdicts.length} verdicts`);
    times.push(readMs);
  }
  return { totalMs: times.reduce((sum, one) => sum + one, 0), longestMs: Math.max(...times), reads };
}

/** Seven statements for one slot, as F25 of our notes has it. */
async function byHand(pair: Pair, database: string): Promise<number> {
  const times: number[] = [];
  for (let slot = 0; slot < 3; slot += 1) {
    const elapsedMs = stopwatch();
    const statements = Array.from({ length: 7 }, (_, day) => {
      const fromMs = nowMs + slot * minuteMs - (day + 1) * dayMs;
      return `select orders from orders where time >= ${fromMs}ms and time < ${fromMs + minuteMs}ms group by *`;
    });
    await pair.a.query(statements.join(";"), database);
    times.push(elapsedMs());
  }
  return median(times);
}

await using pair = await Pair.start();
const database = await pair.database();
await using store = await pair.open(database);
await writePast(store);
const mine = await judge(store);
const hand = await byHand(pair, database);
await using embedded = stores.sqlite.create(
  { file: join(pair.folder, "series.db") },
  { clock: systemClock, log: silent },
);
await writePast(embedded);
const sqlite = await judge(embedded);
const eachMs = mine.totalMs / slots;
printTable(`History of 5,000 series, ${slots} slots of a minute`, [
  {
    what: "read from InfluxDB, a slot",
    measured: `${formatMs(eachMs)} (${mine.reads} reads; the longest slot ${formatMs(mine.longestMs)})`,
    peer: `${formatMs(hand)} by hand`,
    ratio: (hand / eachMs).toFixed(1),
    goal: "<= 50 ms",
  },
  {
    what: "read from the embedded store, a slot",
    measured: `${formatMs(sqlite.totalMs / slots)} (${sqlite.reads} reads; the longest slot ${formatMs(sqlite.longestMs)})`,
    peer: "",
    ratio: "",
    goal: "",
  },
]);
