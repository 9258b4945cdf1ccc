/** What every benchmark needs: the median of several runs, and a table of ratios. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../src/core/ports.ts";
import { stopwatch } from "../src/core/time.ts";

/** Milliseconds that `work` takes. */
async function timeMs(work: () => unknown): Promise<number> {
  const elapsedMs = stopwatch();
  await work();
  return elapsedMs();
}

/**
 * Times `work` and its `peer` in turn, so that both meet the same machine, after one run of each to warm up.
 * `ratio` is the median of peer / work: 1 = as fast as the peer, 0.5 = half as fast.
 */
export async function beside(
  runs: number,
  work: () => unknown,
  peer: () => unknown,
): Promise<{ workMs: number; peerMs: number; ratio: number }> {
  const works: number[] = [];
  const peers: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const [workMs, peerMs] = [await timeMs(work), await timeMs(peer)];
    if (run === 0) continue;
    works.push(workMs);
    peers.push(peerMs);
  }
  const ratio = median(works.map((workMs, run) => (peers[run] as number) / workMs));
  return { workMs: median(works), peerMs: median(peers), ratio };
}

export type BenchRow = { what: string; measured: string; peer: string; ratio: string; goal: string };

/** Prints the rows as a table; a figure that misses its goal is the reader's to see, not an exit code. */
export function printTable(title: string, rows: readonly BenchRow[]): void {
  const heads: BenchRow = { what: "what", measured: "measured", peer: "beside", ratio: "ratio", goal: "goal" };
  const keys = Object.keys(heads) as (keyof BenchRow)[];
  const widths = keys.map((key) => Math.max(...[heads, ...rows].map((row) => row[key].length)));
  console.log(`\n${title}`);
  for (const row of [heads, ...rows]) {
    console.log(
      keys
        .map((key, index) => row[key].padEnd(widths[index] as number))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** The middle one; of an even number the higher of the two in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] as number;
}

/** Two significant digits below ten, none of the decimals above. */
export function formatMs(ms: number): string {
  return `${ms < 10 ? ms.toPrecision(2) : ms.toFixed(0)} ms`;
}

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A folder that goes when the benchmark ends, however it ends. */
export function benchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
