/** `backtest --csv DIR --compare OTHER.yaml`: the alerts gained and lost between two ways of judging the same files. */
import { type Mark, marksOf } from "../backtest-compare.ts";
import { type OtherJudging, readOtherJudging } from "../backtest-other.ts";
import { type Heard, SeriesLife } from "../backtest-series.ts";
import type { FieldJudging, Lifecycle } from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { formatDuration } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { decisions, type SeriesToJudge } from "../judge/backtest.ts";
import { type Side, showCompared } from "./backtest-compare-show.ts";
import type { Kind } from "./backtest-csv.ts";
import { type CsvSeries, listCsv, overCsv, tellFaults } from "./csv.ts";

type Task = {
  readonly dir: string;
  /** The other way: a file. */
  readonly path: string;
  readonly kind: Kind;
  readonly lifecycle: Lifecycle;
  readonly json: boolean;
};

type Both = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly ours: Heard;
  readonly theirs: Heard;
  readonly marks: readonly Mark[];
};

/**
 * A file with a fault is told and left out; the others are compared.
 * @throws Problems if the folder or the other way cannot be read, Exit 1 if a file had a fault
 */
export async function compareFiles(task: Task): Promise<void> {
  const { dir, path, kind, json } = task;
  const way = await readOtherJudging(path);
  const { done, problems } = overCsv(dir, listCsv(dir), (series) => judgeTwice(series, way, task), true);
  const [fromMs, toMs] = [Math.min(...done.map((both) => both.fromMs)), Math.max(...done.map((both) => both.toMs))];
  if (fromMs < toMs) {
    const by = kind === "auto" ? "the defaults" : `--kind ${kind}`;
    const title = `${counted(done.length, "file")} over ${formatDuration(toMs - fromMs)}, by ${by} and by ${path}`;
    const now = joined(done.map(({ ours }) => ours));
    const other = joined(done.map(({ theirs }) => theirs));
    const marks = done.flatMap((both) => both.marks);
    const facts = { csv: dir, files: done.length };
    showCompared({ title, facts, path, fromMs, toMs, now, other, marks, bySeries: done.length > 1 }, json);
  }
  tellFaults(problems);
}

function judgeTwice(series: CsvSeries, way: OtherJudging, { path, kind, lifecycle }: Task): Both {
  const { name, timesMs, values, stepMs } = series;
  const judging = judgingOf(way, name, path);
  return {
    fromMs: timesMs[0] ?? Number.POSITIVE_INFINITY,
    toMs: (timesMs.at(-1) ?? Number.NEGATIVE_INFINITY) + stepMs,
    ours: live(name, { timesMs, values, stepMs, kind }, lifecycle),
    theirs: live(name, { timesMs, values, stepMs, kind: judging.kind, judging }, way.lifecycle ?? lifecycle),
    marks: marksOf(name, series),
  };
}

/**
 * Of the field that is called as the file, else of the only one there is. A file holds no denominators, and without
 * them a ratio is judged as a gauge.
 */
function judgingOf({ judge }: OtherJudging, name: string, path: string): FieldJudging {
  const fields = Object.keys(judge);
  const field = Object.hasOwn(judge, name) ? name : fields.length === 1 ? fields[0] : undefined;
  if (field !== undefined) return { ...(judge[field] as FieldJudging), denominator: undefined };
  const fix = `call the file as a field (${fields.join(", ")}), or leave one field in ${path}`;
  throw new Problem(`${path} judges ${fields.length} fields, none called ${name}`, { fix });
}

function live(name: string, series: SeriesToJudge, lifecycle: Lifecycle): Heard {
  const life = new SeriesLife(series, lifecycle);
  for (const decision of decisions(series)) life.hear(decision);
  const { incidents, ...rest } = life.heard();
  // Alerts are told apart by their series.
  const named = incidents.map(({ incident, alerts }) => {
    return { incident, alerts: alerts.map((alert) => ({ ...alert, series: name })) };
  });
  return { ...rest, incidents: named };
}

function joined(heard: readonly Heard[]): Side {
  const sum = (of: (one: Heard) => number) => heard.reduce((all, one) => all + of(one), 0);
  return {
    slots: sum(({ slots }) => slots),
    failed: [],
    verdicts: {
      normal: sum(({ verdicts }) => verdicts.normal),
      warning: sum(({ verdicts }) => verdicts.warning),
      critical: sum(({ verdicts }) => verdicts.critical),
      unknown: sum(({ verdicts }) => verdicts.unknown),
    },
    incidents: heard.flatMap(({ incidents }) => incidents),
    messages: heard.flatMap(({ messages }) => messages),
  };
}
