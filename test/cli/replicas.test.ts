/** The `replicas` command over two real InfluxDBs: alone on the data folder, and beside a running Bellwether. */
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Point } from "../../src/core/model.ts";
import { systemClock } from "../../src/core/time.ts";
import { openMirror } from "../../src/desk.ts";
import { readSettings } from "../../src/settings.ts";
import type { Mirror } from "../../src/store/mirror.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";
import { begin, ended, type Place, type Ran, run, runAll } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const admin = { name: "root", password: "c4nary-s3cret" };
const minuteMs = 60_000;
const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs;
/** Two hours of two series, a point a minute; the newest is ten minutes old. */
const points: Point[] = Array.from({ length: 120 }, (_, index) => index).flatMap((index) =>
  ["Germany", "United Kingdom"].map((country) => ({
    measurement: "orders",
    tags: { country },
    timeMs: nowMs - (10 + index) * minuteMs,
    fields: { orders: index % 7, amount: index / 4 },
  })),
);

let a: Influx;
let b: Influx;
let dir = "";
let here: Place;
let env: Record<string, string> = {};

async function withMirror<T>(work: (mirror: Mirror) => Promise<T>): Promise<T> {
  const settings = readSettings({ ...env, BELLWETHER_DATA: here.data });
  await using mirror = await openMirror({ settings, clock: systemClock, log: quiet }, false, () => {});
  return await work(mirror);
}

const ask = (...args: readonly string[]): Promise<Ran> => run(here, args, env);
const json = ({ out }: Ran) => JSON.parse(out);
/** Removes what lies between 20 and 50 minutes ago: 30 minutes of two series. */
const spoil = (server: Influx): Promise<unknown> =>
  server.query(
    `delete from orders where time > ${nowMs - 50 * minuteMs}ms and time <= ${nowMs - 20 * minuteMs}ms`,
    "shop",
  );

beforeAll(async () => {
  if (missing !== null) return;
  [a, b] = await Promise.all([startInflux({ admin }), startInflux({ admin })]);
  ({ dir, place: here } = makePlace());
  env = {
    INFLUX_URLS: `a=${a.urlWith("shop")} b=${b.urlWith("shop")}`,
    BELLWETHER_PORT: "1",
    BELLWETHER_LOG: "silent",
  };
});
afterAll(async () => {
  await a?.[Symbol.asyncDispose]();
  await b?.[Symbol.asyncDispose]();
  if (dir !== "") removePlace(dir);
});

const missing = whyMissing(influxd);
const whole = (name: string, work: () => Promise<void>, timeoutMs = 60_000): void => {
  test.skipIf(missing !== null)(missing === null ? name : `${name} (${missing})`, work, timeoutMs);
};

test("without InfluxDBs there are no copies: a fault of the settings, with its fix", async () => {
  const { dir: other, place } = makePlace();
  const results = await runAll(place, [["replicas"], ["replicas", "repair"], ["replicas", "import"]]);
  removePlace(other);
  for (const { code, out, err } of results) {
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^INFLUX_URLS - series are kept in one place, so there are no copies\. Fix: name two .*\n$/);
  }
});

whole("status before the first start: reachable, nothing stored, nothing made on the servers", async () => {
  const { code, out, err } = await ask("replicas", "status");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^at +http:\/\/127\.0\.0\.1:\d+\/shop +http:\/\/127\.0\.0\.1:\d+\/shop$/m);
  expect(out).toMatch(/^answers +yes, InfluxDB 1\.\S+ +yes, InfluxDB 1\.\S+$/m);
  expect(out).not.toContain(admin.password);
  const { results } = await a.query("show databases");
  expect(JSON.stringify(results)).not.toContain("shop");
});

whole("status counts what either copy took, and the spool", async () => {
  await withMirror(async (mirror) => {
    await mirror.write(points);
    await mirror.drain(20_000);
  });
  const [table, facts] = [await ask("replicas"), json(await ask("replicas", "--json"))];
  expect(table.code).toBe(0);
  expect(table.out).toMatch(/^points taken +240 +240$/m);
  expect(table.out).toMatch(/^spool: .* of 4 GB, .* free on its disk; 0 gaps$/m);
  expect(facts.replicas.map((one: { name: string }) => one.name)).toEqual(["a", "b"]);
  expect(facts.replicas[1].accounts[0]).toMatchObject({ spooled: 240, acknowledged: 240, pending: 0, oldest: null });
  expect(facts.replicas[0].facts).toMatchObject({ databaseExists: true, rights: "admin" });
  expect(facts.replicas[0].facts.started).toMatch(/^\d{4}-.*Z$/);
  // The servers' own word.
  expect(await b.count("shop", "orders", "amount")).toBe(240);
});

whole("compare names the windows that differ, and repair writes what is lacking", async () => {
  const equal = await ask("replicas", "compare");
  expect(equal).toMatchObject({ code: 0, err: "" });
  expect(equal.out).toMatch(/^the copies are equal in 288 windows of five minutes from \S+Z to \S+Z\n$/);

  await spoil(b);
  const [differ, facts] = await runAll(
    here,
    [
      ["replicas", "compare"],
      ["replicas", "compare", "--deep", "--json"],
    ],
    env,
  );
  expect(differ?.code).toBe(1);
  expect(differ?.out).toMatch(/^window +measurement +values in a +values in b$/m);
  expect(differ?.out).toMatch(/^\S+Z +orders +20 +0$/m);
  expect(differ?.out).toMatch(
    /^the copies differ in \d of \d+ windows of five minutes .*: bellwether replicas repair writes/m,
  );
  expect(facts?.code).toBe(1);
  const found = JSON.parse(facts?.out ?? "");
  expect(found.differing.length).toBe(found.differingWindows);
  expect(found).toMatchObject({ deep: true, repaired: 0 });
  expect(await b.count("shop", "orders", "orders")).toBe(180);

  const narrow = await ask("replicas", "compare", "--from", "now-9m");
  expect(narrow.code).toBe(0);

  const repaired = await ask("replicas", "repair");
  expect(repaired).toMatchObject({ code: 0, err: "" });
  expect(repaired.out).toMatch(/^\d+ windows of five minutes compared, \d differed, 60 points written\n$/);
  expect(await b.count("shop", "orders", "orders")).toBe(240);
  expect((await ask("replicas", "compare", "--deep")).code).toBe(0);
});

whole("what a copy refuses is on the shelf; requeue sends it once more, and what is mended is taken", async () => {
  // A field of another type, which only b has: the catalogue cannot know it.
  await withMirror(async (mirror) => {
    await b.write("shop", `visits n="text" ${nowMs}`);
    await mirror.write([{ measurement: "visits", tags: {}, timeMs: nowMs - minuteMs, fields: { n: 7 } }]);
    await mirror.drain(20_000);
  });
  const shelf = await ask("replicas", "shelf", "--target", "b");
  expect(shelf).toMatchObject({ code: 0, err: "" });
  expect(shelf.out).toMatch(/^copy +first +last +times +reason +point$/m);
  expect(shelf.out).toMatch(/^b +\S+Z +\S+Z +1 +.*field type conflict.* +visits n=7 \d+$/m);
  expect(json(await ask("replicas", "shelf", "--json"))).toMatchObject({
    total: 1,
    items: [{ target: "b", bucket: "", line: `visits n=7 ${nowMs - minuteMs}`, count: 1, expired: false }],
  });
  const status = await ask("replicas");
  expect(status.code).toBe(1);
  expect(status.out).toMatch(/^b refused 1 point: bellwether replicas shelf$/m);
  expect(await ask("replicas", "requeue")).toMatchObject({ code: 1, out: "0 points taken, 1 refused again\n" });
  expect((await ask("replicas", "requeue", "--target", "c")).err).toMatch(
    /^--target - there is no copy "c"\. Fix: one of a, b\.\n$/,
  );

  await b.query("drop measurement visits", "shop");
  expect(await ask("replicas", "requeue", "--target", "b")).toMatchObject({
    code: 0,
    out: "1 point taken, 0 refused again\n",
  });
  expect(await b.count("shop", "visits", "n")).toBe(1);
  expect((await ask("replicas", "shelf")).out).toBe("nothing was refused\n");
  expect((await ask("replicas")).code).toBe(0);
});

whole("beside a running Bellwether: it does what changes something, found by the settings or by --url", async () => {
  const child = begin(here, ["start", "--port", "0"], env);
  const end = ended(child);
  try {
    const line = await firstLine(child);
    const url = /Console: (\S+)/.exec(line)?.[1] ?? "";
    await spoil(a);

    const lost = await ask("replicas", "repair");
    expect(lost).toMatchObject({ code: 75, out: "" });
    expect(lost.err).toMatch(
      new RegExp(
        `^SPL-001 .*spool\\.db - held by process ${child.pid}, and nobody .* http://127\\.0\\.0\\.1:1: .*--url`,
      ),
    );
    const repaired = await ask("replicas", "repair", "--url", url, "--json");
    expect(repaired.err).toBe("");
    expect(json(repaired)).toMatchObject({ repaired: 60, undecidedValues: 0 });
    expect(await a.count("shop", "orders", "orders")).toBe(240);
    const port = new URL(url).port;
    const requeued = await run(here, ["replicas", "requeue"], { ...env, BELLWETHER_PORT: port });
    expect(requeued).toMatchObject({ code: 0, out: "0 points taken, 0 refused again\n" });

    const status = await ask("replicas", "--url", url);
    expect(status.out).toMatch(/^writes +idle +idle$/m);
    expect(status.out).toContain(`carried by: the Bellwether at ${url}\n`);
    expect((await ask("replicas", "import", "--back")).err).toMatch(/^SPL-001 .* - held by process \d+\./);
    const doctor = await ask("doctor", "--json");
    expect(json(doctor)).toContainEqual({
      what: "process on the data folder",
      state: "ok",
      detail: `process ${child.pid} runs on it; a second one would be refused`,
    });
    // Another Bellwether's servers are not repaired by mistake.
    const other = { ...env, INFLUX_URLS: `a=${b.urlWith("shop")} b=${a.urlWith("shop")}` };
    expect((await run(here, ["replicas", "repair", "--url", url], other)).err).toContain(
      "carries to other servers: a=http",
    );
  } finally {
    child.kill("SIGTERM");
    await end;
  }
});

whole("doctor: rights, clocks, retention, one server under two names, and one that is down", async () => {
  const sound = json(await ask("doctor", "--json")) as { what: string; state: string; detail: string }[];
  const of = (findings: typeof sound, what: string) => findings.filter((finding) => finding.what === what);
  expect(of(sound, "InfluxDB a")[0]).toMatchObject({
    state: "ok",
    detail: expect.stringMatching(/^1\.\S+ at http.*\/shop, .* of data$/),
  });
  expect(of(sound, "InfluxDB b")[1]).toMatchObject({
    state: "warning",
    detail: expect.stringContaining("may do everything"),
  });
  expect(of(sound, "series")[0]?.detail).toMatch(/^\d+ stored in the InfluxDBs a, b$/);
  expect(of(sound, "spool")[0]).toMatchObject({
    state: "ok",
    detail: expect.stringContaining("0 points to come for a"),
  });
  expect(of(sound, "InfluxDBs together")).toEqual([]);

  await b.query('alter retention policy "bellwether_1h" on "shop" duration 30w');
  const uneven = await ask("doctor", "--json");
  expect(uneven.code).toBe(1);
  expect(of(json(uneven), "InfluxDBs together")[0]?.detail).toMatch(
    /^TGT-002 .*bellwether_1h differently: for .*Fix: /,
  );
  await b.query(`alter retention policy "bellwether_1h" on "shop" duration 400d`);

  const twice = {
    ...env,
    INFLUX_URLS: `a=${a.urlWith("shop")} b=${a.urlWith("shop").replace("127.0.0.1", "localhost")}`,
  };
  const same = json(await run(here, ["doctor", "--json"], twice));
  expect(of(same, "InfluxDBs together")[0]?.detail).toMatch(/^TGT-001 .*one and the same server/);

  await b.stop();
  const down = await ask("doctor", "--json");
  expect(down.code).toBe(1);
  expect(of(json(down), "InfluxDB b")[0]).toMatchObject({
    state: "fault",
    detail: expect.stringContaining("ECONNREFUSED"),
  });
  const status = await ask("replicas");
  expect(status.code).toBe(1);
  expect(status.out).toMatch(/^b is not well: .*ECONNREFUSED/m);
  expect(await ask("replicas", "repair")).toMatchObject({ code: 75, out: "" });
  await b.start();
  expect([sound, uneven.out, same, down.out].map((each) => JSON.stringify(each)).join()).not.toContain(admin.password);
});

async function firstLine(child: ReturnType<typeof begin>): Promise<string> {
  const [text] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [string];
  return text;
}
