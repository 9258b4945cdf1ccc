/**
 * One slot of 5,000 series from end to end: rows read from a SQLite file by the `sql` source, points made of them,
 * judged with 7 days of history at 1 minute, points and verdicts stored and on the disk, alerts told. Beside it, after
 * each slot, a bare better-sqlite3 insert of the very same values into a file with the same pragmas.
 *
 * `--full` stores every minute of the 7 days first (50 million values, some minutes), not only the hours that judging
 * reads; `--series N` takes another number of series.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import Sqlite from "better-sqlite3";
import { Alerting } from "../../src/alerting.ts";
import type { Point } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { minuteMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { Judge } from "../../src/judge/judge.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { type BenchRow, benchFolder, formatMs, median, printTable, silent } from "../support.ts";
import { nowMs, openWorld } from "./world.ts";

const { values: args } = parseArgs({
  options: { full: { type: "boolean", default: false }, series: { type: "string", default: "5000" } },
});
const seriesCount = Number(args.series);
const goalMs = 1_000;
/** Normal slots, then slots in which nobody buys anything, with every series an alert. */
const slots = { normal: 31, outage: 6 };

type Step = "source" | "history" | "judge" | "store" | "alert" | "points";
type Sample = Record<Step, number> & {
  total: number;
  /** Of all threads: without other work on the machine about the total, and steadier. */
  cpu: number;
  bareAll: number;
  bareRows: number;
  /** By which the slot's values make the file grow. */
  bytes: number;
  first: boolean;
};

const folder = benchFolder();
await using world = await openWorld({
  folder,
  seriesCount,
  slots: slots.normal + slots.outage,
  full: args.full,
  soldOut: (slot) => slot >= slots.normal,
});
const clocks = { source: 0, history: 0, judge: 0, store: 0, alert: 0 };
let written: readonly Point[] = [];

async function timed<T>(step: keyof typeof clocks, work: () => Promise<T>): Promise<T> {
  const elapsedMs = stopwatch();
  try {
    return await work();
  } finally {
    clocks[step] += elapsedMs();
  }
}

const store: TimeSeriesStore = {
  read: (query) => timed("history", () => world.store.read(query)),
  list: (query) => world.store.list(query),
  write: (points, origin) => {
    written = points;
    return timed("store", () => world.store.write(points, origin));
  },
  expire: (beforeMs) => world.store.expire(beforeMs),
  [Symbol.asyncDispose]: async () => {},
};
class TimedJudge extends Judge {
  override judgeSlot(...input: Parameters<Judge["judgeSlot"]>) {
    return timed("judge", () => super.judgeSlot(...input));
  }
}
class TimedAlerting extends Alerting {
  override tellSlot(...input: Parameters<Alerting["tellSlot"]>) {
    return timed("alert", () => super.tellSlot(...input));
  }
}
const pipeline = new Pipeline({
  clock: systemClock,
  runner: { run: (...input) => timed("source", () => world.runner.run(...input)) },
  store,
  judge: new TimedJudge({ store, log: silent }),
  alerting: new TimedAlerting(world.alerting),
  log: silent,
});

// ---- the peer -----------------------------------------------------------------------------------------------------

const bare = new Sqlite(join(folder, "bare.db"));
for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "cache_size = -32768"]) bare.pragma(pragma);
bare.exec(`create table points (ts integer not null, series_id integer not null, value not null,
  primary key (ts, series_id)) without rowid`);
const insert = bare.prepare("insert or replace into points (ts, series_id, value) values (?, ?, ?)");

/** One prepared statement, one transaction, rows in the order of the key. */
function insertBare(rows: readonly (readonly [number, number, number | string])[]): number {
  const elapsedMs = stopwatch();
  bare
    .transaction(() => {
      for (const [timeMs, id, value] of rows) insert.run(timeMs, id, value);
    })
    .immediate();
  return elapsedMs();
}

function bareBytes(): number {
  const [pages, size] = ["page_count", "page_size"].map((name) => Number(bare.pragma(name, { simple: true })));
  return (pages as number) * (size as number);
}

/** Values by field, as they lie in the file. */
function bareRows(points: readonly Point[]): [number, number, number | string][] {
  const byField = new Map<string, [number, number, number | string][]>();
  for (const [index, { measurement, fields, timeMs }] of points.entries()) {
    for (const [name, value] of Object.entries(fields)) {
      const key = `${measurement}.${name}`;
      const rows = byField.get(key) ?? [];
      byField.set(key, rows);
      rows.push([timeMs, byField.size * 2 ** 20 + index, typeof value === "boolean" ? Number(value) : value]);
    }
  }
  return [...byField.values()].flat();
}

// ---- slots --------------------------------------------------------------------------------------------------------

async function runSlot(index: number): Promise<Sample> {
  Object.assign(clocks, { source: 0, history: 0, judge: 0, store: 0, alert: 0 });
  const startMs = nowMs + index * minuteMs;
  const slot = { startMs, stepMs: minuteMs, dueMs: startMs + minuteMs, catchUp: false };
  const used = process.cpuUsage();
  const elapsedMs = stopwatch();
  await pipeline.run(world.sampler, slot, new AbortController().signal);
  const total = elapsedMs();
  const { user, system } = process.cpuUsage(used);
  const { source, history, store, alert } = clocks;
  const judge = clocks.judge - history;
  const points = total - source - clocks.judge - store - alert;
  const sampled = written.filter(({ measurement }) => measurement === world.sampler.point.measurement);
  const bytesBefore = bareBytes();
  const bareAll = insertBare(bareRows(written));
  const bytes = bareBytes() - bytesBefore;
  // The sampled rows alone, in a time of their own.
  const bareRowsOnly = insertBare(bareRows(sampled).map(([timeMs, id, value]) => [timeMs + 1, id, value]));
  const times = { source, history, judge, store, alert, points, total, cpu: (user + system) / 1_000 };
  return { ...times, bareAll, bareRows: bareRowsOnly, bytes, first: history > 0 };
}

function row(what: string, samples: readonly Sample[], goal: boolean): BenchRow {
  const total = median(samples.map((sample) => sample.total));
  const bareAll = median(samples.map((sample) => sample.bareAll));
  return {
    what: `${what} (${samples.length})`,
    measured: `${formatMs(total)}, longest ${formatMs(Math.max(...samples.map((sample) => sample.total)))}`,
    peer: formatMs(bareAll),
    ratio: median(samples.map((sample) => sample.bareAll / sample.total)).toFixed(2),
    goal: goal ? `<= ${goalMs} ms: ${total <= goalMs ? "met" : "missed"}` : "",
  };
}

function steps(what: string, samples: readonly Sample[]): string {
  const names: Step[] = ["source", "points", "history", "judge", "store", "alert"];
  const of = (name: Step | "cpu"): string => formatMs(median(samples.map((sample) => sample[name])));
  const parts = names.map((name) => `${name} ${of(name)}`);
  return `${what.padEnd(24)}${parts.join(", ")}; processor ${of("cpu")}`;
}

// The very first slot of a process starts the reader and reads all history.
const cold = await runSlot(0);
const samples: Sample[] = [];
for (let slot = 1; slot < slots.normal; slot += 1) samples.push(await runSlot(slot));
const valuesStored = bareRows(written).length;
const outage: Sample[] = [];
for (let slot = slots.normal; slot < slots.normal + slots.outage; slot += 1) outage.push(await runSlot(slot));
const alerts = (await world.state.alerts.standing()).length;

const steady = samples.filter(({ first }) => !first);
const firsts = samples.filter(({ first }) => first);
printTable(
  `A slot of ${seriesCount} series end to end, beside a bare insert of its ${valuesStored} values (medians; slots)`,
  [
    row("history in memory", steady, true),
    row("first slot of a block", firsts, true),
    row("all slots", samples, true),
    row("very first slot", [cold], false),
    row(`all at zero, ${alerts} alerts`, outage, false),
  ],
);
const rowsOnly = median(samples.map((sample) => sample.bareRows));
const bytes = median(samples.map((sample) => sample.bytes));
console.log(`\nA bare insert of the ${seriesCount} sampled rows alone: ${formatMs(rowsOnly)}.`);
console.log(
  `A slot takes ${(bytes / 1e6).toFixed(1)} MB of the file, ${(bytes / seriesCount).toFixed(0)} bytes a series.`,
);
console.log(
  ["", steps("history in memory", steady), steps("first slot of a block", firsts), steps("all at zero", outage)].join(
    "\n",
  ),
);
