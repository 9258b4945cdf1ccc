/**
 * What each part of the judge is worth: the judge as it is, then without that part, over the same labelled series.
 * `npm run bench:ablation -- DIR...`; about half a minute a part and folder, and no part of `npm run bench`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { formatProblem, Problem } from "../../src/core/problem.ts";
import { secondMs, stopwatch } from "../../src/core/time.ts";
import type { Kind } from "../../src/judge/kind.ts";
import { benchFolder } from "../support.ts";
import { copySeries, type Folder, type Options, readOptions } from "./options.ts";
import { type Part, parts } from "./parts.ts";
import { pythonForScorer } from "./python.ts";
import { aligned, byVolume, type Figures, f1Of, rate, type Scores, scoreMany, share } from "./score.ts";
import { type Rows, readRows, seriesOf } from "./series.ts";
import { checkParts, copyOfSource, type Judging, variantOf } from "./variant.ts";

const root = resolve(import.meta.dirname, "../..");
/** The judge with nothing replaced. */
const shipped: Part = { name: "as shipped", on: [], replacements: [] };

type Variant = { readonly part: Part; readonly judging: Judging };

/** A series of a folder. */
type Series = {
  readonly name: string;
  readonly rows: Rows;
  /** What the shipped judge took it for, at any time. */
  readonly kinds: ReadonlySet<Kind>;
};

try {
  const names = parts.map(({ name }) => name);
  const command = { call: "npm run bench:ablation", what: "part", names, always: shipped.name };
  await run(readOptions(process.argv.slice(2), root, command));
} catch (thrown) {
  if (!(thrown instanceof Problem)) throw thrown;
  console.error(formatProblem(thrown));
  process.exit(2);
}

async function run({ folders, scorer, only, out }: Options): Promise<void> {
  const home = benchFolder();
  const source = copyOfSource(root, join(home, "source"));
  checkParts(source, parts);
  const variants: Variant[] = [];
  for (const part of [shipped, ...parts.filter(({ name }) => only.includes(name))]) {
    variants.push({ part, judging: await variantOf(source, join(home, "variants", `${variants.length}`), part) });
  }
  const python = pythonForScorer();
  for (const folder of folders) {
    const name = basename(resolve(folder.path));
    console.log(`\n${name}: ${folder.files.length} of ${folder.all} series`);
    const { tables, results } = ablated(folder, variants, { scorer, python, home: join(out ?? home, name) });
    console.log(["", ...tables].join("\n"));
    writeFileSync(join(out ?? home, name, "ablation.json"), `${JSON.stringify(results, null, 1)}\n`);
  }
}

/** Figures of one variant: of the half to look at and of the half that decides. */
type Row = { readonly part: string; readonly changed: number; readonly halves: readonly (Scores | null)[] };

type Where = { readonly scorer: string; readonly python: string; readonly home: string };

function ablated(folder: Folder, variants: readonly Variant[], { scorer, python, home }: Where) {
  const labels = ([0, 1] as const).map((half) => {
    const files = folder.files.filter((file) => folder.halfOf(seriesOf(file) as string) === half);
    return files.length === 0 ? null : copySeries({ ...folder, files }, join(home, `half${half}`));
  });
  const all = folder.files.map((file) => seriesIn(folder, file, variants[0] as Variant));
  const known = new Map<string, readonly number[]>();
  const changed: number[] = [];
  for (const [index, variant] of variants.entries()) {
    const elapsedMs = stopwatch();
    changed.push(judgeAll(all, variant, known, join(home, "out", `${index}`)));
    console.error(`  ${variant.part.name} (${(elapsedMs() / secondMs).toFixed(0)} s)`);
  }
  const tasks = variants.flatMap((_, index) => {
    const out = join(home, "out", `${index}`);
    return labels.flatMap((each, half) => (each === null ? [] : [{ labels: each, out, json: `${out}.${half}.json` }]));
  });
  const scores = scoreMany(scorer, python, tasks);
  const results = variants.map(({ part }, index): Row => {
    const halves = labels.map((each) => (each === null ? null : (scores.shift() as Scores)));
    return { part: part.name, changed: changed[index] as number, halves };
  });
  return { results, tables: tablesOf(results) };
}

function seriesIn(folder: Folder, file: string, { judging }: Variant): Series {
  const name = seriesOf(file) as string;
  const rows = readRows(join(folder.path, file));
  const kinds = new Set<Kind>();
  for (const { kind } of judging.decisions({ ...rows, kind: "auto" })) kinds.add(kind);
  return { name, rows, kinds };
}

/**
 * Writes the rows of each series that are an anomaly; a row left out is none.
 * @param known what the shipped judge says of each series; filled by its own run
 * @returns how many series are judged differently
 */
function judgeAll(
  all: readonly Series[],
  variant: Variant,
  known: Map<string, readonly number[]>,
  out: string,
): number {
  const { part, judging } = variant;
  mkdirSync(out, { recursive: true });
  let changed = 0;
  for (const { name, rows, kinds } of all) {
    const before = known.get(name);
    const same = before !== undefined && !part.on.every((kind) => kinds.has(kind));
    const times = same ? before : anomalies(judging, rows);
    if (before === undefined) known.set(name, times);
    else if (times.length !== before.length || times.some((time, index) => time !== before[index])) changed += 1;
    writeFileSync(join(out, `${name}.csv`), ["timestamp,anomaly", ...times.map((time) => `${time},1`), ""].join("\n"));
  }
  return changed;
}

/** In unix seconds. */
function anomalies(judging: Judging, rows: Rows): number[] {
  const found: number[] = [];
  for (const [row, { anomaly }] of judging.judgeSeries({ ...rows, kind: "auto" }).entries()) {
    if (anomaly === 1) found.push((rows.timesMs[row] as number) / secondMs);
  }
  return found;
}

function tablesOf(rows: readonly Row[]): string[] {
  const figures = ["P", "R", "F1", "false/week", "timely", "delay-F1"];
  const halves = ["look", "decide"].filter((_, half) => rows[0]?.halves[half] !== null);
  const heads = ["", "series changed", ...halves.flatMap((half) => figures.map((figure) => `${half}: ${figure}`))];
  const found = Object.keys(rows[0]?.halves.find((half) => half !== null) ?? {});
  const groups = byVolume(found.filter((group) => group !== "ALL"));
  const both = (of: (figures: readonly Figures[]) => string) =>
    rows.map(({ part, halves: scores }) => {
      const own = (group: string) => scores.flatMap((half) => half?.[group] ?? []);
      return [part, ...groups.map((group) => of(own(group)))];
    });
  const groupHeads = ["", ...groups.map((group) => group.replaceAll("_", ""))];
  const byGroup = [
    "",
    "both halves: timely share by group",
    ...aligned([groupHeads, ...both((own) => share(timelyOf(own)))]),
    "",
    "both halves: event F1, and false incidents per series-week, by group",
    ...aligned([groupHeads, ...both((own) => `${share(togetherF1(own))} ${rate(falseOf(own))}`)]),
  ];
  return [
    ...aligned([heads, ...rows.map(({ part, changed, halves: own }) => [part, `${changed}`, ...own.flatMap(cellsOf)])]),
    ...(groups.length === 0 ? [] : byGroup),
  ];
}

function cellsOf(scores: Scores | null): string[] {
  const all = scores?.ALL;
  if (all === undefined) return [];
  const { p, r, fa_wk, r_timely } = all.event_op;
  return [share(p), share(r), share(f1Of(all)), rate(fa_wk), share(r_timely), share(all.delay_op.f1)];
}

function timelyOf(own: readonly Figures[]): number {
  const events = sum(own, ({ event_op }) => event_op.events);
  return sum(own, ({ event_op }) => event_op.r_timely * event_op.events) / events;
}

function falseOf(own: readonly Figures[]): number {
  return sum(own, ({ event_op }) => event_op.false) / sum(own, ({ weeks }) => weeks);
}

function togetherF1(own: readonly Figures[]): number {
  const found = sum(own, ({ event_op }) => event_op.found);
  return (2 * found) / (found + sum(own, ({ event_op }) => event_op.events + event_op.false));
}

function sum(own: readonly Figures[], of: (figures: Figures) => number): number {
  return own.reduce((total, figures) => total + of(figures), 0);
}
