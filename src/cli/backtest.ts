import { createReadStream, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import { type Command, Option } from "commander";
import { type Replay, replay, storedRows } from "../backtest.ts";
import { formatProblem, messageOf, Problem, Problems } from "../core/problem.ts";
import { dayMs, formatDuration, formatTimeUtc, parseTimeMs, secondMs } from "../core/time.ts";
import { findStepMs, judgeSeries } from "../judge/backtest.ts";
import { type CommonOptions, commonOptions, findSampler, openDesk } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { print, printJson, table } from "./output.ts";

type Kind = "count" | "gauge" | "auto";
type Options = CommonOptions & {
  readonly from?: string;
  readonly to: string;
  readonly stored?: boolean;
  readonly csv?: string;
  readonly out?: string;
  readonly kind: Kind;
};

const listedMax = 50;

export function backtestCommand(program: Command): void {
  const command = program
    .command("backtest")
    .description("the whole engine over the past: alerts, people, messages; or over a folder of CSV files")
    .argument("[sampler...]", "names of samplers")
    .option("--from <time>", "ISO 8601 with a zone, or now-7d")
    .option("--to <time>", "end of the time", "now")
    .option("--stored", "take the stored points instead of asking the source again")
    .option("--csv <dir>", "judge NAME.csv or NAME.csv.gz with timestamp,value (unix seconds) instead")
    .option("--out <dir>", "where NAME.csv with timestamp,anomaly,score goes")
    .addOption(new Option("--kind <kind>", "what the values are").choices(["count", "gauge", "auto"]).default("auto"))
    .action((samplers: readonly string[], options: Options) =>
      options.csv === undefined ? overSamplers(samplers, options) : overFiles(samplers, options, options.csv),
    );
  commonOptions(command);
}

async function overSamplers(names: readonly string[], options: Options): Promise<void> {
  if (names.length === 0 || options.from === undefined) {
    throw new Problems([
      new Problem("a backtest needs samplers and a time", {
        fix: "backtest SAMPLER --from now-7d, or --csv DIR --out DIR",
      }),
    ]);
  }
  await using desk = await openDesk(options);
  const samplers = names.map((name) => findSampler(desk, name));
  const nowMs = desk.clock.nowMs();
  const [fromMs, toMs] = [parseTimeMs(options.from, nowMs), parseTimeMs(options.to, nowMs)];
  if (fromMs >= toMs) throw new Problems([new Problem("--from is not before --to", { fix: "exchange them" })]);
  const runner = options.stored ? storedRows(desk.store) : desk.runner;
  const result = await replay({ samplers, definitions: desk.definitions, fromMs, toMs, runner, log: desk.log });
  if (options.json) printJson({ from: formatTimeUtc(fromMs), to: formatTimeUtc(toMs), ...result });
  else show(result, toMs - fromMs);
}

function show({ slots, failed, verdicts, incidents, messages }: Replay, lengthMs: number): void {
  const levels = Object.entries(verdicts).map(([level, count]) => `${count} ${level}`);
  print(`${slots} slots of ${formatDuration(lengthMs)}, ${failed.length} failed; verdicts: ${levels.join(", ")}`);
  for (const { sampler, startMs, error } of failed.slice(0, 5))
    print(`  ${formatTimeUtc(startMs)}  ${sampler}: ${error}`);
  const perWeek = (count: number) => ((count * 7 * dayMs) / lengthMs).toFixed(1);
  print("", `${incidents.length} incidents (${perWeek(incidents.length)} a week)`);
  for (const { incident, alerts } of incidents.slice(-listedMax)) {
    const end =
      incident.resolvedMs === null ? "still open" : `for ${formatDuration(incident.resolvedMs - incident.openedMs)}`;
    print(`  ${formatTimeUtc(incident.openedMs)}  ${incident.severity}  ${incident.title}, ${end}`);
    for (const alert of alerts) print(`      ${alert.series} ${alert.labels.direction ?? ""}: ${alert.reason}`);
  }
  print("", `${messages.length} messages (${perWeek(messages.length)} a week)`);
  const byPerson = Map.groupBy(messages, ({ recipientName, notifier }) => `${recipientName}\u0000${notifier}`);
  const rows = [...byPerson].map(([key, list]) => [...key.split("\u0000"), list.length]);
  if (rows.length > 0) print(...table(["who", "by", "messages"], rows).map((line) => `  ${line}`));
}

async function overFiles(samplers: readonly string[], { out, kind, json }: Options, dir: string): Promise<void> {
  if (out === undefined || samplers.length > 0) {
    throw new Problems([
      new Problem("--csv takes no samplers, and needs --out", { fix: "backtest --csv DIR --out DIR" }),
    ]);
  }
  const names = listCsv(dir);
  mkdirSync(out, { recursive: true });
  const done: { series: string; rows: number; anomalies: number; step: string }[] = [];
  const problems: Problem[] = [];
  for (const file of names) {
    const series = file.replace(/\.csv(\.gz)?$/, "");
    try {
      const { timesMs, values } = await readCsv(join(dir, file));
      const stepMs = findStepMs(timesMs);
      const judged = judgeSeries({ timesMs, values, stepMs, kind });
      const lines = judged.map(({ anomaly, score }, index) => {
        return `${(timesMs[index] as number) / secondMs},${anomaly},${Number(score.toPrecision(6))}`;
      });
      writeFileSync(join(out, `${series}.csv`), ["timestamp,anomaly,score", ...lines, ""].join("\n"));
      const anomalies = judged.reduce((sum, { anomaly }) => sum + anomaly, 0);
      done.push({ series, rows: judged.length, anomalies, step: formatDuration(stepMs) });
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      problems.push(new Problem(thrown.message, { where: thrown.where ?? join(dir, file), fix: thrown.fix }));
    }
  }
  if (json) printJson(done);
  else
    print(
      ...table(
        ["series", "rows", "anomalies", "step"],
        done.map((one) => [one.series, one.rows, one.anomalies, one.step]),
      ),
    );
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  if (problems.length > 0) throw new Exit(exitCodes.failed);
}

/** Files that are no series, an index of them for one, are told by their header and left out. */
function listCsv(dir: string): string[] {
  try {
    if (!statSync(dir).isDirectory()) throw new Error("it is not a folder");
    return readdirSync(dir)
      .filter((name) => /\.csv(\.gz)?$/.test(name) && !/^(index|events)\.csv$/.test(name))
      .sort();
  } catch (thrown) {
    throw new Problems([
      new Problem(`cannot read the folder: ${messageOf(thrown)}`, { where: dir, fix: "name a folder of CSV files" }),
    ]);
  }
}

/** Columns `timestamp` and `value` by name; others, a `label` among them, are never looked at. */
async function readCsv(path: string): Promise<{ timesMs: number[]; values: number[] }> {
  const raw = createReadStream(path);
  const lines = createInterface({ input: path.endsWith(".gz") ? raw.pipe(createGunzip()) : raw, crlfDelay: Infinity });
  const timesMs: number[] = [];
  const values: number[] = [];
  let columns: { timestamp: number; value: number } | null = null;
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === "") continue;
    const cells = line.split(",");
    if (columns === null) {
      const header = cells.map((cell) => cell.trim().toLowerCase());
      columns = { timestamp: header.indexOf("timestamp"), value: header.indexOf("value") };
      if (columns.timestamp >= 0 && columns.value >= 0) continue;
      throw new Problem("no columns timestamp and value", {
        where: `${path}:1`,
        fix: "write the header timestamp,value",
      });
    }
    const seconds = Number(cells[columns.timestamp]);
    if (cells[columns.timestamp]?.trim() === "" || !Number.isFinite(seconds)) {
      throw new Problem(`not a time (got ${JSON.stringify(cells[columns.timestamp])})`, {
        where: `${path}:${number}`,
        fix: "write unix seconds",
      });
    }
    timesMs.push(seconds * secondMs);
    const text = cells[columns.value]?.trim() ?? "";
    values.push(text === "" ? Number.NaN : Number(text));
  }
  return { timesMs, values };
}
