/**
 * Judging beside the same algorithm as a bare loop over arrays: 7 days of history at 1 minute, counts, both detectors.
 * Live judging includes reading history from the store, the whole verdict and its sentence.
 */
import { join } from "node:path";
import type { Sampler } from "../../src/core/definitions.ts";
import type { Point } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { stopwatch, systemClock } from "../../src/core/time.ts";
import { backtestJudging, decisions, judgeSeries } from "../../src/judge/backtest.ts";
import { Judge } from "../../src/judge/judge.ts";
import { verdictPoint } from "../../src/judge/stored.ts";
import { stores } from "../../src/store/stores/index.ts";
import { type BenchRow, benchFolder, beside, printTable, silent } from "../support.ts";
import { bareLoop } from "./bare.ts";

const minuteMs = 60_000;
const startMs = Date.parse("2026-03-01T00:00:00Z");

/** Counts without incidents, every 97th slot missing: what judging does nearly always. */
function clean(slots: number, mean: number, seed: number): Float64Array {
  let state = seed;
  return Float64Array.from({ length: slots }, (_, slot) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    if (slot % 97 === 96) return Number.NaN;
    const noise = (state / 2 ** 32 - 0.5) * Math.sqrt(6 * mean);
    return Math.max(0, Math.round(mean * (1 + 0.4 * Math.sin((slot / 1440) * 2 * Math.PI)) + noise));
  });
}

async function overArrays(rows: BenchRow[]): Promise<number> {
  const from = 7 * 1440 + 32;
  const slots = from + 120_000;
  let slowest = 0;
  for (const mean of [6, 200]) {
    const values = clean(slots, mean, mean);
    const timesMs = Array.from(values, (_, slot) => startMs + slot * minuteMs);
    const series = { timesMs, values, stepMs: minuteMs, kind: "count" as const };
    const masked = new Uint8Array(slots);
    const bare = bareLoop(values, masked, from).evidence;
    let slot = 0;
    for (const { evidence } of decisions(series)) {
      const off = Math.abs(evidence - (bare[slot] as number));
      if (slot >= from && off > 1e-6) throw new Error(`not the same algorithm at slot ${slot}: ${off}`);
      slot += 1;
    }
    const run = () => judgeSeries(series);
    const peer = () => bareLoop(values, masked, from);
    const { workMs, peerMs, ratio } = await beside(5, run, peer);
    slowest = Math.max(slowest, peerMs / 120_000);
    rows.push({
      what: `backtest, ${mean} a minute`,
      measured: `${perSecond(120_000, workMs)} verdicts/s`,
      peer: `bare loop ${perSecond(120_000, peerMs)}`,
      ratio: ratio.toFixed(2),
      goal: ">= 0.50",
    });
  }
  return slowest;
}

async function live(rows: BenchRow[], seriesCount: number, slots: number, bareMsEach: number): Promise<void> {
  const file = join(benchFolder(), "series.db");
  const store = stores.sqlite.create({ file }, { clock: systemClock, log: silent });
  try {
    const tags = Array.from({ length: seriesCount }, (_, index) => ({ country: `c${index}` }));
    const nowMs = startMs + 8 * 24 * 60 * minuteMs + 12 * 60 * minuteMs;
    for (let day = 1; day <= 7; day += 1) {
      for (let slot = -40; slot < slots + 5; slot += 1) {
        await writeSlot(store, tags, nowMs - day * 1440 * minuteMs + slot * minuteMs);
      }
    }
    const judge = new Judge({ store, log: silent });
    const sampler = samplerOf();
    const judgedMs: number[] = [];
    for (let slot = 0; slot < slots; slot += 1) {
      const timeMs = nowMs + slot * minuteMs;
      const points = await writeSlot(store, tags, timeMs);
      const elapsedMs = stopwatch();
      const verdicts = await judge.judgeSlot(sampler, timeMs, points);
      judgedMs.push(elapsedMs());
      await store.write(verdicts.map((verdict) => verdictPoint(verdict)));
    }
    const [first] = judgedMs;
    const later = judgedMs.slice(1);
    const meanMs = later.reduce((sum, ms) => sum + ms, 0) / later.length;
    rows.push({
      what: `live, ${seriesCount} series, mean of ${later.length} slots with their reads`,
      measured: `${perSecond(seriesCount, meanMs)} verdicts/s, ${meanMs.toFixed(0)} ms a slot`,
      peer: `bare loop ${perSecond(seriesCount, bareMsEach * seriesCount)}`,
      ratio: ((bareMsEach * seriesCount) / meanMs).toFixed(2),
      goal: "",
    });
    rows.push({
      what: `live, ${seriesCount} series, longest slot (and the first after a start)`,
      measured: `${Math.max(...later).toFixed(0)} ms (${(first as number).toFixed(0)} ms)`,
      peer: "",
      ratio: "",
      goal: "<= 1000 ms",
    });
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

async function writeSlot(store: TimeSeriesStore, tags: readonly { country: string }[], timeMs: number) {
  const points: Point[] = tags.map((each, index) => ({
    measurement: "orders",
    tags: each,
    fields: { orders: 100 + ((index * 7 + timeMs / minuteMs) % 11) },
    timeMs,
  }));
  await store.write(points);
  return points;
}

function samplerOf(): Sampler {
  return {
    name: "shop-orders",
    title: "Orders placed",
    owner: "shop-team",
    group: "shop-team",
    purpose: null,
    runbook: null,
    schedule: { kind: "every", stepMs: minuteMs, delayMs: 0 },
    zone: "Europe/London",
    active: null,
    timeoutMs: 10_000,
    calendar: null,
    graceMs: 0,
    resample: 0,
    source: { kind: "sql", options: {} },
    point: { measurement: "orders", tags: ["country"], fields: ["orders"] },
    empty: "zero",
    judge: { orders: backtestJudging("auto") },
    priority: "medium",
    alerts: true,
    alerting: { pendingCount: 2, pendingOf: 3, recoverCount: 3 },
    labels: {},
    place: "samplers/shop/orders.yaml:1:1",
  };
}

async function wholeBacktest(rows: BenchRow[]): Promise<void> {
  const slots = 30 * 1440;
  const timesMs = Array.from({ length: slots }, (_, slot) => startMs + slot * minuteMs);
  const elapsedMs = stopwatch();
  for (let series = 0; series < 100; series += 1) {
    judgeSeries({ timesMs, values: clean(slots, 3 + series, series + 1), stepMs: minuteMs, kind: "auto" });
  }
  const seconds = elapsedMs() / 1_000;
  rows.push({
    what: "backtest of 30 days x 1 minute x 100 series",
    measured: `${seconds.toFixed(0)} s`,
    peer: "",
    ratio: "",
    goal: "<= 180 s",
  });
}

function perSecond(count: number, ms: number): string {
  return `${Math.round(count / ms)}k`;
}

const rows: BenchRow[] = [];
const bareMsEach = await overArrays(rows);
await live(rows, 100, 60, bareMsEach);
await live(rows, 5_000, 15, bareMsEach);
await wholeBacktest(rows);
printTable("Judging, one core, 7 days of history at 1 minute", rows);
