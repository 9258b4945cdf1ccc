import { describe, expect, test } from "vitest";
import {
  deadline,
  floorToStep,
  formatDuration,
  formatTimeUtc,
  parseDurationMs,
  parseTimeMs,
  timeLeftMs,
} from "../../../src/core/time.ts";
import {
  daysBeforeMs,
  formatLocal,
  isZone,
  localTime,
  msToWall,
  startOfDayMs,
  wallToMs,
} from "../../../src/core/zone.ts";

describe("a duration needs a unit", () => {
  test.each([
    ["90s", 90_000],
    ["1m", 60_000],
    ["1h30m", 5_400_000],
    ["7d", 604_800_000],
    ["250ms", 250],
    ["1.5h", 5_400_000],
    ["5", undefined],
    ["-1m", undefined],
    ["1m ", undefined],
    ["1e9h", undefined],
    ["", undefined],
  ])("%s is %s ms", (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });
});

test.each([
  [0, "0ms"],
  [250, "250ms"],
  [45_000, "45s"],
  [90_000, "1m30s"],
  [5_400_000, "1h30m"],
  [90_061_000, "1d1h"],
  [259_200_000, "3d"],
])("%d ms is written %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

describe("a time names its zone or is before now", () => {
  const nowMs = Date.parse("2026-11-21T12:00:00Z");
  test.each([
    ["2026-11-21T09:30:00Z", "2026-11-21T09:30:00Z"],
    ["2026-11-21T09:30+08:00", "2026-11-21T01:30:00Z"],
    ["now", "2026-11-21T12:00:00Z"],
    ["now-2h", "2026-11-21T10:00:00Z"],
  ])("%s", (text, iso) => {
    expect(formatTimeUtc(parseTimeMs(text, nowMs))).toBe(iso);
  });
  test.each(["2026-11-21T09:30:00", "yesterday", "now-2", "2026-11-31T99:00Z"])("%s is refused", (text) => {
    expect(() => parseTimeMs(text, nowMs)).toThrow("not a time");
  });
});

test("slots are aligned to the epoch", () => {
  expect(floorToStep(119_999, 60_000)).toBe(60_000);
  expect(floorToStep(-1, 60_000)).toBe(-60_000);
});

describe("calendar days follow the wall clock", () => {
  // 2026-03-08 has 23 hours in New York, 2026-11-01 has 25 (IANA tzdb).
  test.each([
    ["America/New_York", "2026-03-09T14:00:00Z", 1, "2026-03-08T14:00:00Z"],
    ["America/New_York", "2026-03-09T14:00:00Z", 2, "2026-03-07T15:00:00Z"],
    ["America/New_York", "2026-11-02T15:00:00Z", 2, "2026-10-31T14:00:00Z"],
    ["America/New_York", "2026-03-09T06:30:00Z", 1, "2026-03-08T07:30:00Z"], // 02:30 is skipped: 03:30
    ["Asia/Shanghai", "2026-03-09T14:00:00Z", 2, "2026-03-07T14:00:00Z"],
    ["Australia/Lord_Howe", "2026-04-06T02:00:00Z", 2, "2026-04-04T01:30:00Z"], // 30 minutes
  ])("in %s, %s minus %d days", (zone, from, days, to) => {
    expect(formatTimeUtc(daysBeforeMs(Date.parse(from), days, zone))).toBe(to);
  });

  test("a wall time that autumn repeats is its first pass, one that spring skips an hour later", () => {
    expect(formatTimeUtc(wallToMs(Date.UTC(2026, 10, 1, 1, 30), "America/New_York"))).toBe("2026-11-01T05:30:00Z");
    expect(formatTimeUtc(wallToMs(Date.UTC(2026, 2, 8, 2, 30), "America/New_York"))).toBe("2026-03-08T07:30:00Z");
    expect(msToWall(Date.parse("2026-11-21T00:00:00Z"), "Asia/Shanghai")).toBe(Date.UTC(2026, 10, 21, 8));
  });

  test("a time for people has seconds only where they are not zero", () => {
    expect(formatLocal(Date.parse("2026-06-17T11:05:00Z"), "Europe/London")).toBe("2026-06-17 12:05");
    expect(formatLocal(Date.parse("2026-06-17T11:05:05Z"), "Europe/London")).toBe("2026-06-17 12:05:05");
  });

  test("weekday, minute of the day and start of the day", () => {
    const timeMs = Date.parse("2026-11-22T17:05:00Z");
    expect(localTime(timeMs, "Asia/Shanghai")).toMatchObject({ day: 23, weekday: 1, minuteOfDay: 65 });
    expect(formatTimeUtc(startOfDayMs(timeMs, "Asia/Shanghai"))).toBe("2026-11-22T16:00:00Z");
  });
});

test.each([
  ["UTC", true],
  ["Asia/Shanghai", true],
  ["GMT+8", false],
  ["Beijing", false],
  ["+08:00", false],
  ["Mars/Olympus", false],
])("%s as a zone: %s", (zone, known) => {
  expect(isZone(zone)).toBe(known);
});

test("a deadline knows how long it has, and is no later than the one above it", () => {
  expect(timeLeftMs(new AbortController().signal)).toBe(Number.POSITIVE_INFINITY);
  const above = deadline(1_000);
  expect(timeLeftMs(above)).toBeLessThanOrEqual(1_000);
  expect(timeLeftMs(above)).toBeGreaterThan(900);
  expect(timeLeftMs(deadline(60_000, above))).toBeLessThanOrEqual(1_000);
  expect(timeLeftMs(deadline(10, above))).toBeLessThanOrEqual(10);
  expect(timeLeftMs(deadline(10, new AbortController().signal))).toBeLessThanOrEqual(10);
});
