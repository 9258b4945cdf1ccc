/** Two backtests side by side, for people and for programs. */
import type { Replay } from "../backtest.ts";
import {
  type ComparedAlert,
  type Comparison,
  compareAlerts,
  type Mark,
  marksFound,
  type Pair,
} from "../backtest-compare.ts";
import type { Heard } from "../backtest-series.ts";
import { weeksOf } from "../backtest-weeks.ts";
import { formatTimeUtc } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { listedMax, printFailed, saidBy, weekView } from "./backtest-show.ts";
import { numberText, print, printJson, table, timeText } from "./output.ts";

/** What came of one side. */
export type Side = Heard & Pick<Replay, "failed">;

export type Compared = {
  /** The first line, for people. */
  readonly title: string;
  /** What was compared, for programs. */
  readonly facts: object;
  /** The other version. */
  readonly path: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly now: Side;
  readonly other: Side;
  readonly marks: readonly Mark[];
  /** Whether people read how many alerts of each series differ. */
  readonly bySeries: boolean;
};

export function showCompared(compared: Compared, json: boolean): void {
  if (json) showJson(compared);
  else show(compared);
}

const alertsOf = ({ incidents }: Side) => incidents.flatMap(({ alerts }) => alerts);
const confirmed = (alerts: readonly { confirmed: boolean }[]) => alerts.filter((alert) => alert.confirmed).length;
/** Of a pair, what either side overlaps. */
const pairMark = ({ before, after }: Pair) => ({ confirmed: before.confirmed || after.confirmed });

function show({ title, now, other, marks, bySeries }: Compared): void {
  print(title);
  printFailed(now.failed.length >= other.failed.length ? now.failed : other.failed);
  const { normal, warning, critical, unknown } = { ...now.verdicts };
  const verdicts = { normal, warning, critical, unknown };
  const rows = [
    ["slots", now.slots, other.slots],
    ["slots failed", now.failed.length, other.failed.length],
    ...Object.keys(verdicts).map((level) => {
      const key = level as keyof typeof verdicts;
      return [`verdicts ${level}`, now.verdicts[key], other.verdicts[key]];
    }),
    ["incidents", now.incidents.length, other.incidents.length],
    ["alerts", alertsOf(now).length, alertsOf(other).length],
    [`of ${marks.length} confirmed`, marksFound(alertsOf(now), marks), marksFound(alertsOf(other), marks)],
    ["messages", now.messages.length, other.messages.length],
    ["people", peopleOf(now), peopleOf(other)],
  ];
  print(...table(["", "now", "other"], rows).map((line) => `  ${line}`));
  const comparison = compareAlerts(alertsOf(now), alertsOf(other), marks);
  print("", summaryOf(comparison));
  if (bySeries) print(...seriesLines(comparison));
  const { gained, lost, moved } = comparison;
  const lines = [
    ...gained.map((alert) => alertCells("gained", alert)),
    ...lost.map((alert) => alertCells("lost", alert)),
    ...moved.flatMap(({ before, after }) => [alertCells("moved", before), alertCells("  to", after)]),
  ];
  if (lines.length === 0) return;
  print(...table(["what", "begin", "end", "level", "at worst", "confirmed", "series"], lines.slice(0, 2 * listedMax)));
  if (lines.length > 2 * listedMax) print(`and ${counted(lines.length - 2 * listedMax, "line")} more; --json has all`);
}

function summaryOf({ gained, lost, moved, same }: Comparison): string {
  return [
    `gained ${gained.length} (${confirmed(gained)} confirmed)`,
    `lost ${lost.length} (${confirmed(lost)} confirmed)`,
    `moved ${moved.length} (${confirmed(moved.map(pairMark))} confirmed)`,
    `same ${same.length} (${confirmed(same.map(pairMark))} confirmed)`,
  ].join(", ");
}

/** Of each series of which something differs, how much does. */
function seriesLines({ gained, lost, moved, same }: Comparison): string[] {
  const names = new Set([...gained, ...lost, ...moved.map(({ before }) => before)].map(({ series }) => series));
  const of = (alerts: readonly ComparedAlert[], name: string) => alerts.filter(({ series }) => series === name).length;
  const firsts = [moved, same].map((pairs) => pairs.map(({ before }) => before));
  const rows = [...names].sort().map((name) => [name, ...[gained, lost, ...firsts].map((alerts) => of(alerts, name))]);
  return rows.length === 0 ? [] : ["", ...table(["series", "gained", "lost", "moved", "same"], rows), ""];
}

function alertCells(what: string, alert: ComparedAlert): string[] {
  const { series, fromMs, toMs, level, worstObserved, worstExpected } = alert;
  const worst = `${numberText(worstObserved)} instead of ${numberText(worstExpected)}`;
  const end = toMs === null ? "still open" : timeText(toMs);
  return [what, timeText(fromMs), end, level, worst, alert.confirmed ? "yes" : "no", series];
}

function showJson({ facts, path, fromMs, toMs, now, other, marks }: Compared): void {
  const { gained, lost, moved, same } = compareAlerts(alertsOf(now), alertsOf(other), marks);
  const pairView = ({ before, after }: Pair) => ({ before: comparedView(before), after: comparedView(after) });
  const side = (result: Side) => ({
    slots: result.slots,
    failed: result.failed.map(({ startMs, ...rest }) => ({ start: formatTimeUtc(startMs), ...rest })),
    verdicts: result.verdicts,
    incidents: result.incidents.length,
    alerts: alertsOf(result).length,
    confirmed: marksFound(alertsOf(result), marks),
    messages: result.messages.length,
    people: peopleOf(result),
    weeks: weeksOf(saidBy(result), fromMs, toMs).map(weekView),
  });
  printJson({
    from: formatTimeUtc(fromMs),
    to: formatTimeUtc(toMs),
    ...facts,
    compared: path,
    confirmed: marks.length,
    now: side(now),
    other: side(other),
    gained: gained.map(comparedView),
    lost: lost.map(comparedView),
    moved: moved.map(pairView),
    same: same.map(pairView),
  });
}

function comparedView({ fromMs, toMs, ...rest }: ComparedAlert) {
  return { begin: formatTimeUtc(fromMs), end: toMs === null ? null : formatTimeUtc(toMs), ...rest };
}

function peopleOf({ messages }: Side): number {
  return new Set(messages.map(({ recipientName }) => recipientName)).size;
}
