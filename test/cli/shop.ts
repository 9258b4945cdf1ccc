/**
 * A small shop with a past that the whole application has lived through on a simulated clock, for commands to look at:
 *
 *   Mon 1 to Wed 10 June, 09:00 to 12:00   24 orders of the United Kingdom and 12 of Germany in each five minutes
 *   Wed 10 June  10:00 to 10:30            no order from the United Kingdom: an incident, told and over
 *                10:30 to 11:15            none from Germany, under a silence
 *                11:00 to 11:15            none from the United Kingdom again: an incident that is open at the end
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { App } from "../../src/app.ts";
import type { Log } from "../../src/core/ports.ts";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { idle, SimulatedClock } from "../support/clock.ts";
import type { Place } from "./run.ts";

const files: Readonly<Record<string, string>> = {
  "samplers/shop/orders.yaml": `
name: shop-orders
title: Orders placed
owner: shop-team
every: 5m
zone: Europe/London
active: { days: mon-sun, hours: "09:00-12:00" }
source:
  sql:
    connection: shop
    query: >
      select country, count(*) as orders from orders
      where at_ms >= :slot_start and at_ms < :slot_end group by country
point: { measurement: orders, tags: [country], fields: [orders] }
empty: zero
judge: { orders: { kind: count } }
alert: { pending: 1 of 1, recover: 1 }
`,
  "rules/connections.yaml": "connections: { shop: { sqlite: { file: shop.db, time: epoch-ms } } }\n",
  "rules/people/shop.yaml": `
people:
  ana: { name: Ana Silva, email: ana@shop.example }
  ben: { name: Ben Okoro, email: ben@shop.example }
groups:
  shop-team: { title: Shop team, members: [ana, ben], steps: [{ notifier: email }, { notifier: email, wait: 10m }] }
  nobody: { title: Nobody, members: [ana], steps: [{ notifier: webhook, to: "http://127.0.0.1:9/hook" }] }
`,
  "rules/routes/shop.yaml": "route: { group: shop-team, group_by: [country], group_wait: 0s, group_interval: 1m }\n",
};

const place = (dir: string): Place => ({ config: join(dir, "config"), data: join(dir, "data") });
export const uk = 'orders{country="United Kingdom"}.orders';
export const germany = 'orders{country="Germany"}.orders';
/** 08:55 on Wednesday 10 June in London; everything before is known as history. */
const liveFrom = "2026-06-10T09:55:00+01:00";
const historyDays = 9;

/** A config folder, and a data folder with a shop database without orders; to be removed by the caller. */
export function makePlace(): { dir: string; place: Place } {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-cli-"));
  const here = place(dir);
  for (const [path, text] of Object.entries(files)) write(here, path, text);
  mkdirSync(here.data, { recursive: true });
  openShop(here).close();
  return { dir, place: here };
}

export function removePlace(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

export function write({ config }: Place, path: string, text: string): void {
  mkdirSync(dirname(join(config, path)), { recursive: true });
  writeFileSync(join(config, path), text);
}

function openShop({ data }: Place): Database.Database {
  const shop = new Database(join(data, "shop.db"));
  shop.pragma("journal_mode = wal");
  shop.exec("create table if not exists orders (at_ms integer not null, country text not null)");
  shop.exec("create index if not exists orders_by_time on orders (at_ms)");
  return shop;
}

/** Writes every order of the story. */
function sell(here: Place): void {
  const shop = openShop(here);
  const insert = shop.prepare("insert into orders values (?, ?)");
  const between = (timeMs: number, from: string, to: string) =>
    timeMs >= Date.parse(`2026-06-10T${from}:00+01:00`) && timeMs < Date.parse(`2026-06-10T${to}:00+01:00`);
  const open = (country: string, timeMs: number) =>
    country === "Germany"
      ? !between(timeMs, "10:30", "11:15")
      : !between(timeMs, "10:00", "10:30") && !between(timeMs, "11:00", "11:15");
  shop.transaction(() => {
    for (let day = 1; day <= 10; day += 1) {
      const startMs = Date.parse(`2026-06-${String(day).padStart(2, "0")}T09:00:00+01:00`);
      for (let slot = 0; slot < 36; slot += 1) {
        const slotMs = startMs + slot * 5 * minuteMs;
        for (const [country, count] of [
          ["United Kingdom", 24],
          ["Germany", 12],
        ] as const) {
          // A little more on one day and less on another, as shops have it.
          const orders = open(country, slotMs) ? count + ((day * 7 + slot * 3) % 5) - 2 : 0;
          for (let order = 0; order < orders; order += 1) insert.run(slotMs + order * 1_000, country);
        }
      }
    }
  })();
  shop.close();
}

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** {@link makePlace} after the whole story. */
export async function makeShop(): Promise<{ dir: string; place: Place }> {
  const made = makePlace();
  sell(made.place);
  const env = { BELLWETHER_CONFIG: made.place.config, BELLWETHER_DATA: made.place.data, BELLWETHER_PORT: "0" };
  const clock = new SimulatedClock(liveFrom);
  const app = await App.open({ settings: readSettings(env), clock, log, env: {} });
  await app.loadHistory(clock.nowMs() - historyDays * dayMs, clock.nowMs(), () => {});
  app.run();
  const settle = () => settled(app);
  await clock.advance("30m", settle);
  await app.desk.alerting.addSilence({
    matchers: ['country="Germany"'],
    reason: "stocktaking in Berlin",
    author: "Ana Silva",
    startsMs: clock.nowMs(),
    endsMs: clock.nowMs() + dayMs,
  });
  await clock.advance("51m", settle);
  await app[Symbol.asyncDispose]();
  return made;
}

/** Waits until what was due is done: jobs are woken by the clock, their work is real. */
async function settled(app: App): Promise<void> {
  const { slots, outbox } = app.desk.state;
  await idle();
  for (;;) {
    const [{ leased }, { sending }] = await Promise.all([slots.counts(), outbox.counts()]);
    if (leased === 0 && sending === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await idle();
}
