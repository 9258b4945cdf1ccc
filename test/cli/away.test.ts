/** `start` while servers that it shares with others are away: it begins without Redis, and ends without SQL. */
import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Postgres, startPostgres, whyNoPostgres } from "../support/servers/postgres.ts";
import { freePort } from "../support/servers/process.ts";
import { type Redis, startRedis, whyNoRedis } from "../support/servers/redis.ts";
import { begin, ended, type Place } from "./run.ts";
import { makePlace, removePlace, write } from "./shop.ts";

const missing = whyNoPostgres({ own: true }) ?? whyNoRedis();
if (missing !== null) console.warn(`test/cli/away.test.ts is skipped: ${missing}`);

const dirs: string[] = [];
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
  for (const dir of dirs.splice(0)) removePlace(dir);
});

function newPlace(): Place {
  const { dir, place } = makePlace();
  dirs.push(dir);
  return place;
}

/** Starts it, and waits until it says that it runs. */
async function start(place: Place, env: Record<string, string>) {
  const child = begin(place, ["start", "--port", "0"], env);
  running.push(child);
  const end = ended(child);
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.on("data", (text: string) => {
      const found = /Console: (\S+)/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    });
    void end.then(({ code, err }) => reject(new Error(`ended with ${code}: ${err}`)));
  });
  const stop = async () => {
    const fromMs = performance.now();
    child.kill("SIGTERM");
    const { code, err } = await end;
    return { code, err, tookMs: performance.now() - fromMs };
  };
  return { url, stop };
}

/** Reads in no time, and is due every ten seconds: some slot of a hundred is always about to run. */
const sampler = (name: string): string => `
name: ${name}
title: Orders of ${name}
owner: shop-team
every: 10s
source:
  sql:
    connection: shop
    query: select count(*) as orders from orders where at_ms >= :slot_start and at_ms < :slot_end
point: { measurement: ${name.replace("-", "_")}, fields: [orders] }
empty: zero
`;

describe.skipIf(missing !== null)("a process that shares servers with others", () => {
  let postgres: Postgres;
  let redis: Redis;
  beforeAll(async () => {
    [postgres, redis] = await Promise.all([startPostgres({ own: true }), startRedis()]);
  });
  afterAll(async () => {
    await postgres?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });

  async function sampling() {
    const place = newPlace();
    for (let index = 0; index < 100; index += 1) write(place, `samplers/many/s${index}.yaml`, sampler(`many-${index}`));
    const started = await start(place, { DATABASE_URL: await postgres.database(), REDIS_URL: redis.url });
    const metrics = async () => (await fetch(`${started.url}/metrics`)).text();
    while (!/^bellwether_shares_held 32$/m.test(await metrics())) await sleep(100);
    expect(/^bellwether_samplers (\d+)$/m.exec(await metrics())?.[1]).toBe("101");
    return started;
  }

  test("ends at once, with 0", async () => {
    const { stop } = await sampling();
    const { code, tookMs } = await stop();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(7_000);
  });

  test.each([1_000, 6_000])(
    "ends within ten seconds while PostgreSQL has been silent for %i ms, and says what it left",
    async (silentMs) => {
      const { stop } = await sampling();
      postgres.pause();
      try {
        await sleep(silentMs);
        const { code, err, tookMs } = await stop();
        expect(tookMs).toBeLessThan(10_000);
        expect(code).toBe(75);
        expect(err).toMatch(/ended while this was still under way: .*looks at the database/);
      } finally {
        postgres.resume();
      }
    },
  );

  test("ends within ten seconds while PostgreSQL refuses connections", async () => {
    const { stop } = await sampling();
    await postgres.kill();
    try {
      await sleep(3_000);
      const { tookMs } = await stop();
      expect(tookMs).toBeLessThan(10_000);
    } finally {
      await postgres.start();
    }
  });

  test("in production it starts although Redis does not answer, and says so", async () => {
    const redisUrl = `redis://127.0.0.1:${await freePort()}`;
    const env = { BELLWETHER_ENV: "production", DATABASE_URL: await postgres.database(), REDIS_URL: redisUrl };
    const { url, stop } = await start(newPlace(), env);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const { code, err, tookMs } = await stop();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(7_000);
    expect(err).toMatch(/REDIS_URL 127\.0\.0\.1:\d+ - does not answer/);
  });
});
