import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { dayTypeOf } from "../../../src/core/calendar.ts";
import type { Calendar } from "../../../src/core/definitions.ts";
import { dayMs, hourMs } from "../../../src/core/time.ts";
import { type LoadOptions, loadDefinitions } from "../../../src/define/load.ts";
import { DefinitionWatcher } from "../../../src/define/watch.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { base, type Files, folder, load, messages, optionsFor, sampler } from "./support.ts";

const file = "rules/calendars/c.yaml";
const root = join(import.meta.dirname, "../../..");

/** One calendar, `c`; `lines` stand below its name. */
function calendarFile(...lines: readonly string[]): Files {
  return { [file]: `calendars:\n  c:\n${lines.map((line) => `    ${line}\n`).join("")}` };
}

const shop = { ...base, "samplers/a.yaml": sampler({ calendar: "c", zone: "Europe/Berlin" }) };

async function calendar(lines: readonly string[], options: Partial<LoadOptions> = {}): Promise<Calendar> {
  const loaded = await load(calendarFile(...lines), options);
  expect(messages(loaded)).toEqual([]);
  return loaded.definitions.calendars.get("c") as Calendar;
}

function campaigns(...each: readonly string[]): string[] {
  return ["zone: Europe/Berlin", "campaigns:", ...each.map((one) => `- { ${one} }`)];
}

describe("countries", () => {
  // gov.uk/bank-holidays: 2026 for England; Boxing Day is a Saturday.
  test("England has its eight bank holidays of 2026, the substitute day among them", async () => {
    const { holidays, workdays, knownUntil } = await calendar(["country: GB", "region: ENG"]);
    const days = Object.keys(holidays).filter((day) => day.startsWith("2026"));
    const list = ["2026-01-01", "2026-04-03", "2026-04-06", "2026-05-04", "2026-05-25", "2026-08-31"];
    expect(days).toEqual([...list, "2026-12-25", "2026-12-26", "2026-12-28"]);
    expect(workdays).toEqual({});
    expect(knownUntil).toBe(null);
  });

  // Regional: All Saints' Day is a day off in Bavaria and none in Berlin; 8 March the other way round.
  test("Germany's states differ", async () => {
    const bavaria = await calendar(["country: DE", "region: BY"]);
    const berlin = await calendar(["country: DE", "region: BE"]);
    expect([dayTypeOf(bavaria, "2024-11-01"), dayTypeOf(berlin, "2024-11-01")]).toEqual(["holiday", "weekday"]);
    expect([dayTypeOf(bavaria, "2027-03-08"), dayTypeOf(berlin, "2027-03-08")]).toEqual(["weekday", "holiday"]);
    // Half a day, and a day that is kept but worked.
    expect(dayTypeOf(bavaria, "2025-12-24")).toBe("weekday");
    expect(dayTypeOf(bavaria, "2026-02-16")).toBe("weekday");
  });

  // 国务院办公厅关于2026年部分节假日安排的通知 (State Council, November 2025).
  test("China has the days off and the worked weekends that the State Council announced for 2026", async () => {
    const china = await calendar(["zone: Asia/Shanghai", "country: CN"]);
    const span = (month: string, from: number, to: number): string[] =>
      Array.from({ length: to - from + 1 }, (_, day) => `2026-${month}-${String(from + day).padStart(2, "0")}`);
    expect(Object.keys(china.holidays).filter((day) => day.startsWith("2026"))).toEqual([
      ...span("01", 1, 3),
      ...span("02", 15, 23),
      ...span("04", 4, 6),
      ...span("05", 1, 5),
      ...span("06", 19, 21),
      ...span("09", 25, 27),
      ...span("10", 1, 7),
    ]);
    expect(Object.keys(china.workdays).filter((day) => day.startsWith("2026"))).toEqual([
      ...["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"],
    ]);
    expect(dayTypeOf(china, "2026-02-14")).toBe("workday");
    expect(china.holidays["2026-02-17"]).toBe("Spring Festival");
    expect(china.knownUntil).toBe("2026-12-31");
  });

  // The Lunar New Year: 29 January 2025, 17 February 2026, 6 February 2027, 26 January 2028.
  test("the Spring Festival moves with the moon, and is known by law where nothing was announced", async () => {
    const china = await calendar(["country: CN"]);
    for (const day of ["2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26"]) {
      expect(dayTypeOf(china, day), day).toBe("holiday");
    }
    expect(dayTypeOf(china, "2027-02-17")).toBe("weekday");
    expect(dayTypeOf(china, "2027-06-01")).toBe("weekday");
  });

  test("days of one's own win, whichever list they are in", async () => {
    const own = await calendar([
      "country: CN",
      "holidays: { 2026-10-07: false, 2026-05-09: Off after all, 2026-11-12: Company day }",
      "workdays: { 2026-10-06: Stocktaking, 2026-10-10: false, 2026-11-14: Stocktaking, 2026-10-03: Sale }",
    ]);
    const types = (...days: string[]): string[] => days.map((day) => dayTypeOf(own, day));
    expect(types("2026-10-05", "2026-10-06", "2026-10-07", "2026-10-10")).toEqual([
      ...["holiday", "weekday", "weekday", "weekend"],
    ]);
    expect(types("2026-05-09", "2026-11-12", "2026-11-14", "2026-10-03")).toEqual([
      ...["holiday", "holiday", "workday", "workday"],
    ]);
  });
});

describe("campaigns", () => {
  test("become moments: a day's end is its own, a time's end is not in it", async () => {
    const { campaigns: found } = await calendar(
      campaigns(
        "title: days, from: 2026-03-28, to: 2026-03-29, expect: { uplift: 2.5 }",
        "title: times, from: 2026-03-30 20:00, to: 2026-03-30T22:30, expect: { like: 2025-03-28, scale: 1.1 }",
      ),
    );
    expect(found).toMatchObject([
      // 47 hours: the clocks go forward on the 29th.
      { title: "days", fromMs: Date.parse("2026-03-27T23:00Z"), toMs: Date.parse("2026-03-29T22:00Z"), match: [] },
      { title: "times", fromMs: Date.parse("2026-03-30T18:00Z"), toMs: Date.parse("2026-03-30T20:30Z") },
    ]);
    expect(found.map((each) => each.expect)).toEqual([
      { kind: "uplift", min: 2.5, max: 2.5 },
      { kind: "like", day: "2025-03-28", daysBefore: 367, scale: 1.1 },
    ]);
    expect(found[1]?.place).toBe(`${file}:6:7`);
  });

  test("an hour that comes twice is in it twice", async () => {
    const { campaigns: found } = await calendar(
      campaigns("title: night, from: 2026-10-25 02:00, to: 2026-10-25 03:00, expect: { uplift: { min: 0.5, max: 1 } }"),
    );
    expect(found[0]).toMatchObject({ fromMs: Date.parse("2026-10-25T00:00Z"), toMs: Date.parse("2026-10-25T02:00Z") });
  });

  test("stand in the order in which they begin", async () => {
    const { campaigns: found } = await calendar(
      campaigns(
        "title: later, from: 2026-05-02, to: 2026-05-02, expect: { uplift: 2 }",
        "title: earlier, from: 2026-05-01, to: 2026-05-01, expect: { uplift: 2 }",
      ),
    );
    expect(found.map(({ title }) => title)).toEqual(["earlier", "later"]);
  });
});

/** What a person gets wrong in one calendar, and every message it leads to. */
const mistakes: { about: string; lines: readonly string[]; says: readonly string[]; options?: Partial<LoadOptions> }[] =
  [
    {
      about: "the country by its name",
      lines: ["country: Germany"],
      says: [
        `CAL-006 ${file}:3:14 calendars.c.country - no country whose days off are known (got "Germany"). ` +
          'Fix: use its code: GB, DE, CN (did you mean "DE"?).',
      ],
    },
    {
      about: "UK",
      lines: ["country: UK"],
      says: [
        `CAL-006 ${file}:3:14 calendars.c.country - no country whose days off are known (got "UK"). ` +
          'Fix: use its code: GB, DE, CN (did you mean "GB"?).',
      ],
    },
    {
      about: "a region that is none, and one without a country",
      lines: ["country: GB", "region: England"],
      says: [
        `CAL-006 ${file}:4:13 calendars.c.region - no region of GB with days off of its own (got "England"). ` +
          "Fix: one of ALD, ENG, NIR, SCT, WLS.",
      ],
    },
    {
      about: "a region without a country",
      lines: ["region: ENG"],
      says: [`CFG-018 ${file}:3:13 calendars.c.region - region without country (got "ENG"). Fix: add country: GB.`],
    },
    {
      about: "days: one that is none, a name that is none, off and worked at once",
      lines: ["holidays: { 2026-02-30: x, 2026-12-25: yes, 2026-05-01: May }", "workdays: { 2026-05-01: May }"],
      says: [
        `CFG-019 ${file}:3:17 calendars.c.holidays.2026-02-30 - not a day of the calendar. Fix: write it as 2026-12-25.`,
        `CFG-008 ${file}:3:44 calendars.c.holidays.2026-12-25 - wants the name of the day, or false (got yes). Fix: write it in quotes.`,
        `CFG-019 ${file}:4:29 calendars.c.workdays.2026-05-01 - day off and day worked at once (got "May"). Fix: keep one of the two.`,
      ],
    },
    {
      about: "a campaign that ends before it begins, and one at the moment it begins",
      lines: campaigns(
        "title: a, from: 2026-05-02, to: 2026-05-01, expect: { uplift: 2 }",
        "title: b, from: 2026-05-03 10:00, to: 2026-05-03 10:00, expect: { uplift: 2 }",
      ),
      says: [
        `CAL-001 ${file}:5:41 calendars.c.campaigns[0].to - ends before it begins. Fix: exchange from and to.`,
        `CAL-001 ${file}:6:47 calendars.c.campaigns[1].to - ends before it begins. Fix: exchange from and to.`,
      ],
    },
    {
      about: "a campaign of a third of a year",
      lines: campaigns("title: a, from: 2026-01-01, to: 2026-05-01, expect: { uplift: 2 }"),
      says: [
        `CAL-001 ${file}:5:41 calendars.c.campaigns[0].to - lasts 121d, more than 92 days. ` +
          "Fix: a change that stays needs no campaign; write shorter ones.",
      ],
    },
    {
      about: "times that are none",
      lines: campaigns("title: a, from: 2026-02-29, to: 2026-03-01 24:00, expect: { uplift: 2 }"),
      says: ["from", "to"].map((key, index) => {
        // What stands at a key named `to` is not shown: it may be an address.
        const got = key === "to" ? "" : ' (got "2026-02-29")';
        return (
          `CFG-019 ${file}:5:${[25, 41][index]} calendars.c.campaigns[0].${key} - not a day or a time by the wall clock` +
          `${got}. Fix: write it as 2026-11-10 20:00, or 2026-11-10 for the whole day.`
        );
      }),
    },
    {
      about: "a time that spring skips",
      lines: campaigns("title: a, from: 2026-03-29 02:30, to: 2026-03-29, expect: { uplift: 2 }"),
      says: [
        `CAL-005 ${file}:5:25 calendars.c.campaigns[0].from - the clock of Europe/Berlin skips this time ` +
          '(got "2026-03-29 02:30"). Fix: write 2026-03-29 03:00, which comes right after it.',
      ],
    },
    {
      about: "uplifts of nothing, below it, of a thousand, and ranges the wrong way round",
      lines: campaigns(
        "title: a, from: 2026-05-01, to: 2026-05-01, expect: { uplift: 0 }",
        "title: b, from: 2026-05-02, to: 2026-05-02, expect: { uplift: -1 }",
        "title: c, from: 2026-05-03, to: 2026-05-03, expect: { uplift: 1000 }",
        "title: d, from: 2026-05-04, to: 2026-05-04, expect: { uplift: { min: 3, max: 2 } }",
        "title: e, from: 2026-05-05, to: 2026-05-05, expect: { uplift: { min: 0, max: 101 } }",
      ),
      says: [
        ...[
          "(got 0). Fix: write 0.01 or more.",
          "(got -1). Fix: write 0.01 or more.",
          "(got 1000). Fix: write 100 or less.",
        ].map(
          (rest, index) =>
            `RUL-002 ${file}:${5 + index}:71 calendars.c.campaigns[${index}].expect.uplift - ` +
            `wants a number from 0.01 to 100 ${rest}`,
        ),
        `RUL-002 ${file}:8:78 calendars.c.campaigns[3].expect.uplift.min - more than max, which is 2 (got 3). Fix: exchange them.`,
        `RUL-002 ${file}:9:78 calendars.c.campaigns[4].expect.uplift.min - wants a number from 0.01 to 100 (got 0). Fix: write 0.01 or more.`,
        `RUL-002 ${file}:9:86 calendars.c.campaigns[4].expect.uplift.max - wants a number from 0.01 to 100 (got 101). Fix: write 100 or less.`,
      ],
    },
    {
      about: "no expectation, two, and a scale of nothing",
      lines: campaigns(
        "title: a, from: 2026-05-01, to: 2026-05-01, expect: {}",
        "title: b, from: 2026-05-02, to: 2026-05-02, expect: { uplift: 2, like: 2025-05-02 }",
        "title: c, from: 2026-05-03, to: 2026-05-03, expect: { uplift: 2, scale: 2 }",
        "title: d, from: 2026-05-04, to: 2026-05-04",
      ),
      says: [
        `CFG-018 ${file}:5:61 calendars.c.campaigns[0].expect - neither uplift nor like. ` +
          "Fix: write { uplift: 2.5 } or { like: 2025-11-11 }.",
        `CFG-019 ${file}:6:80 calendars.c.campaigns[1].expect.like - uplift and like at once (got "2025-05-02"). ` +
          "Fix: write { uplift: 2.5 } or { like: 2025-11-11 }.",
        `CFG-019 ${file}:7:81 calendars.c.campaigns[2].expect.scale - scale without like (got 2). ` +
          "Fix: with uplift, write the product as uplift.",
        `CFG-018 ${file}:8:7 calendars.c.campaigns[3].expect - missing. ` +
          'Fix: add "expect": what its numbers should be: uplift, or like another day.',
      ],
    },
    {
      about: "a day to compare with that comes later, or is in the campaign itself",
      lines: campaigns(
        "title: a, from: 2026-05-01, to: 2026-05-01, expect: { like: 2027-05-01 }",
        "title: b, from: 2026-05-02, to: 2026-05-03, expect: { like: 2026-05-01 }",
        "title: c, from: 2026-05-04, to: 2026-05-04, expect: { like: 2026-05-03 }",
      ),
      says: [
        `CAL-003 ${file}:5:69 calendars.c.campaigns[0].expect.like - the day compared with must be over before the ` +
          'campaign begins (got "2027-05-01"). Fix: name an earlier day.',
        `CAL-003 ${file}:6:69 calendars.c.campaigns[1].expect.like - the 2 days compared with must be over before the ` +
          'campaign begins (got "2026-05-01"). Fix: name an earlier day.',
      ],
    },
    {
      about: "a day to compare with that will be gone; one of a campaign that is over is left in peace",
      options: { keepPointsMs: 100 * dayMs },
      lines: campaigns(
        "title: a, from: 2026-01-01, to: 2026-01-02, expect: { like: 2025-01-01 }",
        "title: b, from: 2026-05-01, to: 2026-05-01, expect: { like: 2025-05-01 }",
        "title: c, from: 2026-05-02, to: 2026-05-02, expect: { like: 2026-05-01 }",
      ),
      says: [
        `CAL-004 ${file}:6:69 calendars.c.campaigns[1].expect.like - points are kept for 100d: that day will be gone ` +
          'before the campaign is over (got "2025-05-01"). ' +
          "Fix: name a later day, write uplift instead, or raise BELLWETHER_KEEP_POINTS.",
      ],
    },
    {
      about: "a matcher that is none",
      lines: campaigns("title: a, from: 2026-05-01, to: 2026-05-01, match: [shop], expect: { uplift: 2 }"),
      says: [
        `CFG-019 ${file}:5:61 calendars.c.campaigns[0].match[0] - not a matcher (got "shop"). ` +
          'Fix: write label="value", with one of = != =~ !~.',
      ],
    },
  ];

test.each(mistakes)("$about: every fault in one pass, and the calendar left out", async ({ lines, says, options }) => {
  const loaded = await load(calendarFile(...lines), options);
  expect(messages(loaded)).toEqual(says);
  expect(loaded.definitions.calendars.size).toBe(0);
});

describe("campaigns that overlap", () => {
  const one = (title: string, days: string, match: string): string => {
    const [from, to] = days.split("/");
    return `title: ${title}, from: ${from}, to: ${to}, match: [${match}], expect: { uplift: 2 }`;
  };
  const twoSamplers = {
    ...shop,
    "samplers/b.yaml": sampler({
      ...{ name: "apps", calendar: "c", zone: "Europe/Berlin", labels: "{ team: apps }" },
      point: "{ measurement: installs, tags: [country], fields: [n, m] }",
    }),
  };

  test.each([
    ["'sampler=\"shop-orders\"'", "", 'sampler "shop-orders"'],
    ["'sampler=~\"shop-.*\"'", "'sampler=\"apps\"'", null],
    ["'sampler=~\"shop-.*\"'", "'sampler!~\"apps.*\"'", 'sampler "shop-orders"'],
    ["'country=\"Japan\"'", "'country=\"France\"'", null],
    ["'country=\"Japan\"'", "'country!=\"Japan\"'", null],
    ["'country=\"Japan\"'", "'country=~\"J.*\"'", 'sampler "shop-orders"'],
    ["'team=\"apps\"'", "'field=\"n\"'", 'sampler "apps"'],
    ["'field=\"m\"'", "'field=\"n\"'", null],
    ["'team=\"apps\"'", "'measurement=\"orders\"'", null],
  ])("%s and %s: %s", async (a, b, wanted) => {
    const lines = campaigns(one("first", "2026-05-01/2026-05-03", a), one("second", "2026-05-03/2026-05-04", b));
    const loaded = await load({ ...twoSamplers, ...calendarFile(...lines) });
    const says = `CAL-002 ${file}:6:7 - overlaps the campaign "first" at ${file}:5:7; both mean series of ${wanted}. Fix: part them in time, or by match.`;
    expect(messages(loaded)).toEqual(wanted === null ? [] : [says]);
    const left = loaded.definitions.calendars.get("c")?.campaigns.map(({ title }) => title);
    expect(left).toEqual(wanted === null ? ["first", "second"] : ["first"]);
  });

  test("are told before any sampler names the calendar; those that follow each other are not", async () => {
    const lines = campaigns(
      ...[one("first", "2026-05-01/2026-05-03", ""), one("second", "2026-05-02 10:00/2026-05-02 11:00", "")],
      one("third", "2026-05-04/2026-05-04", ""),
    );
    const says = `CAL-002 ${file}:6:7 - overlaps the campaign "first" at ${file}:5:7. Fix: part them in time, or by match.`;
    expect(messages(await load(calendarFile(...lines)))).toEqual([says]);
  });

  test("one that means nothing is told", async () => {
    const lines = campaigns(one("a", "2026-05-01/2026-05-02", "'sampler=\"shop-order\"'"));
    expect(messages(await load({ ...shop, ...calendarFile(...lines) }))).toEqual([
      `CAL-W08 ${file}:5:7 - means nothing that samplers with calendar "c" write. ` +
        "Fix: correct match, or name the calendar in a sampler.",
    ]);
  });
});

describe("samplers and their calendar", () => {
  test("a sampler names it, or has none", async () => {
    const { definitions } = await load({ ...shop, ...calendarFile("zone: Europe/Berlin"), "samplers/b.yaml": "" });
    expect(definitions.samplers.get("shop-orders")?.calendar).toBe("c");
    const without = await load({ ...base, "samplers/a.yaml": sampler() });
    expect(without.definitions.samplers.get("shop-orders")?.calendar).toBe(null);
  });

  test("one that there is not is a fault; one at fault is said, and the sampler runs without", async () => {
    const unknown = await load({ ...shop, ...calendarFile(), [file]: "calendars: { cc: {} }\n" });
    expect(messages(unknown)).toEqual([
      'RUL-003 samplers/a.yaml:8:11 calendar - unknown calendar "c". Fix: one of cc (did you mean "cc"?).',
    ]);
    const faulty = await load({ ...shop, ...calendarFile("country: XX") });
    expect(messages(faulty)[1]).toBe(
      `CFG-W21 samplers/a.yaml:8:11 calendar - calendar "c" is at fault itself, see ${file}:2:3`,
    );
    expect(faulty.definitions.samplers.get("shop-orders")?.calendar).toBe("c");
  });

  test("days that begin at different times are told", async () => {
    const loaded = await load({ ...shop, ...calendarFile("zone: Asia/Shanghai") });
    expect(messages(loaded)).toEqual([
      "CAL-W09 samplers/a.yaml:8:11 calendar - days of the sampler begin in Europe/Berlin, those of the calendar in " +
        "Asia/Shanghai. Fix: set zone: Asia/Shanghai.",
    ]);
    expect(loaded.definitions.samplers.size).toBe(1);
  });
});

describe("a calendar that comes to its end", () => {
  const china = { ...shop, ...calendarFile("zone: Europe/Berlin", "country: CN") };
  const at = async (day: string, files: Files = china): Promise<string[]> =>
    messages(await load(files, { clock: new SimulatedClock(`${day}T12:00:00Z`) }));
  const says = (when: string): string[] => [
    `CAL-W07 ${file}:2:3 - days off and worked weekends are known until 2026-12-31, ${when}. ` +
      "Fix: write those of 2027 under holidays and workdays, or update Bellwether.",
  ];

  test("is told sixty days before, and from then on", async () => {
    expect(await at("2026-10-31")).toEqual([]);
    expect(await at("2026-11-01")).toEqual(says("which is 60 days away"));
    expect(await at("2026-12-30")).toEqual(says("which is 1 days away").map((text) => text.replace("1 days", "1 day")));
    expect(await at("2026-12-31")).toEqual(says("which is today"));
    expect(await at("2027-03-01")).toEqual(says("which is over"));
  });

  test("not while nobody uses it, and not once the next year is written down", async () => {
    expect(await at("2027-03-01", calendarFile("country: CN"))).toEqual([]);
    const written = calendarFile("zone: Europe/Berlin", "country: CN", "workdays: { 2027-02-20: Spring Festival }");
    expect(await at("2026-12-30", { ...shop, ...written })).toEqual([]);
    expect((await at("2027-11-30", { ...shop, ...written }))[0]).toContain("known until 2027-12-31");
  });

  test("nor where every year is computed, and with lists of one's own as their last year ends", async () => {
    expect(await at("2027-03-01", { ...shop, ...calendarFile("zone: Europe/Berlin", "country: DE") })).toEqual([]);
    const own = calendarFile("zone: Europe/Berlin", "holidays: { 2026-12-25: Christmas Day }");
    expect(await at("2027-03-01", { ...shop, ...own })).toEqual(says("which is over"));
    expect(await at("2027-03-01", { ...shop, ...calendarFile("zone: Europe/Berlin") })).toEqual([]);
  });

  test("is told while it runs, although no file has changed", async () => {
    const clock = new SimulatedClock("2026-10-31T12:00:00Z");
    const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const options = { ...optionsFor(folder(china)), clock, log, pollMs: hourMs };
    const watcher = new DefinitionWatcher(options);
    await watcher.reload();
    expect(messages(watcher.current)).toEqual([]);
    const stop = new AbortController();
    let heard: string[] | null = null;
    const running = watcher.run(stop.signal, (loaded) => {
      heard = messages(loaded);
    });
    // The look at the folder takes real time, of which the clock knows nothing.
    for (let hour = 0; hour < 1_000 && heard === null; hour += 1) {
      await clock.advance("1h");
      await sleep(5);
    }
    expect(heard?.[0]).toMatch(/^CAL-W07 .* which is \d+ days away/);
    stop.abort();
    await running;
  });
});

test("the examples that are shipped load, with days off and campaigns", async () => {
  const dir = folder({});
  cpSync(join(root, "rules/calendars"), join(dir, "rules/calendars"), { recursive: true });
  const loaded = await loadDefinitions({ ...optionsFor(dir), keepPointsMs: 400 * dayMs });
  expect(messages(loaded)).toEqual([]);
  const { uk, china } = Object.fromEntries(loaded.definitions.calendars) as Record<"uk" | "china", Calendar>;
  expect([dayTypeOf(uk, "2026-12-28"), dayTypeOf(uk, "2026-12-29")]).toEqual(["holiday", "weekday"]);
  expect([dayTypeOf(china, "2026-10-10"), dayTypeOf(china, "2026-10-11")]).toEqual(["workday", "weekend"]);
  expect([uk.campaigns.length, china.campaigns.length]).toEqual([2, 1]);
});

test("every file on the page loads without a word", async () => {
  const page = readFileSync(join(root, "docs/calendars.md"), "utf8");
  const blocks = [...page.matchAll(/```yaml\n# (\S+\.yaml)\n(.*?)```/gs)];
  const files = Object.fromEntries(blocks.map(([, name, content]) => [name as string, content as string]));
  expect(Object.keys(files)).toEqual([
    "rules/calendars/china.yaml",
    "rules/calendars/bavaria.yaml",
    "rules/calendars/shop.yaml",
    "rules/calendars/school.yaml",
  ]);
  const event = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260501\nEND:VEVENT\nEND:VCALENDAR\n";
  const named = {
    "rules/calendars/term.ics": event,
    "rules/calendars/china.ics": readFileSync(join(root, "node_modules/chinese-days/dist/holidays.ics")),
    "rules/plans/sales.ics": event,
  };
  const loaded = await load({ ...files, ...named }, { keepPointsMs: 400 * dayMs });
  expect(messages(loaded)).toEqual([]);
  const own = loaded.definitions.calendars.get("china") as Calendar;
  const days = ["2026-11-12", "2026-05-05", "2026-11-14", "2026-05-09"];
  expect(days.map((day) => dayTypeOf(own, day))).toEqual(["holiday", "weekday", "workday", "weekend"]);
});
