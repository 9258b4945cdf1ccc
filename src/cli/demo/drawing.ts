/** Pure: days of an imagined shop, drawn from the days of a real one. See `demo/README.md` for why and how. */
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { mersenne } from "pure-rand/generator/mersenne";
import { dayMs } from "../../core/time.ts";
import { msToWall } from "../../core/zone.ts";
import { type RealDay, weekdayOf } from "./invoices.ts";

/** The shop's wall clock: what its database's times mean. */
export const shopZone = "Europe/London";

/** How many real days are laid on top of each other: a minute of business hours then holds about 3 to 10 orders. */
const daysDrawn = 48;

/** Each drawn day starts up to so much earlier or later, so that their busy minutes do not fall together. */
const shiftSecondsMax = 600;

/** Something that happens to the shop in `[fromMs, toMs)`. */
export type ShopEvent = { readonly fromMs: number; readonly toMs: number } & (
  | {
      /** One country's customers cannot pay: no orders, while cancellations go on. */ kind: "no-payments";
      country: string;
    }
  | { /** Nothing is written at all. */ kind: "shop-down" }
  | { /** `factor` times as many invoices; a whole number. */ kind: "rush"; factor: number }
);

/** A row of the shop's table `invoices`, but for its number. */
export type Invoice = {
  /** Local time, `2026-06-17 10:04:33`. */
  readonly invoicedAt: string;
  readonly country: string;
  readonly amount: number;
  readonly cancelled: boolean;
};

/** What one calendar day (`2026-06-17`) brings, ascending in time. Equal arguments give equal rows. */
export function drawDay(
  realDays: readonly RealDay[],
  date: string,
  seed: number,
  events: readonly ShopEvent[],
): readonly Invoice[] {
  const pool = realDays.filter((day) => day.weekday === weekdayOf(date));
  const today = events.map((event) => ({ ...event, from: wallText(event.fromMs), to: wallText(event.toMs) }));
  const during = (invoice: Invoice) =>
    today.filter((event) => event.from <= invoice.invoicedAt && invoice.invoicedAt < event.to);
  const usual = drawn(pool, date, seed, 0).filter((invoice) => !during(invoice).some((event) => loses(event, invoice)));
  const layers = Math.max(1, ...today.map((event) => (event.kind === "rush" ? event.factor : 1)));
  const extra = Array.from({ length: layers - 1 }, (_, index) =>
    drawn(pool, date, seed, index + 1).filter((invoice) =>
      during(invoice).some((event) => event.kind === "rush" && index + 1 < event.factor),
    ),
  );
  return [usual, ...extra].flat().sort((a, b) => (a.invoicedAt < b.invoicedAt ? -1 : 1));
}

function loses(event: ShopEvent, invoice: Invoice): boolean {
  if (event.kind === "shop-down") return true;
  return event.kind === "no-payments" && event.country === invoice.country && !invoice.cancelled;
}

/** One layer of a day; layer 0 is the usual day, further ones are what a rush adds. */
function drawn(pool: readonly RealDay[], date: string, seed: number, layer: number): Invoice[] {
  if (pool.length === 0) return [];
  const dayNumber = Date.parse(date) / dayMs;
  const random = mersenne(Math.imul(seed, 0x9e3779b1) ^ Math.imul(dayNumber * 16 + layer, 0x85ebca6b));
  const invoices: Invoice[] = [];
  for (let draw = 0; draw < daysDrawn; draw += 1) {
    const day = pool[uniformInt(random, 0, pool.length - 1)] as RealDay;
    const shift = uniformInt(random, -shiftSecondsMax, shiftSecondsMax);
    for (const { minuteOfDay, country, amount, cancelled } of day.invoices) {
      const second = minuteOfDay * 60 + uniformInt(random, 0, 59) + shift;
      invoices.push({ invoicedAt: `${date} ${clockText(second)}`, country, amount, cancelled });
    }
  }
  return invoices;
}

function clockText(secondOfDay: number): string {
  return new Date(secondOfDay * 1000).toISOString().slice(11, 19);
}

/** `timeMs` as the shop writes it, to the second: `2026-06-17 10:04:33`. */
export function wallText(timeMs: number): string {
  return new Date(msToWall(timeMs, shopZone)).toISOString().slice(0, 19).replace("T", " ");
}
