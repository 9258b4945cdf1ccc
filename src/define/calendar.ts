/** `rules/calendars/`: days that are not what their weekday says. */
import { z } from "zod";
import type { Calendar, Place } from "../core/definitions.ts";
import { fault } from "./fault.ts";
import { across, line, zone } from "./scalars.ts";

const day = z.iso.date(fault("CFG-019", "not a day of the calendar", "write it as 2026-12-25"));
const days = z.record(day, line).prefault({});

export const calendarSchema = across(
  z.strictObject({
    zone: zone.optional().describe("time zone that the days are in; default: BELLWETHER_ZONE"),
    holidays: days.describe("days off, 2026-12-25 to their name"),
    workdays: days.describe("days worked although they fall on a weekend, to their name"),
  }),
  ({ holidays, workdays }, report) => {
    if (typeof holidays !== "object" || typeof workdays !== "object") return;
    for (const each of Object.keys(workdays ?? {}).filter((each) => Object.hasOwn(holidays ?? {}, each))) {
      report(["workdays", each], fault("CFG-019", "day off and day worked at once", "keep one of the two"));
    }
  },
);

export function toCalendar(
  calendar: z.output<typeof calendarSchema>,
  name: string,
  place: Place,
  zone: string,
): Calendar {
  return { name, zone: calendar.zone ?? zone, holidays: calendar.holidays, workdays: calendar.workdays, place };
}
