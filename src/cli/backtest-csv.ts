/** The judge over a folder of CSV files: `NAME.csv` or `NAME.csv.gz` in, `NAME.csv` with verdicts out. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";
import { tellSeries } from "../backtest-series.ts";
import { weekMs, weeksOf } from "../backtest-weeks.ts";
import type { Lifecycle } from "../core/definitions.ts";
import { formatProblem, messageOf, Problem, toProblem } from "../core/problem.ts";
import { formatDuration, secondMs } from "../core/time.ts";
import { findStepMs, judgeSeries } from "../judge/backtest.ts";
import { weekView } from "./backtest-show.ts";
import { usage } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { print, printJson, table } from "./output.ts";

export type Kind = "count" | "gauge" | "auto";

type Done = {
  readonly series: string;
  readonly rows: number;
  readonly anomalies: number;
  readonly step: string;
  /** Where the life of alerts was asked for. */
  readonly incidents?: number;
  readonly messages?: number;
  readonly weeks?: readonly ReturnType<typeof weekView>[];
};

type BacktestOptions = {
  readonly dir: string;
  readonly out: string;
  readonly kind: Kind;
  readonly json: boolean;
  /** Null: no incidents are told. */
  readonly lifecycle: Lifecycle | null;
};

/** What one file may hold unpacked: some 20 million rows. */
const bytesMax = 500_000_000;
/** How a value is written that is not there. */
const absent = /^(|nan|null|na|n\/a|none)$/i;
/** Lists of series that lie beside them. */
const notSeries = /^(index|events)\.csv(\.gz)?$/;

/**
 * A file with a fault is told and left out; the others are judged.
 * @throws Problems if a folder is no folder, Exit 1 if a file had a fault
 */
export async function backtestFiles({ dir, out, kind, json, lifecycle }: BacktestOptions): Promise<void> {
  const files = listCsv(dir);
  if (resolve(dir) === resolve(out)) {
    throw usage("it would overwrite what it reads", { where: "--out", fix: "name another folder" });
  }
  try {
    mkdirSync(out, { recursive: true });
  } catch (thrown) {
    throw usage(`cannot make the folder: ${messageOf(thrown)}`, { where: "--out", fix: "name a folder" });
  }
  const done: Done[] = [];
  const problems: Problem[] = [];
  for (const file of files) {
    try {
      done.push(judgeFile(join(dir, file), out, file.replace(/\.csv(\.gz)?$/, ""), kind, lifecycle));
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      problems.push(new Problem(thrown.message, { where: thrown.where ?? join(dir, file), fix: thrown.fix }));
    }
  }
  if (json) printJson(done);
  else print(...tableOf(done, lifecycle !== null));
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (problems.length > 0) throw new Exit(exitCodes.failed);
}

function tableOf(done: readonly Done[], told: boolean): string[] {
  const header = ["series", "rows", "anomalies", "step"];
  const cells = ({ series, rows, anomalies, step }: Done) => [series, rows, anomalies, step];
  if (!told) return table(header, done.map(cells));
  const rows = done.map((one) => {
    const { incidents = 0, messages = 0, weeks = [] } = one;
    const lengthMs = weeks.reduce((sum, { from, to }) => sum + Date.parse(to) - Date.parse(from), 0);
    // Of less than a week a number a week would be made up.
    const perWeek = (count: number) => (lengthMs < weekMs ? "-" : ((count * weekMs) / lengthMs).toFixed(1));
    return [...cells(one), incidents, perWeek(incidents), messages, perWeek(messages)];
  });
  return table([...header, "incidents", "a week", "messages", "a week"], rows);
}

function judgeFile(path: string, out: string, series: string, kind: Kind, lifecycle: Lifecycle | null): Done {
  const { timesMs, values } = readCsv(path);
  const stepMs = findStepMs(timesMs);
  const judged = judgeSeries({ timesMs, values, stepMs, kind });
  const lines = judged.map(({ anomaly, score }, row) => {
    return `${(timesMs[row] as number) / secondMs},${anomaly},${Number(score.toPrecision(6))}`;
  });
  const target = join(out, `${series}.csv`);
  try {
    writeFileSync(target, ["timestamp,anomaly,score", ...lines, ""].join("\n"));
  } catch (thrown) {
    throw toProblem(thrown, "cannot be written", { where: target });
  }
  const anomalies = judged.reduce((sum, { anomaly }) => sum + anomaly, 0);
  const done = { series, rows: judged.length, anomalies, step: formatDuration(stepMs) };
  if (lifecycle === null || timesMs.length === 0) return done;
  const said = tellSeries({ timesMs, values, stepMs, kind }, lifecycle);
  const weeks = weeksOf(said, timesMs[0] as number, (timesMs.at(-1) as number) + stepMs).map(weekView);
  return { ...done, incidents: said.incidents.length, messages: said.messages.length, weeks };
}

function listCsv(dir: string): string[] {
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
 * Columns `timestamp` and `value` by name; others, a `label` among them, are never looked at.
 * @throws Problem with file and line of the first row that cannot be read
 */
function readCsv(path: string): { timesMs: number[]; values: number[] } {
  const lines = readText(path).split(/\r?\n/);
  const header = (lines[0] ?? "").split(",").map((cell) => cell.trim().toLowerCase());
  const [timestamp, value] = [header.indexOf("timestamp"), header.indexOf("value")];
  if (timestamp < 0 || value < 0) {
    throw new Problem("no columns timestamp and value", {
      where: `${path}:1`,
      fix: "write the header timestamp,value",
    });
  }
  const timesMs: number[] = [];
  const values: number[] = [];
  for (let index = 1; index < lines.length; index += 1) {
    const line = lines[index] as string;
    if (line.trim() === "") continue;
    const cells = line.split(",");
    const where = `${path}:${index + 1}`;
    const timeMs = numberOf(cells[timestamp], where, "time", "write unix seconds") * secondMs;
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
  }
  return { timesMs, values };
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
