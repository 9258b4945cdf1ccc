import type { Command } from "commander";
import type { Sampler } from "../core/definitions.ts";
import { formatSeries } from "../core/labels.ts";
import type { Point, Row, Slot, Verdict } from "../core/model.ts";
import type { SourceCost } from "../core/ports.ts";
import { formatProblem, Problem } from "../core/problem.ts";
import { formatTimeUtc } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { formatLocal } from "../core/zone.ts";
import type { Desk } from "../desk.ts";
import { knownSeries } from "../pipeline.ts";
import { toPoints } from "../sample/points.ts";
import { latestSlot, slotHolding } from "../schedule/cron.ts";
import { definitionProblemView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, findSampler, openDesk, timeOf } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { type Inspection, inspectionLines, inspectionView, inspectSampler } from "./inspect.ts";
import { print, printJson, table } from "./output.ts";

type Options = CommonOptions & { readonly at: string };

type Trial = {
  readonly sampler: Sampler;
  readonly slot: Slot;
  /** False: no slot that is over holds the time asked for, and this is the latest before it. */
  readonly asked: boolean;
  readonly rows: readonly Row[];
  readonly elapsedMs: number;
  readonly cost: SourceCost;
  readonly inspection: Inspection;
  readonly points: readonly Point[];
  readonly problems: readonly Problem[];
  readonly failed: boolean;
  readonly verdicts: readonly Verdict[];
};

const rowsShownMax = 20;

export function tryCommand(program: Command): void {
  const command = program
    .command("try")
    .description("one run of one slot: rows, points, cost, verdict; writes nothing")
    .argument("<sampler>", "name of the sampler")
    .option(
      "--at <time>",
      "any moment in the slot, ISO 8601 with a zone, or now-2h; default: the latest that is over",
      "now",
    )
    .action(trySampler);
  commonOptions(command);
}

async function trySampler(name: string, options: Options): Promise<void> {
  await using desk = await openDesk(options);
  const sampler = findSampler(desk, name);
  const atMs = timeOf("--at", options.at, desk.clock.nowMs());
  const trial = await run(desk, sampler, atMs, options.json === true);
  if (options.json) showJson(trial);
  else show(trial);
  if (trial.failed) throw new Exit(exitCodes.failed);
}

async function run(desk: Desk, sampler: Sampler, atMs: number, json: boolean): Promise<Trial> {
  const { slot, asked } = pastSlot(sampler, atMs, desk.clock.nowMs());
  const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
  const inspection = await inspectSampler(desk.runner, sampler, slot);
  const signal = new AbortController().signal;
  const { rows, elapsedMs, cost } = await desk.runner.run(sampler, window, signal).catch((thrown: unknown) => {
    // What its system says may be why; without an answer the fault alone says it all.
    if (!json && inspection.facts !== null) print(...inspectionLines(inspection));
    return sourceFailed(thrown);
  });
  const { points, problems, failed } = toPoints(
    sampler,
    slot.startMs,
    rows,
    await knownSeries(desk.store, sampler, slot.startMs),
  );
  const verdicts = await desk.judge.judgeSlot(sampler, slot.startMs, points);
  return { sampler, slot, asked, rows, elapsedMs, cost, inspection, points, problems, failed, verdicts };
}

/** Exit code 1, also where the source may answer later: whoever tries wants to know now. */
function sourceFailed(thrown: unknown): never {
  if (!(thrown instanceof Problem)) throw thrown;
  process.stderr.write(`${formatProblem(thrown)}\n`);
  throw new Exit(exitCodes.failed);
}

/** The slot that holds `atMs` if it is over, else the latest that was over by then. */
function pastSlot(sampler: Sampler, atMs: number, nowMs: number): Pick<Trial, "slot" | "asked"> {
  const holding = slotHolding(sampler, atMs);
  if (holding !== null && holding.startMs + holding.stepMs <= nowMs) return { slot: holding, asked: true };
  const slot = latestSlot(sampler, Math.min(atMs, nowMs));
  if (slot !== null) return { slot, asked: false };
  throw new Problem(`no slot of ${sampler.name} was over by ${formatTimeUtc(atMs)}`, {
    where: sampler.place,
    fix: "name a time in its active hours with --at",
  });
}

function show(trial: Trial): void {
  const { sampler, slot, asked, rows, elapsedMs, cost, inspection, points, problems, failed, verdicts } = trial;
  const zone = sampler.zone;
  const which = asked ? "slot" : "no slot that is over holds that time; the latest before it:";
  print(`${which} ${formatLocal(slot.startMs, zone)} to ${formatLocal(slot.startMs + slot.stepMs, zone)} (${zone})`);
  print(...inspectionLines(inspection));
  const read = cost.rowsRead === null ? "" : `, ${cost.rowsRead.toLocaleString("en")} rows gone through`;
  print(
    `${counted(rows.length, "row")} in ${Math.round(elapsedMs)} ms; its system worked ${Math.round(cost.serverMs)} ms${read}`,
  );
  const [first] = rows;
  if (first !== undefined) {
    const columns = Object.keys(first);
    const shown = rows.slice(0, rowsShownMax).map((row) => columns.map((column) => cell(row[column])));
    print(...table(columns, shown).map((line) => `  ${line}`));
    if (rows.length > rowsShownMax) print(`  and ${counted(rows.length - rowsShownMax, "row")} more`);
  }
  for (const problem of problems) print(formatProblem(problem));
  print(`${counted(points.length, "point")}${failed ? "; the slot would have failed" : ""}`);
  const values = points.flatMap(({ measurement, tags, fields }) =>
    Object.entries(fields).map(([field, value]) => `  ${formatSeries({ measurement, tags, field })} = ${value}`),
  );
  printSome(values);
  print(`${counted(verdicts.length, "verdict")}; nothing was stored, nobody was told`);
  const worstFirst = verdicts.toSorted((a, b) => rank(b) - rank(a));
  printSome(worstFirst.map(({ level, series, reason }) => `  ${level}  ${formatSeries(series)}: ${reason}`));
}

function rank({ level }: Verdict): number {
  return ["unknown", "normal", "warning", "critical"].indexOf(level);
}

function printSome(lines: readonly string[]): void {
  print(...lines.slice(0, rowsShownMax));
  if (lines.length > rowsShownMax) print(`  and ${lines.length - rowsShownMax} more`);
}

function showJson(trial: Trial): void {
  const { sampler, slot, asked, rows, elapsedMs, cost, inspection, points, problems, failed, verdicts } = trial;
  printJson({
    sampler: sampler.name,
    slot: { start: formatTimeUtc(slot.startMs), end: formatTimeUtc(slot.startMs + slot.stepMs), asked },
    elapsedMs: Math.round(elapsedMs),
    cost: { serverMs: Math.round(cost.serverMs), rowsRead: cost.rowsRead },
    source: inspectionView(inspection),
    rows,
    points: points.map(({ timeMs, ...point }) => ({ time: formatTimeUtc(timeMs), ...point })),
    problems: problems.map(definitionProblemView),
    failed,
    verdicts: verdicts.map(({ series, level, observed, expected, reason }) => {
      return { series: formatSeries(series), level, observed, expected, reason };
    }),
  });
}

function cell(value: unknown): string | number | null {
  if (value === null || value === undefined) return null;
  return typeof value === "number" ? value : String(value);
}
