import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drawDay, type ShopEvent, shopZone } from "../../../src/cli/demo/drawing.ts";
import { readRealDays } from "../../../src/cli/demo/invoices.ts";
import { growShop, LiveShop } from "../../../src/cli/demo/shop.ts";
import { demoSeed, historyDays, liveFromMs, story, storyEvents } from "../../../src/cli/demo/story.ts";
import { hourMs, minuteMs } from "../../../src/core/time.ts";

const folder = mkdtempSync(join(tmpdir(), "bellwether-shop-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const endMs = (story.at(-1) as { toMs: number }).toMs;

type Row = { invoice_no: number; invoiced_at: string; country: string; amount: number; cancelled: number };

async function grown(name: string, seed = demoSeed, events: readonly ShopEvent[] = storyEvents) {
  const options = { file: join(folder, name, "shop.db"), seed, events };
  const shares: number[] = [];
  const outcome = await growShop({ ...options, liveFromMs, historyDays, onProgress: (share) => shares.push(share) });
  return { options, outcome, shares };
}

function rows(file: string): Row[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare("select * from invoices order by invoice_no").all() as Row[];
  } finally {
    db.close();
  }
}

/** A moment as the shop's clock shows it, by other means than the product's. */
function wall(timeMs: number): string {
  return new Date(timeMs).toLocaleString("sv-SE", { timeZone: shopZone });
}

function between(all: readonly Row[], fromMs: number, toMs: number): Row[] {
  const [from, to] = [wall(fromMs), wall(toMs)];
  return all.filter((row) => row.invoiced_at >= from && row.invoiced_at < to);
}

describe("the shop's past", () => {
  let past: Row[] = [];
  beforeAll(async () => {
    const { options, outcome, shares } = await grown("past");
    past = rows(options.file);
    expect(outcome).toEqual({ invoices: past.length, grown: true });
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect([shares.length, shares.at(-1)]).toEqual([historyDays + 1, 1]);
  });

  test("reaches from fifteen days before the demo's day to the moment it goes live", () => {
    expect(past[0]?.invoiced_at.slice(0, 10)).toBe("2026-06-02");
    expect((past.at(-1) as Row).invoiced_at < "2026-06-17 10:45:00").toBe(true);
    expect((past.at(-1) as Row).invoiced_at > "2026-06-17 10:43").toBe(true);
  });

  test("times are local, to the second, ascending with the invoice number", () => {
    expect(past.every((row) => /^2026-06-\d\d \d\d:\d\d:\d\d$/.test(row.invoiced_at))).toBe(true);
    expect(past.map((row) => row.invoiced_at)).toEqual(past.map((row) => row.invoiced_at).sort());
    expect(past.map((row) => row.invoice_no)).toEqual(past.map((_, index) => index + 1));
  });

  test("is closed on Saturdays, and Sundays bring about half of a weekday", () => {
    const perDay = Map.groupBy(past, (row) => row.invoiced_at.slice(0, 10));
    expect([...perDay.keys()].filter((date) => new Date(date).getUTCDay() === 6)).toEqual([]);
    const sundays = ["2026-06-07", "2026-06-14"].map((date) => perDay.get(date)?.length ?? 0);
    for (const sunday of sundays) expect(sunday / (perDay.get("2026-06-10")?.length ?? 0)).toBeCloseTo(0.56, 1);
  });

  test("a minute between nine and four on a weekday holds 3 to 10 orders on average, whichever hour", () => {
    const weekdays = [2, 3, 4, 5, 8, 9, 10, 11, 12, 15, 16];
    for (const hour of [9, 10, 11, 12, 13, 14, 15]) {
      const inHour = past.filter((row) => {
        const day = Number(row.invoiced_at.slice(8, 10));
        return weekdays.includes(day) && Number(row.invoiced_at.slice(11, 13)) === hour && row.cancelled === 0;
      });
      const perMinute = inHour.length / weekdays.length / 60;
      expect(perMinute, `${hour}:00`).toBeGreaterThan(3);
      expect(perMinute, `${hour}:00`).toBeLessThan(10);
    }
  });

  test("minutes are no more uneven than chance makes them", () => {
    // Orders that come independently have a variance equal to their mean; the real days' own ups and downs add a
    // little. Without shifts and drawn seconds, days that were drawn twice would double it.
    const byMinute = Map.groupBy(past, (row) => row.invoiced_at.slice(11, 16));
    const ratios = Array.from({ length: 6 * 60 }, (_, index) => {
      const minute = `${String(10 + Math.floor(index / 60))}:${String(index % 60).padStart(2, "0")}`;
      const counts = Array.from({ length: 11 }, () => 0);
      const dates = ["02", "03", "04", "05", "08", "09", "10", "11", "12", "15", "16"];
      for (const row of byMinute.get(minute) ?? []) {
        const day = dates.indexOf(row.invoiced_at.slice(8, 10));
        if (day >= 0 && row.cancelled === 0) counts[day] = (counts[day] as number) + 1;
      }
      const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
      return counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / (counts.length - 1) / mean;
    });
    const dispersion = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expect(dispersion).toBeGreaterThan(0.9);
    expect(dispersion).toBeLessThan(1.4);
  });
  test("nine orders in ten come from the United Kingdom", () => {
    const orders = past.filter((row) => row.cancelled === 0);
    const share = orders.filter((row) => row.country === "United Kingdom").length / orders.length;
    expect(share).toBeGreaterThan(0.88);
    expect(share).toBeLessThan(0.94);
  });

  test("a shop that has a past is left as it is", async () => {
    const { outcome, shares } = await grown("past", 99, []);
    expect(outcome).toEqual({ invoices: past.length, grown: false });
    expect(shares).toEqual([]);
  });

  test("equal seeds grow equal shops, another seed another", async () => {
    const [same, other] = [await grown("same"), await grown("other", demoSeed + 1)];
    expect(rows(same.options.file)).toEqual(past);
    expect(rows(other.options.file)).not.toEqual(past);
  });
});

describe("the live shop", () => {
  test("steps of any size, kills and repetitions give the rows of one big step", async () => {
    const [small, big] = [await grown("small"), await grown("big")];
    using once = new LiveShop(big.options);
    once.advanceTo(endMs);
    let shop = new LiveShop(small.options);
    let written = 0;
    for (let nowMs = liveFromMs, step = 0; nowMs < endMs; nowMs += (7 + 13 * (step % 9)) * 1000, step += 1) {
      written += shop.advanceTo(nowMs);
      expect(shop.advanceTo(nowMs - minuteMs) + shop.advanceTo(nowMs)).toBe(0);
      if (step % 10 === 0) {
        shop[Symbol.dispose]();
        shop = new LiveShop(small.options); // as after kill -9: nothing is known but the database
      }
    }
    written += shop.advanceTo(endMs);
    shop[Symbol.dispose]();
    expect(rows(small.options.file)).toEqual(rows(big.options.file));
    expect(written).toBe(rows(big.options.file).length - small.outcome.invoices);
  });

  test("goes on over night and over the closed Saturday, as days drawn one by one", async () => {
    const { options } = await grown("week", demoSeed, []);
    using shop = new LiveShop(options);
    for (let hour = 1; hour <= 5 * 24; hour += 1) shop.advanceTo(liveFromMs + hour * hourMs);
    const realDays = readRealDays();
    const days = ["2026-06-18", "2026-06-19", "2026-06-20", "2026-06-21"];
    const drawn = days.map((date) => drawDay(realDays, date, demoSeed, []).length);
    const all = rows(options.file);
    expect(days.map((date) => all.filter((row) => row.invoiced_at.startsWith(date)).length)).toEqual(drawn);
    expect(drawn[2]).toBe(0);
  });

  test("a file that is not a grown shop is a Problem", () => {
    const missing = { file: join(folder, "nowhere.db"), seed: 1, events: [] };
    expect(() => new LiveShop(missing)).toThrow("there is no such shop");
    new Database(missing.file).close();
    expect(() => new LiveShop(missing)).toThrow("the shop has no past");
  });
});

describe("the story's events are in the data", () => {
  let told: Row[] = [];
  let untold: Row[] = [];
  beforeAll(async () => {
    const both = [await grown("told"), await grown("untold", demoSeed, [])];
    for (const { options } of both) {
      using shop = new LiveShop(options);
      shop.advanceTo(endMs);
    }
    [told, untold] = both.map(({ options }) => rows(options.file)) as [Row[], Row[]];
  });

  function phase(name: string, ofRows: readonly Row[]): Row[] {
    const found = story.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no phase ${name}`);
    return between(ofRows, found.fromMs, found.toMs);
  }
  const facts = ({ invoice_no, ...fact }: Row) => fact;

  test("no payments: the country's orders are gone, everything else is as it would have been", () => {
    const lost = ({ country, cancelled }: Row) => country === "United Kingdom" && cancelled === 0;
    const [with_, without] = [phase("uk-payments", told), phase("uk-payments", untold)];
    expect(without.filter(lost).length).toBeGreaterThan(100);
    expect(with_.map(facts)).toEqual(without.filter((row) => !lost(row)).map(facts));
    expect(with_.some((row) => row.cancelled === 1)).toBe(true);
    expect(with_.some((row) => row.country === "Germany")).toBe(true);
  });

  test("shop down: nothing at all", () => {
    expect(phase("shop-down", told)).toEqual([]);
    expect(phase("shop-down", untold).length).toBeGreaterThan(150);
  });

  test("rush: about three times as many", () => {
    expect(phase("rush", told).length / phase("rush", untold).length).toBeCloseTo(3, 0);
  });

  test("between the events the shop is as it would have been", () => {
    for (const name of ["normal", "uk-recovery", "shop-recovery", "calm"]) {
      expect(phase(name, told).map(facts), name).toEqual(phase(name, untold).map(facts));
    }
  });
});
