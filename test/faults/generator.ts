/**
 * A generator as a process of its own, to be killed: `generator.ts LOAD LEDGER [HOARD]`. Writes a tick after the other
 * until SIGTERM, and keeps its ledger in a file: `try TIME` before a write, then `ack TIME`, or `refused TIME`.
 * HOARD: bytes that it keeps of each tick, so that it runs out of memory.
 */
import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { formatProblem } from "../../src/core/problem.ts";
import { systemClock } from "../../src/core/time.ts";
import { type Load, openMirror, pointsAt } from "./load.ts";

const [loadText, ledgerPath, hoardBytes = "0"] = process.argv.slice(2) as [string, string, string?];
const load = JSON.parse(loadText) as Load;
const ledger = openSync(ledgerPath, "a");
const hoard: number[][] = [];
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());

const tell = (_: object, text: string): void => console.error(text);
const mirror = await openMirror(load, {
  clock: systemClock,
  log: { debug: () => {}, info: () => {}, warn: tell, error: tell },
  onBroken: (problem) => {
    console.error(formatProblem(problem));
    process.exit(75);
  },
});
console.log("open");

const floor = () => Math.floor(Date.now() / load.tickMs) * load.tickMs;
for (let timeMs = floor(); !stop.signal.aborted; timeMs = Math.max(timeMs + load.tickMs, floor())) {
  writeSync(ledger, `try ${timeMs}\n`);
  const origin = { sampler: "generator", priority: "medium", slotMs: timeMs } as const;
  const taken = await mirror.write(pointsAt(load, timeMs), origin).then(
    ({ rejected }) => rejected.length === 0,
    () => false,
  );
  writeSync(ledger, `${taken ? "ack" : "refused"} ${timeMs}\n`);
  if (hoardBytes !== "0") hoard.push(new Array(Number(hoardBytes) / 8).fill(timeMs));
  const restMs = timeMs + load.tickMs - Date.now();
  if (restMs > 0) await sleep(restMs);
}
await mirror[Symbol.asyncDispose]();
