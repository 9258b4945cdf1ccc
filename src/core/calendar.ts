/**
 * What a calendar says of a moment: what kind of day it is in, and which campaign runs. Pure; answers are remembered by
 * day, so that asking for every point costs next to nothing.
 */
import type { Calendar, Campaign, Definitions, Sampler } from "./definitions.ts";
import { type Matcher, matchesAll, parseMatcher } from "./labels.ts";
import type { Labels, TimeWindow } from "./model.ts";
import { dayMs, hourMs } from "./time.ts";
import { localDay, startOfDayMs } from "./zone.ts";

/**
 * `weekday` Monday to Friday, `weekend` Saturday and Sunday, `holiday` a day off whatever its weekday, `workday` a
 * Saturday or Sunday that is worked.
 */
export type DayType = "weekday" | "weekend" | "holiday" | "workday";

export type CalendarDay = {
  /** `2026-11-21` */
  readonly day: string;
  readonly type: DayType;
  /** What the calendar calls a holiday or a workday; null for others. */
  readonly name: string | null;
  /** The day is `[startMs, endMs)`: 23 or 25 hours where the clocks change. */
  readonly startMs: number;
  readonly endMs: number;
};

/** Days remembered per calendar and zone before the memory starts anew: about ten years. */
const daysMax = 4_000;

/** Per calendar: zone -> UTC day since the epoch -> the one to three calendar days that it touches, in order. */
const days = new WeakMap<object, Map<string, Map<number, readonly CalendarDay[]>>>();
const noCalendar = {};

/**
 * The calendar day that holds `timeMs` by the wall clock of `zone`.
 * @param calendar null: nothing but the weekday is known
 */
export function dayAt(calendar: Calendar | null, zone: string, timeMs: number): CalendarDay {
  const byZone = remembered(days, calendar ?? noCalendar, () => new Map<string, Map<number, readonly CalendarDay[]>>());
  const byDay = remembered(byZone, zone, () => new Map<number, readonly CalendarDay[]>());
  const utcDay = Math.floor(timeMs / dayMs);
  let touched = byDay.get(utcDay);
  if (touched === undefined) {
    if (byDay.size >= daysMax) byDay.clear();
    touched = daysOf(calendar, zone, utcDay * dayMs);
    byDay.set(utcDay, touched);
  }
  for (const day of touched) if (timeMs < day.endMs) return day;
  return touched.at(-1) as CalendarDay;
}

/** The calendar that a sampler names; null: it names none. */
export function calendarOf({ calendars }: Definitions, { calendar }: Sampler): Calendar | null {
  return calendar === null ? null : (calendars.get(calendar) ?? null);
}

/** {@link dayAt}, the kind of day alone. */
export function dayTypeAt(calendar: Calendar | null, zone: string, timeMs: number): DayType {
  return dayAt(calendar, zone, timeMs).type;
}

/** The kind of a day by its name, `2026-11-21`. */
export function dayTypeOf(calendar: Calendar | null, day: string): DayType {
  if (calendar !== null && Object.hasOwn(calendar.holidays, day)) return "holiday";
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
  if (weekday !== 0 && weekday !== 6) return "weekday";
  return calendar !== null && Object.hasOwn(calendar.workdays, day) ? "workday" : "weekend";
}

function daysOf(calendar: Calendar | null, zone: string, fromMs: number): CalendarDay[] {
  const found: CalendarDay[] = [];
  let startMs = startOfDayMs(fromMs, zone);
  do {
    const day = localDay(startMs, zone);
    // Days last 23 to 25 hours, and a zone may skip one: half a day later is always within the next.
    const endMs = startOfDayMs(startMs + 36 * hourMs, zone);
    const type = dayTypeOf(calendar, day);
    const name = type === "holiday" ? calendar?.holidays[day] : type === "workday" ? calendar?.workdays[day] : null;
    found.push({ day, type, name: name ?? null, startMs, endMs });
    startMs = endMs;
  } while (startMs < fromMs + dayMs);
  return found;
}

type CampaignDays = Map<number, readonly Campaign[]>;
const campaignDays = new WeakMap<Calendar, CampaignDays>();
const matchersOf = new WeakMap<Campaign, readonly Matcher[]>();
const none: readonly Campaign[] = [];

/**
 * The campaign that runs at `timeMs` and means what `subject` describes; null if none does. There is one at most:
 * campaigns of one series that overlap are a fault of the definition.
 * @param subject what rules' matchers see of a series: `sampler`, `measurement`, `field`, its tags, its sampler's labels
 */
export function campaignAt(calendar: Calendar | null, subject: Labels, timeMs: number): Campaign | null {
  if (calendar === null || calendar.campaigns.length === 0) return null;
  const byDay = remembered(campaignDays, calendar, (): CampaignDays => new Map());
  const utcDay = Math.floor(timeMs / dayMs);
  let near = byDay.get(utcDay);
  if (near === undefined) {
    if (byDay.size >= daysMax) byDay.clear();
    const touching = calendar.campaigns.filter(
      ({ fromMs, toMs }) => fromMs < (utcDay + 1) * dayMs && toMs > utcDay * dayMs,
    );
    near = touching.length === 0 ? none : touching;
    byDay.set(utcDay, near);
  }
  const runs = (each: Campaign): boolean => each.fromMs <= timeMs && timeMs < each.toMs && means(each, subject);
  return near.length === 0 ? null : (near.find(runs) ?? null);
}

/** Whether a campaign is meant for what `subject` describes, whenever it runs. */
export function means(campaign: Campaign, subject: Labels): boolean {
  if (campaign.match.length === 0) return true;
  return matchesAll(matchersIn(campaign), subject);
}

/** Whether one of its matchers looks at the field. */
export function namesField(campaign: Campaign): boolean {
  return matchersIn(campaign).some(({ label }) => label === "field");
}

function matchersIn(campaign: Campaign): readonly Matcher[] {
  return remembered(matchersOf, campaign, () => campaign.match.map(parseMatcher));
}

/** Campaigns that touch the window and are meant for what `subject` describes, which is asked only where some touch it. */
export function campaignsIn(
  calendar: Calendar | null,
  subject: () => Labels,
  { fromMs, toMs }: TimeWindow,
): readonly Campaign[] {
  const touching = (calendar?.campaigns ?? []).filter((each) => each.fromMs < toMs && each.toMs > fromMs);
  if (touching.length === 0) return none;
  const labels = subject();
  return touching.filter((each) => means(each, labels));
}

type Memory<K, V> = { get(key: K): V | undefined; set(key: K, value: V): unknown };

function remembered<K, V>(memory: Memory<K, V>, key: K, make: () => V): V {
  const known = memory.get(key);
  if (known !== undefined) return known;
  const made = make();
  memory.set(key, made);
  return made;
}
