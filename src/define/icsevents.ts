/**
 * The lines of an iCalendar file (RFC 5545) to its events, with the line of every fault. What repeats is followed in
 * `ics.ts`.
 */
import { createRequire } from "node:module";
import type IcalType from "ical.js";
import { messageOf, Problem } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";
import { isZone } from "../core/zone.ts";

/** Most calendars name no iCalendar file, and what reads them waits for nothing: see `country.ts`. */
const require = createRequire(import.meta.url);

function library(): typeof IcalType {
  const loaded: { default?: typeof IcalType } & typeof IcalType = require("ical.js");
  return loaded.default ?? loaded;
}

const eventsMax = 10_000;
/** More of the same helps nobody. */
export const icsFaultsMax = 100;

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
export type IcsEvent = {
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
export type Moments = { readonly wallsMs: readonly number[]; readonly zone: string | null; readonly isDate: boolean };

/** @param zone taken for those that nobody knows. @returns events only where every line could be read */
export function readEvents(
  file: string,
  text: string,
  zone: string,
): { events: readonly IcsEvent[]; problems: readonly Problem[] } {
  const reader = new EventReader(file, zone);
  return { events: reader.lines(text) ? reader.events : [], problems: reader.problems };
}

class EventReader {
  readonly events: IcsEvent[] = [];
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #zone: string;
  readonly #ical = library();
  /** Zones that the file defines -> the name it gives them in the database. */
  readonly #zones = new Map<string, string>();
  readonly #unknownZones = new Set<string>();

  constructor(file: string, zone: string) {
    this.#file = file;
    this.#zone = zone;
  }

  /** Goes through the components. @returns whether the file is one that can be worked with */
  lines(text: string): boolean {
    const open: { name: string; line: number }[] = [];
    let event: IcsEvent | null = null;
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
          if (this.events.length === eventsMax) {
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
      if (this.problems.length >= icsFaultsMax) return false;
    }
    const left = open.at(-1);
    if (!seen) this.#fault("CAL-010", 1, "empty", "name an .ics file");
    else if (left !== undefined)
      this.#fault("CAL-010", left.line, `${left.name} has no end: the file is cut off`, "export it again");
    return !this.problems.some(({ severity }) => severity === "error");
  }

  #property(event: IcsEvent, content: ContentLine): void {
    const { line, text } = content;
    const name = /^[\w-]+(?=[;:])/.exec(text)?.[0]?.toUpperCase() ?? null;
    if (name !== null && !wanted.has(name)) return;
    let property: IcalType.Property;
    try {
      property = this.#ical.Property.fromString(text, this.#ical.design.icalendar);
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
    else if (name === "DURATION" && value instanceof this.#ical.Duration)
      event.durationMs = value.toSeconds() * secondMs;
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

  #moments(property: IcalType.Property, { line, text }: ContentLine): Moments | null {
    const wallsMs: number[] = [];
    let utc = false;
    for (const value of property.getValues()) {
      const time = value instanceof this.#ical.Period ? value.start : value;
      // The library reads the 30th of February as the 2nd of March.
      if (!(time instanceof this.#ical.Time) || !text.toUpperCase().includes(time.toICALString())) {
        this.#fault("CAL-010", line, "no day or time that there is", "correct the line");
        return null;
      }
      utc ||= time.zone === this.#ical.Timezone.utcTimezone;
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
      const what = `unknown time zone ${JSON.stringify(id.slice(0, 60))}, taken for ${this.#zone}`;
      this.#fault("CAL-W14", line, what, "export with a name such as Europe/London");
    }
    return found ?? null;
  }

  #close(event: IcsEvent): void {
    if (event.start === null && !event.faulty) {
      event.faulty = true;
      this.#fault("CAL-011", event.line, "event without DTSTART", "remove the event, or say when it begins");
    }
    this.events.push(event);
  }

  #fault(code: string, line: number, what: string, fix: string): void {
    this.problems.push(lineProblem(this.#file, line, code, what, fix));
  }
}

/** Codes with a `W` are warnings. */
export function lineProblem(file: string, line: number, code: string, what: string, fix?: string): Problem {
  const severity = code.includes("-W") ? "warning" : "error";
  return new Problem(what, { code, where: `${file}:${line}:1`, fix, severity });
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

function newEvent(line: number): IcsEvent {
  const times = { start: null, end: null, durationMs: null, rule: null, replaces: null };
  return { line, uid: null, title: "without a title", ...times, more: [], except: [], cancelled: false, faulty: false };
}

/** What a definition takes as a line. */
function oneLine(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").trim();
  return line === "" ? "without a title" : line.slice(0, 200).toWellFormed();
}

/** A library's words as ours: one line, no capital, not without end. */
export function lowered(text: string): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, " ").slice(0, 120);
  return line.charAt(0).toLowerCase() + line.slice(1);
}
