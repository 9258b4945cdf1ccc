/** `backtest SAMPLER --compare OTHER.yaml`: the alerts gained and lost between two definitions. */
import { type Replay, type ReplayOptions, replay } from "../backtest.ts";
import {
  type ComparedAlert,
  type Comparison,
  compareAlerts,
  type Mark,
  marksFound,
  type Pair,
  readOnce,
} from "../backtest-compare.ts";
import { readOther } from "../backtest-other.ts";
import { weeksOf } from "../backtest-weeks.ts";
import type { Sampler } from "../core/definitions.ts";
import { formatDuration, formatTimeUtc } from "../core/time.ts";
import type { Desk, loadOptions } from "../desk.ts";
import { listedMax, printFailed, saidBy, weekView } from "./backtest-show.ts";
import { counted, numberText, print, printJson, table, timeText } from "./output.ts";
import { ShareLine } from "./progress.ts";

type Task = Pick<ReplayOptions, "fromMs" | "toMs" | "runner"> & {
  readonly desk: Desk;
  /** How definitions are read, the other version too. */
  readonly load: ReturnType<typeof loadOptions>;
  readonly sampler: Sampler;
  /** The other version: a file, or a config folder. */
  readonly path: string;
  readonly json: boolean;
};

/** Incidents that are looked at for what people said of them; the newest. */
const incidentsMax = 10_000;

export async function compareBacktests({ desk, load, sampler, path, fromMs, toMs, runner, json }: Task): Promise<void> {
  const { definitions, log } = desk;
  const other = await readOther(path, sampler, load);
  const marks = await confirmedIn(desk, sampler, fromMs, toMs);
  const progress = new ShareLine();
  const common = { fromMs, toMs, runner: readOnce(runner), log };
  const run = (samplers: readonly Sampler[], by: typeof definitions, done: number): Promise<Replay> => {
    const onProgress = (share: number) => progress.show((done + share) / 2);
    return replay({ ...common, samplers, definitions: by, onProgress });
  };
  try {
    const now = await run([sampler], definitions, 0);
    const then = await run([other.samplers.get(sampler.name) as Sampler], other, 1);
    progress.end();
    const found = { sampler, path, fromMs, toMs, now, then, marks };
    if (json) showJson(found);
    else show(found);
  } finally {
    progress.end();
  }
}

/** Alerts of incidents that somebody acknowledged: what people took on was worth telling. */
async function confirmedIn({ state }: Desk, sampler: Sampler, fromMs: number, toMs: number): Promise<Mark[]> {
  const incidents = await state.alerts.incidents({ limit: incidentsMax, beforeMs: toMs });
  const taken = incidents.filter(({ acknowledgedBy, resolvedMs }) => {
    return acknowledgedBy !== null && (resolvedMs === null || resolvedMs > fromMs);
  });
  const stories = await Promise.all(taken.map(({ id }) => state.alerts.incident(id)));
  const alerts = stories.flatMap((story) => story?.alerts ?? []).filter((alert) => alert.sampler === sampler.name);
  return alerts.map(({ series, sinceMs, resolvedMs }) => ({ series, fromMs: sinceMs, toMs: resolvedMs }));
}

type Found = Pick<Task, "sampler" | "path" | "fromMs" | "toMs"> & {
  readonly now: Replay;
  readonly then: Replay;
  readonly marks: readonly Mark[];
};

const alertsOf = ({ incidents }: Replay) => incidents.flatMap(({ alerts }) => alerts);
const confirmed = (alerts: readonly { confirmed: boolean }[]) => alerts.filter((alert) => alert.confirmed).length;
/** Of a pair, what either side overlaps. */
const pairMark = ({ before, after }: Pair) => ({ confirmed: before.confirmed || after.confirmed });

function show({ sampler, path, fromMs, toMs, now, then, marks }: Found): void {
  print(`${sampler.name} in ${formatDuration(toMs - fromMs)}, as it is now and by ${path}; its rows were read once`);
  printFailed(now.failed.length >= then.failed.length ? now.failed : then.failed);
  const { normal, warning, critical, unknown } = { ...now.verdicts };
  const verdicts = { normal, warning, critical, unknown };
  const rows = [
    ["slots", now.slots, then.slots],
    ["slots failed", now.failed.length, then.failed.length],
    ...Object.keys(verdicts).map((level) => {
      const key = level as keyof typeof verdicts;
      return [`verdicts ${level}`, now.verdicts[key], then.verdicts[key]];
    }),
    ["incidents", now.incidents.length, then.incidents.length],
    ["alerts", alertsOf(now).length, alertsOf(then).length],
    [`of ${marks.length} confirmed`, marksFound(alertsOf(now), marks), marksFound(alertsOf(then), marks)],
    ["messages", now.messages.length, then.messages.length],
    ["people", peopleOf(now), peopleOf(then)],
  ];
  print(...table(["", "now", "other"], rows).map((line) => `  ${line}`));
  const comparison = compareAlerts(alertsOf(now), alertsOf(then), marks);
  print("", summaryOf(comparison));
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

function alertCells(what: string, alert: ComparedAlert): string[] {
  const { series, fromMs, toMs, level, worstObserved, worstExpected } = alert;
  const worst = `${numberText(worstObserved)} instead of ${numberText(worstExpected)}`;
  const end = toMs === null ? "still open" : timeText(toMs);
  return [what, timeText(fromMs), end, level, worst, alert.confirmed ? "yes" : "no", series];
}

function showJson({ sampler, path, fromMs, toMs, now, then, marks }: Found): void {
  const { gained, lost, moved, same } = compareAlerts(alertsOf(now), alertsOf(then), marks);
  const pairView = ({ before, after }: Pair) => ({ before: comparedView(before), after: comparedView(after) });
  const side = (result: Replay) => ({
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
    sampler: sampler.name,
    compared: path,
    confirmed: marks.length,
    now: side(now),
    other: side(then),
    gained: gained.map(comparedView),
    lost: lost.map(comparedView),
    moved: moved.map(pairView),
    same: same.map(pairView),
  });
}

function comparedView({ fromMs, toMs, ...rest }: ComparedAlert) {
  return { begin: formatTimeUtc(fromMs), end: toMs === null ? null : formatTimeUtc(toMs), ...rest };
}

function peopleOf({ messages }: Replay): number {
  return new Set(messages.map(({ recipientName }) => recipientName)).size;
}
