/** What there is too little of where a value cannot be judged, in words. */
import type { FieldJudging } from "../core/definitions.ts";
import { counted } from "../core/words.ts";
import { type Cells, type Place, referenceDays, smoothSlots } from "./cells.ts";
import { announcementAt } from "./detectors/announced.ts";
import { slotAt } from "./detectors/rates.ts";
import { alikeMin, daysMin } from "./detectors/references.ts";
import { usualDays, usualDaysMin } from "./detectors/usual.ts";
import type { Kind } from "./kind.ts";

/**
 * `2 days known at this time, 4 needed`, `1 day like today known at this time, 2 needed; 1 more in incidents`. Days count
 * that have something around this time: of a ratio, something that it was measured on.
 */
export function lackingAt(cells: Cells, place: Place, kind: Kind, { denominator }: FieldJudging): string {
  if (kind === "count") {
    return evidenceLacks(cells, place, "", daysMin, (at) => !Number.isNaN(cells.values[at]));
  }
  if (kind === "ratio" && denominator !== undefined) {
    return evidenceLacks(cells, place, ` with ${denominator}`, 0, (at) => slotAt(cells, at) !== null);
  }
  const announcement = announcementAt(cells, place, kind);
  if (announcement?.expect.kind === "like") return "the day that it is to be like is not known at this time";
  if (announcement !== null) {
    const sound = (at: number) => cells.inIncident[at] === 0 && !Number.isNaN(cells.values[at]);
    const days = place.days.filter((cell) => around(place, cell, sound)).length;
    return `${counted(days, "day")} known at this time outside incidents, ${usualDaysMin} needed in a campaign`;
  }
  const known = place.days
    .slice(0, usualDays)
    .filter((cell) => around(place, cell, (at) => !Number.isNaN(cells.values[at])));
  if (known.length >= usualDaysMin) return "too few values right before it are known";
  return `${counted(known.length, "day")} known at this time, ${usualDaysMin} needed`;
}

/** @param min days of any kind that are wanted beside those like today */
function evidenceLacks(cells: Cells, place: Place, what: string, min: number, has: (at: number) => boolean): string {
  const known = (mark: 0 | 1) => (cell: number) =>
    around(place, cell, (at) => cells.inIncident[at] === mark && has(at));
  const days = place.days.slice(0, referenceDays);
  const usable = days.map(known(0));
  const left = days.filter((cell, day) => usable[day] === false && known(1)(cell)).length;
  const any = usable.filter((each) => each).length;
  const alike = usable.filter((each, day) => each && place.alike[day] === true).length;
  const more = left === 0 ? "" : `; ${left} more in incidents`;
  if (any < min) return `${counted(any, "day")} known at this time${what}, ${min} needed${more}`;
  if (alike < alikeMin)
    return `${counted(alike, "day")} like today known at this time${what}, ${alikeMin} needed${more}`;
  return `too little is known of the days before around this time${what}`;
}

function around({ stepMs }: Place, cell: number, holds: (at: number) => boolean): boolean {
  if (cell < 0) return false;
  const reach = smoothSlots(stepMs);
  for (let at = Math.max(0, cell - reach); at <= cell + reach; at += 1) if (holds(at)) return true;
  return false;
}
