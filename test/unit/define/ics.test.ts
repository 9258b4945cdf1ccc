import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Calendar } from "../../../src/core/definitions.ts";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { stopwatch } from "../../../src/core/time.ts";
import { type IcsResult, readIcs } from "../../../src/define/ics.ts";
import type { EventKind } from "../../../src/define/icsdays.ts";
import { calendarYaml } from "../../../src/define/import.ts";
import { load, messages } from "./support.ts";

const span = { fromWallMs: Date.UTC(2026, 0, 1), toWallMs: Date.UTC(2029, 0, 1) };
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function read(text: string, zone = "Europe/Berlin"): IcsResult {
  return readIcs("x.ics", bytesOf(text), { zone, ...span });
}

/** A file of one event; its lines begin with line 3. */
function event(...lines: readonly string[]): string {
  return ["BEGIN:VCALENDAR", "BEGIN:VEVENT", ...lines, "END:VEVENT", "END:VCALENDAR", ""].join("\r\n");
}

/** `2026-12-25 00:00 to 2026-12-26 00:00` */
function times({ occurrences }: IcsResult): string[] {
  const text = (wallMs: number): string => new Date(wallMs).toISOString().slice(0, 16).replace("T", " ");
  return occurrences.map(({ fromWallMs, toWallMs }) => `${text(fromWallMs)} to ${text(toWallMs)}`);
}

function days(result: IcsResult): string[] {
  return times(result).map((text) => text.slice(0, 10));
}

/** What is read, in words of RFC 5545; the answers are the RFC's own or can be counted on a wall calendar. */
describe("events", () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ["a day", ["DTSTART;VALUE=DATE:20261225"], ["2026-12-25 00:00 to 2026-12-26 00:00"]],
    [
      "days, the last one excluded",
      ["DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227"],
      ["2026-12-24 00:00 to 2026-12-27 00:00"],
    ],
    ["a duration", ["DTSTART;VALUE=DATE:20261224", "DURATION:P2D"], ["2026-12-24 00:00 to 2026-12-26 00:00"]],
    [
      "a time without a zone is by the wall clock of the calendar",
      ["DTSTART:20260501T100000", "DURATION:PT90M"],
      ["2026-05-01 10:00 to 2026-05-01 11:30"],
    ],
    ["a time in UTC", ["DTSTART:20260501T100000Z", "DURATION:PT1H"], ["2026-05-01 12:00 to 2026-05-01 13:00"]],
    [
      "a time in another zone",
      ["DTSTART;TZID=Asia/Shanghai:20261110T200000", "DTEND;TZID=Asia/Shanghai:20261111T000000"],
      ["2026-11-10 13:00 to 2026-11-10 17:00"],
    ],
    [
      "a zone as Outlook names it",
      ['DTSTART;TZID="China Standard Time":20261110T200000', "DURATION:PT1H"],
      ["2026-11-10 13:00 to 2026-11-10 14:00"],
    ],
    [
      "a zone with a prefix",
      ["DTSTART;TZID=/mozilla.org/20050126_1/Asia/Shanghai:20261110T200000", "DURATION:PT1H"],
      ["2026-11-10 13:00 to 2026-11-10 14:00"],
    ],
    [
      "each year",
      ["DTSTART;VALUE=DATE:20201225", "RRULE:FREQ=YEARLY"],
      ["2026", "2027", "2028"].map((year) => `${year}-12-25 00:00 to ${year}-12-26 00:00`),
    ],
    [
      "each 29 February, and not on 1 March between",
      ["DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY"],
      ["2028-02-29 00:00 to 2028-03-01 00:00"],
    ],
    [
      "the fourth Thursday of November",
      ["DTSTART;VALUE=DATE:20241128", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"],
      [
        "2026-11-26 00:00 to 2026-11-27 00:00",
        "2027-11-25 00:00 to 2027-11-26 00:00",
        "2028-11-23 00:00 to 2028-11-24 00:00",
      ],
    ],
    [
      "so many times, those before the span included in the count",
      ["DTSTART;VALUE=DATE:20251220", "RRULE:FREQ=WEEKLY;BYDAY=SA,SU;COUNT=6"],
      ["2026-01-03 00:00 to 2026-01-04 00:00", "2026-01-04 00:00 to 2026-01-05 00:00"],
    ],
    [
      "weekly until a moment in UTC that is before the last one by the clock of its zone",
      ["DTSTART;TZID=Asia/Shanghai:20260302T060000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;UNTIL=20260308T220000Z"],
      ["2026-03-01 23:00 to 2026-03-02 00:00", "2026-03-08 23:00 to 2026-03-09 00:00"],
    ],
    [
      "weekly by the wall clock, over a change of the clocks",
      ["DTSTART;TZID=America/New_York:20260305T200000", "DURATION:PT1H", "RRULE:FREQ=WEEKLY;COUNT=2"],
      // New York changes three weeks before Berlin.
      ["2026-03-06 02:00 to 2026-03-06 03:00", "2026-03-13 01:00 to 2026-03-13 02:00"],
    ],
    [
      "without exceptions, with additions",
      [
        ...["DTSTART;VALUE=DATE:20260501", "RRULE:FREQ=DAILY;COUNT=4"],
        ...["EXDATE;VALUE=DATE:20260502,20260503", "RDATE;VALUE=DATE:20260601"],
      ],
      ["2026-05-01", "2026-05-04", "2026-06-01"].map((day) => {
        return `${day} 00:00 to ${day.slice(0, 9)}${Number(day[9]) + 1} 00:00`;
      }),
    ],
    [
      "one that began before the span and reaches into it",
      ["DTSTART;VALUE=DATE:20251230", "DTEND;VALUE=DATE:20260103"],
      ["2025-12-30 00:00 to 2026-01-03 00:00"],
    ],
    ["one before the span", ["DTSTART;VALUE=DATE:20251230"], []],
    ["one after the span", ["DTSTART;VALUE=DATE:20290101"], []],
    ["one that was called off", ["DTSTART;VALUE=DATE:20260501", "STATUS:CANCELLED"], []],
  ])("%s", (_, lines, wanted) => {
    const result = read(event(...lines));
    expect(result.problems).toEqual([]);
    expect(times(result)).toEqual(wanted);
  });

  test("single ones of a series are moved and called off", () => {
    const result = read(
      [
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT",
        "UID:1",
        "DTSTART;VALUE=DATE:20260504",
        "RRULE:FREQ=WEEKLY;COUNT=4",
        "END:VEVENT",
      ]
        .concat([
          "BEGIN:VEVENT",
          "UID:1",
          "RECURRENCE-ID;VALUE=DATE:20260511",
          "DTSTART;VALUE=DATE:20260512",
          "END:VEVENT",
        ])
        .concat(["BEGIN:VEVENT", "UID:1", "RECURRENCE-ID;VALUE=DATE:20260518", "DTSTART;VALUE=DATE:20260518"])
        .concat(["STATUS:CANCELLED", "END:VEVENT", "END:VCALENDAR"])
        .join("\n"),
    );
    expect(days(result)).toEqual(["2026-05-04", "2026-05-12", "2026-05-25"]);
  });

  test("folded lines, escapes and bare line ends; other components are passed over", () => {
    const text =
      "\ufeffBEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Ours\nX-LIC-LOCATION:Asia/Shanghai\nBEGIN:STANDARD\nDTSTART:19700101T000000\n" +
      "TZOFFSETFROM:+0800\nTZOFFSETTO:+0800\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VTODO\nSUMMARY:no\nEND:VTODO\n" +
      "BEGIN:VEVENT\nSUMMARY;LANGUAGE=en:Singles\n '\n  Day\\, with a\\nbreak\nDTSTART;TZID=Ours:20261110\n T200000\n" +
      "DURATION:PT4H\nBEGIN:VALARM\nTRIGGER:-PT15M\nSUMMARY:alarm\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR";
    const result = read(text);
    expect(result.problems).toEqual([]);
    expect(result.occurrences).toMatchObject([{ title: "Singles' Day, with a break", line: 14, allDay: false }]);
    expect(times(result)).toEqual(["2026-11-10 13:00 to 2026-11-10 17:00"]);
  });

  test("a zone that nobody knows is told once", () => {
    const result = read(event("DTSTART;TZID=Atlantis:20260501T100000", "DTEND;TZID=Atlantis:20260501T110000"));
    expect(result.problems.map(formatProblem)).toEqual([
      'CAL-W14 x.ics:3:1 - unknown time zone "Atlantis", taken for Europe/Berlin. Fix: export with a name such as Europe/London.',
    ]);
    expect(times(result)).toEqual(["2026-05-01 10:00 to 2026-05-01 11:00"]);
  });
});

describe("broken files are told with their line, every fault in one pass", () => {
  test.each<[string, string, readonly string[]]>([
    ["nothing", "", ["CAL-010 x.ics:1:1 - empty. Fix: name an .ics file."]],
    [
      "a web page",
      "\n<html>",
      ["CAL-010 x.ics:2:1 - not an iCalendar file: does not begin with BEGIN:VCALENDAR. Fix: name an .ics file."],
    ],
    [
      "cut off",
      "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260501\n",
      ["CAL-010 x.ics:2:1 - VEVENT has no end: the file is cut off. Fix: export it again."],
    ],
    [
      "ends that do not fit",
      "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n",
      ["CAL-010 x.ics:3:1 - END:VCALENDAR, but VEVENT of line 2 is open here. Fix: export the file again."],
    ],
    [
      "days, times and lengths that are none",
      event(
        "DTSTART;VALUE=DATE:20260230",
        "DTEND:2026",
        "DURATION:soon",
        "DURATION;VALUE=DATE:20260501",
        "what is this",
      ),
      [
        "CAL-010 x.ics:3:1 - no day or time that there is. Fix: correct the line.",
        'CAL-010 x.ics:4:1 - invalid date-time value: "2026--T::". Fix: correct the line, or export the file again.',
        'CAL-010 x.ics:5:1 - invalid duration value: Not enough duration components in "soon". Fix: correct the line, or export the file again.',
        "CAL-010 x.ics:6:1 - no duration. Fix: write P1D or PT2H.",
        'CAL-010 x.ics:7:1 - invalid line (no token ";" or ":") "what is this". Fix: correct the line, or export the file again.',
      ],
    ],
    [
      "no beginning",
      event("SUMMARY:x"),
      ["CAL-011 x.ics:2:1 - event without DTSTART. Fix: remove the event, or say when it begins."],
    ],
    [
      "an end before the beginning",
      event("DTSTART;VALUE=DATE:20260502", "DTEND;VALUE=DATE:20260501"),
      ["CAL-011 x.ics:2:1 - ends before it begins. Fix: correct DTEND or DURATION."],
    ],
    [
      "longer than a year",
      event("DTSTART;VALUE=DATE:20260502", "DTEND;VALUE=DATE:99990501"),
      ["CAL-011 x.ics:2:1 - lasts longer than a year. Fix: write shorter events."],
    ],
    ["a moment", event("DTSTART:20260502T100000"), ["CAL-W13 x.ics:2:1 - left out: a moment without a length"]],
    [
      "a rule that is none",
      event("DTSTART;VALUE=DATE:20260502", "RRULE:FREQ=NOPE"),
      [
        'CAL-010 x.ics:4:1 - invalid frequency "NOPE" expected: "SECONDLY, MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY". ' +
          "Fix: correct the line, or export the file again.",
      ],
    ],
    [
      "a rule within the day",
      event("DTSTART;VALUE=DATE:20260502", "RRULE:FREQ=SECONDLY"),
      [
        "CAL-012 x.ics:4:1 - cannot be followed: repeats within the day. " +
          "Fix: write a rule that repeats by day, week, month or year, or single days.",
      ],
    ],
  ])("%s", (_, text, says) => {
    const result = read(text);
    expect(result.problems.map(formatProblem)).toEqual(says);
    expect(result.occurrences).toEqual([]);
  });

  test("not UTF-8, over a megabyte, over ten thousand events, over ten thousand times", () => {
    const of = (bytes: Uint8Array): string[] =>
      readIcs("x.ics", bytes, { zone: "UTC", timeMaxMs: 60_000, ...span }).problems.map(formatProblem);
    expect(of(new Uint8Array([0xff, 0xfe]))).toEqual(["CFG-006 x.ics - not UTF-8. Fix: save the file as UTF-8."]);
    expect(of(new Uint8Array(1_000_001))[0]).toMatch(/^CFG-003 x\.ics - larger than 1000000 bytes/);
    const one = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260501\nEND:VEVENT\n";
    const many = (count: number, each = one): string => `BEGIN:VCALENDAR\n${each.repeat(count)}END:VCALENDAR`;
    expect(of(bytesOf(many(10_001)))).toEqual(["CFG-003 x.ics:30002:1 - more than 10000 events. Fix: split the file."]);
    expect(of(bytesOf(many(10_000)))).toEqual([]);
    const daily = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY\nEND:VEVENT\n";
    expect(of(bytesOf(many(9, daily)))).toEqual([]);
    expect(of(bytesOf(many(11, daily)))).toEqual([
      "CFG-003 x.ics:38:1 - more than 10000 times in all. Fix: split the file, or ask for fewer years.",
    ]);
  });

  test.each([
    ["never", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"],
    ["never, day by day", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"],
    ["endless, from long ago", "FREQ=DAILY"],
    ["in a billion years", "FREQ=YEARLY;INTERVAL=1000000000"],
    ["nothing but filters", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYMONTHDAY=31;BYMONTH=2,4,6,9,11"],
  ])("rules that repeat %s end within seconds", (_, rule) => {
    const elapsedMs = stopwatch();
    const { problems } = read(event("DTSTART;VALUE=DATE:16010101", `RRULE:${rule}`));
    expect(elapsedMs()).toBeLessThan(5_000);
    for (const problem of problems) expect(formatProblem(problem)).toMatch(/^CAL-012 x\.ics:4:1 - cannot be followed/);
  });

  test("a thousand rules that lead nowhere end within seconds too, and it is told", () => {
    const one = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:16010101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\nEND:VEVENT\n";
    const elapsedMs = stopwatch();
    const { problems } = read(`BEGIN:VCALENDAR\n${one.repeat(5_000)}END:VCALENDAR`);
    expect(elapsedMs()).toBeLessThan(20_000);
    expect(problems.length).toBeGreaterThan(0);
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(["CAL-012"]));
  });

  test("whatever a file holds, reading it ends in times and Problems", () => {
    const word = fc.constantFrom(
      ...[
        "BEGIN:VEVENT",
        "END:VEVENT",
        "BEGIN:VTIMEZONE",
        "END:VTIMEZONE",
        "DTSTART",
        ";VALUE=DATE",
        ":",
        ";TZID=",
        "Ours",
      ],
      ...[
        "20260501",
        "T100000",
        "Z",
        "DTEND",
        "DURATION",
        "P1D",
        "-P1D",
        "RRULE",
        "FREQ=DAILY",
        ";COUNT=",
        "3",
        "-1",
        ";BYDAY=",
        "MO",
      ],
      ...[
        "\n",
        "\n",
        "\n ",
        "EXDATE",
        "RDATE",
        "RECURRENCE-ID",
        "UID",
        "SUMMARY",
        "\\",
        '"',
        "\0",
        "\u2028",
        "=",
        ",",
        ";UNTIL=",
      ],
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 60 }), fc.boolean(), (words, inside) => {
        const text = words.join("");
        const { problems, occurrences } = read(inside ? event(text) : `BEGIN:VCALENDAR\n${text}\nEND:VCALENDAR`);
        for (const problem of problems) {
          expect(problem).toBeInstanceOf(Problem);
          expect(problem.where).toMatch(/^x\.ics:[1-9]\d*:1$/);
          expect(formatProblem(problem)).not.toMatch(/[\n\r\0]|undefined|\[object/);
        }
        for (const { fromWallMs, toWallMs } of occurrences) expect(toWallMs).toBeGreaterThan(fromWallMs);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a calendar made of events", () => {
  async function imported(text: string, as: EventKind, zone = "Europe/Berlin"): Promise<[Calendar, string[]]> {
    const options = { name: "c", zone, as, uplift: 2, comment: "Made by a test.", file: "x.ics" };
    const made = calendarYaml(read(text, zone).occurrences, options);
    const loaded = await load({ "rules/calendars/c.yaml": made.text });
    expect(messages(loaded)).toEqual([]);
    return [loaded.definitions.calendars.get("c") as Calendar, made.problems.map(formatProblem)];
  }

  test("holidays: each day once, under the first of its names; what has hours is told and left out", async () => {
    const text = ["BEGIN:VCALENDAR"]
      .concat(["BEGIN:VEVENT", "SUMMARY:No", "DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227", "END:VEVENT"])
      .concat([
        "BEGIN:VEVENT",
        'SUMMARY:12:30 # "x" \\; \u2603',
        "DTSTART;VALUE=DATE:20261226",
        "DTEND;VALUE=DATE:20261228",
        "END:VEVENT",
      ])
      .concat([
        "BEGIN:VEVENT",
        "SUMMARY:Party",
        "DTSTART:20261231T180000",
        "DURATION:PT8H",
        "RRULE:FREQ=YEARLY",
        "END:VEVENT",
      ])
      .concat([
        "BEGIN:VEVENT",
        "SUMMARY:Whole",
        "DTSTART:20270501T000000",
        "DURATION:PT24H",
        "END:VEVENT",
        "END:VCALENDAR",
      ])
      .join("\n");
    const [calendar, problems] = await imported(text, "holidays");
    expect(calendar.holidays).toEqual({
      ...{ "2026-12-24": "No", "2026-12-25": "No", "2026-12-26": "No", "2026-12-27": '12:30 # "x" ; \u2603' },
      "2027-05-01": "Whole",
    });
    expect(problems).toEqual(['CAL-W13 x.ics:12:1 - left out: "Party" has hours, and holidays are whole days']);
  });

  test("campaigns: whole days and times", async () => {
    const text = ["BEGIN:VCALENDAR"]
      .concat([
        "BEGIN:VEVENT",
        "SUMMARY:Sale",
        "DTSTART;VALUE=DATE:20260616",
        "DTEND;VALUE=DATE:20260619",
        "END:VEVENT",
      ])
      .concat([
        "BEGIN:VEVENT",
        "SUMMARY:Night",
        "DTSTART:20261110T120000Z",
        "DURATION:PT4H",
        "END:VEVENT",
        "END:VCALENDAR",
      ])
      .join("\n");
    const [{ campaigns }] = await imported(text, "campaigns", "Asia/Shanghai");
    const expectation = { kind: "uplift", min: 2, max: 2 };
    expect(campaigns).toMatchObject([
      {
        title: "Sale",
        fromMs: Date.parse("2026-06-15T16:00Z"),
        toMs: Date.parse("2026-06-18T16:00Z"),
        expect: expectation,
      },
      { title: "Night", fromMs: Date.parse("2026-11-10T12:00Z"), toMs: Date.parse("2026-11-10T16:00Z") },
    ]);
  });

  // A file as its publisher exports it, for Google's and Apple's calendars: both kinds of days in one.
  test("China's calendar as it is published says what the library says", async () => {
    const file = createRequire(import.meta.url).resolve("chinese-days/dist/holidays.ics");
    const { occurrences, problems } = readIcs("cn.ics", readFileSync(file), { zone: "Asia/Shanghai", ...span });
    expect(problems).toEqual([]);
    const chosen = occurrences.filter(({ title }) => title.includes("班"));
    const options = {
      name: "c",
      zone: "Asia/Shanghai",
      as: "workdays",
      uplift: 1,
      comment: "x",
      file: "cn.ics",
    } as const;
    const made = await load({ "rules/calendars/c.yaml": calendarYaml(chosen, options).text });
    expect(Object.keys(made.definitions.calendars.get("c")?.workdays ?? {})).toEqual([
      ...["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"],
    ]);
  });
});
