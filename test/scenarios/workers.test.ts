/** Three workers that share the samplers come to the very verdicts that one process comes to, though one of them dies. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../../src/app.ts";
import type { Log, TimeSeriesStore } from "../../src/core/ports.ts";
import { dayMs, minuteMs, systemClock } from "../../src/core/time.ts";
import type { Role } from "../../src/peers.ts";
import { dueMs, slotsEndingIn } from "../../src/schedule/cron.ts";
import { readSettings } from "../../src/settings.ts";
import { endCopies, freshCopies } from "../support/copies.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { startPostgres, whyNoPostgres } from "../support/servers/postgres.ts";
import { startRedis, whyNoRedis } from "../support/servers/redis.ts";

const samplers = Array.from({ length: 6 }, (_, index) => `shop-${index}`);
const untilMs = Math.floor(systemClock.nowMs() / (30 * minuteMs)) * 30 * minuteMs;
/** Judged slots, and before them the week that baselines need: sampled alike, half an hour a slot. */
const fromMs = untilMs - 8 * dayMs;
const stepMs = 30 * minuteMs;
const judgedFromMs = untilMs - dayMs;

const definition = (name: string, index: number): string => `
name: ${name}
title: Orders of ${name}
owner: team
every: 30m
source:
  sql:
    connection: shop
    query: >
      select country, sum(n) as orders from orders
      where sampler = ${index} and at_ms >= :slot_start and at_ms < :slot_end group by country
point: { measurement: orders_${index}, tags: [country], fields: [orders] }
empty: zero
judge: { orders: { kind: count } }
`;

const silent = (): void => {};
const log: Log = { debug: silent, info: silent, warn: silent, error: silent };

/** A shop with ups and downs, and an outage of every second sampler's first country in the last hours. */
function fillShop(file: string): void {
  const database = new Database(file);
  database.exec("create table orders (sampler integer, at_ms integer, country text, n integer)");
  const insert = database.prepare("insert into orders values (?, ?, ?, ?)");
  database.transaction(() => {
    for (let timeMs = fromMs; timeMs < untilMs; timeMs += stepMs) {
      for (const index of samplers.keys()) {
        for (const [rank, country] of ["DE", "FR", "UK"].entries()) {
          const hour = (timeMs / 3_600_000) % 24;
          const usual = Math.round(60 + 30 * Math.sin(hour / 4 + index) + 10 * rank + ((timeMs / stepMs) % 7));
          const out = index % 2 === 0 && rank === 0 && timeMs >= untilMs - 20 * stepMs && timeMs < untilMs - 8 * stepMs;
          insert.run(index, timeMs, country, out ? 3 : usual);
        }
      }
    }
    database.exec("create index by_time on orders (sampler, at_ms)");
  })();
  database.close();
}

const missing = whyNoPostgres() ?? whyNoRedis() ?? whyMissing(influxd);
if (missing !== null) console.warn(`test/scenarios/workers.test.ts is skipped: ${missing}`);

describe.skipIf(missing !== null)("workers", () => {
  endCopies();
  const dir = mkdtempSync(join(tmpdir(), "bellwether-workers-"));
  const servers: AsyncDisposable[] = [];
  let redisUrl = "";
  let databaseUrl = "";

  beforeAll(async () => {
    for (const [index, name] of samplers.entries()) write(`samplers/${name}.yaml`, definition(name, index));
    write("rules/connections.yaml", `connections: { shop: { sqlite: { file: ${dir}/shop.db, time: epoch-ms } } }\n`);
    write(
      "rules/people/team.yaml",
      "people: { ana: { name: Ana, email: ana@shop.example } }\ngroups: { team: { title: Team, members: [ana] } }\n",
    );
    fillShop(join(dir, "shop.db"));
    const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
    servers.push(redis, postgres);
    redisUrl = redis.url;
    databaseUrl = await postgres.database();
  });
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }

  function open(name: string, roles: readonly Role[] | undefined, env: Readonly<Record<string, string>>): Promise<App> {
    const settings = readSettings({
      BELLWETHER_CONFIG: dir,
      BELLWETHER_DATA: join(dir, name),
      BELLWETHER_NAME: name,
      BELLWETHER_PORT: "0",
      BELLWETHER_LOG: "silent",
      BELLWETHER_KEEP_RAW: "forever",
      BELLWETHER_CATCH_UP: "24h 1500",
      ...env,
    });
    return App.open({ settings, clock: systemClock, log, env: {}, ...(roles && { roles: new Set(roles) }) });
  }

  /** Every stored verdict of the judged stretch, as text. */
  async function verdicts(store: TimeSeriesStore): Promise<string[]> {
    const found: string[] = [];
    const fields = [
      "level",
      "observed",
      "expected",
      "lower",
      "upper",
      "forecast",
      "evidence",
      "since",
      "loss",
      "reason",
    ];
    for (const index of samplers.keys()) {
      const measurement = `orders_${index}_verdict`;
      const { series } = await store.read({ measurement, fields, windows: [{ fromMs: judgedFromMs, toMs: untilMs }] });
      for (const { tags, field, timesMs, values } of series) {
        for (const [at, timeMs] of timesMs.entries()) {
          found.push(`${measurement} ${tags.country} ${field} ${timeMs} ${values[at]}`);
        }
      }
    }
    return found.sort();
  }

  test("come to the verdicts of one process, point by point, while one of them is stopped and comes back", {
    timeout: 240_000,
  }, async () => {
    const alone = await open("alone", undefined, {});
    await alone.loadHistory(fromMs, untilMs, () => {});
    const wanted = await verdicts(alone.desk.store);
    await alone[Symbol.asyncDispose]();
    expect(wanted.length).toBeGreaterThan(5_000);
    expect(wanted.some((line) => / level \d+ 2$/.test(line))).toBe(true);

    // What one worker has stored, others can read a moment later.
    const env = { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl, INFLUX_URLS: await freshCopies(20) };
    const apps = new Map<string, App>();
    const start = async (name: string, roles: readonly Role[]): Promise<App> => {
      const app = await open(name, roles, env);
      apps.set(name, app);
      app.run();
      return app;
    };
    const end = async (name: string): Promise<void> => {
      await apps.get(name)?.[Symbol.asyncDispose]();
      apps.delete(name);
    };
    try {
      const first = await start("one", ["worker"]);
      const { slots } = first.desk.state;
      for (const sampler of first.desk.definitions.samplers.values()) {
        const past = slotsEndingIn(sampler, fromMs, untilMs, Number.POSITIVE_INFINITY);
        await slots.add(
          past.map((slot) => ({ ...slot, dueMs: Math.min(dueMs(sampler, slot), untilMs), catchUp: true })),
        );
      }
      await start("two", ["worker"]);
      await start("scheduler", ["scheduler"]);
      await sleep(4_000);
      await start("three", ["worker"]);
      await sleep(4_000);
      // Its shares go to the others, who read the history that it had in memory; then they come back to it.
      await end("two");
      await sleep(3_000);
      await start("two", ["worker"]);
      // Of the slots that one process had; others come due meanwhile.
      const left = async () => {
        const states = await Promise.all(
          (["due", "leased"] as const).map((state) => slots.list({ state, toMs: untilMs, limit: 3_000 })),
        );
        return states.flat().length;
      };
      let remaining = await left();
      for (let waited = 0; waited < 150 && remaining !== 0; waited += 1) {
        await sleep(1_000);
        remaining = await left();
      }
      expect(remaining).toBe(0);
      const workers = await slots.counts();
      expect(workers.failed).toBe(0);
      await sleep(2_000);
      const found = await verdicts(first.desk.store);
      expect(found.length).toBe(wanted.length);
      expect(found.filter((line, index) => line !== wanted[index]).slice(0, 10)).toEqual([]);
    } finally {
      for (const name of [...apps.keys()]) await end(name);
    }
  });
});
