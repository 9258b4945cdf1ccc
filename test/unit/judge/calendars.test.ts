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

/** A gauge is meant only where a matcher looks at the field. */
const namedIn = { count: [], gauge: ['field="orders"'] } as const;

describe.each(["count", "gauge"] as const)("a campaign that is to bring 1.8 to 2.5 times as much of a %s", (kind) => {
  const fromMs = london("2027-01-13T12:00");
  const uplift = { kind: "uplift", min: 1.8, max: 2.5 } as const;
  const sale = campaign("2027-01-13T12:00", "2027-01-13T14:00", uplift, namedIn[kind]);
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
    const calendar = calendarWith({
      campaigns: [campaign("2027-01-13T12:00", "2027-01-13T14:00", like, namedIn[kind])],
    });

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

describe("a campaign and what is no count", () => {
  const fromMs = london("2027-01-13T12:00");
  const toMs = fromMs + hourMs;
  const doubled = { kind: "uplift", min: 1.8, max: 2.5 } as const;
  const sale = (expected: Expectation, match: readonly string[] = ['field="orders"']) =>
    calendarWith({ campaigns: [campaign("2027-01-13T12:00", "2027-01-13T13:00", expected, match)] });
  /** Levels of the slots from the campaign's begin until an hour after its end; NaN: no value. */
  const judged = async (calendar: Calendar | null, valueAt: (timeMs: number) => number, kind: "gauge" | "ratio") => {
    await using store = memoryStore();
    const times = Array.from({ length: 28 * 288 + 24 }, (_, slot) => fromMs - (28 * 288 - slot) * stepMs);
    const known = (timesMs: readonly number[]): Point[] =>
      timesMs.flatMap((timeMs) => (Number.isNaN(valueAt(timeMs)) ? [] : [orders(timeMs, valueAt(timeMs))]));
    await store.write(known(times.filter((timeMs) => timeMs < fromMs)));
    const sampler = samplerOf({ stepMs, zone: "Europe/London", judge: { orders: judgingOf({ kind }) } });
    const judge = judgeOn(store, calendar);
    const verdicts: Verdict[] = [];
    for (const timeMs of times.filter((each) => each >= fromMs)) {
      verdicts.push(...(await runSlot(store, judge, sampler, timeMs, known([timeMs]))));
    }
    return verdicts.filter(({ state }) => state !== "missing");
  };
  const noise = (timeMs: number): number => (timeMs / stepMs) % 7;
  const within = (timeMs: number): boolean => timeMs >= fromMs && timeMs < toMs;
  const asEver = (timeMs: number): number => 120 + noise(timeMs) / 5;

  test("that does not name the field means no gauge: a response time is no sale", async () => {
    expect(levels(await judged(sale(doubled, []), asEver, "gauge"))).toEqual(["normal"]);
    expect(levels(await judged(sale(doubled, ['sampler="shop-orders"']), asEver, "gauge"))).toEqual(["normal"]);
    const [verdict] = await judged(sale(doubled, []), asEver, "gauge");
    expect(verdict?.reason).not.toContain("Winter sale");
    expect(levels(await judged(sale(doubled), asEver, "gauge"))).toContain("warning");
  });

  test("that brings so many times as much is no matter of a ratio", async () => {
    expect(levels(await judged(sale(doubled), (timeMs) => 0.97 + noise(timeMs) / 1_000, "ratio"))).toEqual(["normal"]);
  });

  test.each([1, -1])("a level that moves by %i a day is no failure of it, and no over-run", async (step) => {
    const trend = (timeMs: number): number =>
      60 + step * Math.floor((timeMs - fromMs) / (24 * hourMs)) + noise(timeMs) / 100;
    const sold = (timeMs: number): number => trend(timeMs) * (within(timeMs) ? 2 : 1);
    expect(levels(await judged(sale(doubled), sold, "gauge"))).toEqual(["normal"]);
    expect(levels(await judged(sale({ kind: "uplift", min: 1, max: 3 }), trend, "gauge"))).toEqual(["normal"]);
  });

  test("of a constant that stays as it was is told by its third slot, and so is one that does not go back", async () => {
    const [, , third] = await judged(sale(doubled), () => 10, "gauge");
    expect(third).toMatchObject({ level: "warning", direction: "down" });
    const rises = await judged(sale(doubled), (timeMs) => (timeMs < fromMs ? 10 : 20), "gauge");
    expect(levels(rises.slice(0, 12))).toEqual(["normal"]);
    expect(rises[14]).toMatchObject({ level: "critical", direction: "up" });
    const comes = await judged(sale(doubled), (timeMs) => (within(timeMs) ? 20 : 10), "gauge");
    expect(levels(comes)).toEqual(["normal"]);
  });

  test("its values predict nothing after it, also where slots are missing there", async () => {
    const gap = (timeMs: number): number =>
      timeMs >= toMs && timeMs < toMs + 8 * stepMs ? Number.NaN : asEver(timeMs) * (within(timeMs) ? 2 : 1);
    expect(levels(await judged(sale(doubled), gap, "gauge"))).toEqual(["normal"]);
    const half = (timeMs: number): number =>
      timeMs >= toMs && (timeMs / stepMs) % 2 === 0 ? Number.NaN : asEver(timeMs) * (within(timeMs) ? 2 : 1);
    expect(levels(await judged(sale(doubled), half, "gauge"))).toEqual(["normal"]);
  });

  test("of values on both sides of zero reaches as far below as above", async () => {
    const about = (timeMs: number): number => (noise(timeMs) - 3) * (within(timeMs) ? 2.4 : 1);
    const verdicts = await judged(sale({ kind: "uplift", min: 1, max: 3 }), about, "gauge");
    expect(levels(verdicts)).toEqual(["normal"]);
    expect(verdicts[0]?.lower).toBeLessThan(-8.9);
    expect(verdicts[0]?.upper).toBeGreaterThan(8.9);
  });

  test("that is to be like a day that is not known says so", async () => {
    const like = { kind: "like", day: "2026-12-13", daysBefore: 31, scale: 1 } as const;
    const [verdict] = await judged(sale(like), asEver, "gauge");
    expect(verdict).toMatchObject({ level: "unknown" });
    expect(verdict?.reason).toContain("not judged: the day that it is to be like is not known at this time");
  });
});

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
