/**
 * Points through the spool and both lanes to two real InfluxDBs, until both have all of them. Beside it the simplest
 * program that writes the same batches to the same two servers: lines, gzip, two requests at once, wait for both, next.
 * It keeps nothing on a disk, and would lose what is in its hands.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Point } from "../../src/core/model.ts";
import { stopwatch } from "../../src/core/time.ts";
import { lineOf, seriesKey } from "../../src/store/line.ts";
import { median, printTable } from "../support.ts";
import { Pair, slotOf } from "./pair.ts";

const rounds = 5;
const pack = promisify(gzip);

async function ours(pair: Pair, batches: readonly Point[][]): Promise<{ ms: number; writeMs: number[] }> {
  await using store = await pair.open(await pair.database());
  const elapsedMs = stopwatch();
  const writeMs: number[] = [];
  for (const batch of batches) {
    const one = stopwatch();
    await store.write(batch);
    writeMs.push(one());
  }
  await store.drain(120_000);
  return { ms: elapsedMs(), writeMs };
}

async function bare(pair: Pair, batches: readonly Point[][]): Promise<number> {
  const database = await pair.database();
  const elapsedMs = stopwatch();
  for (const batch of batches) {
    const lines = batch.map((point) => lineOf(seriesKey(point), point)).join("\n");
    const body = await pack(lines, { level: 1 });
    await Promise.all([pair.a, pair.b].map((server) => post(`${server.url}/write?db=${database}&precision=ms`, body)));
  }
  return elapsedMs();
}

/** The limit: what the servers take of bodies that were packed beforehand. */
async function packed(pair: Pair, bodies: readonly Uint8Array<ArrayBuffer>[]): Promise<number> {
  const database = await pair.database();
  const elapsedMs = stopwatch();
  const lane = async (url: string): Promise<void> => {
    for (const body of bodies) await post(`${url}/write?db=${database}&precision=ms`, body);
  };
  await Promise.all([lane(pair.a.url), lane(pair.b.url)]);
  return elapsedMs();
}

async function post(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const answer = await fetch(url, { method: "POST", body, headers: { "content-encoding": "gzip" } });
  if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
}

await using pair = await Pair.start();
const rows = [];
for (const [what, seriesCount, slots] of [
  ["slots of 5,000 points", 5_000, 40],
  ["slots of 50 points", 50, 400],
] as const) {
  const fromMs = Math.floor(Date.parse("2026-11-01T00:00:00Z") / 60_000) * 60_000;
  const batches = Array.from({ length: slots }, (_, slot) => slotOf(seriesCount, fromMs + slot * 60_000));
  const bodies = await Promise.all(
    batches.map(
      async (batch) =>
        new Uint8Array(await pack(batch.map((point) => lineOf(seriesKey(point), point)).join("\n"), { level: 1 })),
    ),
  );
  const times: { ours: number; bare: number; packed: number }[] = [];
  const writes: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const mine = await ours(pair, batches);
    const time = { ours: mine.ms, bare: await bare(pair, batches), packed: await packed(pair, bodies) };
    if (round === 0) continue;
    times.push(time);
    writes.push(...mine.writeMs);
  }
  const points = seriesCount * slots;
  const perSecond = (ms: number) => `${Math.round((points / ms) * 1_000).toLocaleString("en")} points/s`;
  const of = (pick: (time: (typeof times)[number]) => number) => median(times.map(pick));
  rows.push({
    what,
    measured: perSecond(of((time) => time.ours)),
    peer: perSecond(of((time) => time.bare)),
    ratio: of((time) => time.bare / time.ours).toFixed(2),
    goal: ">= 0.8",
  });
  rows.push({
    what: "  beside bodies packed beforehand",
    measured: "",
    peer: perSecond(of((time) => time.packed)),
    ratio: of((time) => time.packed / time.ours).toFixed(2),
    goal: "",
  });
  const sorted = writes.toSorted((one, other) => one - other);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] as number;
  rows.push({
    what: "  one write, until it is on the disk",
    measured: `median ${median(writes).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    peer: "",
    ratio: "",
    goal: "",
  });
}
printTable("Points to two InfluxDBs", rows);
