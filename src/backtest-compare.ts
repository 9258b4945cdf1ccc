/** Two backtests of one time side by side: the alerts that only one of them has, and those that moved. */
import type { Alert, TimeWindow } from "./core/model.ts";
import { Problem, Problems } from "./core/problem.ts";
import type { SamplerRunner } from "./sample/sample.ts";

/** A stretch of a series that a person has vouched for; `toMs` null: it has not ended. */
export type Mark = { readonly series: string; readonly fromMs: number; readonly toMs: number | null };

export type ComparedAlert = Mark & {
  readonly level: Alert["severity"];
  readonly worstObserved: number | null;
  readonly worstExpected: number | null;
  /** Whether a mark of the same series overlaps it. */
  readonly confirmed: boolean;
};

export type Pair = { readonly before: ComparedAlert; readonly after: ComparedAlert };

export type Comparison = {
  readonly gained: readonly ComparedAlert[];
  readonly lost: readonly ComparedAlert[];
  /** In both, with another begin, end or level. */
  readonly moved: readonly Pair[];
  /** In both, with the same begin, end and level. */
  readonly same: readonly Pair[];
};

/** Rows that are kept between the two replays; about a gigabyte. */
const rowsKeptMax = 5_000_000;

/**
 * Two alerts are the same one if they are of the same series and overlap in time. Each has one partner at most: the one
 * that it shares the most time with.
 */
export function compareAlerts(before: readonly Alert[], after: readonly Alert[], marks: readonly Mark[]): Comparison {
  const marksOf = Map.groupBy(marks, ({ series }) => series);
  const toCompared = (alert: Alert): ComparedAlert => compared(alert, marksOf.get(alert.series) ?? []);
  const [ours, theirs] = [before.map(toCompared), after.map(toCompared)];
  const theirsOf = Map.groupBy(theirs, ({ series }) => series);
  const candidates = ours
    .flatMap((one) => (theirsOf.get(one.series) ?? []).map((other) => ({ before: one, after: other })))
    .map((pair) => ({ pair, sharedMs: sharedMs(pair.before, pair.after) }))
    .filter((candidate) => candidate.sharedMs > 0)
    .sort((a, b) => b.sharedMs - a.sharedMs);
  const taken = new Set<ComparedAlert>();
  const pairs: Pair[] = [];
  for (const { pair } of candidates) {
    if (taken.has(pair.before) || taken.has(pair.after)) continue;
    taken.add(pair.before).add(pair.after);
    pairs.push(pair);
  }
  pairs.sort((a, b) => a.before.fromMs - b.before.fromMs);
  return {
    gained: theirs.filter((alert) => !taken.has(alert)).sort((a, b) => a.fromMs - b.fromMs),
    lost: ours.filter((alert) => !taken.has(alert)).sort((a, b) => a.fromMs - b.fromMs),
    moved: pairs.filter(isMoved),
    same: pairs.filter((pair) => !isMoved(pair)),
  };
}

/** Stretches of labelled rows; of a gap between two, nobody said that the event was over. */
export function marksOf(
  series: string,
  { timesMs, labels, stepMs }: { timesMs: readonly number[]; labels: readonly boolean[]; stepMs: number },
): Mark[] {
  const marks: Mark[] = [];
  for (const [row, timeMs] of timesMs.entries()) {
    if (!labels[row]) continue;
    const before = row > 0 && labels[row - 1] ? marks.pop() : undefined;
    marks.push({ series, fromMs: before?.fromMs ?? timeMs, toMs: timeMs + stepMs });
  }
  return marks;
}

/** How many of the marks an alert overlaps. */
export function marksFound(alerts: readonly Alert[], marks: readonly Mark[]): number {
  const found = Map.groupBy(
    alerts.map((alert) => compared(alert, [])),
    ({ series }) => series,
  );
  return marks.filter((mark) => (found.get(mark.series) ?? []).some((alert) => sharedMs(alert, mark) > 0)).length;
}

function compared(alert: Alert, marks: readonly Mark[]): ComparedAlert {
  const { series, sinceMs, resolvedMs, severity, worstObserved, worstExpected } = alert;
  const span = { series, fromMs: sinceMs, toMs: resolvedMs };
  const confirmed = marks.some((mark) => sharedMs(span, mark) > 0);
  return { ...span, level: severity, worstObserved, worstExpected, confirmed };
}

function sharedMs(one: Mark, other: Mark): number {
  const endMs = Math.min(one.toMs ?? Number.MAX_SAFE_INTEGER, other.toMs ?? Number.MAX_SAFE_INTEGER);
  return endMs - Math.max(one.fromMs, other.fromMs);
}

function isMoved({ before, after }: Pair): boolean {
  return before.fromMs !== after.fromMs || before.toMs !== after.toMs || before.level !== after.level;
}

/**
 * Asks for each window once and remembers what came, a failure too, so that two replays see the very same rows. For one
 * sampler.
 * @throws Problems from `run`, which no replay takes for a failed slot, if there are more rows than can be kept
 */
export function readOnce(runner: Pick<SamplerRunner, "run">): Pick<SamplerRunner, "run"> {
  const known = new Map<string, ReturnType<SamplerRunner["run"]>>();
  let kept = 0;
  return {
    run: async (sampler, window: TimeWindow, signal) => {
      const key = `${window.fromMs} ${window.toMs}`;
      const before = known.get(key);
      if (before !== undefined) return before;
      const reading = runner.run(sampler, window, signal);
      known.set(key, reading);
      const result = await reading;
      kept += result.rows.length;
      if (kept > rowsKeptMax) {
        throw new Problems([
          new Problem(`more than ${rowsKeptMax} rows to compare by`, { fix: "give a shorter time" }),
        ]);
      }
      return result;
    },
  };
}
