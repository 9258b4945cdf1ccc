import { join } from "node:path";
import type { ShelfEntry } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { formatTimeUtc, systemClock } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import type { Settings } from "../../settings.ts";
import { bucketsOf } from "../../store/batch.ts";
import { Spool } from "../../store/spool.ts";
import { type CommonOptions, openLog, settingsOf } from "../context.ts";
import { print, printJson, table, timeText } from "../output.ts";
import { checkCopies, checkTarget, openCopies } from "./open.ts";

export type ShelfOptions = CommonOptions & {
  readonly target?: string;
  readonly limit: number;
  readonly giveUp?: boolean;
};

/** Characters of a line, and of a reason, that the table shows. */
const lineCharsMax = 80;
const reasonCharsMax = 100;

export async function showShelf(options: ShelfOptions): Promise<void> {
  const { target, limit } = options;
  const { desk, mirror } = await openCopies(options);
  await using _ = desk;
  checkTarget(desk.settings, target);
  const all = mirror.shelf({ target, limit: Number.MAX_SAFE_INTEGER });
  const entries = all.slice(0, limit);
  const total = all.length;
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

/** Asks no server: what is given up is only struck off the accounts, whatever the copies do. */
export function giveUpShelf(options: ShelfOptions): void {
  const { settings } = settingsOf(options);
  checkCopies(settings);
  checkTarget(settings, options.target);
  const spool = openSpool(settings);
  try {
    const entries = spool.shelf({ target: options.target, limit: Number.MAX_SAFE_INTEGER });
    const givenUp = spool.giveUp(entries);
    if (options.json) printJson({ givenUp });
    else print(`${counted(givenUp, "point")} given up`);
  } finally {
    spool.close();
  }
}

/** @throws Problem SPL-001, retryable, while a process carries */
function openSpool(settings: Settings): Spool {
  try {
    return new Spool({
      file: join(settings.dataDir, "spool.db"),
      targets: settings.influx.map(({ name }) => name),
      buckets: bucketsOf({ keepRawMs: settings.keepRawMs, keepMs: settings.keepPointsMs }).map(({ name }) => name),
      bytesMax: settings.spoolBytesMax,
      clock: systemClock,
      log: openLog("error"),
    });
  } catch (thrown) {
    if (!(thrown instanceof Problem) || thrown.code !== "SPL-001") throw thrown;
    throw new Problem(`points cannot be given up while the spool is ${thrown.message}`, {
      code: thrown.code,
      where: thrown.where,
      fix: "stop that process first; or mend what is wrong, and run bellwether replicas requeue beside it",
      retryable: true,
      cause: thrown,
    });
  }
}

/** As the API says it, with the whole line: whoever reads it here has the file itself. */
function entryView({ firstMs, lastMs, ...entry }: ShelfEntry) {
  return { ...entry, first: formatTimeUtc(firstMs), last: formatTimeUtc(lastMs) };
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 3)}...`;
}
