/**
 * Slots through the ledger, the queue and a worker that has nothing to do: what a slot costs before any work. Beside
 * it bare SQLite transactions on a file with the same pragmas: one to take a slot, one to finish it.
 */
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import type { Sampler } from "../../src/core/definitions.ts";
import { minuteMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { slotJob } from "../../src/schedule/job.ts";
import { queues } from "../../src/schedule/queues/index.ts";
import { SlotWorker } from "../../src/schedule/worker.ts";
import { openState } from "../../src/state/database.ts";
import { benchFolder, median, printTable, silent } from "../support.ts";

const rounds = 7;
const samplers = 20;
const slotsEach = 100;
const slots = samplers * slotsEach;
const folder = benchFolder();

async function openLedger() {
  const state = await openState({ file: join(folder, "state.db"), clock: systemClock, log: silent });
  const nowMs = systemClock.nowMs();
  let round = 0;

  /** Adds slots that are due, wakes each sampler once, and waits until the last is done. */
  async function run(): Promise<{ addMs: number; runMs: number }> {
    round += 1;
    const names = Array.from({ length: samplers }, (_, index) => `sampler-${round}-${index}`);
    const due = names.flatMap((sampler) =>
      Array.from({ length: slotsEach }, (_, slot) => {
        const startMs = Math.floor(nowMs / minuteMs - slotsEach - 1 + slot) * minuteMs;
        return { sampler, startMs, stepMs: minuteMs, dueMs: startMs + minuteMs, catchUp: false };
      }),
    );
    const adding = stopwatch();
    await state.slots.add(due);
    const addMs = adding();
    const { promise: allDone, resolve } = Promise.withResolvers<void>();
    let left = slots;
    await using queue = queues.memory({ clock: systemClock, log: silent });
    const worker = new SlotWorker({
      clock: systemClock,
      slots: {
        readyOf: (...input) => state.slots.readyOf(...input),
        lease: (...input) => state.slots.lease(...input),
        renew: (...input) => state.slots.renew(...input),
        finish: async (...input) => {
          const finished = await state.slots.finish(...input);
          left -= 1;
          if (left === 0) resolve();
          return finished;
        },
        reopenFailed: (...input) => state.slots.reopenFailed(...input),
      },
      queue,
      log: silent,
      owner: "bench",
      sampler: (name) => ({ name }) as Sampler,
      execute: async () => ({ rows: 1, points: 1, dataState: "value", cost: null }),
      shareOf: () => 0,
    });
    const running = stopwatch();
    worker.start();
    queue.serve(new Set([0]));
    for (const slot of await state.slots.ready(systemClock.nowMs(), samplers)) await queue.add(slotJob(slot, 0));
    await allDone;
    return { addMs, runMs: running() };
  }
  return { run, [Symbol.asyncDispose]: () => state[Symbol.asyncDispose]() };
}

function openBare() {
  const database = new Sqlite(join(folder, "bare.db"));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec(`create table slots (sampler text, start_ms integer, state text, lease_owner text,
    lease_until_ms integer, finished_ms integer, primary key (sampler, start_ms)) without rowid`);
  const add = database.prepare("insert into slots (sampler, start_ms, state) values (?, ?, 'due')");
  const lease = database.prepare(`update slots set state = 'leased', lease_owner = ?, lease_until_ms = ?
    where sampler = ? and start_ms = ? and state = 'due'`);
  const finish = database.prepare(`update slots set state = 'done', lease_owner = null, lease_until_ms = null,
    finished_ms = ? where sampler = ? and start_ms = ? and lease_owner = ?`);
  let round = 0;
  return (): number => {
    round += 1;
    database.transaction(() => {
      for (let slot = 0; slot < slots; slot += 1) add.run(`sampler-${round}`, slot);
    })();
    const elapsedMs = stopwatch();
    for (let slot = 0; slot < slots; slot += 1) {
      lease.run("bench", slot, `sampler-${round}`, slot);
      finish.run(slot, `sampler-${round}`, slot, "bench");
    }
    return elapsedMs();
  };
}

await using ledger = await openLedger();
const bare = openBare();
const pairs: { addMs: number; runMs: number; bareMs: number }[] = [];
for (let round = 0; round <= rounds; round += 1) {
  const pair = { ...(await ledger.run()), bareMs: bare() };
  if (round > 0) pairs.push(pair);
}
const perSecond = (times: readonly number[]): string => `${Math.round(slots / (median(times) / 1_000))} slots/s`;
printTable(`Slots through ledger, queue and worker, nothing to do (${rounds} rounds of ${slots} slots)`, [
  {
    what: `lease, run, finish; ${samplers} samplers`,
    measured: perSecond(pairs.map(({ runMs }) => runMs)),
    peer: `two bare transactions ${perSecond(pairs.map(({ bareMs }) => bareMs))}`,
    ratio: median(pairs.map(({ runMs, bareMs }) => bareMs / runMs)).toFixed(3),
    goal: "",
  },
  {
    what: "plan into the ledger",
    measured: perSecond(pairs.map(({ addMs }) => addMs)),
    peer: "",
    ratio: "",
    goal: "",
  },
]);
