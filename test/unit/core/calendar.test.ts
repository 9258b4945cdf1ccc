import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { campaignAt, type DayType, dayAt, dayTypeAt, dayTypeOf, means } from "../../../src/core/calendar.ts";
import type { Calendar, Campaign } from "../../../src/core/definitions.ts";
import { dayMs, hourMs } from "../../../src/core/time.ts";
import { costOf } from "../../support/cost.ts";

function calendar(parts: Partial<Calendar> = {}): Calendar {
  const days = { holidays: {}, workdays: {}, knownUntil: null };
  return { name: "c", zone: "Asia/Shanghai", ...days, campaigns: [], place: "c.yaml:2:3", ...parts };
}

function campaign(from: string, to: string, match: readonly string[] = []): Campaign {
  const expect = { kind: "uplift", min: 2, max: 2 } as const;
  return { title: from, fromMs: Date.parse(from), toMs: Date.parse(to), match, expect, place: "c.yaml:4:7" };
}

/** What day it is, by the machine's own library and not by ours. */
function intlDay(timeMs: number, zone: string): { day: string; weekend: boolean } {
  const format = new Intl.DateTimeFormat("en-US", {
    ...({ timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", weekday: "short" } as const),
  });
  const parts = Object.fromEntries(format.formatToParts(timeMs).map(({ type, value }) => [type, value]));
  return { day: `${parts.year}-${parts.month}-${parts.day}`, weekend: /^S/.test(parts.weekday as string) };
}

const zones = ["Europe/Berlin", "Australia/Lord_Howe", "America/New_York", "Asia/Shanghai", "Asia/Kathmandu", "UTC"];
/** Around changes of the clock, the turn of years, 29 February and the Lunar New Year. */
const turns = ["2024-02-29", "2025-12-31", "2026-02-17", "2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04"]
  .concat(["2026-10-25", "2026-11-01", "2027-02-06", "2028-02-29"])
  .map((day) => Date.parse(`${day}T00:00:00Z`));

describe("the day that holds a moment", () => {
  test.each(zones)("is the one that Intl says, whatever was asked before: %s", (zone) => {
    const moment = fc.oneof(
      fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2038, 0, 1) }),
      fc
        .tuple(fc.constantFrom(...turns), fc.integer({ min: -36 * hourMs, max: 36 * hourMs }))
        .map(([at, by]) => at + by),
    );
    fc.assert(
      fc.property(moment, (timeMs) => {
        const { day, type, startMs, endMs } = dayAt(null, zone, timeMs);
        const wanted = intlDay(timeMs, zone);
        expect({ day, type }).toEqual({ day: wanted.day, type: wanted.weekend ? "weekend" : "weekday" });
        expect(startMs <= timeMs && timeMs < endMs).toBe(true);
        expect(intlDay(startMs, zone).day).toBe(day);
        expect(intlDay(startMs - 1, zone).day).not.toBe(day);
        expect(intlDay(endMs - 1, zone).day).toBe(day);
        expect(intlDay(endMs, zone).day).not.toBe(day);
      }),
      { numRuns: 400 },
    );
  });

  test.each([
    ["Europe/Berlin", "2026-03-29T10:00:00Z", 23],
    ["Europe/Berlin", "2026-10-25T10:00:00Z", 25],
    ["America/New_York", "2026-03-08T15:00:00Z", 23],
    ["America/New_York", "2026-11-01T15:00:00Z", 25],
    ["Australia/Lord_Howe", "2026-04-05T00:00:00Z", 24.5],
    ["Australia/Lord_Howe", "2026-10-04T00:00:00Z", 23.5],
    ["Asia/Shanghai", "2026-03-29T10:00:00Z", 24],
  ])("%s: the day of %s has %d hours", (zone, at, hours) => {
    const { startMs, endMs } = dayAt(null, zone, Date.parse(at));
    expect((endMs - startMs) / hourMs).toBe(hours);
  });

  test("a zone that left out a day has none", () => {
    const { day, endMs } = dayAt(null, "Pacific/Apia", Date.parse("2011-12-30T09:00:00Z"));
    expect(day).toBe("2011-12-29");
    expect(dayAt(null, "Pacific/Apia", endMs).day).toBe("2011-12-31");
  });
});

describe("the kind of a day", () => {
  const holidays = { "2026-02-17": "Spring Festival", "2026-02-21": "Spring Festival", "2024-02-29": "Leap day" };
  const workdays = { "2026-02-14": "worked for Spring Festival", "2026-02-25": "on a Wednesday anyhow" };
  const china = calendar({ holidays, workdays });

  test.each<[string, DayType, string | null]>([
    ["2026-02-13", "weekday", null],
    ["2026-02-14", "workday", "worked for Spring Festival"],
    ["2026-02-15", "weekend", null],
    ["2026-02-17", "holiday", "Spring Festival"],
    ["2026-02-21", "holiday", "Spring Festival"],
    ["2026-02-25", "weekday", null],
    ["2024-02-29", "holiday", "Leap day"],
    ["2028-02-29", "weekday", null],
  ])("%s is a %s", (day, type, name) => {
    const noonMs = Date.parse(`${day}T12:00:00+08:00`);
    expect(dayAt(china, "Asia/Shanghai", noonMs)).toMatchObject({ day, type, name });
    expect(dayTypeAt(china, "Asia/Shanghai", noonMs)).toBe(type);
    expect(dayTypeOf(china, day)).toBe(type);
  });

  test("begins and ends with the day in the zone asked for", () => {
    const eve = Date.parse("2026-02-16T16:00:00Z");
    expect(dayTypeAt(china, "Asia/Shanghai", eve - 1)).toBe("weekday");
    expect(dayTypeAt(china, "Asia/Shanghai", eve)).toBe("holiday");
    expect(dayTypeAt(china, "Europe/Berlin", eve)).toBe("weekday");
    expect(dayTypeAt(china, "Asia/Shanghai", eve + dayMs - 1)).toBe("holiday");
    expect(dayTypeAt(china, "Asia/Shanghai", eve + dayMs)).toBe("weekday");
  });

  test("another calendar of the same name, and none, are asked for themselves", () => {
    const noonMs = Date.parse("2026-02-17T12:00:00+08:00");
    expect(dayTypeAt(china, "Asia/Shanghai", noonMs)).toBe("holiday");
    expect(dayTypeAt(calendar(), "Asia/Shanghai", noonMs)).toBe("weekday");
    expect(dayTypeAt(null, "Asia/Shanghai", noonMs)).toBe("weekday");
  });

  test("names that objects carry anyhow are no days off", () => {
    expect(dayTypeOf(calendar(), "toString")).not.toBe("holiday");
  });
});

describe("campaigns", () => {
  const germany = { sampler: "shop-orders", measurement: "orders", field: "orders", country: "Germany" };
  const first = campaign("2026-11-10T12:00:00Z", "2026-11-11T16:00:00Z", ['country="Germany"']);
  const second = campaign("2026-11-11T16:00:00Z", "2026-11-12T00:00:00Z");
  const other = campaign("2026-11-10T12:00:00Z", "2026-11-11T16:00:00Z", ['country="France"']);
  const shop = calendar({ campaigns: [first, other, second] });

  test.each([
    ["2026-11-10T11:59:59.999Z", null],
    ["2026-11-10T12:00:00Z", first],
    ["2026-11-11T15:59:59.999Z", first],
    ["2026-11-11T16:00:00Z", second],
    ["2026-11-11T23:59:59.999Z", second],
    ["2026-11-12T00:00:00Z", null],
    ["2025-11-11T12:00:00Z", null],
  ])("at %s: its beginning is in it, its end is not", (at, wanted) => {
    expect(campaignAt(shop, germany, Date.parse(at))).toBe(wanted);
  });

  test("mean series that their matchers hold for", () => {
    const at = Date.parse("2026-11-10T13:00:00Z");
    expect(campaignAt(shop, { ...germany, country: "France" }, at)).toBe(other);
    expect(campaignAt(shop, { ...germany, country: "Japan" }, at)).toBe(null);
    expect(campaignAt(null, germany, at)).toBe(null);
    expect(means(second, {})).toBe(true);
  });

  test("agree with looking at each of them, at any moment", () => {
    const hour = fc.integer({ min: 0, max: 24 * 40 });
    const some = fc.array(fc.tuple(hour, fc.integer({ min: 1, max: 100 })), { maxLength: 8 });
    fc.assert(
      fc.property(some, fc.array(hour, { minLength: 1, maxLength: 20 }), (spans, hours) => {
        const startMs = Date.UTC(2026, 1, 1);
        const iso = (at: number): string => new Date(startMs + at * hourMs).toISOString();
        const campaigns = spans.map(([from, length]) => campaign(iso(from), iso(from + length)));
        const asked = calendar({ campaigns });
        for (const at of hours) {
          const timeMs = startMs + at * hourMs;
          const wanted = campaigns.find(({ fromMs, toMs }) => fromMs <= timeMs && timeMs < toMs) ?? null;
          expect(campaignAt(asked, {}, timeMs)).toBe(wanted);
        }
      }),
    );
  });
});

test("what 50,000 series ask of a calendar of years costs little more than of one of days", async () => {
  const subject = { sampler: "shop-orders" };
  const nowMs = Date.parse("2026-11-10T12:00:00Z");
  const asked = (days: number) => {
    const startMs = (day: number): number => nowMs - (days - day) * dayMs;
    const iso = (timeMs: number): string => new Date(timeMs).toISOString();
    const shop = calendar({
      holidays: Object.fromEntries(Array.from({ length: days }, (_, day) => [iso(startMs(day)), "x"])),
      campaigns: Array.from({ length: days }, (_, day) => campaign(iso(startMs(day)), iso(startMs(day) + hourMs))),
    });
    return (): void => {
      let found = 0;
      for (let series = 0; series < 50_000; series += 1) {
        // The slot at hand, and one of the seven days that it is compared with.
        for (const timeMs of [nowMs, nowMs - (series % 8) * dayMs]) {
          if (dayTypeAt(shop, "Asia/Shanghai", timeMs) === "weekday") found += 1;
          if (campaignAt(shop, subject, timeMs) !== null) found += 1;
        }
      }
      expect(found).toBeGreaterThan(50_000);
    };
  };
  expect(await costOf(asked(2_000))).toBeLessThan(4 * (await costOf(asked(10))));
});
