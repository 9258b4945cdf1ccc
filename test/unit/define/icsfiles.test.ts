/** `ics:` in a calendar: what the events of its files add to it, and what is said of files that cannot be used. */
import { readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { dayTypeOf } from "../../../src/core/calendar.ts";
import type { Calendar } from "../../../src/core/definitions.ts";
import { loadDefinitions } from "../../../src/define/load.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { base, type Files, folder, load, messages, optionsFor, sampler } from "./support.ts";

const file = "rules/calendars/c.yaml";
const ics = "rules/calendars/days.ics";

/** One calendar, `c`, in Berlin; `lines` stand below its zone, from line 4 on. */
function calendarFile(...lines: readonly string[]): Files {
  return {
    [file]: ["calendars:", "  c:", "    zone: Europe/Berlin", ...lines.map((line) => `    ${line}`), ""].join("\n"),
  };
}

/** A file of events; the first one's lines begin with line 3. */
function events(...each: readonly (readonly string[])[]): string {
  const all = each.flatMap((lines) => ["BEGIN:VEVENT", ...lines, "END:VEVENT"]);
  return ["BEGIN:VCALENDAR", ...all, "END:VCALENDAR", ""].join("\r\n");
}

const christmas = ["SUMMARY:Christmas", "DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227"];
const china = readFileSync(createRequire(import.meta.url).resolve("chinese-days/dist/holidays.ics"));

async function calendar(lines: readonly string[], files: Files): Promise<Calendar> {
  const loaded = await load({ ...calendarFile(...lines), ...files });
  expect(messages(loaded)).toEqual([]);
  return loaded.definitions.calendars.get("c") as Calendar;
}

const near = (days: Readonly<Record<string, string>>) => Object.entries(days).filter(([day]) => /^202[67]/.test(day));

describe("days off", () => {
  test.each<[string, readonly string[], readonly [string, string][]]>([
    ["a day", ["SUMMARY:x", "DTSTART;VALUE=DATE:20261224"], [["2026-12-24", "x"]]],
    [
      "days, the last one excluded",
      christmas,
      [
        ["2026-12-25", "Christmas"],
        ["2026-12-26", "Christmas"],
      ],
    ],
    [
      "a folded line",
      ["SUMMARY:Found", " ers\\, all", "DTSTART;VALUE=DA", "\tTE:20260501"],
      [["2026-05-01", "Founders, all"]],
    ],
    [
      "each year, the ones to come too",
      ["SUMMARY:x", "DTSTART;VALUE=DATE:20190501", "RRULE:FREQ=YEARLY"],
      [
        ["2026-05-01", "x"],
        ["2027-05-01", "x"],
      ],
    ],
    [
      "a whole day by the clock of the calendar",
      ["SUMMARY:x", "DTSTART:20260501T000000", "DURATION:P1D"],
      [["2026-05-01", "x"]],
    ],
    [
      "a whole day by the same clock, written in UTC",
      ["SUMMARY:x", "DTSTART:20260430T220000Z", "DTEND:20260501T220000Z"],
      [["2026-05-01", "x"]],
    ],
    [
      "a day, whatever zone its file speaks of",
      ["SUMMARY:x", "DTSTART;VALUE=DATE;TZID=Asia/Shanghai:20260501"],
      [["2026-05-01", "x"]],
    ],
  ])("%s", async (_, lines, wanted) => {
    const { holidays } = await calendar(["ics: days.ics"], { [ics]: events(lines) });
    expect(near(holidays)).toEqual(wanted);
  });

  test("from the beginning of 2000 to the end of the year after next, as a country's", async () => {
    const { holidays } = await calendar(["ics: days.ics"], {
      [ics]: events(["DTSTART;VALUE=DATE:19900301", "RRULE:FREQ=YEARLY"]),
    });
    const days = Object.keys(holidays);
    expect([days[0], days.at(-1)]).toEqual(["2000-03-01", "2028-03-01"]);
  });

  test("several files; the path begins in the folder of the calendar's file", async () => {
    const found = await calendar(["ics: [days.ics, ../school/holidays.ics]"], {
      [ics]: events(christmas),
      "rules/school/holidays.ics": events(["SUMMARY:School", "DTSTART;VALUE=DATE:20261226", "DURATION:P2D"]),
    });
    expect(near(found.holidays)).toEqual([
      ["2026-12-25", "Christmas"],
      ["2026-12-26", "Christmas"],
      ["2026-12-27", "School"],
    ]);
  });

  test("win over the country's; days of one's own win over both, whichever list they are in", async () => {
    const found = await calendar(
      [
        "country: DE",
        "ics: days.ics",
        "holidays: { 2026-12-26: false, 2026-12-31: Ours }",
        "workdays: { 2026-12-27: Stocktaking }",
      ],
      { [ics]: events(["SUMMARY:Ours", "DTSTART;VALUE=DATE:20261225", "DURATION:P3D"]) },
    );
    expect(near(found.holidays).filter(([day]) => day >= "2026-12" && day < "2027")).toEqual([
      ["2026-12-25", "Ours"],
      ["2026-12-31", "Ours"],
    ]);
    expect(["2026-12-26", "2026-12-27"].map((day) => dayTypeOf(found, day))).toEqual(["weekend", "workday"]);
  });
});

describe("one file for two kinds of events, parted by their titles as the import parts them", () => {
  const parted = ["ics:", "  - { file: days.ics, titles: 休 }", "  - { file: days.ics, as: workdays, titles: 班 }"];

  // A file as its publisher exports it.
  test("China's calendar as it is published says what the library says", async () => {
    const published = await calendar(parted, { [ics]: china });
    const library = await calendar(["country: CN"], {});
    const in2026 = (days: Readonly<Record<string, string>>) =>
      Object.keys(days).filter((day) => day.startsWith("2026"));
    expect(in2026(published.holidays)).toEqual(in2026(library.holidays));
    expect(in2026(published.workdays)).toEqual(in2026(library.workdays));
    expect(published.knownUntil).toBe("2026-12-31");
  });

  test("days that are off and worked at once are told, unless a day of one's own decides", async () => {
    const unparted = ["ics: [days.ics, { file: days.ics, as: workdays, titles: Sat }]"];
    const both = { [ics]: events(["SUMMARY:Saturday", "DTSTART;VALUE=DATE:20260502", "DURATION:P2D"]) };
    expect(messages(await load({ ...calendarFile(...unparted), ...both }))).toEqual([
      `CFG-019 ${file}:4:10 calendars.c.ics - 2 days, 2026-05-02 the first, are off and worked at once, see ${ics}:2:1. ` +
        "Fix: part the events by titles, or write the day under holidays or workdays.",
    ]);
    const own = "workdays: { 2026-05-02: ours, 2026-05-03: false }";
    const decided = await calendar([...unparted, own], both);
    expect(near(decided.holidays)).toEqual([["2026-05-03", "Saturday"]]);
    expect(near(decided.workdays)).toEqual([["2026-05-02", "ours"]]);
  });
});

describe("campaigns", () => {
  const sale = ["SUMMARY:Sale", "DTSTART;TZID=Asia/Shanghai:20261110T200000", "DURATION:PT28H"];
  const days = ["SUMMARY:Days", "DTSTART;VALUE=DATE:20260616", "DTEND;VALUE=DATE:20260619"];

  test("times in their own zone, and whole days in the calendar's, with the uplift of their file", async () => {
    const { campaigns } = await calendar(["ics: { file: days.ics, as: campaigns, uplift: { min: 1.8, max: 3 } }"], {
      [ics]: events(sale, days),
    });
    const rest = { match: [], expect: { kind: "uplift", min: 1.8, max: 3 } };
    expect(campaigns).toEqual([
      {
        title: "Days",
        fromMs: Date.parse("2026-06-15T22:00Z"),
        toMs: Date.parse("2026-06-18T22:00Z"),
        place: `${ics}:7:1`,
        ...rest,
      },
      {
        title: "Sale",
        fromMs: Date.parse("2026-11-10T12:00Z"),
        toMs: Date.parse("2026-11-11T16:00Z"),
        place: `${ics}:2:1`,
        ...rest,
      },
    ]);
  });

  test("that overlap one of the calendar's own, last too long or are too many are told as ever", async () => {
    const own = "- { title: Ours, from: 2026-06-18, to: 2026-06-20, expect: { uplift: 2 } }";
    const entry = "ics: { file: days.ics, as: campaigns, uplift: 2 }";
    expect(messages(await load({ ...calendarFile(entry, "campaigns:", own), [ics]: events(days) }))).toEqual([
      `CAL-002 ${file}:6:7 - overlaps the campaign "Days" at ${ics}:2:1. Fix: part them in time, or by match.`,
    ]);
    const long = ["SUMMARY:Long", "DTSTART;VALUE=DATE:20260101", "DURATION:P100D"];
    const daily = ["DTSTART;VALUE=DATE:20200101", "RRULE:FREQ=DAILY;COUNT=1001"];
    const loaded = await load({ ...calendarFile(entry), [ics]: events(long, daily) });
    expect(messages(loaded)).toEqual([
      `CAL-001 ${file}:4:10 calendars.c.ics - "Long" at ${ics}:2:1 lasts 100d, more than 92 days. ` +
        "Fix: a change that stays needs no campaign; write shorter ones.",
      `CFG-003 ${file}:4:10 calendars.c.ics - more than 1000 campaigns in all (got 1002). Fix: remove those long over.`,
    ]);
  });
});

describe("what is told, in one pass, with the calendar left out", () => {
  const see = (line: string, shown = ' (got "days.ics")') =>
    `CAL-016 ${file}:4:10 calendars.c.ics - at fault itself, see ${ics}${line}${shown}. Fix: mend that file first.`;
  const one = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260501\nEND:VEVENT\n";
  test.each<[string, Files, readonly string[]]>([
    [
      "a missing file",
      {},
      [
        `CAL-016 ${file}:4:10 calendars.c.ics - no such file: ${ics} (got "days.ics"). ` +
          "Fix: check the path, which begins in the folder of this file.",
      ],
    ],
    [
      "a folder",
      { [`${ics}/x`]: "" },
      [`CAL-016 ${file}:4:10 calendars.c.ics - not a file (got "days.ics"). Fix: name the .ics file itself.`],
    ],
    [
      "a file that is no calendar",
      { [ics]: "<html>" },
      [
        see(":1:1"),
        `CAL-010 ${ics}:1:1 - not an iCalendar file: does not begin with BEGIN:VCALENDAR. Fix: name an .ics file.`,
      ],
    ],
    [
      "every line at fault",
      { [ics]: events(["DTSTART;VALUE=DATE:20260230"], ["SUMMARY:x"]) },
      [
        see(":3:1"),
        `CAL-010 ${ics}:3:1 - no day or time that there is. Fix: correct the line.`,
        `CAL-011 ${ics}:5:1 - event without DTSTART. Fix: remove the event, or say when it begins.`,
      ],
    ],
    [
      "a rule within the day",
      { [ics]: events(["DTSTART;VALUE=DATE:20260501", "RRULE:FREQ=HOURLY"]) },
      [
        see(":4:1"),
        `CAL-012 ${ics}:4:1 - cannot be followed: repeats within the day. ` +
          "Fix: write a rule that repeats by day, week, month or year, or single days.",
      ],
    ],
    [
      "over a megabyte",
      { [ics]: "x".repeat(1_000_001) },
      [see(""), `CFG-003 ${ics} - larger than 1000000 bytes (got 1000001). Fix: split the file.`],
    ],
    [
      "over ten thousand events",
      { [ics]: `BEGIN:VCALENDAR\n${one.repeat(10_001)}END:VCALENDAR` },
      [see(":30002:1"), `CFG-003 ${ics}:30002:1 - more than 10000 events. Fix: split the file.`],
    ],
    [
      "not UTF-8",
      { [ics]: new Uint8Array([0xff]) },
      [see(""), `CFG-006 ${ics} - not UTF-8. Fix: save the file as UTF-8.`],
    ],
    [
      "nothing of what is wanted",
      { [ics]: events(["DTSTART;VALUE=DATE:19991231"]) },
      [
        `CAL-015 ${file}:4:10 calendars.c.ics - no holidays found in it (got "days.ics"). ` +
          "Fix: look at titles, and at what the file holds.",
      ],
    ],
  ])("%s", async (_, files, says) => {
    const loaded = await load({ ...calendarFile("ics: days.ics"), ...files });
    expect(messages(loaded)).toEqual(says);
    expect(loaded.definitions.calendars.size).toBe(0);
  });

  test.each(["../../samplers/x.ics", "../../../x.ics", "/etc/x.ics"])("a path outside rules/: %s", async (path) => {
    const loaded = await load({ ...calendarFile(`ics: ${path}`), "samplers/x.ics": events(christmas) });
    expect(messages(loaded)).toEqual([
      `CFG-015 ${file}:4:10 calendars.c.ics - outside the folder rules/ (got "${path}"). Fix: copy the file into it, and name the copy.`,
    ]);
  });

  test("a link that leads outside", async () => {
    const elsewhere = folder({ "days.ics": events(christmas) });
    const dir = folder(calendarFile("ics: days.ics"));
    symlinkSync(join(elsewhere, "days.ics"), join(dir, ics));
    const loaded = await loadDefinitions(optionsFor(dir));
    expect(messages(loaded)[0]).toContain("calendars.c.ics - outside the folder rules/");
    expect(loaded.definitions.calendars.size).toBe(0);
  });

  test("what is written in a way that is not understood", async () => {
    const lines = [
      "ics:",
      "  - 5",
      "  - days.ical",
      "  - { fle: days.ics, as: day, titles: '(?=a)', uplift: 2 }",
      "  - { file: days.ics, as: campaigns }",
      "  - { file: days.ics, as: campaigns, uplift: { min: 3, max: 2 } }",
    ];
    expect(messages(await load({ ...calendarFile(...lines), [ics]: events(christmas) }))).toEqual([
      `CFG-008 ${file}:5:9 calendars.c.ics[0] - wants the path of an .ics file, or a mapping with file (got 5). Fix: write school.ics.`,
      `CFG-019 ${file}:6:9 calendars.c.ics[1] - not the name of an iCalendar file (got "days.ical"). ` +
        "Fix: write the path of an .ics file, from the folder of this file.",
      `CFG-018 ${file}:7:9 calendars.c.ics[2].file - missing. ` +
        'Fix: add "file": path of an iCalendar file, from the folder of this file; inside rules/.',
      `CFG-005 ${file}:7:11 calendars.c.ics[2].fle - unknown key. Fix: one of file, as, titles, uplift (did you mean "file"?).`,
      `CFG-019 ${file}:7:30 calendars.c.ics[2].as - unknown value (got "day"). Fix: one of holidays, workdays, campaigns.`,
      `RUL-001 ${file}:7:43 calendars.c.ics[2].titles - not a linear regular expression (got "(?=a)"). ` +
        "Fix: use the RE2 syntax: no look-around, no back-references.",
      `CFG-019 ${file}:7:60 calendars.c.ics[2].uplift - uplift without campaigns (got 2). Fix: add as: campaigns, or remove it.`,
      `CFG-018 ${file}:8:9 calendars.c.ics[3] - campaigns without uplift. Fix: add uplift: 2.5.`,
      `RUL-002 ${file}:9:57 calendars.c.ics[4].uplift.min - more than max, which is 2 (got 3). Fix: exchange them.`,
    ]);
  });

  test("more than twenty files", async () => {
    const loaded = await load({ ...calendarFile(`ics: [${"days.ics, ".repeat(21)}]`), [ics]: events(christmas) });
    expect(messages(loaded)).toEqual([
      `CFG-003 ${file}:4:10 calendars.c.ics - more than 20 files. Fix: join some of them.`,
    ]);
  });
});

test("events with hours are left out of days, with one warning a file; two calendars of one file tell it once", async () => {
  const hours = ["SUMMARY:Evening", "DTSTART:20260501T180000", "DURATION:PT2H"];
  const lines = ["ics: days.ics", "", "# the same once more"].concat("").join("\n    ");
  const twice = `${calendarFile(lines)[file]}  d:\n    zone: Europe/Berlin\n    ics: days.ics\n`;
  const loaded = await load({ [file]: twice, [ics]: events(hours, hours, christmas) });
  expect(messages(loaded)).toEqual([
    `CAL-W13 ${ics}:2:1 - left out: 2 events, "Evening" the first, have hours, and holidays are whole days`,
  ]);
  expect([...loaded.definitions.calendars.keys()]).toEqual(["c", "d"]);
});

test("a file that ends is told sixty days before, as a list of one's own; what a rule repeats has no year", async () => {
  const yearly = ["DTSTART;VALUE=DATE:20200501", "RRULE:FREQ=YEARLY"];
  const at = async (day: string, text: string) => {
    const used = { ...base, "samplers/a.yaml": sampler({ calendar: "c", zone: "Europe/Berlin" }) };
    const files = { ...used, ...calendarFile("ics: days.ics"), [ics]: text };
    return messages(await load(files, { clock: new SimulatedClock(`${day}T12:00:00Z`) })).join();
  };
  expect(await at("2026-10-31", events(christmas, yearly))).toBe("");
  expect(await at("2026-11-01", events(christmas, yearly))).toContain("known until 2026-12-31, which is 60 days away");
  expect(await at("2026-11-01", events(yearly))).toBe("");
});
