/** What every benchmark needs: the median of several runs, and a table of ratios. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../src/core/ports.ts";
import { stopwatch } from "../src/core/time.ts";

/** Median of the milliseconds that `runs` runs take, after one to warm up. */
export async function medianMs(runs: number, work: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const elapsedMs = stopwatch();
    await work();
    if (run > 0) times.push(elapsedMs());
  }
  times.sort((one, other) => one - other);
  return times[Math.floor(times.length / 2)] as number;
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
