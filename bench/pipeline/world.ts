/** A shop of many series in a SQLite file, a store with a week of its past, and the pipeline between them. */

import { join } from "node:path";
import Sqlite from "better-sqlite3";
import type { Alerting } from "../../src/alerting.ts";
import type { Definitions, Sampler } from "../../src/core/definitions.ts";
import type { Point } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { dayMs, minuteMs, systemClock } from "../../src/core/time.ts";
import { defaultCollection } from "../../src/define/collection.ts";
import { backtestJudging } from "../../src/judge/backtest.ts";
import { SamplerRunner } from "../../src/sample/sample.ts";
import { openState } from "../../src/state/database.ts";
import { stores } from "../../src/store/stores/index.ts";
import { samplerOf as samplerCalled } from "../sampler.ts";
import { silent } from "../support.ts";

/** A Tuesday, 12:00 UTC. */
export const nowMs = Date.parse("2026-03-10T12:00:00Z");
const historyDays = 7;
/** Slots before and after the same time of each day before, which is what judging a few slots reads. */
const aroundSlots = { before: 60, after: 60 };

/** 50 shops of so many products each. */
function tagsOf(seriesCount: number): { shop: string; product: string }[] {
  return Array.from({ length: seriesCount }, (_, index) => ({
    shop: `shop-${String(index % 50).padStart(2, "0")}`,
    product: `product-${String(Math.floor(index / 50)).padStart(4, "0")}`,
  }));
}

/** Orders of one series in one minute: about 60, never so far off that anybody need be told. */
function ordersAt(index: number, timeMs: number): number {
  let hash = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(timeMs / minuteMs, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash ^= hash >>> 12;
  return 54 + ((hash >>> 0) % 13);
}

export function samplerOf(): Sampler {
  return {
    ...samplerCalled("orders", ["shop", "product"]),
    name: "shop-orders",
    source: {
      kind: "sql",
      options: {
        connection: "shop",
        query:
          "select shop, product, orders from sales where sold_at >= :slot_start and sold_at < :slot_end order by id",
        rows_max: 100_000,
      },
    },
    judge: { orders: backtestJudging("count") },
  };
}

function definitionsOf(sampler: Sampler): Definitions {
  return {
    samplers: new Map([[sampler.name, sampler]]),
    rules: new Map(),
    route: {
      group: null,
      match: [],
      groupBy: ["sampler"],
      groupWaitMs: 10_000,
      groupIntervalMs: 300_000,
      repeatIntervalMs: 14_400_000,
      continue: false,
      routes: [],
      place: "rules/routes/main.yaml:1:1",
    },
    people: new Map(),
    groups: new Map(),
    calendars: new Map(),
    connections: new Map(),
    collection: defaultCollection,
  };
}

/**
 * The shop's own database.
 * @param soldOut slots in which nobody buys anything
 */
function writeShop(file: string, seriesCount: number, slots: number, soldOut: (slot: number) => boolean): void {
  const database = new Sqlite(file);
  database.exec(`create table sales (id integer primary key, sold_at integer, shop text, product text, orders integer);
    create index sales_by_time on sales (sold_at);`);
  const insert = database.prepare("insert into sales (sold_at, shop, product, orders) values (?, ?, ?, ?)");
  database.transaction(() => {
    for (let slot = 0; slot < slots; slot += 1) {
      const timeMs = nowMs + slot * minuteMs;
      for (const [index, { shop, product }] of tagsOf(seriesCount).entries()) {
        insert.run(timeMs, shop, product, soldOut(slot) ? 0 : ordersAt(index, timeMs));
      }
    }
  })();
  database.close();
}

/** What is stored of the days before: the stretches that judging reads, or (`full`) every minute. */
async function writeHistory(store: TimeSeriesStore, seriesCount: number, full: boolean): Promise<void> {
  const tags = tagsOf(seriesCount);
  const write = async (timeMs: number) => {
    const points = tags.map((each, index): Point => {
      return { measurement: "orders", tags: each, fields: { orders: ordersAt(index, timeMs) }, timeMs };
    });
    await store.write(points);
  };
  const { before, after } = aroundSlots;
  for (let timeMs = nowMs - historyDays * dayMs - before * minuteMs; timeMs < nowMs; timeMs += minuteMs) {
    const sinceNoon = (((timeMs - nowMs) % dayMs) + dayMs) % dayMs;
    if (full || sinceNoon < after * minuteMs || sinceNoon >= dayMs - before * minuteMs) await write(timeMs);
  }
}

type WorldOptions = {
  readonly folder: string;
  readonly seriesCount: number;
  readonly slots: number;
  readonly full: boolean;
  readonly soldOut: (slot: number) => boolean;
};

/** Everything that a {@link Pipeline} is made of, with files that are real. */
export async function openWorld({ folder, seriesCount, slots, full, soldOut }: WorldOptions) {
  const sampler = samplerOf();
  const definitions = definitionsOf(sampler);
  writeShop(join(folder, "shop.db"), seriesCount, slots, soldOut);
  const store = stores.sqlite.create({ file: join(folder, "series.db") }, { clock: systemClock, log: silent });
  await writeHistory(store, seriesCount, full);
  const state = await openState({ file: join(folder, "state.db"), clock: systemClock, log: silent });
  const options = { file: "shop.db", time: "epoch-ms" };
  const runner = new SamplerRunner({
    connections: new Map([
      ["shop", { name: "shop", kind: "sqlite", options, budgetMs: 3_600_000, place: "rules/connections.yaml:1:1" }],
    ]),
    dataDir: folder,
    secret: () => "",
    production: false,
    clock: systemClock,
    log: silent,
  });
  // Alerts are told as if the slots had just ended.
  const clock = { nowMs: () => nowMs, sleep: systemClock.sleep };
  return {
    sampler,
    store,
    state,
    runner,
    alerting: { clock, state, definitions: () => definitions } satisfies ConstructorParameters<typeof Alerting>[0],
    async [Symbol.asyncDispose]() {
      await runner[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
    },
  };
}
