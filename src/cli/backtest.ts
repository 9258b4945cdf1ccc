import { type Command, Option } from "commander";
import { type Replay, replay, storedRows } from "../backtest.ts";
import { dayMs, formatDuration, formatTimeUtc } from "../core/time.ts";
import { alertView, incidentView } from "../show/console/views.ts";
import { backtestFiles, type Kind } from "./backtest-csv.ts";
import { type CommonOptions, checkOrder, commonOptions, findSampler, openDesk, timeOf, usage } from "./context.ts";
import { counted, numberText, print, printJson, table, timeText } from "./output.ts";
import { ShareLine } from "./progress.ts";

type Options = CommonOptions & {
  readonly from?: string;
  readonly to: string;
  readonly stored?: boolean;
  readonly csv?: string;
  readonly out?: string;
  readonly kind: Kind;
};

const listedMax = 50;
const failedListedMax = 5;

export function backtestCommand(program: Command): void {
  const command = program
    .command("backtest")
    .description("the whole engine over the past: alerts, people, messages; or over a folder of CSV files")
    .argument("[sampler...]", "names of samplers")
    .option("--from <time>", "ISO 8601 with a zone, or now-7d")
    .option("--to <time>", "end of the time", "now")
    .option("--stored", "take the stored points instead of asking the source again")
    .option("--csv <dir>", "judge NAME.csv or NAME.csv.gz with timestamp,value (unix seconds) instead")
    .option("--out <dir>", "where NAME.csv with timestamp,anomaly,score goes")
    .addOption(new Option("--kind <kind>", "what the values are").choices(["count", "gauge", "auto"]).default("auto"))
    .action((samplers: readonly string[], options: Options) =>
      options.csv === undefined ? overSamplers(samplers, options) : overFiles(samplers, options, options.csv),
    );
  commonOptions(command);
}

async function overSamplers(names: readonly string[], options: Options): Promise<void> {
  if (names.length === 0 || options.from === undefined || options.out !== undefined) {
    const what = options.out === undefined ? "a backtest needs samplers and a time" : "--out goes with --csv";
    throw usage(what, { fix: "write backtest SAMPLER --from now-7d, or backtest --csv DIR --out DIR" });
  }
  await using desk = await openDesk(options);
  const samplers = [...new Set(names)].map((name) => findSampler(desk, name));
  const nowMs = desk.clock.nowMs();
  const fromMs = timeOf("--from", options.from, nowMs);
  const toMs = timeOf("--to", options.to, nowMs);
  checkOrder(fromMs, toMs);
  const runner = options.stored ? storedRows(desk.store) : desk.runner;
  const progress = new ShareLine();
  const onProgress = (share: number) => progress.show(share);
  const { definitions, log } = desk;
  const result = await replay({ samplers, definitions, fromMs, toMs, runner, log, onProgress }).finally(() =>
    progress.end(),
  );
  if (options.json) showJson(result, fromMs, toMs);
  else show(result, toMs - fromMs);
}

function show({ slots, failed, verdicts, incidents, messages }: Replay, lengthMs: number): void {
  const levels = Object.entries(verdicts).map(([level, count]) => `${count} ${level}`);
  print(`${counted(slots, "slot")} in ${formatDuration(lengthMs)}, ${failed.length} failed`);
  print(`verdicts: ${levels.join(", ")}`);
  for (const { sampler, startMs, error } of failed.slice(0, failedListedMax))
    print(`  ${timeText(startMs)}  ${sampler}: ${error}`);
  if (failed.length > failedListedMax) print(`  and ${failed.length - failedListedMax} more`);
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
}

function showJson({ slots, failed, verdicts, incidents, messages }: Replay, fromMs: number, toMs: number): void {
  printJson({
    from: formatTimeUtc(fromMs),
    to: formatTimeUtc(toMs),
    slots,
    failed: failed.map(({ startMs, ...rest }) => ({ start: formatTimeUtc(startMs), ...rest })),
    verdicts,
    incidents: incidents.map(({ incident, alerts }) => ({ ...incidentView(incident), alerts: alerts.map(alertView) })),
    messages: messages.map(({ atMs, ...rest }) => ({ at: formatTimeUtc(atMs), ...rest })),
  });
}

async function overFiles(samplers: readonly string[], { out, kind, json }: Options, dir: string): Promise<void> {
  if (out === undefined || samplers.length > 0) {
    throw usage("--csv takes no samplers, and needs --out", { fix: "write backtest --csv DIR --out DIR" });
  }
  await backtestFiles({ dir, out, kind, json: json ?? false });
}
