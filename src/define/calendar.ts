/** `rules/calendars/`: days that are not what their weekday says, and campaigns. */
import { z } from "zod";
import type { Calendar, Campaign, Expectation, Place } from "../core/definitions.ts";
import { dayMs, formatDuration } from "../core/time.ts";
import { formatLocal, localDay, momentsOfWall, wallToMs } from "../core/zone.ts";
import { type CountryDays, countryDays, countryFault } from "./country.ts";
import { fault } from "./fault.ts";
import { icsFaultsMax } from "./icsevents.ts";
import type { IcsCampaign, IcsReading } from "./icsfiles.ts";
import { icsSchema } from "./icskey.ts";
import { across, line, matcher, number, type Report, zone } from "./scalars.ts";
import { checkUplift, uplift, upliftMax, upliftMin } from "./uplift.ts";

const campaignsMax = 1_000;
const campaignDaysMax = 92;

const day = z.iso.date(fault("CFG-019", "not a day of the calendar", "write it as 2026-12-25"));

/** A day's name, or `false` for one that the country has and the writer has not. */
const dayName = z
  .union([z.string(), z.literal(false)], fault("CFG-008", "wants the name of the day, or false", "write it in quotes"))
  .superRefine((value, context) => {
    for (const { message } of value === false ? [] : (line.safeParse(value).error?.issues ?? [])) {
      context.addIssue({ code: "custom", message });
    }
  });
const days = z.record(day, dayName).prefault({});

/** As if the digits were UTC. `whole`: a day without a time. */
type Wall = { readonly wallMs: number; readonly whole: boolean };

const wall = z
  .string()
  .meta({
    pattern: "^\\d{4}-\\d\\d-\\d\\d([ T]\\d\\d:\\d\\d)?$",
    examples: ["2026-11-10 20:00", "2026-11-11"],
  })
  .transform((text, context): Wall => {
    const [, date, time] = /^(\d{4}-\d\d-\d\d)(?:[ T]((?:[01]\d|2[0-3]):[0-5]\d))?$/.exec(text) ?? [];
    if (date !== undefined && day.safeParse(date).success) {
      return { wallMs: Date.parse(`${date}T${time ?? "00:00"}Z`), whole: time === undefined };
    }
    const fix = "write it as 2026-11-10 20:00, or 2026-11-10 for the whole day";
    context.addIssue({ code: "custom", message: fault("CFG-019", "not a day or a time by the wall clock", fix) });
    return z.NEVER;
  });

const expectation = across(
  z.strictObject({
    uplift: uplift.optional().describe("times the usual expectation: 2.5, or { min: 1.8, max: 3 }"),
    like: day.optional().describe("day that the campaign's first day is compared with; the next with the next"),
    scale: number(upliftMin, upliftMax).optional().describe("with like: times what was seen then; default 1"),
  }),
  ({ uplift, like, scale }, report) => {
    const fix = "write { uplift: 2.5 } or { like: 2025-11-11 }";
    if ((uplift === undefined) === (like === undefined)) {
      const what = uplift === undefined ? "neither uplift nor like" : "uplift and like at once";
      report(uplift === undefined ? [] : ["like"], fault(uplift === undefined ? "CFG-018" : "CFG-019", what, fix));
    }
    if (scale !== undefined && like === undefined) {
      report(["scale"], fault("CFG-019", "scale without like", "with uplift, write the product as uplift"));
    }
    checkUplift(uplift, ["uplift"], report);
  },
);

const campaign = across(
  z.strictObject({
    title: line.describe("what people read"),
    from: wall.describe("first moment, by the wall clock of zone: 2026-11-10 20:00, or a day"),
    to: wall.describe("first moment after it; a day without a time is the last day, and whole"),
    match: z
      .array(matcher)
      .prefault([])
      .describe("matchers over sampler, measurement, field, tags and labels, among samplers that name the calendar"),
    expect: expectation.describe("what its numbers should be: uplift, or like another day"),
  }),
  ({ from, to, expect }, report) => checkCampaign(asWall(from), asWall(to), Object(expect).like, report),
);

function asWall(value: unknown): Wall | null {
  return typeof value === "object" && value !== null && "wallMs" in value ? (value as Wall) : null;
}

function checkCampaign(from: Wall | null, to: Wall | null, like: unknown, report: Report): void {
  if (from === null || to === null) return;
  const endMs = endOf(to);
  const lengthMs = endMs - from.wallMs;
  if (lengthMs <= 0) {
    report(["to"], fault("CAL-001", "ends before it begins", "exchange from and to"));
    return;
  }
  const long = tooLong(lengthMs);
  if (long !== null) report(["to"], fault("CAL-001", long.what, long.fix));
  if (typeof like !== "string" || !day.safeParse(like).success) return;
  const daysLong = Math.ceil(endMs / dayMs) - Math.floor(from.wallMs / dayMs);
  if (Date.parse(like) + daysLong * dayMs > Math.floor(from.wallMs / dayMs) * dayMs) {
    const days = daysLong === 1 ? "day" : `${daysLong} days`;
    const what = `the ${days} compared with must be over before the campaign begins`;
    report(["expect", "like"], fault("CAL-003", what, "name an earlier day"));
  }
}

/** What is wrong with the length of a campaign; null if nothing is. */
function tooLong(lengthMs: number): { what: string; fix: string } | null {
  if (lengthMs <= campaignDaysMax * dayMs) return null;
  const fix = "a change that stays needs no campaign; write shorter ones";
  return { what: `lasts ${formatDuration(lengthMs)}, more than ${campaignDaysMax} days`, fix };
}

function endOf({ wallMs, whole }: Wall): number {
  return whole ? wallMs + dayMs : wallMs;
}

export const calendarSchema = across(
  z.strictObject({
    zone: zone.optional().describe("time zone that days and times are in; default: BELLWETHER_ZONE"),
    country: z.string().optional().describe("whose days off and worked weekends hold, by its code: CN, DE, GB"),
    region: z.string().optional().describe("state or part of the country, by its code: ENG, BY, or BY-A"),
    ics: icsSchema
      .optional()
      .describe("iCalendar files whose events of whole days are days off: a path, a mapping with file, or a list"),
    holidays: days.describe("days off, 2026-12-25 to their name; false: no day off, whatever the country says"),
    workdays: days.describe("days worked although they fall on a weekend, to their name; false: not worked"),
    campaigns: z
      .array(campaign)
      .max(campaignsMax, fault("CFG-003", `more than ${campaignsMax} campaigns`, "remove those long over"))
      .prefault([])
      .describe("times in which numbers are expected to differ"),
  }),
  ({ country, region, holidays, workdays }, report) => {
    if (region !== undefined && country === undefined) {
      report(["region"], fault("CFG-018", "region without country", "add country: GB"));
    }
    const off = Object(holidays) as Record<string, unknown>;
    const worked = Object(workdays) as Record<string, unknown>;
    for (const each of Object.keys(worked).filter((each) => Object.hasOwn(off, each))) {
      if (worked[each] === false || off[each] === false) continue;
      report(["workdays", each], fault("CFG-019", "day off and day worked at once", "keep one of the two"));
    }
  },
);

export type CalendarContext = {
  /** Zone of calendars that name none. */
  readonly zone: string;
  readonly nowMs: number;
  /** How long points are stored; undefined: nobody said. */
  readonly keepPointsMs?: number | undefined;
};

type Written = z.output<typeof calendarSchema>;

/**
 * What only the zone, the library of countries and the time of reading can tell about a calendar of which at least the
 * shape is right where it is looked at: paths from the calendar's own mapping, to the text of the fault.
 */
export function calendarFaults(
  value: unknown,
  context: CalendarContext,
  ics: IcsReading,
): [(string | number)[], string][] {
  const found: [(string | number)[], string][] = [...ics.faults];
  for (const text of icsFaults(value, ics)) found.push([["ics"], text]);
  const {
    zone: ownZone = context.zone,
    country,
    region,
    campaigns,
  } = Object(value) as { [K in keyof Written]?: unknown };
  if (typeof country === "string" && (region === undefined || typeof region === "string")) {
    const wrong = countryFault(country, region);
    if (wrong !== null) found.push([[wrong.key], wrong.text]);
  }
  if (!Array.isArray(campaigns) || !zone.safeParse(ownZone).success) return found;
  for (const [index, each] of campaigns.slice(0, campaignsMax).entries()) {
    const { from, to, expect } = Object(each) as { from?: unknown; to?: unknown; expect?: unknown };
    for (const [key, text] of Object.entries({ from, to })) {
      const time = wall.safeParse(text);
      if (!time.success || time.data.whole) continue;
      const { gapEndMs } = momentsOfWall(time.data.wallMs, ownZone as string);
      if (gapEndMs === null) continue;
      const what = `the clock of ${ownZone} skips this time`;
      const fix = `write ${formatLocal(gapEndMs, ownZone as string)}, which comes right after it`;
      found.push([["campaigns", index, key], fault("CAL-005", what, fix)]);
    }
    const lost = likeLost(to, Object(expect).like, ownZone as string, context);
    if (lost !== null) found.push([["campaigns", index, "expect", "like"], lost]);
  }
  return found;
}

/** What stands in iCalendar files and does not fit a calendar, or its own days. */
function* icsFaults(value: unknown, { holidays, workdays, campaigns }: IcsReading): Generator<string> {
  const own = Object(value) as { [K in keyof Written]?: unknown };
  // A day of one's own decides.
  const isOwn = (day: string) => [own.holidays, own.workdays].some((days) => Object.hasOwn(Object(days), day));
  const both = [...workdays].filter(([day]) => holidays.has(day) && !isOwn(day));
  const [first] = both;
  if (first !== undefined) {
    const [day, { place }] = first;
    const which = both.length === 1 ? `${day} is` : `${both.length} days, ${day} the first, are`;
    const fix = "part the events by titles, or write the day under holidays or workdays";
    yield fault("CFG-019", `${which} off and worked at once, see ${place}`, fix);
  }
  const long = campaigns.flatMap(({ title, place, fromWallMs, toWallMs }) => {
    const { what, fix } = tooLong(toWallMs - fromWallMs) ?? {};
    return what === undefined ? [] : [fault("CAL-001", `${JSON.stringify(title)} at ${place} ${what}`, fix)];
  });
  yield* long.slice(0, icsFaultsMax);
  const count = campaigns.length + (Array.isArray(own.campaigns) ? own.campaigns.length : 0);
  if (campaigns.length > 0 && count > campaignsMax) {
    yield fault("CFG-003", `more than ${campaignsMax} campaigns in all (got ${count})`, "remove those long over");
  }
}

/** Whether the day compared with will be gone from the store before the campaign is over. */
function likeLost(to: unknown, like: unknown, zone: string, { nowMs, keepPointsMs }: CalendarContext): string | null {
  const end = wall.safeParse(to);
  if (keepPointsMs === undefined || !end.success || !day.safeParse(like).success) return null;
  const endMs = wallToMs(endOf(end.data), zone);
  if (endMs <= nowMs || endMs - wallToMs(Date.parse(like as string), zone) <= keepPointsMs) return null;
  const what = `points are kept for ${formatDuration(keepPointsMs)}: that day will be gone before the campaign is over`;
  return fault("CAL-004", what, "name a later day, write uplift instead, or raise BELLWETHER_KEEP_POINTS");
}

export function toCalendar(
  written: Written,
  name: string,
  place: Place,
  context: CalendarContext,
  placeOf: (index: number) => Place,
  ics: IcsReading,
): Calendar {
  const own = written.zone ?? context.zone;
  const country = written.country === undefined ? null : countryDays(written.country, written.region, context.nowMs);
  const [off, worked] = [namesOf(ics.holidays), namesOf(ics.workdays)];
  // A day of a file wins over the country's, and one of one's own over both, whichever of the two lists it is in.
  const holidays = merged(merged(country?.holidays, off, worked), written.holidays, written.workdays);
  const workdays = merged(merged(country?.workdays, worked, off), written.workdays, written.holidays);
  const campaigns = [
    ...written.campaigns.map((each, index) => toCampaign(each, own, placeOf(index))),
    ...ics.campaigns.map((each) => toCampaign(writtenOf(each), own, each.place)),
  ].sort((a, b) => a.fromMs - b.fromMs);
  return { name, zone: own, holidays, workdays, knownUntil: knownUntil(written, country, ics), campaigns, place };
}

function namesOf(days: IcsReading["holidays"]): Record<string, string> {
  return Object.fromEntries([...days].map(([day, { title }]) => [day, title]));
}

/** An event as if somebody had written it under `campaigns`. */
function writtenOf({ title, fromWallMs, toWallMs, uplift }: IcsCampaign): z.output<typeof campaign> {
  const at = (wallMs: number): Wall => ({ wallMs, whole: false });
  return { title, from: at(fromWallMs), to: at(toWallMs), match: [], expect: { uplift } };
}

type OwnDays = Readonly<Record<string, string | false>>;

function merged(country: Readonly<Record<string, string>> | undefined, own: OwnDays, other: OwnDays) {
  const days = new Map(Object.entries(country ?? {}));
  for (const each of Object.keys(other)) if (other[each] !== false) days.delete(each);
  for (const [each, name] of Object.entries(own)) {
    if (name === false) days.delete(each);
    else days.set(each, name);
  }
  return Object.fromEntries([...days].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Who writes days of a year knows that year; what a rule repeats nobody wrote down for a year. */
function knownUntil({ holidays, workdays }: Written, country: CountryDays | null, ics: IcsReading): string | null {
  const events = [...ics.holidays, ...ics.workdays];
  const single = events.filter(([, { repeats }]) => !repeats);
  const days = (single.length > 0 ? single : events).map(([day]) => day);
  const last = [...Object.keys(holidays), ...Object.keys(workdays), ...days].sort().at(-1) ?? null;
  const own = last === null ? null : `${last.slice(0, 4)}-12-31`;
  if (country === null) return own;
  if (country.knownUntil === null || own === null) return country.knownUntil;
  return [own, country.knownUntil].sort().at(-1) as string;
}

function toCampaign(written: z.output<typeof campaign>, zone: string, place: Place): Campaign {
  const fromMs = wallToMs(written.from.wallMs, zone);
  const endMs = endOf(written.to);
  // An hour that autumn repeats is in the campaign with both its passes.
  const toMs = momentsOfWall(endMs, zone).passesMs.at(-1) ?? wallToMs(endMs, zone);
  return {
    title: written.title,
    fromMs,
    toMs,
    match: written.match,
    expect: toExpectation(written, fromMs, zone),
    place,
  };
}

function toExpectation({ expect }: z.output<typeof campaign>, fromMs: number, zone: string): Expectation {
  if (expect.like !== undefined) {
    const daysBefore = (Date.parse(localDay(fromMs, zone)) - Date.parse(expect.like)) / dayMs;
    return { kind: "like", day: expect.like, daysBefore, scale: expect.scale ?? 1 };
  }
  if (typeof expect.uplift === "number") return { kind: "uplift", min: expect.uplift, max: expect.uplift };
  return { kind: "uplift", ...(expect.uplift as { min: number; max: number }) };
}
