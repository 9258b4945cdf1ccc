import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sampler } from "../../../src/core/definitions.ts";
import { dueMs, nextSlot, slotsEndingIn } from "../../../src/schedule/cron.ts";
import { costOf } from "../../support/cost.ts";
import { cron, every, iso, sampler } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;
const at = (time: string): number => Date.parse(time);
const ends = (subject: Sampler, from: string, to: string): string[] =>
  iso(slotsEndingIn(subject, at(from), at(to), 10_000).map((slot) => slot.startMs + slot.stepMs));

describe("every: slots are aligned to the epoch", () => {
  const minutes = sampler("m", every(minuteMs));

  test("their ends lie after the first bound, and up to the second", () => {
    expect(slotsEndingIn(minutes, at("2026-11-20T09:00:00Z"), at("2026-11-20T09:02:00Z"), 10)).toEqual([
      { sampler: "m", startMs: at("2026-11-20T09:00:00Z"), stepMs: minuteMs },
      { sampler: "m", startMs: at("2026-11-20T09:01:00Z"), stepMs: minuteMs },
    ]);
    expect(slotsEndingIn(minutes, at("2026-11-20T09:00:00Z"), at("2026-11-20T09:00:59Z"), 10)).toEqual([]);
  });

  test("at most the limit, the oldest first", () => {
    expect(slotsEndingIn(minutes, 0, hourMs, 2).map(({ startMs }) => startMs)).toEqual([0, minuteMs]);
  });

  test("the next slot is the one that is running", () => {
    expect(nextSlot(minutes, at("2026-11-20T09:00:30Z"))?.startMs).toBe(at("2026-11-20T09:00:00Z"));
    expect(nextSlot(minutes, at("2026-11-20T09:01:00Z"))?.startMs).toBe(at("2026-11-20T09:01:00Z"));
  });

  test("however a span is cut into pieces, each slot comes once", () => {
    const property = fc.property(
      fc.constantFrom(1_000, 15_000, minuteMs, 5 * minuteMs, hourMs),
      fc.array(fc.nat(10_000_000), { minLength: 2, maxLength: 20 }),
      (stepMs, cuts) => {
        const subject = sampler("p", every(stepMs));
        const bounds = [...cuts].sort((a, b) => a - b);
        const [first, last] = [bounds[0] as number, bounds.at(-1) as number];
        const pieces = bounds.slice(1).flatMap((to, index) => slotsEndingIn(subject, bounds[index]!, to, 1e6));
        expect(pieces).toEqual(slotsEndingIn(subject, first, last, 1e6));
      },
    );
    fc.assert(property, { numRuns: 50 });
  });
});

describe("active hours: a slot is active if its start is, by the zone's wall clock", () => {
  const weekdays = [1, 2, 3, 4, 5];
  const office = { zone: "Europe/London", weekdays, fromMinute: 8 * 60, toMinute: 17 * 60 };

  test("from Friday's last slot to Monday's first", () => {
    const subject = sampler("a", every(hourMs), { active: office });
    // London is at UTC in November.
    expect(ends(subject, "2026-11-20T15:30:00Z", "2026-11-23T10:00:00Z")).toEqual([
      "2026-11-20T16:00:00Z",
      "2026-11-20T17:00:00Z",
      "2026-11-23T09:00:00Z",
      "2026-11-23T10:00:00Z",
    ]);
  });

  test("opening follows the wall clock over a change to summer time", () => {
    const subject = sampler("a", every(hourMs), { active: office });
    expect(nextSlot(subject, at("2026-03-27T18:00:00Z"))?.startMs).toBe(at("2026-03-30T07:00:00Z"));
    expect(nextSlot(subject, at("2026-10-23T18:00:00Z"))?.startMs).toBe(at("2026-10-26T08:00:00Z"));
  });

  test("the hour that autumn repeats is active twice", () => {
    const night = { zone: "America/New_York", weekdays: [7], fromMinute: 60, toMinute: 90 };
    const subject = sampler("a", every(30 * minuteMs), { active: night });
    expect(ends(subject, "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")).toEqual([
      "2026-11-01T05:30:00Z",
      "2026-11-01T06:30:00Z",
    ]);
  });

  test("odd opening minutes with short steps lose no slot", () => {
    const active = { zone: "Asia/Kathmandu", weekdays: [3], fromMinute: 7, toMinute: 10 };
    const subject = sampler("a", every(minuteMs), { active });
    // Kathmandu is at UTC+5:45.
    expect(ends(subject, "2026-11-17T00:00:00Z", "2026-11-19T00:00:00Z")).toEqual([
      "2026-11-17T18:23:00Z",
      "2026-11-17T18:24:00Z",
      "2026-11-17T18:25:00Z",
    ]);
  });

  test("equal to asking each slot by itself", () => {
    const formatter = new Intl.DateTimeFormat("en-GB", {
      timeZone: "Australia/Lord_Howe",
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
    const open = (timeMs: number): boolean => {
      const parts = Object.fromEntries(formatter.formatToParts(timeMs).map(({ type, value }) => [type, value]));
      const minute = Number(parts.hour) * 60 + Number(parts.minute);
      return ["Sat", "Sun"].includes(parts.weekday as string) && minute >= 95 && minute < 140;
    };
    const active = { zone: "Australia/Lord_Howe", weekdays: [6, 7], fromMinute: 95, toMinute: 140 };
    const subject = sampler("a", every(5 * minuteMs), { active });
    for (const day of ["2026-04-04T00:00:00Z", "2026-10-02T00:00:00Z"]) {
      const fromMs = at(day);
      const starts = Array.from({ length: 900 }, (_, index) => fromMs + index * 5 * minuteMs).filter(open);
      const found = slotsEndingIn(subject, fromMs, fromMs + 900 * 5 * minuteMs, 10_000);
      expect(found.map(({ startMs }) => startMs)).toEqual(starts);
    }
  });

  test("cron slots obey them too, and a schedule that never meets them has no next slot", () => {
    const subject = sampler("a", cron("30 * * * *", "Europe/London"), { active: office });
    expect(nextSlot(subject, at("2026-11-20T17:00:00Z"))?.startMs).toBe(at("2026-11-20T16:30:00Z"));
    expect(nextSlot(subject, at("2026-11-20T17:30:00Z"))?.startMs).toBe(at("2026-11-23T08:30:00Z"));
    expect(nextSlot(sampler("a", cron("0 3 * * *"), { active: office }), at("2026-11-20T17:00:00Z"))).toBeNull();
  });
});

describe("cron: the slot is the window before each firing of the wall clock", () => {
  test.each([
    ["five fields", "0 5 * * *", "UTC", ["2026-11-21T05:00:00Z", "2026-11-22T05:00:00Z"]],
    ["six fields", "15 0 5 * * *", "UTC", ["2026-11-21T05:00:15Z", "2026-11-22T05:00:15Z"]],
    ["in a zone", "0 5 * * *", "Asia/Shanghai", ["2026-11-20T21:00:00Z", "2026-11-21T21:00:00Z"]],
    ["weekday names", "0 5 * * sat", "UTC", ["2026-11-21T05:00:00Z"]],
    ["the last day of the month", "0 5 L * *", "UTC", []],
    ["steps and lists", "0 0,12 */21 * *", "UTC", ["2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z"]],
  ])("%s", (_, expression, zone, expected) => {
    const subject = sampler("c", cron(expression, zone));
    expect(ends(subject, "2026-11-20T12:00:00Z", "2026-11-22T12:00:00Z")).toEqual(expected);
  });

  test("the window ends at the firing", () => {
    const [slot] = slotsEndingIn(
      sampler("c", cron("0 5 * * *")),
      at("2026-11-20T12:00:00Z"),
      at("2026-11-22T00:00:00Z"),
      9,
    );
    expect(slot).toEqual({ sampler: "c", startMs: at("2026-11-21T04:00:00Z"), stepMs: hourMs });
  });

  test("29 February is found over years", () => {
    const next = nextSlot(sampler("c", cron("0 0 29 2 *")), at("2026-11-20T00:00:00Z"));
    expect(iso([next!.startMs + next!.stepMs])).toEqual(["2028-02-29T00:00:00Z"]);
  });

  test("an expression that cannot be read is a Problem", () => {
    expect(() => nextSlot(sampler("c", cron("61 * * * *")), 0)).toThrow(expect.objectContaining({ code: "SCH-001" }));
  });
});

describe("X35 cron over changes of the clock", () => {
  // Expected moments follow from the tz database: New York springs forward at 2026-03-08T07:00Z and falls back at
  // 2026-11-01T06:00Z; Lord Howe moves by 30 minutes at 2026-10-03T15:30Z and 2026-04-04T15:00Z.
  test.each([
    [
      "New York, 02:30 is skipped: once, right after the gap",
      "30 2 * * *",
      "America/New_York",
      "2026-03-07T12:00:00Z",
      "2026-03-10T00:00:00Z",
      ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
    ],
    [
      "New York, several firings inside the gap are one",
      "*/10 2 * * *",
      "America/New_York",
      "2026-03-08T00:00:00Z",
      "2026-03-08T12:00:00Z",
      ["2026-03-08T07:00:00Z"],
    ],
    [
      "New York, a gap's firing meets another: one",
      "0 2,3 * * *",
      "America/New_York",
      "2026-03-08T00:00:00Z",
      "2026-03-08T12:00:00Z",
      ["2026-03-08T07:00:00Z"],
    ],
    [
      "New York, 01:30 comes twice: once, on its first pass",
      "30 1 * * *",
      "America/New_York",
      "2026-10-31T12:00:00Z",
      "2026-11-02T12:00:00Z",
      ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    ],
    [
      "New York, every hour in spring: each hour that passes",
      "5 * * * *",
      "America/New_York",
      "2026-03-08T05:30:00Z",
      "2026-03-08T08:30:00Z",
      ["2026-03-08T06:05:00Z", "2026-03-08T07:05:00Z", "2026-03-08T08:05:00Z"],
    ],
    [
      "New York, every hour in autumn: each hour that passes",
      "5 * * * *",
      "America/New_York",
      "2026-11-01T04:30:00Z",
      "2026-11-01T07:30:00Z",
      ["2026-11-01T05:05:00Z", "2026-11-01T06:05:00Z", "2026-11-01T07:05:00Z"],
    ],
    [
      "Lord Howe, 02:15 is skipped by half an hour",
      "15 2 * * *",
      "Australia/Lord_Howe",
      "2026-10-03T00:00:00Z",
      "2026-10-05T00:00:00Z",
      ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
    ],
    [
      "Lord Howe, 01:45 comes twice",
      "45 1 * * *",
      "Australia/Lord_Howe",
      "2026-04-04T00:00:00Z",
      "2026-04-06T00:00:00Z",
      ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    ],
    [
      "Lord Howe, every quarter in autumn",
      "*/15 * * * *",
      "Australia/Lord_Howe",
      "2026-04-04T14:20:00Z",
      "2026-04-04T15:40:00Z",
      [
        "2026-04-04T14:30:00Z",
        "2026-04-04T14:45:00Z",
        "2026-04-04T15:00:00Z",
        "2026-04-04T15:15:00Z",
        "2026-04-04T15:30:00Z",
      ],
    ],
    [
      "Cairo, midnight is skipped",
      "0 0 * * *",
      "Africa/Cairo",
      "2026-04-23T00:00:00Z",
      "2026-04-24T23:00:00Z",
      ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
    ],
    [
      "Shanghai has no such days",
      "30 2 * * *",
      "Asia/Shanghai",
      "2026-03-07T12:00:00Z",
      "2026-03-09T12:00:00Z",
      ["2026-03-07T18:30:00Z", "2026-03-08T18:30:00Z"],
    ],
  ])("%s", (_, expression, zone, from, to, expected) => {
    const subject = sampler("c", cron(expression, zone));
    expect(ends(subject, from, to)).toEqual(expected);
    // Asked minute by minute, as the scheduler does, it is the same.
    const pieces: string[] = [];
    for (let ms = at(from); ms < at(to); ms += 10 * minuteMs) {
      pieces.push(
        ...iso(slotsEndingIn(subject, ms, Math.min(ms + 10 * minuteMs, at(to)), 10).map((s) => s.startMs + s.stepMs)),
      );
    }
    expect(pieces).toEqual(expected);
  });

  test("every minute through both changes: as many slots as minutes, each once", () => {
    for (const day of ["2026-03-08", "2026-11-01"]) {
      const subject = sampler("c", cron("* * * * *", "America/New_York", minuteMs));
      const found = slotsEndingIn(subject, at(`${day}T00:00:00Z`), at(`${day}T00:00:00Z`) + 24 * hourMs, 10_000);
      expect(found.map(({ startMs }) => startMs)).toEqual(
        Array.from({ length: 1_440 }, (_, index) => at(`${day}T00:00:00Z`) + index * minuteMs),
      );
    }
  });

  test("one that fires each second, sixty times as often as each minute, costs less than sixty times as much to ask for the next", async () => {
    const asked = (expression: string, stepMs: number) => () => {
      const subject = sampler("c", cron(expression, "America/New_York", stepMs));
      for (let slot = 0; slot < 100; slot += 1) {
        const fromMs = at("2026-07-01T09:00:00Z") + slot * stepMs;
        expect(slotsEndingIn(subject, fromMs, fromMs + stepMs, 10)).toHaveLength(1);
      }
    };
    const eachMinute = await costOf(asked("* * * * *", minuteMs));
    expect(await costOf(asked("* * * * * *", 1_000))).toBeLessThan(60 * eachMinute);
  });
});

describe("when a slot may run", () => {
  const slot = (stepMs: number) => ({ sampler: "m", startMs: 0, stepMs });

  test("its end, the delay, and a jitter of at most a tenth of the step and 5 s", () => {
    for (const stepMs of [1_000, 10_000, minuteMs, hourMs]) {
      for (let index = 0; index < 200; index += 1) {
        const jitter = dueMs(sampler(`s${index}`, every(stepMs, 2_000)), slot(stepMs)) - stepMs - 2_000;
        expect(jitter).toBeGreaterThanOrEqual(0);
        expect(jitter).toBeLessThan(Math.min(stepMs / 10, 5_000));
      }
    }
  });

  test("jitter is a sampler's own, slot after slot, and spreads samplers evenly", () => {
    const one = sampler("orders", every(minuteMs));
    const late = (startMs: number) => dueMs(one, { ...slot(minuteMs), startMs }) - startMs;
    expect(late(minuteMs * 7)).toBe(late(0));
    const tenths = Array.from({ length: 1_000 }, (_, index) => {
      return Math.floor((dueMs(sampler(`s${index}`, every(minuteMs)), slot(minuteMs)) - minuteMs) / 500);
    });
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const share = tenths.filter((each) => each === tenth).length;
      expect(share).toBeGreaterThan(60);
      expect(share).toBeLessThan(140);
    }
  });
});
