/**
 * 30 days at 1 minute of 100 series, judged from CSV files, beside a bare loop that parses the same files; and the
 * `backtest` command over a sampler, which replays the whole engine: source, store, judging, alerting, messages.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { dayMs, minuteMs, stopwatch } from "../../src/core/time.ts";
import { judgeSeries } from "../../src/judge/backtest.ts";
import { benchFolder, median, printTable } from "../support.ts";

const startMs = Date.parse("2026-03-01T00:00:00Z");
const csv = { series: 100, rows: (30 * dayMs) / minuteMs };
const replayed = { series: 100, stepMs: 5 * minuteMs, days: 2, warmUpDays: 8 };
const folder = benchFolder();
const main = join(import.meta.dirname, "../../src/main.ts");

/** Counts with a day's shape and noise, about `mean` a slot. */
function ordersOf(mean: number, seed: number): () => number {
  let state = seed;
  let slot = 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    slot += 1;
    const noise = (state / 2 ** 32 - 0.5) * Math.sqrt(12 * mean);
    return Math.max(0, Math.round(mean * (1 + 0.4 * Math.sin((slot / 1440) * 2 * Math.PI)) + noise));
  };
}

// ---- CSV ----------------------------------------------------------------------------------------------------------

function writeCsv(dir: string): void {
  mkdirSync(dir, { recursive: true });
  for (let series = 0; series < csv.series; series += 1) {
    const orders = ordersOf(3 + series, series + 1);
    const lines = Array.from({ length: csv.rows }, (_, row) => `${(startMs + row * minuteMs) / 1_000},${orders()}`);
    writeFileSync(join(dir, `series-${series}.csv`), ["timestamp,value", ...lines, ""].join("\n"));
  }
}

/** Reads a file whole and cuts it at line breaks and commas: no names of columns, no checks. */
function parseBare(path: string): { timesMs: Float64Array; values: Float64Array } {
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const timesMs = new Float64Array(lines.length - 1);
  const values = new Float64Array(lines.length - 1);
  for (let row = 1; row < lines.length; row += 1) {
    const line = lines[row] as string;
    const comma = line.indexOf(",");
    timesMs[row - 1] = Number(line.slice(0, comma)) * 1_000;
    values[row - 1] = Number(line.slice(comma + 1));
  }
  return { timesMs, values };
}

function bareAndJudged(dir: string): { parseMs: number; judgeMs: number }[] {
  return readdirSync(dir).map((name) => {
    const parsing = stopwatch();
    const series = parseBare(join(dir, name));
    const parseMs = parsing();
    const judging = stopwatch();
    const judged = judgeSeries({ ...series, stepMs: minuteMs, kind: "count" });
    if (judged.length !== csv.rows) throw new Error(`${name}: ${judged.length} rows judged`);
    return { parseMs, judgeMs: judging() };
  });
}

/** A run of the command line as a process, its start included. */
function command(...args: string[]): { seconds: number; stdout: string } {
  const elapsedMs = stopwatch();
  const done = spawnSync(process.execPath, [main, ...args], { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (done.status !== 0) throw new Error(`${args[0]} ended with ${done.status}: ${done.stderr}`);
  return { seconds: elapsedMs() / 1_000, stdout: done.stdout };
}

// ---- replay -------------------------------------------------------------------------------------------------------

const sampler = `name: shop-orders
title: Orders placed
owner: shop-team
every: 5m
source:
  sql:
    connection: shop
    query: select product, orders from sales where sold_at >= :slot_start and sold_at < :slot_end
point: { measurement: orders, tags: [product], fields: [orders] }
empty: zero
judge: { orders: { kind: count } }
`;

/** Two thirds of the shop's products sell nothing for two hours of the last day. */
function writeReplay(dir: string): { fromMs: number; toMs: number } {
  const fromMs = startMs + replayed.warmUpDays * dayMs;
  const toMs = fromMs + replayed.days * dayMs;
  for (const sub of ["samplers", "rules/people", "data"]) mkdirSync(join(dir, sub), { recursive: true });
  writeFileSync(join(dir, "samplers/orders.yaml"), sampler);
  writeFileSync(
    join(dir, "rules/connections.yaml"),
    "connections: { shop: { sqlite: { file: shop.db, time: epoch-ms } } }\n",
  );
  writeFileSync(
    join(dir, "rules/people/shop.yaml"),
    "people: { ana: { name: Ana Silva, email: ana@shop.example } }\ngroups: { shop-team: { members: [ana] } }\n",
  );
  const database = new Sqlite(join(dir, "data/shop.db"));
  database.exec("create table sales (sold_at integer, product text, orders integer, primary key (sold_at, product))");
  const insert = database.prepare("insert into sales values (?, ?, ?)");
  const outageMs = toMs - dayMs / 2;
  database.transaction(() => {
    for (let product = 0; product < replayed.series; product += 1) {
      const orders = ordersOf(30 + product, product + 1);
      for (let timeMs = startMs; timeMs < toMs; timeMs += replayed.stepMs) {
        const down = product % 3 > 0 && timeMs >= outageMs && timeMs < outageMs + 120 * minuteMs;
        insert.run(timeMs, `product-${product}`, orders() * (down ? 0 : 1));
      }
    }
  })();
  database.close();
  return { fromMs, toMs };
}

function replay(dir: string): { seconds: number; slots: number; incidents: number } {
  const { fromMs, toMs } = writeReplay(dir);
  const [from, to] = [fromMs, toMs].map((timeMs) => new Date(timeMs).toISOString().replace(".000Z", "Z"));
  const { seconds, stdout } = command(
    ...["backtest", "shop-orders", "--from", from as string, "--to", to as string],
    ...["--config", dir, "--data", join(dir, "data"), "--json"],
  );
  const { slots, incidents } = JSON.parse(stdout) as { slots: number; incidents: unknown[] };
  return { seconds, slots, incidents: incidents.length };
}

// ---- figures ------------------------------------------------------------------------------------------------------

const dir = join(folder, "csv");
writeCsv(dir);
const pairs = bareAndJudged(dir);
const judgedSeconds = pairs.reduce((sum, { judgeMs }) => sum + judgeMs, 0) / 1_000;
const parsedSeconds = pairs.reduce((sum, { parseMs }) => sum + parseMs, 0) / 1_000;
const cli = command("backtest", "--csv", dir, "--out", join(folder, "out"), "--kind", "count", "--json");
const again = replay(join(folder, "replay"));
const replaySlots = ((replayed.days + replayed.warmUpDays) * dayMs) / replayed.stepMs;
const replayVerdicts = replaySlots * replayed.series;
const verdicts = csv.series * csv.rows;
const asManySeconds = (judgedSeconds * replayVerdicts) / verdicts;
const perSecond = (count: number, seconds: number): string => `${Math.round(count / seconds / 1_000)}k rows/s`;
printTable(`Backtests: ${csv.series} series, 30 days at 1 minute, ${(verdicts / 1e6).toFixed(2)} million rows`, [
  {
    what: "judgeSeries",
    measured: `${judgedSeconds.toFixed(1)} s, ${perSecond(verdicts, judgedSeconds)}`,
    peer: `bare parse ${parsedSeconds.toFixed(1)} s`,
    ratio: median(pairs.map(({ judgeMs, parseMs }) => parseMs / judgeMs)).toFixed(2),
    goal: "",
  },
  {
    what: "backtest --csv, the process",
    measured: `${cli.seconds.toFixed(1)} s, ${perSecond(verdicts, cli.seconds)}`,
    peer: `bare parse ${parsedSeconds.toFixed(1)} s`,
    ratio: (parsedSeconds / cli.seconds).toFixed(2),
    goal: "<= 180 s",
  },
  {
    what: `backtest SAMPLER, ${replayed.series} series, ${replaySlots} slots of 5m`,
    measured: `${again.seconds.toFixed(1)} s, ${perSecond(replayVerdicts, again.seconds)}`,
    peer: `judgeSeries of as many ${asManySeconds.toFixed(1)} s`,
    ratio: (asManySeconds / again.seconds).toFixed(2),
    goal: "",
  },
]);
console.log(`\nThe replay judged ${again.slots} of its slots for alerts and found ${again.incidents} incidents.`);
