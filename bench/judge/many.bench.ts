/**
 * Judging of 50,000 series a minute in one process: how long it takes, what memory it needs, and how long after a start.
 * History of 5,000 series is stored once, by a process of its own, and read under ten names, so that every read is a
 * real one. What live slots write is left out: it is measured with whole slots, in `pipeline/`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Sampler } from "../../src/core/definitions.ts";
import type { Point, Tags } from "../../src/core/model.ts";
import type { Series, TimeSeriesStore } from "../../src/core/ports.ts";
import { dayMs, hourMs, minuteMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { Judge } from "../../src/judge/judge.ts";
import { verdictMeasurement } from "../../src/judge/stored.ts";
import { stores } from "../../src/store/stores/index.ts";
import { samplerOf } from "../sampler.ts";
import { type BenchRow, benchFolder, median, printTable, silent } from "../support.ts";

const copies = 10;
const seriesEach = 5_000;
const seriesCount = copies * seriesEach;
const slots = 12;
const nowMs = Date.parse("2026-03-16T12:30:00Z");
const names = Array.from({ length: seriesEach }, (_, index) => `c${index}`);

function open(file: string): TimeSeriesStore {
  return stores.sqlite.create({ file }, { clock: systemClock, log: silent });
}

/** What judging reads after a restart: the hours around each slot of 14 days, today's last five, and their verdicts. */
async function prepare(file: string): Promise<void> {
  const store = open(file);
  for (let day = 14; day >= 0; day -= 1) {
    const first = day === 0 ? -300 : -50;
    const end = day === 0 ? 0 : slots + 45;
    for (let slot = first; slot < end; slot += 1) {
      await store.write(valuesAt(nowMs - day * dayMs + slot * minuteMs));
      if (day === 0)
        await store.write(verdictsAt(nowMs + slot * minuteMs, { expected: 105.25, memory: "level 105.3 104.9" }));
    }
  }
  const lastMs = Math.floor(nowMs / (2 * hourMs)) * 2 * hourMs;
  for (let back = 14 * 12; back >= 0; back -= 1) {
    await store.write(verdictsAt(lastMs - back * 2 * hourMs, { part: 12_600 + (back % 7) }));
  }
  await store[Symbol.asyncDispose]();
}

function valuesAt(timeMs: number): Point[] {
  return names.map((country, index) => ({
    measurement: "orders",
    tags: { country },
    fields: { orders: valueAt(index, timeMs) },
    timeMs,
  }));
}

function verdictsAt(timeMs: number, fields: Point["fields"]): Point[] {
  const measurement = verdictMeasurement("orders");
  return names.map((country) => ({ measurement, tags: { country, field: "orders" }, fields, timeMs }));
}

function valueAt(index: number, timeMs: number): number {
  return 100 + ((index * 7 + timeMs / minuteMs) % 11);
}

/** A store of ten times as many series: of measurements that end in one digit that copy, of others all. */
function manifold(store: TimeSeriesStore): TimeSeriesStore {
  const copiesOf = (measurement: string) => {
    const [, own] = /^orders(\d)/.exec(measurement) ?? [];
    return own === undefined ? Array.from({ length: copies }, (_, copy) => copy) : [Number(own)];
  };
  const renamed = <T extends { readonly tags: Tags }>(series: T, shop: number) => ({
    ...series,
    tags: { ...series.tags, shop: `s${shop}` },
  });
  return Object.assign(Object.create(store) as TimeSeriesStore, {
    async read(query: Parameters<TimeSeriesStore["read"]>[0]) {
      const series: Series[] = [];
      const measurement = query.measurement.replace(/\d/, "");
      for (const copy of copiesOf(query.measurement)) {
        const found = await store.read({ ...query, measurement });
        for (const one of found.series) series.push(renamed(one, copy));
      }
      return { series, stale: false };
    },
    async list({ measurement }: { measurement: string }) {
      const known = await store.list({ measurement: measurement.replace(/\d/, "") });
      return copiesOf(measurement).flatMap((copy) => known.map((series) => renamed(series, copy)));
    },
  });
}

/** One process: prints its figures as JSON. */
async function judgeMany(file: string, samplers: readonly Sampler[]): Promise<void> {
  const stored = open(file);
  const store = manifold(stored);
  await store.list({ measurement: "orders" });
  const judge = new Judge({ store, log: silent });
  const before = rssAfterCollecting();
  const judgedMs: number[] = [];
  const firstMs: number[] = [];
  const rss: number[] = [];
  for (let slot = 0; slot < slots; slot += 1) {
    const timeMs = nowMs + slot * minuteMs;
    let ms = 0;
    for (const sampler of samplers) {
      const points = pointsOf(sampler, timeMs);
      const elapsedMs = stopwatch();
      const verdicts = await judge.judgeSlot(sampler, timeMs, points);
      ms += elapsedMs();
      if (slot === 0) firstMs.push(elapsedMs());
      if (verdicts.some(({ level }) => level !== "normal")) throw new Error("not every verdict is normal");
    }
    judgedMs.push(ms);
    rss.push(process.memoryUsage.rss());
  }
  const value = (name: string) => judge.measures().find((measure) => measure.name.includes(name))?.value ?? 0;
  const cells = value("history_cells");
  const evictions = value("history_evictions");
  const { arrayBuffers: arrays } = process.memoryUsage();
  console.log(JSON.stringify({ judgedMs, firstMs, before, rss, arrays, cells, evictions } satisfies Figures));
  await stored[Symbol.asyncDispose]();
}

type Figures = {
  /** Of each slot, all samplers together. */
  judgedMs: number[];
  /** Of each sampler's first slot, which reads its history. */
  firstMs: number[];
  /** Bytes of the process before anything is judged, and after each slot. */
  before: number;
  rss: number[];
  /** Bytes in arrays at the end. */
  arrays: number;
  cells: number;
  evictions: number;
};

function pointsOf({ point: { measurement } }: Sampler, timeMs: number): Point[] {
  const own = /\d$/.exec(measurement)?.[0];
  const shops = own === undefined ? Array.from({ length: copies }, (_, copy) => `s${copy}`) : [`s${own}`];
  return shops.flatMap((shop) =>
    valuesAt(timeMs).map((point) => ({ ...point, measurement, tags: { ...point.tags, shop } })),
  );
}

function rssAfterCollecting(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage.rss();
}

function inItsOwnProcess(...args: string[]): string {
  const { stdout, status } = spawnSync(process.execPath, [import.meta.filename, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`${args[0]} ended with ${status}`);
  return stdout;
}

function rowsOf(what: string, figures: Figures): BenchRow[] {
  const { judgedMs, firstMs, before, rss, arrays, cells, evictions } = figures;
  const [first = 0, ...later] = judgedMs;
  const perSecond = (ms: number) => `${Math.round(seriesCount / ms)}k verdicts/s`;
  const perSeries = (bytes: number) => `${(bytes / seriesCount / 1_000).toFixed(1)} kB a series`;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const row = (name: string, measured: string, goal = ""): BenchRow => {
    return { what: `${what}, ${name}`, measured, peer: "", ratio: "", goal };
  };
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  const middle = median(later);
  const mean = later.reduce((sum, ms) => sum + ms, 0) / later.length;
  return [
    row(
      `${later.length} slots with their reads`,
      `${perSecond(mean)}, ${seconds(middle)} a slot (median)`,
      ">= 1.7k/s",
    ),
    row("longest slot", seconds(Math.max(...later)), "<= 30 s"),
    row("first slot after a start", `${seconds(first)}; ${seconds(median(firstMs))} a sampler`),
    row("RSS, median of the slots", `${megabytes(median(rss))}, ${perSeries(median(rss) - before)} more than before`),
    row("RSS, largest", megabytes(Math.max(...rss))),
    row("of which arrays", perSeries(arrays)),
    row("cells held; histories evicted", `${(cells / 1e6).toFixed(1)} million; ${evictions}`, "0 evicted"),
  ];
}

const labels = ["country", "shop"];
const [role, file = ""] = process.argv.slice(2);
if (role === "prepare") await prepare(file);
else if (role === "ten")
  await judgeMany(
    file,
    Array.from({ length: copies }, (_, copy) => samplerOf(`orders${copy}`, labels)),
  );
else if (role === "one") await judgeMany(file, [samplerOf("orders", labels)]);
else {
  const stored = join(benchFolder(), "series.db");
  inItsOwnProcess("prepare", stored);
  const rows = [
    ["ten samplers", "ten"],
    ["one sampler", "one"],
  ].flatMap(([what = "", own = ""]) => rowsOf(what, JSON.parse(inItsOwnProcess(own, stored)) as Figures));
  printTable("Judging 50,000 series of counts at 1 minute, 14 days of history, one process", rows);
}
