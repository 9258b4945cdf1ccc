/** The iCalendar files that a calendar names: what their events add to it, and every fault on the way. */
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, statSync } from "node:fs";
import { join, posix, relative } from "node:path";
import { compilePattern } from "../core/labels.ts";
import { messageOf, type Problem } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";
import { isZone } from "../core/zone.ts";
import { firstYear, yearsAhead } from "./country.ts";
import { fileBytesMax, tooLarge } from "./document.ts";
import { fault } from "./fault.ts";
import { stampOf } from "./files.ts";
import { type IcsResult, type Occurrence, readIcs } from "./ics.ts";
import { type EventKind, leftOut, titled, wholeDays } from "./icsdays.ts";
import { icsFaultsMax } from "./icsevents.ts";
import { icsEntries } from "./icskey.ts";
import { staysInside } from "./scalars.ts";

/** Whoever reads definitions waits for it. */
const timeMaxMs = secondMs;

/** A file that a definition names beside its own. `stamp` differs once it was changed, and is empty without a file. */
export type Include = { readonly file: string; readonly stamp: string; readonly digest: string };

/** An event with where it stands. */
type IcsEventAt = Occurrence & { readonly place: string };
export type IcsCampaign = IcsEventAt & { readonly uplift: number | { readonly min: number; readonly max: number } };

export type IcsReading = {
  /** `2026-12-25` to its event. */
  readonly holidays: ReadonlyMap<string, IcsEventAt>;
  readonly workdays: ReadonlyMap<string, IcsEventAt>;
  readonly campaigns: readonly IcsCampaign[];
  /** Files that were looked for, inside the config folder. */
  readonly includes: readonly Include[];
  /** At lines of the files. */
  readonly problems: readonly Problem[];
  /** At steps of the calendar's own mapping, with the text of the fault. */
  readonly faults: readonly [(string | number)[], string][];
};

export type IcsContext = {
  /** The config folder. */
  readonly dir: string;
  /** Of the calendar. */
  readonly zone: string;
  readonly nowMs: number;
};

/**
 * @param value what stands at the key `ics`; what its schema refuses is passed over
 * @param from the file that it stands in, from the config folder on
 */
export function readIcsFiles(value: unknown, from: string, context: IcsContext): IcsReading {
  const reading = new Reading(from, context);
  // A zone that there is not is told where it stands.
  if (isZone(context.zone)) for (const { steps, written } of icsEntries(value)) reading.add(steps, written);
  return reading;
}

type Entry = ReturnType<typeof icsEntries>[number]["written"];

class Reading implements IcsReading {
  readonly holidays = new Map<string, IcsEventAt>();
  readonly workdays = new Map<string, IcsEventAt>();
  readonly campaigns: IcsCampaign[] = [];
  readonly includes: Include[] = [];
  readonly problems: Problem[] = [];
  readonly faults: [(string | number)[], string][] = [];
  readonly #from: string;
  readonly #context: IcsContext;
  /** A file may be named twice, for two kinds of its events. */
  readonly #known = new Map<string, IcsResult | string>();

  constructor(from: string, context: IcsContext) {
    this.#from = from;
    this.#context = context;
  }

  add(steps: (string | number)[], { file: path, as, titles, uplift }: Entry): void {
    const file = posix.isAbsolute(path) ? path : posix.join(posix.dirname(this.#from), path);
    const result = this.#known.get(file) ?? this.#read(file);
    this.#known.set(file, result);
    if (typeof result === "string") {
      this.faults.push([steps, result]);
      return;
    }
    const chosen = titled(result.occurrences, titles === undefined ? null : compilePattern(titles));
    const events = chosen.map((event) => ({ ...event, place: `${file}:${event.line}:1` }));
    const found = uplift === undefined ? this.#days(events, as, file) : events.length;
    if (uplift !== undefined) this.campaigns.push(...events.map((event) => ({ ...event, uplift })));
    if (found > 0) return;
    const fix = "look at titles, and at what the file holds";
    this.faults.push([steps, fault("CAL-015", `no ${as} found in it`, fix)]);
  }

  /** @returns how many days there are */
  #days(events: readonly IcsEventAt[], as: EventKind, file: string): number {
    const { days, left } = wholeDays(events);
    const [first, ...more] = left;
    if (first !== undefined) this.problems.push(leftOut(file, [first, ...more], as));
    const known = as === "workdays" ? this.workdays : this.holidays;
    for (const [day, event] of days) if (!known.has(day)) known.set(day, event);
    return days.size;
  }

  /** @returns the text of the fault where it cannot be used */
  #read(file: string): IcsResult | string {
    const bytes = this.#bytes(file);
    if (typeof bytes === "string") return bytes;
    const { zone, nowMs } = this.#context;
    const lastYear = new Date(nowMs).getUTCFullYear() + yearsAhead;
    const span = { fromWallMs: Date.UTC(firstYear, 0, 1), toWallMs: Date.UTC(lastYear + 1, 0, 1) };
    const result = readIcs(file, bytes, { zone, ...span, timeMaxMs });
    const { error: errors = [], warning: warnings = [] } = Object.groupBy(result.problems, (each) => each.severity);
    this.problems.push(...[...errors, ...warnings].slice(0, icsFaultsMax));
    const [first] = errors;
    return first === undefined ? result : atFault(first.where ?? file);
  }

  #bytes(file: string): Uint8Array | string {
    const { dir } = this.#context;
    if (!file.startsWith("rules/")) return outside;
    const path = join(dir, file);
    let [stamp, digest] = ["", ""];
    try {
      // Before its content: what changes meanwhile is seen by the next look.
      const stats = statSync(path, { bigint: true });
      stamp = stampOf(stats);
      if (!staysInside(relative(realpathSync(dir), realpathSync(path)))) return outside;
      if (!stats.isFile()) return fault("CAL-016", "not a file", "name the .ics file itself");
      if (stats.size > fileBytesMax) {
        this.problems.push(tooLarge(file, Number(stats.size)));
        return atFault(file);
      }
      const bytes = readFileSync(path);
      digest = createHash("sha256").update(bytes).digest("hex");
      return bytes;
    } catch (thrown) {
      return unreadable(file, thrown);
    } finally {
      this.includes.push({ file, stamp, digest });
    }
  }
}

const outside = fault("CFG-015", "outside the folder rules/", "copy the file into it, and name the copy");

function atFault(where: string): string {
  return fault("CAL-016", `at fault itself, see ${where}`, "mend that file first");
}

function unreadable(file: string, thrown: unknown): string {
  if ((thrown as NodeJS.ErrnoException).code === "ENOENT") {
    return fault("CAL-016", `no such file: ${file}`, "check the path, which begins in the folder of this file");
  }
  return fault("CAL-016", `cannot be read: ${messageOf(thrown).split(",")[0]}`, "check the file and its owner");
}
