/**
 * The demo's past: 15 days of its samplers, every slot read from the shop, judged, stored and on the disk. Beside it as
 * many bare SQLite transactions, each on the disk and with as many values as a slot of the demo has.
 */
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { App } from "../../src/app.ts";
import { growShop } from "../../src/cli/demo/shop.ts";
import { demoSeed, historyDays, liveFromMs, storyEvents } from "../../src/cli/demo/story.ts";
import { dayMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { benchFolder, median, printTable, silent } from "../support.ts";

const rounds = 3;
const folder = benchFolder();

type Load = { slots: number; values: number; ms: number };

async function loadPast(dataDir: string): Promise<Load> {
  await growShop({ file: join(dataDir, "shop.db"), seed: demoSeed, events: storyEvents, liveFromMs, historyDays });
  const settings = readSettings({
    BELLWETHER_CONFIG: join(import.meta.dirname, "../.."),
    BELLWETHER_DATA: dataDir,
    BELLWETHER_PORT: "0",
    BELLWETHER_LOG: "error",
  });
  // The past is over at the moment from which the demo goes on.
  const clock = { nowMs: () => liveFromMs, sleep: systemClock.sleep };
  await using app = await App.open({ settings, env: {}, clock, log: silent, demo: true });
  let slots = 0;
  const elapsedMs = stopwatch();
  await app.loadHistory(liveFromMs - historyDays * dayMs, liveFromMs, (_, of) => {
    slots = of;
  });
  const ms = elapsedMs();
  const { "caught-up": done } = await app.desk.state.slots.counts();
  if (done !== slots) throw new Error(`only ${done} of ${slots} slots were loaded`);
  return { slots, ms, values: countValues(join(dataDir, "series.db")) };
}

function countValues(file: string): number {
  const database = new Sqlite(file, { readonly: true });
  const count = database.prepare("select count(*) from points").pluck().get() as number;
  database.close();
  return count;
}

function insertBare(file: string, { slots, values }: Load): number {
  const database = new Sqlite(file);
  for (const pragma of ["journal_mode = WAL", "synchronous = FULL", "cache_size = -32768"]) database.pragma(pragma);
  database.exec(
    "create table points (ts integer, series_id integer, value, primary key (ts, series_id)) without rowid",
  );
  const insert = database.prepare("insert into points (ts, series_id, value) values (?, ?, ?)");
  const slot = database.transaction((ts: number) => {
    for (let id = 0; id < values / slots; id += 1) insert.run(ts, id, id / 7);
  });
  const elapsedMs = stopwatch();
  for (let ts = 0; ts < slots; ts += 1) slot.immediate(ts);
  const ms = elapsedMs();
  database.close();
  return ms;
}

const pairs: (Load & { bareMs: number })[] = [];
for (let round = 0; round < rounds; round += 1) {
  const load = await loadPast(join(folder, `data-${round}`));
  pairs.push({ ...load, bareMs: insertBare(join(folder, `bare-${round}.db`), load) });
}
const { slots, values } = pairs[0] as Load;
const perSecond = (times: readonly number[]): string => `${Math.round(slots / (median(times) / 1_000))} slots/s`;
printTable(`The demo's past: ${slots} slots, ${(values / slots).toFixed(0)} values each (${rounds} rounds)`, [
  {
    what: "read, judged, stored",
    measured: `${perSecond(pairs.map(({ ms }) => ms))}, ${(median(pairs.map(({ ms }) => ms)) / 1_000).toFixed(1)} s`,
    peer: `bare transactions ${perSecond(pairs.map(({ bareMs }) => bareMs))}`,
    ratio: median(pairs.map(({ ms, bareMs }) => bareMs / ms)).toFixed(2),
    goal: "<= 30 s",
  },
]);
