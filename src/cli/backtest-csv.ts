/** The judge over a folder of CSV files: `NAME.csv` or `NAME.csv.gz` in, `NAME.csv` with verdicts out. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { SeriesLife } from "../backtest-series.ts";
import { weekMs, weeksOf } from "../backtest-weeks.ts";
import type { Lifecycle } from "../core/definitions.ts";
import { messageOf, toProblem } from "../core/problem.ts";
import { formatDuration, secondMs } from "../core/time.ts";
import { judgeSeries } from "../judge/backtest.ts";
import { saidBy, weekView } from "./backtest-show.ts";
import { usage } from "./context.ts";
import { type CsvSeries, listCsv, overCsv, tellFaults } from "./csv.ts";
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

/**
 * A file with a fault is told and left out; the others are judged.
 * @throws Problems if a folder is no folder, Exit 1 if a file had a fault
 */
export function backtestFiles({ dir, out, kind, json, lifecycle }: BacktestOptions): void {
  const files = listCsv(dir);
  if (resolve(dir) === resolve(out)) {
    throw usage("it would overwrite what it reads", { where: "--out", fix: "name another folder" });
  }
  try {
    mkdirSync(out, { recursive: true });
  } catch (thrown) {
    throw usage(`cannot make the folder: ${messageOf(thrown)}`, { where: "--out", fix: "name a folder" });
  }
  const { done, problems } = overCsv(dir, files, (series) => judgeFile(series, out, kind, lifecycle));
  if (json) printJson(done);
  else print(...tableOf(done, lifecycle !== null));
  tellFaults(problems);
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

function judgeFile(
  { name, timesMs, values, stepMs }: CsvSeries,
  out: string,
  kind: Kind,
  lifecycle: Lifecycle | null,
): Done {
  const series = { timesMs, values, stepMs, kind };
  const life = lifecycle === null ? null : new SeriesLife(series, lifecycle);
  const judged = judgeSeries(series, (decision) => life?.hear(decision));
  const lines = judged.map(({ anomaly, score }, row) => {
    return `${(timesMs[row] as number) / secondMs},${anomaly},${Number(score.toPrecision(6))}`;
  });
  const target = join(out, `${name}.csv`);
  try {
    writeFileSync(target, ["timestamp,anomaly,score", ...lines, ""].join("\n"));
  } catch (thrown) {
    throw toProblem(thrown, "cannot be written", { where: target });
  }
  const anomalies = judged.reduce((sum, { anomaly }) => sum + anomaly, 0);
  const done = { series: name, rows: judged.length, anomalies, step: formatDuration(stepMs) };
  if (life === null || timesMs.length === 0) return done;
  const said = saidBy(life.heard());
  const weeks = weeksOf(said, timesMs[0] as number, (timesMs.at(-1) as number) + stepMs).map(weekView);
  return { ...done, incidents: said.incidents.length, messages: said.messages.length, weeks };
}
