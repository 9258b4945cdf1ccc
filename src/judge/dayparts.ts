/** Which parts of which days are alike. */
import { type CalendarDay, dayAt } from "../core/calendar.ts";
import type { Calendar } from "../core/definitions.ts";
import { hourMs } from "../core/time.ts";

/** The pattern of working days and days off fades between these hours of the evening and of the morning. */
const eveningMs = 21 * hourMs;
const morningMs = 6 * hourMs;

/**
 * The kind of the part of a day that holds `timeMs`, to be compared with that of others. Parts of days have kinds, not
 * days: a Saturday's small hours are those of a Friday night. Holidays are a kind of their own, and so are weekends;
 * a weekend that is worked is like any working day.
 * @param calendar null: nothing but the weekday is known
 */
export function dayPart(calendar: Calendar | null, zone: string, timeMs: number): string {
  const today = dayAt(calendar, zone, timeMs);
  const kind = kindOf(today);
  if (timeMs - today.startMs < morningMs) return `morning ${kindOf(dayAt(calendar, zone, today.startMs - 1))} ${kind}`;
  if (timeMs - today.startMs >= eveningMs) return `evening ${kind} ${kindOf(dayAt(calendar, zone, today.endMs))}`;
  return kind;
}

/** Whether `timeMs` lies on a day off. */
export function isFree(calendar: Calendar | null, zone: string, timeMs: number): boolean {
  return kindOf(dayAt(calendar, zone, timeMs)) !== "weekday";
}

function kindOf({ type }: CalendarDay): string {
  return type === "workday" ? "weekday" : type;
}
