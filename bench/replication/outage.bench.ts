/**
 * 5,000 points a second while one of two InfluxDBs is killed and started again. Catch-up: how long the copy needs, once
 * it answers, beside how long it was away. The healthy copy: how long one write takes until it is on the disk, and until
 * the healthy server has it, beside the time before. Memory: how much more is held at the end of the outage. Beside all
 * that the official client with its own buffering through the same outage: lines that never arrive.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Log as ClientLog, InfluxDB, setLogger } from "@influxdata/influxdb-client";
import { minuteMs, secondMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { lineOf, seriesKey } from "../../src/store/line.ts";
import type { Mirror } from "../../src/store/mirror.ts";
import type { Influx } from "../../test/support/servers/influx.ts";
import { printTable } from "../support.ts";
import { Pair, slotOf } from "./pair.ts";

const seriesCount = 1_000;
const tickMs = 200;
const outageMs = process.argv.includes("--full") ? 10 * minuteMs : minuteMs;
const beforeMs = outageMs / 2;

type Sample = { readonly atMs: number; readonly writeMs: number; readonly throughMs: number };

/** Writes a slot each tick until it is stopped. */
class Load {
  readonly samples: Sample[] = [];
  written = 0;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(store: Mirror) {
    this.#done = this.#run(store);
  }

  async #run(store: Mirror): Promise<void> {
    let nextMs = Math.floor(systemClock.nowMs() / tickMs) * tickMs;
    const through: Promise<void>[] = [];
    while (!this.#stop.signal.aborted) {
      const elapsedMs = stopwatch();
      const atMs = systemClock.nowMs();
      await store.write(slotOf(seriesCount, nextMs));
      this.written += seriesCount;
      const writeMs = elapsedMs();
      // The healthy copy has it when nothing is pending there.
      through.push(
        (async () => {
          while (pendingOf(store, "a") > 0) await sleep(2);
          this.samples.push({ atMs, writeMs, throughMs: elapsedMs() });
        })(),
      );
      nextMs += tickMs;
      const restMs = nextMs - systemClock.nowMs();
      if (restMs > 0) await sleep(restMs);
    }
    await Promise.all(through);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  p99(fromMs: number, toMs: number, of: (sample: Sample) => number): number {
    const times = this.samples.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).map(of);
    return times.sort((one, other) => one - other)[Math.floor(times.length * 0.99)] ?? Number.NaN;
  }
}

function pendingOf(store: Mirror, name: string): number {
  return store.pendingPoints(name);
}

function heldBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}

async function ours(pair: Pair) {
  const database = await pair.database();
  await using store = await pair.open(database);
  const load = new Load(store);
  await sleep(beforeMs);
  const [killedMs, before] = [systemClock.nowMs(), heldBytes()];
  await pair.b.kill();
  await sleep(outageMs);
  const held = heldBytes() - before;
  const spooled = pendingOf(store, "b");
  const startedMs = systemClock.nowMs();
  await pair.b.start();
  const elapsedMs = stopwatch();
  while (pendingOf(store, "b") > seriesCount) await sleep(10);
  const caughtUpMs = elapsedMs();
  await load.end();
  await store.drain(minuteMs);
  const stored = await Promise.all([pair.a, pair.b].map((server) => server.count(database, "orders", "orders")));
  return {
    ratio: caughtUpMs / outageMs,
    caughtUpMs,
    spooled,
    heldBytes: held,
    lost: stored.map((count) => load.written - count),
    write: [load.p99(0, killedMs, (one) => one.writeMs), load.p99(killedMs, startedMs, (one) => one.writeMs)],
    through: [load.p99(0, killedMs, (one) => one.throughMs), load.p99(killedMs, startedMs, (one) => one.throughMs)],
  };
}

/** The official client, each server with a write API of its own and the client's defaults. */
async function client(pair: Pair): Promise<number[]> {
  const database = await pair.database();
  setLogger({ error: () => {}, warn: () => {} } satisfies typeof ClientLog);
  const apis = [pair.a, pair.b].map(({ url }) => {
    const api = new InfluxDB({ url }).getWriteApi("", "", "ms", { batchSize: 5_000, flushInterval: secondMs });
    api.path = `/write?db=${database}&precision=ms`;
    return api;
  });
  let written = 0;
  const untilMs = systemClock.nowMs() + outageMs * 1.5;
  const killAtMs = systemClock.nowMs() + outageMs / 4;
  const startAtMs = killAtMs + outageMs;
  let state: "before" | "away" | "back" = "before";
  for (let nextMs = systemClock.nowMs(); nextMs < untilMs; nextMs += tickMs) {
    if (state === "before" && nextMs >= killAtMs) {
      await pair.b.kill();
      state = "away";
    } else if (state === "away" && nextMs >= startAtMs) {
      await pair.b.start();
      state = "back";
    }
    const lines = slotOf(seriesCount, nextMs).map((point) => lineOf(seriesKey(point), point));
    for (const api of apis) api.writeRecords(lines);
    written += lines.length;
    await sleep(Math.max(0, nextMs + tickMs - systemClock.nowMs()));
  }
  await Promise.allSettled(apis.map((api) => api.close()));
  const stored = await Promise.all(
    [pair.a, pair.b].map((server: Influx) => server.count(database, "orders", "orders")),
  );
  return stored.map((count) => written - count);
}

await using pair = await Pair.start();
const mine = await ours(pair);
const lost = await client(pair);
const row = (what: string, measured: string, peer: string, ratio: string, goal: string) => ({
  what,
  measured,
  peer,
  ratio,
  goal,
});
const ms = (value: number | undefined) => `${(value ?? Number.NaN).toFixed(1)} ms`;
const relation = ([before = 1, during = 0]: readonly number[]) => (during / before).toFixed(2);
printTable(`One of two InfluxDBs away for ${outageMs / secondMs} s at 5,000 points/s`, [
  row(
    "catch-up / outage",
    `${(mine.caughtUpMs / secondMs).toFixed(2)} s for ${mine.spooled.toLocaleString("en")} points`,
    "",
    mine.ratio.toFixed(3),
    "<= 0.05",
  ),
  row("p99 of a write, on our disk", ms(mine.write[1]), `before: ${ms(mine.write[0])}`, relation(mine.write), ""),
  row(
    "p99 until the healthy copy has it",
    ms(mine.through[1]),
    `before: ${ms(mine.through[0])}`,
    relation(mine.through),
    "<= 1.1",
  ),
  row("memory held at the end of the outage", `${(mine.heldBytes / 1e6).toFixed(0)} MB more`, "", "", "<= 50 MB"),
  row(
    "points lost, healthy and other copy",
    mine.lost.join(" and "),
    `official client: ${lost.join(" and ")}`,
    "",
    "0",
  ),
]);
