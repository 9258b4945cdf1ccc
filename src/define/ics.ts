/**
 * iCalendar (RFC 5545) to days and times by the wall clock, within bounds: a megabyte, 10,000 events and as many
 * repetitions, and never more work than a few seconds. Every fault has its line.
 */
import { createRequire } from "node:module";
import type { RRuleTemporal as RuleType } from "rrule-temporal";
import { Temporal } from "temporal-polyfill";
import { messageOf, Problem } from "../core/problem.ts";
import { dayMs, secondMs, stopwatch } from "../core/time.ts";
import { msToWall, wallToMs } from "../core/zone.ts";
import { fileBytesMax, tooLarge } from "./document.ts";
import { type IcsEvent, icsFaultsMax, lineProblem, lowered, type Moments, readEvents } from "./icsevents.ts";

/** As late as `country.ts` loads its own. */
const require = createRequire(import.meta.url);

const occurrencesMax = 10_000;
/** Repetitions that one rule is followed over, and days looked at to find them. */
const repetitionsMax = 50_000;
const defaultTimeMaxMs = 5 * secondMs;

/** Times read as if their digits were UTC, by the wall clock of the zone that was asked for. */
export type Occurrence = {
  readonly title: string;
  /** Line of its event. */
  readonly line: number;
  /** It lasts from here... */
  readonly fromWallMs: number;
  /** ...to here, more than 0 later. */
  readonly toWallMs: number;
  readonly allDay: boolean;
  /** Whether its event has a rule. */
  readonly repeats: boolean;
};

export type IcsOptions = {
  /** Zone that the answer is in, and that times without one are in. */
  readonly zone: string;
  /** Occurrences that touch `[fromWallMs, toWallMs)` are wanted. */
  readonly fromWallMs: number;
  readonly toWallMs: number;
  /** How long repetitions may be followed; the one at hand is followed to its end. Default 5 s. */
  readonly timeMaxMs?: number;
};

export type IcsResult = { readonly occurrences: readonly Occurrence[]; readonly problems: readonly Problem[] };

/** @param file its name, for messages. @returns what could be read; errors among the problems say what could not */
export function readIcs(file: string, bytes: Uint8Array, options: IcsOptions): IcsResult {
  if (bytes.length > fileBytesMax) return { occurrences: [], problems: [tooLarge(file, bytes.length)] };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const fix = "save the file as UTF-8";
    return { occurrences: [], problems: [new Problem("not UTF-8", { code: "CFG-006", where: file, fix })] };
  }
  const { events, problems } = readEvents(file, text, options.zone);
  const expansion = new Expansion(file, options, problems);
  if (!problems.some(({ severity }) => severity === "error")) expansion.follow(events);
  return expansion;
}

class Expansion implements IcsResult {
  readonly occurrences: Occurrence[] = [];
  readonly problems: Problem[];
  readonly #file: string;
  readonly #options: IcsOptions;
  #faults = 0;

  constructor(file: string, options: IcsOptions, problems: readonly Problem[]) {
    this.#file = file;
    this.#options = options;
    this.problems = [...problems];
  }

  follow(events: readonly IcsEvent[]): void {
    const replaced = this.#replaced(events);
    const elapsedMs = stopwatch();
    const { timeMaxMs = defaultTimeMaxMs } = this.#options;
    for (const event of events) {
      if (event.cancelled) continue;
      if (this.#faults >= icsFaultsMax) return;
      if (elapsedMs() > timeMaxMs) {
        this.#fault("CAL-012", event.line, "its repetitions take too long to follow", "split the file");
        return;
      }
      const without = event.replaces === null ? replaced.get(event.uid ?? "") : undefined;
      if (!this.#expand(event, without ?? new Set())) return;
    }
    this.occurrences.sort((a, b) => a.fromWallMs - b.fromWallMs || a.line - b.line);
  }

  /** Id of a series -> its times that another event stands for. */
  #replaced(events: readonly IcsEvent[]): Map<string, Set<number>> {
    const replaced = new Map<string, Set<number>>();
    for (const { uid, replaces } of events) {
      if (uid === null || replaces === null) continue;
      const known = replaced.get(uid) ?? new Set<number>();
      for (const wallMs of replaces.wallsMs) known.add(this.#toZone(wallMs, replaces));
      replaced.set(uid, known);
    }
    return replaced;
  }

  /** @returns whether there is room for more */
  #expand(event: IcsEvent, without: ReadonlySet<number>): boolean {
    const start = event.start as Moments;
    const startMs = start.wallsMs[0] as number;
    const lengthMs = this.#lengthOf(event, start, startMs);
    if (lengthMs === null) return true;
    const starts = this.#startsOf(event, start, startMs, lengthMs);
    if (starts === null) return true;
    const excepted = new Set(without);
    for (const moments of event.except) {
      for (const wallMs of moments.wallsMs) excepted.add(this.#toZone(wallMs, moments));
    }
    const { fromWallMs, toWallMs } = this.#options;
    for (const fromMs of starts) {
      if (excepted.has(fromMs) || fromMs >= toWallMs || fromMs + lengthMs <= fromWallMs) continue;
      if (this.occurrences.length === occurrencesMax) {
        this.#fault(
          "CFG-003",
          event.line,
          `more than ${occurrencesMax} times in all`,
          "split the file, or ask for fewer years",
        );
        return false;
      }
      const { title, line } = event;
      const [allDay, repeats] = [start.isDate, event.rule !== null];
      this.occurrences.push({ title, line, fromWallMs: fromMs, toWallMs: fromMs + lengthMs, allDay, repeats });
    }
    return true;
  }

  /** Null where it has none, which is told. Without end and duration a date is a day, and a time a moment. */
  #lengthOf({ end, durationMs, line }: IcsEvent, start: Moments, startMs: number): number | null {
    const endMs = end?.wallsMs[0];
    const length =
      end !== null && endMs !== undefined
        ? this.#toZone(endMs, end) - this.#toZone(startMs, start)
        : (durationMs ?? (start.isDate ? dayMs : 0));
    if (length > 366 * dayMs) {
      this.#fault("CAL-011", line, "lasts longer than a year", "write shorter events");
      return null;
    }
    if (length > 0) return length;
    if (length === 0 && !start.isDate) {
      this.#fault("CAL-W13", line, "left out: a moment without a length");
      return null;
    }
    this.#fault("CAL-011", line, "ends before it begins", "correct DTEND or DURATION");
    return null;
  }

  /** Beginnings by the wall clock of the zone asked for, those near the span asked for; null where it cannot be told. */
  #startsOf(event: IcsEvent, start: Moments, startMs: number, lengthMs: number): Set<number> | null {
    const starts = new Set<number>();
    const { rule } = event;
    if (rule === null) starts.add(this.#toZone(startMs, start));
    else {
      try {
        // Rules count by the wall clock of their own zone.
        for (const wallMs of this.#repeated(rule.text, start, startMs, lengthMs))
          starts.add(this.#toZone(wallMs, start));
      } catch (thrown) {
        const what = `cannot be followed: ${lowered(messageOf(thrown))}`;
        this.#fault(
          "CAL-012",
          rule.line,
          what,
          "write a rule that repeats by day, week, month or year, or single days",
        );
        return null;
      }
    }
    for (const moments of event.more) for (const wallMs of moments.wallsMs) starts.add(this.#toZone(wallMs, moments));
    return starts;
  }

  #repeated(text: string, { zone }: Moments, startMs: number, lengthMs: number): number[] {
    const written = text.slice(text.indexOf(":") + 1).trim();
    if (/FREQ=(?:SECOND|MINUTE|HOUR)LY/i.test(written)) throw new Error("repeats within the day");
    // UNTIL is in UTC where the start has a zone.
    const rule = written.replace(/UNTIL=(\d{8})T(\d{6})Z/i, (_, date: string, time: string) => {
      const digits = `${date}${time}`.replace(/^(....)(..)(..)(..)(..)(..)$/, "$1-$2-$3T$4:$5:$6Z");
      return `UNTIL=${stampOf(msToWall(Date.parse(digits), zone ?? "UTC"))}Z`;
    });
    const { RRuleTemporal }: { RRuleTemporal: typeof RuleType } = require("rrule-temporal");
    const repeating = new RRuleTemporal({
      rruleString: `DTSTART;TZID=UTC:${stampOf(startMs)}\nRRULE:${rule}`,
      temporal: Temporal,
      includeDtstart: true,
      maxIterations: repetitionsMax,
      maxCandidateEvaluations: repetitionsMax,
    });
    // A day more to either side: zones differ by no more.
    const fromMs = this.#options.fromWallMs - lengthMs - dayMs;
    const found = repeating.between(new Date(fromMs), new Date(this.#options.toWallMs + dayMs), true);
    return found.map(({ epochMilliseconds }) => epochMilliseconds);
  }

  #toZone(wallMs: number, { zone }: Moments): number {
    return zone === null || zone === this.#options.zone ? wallMs : msToWall(wallToMs(wallMs, zone), this.#options.zone);
  }

  #fault(code: string, line: number, what: string, fix?: string): void {
    const problem = lineProblem(this.#file, line, code, what, fix);
    this.problems.push(problem);
    if (problem.severity === "error") this.#faults += 1;
  }
}

/** `20261225T100000` */
function stampOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 19).replace(/[-:]/g, "");
}
