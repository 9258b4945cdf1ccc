/**
 * Between `series.db` and two real InfluxDBs: nothing is lost on the way, however often the way is broken off, and what
 * a server does not take is told.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Point } from "../../src/core/model.ts";
import { systemClock } from "../../src/core/time.ts";
import { type ImportOptions, importSeries } from "../../src/importing.ts";
import { Mirror } from "../../src/store/mirror.ts";
import { replicas, stores } from "../../src/store/stores/index.ts";
import { begin, ended, type Place, run } from "../cli/run.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const deps = { clock: systemClock, log: quiet };
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const keepRawMs = 30 * dayMs;
const keepMs = 400 * dayMs;
const nowMs = Math.floor(Date.now() / hourMs) * hourMs;
const missing = whyMissing(influxd);
const whole = (name: string, work: () => Promise<void>, timeoutMs?: number): void => {
  test.skipIf(missing !== null)(missing === null ? name : `${name} (${missing})`, work, timeoutMs);
};

let a: Influx;
let b: Influx;
let dir = "";
beforeAll(async () => {
  if (missing !== null) return;
  [a, b] = await Promise.all([startInflux(), startInflux()]);
});
afterAll(async () => {
  await a?.[Symbol.asyncDispose]();
  await b?.[Symbol.asyncDispose]();
});

/** A folder of its own, and databases of their own. */
function place(name: string): { here: Place; env: Record<string, string>; database: string } {
  dir = mkdtempSync(join(tmpdir(), `bellwether-import-${name}-`));
  const env = { INFLUX_URLS: `a=${a.url}/${name} b=${b.url}/${name}`, BELLWETHER_LOG: "silent" };
  return { here: { config: dir, data: dir }, env, database: name };
}

async function fill(points: Iterable<Point>): Promise<void> {
  await using file = stores.sqlite.create({ file: join(dir, "series.db") }, deps);
  let batch: Point[] = [];
  for (const point of points) {
    batch.push(point);
    if (batch.length < 20_000) continue;
    await file.write(batch);
    batch = [];
  }
  expect((await file.write(batch)).rejected).toEqual([]);
}

/** Every `stepMs` from so long ago on, of each country; `names`: with these fields only. */
function* orders(agoMs: number, stepMs: number, countries: number, names?: readonly string[]): Generator<Point> {
  for (let timeMs = nowMs - agoMs; timeMs < nowMs; timeMs += stepMs) {
    for (let country = 0; country < countries; country += 1) {
      const n = (timeMs / stepMs + country) % 11;
      const all = { orders: n, amount: n / 4, note: `n${n}`, busy: n > 5 };
      const fields = Object.fromEntries(Object.entries(all).filter(([name]) => names?.includes(name) ?? true));
      yield { measurement: "orders", tags: { country: `c${country}` }, timeMs, fields };
    }
  }
}

type Numbers = readonly (readonly (number | null)[])[];
async function ask(server: Influx, q: string, database: string): Promise<Numbers> {
  const { results } = await server.query(q, database);
  return (results[0]?.series?.[0]?.values ?? []) as Numbers;
}

whole(
  "a year comes over: the newest month as it is, what is older as the server itself would have summed it",
  async () => {
    const { here, env, database } = place("year");
    try {
      const old = nowMs - 40 * dayMs;
      await fill([
        ...orders(35 * dayMs, 10 * minuteMs, 2),
        ...[0, 20, 50].map((minutes, index): Point => {
          return {
            measurement: "orders",
            tags: { country: "c0" },
            timeMs: old + minutes * minuteMs,
            fields: { orders: 10 ** index, note: "x" },
          };
        }),
        { measurement: "orders", tags: { country: "c0" }, timeMs: nowMs - 500 * dayMs, fields: { orders: 1 } },
        { measurement: "odd", tags: { kind: "" }, timeMs: nowMs - dayMs, fields: { n: 1 } },
        { measurement: "odd", tags: {}, timeMs: nowMs - dayMs, fields: { n: 1, text: "a\u0001b" } },
      ]);
      const { code, out, err } = await run(here, ["replicas", "import", "--json"], env);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const told = JSON.parse(out);
      const rawFromMs = Date.parse(told.rawFrom);
      expect(rawFromMs).toBeGreaterThan(Date.now() - keepRawMs);
      const rawPoints = 2 * Math.round((nowMs - rawFromMs) / (10 * minuteMs));
      for (const server of [a, b]) {
        for (const field of ["orders", "amount", "note", "busy"]) {
          expect(await server.count(database, "orders", field)).toBe(rawPoints);
        }
        expect(await server.count(database, "odd", "n")).toBe(1);
        const pieces = `from "bellwether_1h"."orders" where time >= ${old}ms and time < ${old + hourMs}ms`;
        expect(await ask(server, `select sum_orders, mean_orders ${pieces}`, database)).toEqual([[old, 111, 37]]);
        const tens = `from "bellwether_10m"."orders" where time >= ${old}ms and time < ${old + hourMs}ms`;
        expect(await ask(server, `select sum_orders ${tens}`, database)).toEqual([
          [old, 1],
          [old + 20 * minuteMs, 10],
          [old + 50 * minuteMs, 100],
        ]);
        // 35 days less the raw ones, in hours, of two countries.
        const hours = Math.round((rawFromMs - (nowMs - 35 * dayMs)) / hourMs);
        const [[, found] = []] = await ask(
          server,
          `select count(mean_amount) from "bellwether_1h"."orders" where time < ${rawFromMs}ms`,
          database,
        );
        expect(found).toBe(2 * hours);
      }
      const of = (name: string) => told.measurements.find((each: { measurement: string }) => each.measurement === name);
      const oldPoints = 2 * 35 * 144 - rawPoints;
      expect(of("orders")).toMatchObject({
        read: 4 * 2 * 35 * 144 + 6 + 1,
        raw: 4 * rawPoints,
        summed: 2 * oldPoints + 3,
        unsummed: 2 * oldPoints + 3,
        tooOld: 1,
        refused: 0,
        file: 4 * rawPoints,
        copies: { a: 4 * rawPoints, b: 4 * rawPoints },
      });
      expect(of("odd")).toMatchObject({ read: 3, raw: 1, refused: 2, copies: { a: 1, b: 1 } });
      expect(Object.keys(told.refused).sort()).toEqual([
        expect.stringMatching(/^odd: PNT-003 tag "kind" is empty$/),
        expect.stringMatching(/^odd: PNT-011 control character in field "text"$/),
      ]);

      const again = JSON.parse((await run(here, ["replicas", "import", "--json"], env)).out);
      expect(again).toMatchObject({ before: true, measurements: told.measurements, refused: told.refused, faults: [] });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

whole(
  "killed again and again it goes on where it was; and all of it comes back, value by value",
  async () => {
    const { here, env, database } = place("killed");
    try {
      await fill(orders(3 * dayMs, minuteMs, 20));
      const points = 20 * 3 * 1_440;
      const progress = join(dir, "import.json");
      const reached: number[] = [];
      for (let kill = 0; kill < 4; kill += 1) {
        const child = begin(here, ["replicas", "import"], env);
        const end = ended(child);
        const before = existsSync(progress) ? readFileSync(progress, "utf8") : "";
        for (
          let looks = 0;
          looks < 500 && (existsSync(progress) ? readFileSync(progress, "utf8") : "") === before;
          looks += 1
        )
          await sleep(10);
        await sleep(20 * kill);
        child.kill("SIGKILL");
        await end;
        reached.push(JSON.parse(readFileSync(progress, "utf8")).reachedMs);
      }
      // Each got further, none began anew.
      expect(reached).toEqual(reached.toSorted((one, other) => one - other));
      const { code, out } = await run(here, ["replicas", "import", "--json"], env);
      expect(code).toBe(0);
      expect(JSON.parse(out).measurements[0]).toMatchObject({ read: 4 * points, raw: 4 * points });
      for (const server of [a, b]) expect(await server.count(database, "orders", "busy")).toBe(points);

      rmSync(join(dir, "series.db"));
      const back = await run(here, ["replicas", "import", "--back", "--json"], env);
      expect({ code: back.code, err: back.err }).toEqual({ code: 0, err: "" });
      expect(JSON.parse(back.out)).toMatchObject({
        measurements: [{ read: 4 * points, file: 4 * points }],
        staleSpans: 0,
      });
      await using file = stores.sqlite.create({ file: join(dir, "series.db") }, deps);
      const fields = ["orders", "amount", "note", "busy"];
      const found = await file.read({ measurement: "orders", fields, windows: [{ fromMs: 0, toMs: nowMs }] });
      const stored = new Map(found.series.map((one) => [`${one.field} ${one.tags.country}`, one]));
      for (const { tags, timeMs, fields: values } of orders(3 * dayMs, minuteMs, 20)) {
        for (const [field, value] of Object.entries(values)) {
          const series = stored.get(`${field} ${tags.country}`);
          const index = (timeMs - (nowMs - 3 * dayMs)) / minuteMs;
          if (series?.timesMs[index] !== timeMs || series.values[index] !== value) {
            expect({ field, tags, timeMs, value: series?.values[index] }).toEqual({ field, tags, timeMs, value });
          }
        }
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
  120_000,
);

whole(
  "with a copy that is down it stops before the spool holds too much, says who, and goes on later",
  async () => {
    const { env, database } = place("down");
    try {
      await fill(orders(10 * dayMs, minuteMs, 50, ["busy"]));
      const points = 50 * 10 * 1_440;
      const options: ImportOptions = {
        ...{ back: false, keepRawMs, keepMs, progressFile: join(dir, "import.json"), patienceMs: 2_000 },
      };
      const targets = env.INFLUX_URLS?.split(" ").map((part) => part.split("=") as [string, string]) ?? [];
      const open = () =>
        Mirror.open(
          {
            file: join(dir, "spool.db"),
            replicas: targets.map(([name, url]) =>
              replicas.influx.create({ name, url: new URL(url).origin, database }, deps),
            ),
            ...{ keepRawMs, keepMs, spoolBytesMax: 4e9, repairPointsPerSecond: 20_000 },
          },
          { clock: systemClock, timer: systemClock, log: quiet },
        );
      let mostPending = 0;
      const bring = async () => {
        await using file = stores.sqlite.create({ file: join(dir, "series.db"), valuesMax: 200_000 }, deps);
        await using mirror = await open();
        const onProgress = () => {
          for (const { accounts } of mirror.status().replicas) {
            mostPending = Math.max(mostPending, ...accounts.map(({ pending }) => pending));
          }
        };
        return await importSeries(
          options,
          { file, mirror, clock: systemClock, timer: systemClock, onProgress },
          AbortSignal.timeout(100_000),
        );
      };
      await b.stop();
      await expect(bring()).rejects.toMatchObject({
        message: expect.stringMatching(/^b takes no points, and lacks \d+: .*ECONNREFUSED/),
        retryable: true,
      });
      expect(mostPending).toBeGreaterThan(400_000);
      expect(mostPending).toBeLessThan(650_000);
      await b.start();
      const { measurements } = await bring();
      expect(measurements[0]).toMatchObject({ read: points, copies: { a: points, b: points } });
      expect(await b.count(database, "orders", "busy")).toBe(points);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
  180_000,
);
