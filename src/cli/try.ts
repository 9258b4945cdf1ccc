import type { Command } from "commander";
import type { Desk } from "../app.ts";
import type { Sampler } from "../core/definitions.ts";
import { formatSeries } from "../core/labels.ts";
import type { Point, Row, Slot, Verdict } from "../core/model.ts";
import { formatProblem, Problem } from "../core/problem.ts";
import { formatTimeUtc, parseTimeMs } from "../core/time.ts";
import { formatLocal } from "../core/zone.ts";
import { knownSeries } from "../pipeline.ts";
import { toPoints } from "../sample/points.ts";
import { latestSlot, slotHolding } from "../schedule/cron.ts";
import { type CommonOptions, commonOptions, findSampler, openDesk } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { numberText, print, printJson, table } from "./output.ts";

type Options = CommonOptions & { readonly at: string };

type Trial = {
  readonly sampler: Sampler;
  readonly slot: Slot;
  readonly rows: readonly Row[];
  readonly elapsedMs: number;
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
  const trial = await run(desk, sampler, parseTimeMs(options.at, desk.clock.nowMs()));
  if (options.json) showJson(trial);
  else show(trial);
  if (trial.failed) throw new Exit(exitCodes.failed);
}

async function run(desk: Desk, sampler: Sampler, atMs: number): Promise<Trial> {
  const slot = pastSlot(sampler, atMs, desk.clock.nowMs());
  const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
  const { rows, elapsedMs } = await desk.runner.run(sampler, window, new AbortController().signal);
  const { points, problems, failed } = toPoints(
    sampler,
    slot.startMs,
    rows,
    await knownSeries(desk.store, sampler, slot.startMs),
  );
  const verdicts = await desk.judge.judgeSlot(sampler, slot.startMs, points);
  return { sampler, slot, rows, elapsedMs, points, problems, failed, verdicts };
}

/** The slot that holds `atMs` if it is over, else the latest that was over by then. */
function pastSlot(sampler: Sampler, atMs: number, nowMs: number): Slot {
  const holding = slotHolding(sampler, atMs);
  const over = holding !== null && holding.startMs + holding.stepMs <= nowMs;
  const slot = over ? holding : latestSlot(sampler, Math.min(atMs, nowMs));
  if (slot !== null) return slot;
  throw new Problem(`no slot of ${sampler.name} was over by ${formatTimeUtc(atMs)}`, {
    where: sampler.place,
    fix: "name a time in its active hours with --at",
  });
}

function show({ sampler, slot, rows, elapsedMs, points, problems, failed, verdicts }: Trial): void {
  const zone = sampler.zone;
  print(`slot ${formatLocal(slot.startMs, zone)} to ${formatLocal(slot.startMs + slot.stepMs, zone)} (${zone})`);
  print(`${rows.length} rows in ${numberText(elapsedMs)} ms`);
  const [first] = rows;
  if (first !== undefined) {
    const columns = Object.keys(first);
    const shown = rows.slice(0, rowsShownMax).map((row) => columns.map((column) => cell(row[column])));
    print(...table(columns, shown).map((line) => `  ${line}`));
    if (rows.length > rowsShownMax) print(`  and ${rows.length - rowsShownMax} more`);
  }
  for (const problem of problems) print(formatProblem(problem));
  print(`${points.length} points${failed ? "; the slot would have failed" : ""}`);
  for (const { measurement, tags, fields } of points.slice(0, rowsShownMax)) {
    for (const [field, value] of Object.entries(fields))
      print(`  ${formatSeries({ measurement, tags, field })} = ${value}`);
  }
  if (verdicts.length > 0) print("verdicts (nothing was stored, nobody was told)");
  for (const verdict of verdicts) print(`  ${verdict.level}  ${formatSeries(verdict.series)}: ${verdict.reason}`);
}

function showJson({ slot, rows, elapsedMs, points, problems, failed, verdicts }: Trial): void {
  printJson({
    slot: { start: formatTimeUtc(slot.startMs), end: formatTimeUtc(slot.startMs + slot.stepMs) },
    elapsedMs,
    rows,
    points,
    problems: problems.map(formatProblem),
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
