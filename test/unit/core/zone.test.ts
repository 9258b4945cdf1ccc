import { Temporal } from "temporal-polyfill";
import { describe, expect, test } from "vitest";
import {
  daysBeforeMs,
  formatLocal,
  localDay,
  localTime,
  momentsOfWall,
  msToWall,
  nextTransitionMs,
  startOfDayMs,
  wallToMs,
} from "../../../src/core/zone.ts";

// What the zone functions say from remembered offsets, beside what Temporal says of each moment by itself.

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const zoned = (timeMs: number, zone: string) => Temporal.Instant.fromEpochMilliseconds(timeMs).toZonedDateTimeISO(zone);
const plain = (wallMs: number) => zoned(wallMs, "UTC").toPlainDateTime();

function byTemporal(timeMs: number, zone: string): object {
  const local = zoned(timeMs, zone);
  const wall = plain(timeMs);
  const earlier = wall.toZonedDateTime(zone, { disambiguation: "earlier" });
  const later = wall.toZonedDateTime(zone, { disambiguation: "later" });
  const isThere = earlier.toPlainDateTime().equals(wall);
  return {
    wallMs: local.toPlainDateTime().toZonedDateTime("UTC").epochMilliseconds,
    day: local.toPlainDate().toString(),
    local: {
      year: local.year,
      month: local.month,
      day: local.day,
      weekday: local.dayOfWeek,
      minuteOfDay: local.hour * 60 + local.minute,
    },
    text: local.toPlainDateTime().toString({ smallestUnit: "minute" }).replace("T", " "),
    startOfDayMs: local.startOfDay().epochMilliseconds,
    daysBeforeMs: [1, 2, 7, 28, 364].map((days) => local.subtract({ days }).epochMilliseconds),
    fromWallMs: wall.toZonedDateTime(zone, { disambiguation: "compatible" }).epochMilliseconds,
    readings: {
      passesMs: isThere ? [...new Set([earlier.epochMilliseconds, later.epochMilliseconds])] : [],
      gapEndMs: isThere ? null : (earlier.getTimeZoneTransition("next")?.epochMilliseconds ?? null),
    },
  };
}

function byUs(timeMs: number, zone: string): object {
  return {
    wallMs: msToWall(timeMs, zone),
    day: localDay(timeMs, zone),
    local: localTime(timeMs, zone),
    text: formatLocal(timeMs, zone),
    startOfDayMs: startOfDayMs(timeMs, zone),
    daysBeforeMs: [1, 2, 7, 28, 364].map((days) => daysBeforeMs(timeMs, days, zone)),
    fromWallMs: wallToMs(timeMs, zone),
    readings: momentsOfWall(timeMs, zone),
  };
}

describe.each([
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "America/St_Johns",
  // Half an hour, the other way round in the year.
  "Australia/Lord_Howe",
  // None since 1991.
  "Asia/Shanghai",
  // Two changes within a month, which moves.
  "Africa/Casablanca",
  // A winter time that is called summer time, and clocks that change at midnight.
  "Europe/Dublin",
  "America/Santiago",
])("%s", (zone) => {
  test.each([
    "2026-01-15",
    "2026-02-10",
    "2026-03-05",
    "2026-03-26",
    "2026-04-02",
    "2026-09-03",
    "2026-10-01",
    "2026-10-22",
    "2026-10-29",
  ])("the days from %s", (from) => {
    const startMs = Date.parse(`${from}T00:00:00Z`);
    // Steps that meet every quarter of an hour.
    for (let timeMs = startMs; timeMs < startMs + 7 * dayMs; timeMs += 105 * minuteMs) {
      expect({ timeMs, ...byUs(timeMs, zone) }).toEqual({ timeMs, ...byTemporal(timeMs, zone) });
    }
  });

  test("to the millisecond at each change of two years, also asked in the other order", () => {
    const moments: number[] = [];
    let changeMs = nextTransitionMs(Date.parse("2025-01-01T00:00:00Z"), zone);
    while (changeMs !== null && changeMs < Date.parse("2027-01-01T00:00:00Z")) {
      for (const aside of [-dayMs, -hourMs, -hourMs / 2, -1, 0, 1, hourMs / 2, hourMs, dayMs]) {
        moments.push(changeMs + aside);
      }
      changeMs = nextTransitionMs(changeMs, zone);
    }
    for (const timeMs of [...moments, ...moments.toReversed()]) {
      const { text: ours, ...rest } = byUs(timeMs, zone) as { text: string };
      const { text: theirs, ...expected } = byTemporal(timeMs, zone) as { text: string };
      expect({ timeMs, ...rest }).toEqual({ timeMs, ...expected });
      expect(ours.slice(0, theirs.length)).toBe(theirs);
    }
  });
});

test("a day that a zone left out, years before and after everything else that was asked", () => {
  const zone = "Pacific/Apia";
  for (const day of ["2011-12-28", "1975-07-01", "2040-07-01", "2011-12-29", "2011-12-30", "2011-12-31"]) {
    for (let hour = 0; hour < 24; hour += 1) {
      const timeMs = Date.parse(`${day}T00:00:00Z`) + hour * hourMs;
      expect({ timeMs, ...byUs(timeMs, zone) }).toEqual({ timeMs, ...byTemporal(timeMs, zone) });
    }
  }
});

test.each(["Asia/Tokyo", "Asia/Shanghai", "America/Sao_Paulo", "Africa/Casablanca"])(
  "in %s, whose next change is not known, a moment a year and more later is still one",
  (zone) => {
    const nowMs = Date.parse("2027-03-01T00:00:00Z");
    for (let day = 0; day < 800; day += 1) {
      for (const timeMs of [nowMs + day * dayMs, nowMs + day * dayMs - 10 * hourMs]) {
        expect({ timeMs, passes: momentsOfWall(timeMs, zone).passesMs.length }).toEqual({ timeMs, passes: 1 });
      }
    }
  },
);

test("more changes than are remembered are still each as they were", () => {
  for (const year of [...Array.from({ length: 80 }, (_, index) => 1960 + index), 1975, 2001]) {
    for (const month of [0, 6]) {
      const timeMs = Date.UTC(year, month, 15, 12);
      expect(msToWall(timeMs, "Europe/London")).toBe(
        (byTemporal(timeMs, "Europe/London") as { wallMs: number }).wallMs,
      );
    }
  }
});
