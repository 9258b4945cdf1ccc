/** Days of all kinds and campaigns, as the judge takes them; through its public doors, on the embedded store. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Calendar, Campaign, Expectation } from "../../../src/core/definitions.ts";
import type { Point, Verdict } from "../../../src/core/model.ts";
import type { TimeSeriesStore } from "../../../src/core/ports.ts";
import { load } from "../define/support.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;
const stepMs = 5 * minuteMs;
const samplerWith = (kind: "count" | "gauge") =>
  samplerOf({ stepMs, zone: "Europe/London", judge: { orders: judgingOf({ kind }) } });
const london = (wall: string): number => Date.parse(`${wall}Z`);

function calendarWith(parts: Partial<Calendar>): Calendar {
  const nothing = { holidays: {}, workdays: {}, knownUntil: null, campaigns: [] };
  return { name: "shop", zone: "Europe/London", place: "rules/calendars/shop.yaml:1:1", ...nothing, ...parts };
}

function campaign(from: string, to: string, expected: Expectation, match: readonly string[] = []): Campaign {
  const place = "rules/calendars/shop.yaml:5:5";
  return { title: "Winter sale", fromMs: london(from), toMs: london(to), match, expect: expected, place };
}

/** 400 orders on working days, 200 on days off, with a little that repeats every 35 minutes. */
function usual(timeMs: number, free: (day: string) => boolean): number {
  const day = new Date(timeMs).toISOString().slice(0, 10);
  return (free(day) ? 200 : 400) + ((timeMs / stepMs) % 7);
}

const weekend = (day: string): boolean => [0, 6].includes(new Date(`${day}T00:00Z`).getUTCDay());

async function past(untilMs: number, days: number, free = weekend): Promise<TimeSeriesStore> {
  const store = memoryStore();
  const points: Point[] = [];
  for (let timeMs = untilMs - days * 24 * hourMs; timeMs < untilMs; timeMs += stepMs) {
    points.push(orders(timeMs, usual(timeMs, free)));
  }
  await store.write(points);
  return store;
}

/** Verdicts of an hour's slots, in order. */
async function hour(
  store: TimeSeriesStore,
  calendar: Calendar | null,
  fromMs: number,
  value: number,
  kind: "count" | "gauge" = "count",
): Promise<Verdict[]> {
  const sampler = samplerWith(kind);
  const judge = judgeOn(store, calendar);
  const verdicts: Verdict[] = [];
  for (let timeMs = fromMs; timeMs < fromMs + hourMs; timeMs += stepMs) {
    verdicts.push(...(await runSlot(store, judge, sampler, timeMs, [orders(timeMs, value + ((timeMs / stepMs) % 7))])));
  }
  return verdicts;
}

const levels = (verdicts: readonly Verdict[]) => [...new Set(verdicts.map(({ level }) => level))];

describe("kinds of days", () => {
  // Friday, 1 January 2027; the weeks before had Monday 28 and Tuesday 29 December off.
  const newYear = london("2027-01-01T12:00");
  const holidays = { "2026-12-28": "Boxing Day", "2026-12-29": "a day more", "2027-01-01": "New Year" };
  const free = (day: string): boolean => weekend(day) || day in holidays;
  let store: TimeSeriesStore;
  beforeAll(async () => {
    store = await past(newYear, 28, free);
  });

  test("a holiday is like the holidays before it", async () => {
    const verdicts = await hour(store, calendarWith({ holidays }), newYear, 200);
    expect(levels(verdicts)).toEqual(["normal"]);
    expect(verdicts[0]?.expected).toBeCloseTo(203, -1);
  });

  test("whom nobody told of it misses half of the orders", async () => {
    expect(levels(await hour(store, null, newYear, 200))).toContain("warning");
  });

  test("a holiday without orders is told all the same", async () => {
    expect((await hour(store, calendarWith({ holidays }), newYear, 0)).at(-1)).toMatchObject({ level: "critical" });
  });

  test("a Saturday that is worked is like any working day", async () => {
    const saturday = london("2027-01-16T12:00");
    const worked = { "2027-01-16": "instead of Monday" };
    const known = await past(saturday, 28, weekend);
    expect(levels(await hour(known, calendarWith({ workdays: worked }), saturday, 400))).toEqual(["normal"]);
    const other = await past(saturday, 28, weekend);
    expect(levels(await hour(other, null, saturday, 400))).toContain("critical");
  });
});

describe.each(["count", "gauge"] as const)("a campaign that is to bring 1.8 to 2.5 times as much of a %s", (kind) => {
  const fromMs = london("2027-01-13T12:00");
  const sale = campaign("2027-01-13T12:00", "2027-01-13T14:00", { kind: "uplift", min: 1.8, max: 2.5 });
  const calendar = calendarWith({ campaigns: [sale] });

  test("is no news while it does, and named", async () => {
    const verdicts = await hour(await past(fromMs, 28), calendar, fromMs, 850, kind);
    expect(levels(verdicts)).toEqual(["normal"]);
    expect(verdicts[0]?.reason).toContain(" expected in Winter sale (");
  });

  test("is told where it fails", async () => {
    const verdicts = await hour(await past(fromMs, 28), calendar, fromMs, 400, kind);
    expect(verdicts.at(-1)).toMatchObject({ level: "warning", direction: "down", sinceMs: fromMs });
  });

  test("is told where it over-runs", async () => {
    const store = await past(fromMs, 28);
    await hour(store, calendar, fromMs, 850, kind);
    await hour(store, calendar, fromMs + hourMs, 850, kind);
    const after = await hour(store, calendar, fromMs + 2 * hourMs, 850, kind);
    expect(after.at(-1)).toMatchObject({ level: "critical", direction: "up", sinceMs: fromMs + 2 * hourMs });
  });

  test("is no reference afterwards", async () => {
    const store = await past(fromMs, 28);
    await hour(store, calendar, fromMs, 850, kind);
    const next = fromMs + 24 * hourMs;
    const missing: Point[] = [];
    for (let timeMs = fromMs + hourMs; timeMs < next; timeMs += stepMs)
      missing.push(orders(timeMs, usual(timeMs, weekend)));
    await store.write(missing);
    const [verdict] = await hour(store, calendar, next, 400, kind);
    expect(verdict?.baseline.days[0]).toMatchObject({ use: "campaign" });
    expect(verdict).toMatchObject({ level: "normal" });
  });

  test("means no other series", async () => {
    const other = { ...sale, match: ['country="DE"'] };
    expect(
      levels(await hour(await past(fromMs, 28), calendarWith({ campaigns: [other] }), fromMs, 850, kind)),
    ).toContain("critical");
  });
});

describe.each(["count", "gauge"] as const)(
  "a campaign of a %s that is to be like a day three weeks ago, and a tenth more",
  (kind) => {
    const fromMs = london("2027-01-13T12:00");
    const like = { kind: "like", day: "2026-12-23", daysBefore: 21, scale: 1.1 } as const;
    const calendar = calendarWith({ campaigns: [campaign("2027-01-13T12:00", "2027-01-13T14:00", like)] });

    async function rushed(): Promise<TimeSeriesStore> {
      const store = await past(fromMs, 28);
      const rush: Point[] = [];
      const thenMs = fromMs - 21 * 24 * hourMs;
      for (let timeMs = thenMs - hourMs; timeMs < thenMs + 2 * hourMs; timeMs += stepMs) {
        rush.push(orders(timeMs, 997 + ((timeMs / stepMs) % 7)));
      }
      await store.write(rush);
      return store;
    }

    test("is expected to be", async () => {
      const verdicts = await hour(await rushed(), calendar, fromMs, 1_100, kind);
      expect(levels(verdicts)).toEqual(["normal"]);
      expect(verdicts[0]?.expected).toBeCloseTo(1_100, -1);
    });

    test("is told where it is not", async () => {
      expect((await hour(await rushed(), calendar, fromMs, 400, kind)).at(-1)).toMatchObject({
        level: "critical",
        direction: "down",
      });
    });
  },
);

describe("a calendar whose days and campaigns stand in an iCalendar file", () => {
  const lines = (title: string, ...more: string[]) => ["BEGIN:VEVENT", `SUMMARY:${title}`, ...more, "END:VEVENT"];
  const whole = (day: string) => `DTSTART;VALUE=DATE:${day}`;

  async function calendarOf(key: string, ...events: readonly string[][]): Promise<Calendar> {
    const { definitions, problems } = await load({
      "rules/calendars/shop.yaml": `calendars: { shop: { zone: Europe/London, ics: ${key} } }\n`,
      "rules/calendars/days.ics": ["BEGIN:VCALENDAR", ...events.flat(), "END:VCALENDAR"].join("\n"),
    });
    expect(problems).toEqual([]);
    return definitions.calendars.get("shop") as Calendar;
  }

  test("takes them as any others: a holiday is like the holidays before it", async () => {
    const newYear = london("2027-01-01T12:00");
    const free = (day: string) => weekend(day) || ["2026-12-28", "2026-12-29", "2027-01-01"].includes(day);
    const calendar = await calendarOf(
      "days.ics",
      lines("Two days off", whole("20261228"), "DTEND;VALUE=DATE:20261230"),
      lines("New Year", whole("20200101"), "RRULE:FREQ=YEARLY"),
    );
    expect(levels(await hour(await past(newYear, 28, free), calendar, newYear, 200))).toEqual(["normal"]);
  });

  test("and a campaign that fails is told, by the name that it has there", async () => {
    const fromMs = london("2027-01-13T12:00");
    const sale = lines("Winter sale", "DTSTART;TZID=Europe/London:20270113T120000", "DURATION:PT2H");
    const calendar = await calendarOf("{ file: days.ics, as: campaigns, uplift: { min: 1.8, max: 2.5 } }", sale);
    const held = await hour(await past(fromMs, 28), calendar, fromMs, 850);
    expect(levels(held)).toEqual(["normal"]);
    expect(held[0]?.reason).toContain(" expected in Winter sale (");
    expect((await hour(await past(fromMs, 28), calendar, fromMs, 400)).at(-1)?.level).toBe("warning");
  });
});
