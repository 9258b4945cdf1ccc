/**
 * How fast points are judged, with all that judging does, beside the least that anybody does with the same seven days.
 * Live judging includes reading history from the store, the whole verdict and its sentence.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Point } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { stopwatch, systemClock } from "../../src/core/time.ts";
import { judgeSeries } from "../../src/judge/backtest.ts";
import { Judge } from "../../src/judge/judge.ts";
import { verdictPoint } from "../../src/judge/stored.ts";
import { stores } from "../../src/store/stores/index.ts";
import { pythonForScorer } from "../accuracy/python.ts";
import { samplerOf } from "../sampler.ts";
import { type BenchRow, benchFolder, beside, printTable, silent } from "../support.ts";

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

/** Is a value within three deviations of the mean of every `stride`-th slot of the seven days before, read anew for each? */
function threeDeviations(values: Float64Array, from: number, stride: number): number {
  let outside = 0;
  for (let slot = from; slot < values.length; slot += 1) {
    let [count, sum, squares] = [0, 0, 0];
    for (let at = slot - weekSlots; at < slot; at += stride) {
      const value = values[at] as number;
      if (Number.isNaN(value)) continue;
      count += 1;
      sum += value;
      squares += value * value;
    }
    const mean = sum / count;
    const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
    if (Math.abs((values[slot] as number) - mean) > 3 * deviation) outside += 1;
  }
  return outside;
}

/** Microseconds a point of both in Python: plain at its minute, numpy at its minute, numpy over all. */
function inPython(points: number): number[] {
  const script = join(import.meta.dirname, "three-sigma.py");
  const { stdout } = spawnSync(pythonForScorer(), [script, String(points)], { encoding: "utf8" });
  return stdout
    .trim()
    .split("\n")
    .map((line) => Number.parseFloat(line));
}

async function overArrays(rows: BenchRow[]): Promise<void> {
  const from = weekSlots;
  const slots = from + peerPoints;
  for (const [what, kind, mean] of kinds) {
    const values = clean(slots, mean, mean).map((value) => (kind === "gauge" ? value + 0.5 : value));
    const timesMs = Array.from(values, (_, slot) => startMs + slot * minuteMs);
    const series = { timesMs, values, stepMs: minuteMs, kind: "auto" as const };
    const run = () => judgeSeries(series);
    for (const [peer, stride] of peers) {
      const { workMs, peerMs, ratio } = await beside(5, run, () => threeDeviations(values, from, stride));
      rows.push({
        what: `backtest, ${what}`,
        measured: `${perSecond(slots, workMs)} verdicts/s`,
        peer: `three deviations ${peer}, JavaScript ${perSecond(peerPoints, peerMs)}`,
        ratio: ((ratio * slots) / peerPoints).toPrecision(2),
        goal: ">= 1.7k/s; ahead",
      });
    }
    const { workMs } = await beside(3, run, () => {});
    for (const [index, us] of inPython(10_000).entries()) {
      rows.push({
        what: `backtest, ${what}`,
        measured: `${perSecond(slots, workMs)} verdicts/s`,
        peer: `three deviations ${inPythonNames[index]} ${perSecond(1_000, us)}`,
        ratio: (us / ((1_000 * workMs) / slots)).toPrecision(2),
        goal: "ahead",
      });
    }
  }
}

const weekSlots = 7 * 1440;
const peerPoints = 60_000;
/** The least that anybody does with seven days, and what most do with them. */
const peers = [
  ["of the minute", 1440],
  ["of all seven days", 1],
] as const;
const inPythonNames = ["of the minute, Python", "of the minute, numpy", "of all seven days, numpy"];

const kinds = [
  ["counts, 6 a minute", "count", 6],
  ["counts, 200 a minute", "count", 200],
  ["a gauge", "gauge", 200],
] as const;

async function live(rows: BenchRow[], seriesCount: number, slots: number): Promise<void> {
  const file = join(benchFolder(), "series.db");
  const store = stores.sqlite.create({ file }, { clock: systemClock, log: silent });
  try {
    const tags = Array.from({ length: seriesCount }, (_, index) => ({ country: `c${index}` }));
    const nowMs = startMs + 15 * 24 * 60 * minuteMs + 12 * 60 * minuteMs;
    for (let day = 1; day <= 14; day += 1) {
      for (let slot = -50; slot < slots + 35; slot += 1) {
        await writeSlot(store, tags, nowMs - day * 1440 * minuteMs + slot * minuteMs);
      }
    }
    const judge = new Judge({ store, log: silent });
    const { arrayBuffers: before } = process.memoryUsage();
    const sampler = samplerOf("orders", ["country"]);
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
      peer: "",
      ratio: "",
      goal: ">= 1.7k/s",
    });
    const arrays = process.memoryUsage().arrayBuffers - before;
    rows.push({
      what: `live, ${seriesCount} series, history held`,
      measured: `${(arrays / seriesCount / 1_000).toFixed(1)} kB a series`,
      peer: "",
      ratio: "",
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
    goal: "<= 60 s",
  });
}

function perSecond(count: number, ms: number): string {
  return `${Math.round(count / ms)}k`;
}

const rows: BenchRow[] = [];
// What the others leave to the collector would be taken for history.
await live(rows, 100, 60);
await live(rows, 5_000, 15);
await overArrays(rows);
await wholeBacktest(rows);
printTable("Judging, one core, 14 days of history at 1 minute", rows);
