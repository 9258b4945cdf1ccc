/** What the calendar of a sampler says of a window of one of its series: days out of the ordinary, and campaigns. */
import { type CalendarDay, calendarOf, campaignsIn, dayAt } from "../../core/calendar.ts";
import type { Calendar, Campaign, Definitions } from "../../core/definitions.ts";
import { seriesLabels } from "../../core/labels.ts";
import type { TimeWindow } from "../../core/model.ts";
import { dayMs } from "../../core/time.ts";
import type { Api } from "./api.ts";
import type { ShownSeries } from "./series.ts";
import { moment } from "./views.ts";

/** Of a longer window no days are told. */
const daysMax = 92;
const campaignsMax = 100;

export function calendarView(
  definitions: Definitions,
  { id, sampler }: ShownSeries,
  window: TimeWindow,
): Api["Calendar"] {
  const calendar = calendarOf(definitions, sampler);
  const touching = campaignsIn(calendar, () => seriesLabels(sampler, id), window);
  const isLong = window.toMs - window.fromMs > daysMax * dayMs;
  return {
    days: isLong ? null : daysOf(calendar, sampler.zone, window),
    campaigns: touching.slice(0, campaignsMax).map(campaignView),
    campaignsLeft: Math.max(0, touching.length - campaignsMax),
  };
}

type Days = Omit<CalendarDay, "day" | "type"> & { readonly type: Exclude<CalendarDay["type"], "weekday"> };

function daysOf(
  calendar: Calendar | null,
  zone: string,
  { fromMs, toMs }: TimeWindow,
): NonNullable<Api["Calendar"]["days"]> {
  const found: Days[] = [];
  for (let atMs = fromMs; atMs < toMs; ) {
    const { type, name, startMs, endMs } = dayAt(calendar, zone, atMs);
    atMs = endMs;
    if (type === "weekday") continue;
    const last = found.at(-1);
    const goesOn = last?.endMs === startMs && last.type === type && last.name === name;
    if (goesOn) found.pop();
    found.push({ type, name, startMs: goesOn ? last.startMs : startMs, endMs });
  }
  return found.map(({ type, name, startMs, endMs }) => ({ type, name, from: moment(startMs), to: moment(endMs) }));
}

function campaignView({ title, fromMs, toMs, expect }: Campaign): Api["Calendar"]["campaigns"][number] {
  return {
    ...{ title, from: moment(fromMs), to: moment(toMs) },
    uplift: expect.kind === "uplift" ? { min: expect.min, max: expect.max } : null,
    like: expect.kind === "like" ? { day: expect.day, scale: expect.scale } : null,
  };
}
