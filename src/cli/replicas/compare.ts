import type { TimeWindow } from "../../core/model.ts";
import type { ComparisonFound } from "../../core/ports.ts";
import { deadline, formatDuration, hourMs, minuteMs } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import { comparisonView } from "../../show/console/views.ts";
import type { Mirror } from "../../store/mirror.ts";
import { Exit, exitCodes } from "../exit.ts";
import { print, printJson, table, timeText } from "../output.ts";
import { openCopies, type SpanOptions, spanOf } from "./open.ts";

/** Windows that are listed, and of these, those whose values are counted copy by copy. */
const shownMax = 500;
const countedMax = 50;
const windowMs = 5 * minuteMs;

export async function compareReplicas(options: SpanOptions): Promise<void> {
  const { desk, mirror } = await openCopies(options);
  await using _ = desk;
  const { deep = false } = options;
  const window = spanOf(options, desk.clock.nowMs());
  const signal = deadline(hourMs);
  const found = await mirror.compare(window, deep, signal);
  if (options.json) printJson(comparisonView(window, deep, found));
  else {
    if (found.differing.length > 0) print(...(await differingTable(mirror, found, signal)), "");
    print(`${sentenceOf(window, found)}${toComeText(mirror)}`);
  }
  if (found.differing.length > 0) throw new Exit(exitCodes.failed);
}

function sentenceOf(window: TimeWindow, { windows, differing }: ComparisonFound): string {
  const span = `from ${timeText(window.fromMs)} to ${timeText(window.toMs)}`;
  const all = `${counted(windows, "window")} of five minutes ${span}`;
  if (differing.length === 0) return `the copies are equal in ${all}`;
  return `the copies differ in ${differing.length} of ${all}: bellwether replicas repair writes what is lacking`;
}

/** What is on its way makes windows differ that will not. */
function toComeText(mirror: Mirror): string {
  const lacking = mirror.status().replicas.filter(({ lagMs }) => lagMs > 0);
  if (lacking.length === 0) return "";
  return `; ${lacking.map(({ name, lagMs }) => `${name} is behind by ${formatDuration(lagMs)}`).join(", ")}`;
}

/** How many values each copy has in the windows that differ; equally many are different ones. */
async function differingTable(mirror: Mirror, { differing }: ComparisonFound, signal: AbortSignal): Promise<string[]> {
  const names = mirror.status().replicas.map(({ name }) => name);
  const shown = differing.slice(0, shownMax);
  const rows: (string | number | null)[][] = [];
  for (const [index, { measurement, startMs }] of shown.entries()) {
    const window = { fromMs: startMs, toMs: startMs + windowMs };
    const copies = index < countedMax ? await mirror.summaries(measurement, window, windowMs, signal) : [];
    const values = names.map((name) => {
      const copy = copies.find((each) => each.name === name);
      if (copy === undefined) return null;
      return copy.pieces.flatMap(({ fields }) => fields).reduce((sum, { count }) => sum + count, 0);
    });
    rows.push([timeText(startMs), measurement, ...values]);
  }
  const lines = table(["window", "measurement", ...names.map((name) => `values in ${name}`)], rows);
  const more = differing.length - shown.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}
