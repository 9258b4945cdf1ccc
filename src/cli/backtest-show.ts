/** What a backtest found, for people and for programs. */
import type { Replay } from "../backtest.ts";
import { type Said, type Week, weeksOf } from "../backtest-weeks.ts";
import { Problem } from "../core/problem.ts";
import { dayMs, formatDuration, formatTimeUtc } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { alertView, incidentView } from "../show/console/views.ts";
import { numberText, print, printJson, table, timeText } from "./output.ts";

export const listedMax = 50;
const failedListedMax = 5;

export function show(result: Replay, fromMs: number, toMs: number): void {
  const { slots, failed, verdicts, incidents, messages } = result;
  const lengthMs = toMs - fromMs;
  const levels = Object.entries(verdicts).map(([level, count]) => `${count} ${level}`);
  print(`${counted(slots, "slot")} in ${formatDuration(lengthMs)}, ${failed.length} failed`);
  print(`verdicts: ${levels.join(", ")}`);
  printFailed(failed);
  // Of a few hours a week cannot be told.
  const perWeek = (count: number) =>
    lengthMs < dayMs ? "" : ` (${((count * 7 * dayMs) / lengthMs).toFixed(1)} a week)`;
  print("", `${counted(incidents.length, "incident")}${perWeek(incidents.length)}`);
  if (incidents.length > listedMax) print(`  the latest ${listedMax}:`);
  for (const { incident, alerts } of incidents.slice(-listedMax)) {
    const end =
      incident.resolvedMs === null ? "still open" : `for ${formatDuration(incident.resolvedMs - incident.openedMs)}`;
    print(`  ${timeText(incident.openedMs)}  ${incident.severity}  ${incident.title}, ${end}`);
    for (const { series, labels, sinceMs, worstObserved, worstExpected } of alerts) {
      const worst = `at worst ${numberText(worstObserved)} instead of ${numberText(worstExpected)}`;
      print(`      ${series} ${labels.direction ?? ""} since ${timeText(sinceMs)}: ${worst}`);
    }
  }
  print("", `${counted(messages.length, "message")}${perWeek(messages.length)}`);
  const byPerson = Map.groupBy(messages, ({ recipientName, notifier }) => `${recipientName}\u0000${notifier}`);
  const rows = [...byPerson].sort().map(([key, list]) => [...key.split("\u0000"), list.length]);
  if (rows.length > 0) print(...table(["who", "by", "messages"], rows).map((line) => `  ${line}`));
  print("", ...weekLines(weeksOf(saidBy(result), fromMs, toMs)));
}

/** A line a week, with a column for each channel and severity that there was. */
function weekLines(weeks: readonly Week[]): string[] {
  const channelOf = ({ notifier, severity }: Week["channels"][number]) => `${notifier}, ${severity}`;
  const channels = [...new Set(weeks.flatMap((week) => week.channels.map(channelOf)))].sort();
  const rows = weeks.map((week) => {
    const by = new Map(week.channels.map((channel) => [channelOf(channel), channel.messages]));
    const { critical, warning } = week.incidents;
    const counts = [critical + warning, critical, warning, week.messages, week.people];
    return [timeText(week.fromMs), ...counts, ...channels.map((channel) => by.get(channel) ?? 0)];
  });
  const header = ["week from", "incidents", "critical", "warning", "messages", "people", ...channels];
  return ["by week", ...table(header, rows).map((line) => `  ${line}`)];
}

export function saidBy({ incidents, messages }: Pick<Replay, "incidents"> & Pick<Said, "messages">): Said {
  return { incidents: incidents.map(({ incident }) => incident), messages };
}

export function weekView({ fromMs, toMs, ...rest }: Week) {
  return { from: formatTimeUtc(fromMs), to: formatTimeUtc(toMs), ...rest };
}

export function showJson({ slots, failed, verdicts, incidents, messages }: Replay, fromMs: number, toMs: number): void {
  printJson({
    from: formatTimeUtc(fromMs),
    to: formatTimeUtc(toMs),
    slots,
    failed: failed.map(({ startMs, ...rest }) => ({ start: formatTimeUtc(startMs), ...rest })),
    verdicts,
    incidents: incidents.map(({ incident, alerts }) => ({ ...incidentView(incident), alerts: alerts.map(alertView) })),
    messages: messages.map(({ atMs, ...rest }) => ({ at: formatTimeUtc(atMs), ...rest })),
    weeks: weeksOf(saidBy({ incidents, messages }), fromMs, toMs).map(weekView),
  });
}

/** Those whose source was asked first: what was not asked only says so. */
export function printFailed(failed: Replay["failed"]): void {
  const listed = [...failed.filter(({ asked }) => asked), ...failed.filter(({ asked }) => !asked)];
  for (const { sampler, startMs, error } of listed.slice(0, failedListedMax))
    print(`  ${timeText(startMs)}  ${sampler}: ${error}`);
  if (failed.length > failedListedMax) print(`  and ${failed.length - failedListedMax} more`);
}

/** @throws Problem if no slot of some sampler has an answer: that nothing was wrong then is not known */
export function checkAnswered({ unanswered }: Pick<Replay, "unanswered">): void {
  const [first, ...more] = unanswered;
  if (first === undefined) return;
  const { message, code, where, fix } = first.failure;
  const others = more.length === 0 ? "" : ` (and all of ${more.map(({ sampler }) => sampler).join(", ")})`;
  const what = `all ${counted(first.slots, "slot")} of ${first.sampler} failed${others}: ${message}`;
  throw new Problem(what, { code, where, fix });
}
