/**
 * iCalendar (RFC 5545) to days and times by the wall clock, within bounds: a megabyte, 10,000 events and as many
 * repetitions, and never more work than a few seconds. Every fault has its line.
 */
import ICAL from "ical.js";
import { RRuleTemporal } from "rrule-temporal";
import { Temporal } from "temporal-polyfill";
import { messageOf, Problem } from "../core/problem.ts";
import { dayMs, secondMs, stopwatch } from "../core/time.ts";
import { isZone, msToWall, wallToMs } from "../core/zone.ts";
import { fileBytesMax, tooLarge } from "./document.ts";

const eventsMax = 10_000;
const occurrencesMax = 10_000;
/** Repetitions that one rule is followed over, and days looked at to find them. */
const repetitionsMax = 50_000;
const timeMaxMs = 5 * secondMs;
const faultsMax = 100;

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
};

export type IcsOptions = {
  /** Zone that the answer is in, and that times without one are in. */
  readonly zone: string;
  /** Occurrences that touch `[fromWallMs, toWallMs)` are wanted. */
  readonly fromWallMs: number;
  readonly toWallMs: number;
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
  const reader = new IcsReader(file, options);
  reader.read(text);
  return reader;
}

/** A content line, unfolded. */
type ContentLine = { readonly line: number; readonly text: string };

function* unfolded(text: string): Generator<ContentLine> {
  let line = 0;
  let first = 1;
  let parts: string[] = [];
  for (const raw of text.split(/\r\n|\n|\r/)) {
    line += 1;
    if (/^[ \t]/.test(raw) && parts.length > 0) parts.push(raw.slice(1));
    else {
      if (parts.length > 0) yield { line: first, text: parts.join("") };
      parts = raw.trim() === "" ? [] : [raw];
      first = line;
    }
  }
  if (parts.length > 0) yield { line: first, text: parts.join("") };
}

/** What its lines say of an event. */
type Event = {
  readonly line: number;
  uid: string | null;
  title: string;
  start: Moments | null;
  end: Moments | null;
  durationMs: number | null;
  rule: ContentLine | null;
  readonly more: Moments[];
  readonly except: Moments[];
  replaces: Moments | null;
  cancelled: boolean;
  faulty: boolean;
};

/** Wall times of a property; `zone` null: floating. */
type Moments = { readonly wallsMs: readonly number[]; readonly zone: string | null; readonly isDate: boolean };

class IcsReader implements IcsResult {
  readonly occurrences: Occurrence[] = [];
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #options: IcsOptions;
  readonly #events: Event[] = [];
  /** Zones that the file defines -> the name it gives them in the database. */
  readonly #zones = new Map<string, string>();
  readonly #unknownZones = new Set<string>();

  constructor(file: string, options: IcsOptions) {
    this.#file = file;
    this.#options = options;
  }

  read(text: string): void {
    if (!this.#lines(text)) return;
    const replaced = new Map<string, Set<number>>();
    for (const { uid, replaces } of this.#events) {
      if (uid === null || replaces === null) continue;
      const known = replaced.get(uid) ?? new Set<number>();
      for (const wallMs of replaces.wallsMs) known.add(this.#toZone(wallMs, replaces));
      replaced.set(uid, known);
    }
    const elapsedMs = stopwatch();
    for (const event of this.#events) {
      if (event.faulty || event.cancelled) continue;
      if (elapsedMs() > timeMaxMs) {
        this.#fault("CAL-012", event.line, "its repetitions take too long to follow", "split the file");
        return;
      }
      const without = event.replaces === null ? replaced.get(event.uid ?? "") : undefined;
      if (!this.#expand(event, without ?? new Set())) return;
    }
    this.occurrences.sort((a, b) => a.fromWallMs - b.fromWallMs || a.line - b.line);
  }

  /** Goes through the components. @returns whether the file is one that can be worked with */
  #lines(text: string): boolean {
    const open: { name: string; line: number }[] = [];
    let event: Event | null = null;
    let zone: { id: string; location: string } = { id: "", location: "" };
    let seen = false;
    for (const content of unfolded(text.replace(/^\ufeff/, ""))) {
      const { line, text: written } = content;
      if (!seen && !/^BEGIN:VCALENDAR\s*$/i.test(written)) {
        this.#fault("CAL-010", line, "not an iCalendar file: does not begin with BEGIN:VCALENDAR", "name an .ics file");
        return false;
      }
      seen = true;
      const [, edge, name = ""] = /^(BEGIN|END):\s*([\w-]+)\s*$/i.exec(written) ?? [];
      const component = name.toUpperCase();
      if (edge?.toUpperCase() === "BEGIN") {
        open.push({ name: component, line });
        if (component === "VTIMEZONE") zone = { id: "", location: "" };
        if (component === "VEVENT") event = newEvent(line);
      } else if (edge !== undefined) {
        const last = open.pop();
        if (last?.name !== component) {
          const what = last === undefined ? "nothing is open here" : `${last.name} of line ${last.line} is open here`;
          this.#fault("CAL-010", line, `END:${component}, but ${what}`, "export the file again");
          return false;
        }
        if (component === "VTIMEZONE" && isZone(zone.location)) this.#zones.set(zone.id, zone.location);
        if (component === "VEVENT" && event !== null) {
          if (this.#events.length === eventsMax) {
            this.#fault("CFG-003", event.line, `more than ${eventsMax} events`, "split the file");
            return false;
          }
          this.#close(event);
          event = null;
        }
      } else if (open.at(-1)?.name === "VTIMEZONE") {
        const [, key = "", value = ""] = /^(TZID|X-LIC-LOCATION)[^:]*:(.*)$/i.exec(written) ?? [];
        if (key.toUpperCase() === "TZID") zone.id = value.trim();
        else if (key !== "") zone.location = value.trim();
      } else if (open.at(-1)?.name === "VEVENT" && event !== null) this.#property(event, content);
      else if (!/^[\w-]+[;:]/.test(written)) {
        this.#fault("CAL-010", line, "neither a property nor a component", "export the file again");
      }
      if (this.problems.length >= faultsMax) return false;
    }
    const left = open.at(-1);
    if (!seen) this.#fault("CAL-010", 1, "empty", "name an .ics file");
    else if (left !== undefined)
      this.#fault("CAL-010", left.line, `${left.name} has no end: the file is cut off`, "export it again");
    return !this.problems.some(({ severity }) => severity === "error");
  }

  #property(event: Event, content: ContentLine): void {
    const { line, text } = content;
    const name = /^[\w-]+(?=[;:])/.exec(text)?.[0]?.toUpperCase() ?? null;
    if (name !== null && !wanted.has(name)) return;
    let property: ICAL.Property;
    try {
      property = ICAL.Property.fromString(text, ICAL.design.icalendar);
      // Values are decoded, and refused, when they are first asked for.
      property.getValues();
    } catch (thrown) {
      event.faulty = true;
      this.#fault("CAL-010", line, lowered(messageOf(thrown)), "correct the line, or export the file again");
      return;
    }
    const value = property.getFirstValue();
    if (name === "UID") event.uid = String(value);
    else if (name === "SUMMARY") event.title = oneLine(String(value));
    else if (name === "STATUS") event.cancelled = /^cancelled$/i.test(String(value));
    else if (name === "RRULE") event.rule = content;
    else if (name === "DURATION" && value instanceof ICAL.Duration) event.durationMs = value.toSeconds() * secondMs;
    else if (name === "DURATION") {
      event.faulty = true;
      this.#fault("CAL-010", line, "no duration", "write P1D or PT2H");
    } else {
      const moments = this.#moments(property, content);
      if (moments === null) event.faulty = true;
      else if (name === "DTSTART") event.start = moments;
      else if (name === "DTEND") event.end = moments;
      else if (name === "RDATE") event.more.push(moments);
      else if (name === "EXDATE") event.except.push(moments);
      else event.replaces = moments;
    }
  }

  #moments(property: ICAL.Property, { line, text }: ContentLine): Moments | null {
    const wallsMs: number[] = [];
    let utc = false;
    for (const value of property.getValues()) {
      const time = value instanceof ICAL.Period ? value.start : value;
      // The library reads the 30th of February as the 2nd of March.
      if (!(time instanceof ICAL.Time) || !text.toUpperCase().includes(time.toICALString())) {
        this.#fault("CAL-010", line, "no day or time that there is", "correct the line");
        return null;
      }
      utc ||= time.zone === ICAL.Timezone.utcTimezone;
      wallsMs.push(Date.UTC(time.year, time.month - 1, time.day, time.hour, time.minute, time.second));
    }
    const isDate = property.type === "date";
    const id = property.getFirstParameter("tzid");
    const zone = isDate ? null : utc ? "UTC" : id ? this.#zoneOf(id, line) : null;
    return { wallsMs, zone, isDate };
  }

  #zoneOf(id: string, line: number): string | null {
    const tail = id.split("/").slice(-2).join("/");
    const found = [id, this.#zones.get(id), windowsZones[id], tail].find((each) => each !== undefined && isZone(each));
    if (found === undefined && !this.#unknownZones.has(id)) {
      this.#unknownZones.add(id);
      const what = `unknown time zone ${JSON.stringify(id.slice(0, 60))}, taken for ${this.#options.zone}`;
      const options = { code: "CAL-W14", where: `${this.#file}:${line}:1`, severity: "warning" } as const;
      this.problems.push(new Problem(what, { ...options, fix: "export with a name such as Europe/London" }));
    }
    return found ?? null;
  }

  #close(event: Event): void {
    if (event.start === null && !event.faulty) {
      event.faulty = true;
      this.#fault("CAL-011", event.line, "event without DTSTART", "remove the event, or say when it begins");
    }
    this.#events.push(event);
  }

  /** @returns whether there is room for more */
  #expand(event: Event, without: ReadonlySet<number>): boolean {
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
        this.#fault("CFG-003", event.line, `more than ${occurrencesMax} times in all`, "ask for fewer years");
        return false;
      }
      const { title, line } = event;
      const allDay = start.isDate;
      this.occurrences.push({ title, line, fromWallMs: fromMs, toWallMs: fromMs + lengthMs, allDay });
    }
    return true;
  }

  /** Null where it has none, which is told. Without end and duration a date is a day, and a time a moment. */
  #lengthOf({ end, durationMs, line }: Event, start: Moments, startMs: number): number | null {
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
      this.#warn("CAL-W13", line, "left out: a moment without a length");
      return null;
    }
    this.#fault("CAL-011", line, "ends before it begins", "correct DTEND or DURATION");
    return null;
  }

  /** Beginnings by the wall clock of the zone asked for, those near the span asked for; null where it cannot be told. */
  #startsOf(event: Event, start: Moments, startMs: number, lengthMs: number): Set<number> | null {
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

  #fault(code: string, line: number, what: string, fix: string): void {
    this.problems.push(new Problem(what, { code, where: `${this.#file}:${line}:1`, fix }));
  }

  #warn(code: string, line: number, what: string): void {
    this.problems.push(new Problem(what, { code, where: `${this.#file}:${line}:1`, severity: "warning" }));
  }
}

const wanted = new Set("UID SUMMARY STATUS RRULE DURATION DTSTART DTEND RDATE EXDATE RECURRENCE-ID".split(" "));

/** Names that Outlook gives to zones, of those that are common. */
const windowsZones: Readonly<Record<string, string>> = {
  "GMT Standard Time": "Europe/London",
  "W. Europe Standard Time": "Europe/Berlin",
  "Romance Standard Time": "Europe/Paris",
  "Central Europe Standard Time": "Europe/Budapest",
  "Central European Standard Time": "Europe/Warsaw",
  "China Standard Time": "Asia/Shanghai",
  "Tokyo Standard Time": "Asia/Tokyo",
  "Singapore Standard Time": "Asia/Singapore",
  "India Standard Time": "Asia/Kolkata",
  "AUS Eastern Standard Time": "Australia/Sydney",
  "Eastern Standard Time": "America/New_York",
  "Central Standard Time": "America/Chicago",
  "Mountain Standard Time": "America/Denver",
  "Pacific Standard Time": "America/Los_Angeles",
};

function newEvent(line: number): Event {
  const times = { start: null, end: null, durationMs: null, rule: null, replaces: null };
  return { line, uid: null, title: "without a title", ...times, more: [], except: [], cancelled: false, faulty: false };
}

/** `20261225T100000` */
function stampOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 19).replace(/[-:]/g, "");
}

/** What a definition takes as a line. */
function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").trim();
  return line === "" ? "without a title" : line.slice(0, 200).toWellFormed();
}

/** A library's words as ours: one line, no capital, not without end. */
function lowered(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").slice(0, 120);
  return line.charAt(0).toLowerCase() + line.slice(1);
}
