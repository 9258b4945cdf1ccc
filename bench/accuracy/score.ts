/** The scorer as a process, and its figures as rows of a table. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../src/core/problem.ts";

type Event = {
  readonly p: number;
  readonly r: number;
  readonly f1: number;
  readonly r_timely: number;
  readonly fa_wk: number;
  readonly events: number;
  readonly found: number;
  readonly false: number;
};

/** What the scorer says of one group of series; `event_best` is null where no threshold finds anything. */
export type Figures = {
  readonly series: number;
  readonly weeks: number;
  readonly event_op: Event;
  readonly delay_op: { readonly f1: number };
  readonly event_best?: Event | null;
  readonly delay_best?: { readonly f1: number };
};

/** By group: `ALL`, and `_high`, `ms_` and their like where series have such names. */
export type Scores = Readonly<Record<string, Figures>>;

/** Where the labels and a detector's outputs are, and where the figures are to be. */
export type Folders = { readonly labels: string; readonly out: string; readonly json: string };

/** @throws Problem with the scorer's last words */
export function score(scorer: string, python: string, folders: Folders): Scores {
  runScorer(scorer, python, [scorer, ...argumentsOf(folders)], "");
  return scoresIn(folders);
}

/**
 * Many outputs of the same series, without the figures that need every threshold.
 * @throws Problem with the scorer's last words
 */
export function scoreMany(scorer: string, python: string, tasks: readonly Folders[]): Scores[] {
  const lines = tasks.map((folders) => JSON.stringify([...argumentsOf(folders), "--no-curves"]));
  const script = join(import.meta.dirname, "score-many.py");
  runScorer(scorer, python, [script, scorer], lines.join("\n"));
  return tasks.map(scoresIn);
}

function argumentsOf({ labels, out, json }: Folders): string[] {
  return ["--labels", labels, "--out", out, "--json", json];
}

function runScorer(scorer: string, python: string, args: readonly string[], input: string): void {
  const { status, stderr, error } = spawnSync(python, args, { encoding: "utf8", input, maxBuffer: 2 ** 26 });
  if (status === 0) return;
  const said = error?.message ?? stderr.trim().split("\n").at(-1) ?? "";
  throw new Problem(`the scorer ended with ${status}: ${said}`, { where: scorer });
}

/** Python writes NaN as it is, which JSON has not got. */
function scoresIn({ json }: Folders): Scores {
  return JSON.parse(readFileSync(json, "utf8").replace(/\b(NaN|-?Infinity)\b/g, "null"));
}

/** One detector on one folder; `why` where it has no figures. */
export type Row = { readonly name: string; readonly usPerPoint: number; readonly scores: Scores | { why: string } };

const volumes = ["_high", "_mid", "_low", "_sparse", "_five"];

/** The lines of the tables of a folder: the figures over all series, then how timely each group is found, then F1. */
export function tablesOf(rows: readonly Row[]): string[] {
  const scored = rows.flatMap((row) => ("why" in row.scores ? [] : [{ ...row, scores: row.scores }]));
  const lost = rows.flatMap(({ name, scores }) => ("why" in scores ? [`${name}: no figures, ${scores.why}`] : []));
  const first = scored[0]?.scores ?? {};
  const found = Object.keys(first).filter((group) => group !== "ALL");
  const groups = byVolume(found);
  const all = scored.map(({ name, usPerPoint, scores }) => [
    name,
    ...overall(scores.ALL),
    usPerPoint < 10 ? usPerPoint.toPrecision(2) : usPerPoint.toFixed(0),
  ]);
  const heads = ["", "P", "R", "F1", "false/week", "timely", "delay-F1", "best F1", "best delay-F1", "us/point"];
  const perGroup = (of: (figures: Figures | undefined) => string) =>
    scored.map(({ name, scores }) => [name, ...groups.map((group) => of(scores[group]))]);
  const groupHeads = groups.map((group) => `${group.replaceAll("_", "")} (${first[group]?.event_op.events})`);
  return [
    ...aligned([heads, ...all]),
    ...(groups.length === 0
      ? []
      : [
          "",
          "timely share by group (events in it)",
          ...aligned([["", ...groupHeads], ...perGroup((figures) => share(figures?.event_op.r_timely))]),
          "",
          "event F1, and false incidents per series-week, by group",
          ...aligned([
            ["", ...groupHeads],
            ...perGroup((figures) => `${share(f1Of(figures))} ${rate(figures?.event_op.fa_wk)}`),
          ]),
        ]),
    ...(lost.length === 0 ? [] : ["", ...lost]),
  ];
}

/** Groups by volume first, in the order of volume. */
export function byVolume(groups: readonly string[]): string[] {
  return [...volumes.filter((group) => groups.includes(group)), ...groups.filter((one) => !volumes.includes(one))];
}

function overall(figures: Figures | undefined): string[] {
  const event = figures?.event_op;
  return [
    share(event?.p),
    share(event?.r),
    share(f1Of(figures)),
    rate(event?.fa_wk),
    share(event?.r_timely),
    share(figures?.delay_op.f1),
    share(figures?.event_best?.f1),
    share(figures?.delay_best?.f1),
  ];
}

/** Without events there is nothing to find, and no F1. */
export function f1Of(figures: Figures | undefined): number | undefined {
  return figures === undefined || figures.event_op.events === 0 ? undefined : figures.event_op.f1;
}

export function share(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : value.toFixed(3);
}

export function rate(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : value.toFixed(value < 10 ? 2 : 0);
}

/** Columns as wide as their widest cell; the first one to the left, numbers to the right. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join("  "),
  );
}
