import type { ShelfEntry } from "../../core/ports.ts";
import { formatTimeUtc } from "../../core/time.ts";
import type { CommonOptions } from "../context.ts";
import { counted, print, printJson, table, timeText } from "../output.ts";
import { checkTarget, openCopies } from "./open.ts";

type Options = CommonOptions & { readonly target?: string; readonly limit: number };

/** Characters of a line, and of a reason, that the table shows. */
const lineCharsMax = 80;
const reasonCharsMax = 100;

export async function showShelf(options: Options): Promise<void> {
  const { target, limit } = options;
  const { desk, mirror } = await openCopies(options);
  await using _ = desk;
  checkTarget(desk.settings, target);
  const entries = mirror.shelf({ target, limit });
  const shelves = mirror.status().replicas.filter(({ name }) => target === undefined || name === target);
  const total = shelves.reduce((sum, { shelf }) => sum + shelf, 0);
  if (options.json) return printJson({ items: entries.map(entryView), total });
  if (total === 0) return print("nothing was refused");
  const rows = entries.map((entry) => [
    entry.target,
    timeText(entry.firstMs),
    timeText(entry.lastMs),
    entry.count,
    cut(`${entry.expired ? "too old: " : ""}${entry.reason}`, reasonCharsMax),
    cut(entry.line, lineCharsMax),
  ]);
  print(...table(["copy", "first", "last", "times", "reason", "point"], rows));
  if (total > entries.length) print(`${entries.length} of ${counted(total, "point")}: --limit shows more`);
}

/** As the API says it, with the whole line: whoever reads it here has the file itself. */
function entryView({ firstMs, lastMs, ...entry }: ShelfEntry) {
  return { ...entry, first: formatTimeUtc(firstMs), last: formatTimeUtc(lastMs) };
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 3)}...`;
}
