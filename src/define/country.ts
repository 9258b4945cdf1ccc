/**
 * Days off and worked weekends of countries, from libraries: date-holidays computes those of some two hundred countries
 * for any year; China's, which its government shifts every year, come from chinese-days as announced. Loaded only once
 * a calendar names a country: it takes a tenth of a second.
 */
import { createRequire } from "node:module";
import type HolidaysType from "date-holidays";
import { dayMs } from "../core/time.ts";
import { fault, suggestion } from "./fault.ts";

export type CountryDays = {
  readonly holidays: Readonly<Record<string, string>>;
  readonly workdays: Readonly<Record<string, string>>;
  /** Last day for which it is known what is off; null: computed for any year. */
  readonly knownUntil: string | null;
};

type Days = Record<string, string>;

/** History that backtests go over begins here at the earliest. */
export const firstYear = 2000;
export const yearsAhead = 2;

/** Where definitions are read, nothing waits: `import()` would make every reader of a file wait for every other. */
const require = createRequire(import.meta.url);

function library(): typeof HolidaysType {
  const loaded: { default?: typeof HolidaysType } & typeof HolidaysType = require("date-holidays");
  return loaded.default ?? loaded;
}

/** Names that people write for countries whose code is another. */
const nicknames: Readonly<Record<string, string>> = {
  UK: "GB",
  ENGLAND: "GB",
  BRITAIN: "GB",
  USA: "US",
  PRC: "CN",
  CHN: "CN",
  GER: "DE",
  DEUTSCHLAND: "DE",
};

/** @returns what is wrong with country or region, null if nothing is */
export function countryFault(
  country: string,
  region: string | undefined,
): { key: "country" | "region"; text: string } | null {
  const known = new (library())();
  const countries: Record<string, string> = known.getCountries("en");
  if (!Object.hasOwn(countries, country)) {
    const meant = countryMeant(country, countries);
    const fix = `use its code: GB, DE, CN${meant === null ? "" : ` (${meant})`}`;
    return { key: "country", text: fault("CAL-006", "no country whose days off are known", fix) };
  }
  if (region === undefined || hasRegion(known, country, region)) return null;
  const states = Object.keys(known.getStates(country, "en") ?? {});
  const fix = states.length === 0 ? "leave it out" : `one of ${states.join(", ")}`;
  return { key: "region", text: fault("CAL-006", `no region of ${country} with days off of its own`, fix) };
}

function countryMeant(word: string, countries: Readonly<Record<string, string>>): string | null {
  const text = word.trim().toUpperCase();
  const code = Object.hasOwn(nicknames, text) ? nicknames[text] : Object.hasOwn(countries, text) ? text : undefined;
  const byName = Object.entries(countries).find(([, name]) => name.toUpperCase() === text)?.[0];
  const meant = code ?? byName;
  return meant === undefined ? suggestion(text, Object.keys(countries)) : `did you mean "${meant}"?`;
}

function hasRegion(known: HolidaysType, country: string, region: string): boolean {
  const [state = "", part, ...more] = region.split("-");
  if (!Object.hasOwn(known.getStates(country) ?? {}, state) || more.length > 0) return false;
  return part === undefined || Object.hasOwn(known.getRegions(country, state) ?? {}, part);
}

const remembered = new Map<string, CountryDays>();

/** @param country one that {@link countryFault} finds nothing wrong with, as with the region */
export function countryDays(country: string, region: string | undefined, nowMs: number): CountryDays {
  const lastYear = new Date(nowMs).getUTCFullYear() + yearsAhead;
  const key = `${country} ${region ?? ""} ${lastYear}`;
  let days = remembered.get(key);
  if (days === undefined) {
    days =
      country === "CN" && region === undefined ? chinaDays(lastYear) : computed(country, region, firstYear, lastYear);
    remembered.set(key, days);
  }
  return days;
}

function computed(country: string, region: string | undefined, fromYear: number, toYear: number): CountryDays {
  const known = new (library())(country, ...((region?.split("-") ?? []) as [string, string]));
  const holidays: Days = {};
  for (let year = fromYear; year <= toYear; year += 1) {
    for (const { date, name, type, start, end } of known.getHolidays(year, "en")) {
      const lengthMs = end.getTime() - start.getTime();
      // Observances are ordinary days, and so are afternoons off.
      if (type !== "public" || lengthMs < 0.9 * dayMs) continue;
      const first = Date.parse(`${date.slice(0, 10)}T00:00:00Z`);
      for (let day = 0; day < Math.round(lengthMs / dayMs); day += 1) holidays[dayOf(first + day * dayMs)] = name;
    }
  }
  return { holidays, workdays: {}, knownUntil: null };
}

/** `2026-01-02` to `New Year's Day,元旦,1`: English name, Chinese name, days. */
type Announced = { readonly holidays: Days; readonly workdays: Days };

/**
 * What was announced, then what the law says of the years after: the holidays proper, without the days that are shifted
 * for them, until the government has decided.
 */
function chinaDays(lastYear: number): CountryDays {
  const { holidays, workdays }: Announced = require("chinese-days/dist/chinese-days.json");
  const until = Math.max(...Object.keys(holidays).map((day) => Number(day.slice(0, 4))));
  const later = lastYear > until ? computed("CN", undefined, until + 1, lastYear).holidays : {};
  // Children are off on the first of June, and nobody else.
  const lawful = Object.entries(later).filter(([day]) => !day.endsWith("-06-01"));
  const named = (days: Days): [string, string][] =>
    Object.entries(days).map(([day, text]) => [day, text.split(",")[0] as string]);
  return {
    holidays: Object.fromEntries([...named(holidays), ...lawful]),
    workdays: Object.fromEntries(named(workdays).map(([day, name]) => [day, `worked for ${name}`])),
    knownUntil: `${until}-12-31`,
  };
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
