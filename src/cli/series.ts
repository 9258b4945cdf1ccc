import type { Command } from "commander";
import type { Desk } from "../app.ts";
import { formatSeries, matchesAll, parseSelector, type Selector } from "../core/labels.ts";
import type { Series } from "../core/ports.ts";
import { formatTimeUtc, hourMs, parseTimeMs } from "../core/time.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
import { numberText, print, printJson, table } from "./output.ts";

type Options = CommonOptions & {
  readonly from?: string;
  readonly to?: string;
  readonly verdicts?: boolean;
  readonly csv?: boolean;
};

export function seriesCommand(program: Command): void {
  const command = program
    .command("series")
    .description("lists series, or prints the points or verdicts of those selected")
    .argument("[selector]", 'measurement{tag="x"}.field; tags and field may be left out')
    .option("--from <time>", "ISO 8601 with a zone, or now-2h; default: an hour before --to")
    .option("--to <time>", "default: now")
    .option("--verdicts", "what judging said instead of the points")
    .option("--csv", "timestamp,series,value instead of a table")
    .action(series);
  commonOptions(command);
}

async function series(selector: string | undefined, options: Options): Promise<void> {
  await using desk = await openDesk(options);
  if (selector === undefined) return list(desk, options);
  const nowMs = desk.clock.nowMs();
  const toMs = parseTimeMs(options.to ?? "now", nowMs);
  const fromMs = options.from === undefined ? toMs - hourMs : parseTimeMs(options.from, nowMs);
  const found = await readSelected(desk, parseSelector(selector), { fromMs, toMs }, options.verdicts ?? false);
  const rows = found.flatMap((one) =>
    one.timesMs.map((timeMs, index) => {
      return { timeMs, series: formatSeries(one), value: one.values[index] as Series["values"][number] };
    }),
  );
  rows.sort((a, b) => a.timeMs - b.timeMs || (a.series < b.series ? -1 : a.series > b.series ? 1 : 0));
  if (options.json) {
    printJson(rows.map(({ timeMs, series, value }) => ({ time: formatTimeUtc(timeMs), series, value })));
  } else if (options.csv) {
    print(
      "timestamp,series,value",
      ...rows.map((row) => `${row.timeMs / 1000},${quoted(row.series)},${quoted(row.value)}`),
    );
  } else if (rows.length === 0) {
    print(`nothing from ${formatTimeUtc(fromMs)} to ${formatTimeUtc(toMs)}`);
  } else {
    const shown = rows.map(({ timeMs, series, value }) => {
      return [formatTimeUtc(timeMs), series, typeof value === "number" ? numberText(value) : String(value)];
    });
    print(...table(["time", "series", "value"], shown));
  }
}

async function list(desk: Desk, options: Options): Promise<void> {
  const known = (await desk.store.list({})).filter(({ measurement }) => !measurement.endsWith("_verdict"));
  const rows = known
    .map((one) => ({ series: formatSeries(one), last: formatTimeUtc(one.lastMs) }))
    .sort((a, b) => (a.series < b.series ? -1 : 1));
  if (options.json) printJson(rows);
  else if (rows.length === 0) print("no series yet");
  else
    print(
      ...table(
        ["series", "last point"],
        rows.map(({ series, last }) => [series, last]),
      ),
    );
}

/** Verdict points carry the field as a tag; that is where a selector's field then applies. */
async function readSelected(
  desk: Desk,
  { measurement, tags, field }: Selector,
  window: { fromMs: number; toMs: number },
  verdicts: boolean,
): Promise<readonly Series[]> {
  const name = verdicts ? `${measurement}_verdict` : measurement;
  const known = (await desk.store.list({ measurement: name })).filter((one) => matchesAll(tags, one.tags));
  const wanted = verdicts ? known : known.filter((one) => field === null || one.field === field);
  const fields = [...new Set(wanted.map((one) => one.field))].sort();
  if (fields.length === 0) return [];
  const found = await desk.store.read({ measurement: name, fields, tags, windows: [window] });
  return verdicts && field !== null ? found.filter((one) => one.tags.field === field) : found;
}

function quoted(value: unknown): string {
  return typeof value === "number" ? String(value) : `"${String(value).replaceAll('"', '""')}"`;
}
