/** Calendar days, wall-clock times and zones: everything that needs the time zone database. */
import { Temporal } from "temporal-polyfill";
import { dayMs } from "./time.ts";

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
  const wall = new Date(msToWall(timeMs, zone));
  return {
    year: wall.getUTCFullYear(),
    month: wall.getUTCMonth() + 1,
    day: wall.getUTCDate(),
    weekday: wall.getUTCDay() || 7,
    minuteOfDay: wall.getUTCHours() * 60 + wall.getUTCMinutes(),
  };
}

/** The calendar day in `zone` that holds `timeMs`, as `2026-11-21`. */
export function localDay(timeMs: number, zone: string): string {
  return wallDigits(timeMs, zone).slice(0, -"T00:00:00.000Z".length);
}

/**
 * The moment that reads the same on the wall clock `days` calendar days before `timeMs`.
 * On days of 23 or 25 hours the distance is not a multiple of 24 h; a wall time that a spring change skips is
 * read an hour later, one that autumn repeats is its first pass ("compatible", RFC 5545).
 */
export function daysBeforeMs(timeMs: number, days: number, zone: string): number {
  const agoMs = timeMs - days * dayMs;
  if (zone === "UTC") return agoMs;
  const { fromMs, untilMs, offsetMs } = stretchAt(timeMs, zone);
  // As far from any change of offset, nothing was skipped or repeated.
  if (agoMs >= fromMs + dayMs && agoMs < untilMs - dayMs) return agoMs;
  return wallToMs(agoMs + offsetMs, zone);
}

/** The moment at which the calendar day in `zone` that holds `timeMs` begins. */
export function startOfDayMs(timeMs: number, zone: string): number {
  const { passesMs, gap } = readings(Math.floor(msToWall(timeMs, zone) / dayMs) * dayMs, zone);
  return passesMs[0] ?? (gap as Gap).endMs;
}

/**
 * The moment of a wall-clock time, given as if it were UTC (`wallMs` = what `Date.UTC(...)` of its digits is).
 * Skipped wall times are read an hour later, repeated ones as their first pass.
 */
export function wallToMs(wallMs: number, zone: string): number {
  const { passesMs, gap } = readings(wallMs, zone);
  return passesMs[0] ?? wallMs - (gap as Gap).offsetBeforeMs;
}

/**
 * Every moment at which the wall clock in `zone` reads `wallMs` (as in {@link wallToMs}): one, two where autumn
 * repeats it, none where spring skips it. `gapEndMs` is then the moment right after the gap, else null.
 */
export function momentsOfWall(wallMs: number, zone: string): { passesMs: readonly number[]; gapEndMs: number | null } {
  const { passesMs, gap } = readings(wallMs, zone);
  return { passesMs, gapEndMs: gap?.endMs ?? null };
}

/** The wall clock in `zone` at `timeMs`, as if its digits were UTC: the inverse of {@link wallToMs}. */
export function msToWall(timeMs: number, zone: string): number {
  return zone === "UTC" ? timeMs : timeMs + stretchAt(timeMs, zone).offsetMs;
}

/** `2026-11-21 09:30` in `zone`, for people; with seconds where they are not zero. */
export function formatLocal(timeMs: number, zone: string): string {
  const digits = wallDigits(timeMs, zone).replace("T", " ");
  return digits.slice(0, timeMs % 60_000 === 0 ? -":00.000Z".length : -".000Z".length);
}

/** The next moment after `afterMs` at which the clocks of `zone` change, null if none is known. */
export function nextTransitionMs(afterMs: number, zone: string): number | null {
  return zoned(afterMs, zone).getTimeZoneTransition("next")?.epochMilliseconds ?? null;
}

function wallDigits(timeMs: number, zone: string): string {
  return new Date(msToWall(timeMs, zone)).toISOString();
}

/** The wall times that a change of offset leaves out: until `endMs`; before it the zone had `offsetBeforeMs`. */
type Gap = { readonly endMs: number; readonly offsetBeforeMs: number };

/** The moments, ascending, that read `wallMs` in `zone`; where there is none, the gap that it lies in. */
function readings(wallMs: number, zone: string): { passesMs: readonly number[]; gap: Gap | null } {
  if (zone === "UTC") return { passesMs: [wallMs], gap: null };
  const passesMs: number[] = [];
  let gap: Gap | null = null;
  // Stretches whose end is not known overlap.
  let coveredMs = Number.NEGATIVE_INFINITY;
  // No zone is, or was, as much as a day from UTC: whatever reads `wallMs` lies within a day of it.
  for (let stretch = stretchAt(wallMs - dayMs, zone); ; stretch = stretchAt(stretch.untilMs, zone)) {
    const { fromMs, untilMs, offsetMs } = stretch;
    const momentMs = wallMs - offsetMs;
    if (momentMs >= Math.max(fromMs, coveredMs) && momentMs < untilMs) passesMs.push(momentMs);
    coveredMs = untilMs;
    if (untilMs > wallMs + dayMs) return { passesMs, gap: passesMs.length === 0 ? gap : null };
    if (momentMs >= untilMs) gap = { endMs: untilMs, offsetBeforeMs: offsetMs };
  }
}

/** From one change of a zone's offset from UTC until the next: `fromMs <= time < untilMs`. */
type Stretch = { readonly fromMs: number; readonly untilMs: number; readonly offsetMs: number };

/** Where no later change is known, the search looked through three years; it is asked anew after this many days. */
const sureMs = 365 * dayMs;

/** Stretches of one zone that are remembered: 32 years of two changes each. */
const stretchesMax = 64;

/** Asking the zone database is a thousand times dearer than an addition, and leaves much behind to be collected. */
const stretchesOf = new Map<string, Stretch[]>();

function stretchAt(timeMs: number, zone: string): Stretch {
  const known = stretchesOf.get(zone) ?? [];
  for (const stretch of known) if (timeMs >= stretch.fromMs && timeMs < stretch.untilMs) return stretch;
  const local = zoned(timeMs, zone);
  const stretch = {
    // The transition before a moment that is one itself is an earlier one: ask from the next millisecond.
    fromMs: zoned(timeMs + 1, zone).getTimeZoneTransition("previous")?.epochMilliseconds ?? Number.NEGATIVE_INFINITY,
    untilMs: local.getTimeZoneTransition("next")?.epochMilliseconds ?? timeMs + sureMs,
    offsetMs: local.offsetNanoseconds / 1e6,
  };
  stretchesOf.set(zone, [...known.slice(1 - stretchesMax), stretch]);
  return stretch;
}

function zoned(timeMs: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(timeMs).toZonedDateTimeISO(zone);
}
