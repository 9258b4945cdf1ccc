/**
 * Draws the pictures of `docs/judging.md` from labelled series: what the judge decided with the shipped defaults, slot by
 * slot, and nothing else. `npm run bench:pictures -- FOLDER...`, each a folder of `NAME.csv` or `NAME.csv.gz`.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { formatProblem, Problem } from "../../src/core/problem.ts";
import { minuteMs, secondMs } from "../../src/core/time.ts";
import { decisions, findStepMs } from "../../src/judge/backtest.ts";
import type { Decision } from "../../src/judge/decision.ts";
import { levelOf } from "../../src/judge/detectors/level.ts";
import { trimmedMean } from "../../src/judge/math/trimmedmean.ts";
import { openNats } from "../../src/judge/reading.ts";
import { readLines } from "../accuracy/series.ts";
import { type Drawing, type Mark, svgOf } from "./drawing.ts";

type Picture = {
  readonly file: string;
  readonly series: string;
  readonly from: string;
  readonly to: string;
  readonly title: string;
  readonly unit: string;
  /** Slots whose mean is one mark. */
  readonly slots: number;
  readonly below: "evidence" | "level";
  readonly withBaseline: boolean;
};

const pictures: readonly Picture[] = [
  {
    file: "judge-thin.svg",
    series: "dev_14_sparse",
    from: "2023-12-10T09:30Z",
    to: "2023-12-10T14:30Z",
    title: "Less than one a minute, and then none: no minute says so, half an hour of them does",
    unit: "counts a minute",
    slots: 1,
    below: "evidence",
    withBaseline: false,
  },
  {
    file: "judge-weekend.svg",
    series: "d3_01_high",
    from: "2023-12-08T06:00Z",
    to: "2023-12-11T18:00Z",
    title: "A weekend is compared with weekends, its nights with nights of the same kind",
    unit: "counts a minute, means of 15",
    slots: 15,
    below: "evidence",
    withBaseline: true,
  },
  {
    file: "judge-gauge.svg",
    series: "aiops_c02607e8",
    from: "2016-09-22T00:00Z",
    to: "2016-09-24T00:00Z",
    title: "What comes every day is no surprise; a smaller peak at another time is",
    unit: "measured every 5 minutes",
    slots: 1,
    below: "evidence",
    withBaseline: false,
  },
  {
    file: "judge-level.svg",
    series: "dev_06_mid",
    from: "2023-12-11T08:00Z",
    to: "2023-12-12T04:00Z",
    title: "The recent level follows the day, and stands still during an incident",
    unit: "counts a minute, means of 5",
    slots: 5,
    below: "level",
    withBaseline: false,
  },
];

/** Beyond it nothing is decided that was not before. */
const evidenceMost = 40;

const folder = resolve(import.meta.dirname, "../../docs/pictures");

try {
  const folders = process.argv.slice(2);
  if (folders.length === 0) {
    throw new Problem("no folder of series is named", { fix: "write npm run bench:pictures -- FOLDER..." });
  }
  for (const picture of pictures) draw(picture, folders);
} catch (thrown) {
  if (!(thrown instanceof Problem)) throw thrown;
  console.error(formatProblem(thrown));
  process.exit(2);
}

function draw(picture: Picture, folders: readonly string[]): void {
  const svg = svgOf(drawingOf(picture, judged(fileOf(picture.series, folders))));
  writeFileSync(join(folder, picture.file), svg);
  console.log(`${picture.file}: ${picture.series}, ${(svg.length / 1000).toFixed(0)} kB`);
}

function fileOf(series: string, folders: readonly string[]): string {
  const paths = folders.flatMap((path) => [join(path, `${series}.csv`), join(path, `${series}.csv.gz`)]);
  const found = paths.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Problem(`no folder has ${series}.csv or ${series}.csv.gz`, {
    where: folders.join(", "),
    fix: "name the folder that holds it, too",
  });
}

type Slot = { readonly timeMs: number; readonly decision: Decision; readonly baseline: number };
type Judged = { readonly stepMs: number; readonly slots: readonly Slot[] };

function judged(path: string): Judged {
  const rows = readLines(path).lines.map((line) => line.split(",").map(Number));
  const timesMs = rows.map(([timestamp]) => (timestamp as number) * secondMs);
  const values = rows.map(([, value]) => value as number);
  const stepMs = findStepMs(timesMs);
  const slots: Slot[] = [];
  /** Of what was no part of an incident. */
  const usable = new Map<number, number>();
  for (const decision of decisions({ timesMs, values, stepMs, kind: "auto" })) {
    const timeMs = timesMs[slots.length] as number;
    const days = [1, 2, 3, 4, 5, 6, 7].flatMap((day) => usable.get(timeMs - day * 1440 * minuteMs) ?? []);
    slots.push({ timeMs, decision, baseline: days.length < 4 ? Number.NaN : trimmedMean(days, 1) });
    if (decision.observed !== null) usable.set(timeMs, decision.observed);
    const sinceMs = decision.ongoing?.sinceMs ?? Number.POSITIVE_INFINITY;
    for (let atMs = timeMs; atMs >= sinceMs && usable.has(atMs); atMs -= stepMs) usable.delete(atMs);
  }
  return { stepMs, slots };
}

function drawingOf(picture: Picture, { stepMs, slots }: Judged): Drawing {
  const [fromMs, toMs] = [Date.parse(picture.from), Date.parse(picture.to)];
  const shown = slots.filter(({ timeMs }) => timeMs >= fromMs && timeMs < toMs);
  const marks: Mark[] = [];
  for (let startMs = fromMs; startMs < toMs; startMs += picture.slots * stepMs) {
    const some = shown.filter(({ timeMs }) => timeMs >= startMs && timeMs < startMs + picture.slots * stepMs);
    const means = (of: (slot: Slot) => number | null): number | null => {
      const found = some.map(of).filter((value) => value !== null && Number.isFinite(value)) as number[];
      return found.length === 0 ? null : found.reduce((sum, value) => sum + value, 0) / found.length;
    };
    const evidences = some.map(({ decision }) => decision.evidence);
    const level = means(({ decision }) => levelOf(decision.memory.level));
    marks.push({
      timeMs: startMs,
      observed: means(({ decision }) => decision.observed),
      expected: means(({ decision }) => decision.expected),
      lower: means(({ decision }) => decision.lower),
      upper: means(({ decision }) => decision.upper),
      baseline: means(({ baseline }) => baseline),
      below:
        some.length === 0 ? null : picture.below === "level" ? level : Math.min(evidenceMost, Math.max(...evidences)),
    });
  }
  const isEvidence = picture.below === "evidence";
  return {
    title: picture.title,
    unit: picture.unit,
    belowName: isEvidence
      ? `evidence in nats, cut at ${evidenceMost}`
      : "recent level: expectations are multiplied by it",
    line: isEvidence ? { at: openNats, name: "an incident begins" } : { at: 1, name: "as planned" },
    belowRange: isEvidence ? [0, evidenceMost] : [0.88, 1.04],
    withBaseline: picture.withBaseline,
    stepMs: picture.slots * stepMs,
    marks,
    incidents: incidentsOf(shown, stepMs),
  };
}

function incidentsOf(slots: readonly Slot[], stepMs: number): Drawing["incidents"] {
  const found: { fromMs: number; toMs: number; noticedMs: number }[] = [];
  let last: (typeof found)[number] | null = null;
  for (const { timeMs, decision } of slots) {
    if (decision.ongoing === null) {
      last = null;
      continue;
    }
    if (last === null || last.fromMs !== decision.ongoing.sinceMs) {
      last = { fromMs: decision.ongoing.sinceMs, toMs: timeMs, noticedMs: timeMs };
      found.push(last);
    }
    last.toMs = timeMs + stepMs;
  }
  return found;
}
