/** Folders of CSV files with a series each: `NAME.csv` or `NAME.csv.gz`. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { formatProblem, messageOf, Problem } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";
import { findStepMs } from "../judge/backtest.ts";
import { usage } from "./context.ts";
import { cellsOf } from "./csv-cells.ts";
import { Exit, exitCodes } from "./exit.ts";

export type CsvSeries = {
  readonly name: string;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
  /** Whether the row is in an event, by its column `label`; false throughout where that is not there, or not wanted. */
  readonly labels: readonly boolean[];
  readonly stepMs: number;
};

/** What one file may hold unpacked: some 20 million rows. */
const bytesMax = 500_000_000;
/** Seconds that are called milliseconds lie tens of thousands of years ahead; times of this century and the next do not. */
const timeSecondsMax = Date.UTC(2101, 0, 1) / secondMs;
/** How a value is written that is not there. */
const absent = /^(|nan|null|na|n\/a|none)$/i;
/** Lists of series that lie beside them. */
const notSeries = /^(index|events)\.csv(\.gz)?$/;

/**
 * A file with a fault is left out; the others are taken.
 * @param labelled whether the column `label` is wanted
 */
export function overCsv<T>(
  dir: string,
  files: readonly string[],
  take: (series: CsvSeries) => T,
  labelled = false,
): { done: T[]; problems: Problem[] } {
  const done: T[] = [];
  const problems: Problem[] = [];
  for (const file of files) {
    const path = join(dir, file);
    try {
      const rows = readCsv(path, labelled);
      done.push(take({ name: file.replace(/\.csv(\.gz)?$/, ""), ...rows, stepMs: findStepMs(rows.timesMs) }));
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      problems.push(new Problem(thrown.message, { where: thrown.where ?? path, fix: thrown.fix }));
    }
  }
  return { done, problems };
}

/** @throws Exit 1 if there are any */
export function tellFaults(problems: readonly Problem[]): void {
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (problems.length > 0) throw new Exit(exitCodes.failed);
}

/** @throws Problems if the folder is none, or has no files to judge */
export function listCsv(dir: string): string[] {
  const fix = "name a folder of CSV files";
  let names: string[];
  try {
    if (!statSync(dir).isDirectory()) throw new Error("it is not a folder");
    names = readdirSync(dir).filter((name) => /\.csv(\.gz)?$/.test(name) && !notSeries.test(name));
  } catch (thrown) {
    throw usage(`cannot read the folder ${dir}: ${messageOf(thrown)}`, { where: "--csv", fix });
  }
  if (names.length === 0) throw usage(`no .csv or .csv.gz file in ${dir}`, { where: "--csv", fix });
  const twice = names.find((name) => names.includes(`${name}.gz`));
  if (twice !== undefined) {
    throw usage(`both ${twice} and ${twice}.gz are there, for one answer`, { where: "--csv", fix: "remove one" });
  }
  return names.sort();
}

/**
 * Columns `timestamp` and `value` by name; others are never looked at, but for `label` where it is wanted.
 * @throws Problem with file and line of the first row that cannot be read
 */
function readCsv(path: string, labelled: boolean): Pick<CsvSeries, "timesMs" | "values" | "labels"> {
  const lines = readText(path).split(/\r?\n/);
  const header = cellsAt(lines[0] ?? "", `${path}:1`).map((cell) => cell.trim().toLowerCase());
  const [timestamp, value] = [header.indexOf("timestamp"), header.indexOf("value")];
  if (timestamp < 0 || value < 0) {
    throw new Problem("no columns timestamp and value", {
      where: `${path}:1`,
      fix: "write the header timestamp,value",
    });
  }
  const label = labelled ? header.indexOf("label") : -1;
  const timesMs: number[] = [];
  const values: number[] = [];
  const labels: boolean[] = [];
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] as string;
    if (line.trim() === "") continue;
    const where = `${path}:${index + 1}`;
    const cells = cellsAt(line, where);
    const timeMs = timeOf(cells[timestamp], where);
    const beforeMs = timesMs.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (!(timeMs > beforeMs)) {
      const what = timeMs === beforeMs ? "a second row of one time" : "a time before that of the row above";
      const fix = "sort the rows by time, one row a time";
      throw new Problem(`${what} (got ${cells[timestamp]?.trim()})`, { where, fix });
    }
    timesMs.push(timeMs);
    const text = cells[value]?.trim() ?? "";
    values.push(
      absent.test(text) ? Number.NaN : numberOf(text, where, "value", "write a number, or nothing where there is none"),
    );
    const mark = label < 0 ? "" : (cells[label]?.trim() ?? "");
    labels.push(!absent.test(mark) && numberOf(mark, where, "label", "write 0 or 1") !== 0);
  }
  return { timesMs, values, labels };
}

/** @throws Problem if a quote is not closed */
function cellsAt(line: string, where: string): string[] {
  const cells = cellsOf(line);
  if (cells !== null) return cells;
  throw new Problem("a quoted cell that does not end where its quotes do", {
    where,
    fix: "close the quotes in the same line, and write a quote inside them twice",
  });
}

function timeOf(cell: string | undefined, where: string): number {
  const timeSeconds = numberOf(cell, where, "time", "write unix seconds");
  if (timeSeconds < timeSecondsMax) return timeSeconds * secondMs;
  throw new Problem(`a time after the year 2100 (got ${cell?.trim()})`, {
    where,
    fix: "milliseconds? write unix seconds",
  });
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    const text = (path.endsWith(".gz") ? gunzipSync(bytes, { maxOutputLength: bytesMax }) : bytes).toString("utf8");
    return text.replace(/^\uFEFF/, "");
  } catch (thrown) {
    throw new Problem(`cannot be read: ${messageOf(thrown)}`, { where: path, fix: "check the file" });
  }
}

function numberOf(cell: string | undefined, where: string, what: string, fix: string): number {
  const number = Number(cell);
  if (cell !== undefined && cell.trim() !== "" && Number.isFinite(number)) return number;
  throw new Problem(`not a ${what} (got ${JSON.stringify(cell ?? "")})`, { where, fix });
}
