/** Series as peers get them: rows of a CSV file laid on an even grid, and nothing of their labels. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { dayMs, secondMs } from "../../src/core/time.ts";
import { findStepMs } from "../../src/judge/backtest.ts";

export type Grid = {
  /** A cell a slot, NaN where nothing is known. */
  readonly values: Float64Array;
  /** Cells that make a day. */
  readonly perDay: number;
  readonly stepMs: number;
  /** Of each row its time in unix seconds, and its cell. */
  readonly rows: readonly { readonly timeS: number; readonly cell: number }[];
};

/** Lists that lie beside the series. */
const notSeries = /^(index|events)\.csv(\.gz)?$/;

/** The name of a series, undefined for a file that holds none. */
export function seriesOf(file: string): string | undefined {
  return notSeries.test(file) ? undefined : /^(.+)\.csv(\.gz)?$/.exec(file)?.[1];
}

/** Rows of one file, header excluded. */
export function readLines(path: string): { header: string[]; lines: string[] } {
  const bytes = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  const [head = "", ...lines] = text.trimEnd().split(/\r?\n/);
  return { header: head.split(","), lines };
}

/** Rows as they are: times ascend, and there is at least one. */
export type Rows = { readonly timesMs: readonly number[]; readonly values: readonly number[]; readonly stepMs: number };

/** @throws Error if there are no columns `timestamp` and `value` */
export function readRows(path: string): Rows {
  const { header, lines } = readLines(path);
  const [timestamp, value] = [header.indexOf("timestamp"), header.indexOf("value")];
  if (timestamp < 0 || value < 0) throw new Error(`${path}:1 has no columns timestamp and value`);
  const timesMs: number[] = [];
  const values: number[] = [];
  for (const line of lines) {
    const cells = line.split(",");
    timesMs.push(Number(cells[timestamp]) * secondMs);
    const text = cells[value] ?? "";
    values.push(text.trim() === "" ? Number.NaN : Number(text));
  }
  return { timesMs, values, stepMs: findStepMs(timesMs) };
}

/** @throws Error if there are no columns `timestamp` and `value` */
export function readGrid(path: string): Grid {
  return gridOf(readRows(path));
}

export function gridOf({ timesMs, values, stepMs }: Rows): Grid {
  const firstMs = timesMs[0] as number;
  const cellOf = (timeMs: number) => Math.floor((timeMs - firstMs) / stepMs);
  const cells = new Float64Array(cellOf(timesMs.at(-1) as number) + 1).fill(Number.NaN);
  const rows = timesMs.map((timeMs, row) => {
    const cell = cellOf(timeMs);
    cells[cell] = values[row] as number;
    return { timeS: timeMs / secondMs, cell };
  });
  return { values: cells, perDay: Math.max(1, Math.round(dayMs / stepMs)), stepMs, rows };
}
