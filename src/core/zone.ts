/** Calendar days, wall-clock times and zones: everything that needs the time zone database. */
import { Temporal } from "temporal-polyfill";

/** A wall-clock day and time in some zone. `weekday`: 1 Monday to 7 Sunday. `minuteOfDay`: 0 to 1439. */
export type LocalTime = {
  year: number;
  month: number;
  day: number;
  weekday: number;
  minuteOfDay: number;
};

/** Whether `zone` is an IANA name the machine knows (`Asia/Shanghai`); offsets such as `+08:00` are not names. */
export function isZone(zone: string): boolean {
  return zone === "UTC" || (/^[A-Za-z_]+\/[A-Za-z0-9_+\-/]+$/.test(zone) && supported(zone));
}

function supported(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export function localTime(timeMs: number, zone: string): LocalTime {
  const local = zoned(timeMs, zone);
  return {
    year: local.year,
    month: local.month,
    day: local.day,
    weekday: local.dayOfWeek,
    minuteOfDay: local.hour * 60 + local.minute,
  };
}

/** The calendar day in `zone` that holds `timeMs`, as `2026-11-21`. */
export function localDay(timeMs: number, zone: string): string {
  return zoned(timeMs, zone).toPlainDate().toString();
}

/**
 * The moment that reads the same on the wall clock `days` calendar days before `timeMs`.
 * On days of 23 or 25 hours the distance is not a multiple of 24 h; a wall time that a spring change skips is
 * read an hour later, one that autumn repeats is its first pass ("compatible", RFC 5545).
 */
export function daysBeforeMs(timeMs: number, days: number, zone: string): number {
  return zoned(timeMs, zone).subtract({ days }).epochMilliseconds;
}

/** The moment at which the calendar day in `zone` that holds `timeMs` begins. */
export function startOfDayMs(timeMs: number, zone: string): number {
  return zoned(timeMs, zone).startOfDay().epochMilliseconds;
}

/**
 * The moment of a wall-clock time, given as if it were UTC (`wallMs` = what `Date.UTC(...)` of its digits is).
 * Skipped wall times are read an hour later, repeated ones as their first pass.
 */
export function wallToMs(wallMs: number, zone: string): number {
  const wall = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO("UTC").toPlainDateTime();
  return wall.toZonedDateTime(zone, { disambiguation: "compatible" }).epochMilliseconds;
}

/**
 * Every moment at which the wall clock in `zone` reads `wallMs` (as in {@link wallToMs}): one, two where autumn
 * repeats it, none where spring skips it. `gapEndMs` is then the moment right after the gap, else null.
 */
export function momentsOfWall(wallMs: number, zone: string): { passesMs: readonly number[]; gapEndMs: number | null } {
  const wall = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO("UTC").toPlainDateTime();
  const earlier = wall.toZonedDateTime(zone, { disambiguation: "earlier" });
  const later = wall.toZonedDateTime(zone, { disambiguation: "later" });
  if (!earlier.toPlainDateTime().equals(wall)) {
    return { passesMs: [], gapEndMs: nextTransitionMs(earlier.epochMilliseconds, zone) };
  }
  const passesMs = [...new Set([earlier.epochMilliseconds, later.epochMilliseconds])];
  return { passesMs, gapEndMs: null };
}

/** The wall clock in `zone` at `timeMs`, as if its digits were UTC: the inverse of {@link wallToMs}. */
export function msToWall(timeMs: number, zone: string): number {
  return zoned(timeMs, zone).toPlainDateTime().toZonedDateTime("UTC").epochMilliseconds;
}

/** `2026-11-21 09:30` in `zone`, for people; with seconds where they are not zero. */
export function formatLocal(timeMs: number, zone: string): string {
  const local = zoned(timeMs, zone);
  return `${local.toPlainDate().toString()} ${local.toPlainTime().toString({ smallestUnit: timeMs % 60_000 === 0 ? "minute" : "second" })}`;
}

/** The next moment after `afterMs` at which the clocks of `zone` change, null if none is known. */
export function nextTransitionMs(afterMs: number, zone: string): number | null {
  return zoned(afterMs, zone).getTimeZoneTransition("next")?.epochMilliseconds ?? null;
}

function zoned(timeMs: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(timeMs).toZonedDateTimeISO(zone);
}
