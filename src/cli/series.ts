import type { Command } from "commander";
import { formatSeries, matchesAll, parseSelector, type Selector } from "../core/labels.ts";
import { type FieldValue, levelNumbers, type SeriesId, type TimeWindow } from "../core/model.ts";
import { formatTimeUtc, hourMs } from "../core/time.ts";
import type { Desk } from "../desk.ts";
import { type CommonOptions, checkOrder, commonOptions, openDesk, timeOf, typed, usage } from "./context.ts";
import { numberText, print, printJson, table } from "./output.ts";

type Options = CommonOptions & {
  readonly from?: string;
  readonly to?: string;
  readonly verdicts?: boolean;
  readonly csv?: boolean;
};

/** What one series was at one time: one value, or everything that judging said. */
type Line = { readonly timeMs: number; readonly series: string; readonly cells: Readonly<Record<string, FieldValue>> };

/** `stale`: a copy that is behind was read, so the newest lines may be missing. */
type Found = { readonly lines: Line[]; readonly stale: boolean };

const verdictFields = ["level", "observed", "expected", "lower", "upper", "forecast", "evidence", "reason"];
const levels = new Map<FieldValue, string>(Object.entries(levelNumbers).map(([level, number]) => [number, level]));

export function seriesCommand(program: Command): void {
  const command = program
    .command("series")
    .description("lists series, or prints the points or verdicts of those selected")
    .argument("[selector]", 'measurement{tag="x"}.field; tags and field may be left out')
    .option("--from <time>", "ISO 8601 with a zone, or now-2h; default: an hour before --to")
    .option("--to <time>", "default: now")
    .option("--verdicts", "what judging said instead of the points")
    .option("--csv", "comma-separated, times in unix seconds, instead of a table")
    .action(series);
  commonOptions(command);
}

async function series(selector: string | undefined, options: Options): Promise<void> {
  const only = (["from", "to", "verdicts", "csv"] as const).find((name) => options[name] !== undefined);
  if (selector === undefined && only !== undefined) {
    throw usage(`--${only} needs a selector`, { fix: "name a measurement; bellwether series lists what there is" });
  }
  await using desk = await openDesk(options);
  if (selector === undefined) return list(desk, options);
  const nowMs = desk.clock.nowMs();
  const toMs = timeOf("--to", options.to ?? "now", nowMs);
  const fromMs = options.from === undefined ? toMs - hourMs : timeOf("--from", options.from, nowMs);
  checkOrder(fromMs, toMs, options.to === undefined);
  const wanted = typed("selector", () => parseSelector(selector));
  const window = { fromMs, toMs };
  const { lines, stale } = await (options.verdicts ? readVerdicts : readPoints)(desk, wanted, window);
  if (stale) process.stderr.write("one copy is behind: the newest points may be missing here\n");
  lines.sort((a, b) => a.timeMs - b.timeMs || (a.series < b.series ? -1 : a.series > b.series ? 1 : 0));
  const columns = options.verdicts ? verdictFields : ["value"];
  if (options.json) {
    const facts = (cells: Line["cells"]) => columns.map((column) => [column, cells[column] ?? null]);
    const shape = ({ timeMs, series, cells }: Line) => {
      return { time: formatTimeUtc(timeMs), series, ...Object.fromEntries(facts(cells)) };
    };
    printJson(lines.map(shape));
  } else if (options.csv) {
    const rows = lines.map(({ timeMs, series, cells }) =>
      [timeMs / 1000, quoted(series), ...columns.map((column) => quoted(cells[column]))].join(","),
    );
    print(["timestamp", "series", ...columns].join(","), ...rows);
  } else if (lines.length === 0) {
    print(`nothing of ${selector} from ${formatTimeUtc(fromMs)} to ${formatTimeUtc(toMs)}`);
  } else {
    const rows = lines.map(({ timeMs, series, cells }) => {
      return [formatTimeUtc(timeMs), series, ...columns.map((column) => shown(cells[column], column === "value"))];
    });
    print(...table(["time", "series", ...columns], rows));
  }
}

async function list(desk: Desk, options: Options): Promise<void> {
  const known = (await desk.store.list({})).filter(({ measurement }) => !measurement.endsWith("_verdict"));
  const rows = known
    .map((one) => ({ series: formatSeries(one), last: formatTimeUtc(one.lastMs) }))
    .sort((a, b) => (a.series < b.series ? -1 : 1));
  if (options.json) return printJson(rows);
  if (rows.length === 0) return print("no series yet");
  const cells = rows.map(({ series, last }) => [series, last]);
  print(...table(["series", "last point"], cells));
}

async function readPoints(desk: Desk, { measurement, tags, field }: Selector, window: TimeWindow): Promise<Found> {
  const known = (await desk.store.list({ measurement })).filter((one) => matchesAll(tags, one.tags));
  const fields = [...new Set(known.map((one) => one.field))].filter((name) => field === null || name === field);
  if (fields.length === 0) return { lines: [], stale: false };
  const { series, stale } = await desk.store.read({ measurement, fields, tags, windows: [window] });
  const lines = series.flatMap((one) =>
    one.timesMs.map((timeMs, index) => {
      return { timeMs, series: formatSeries(one), cells: { value: one.values[index] as FieldValue } };
    }),
  );
  return { lines, stale };
}

/** A verdict is a point of its own, which carries the field that it judges as a tag: one line each. */
async function readVerdicts(desk: Desk, { measurement, tags, field }: Selector, window: TimeWindow): Promise<Found> {
  const { series: found, stale } = await desk.store.read({
    measurement: `${measurement}_verdict`,
    fields: verdictFields,
    tags,
    windows: [window],
  });
  const lines = new Map<string, { timeMs: number; series: string; cells: Record<string, FieldValue> }>();
  for (const part of found) {
    const series = judgedSeries(measurement, part);
    if (field !== null && series.field !== field) continue;
    const name = formatSeries(series);
    for (const [index, timeMs] of part.timesMs.entries()) {
      const key = `${timeMs} ${name}`;
      const line = lines.get(key) ?? { timeMs, series: name, cells: {} };
      const value = part.values[index] as FieldValue;
      line.cells[part.field] = part.field === "level" ? (levels.get(value) ?? value) : value;
      lines.set(key, line);
    }
  }
  return { lines: [...lines.values()], stale };
}

function judgedSeries(measurement: string, { tags }: SeriesId): SeriesId {
  const { field = "", ...own } = tags;
  return { measurement, tags: own, field };
}

/** Values as they are stored, what was calculated in a few digits. */
function shown(value: FieldValue | undefined, exact: boolean): string | number | null {
  if (typeof value === "number") return exact ? value : Number(numberText(value));
  return value === undefined ? null : String(value);
}

function quoted(value: FieldValue | undefined): string {
  if (value === undefined) return "";
  return typeof value === "number" ? String(value) : `"${String(value).replaceAll('"', '""')}"`;
}
