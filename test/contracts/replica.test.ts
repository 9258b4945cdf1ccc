import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Answer, Bucket, Replica } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { dayMs, hourMs, minuteMs, systemClock } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { replicas } from "../../src/store/stores/index.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { smallDisk, whyNoSmallDisk } from "../support/servers/disk.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";
import { silent } from "../unit/store/support.ts";
import { bodyOf, calm, replicaContract } from "./replica.ts";

type Options = Parameters<typeof replicas.influx.create>[0];

let databases = 0;
const nextDatabase = (): string => `test${++databases}`;
const open = (options: Options): Replica => replicas.influx.create(options, { clock: systemClock, log: silent });
const raw: Bucket = { name: "", keepMs: null, shardMs: 7 * dayMs, everyMs: null };
const coarse: Bucket = { name: "tens", keepMs: 400 * dayMs, shardMs: 7 * dayMs, everyMs: 10 * minuteMs };

const root = { name: "root", password: "secret-of-root" };
const users = (["write", "read", "all", "none"] as const).map((right) => ({
  name: right,
  password: `secret-of-${right}`,
  rights: right === "none" ? {} : { shared: right },
}));

const missing = whyMissing(influxd);
describe.skipIf(missing !== null)(`InfluxDB 1.x${missing === null ? "" : ` (${missing})`}`, () => {
  let free: Influx;
  let guarded: Influx;
  let narrow: Influx;
  beforeAll(async () => {
    [free, guarded, narrow] = await Promise.all([
      startInflux(),
      startInflux({ admin: root, users, databases: ["shared"] }),
      startInflux({
        databases: ["tags", "series"],
        overrides: {
          "data.max-values-per-tag": 2,
          "data.max-series-per-database": 3,
          "http.max-body-size": 1_000,
          "continuous_queries.enabled": false,
        },
      }),
    ]);
  });
  afterAll(async () => {
    for (const server of [free, guarded, narrow]) await server?.[Symbol.asyncDispose]();
  });

  async function openNew(server: Influx, user?: { name: string; password: string }): Promise<Replica> {
    const database = nextDatabase();
    await server.query(`create database "${database}"`);
    const login = user === undefined ? {} : { user: user.name, password: user.password };
    return open({ name: "a", url: server.url, database, ...login });
  }

  replicaContract("InfluxDB 1.x that lets everybody in", () => openNew(free));
  replicaContract("InfluxDB 1.x with a user", () => openNew(guarded, root));

  const as = (name: string, password = `secret-of-${name}`): Replica =>
    open({ name: "a", url: guarded.url, database: "shared", user: name, password });
  const line = (text: string): Uint8Array => gzipSync(`${text}\n`);
  const nowMs = Date.now();

  describe("each answer to a write is what it is", () => {
    test.each<[string, () => Replica, string, Uint8Array, Partial<Answer>]>([
      [
        "a database that is not there",
        () => open({ name: "a", url: free.url, database: "nowhere" }),
        "",
        line("m n=1"),
        { kind: "operator", reason: 'database not found: "nowhere" (HTTP 404)' },
      ],
      [
        "a retention policy that is not there",
        () => open({ name: "a", url: narrow.url, database: "tags" }),
        "nowhere",
        line("m n=1"),
        { kind: "operator", reason: "retention policy not found: nowhere (HTTP 500)" },
      ],
      [
        "a wrong password",
        () => as("write", "wrong"),
        "",
        line("m n=1"),
        { kind: "operator", reason: "authorization failed (HTTP 401)" },
      ],
      [
        "a user without the right",
        () => as("read"),
        "",
        line("m n=1"),
        { kind: "operator", reason: '"read" user is not authorized to write to database "shared" (HTTP 403)' },
      ],
      ["the right to write alone", () => as("write"), "", line(`m n=1 ${nowMs}`), { kind: "stored" }],
      [
        "too many values of a tag",
        () => open({ name: "a", url: narrow.url, database: "tags" }),
        "",
        line("full,t=3 n=1"),
        {
          kind: "operator",
          reason: expect.stringContaining("max-values-per-tag limit exceeded (2/2)"),
        },
      ],
      [
        "too many series",
        () => open({ name: "a", url: narrow.url, database: "series" }),
        "",
        line("a n=1\nb n=1\nc n=1\nd n=1"),
        { kind: "operator", reason: expect.stringContaining("max-series-per-database limit exceeded") },
      ],
      [
        "a body that is too large",
        () => open({ name: "a", url: narrow.url, database: "tags" }),
        "",
        line(Array.from({ length: 2_000 }, () => `m t="${Math.random()}"`).join("\n")),
        { kind: "size", reason: expect.stringContaining("HTTP 413") },
      ],
    ])("%s", async (_, make, bucket, body, wanted) => {
      await narrow.write("tags", "full,t=1 n=1\nfull,t=2 n=1");
      await using replica = make();
      expect(await replica.send(bucket, body, calm)).toEqual(wanted);
    });

    test("points older than the server keeps them are expired, and the others stored", async () => {
      await free.query('create database "short" with duration 1h shard duration 1h name "autogen"');
      await using replica = open({ name: "a", url: free.url, database: "short" });
      const answer = await replica.send("", line(`m n=1 1000000000000\nm n=2 ${nowMs}`), calm);
      expect(answer).toMatchObject({
        kind: "expired",
        reason: "partial write: points beyond retention policy dropped=1 (HTTP 400)",
      });
      const aheadMs = (answer as { beforeMs: number }).beforeMs - (Date.now() - hourMs);
      expect(aheadMs, "by the server's clock, cut to seconds").toBeLessThanOrEqual(0);
      expect(aheadMs).toBeGreaterThan(-5_000);
      expect(await free.count("short", "m", "n")).toBe(1);
    });

    const noDisk = whyNoSmallDisk();
    test.skipIf(noDisk !== null)(
      `a full disk is what holds a server up${noDisk === null ? "" : ` (${noDisk})`}`,
      async () => {
        using disk = smallDisk(16 * 1024 * 1024);
        await using server = await startInflux({ dir: disk.dir, databases: ["x"] });
        await using replica = open({ name: "a", url: server.url, database: "x" });
        const write = () => replica.send("", line(`m s="${randomBytes(20_000).toString("hex")}" ${nowMs}`), calm);
        expect(await write()).toEqual({ kind: "stored" });
        disk.fill();
        const full = { kind: "stuck", reason: expect.stringContaining("no space left on device (HTTP 500)") };
        await expect.poll(write).toEqual(full);
        disk.free();
        expect(await write(), "and goes on holding it up").toEqual(full);
        await server.stop();
        await server.start();
        expect(await write()).toEqual({ kind: "stored" });
      },
    );

    test("a server that does not answer in time may have stored it", async () => {
      await using server = await startInflux({ databases: ["x"] });
      await using replica = open({
        name: "a",
        url: server.url,
        database: "x",
        writeTimeoutMs: 300,
        readTimeoutMs: 300,
      });
      server.pause();
      expect(await replica.send("", line(`m n=1 ${nowMs}`), calm)).toEqual({
        kind: "unknown",
        reason: "no answer in time",
      });
      expect(await replica.probe(nowMs, calm)).toEqual({ kind: "unknown", reason: "no answer in time" });
      await expect(replica.inspect(calm)).rejects.toMatchObject({ retryable: true });
      server.resume();
      await expect.poll(() => server.count("x", "m", "n")).toBe(1);
      expect(await replica.probe(nowMs, calm)).toEqual({ kind: "stored" });
      await server.kill();
      expect(await replica.send("", line("m n=1"), calm)).toMatchObject({ kind: "unknown" });
      const read = replica.read({ measurement: "m", fields: ["n"], windows: [{ fromMs: 0, toMs: nowMs + 1 }] }, calm);
      await expect(read).rejects.toMatchObject({
        retryable: true,
        fix: "see whether the server runs and can be reached",
      });
    });
  });

  describe("questions that are refused say why, and whether to ask again", () => {
    const windows = [{ fromMs: 0, toMs: nowMs + 1 }];
    test.each<[string, () => Replica, object]>([
      ["a wrong password", () => as("read", "wrong"), { message: "a refuses: authorization failed", retryable: false }],
      [
        "no right to read",
        () => as("write"),
        {
          message: expect.stringMatching(/not authorized to execute statement.*requires READ on shared/),
          retryable: false,
        },
      ],
      [
        "no such database",
        () => open({ name: "a", url: free.url, database: "nowhere" }),
        { message: "a refuses: database not found: nowhere", retryable: false },
      ],
    ])("%s", async (_, make, wanted) => {
      await using replica = make();
      const failed = await replica.read({ measurement: "m", fields: ["n"], windows }, calm).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(failed).toBeInstanceOf(Problem);
      expect(failed).toMatchObject(wanted);
      expect(JSON.stringify(failed) + String(failed)).not.toContain("secret-of");
    });

    test("more values than the bound are refused", async () => {
      await using replica = open({ name: "a", url: free.url, database: "bound", valuesMax: 3 });
      await replica.prepare([raw], calm);
      await replica.send("", line([1, 2, 3].map((n) => `m n=${n} ${n}`).join("\n")), calm);
      const query = { measurement: "m", fields: ["n"], windows: [{ fromMs: 0, toMs: 10 }] };
      expect(await replica.read(query, calm)).toHaveLength(1);
      await replica.send("", line("m n=4 4"), calm);
      await expect(replica.read(query, calm)).rejects.toThrow("more than 3 values of m were asked for at once");
    });
  });

  describe("rights are told apart", () => {
    test.each([
      ["root", "admin"],
      ["all", "all"],
      ["write", "write"],
      ["read", "read"],
      ["none", "none"],
    ])("of %s", async (name, rights) => {
      await using replica = as(name);
      const facts = await replica.inspect(calm);
      expect(facts).toMatchObject({ databaseExists: true, rights });
    });

    test("who may not make what is missing is told what to have made", async () => {
      await using replica = as("all");
      await expect(replica.prepare([raw, coarse], calm)).rejects.toMatchObject({
        message: expect.stringContaining("requires admin privilege"),
        fix: 'have an administrator say: CREATE RETENTION POLICY "tens" ON "shared" DURATION 400d REPLICATION 1 SHARD DURATION 1w',
        retryable: false,
      });
      await using admin = as("root");
      expect(await admin.prepare([raw, coarse], calm)).toEqual({ rollsUp: true });
      expect(await replica.prepare([raw, coarse], calm), "nothing is missing any more").toEqual({ rollsUp: true });
    });
  });

  describe("setting up", () => {
    test("a database is made with the times that were asked for, and sums up by itself", async () => {
      await using replica = open({ name: "a", url: free.url, database: 'od"d' });
      expect(await replica.inspect(calm)).toMatchObject({ databaseExists: false, buckets: [] });
      const kept = { ...raw, keepMs: 30 * dayMs, shardMs: dayMs };
      const hours = { ...coarse, name: "hours", everyMs: hourMs };
      expect(await replica.prepare([kept, coarse, hours], calm)).toEqual({ rollsUp: true });
      const { buckets } = await replica.inspect(calm);
      expect(buckets.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: "autogen", keepMs: 30 * dayMs, shardMs: dayMs },
        { name: "hours", keepMs: 400 * dayMs, shardMs: 7 * dayMs },
        { name: "tens", keepMs: 400 * dayMs, shardMs: 7 * dayMs },
      ]);
      const { results } = await free.query("show continuous queries");
      const own = results[0]?.series?.find(({ name }) => name === 'od"d');
      expect(own?.values.map(([name]) => name)).toEqual(["tens", "hours"]);
    });

    test("a definition of its own that is another is made anew", async () => {
      const database = nextDatabase();
      await using replica = open({ name: "a", url: free.url, database });
      await replica.prepare([raw, coarse], calm);
      await replica.prepare([raw, { ...coarse, everyMs: 20 * minuteMs }], calm);
      const { results } = await free.query("show continuous queries");
      const [query] = results[0]?.series?.find(({ name }) => name === database)?.values ?? [];
      expect(query?.[1]).toContain("time(20m)");
    });

    test("the server's own sums are those that it is asked for", async () => {
      const database = nextDatabase();
      await using replica = open({ name: "a", url: free.url, database });
      await replica.prepare([raw, coarse], calm);
      const startMs = Math.floor((nowMs - hourMs) / (10 * minuteMs)) * 10 * minuteMs;
      await replica.send("", line(`m,t=a n=1,s="x" ${startMs}\nm,t=a n=4 ${startMs + minuteMs}`), calm);
      const window = { fromMs: startMs, toMs: startMs + 10 * minuteMs };
      expect(await replica.rollUpInto("tens", "m", window, 10 * minuteMs, calm)).toBe(true);
      const { results } = await free.query('select * from "tens"."m"', database);
      expect(results[0]?.series?.[0]).toMatchObject({
        columns: ["time", "mean_n", "sum_n", "t"],
        values: [[startMs, 2.5, 5, "a"]],
      });
    });

    test("a server whose own summing up is switched off is not relied on", async () => {
      await using replica = open({ name: "a", url: narrow.url, database: "tags" });
      expect(await replica.prepare([raw, coarse], calm)).toEqual({ rollsUp: false });
    });

    test("a server is known by its identity and its start", async () => {
      await using one = open({ name: "a", url: free.url, database: "x" });
      await using again = open({ name: "b", url: free.url.replace("127.0.0.1", "localhost"), database: "y" });
      await using other = open({ name: "c", url: narrow.url, database: "x" });
      const [first, second, third] = await Promise.all([one, again, other].map((each) => each.inspect(calm)));
      expect(first?.version).toMatch(/^1\./);
      expect(second).toMatchObject({ identity: first?.identity, startedMs: first?.startedMs });
      expect(third?.identity).not.toBe(first?.identity);
      await narrow.stop();
      await narrow.start();
      const after = await other.inspect(calm);
      expect(after.startedMs).toBeGreaterThan(third?.startedMs as number);
      expect(first?.diskBytes).toBeGreaterThan(0);
    });
  });

  test("reading many values leaves others their turn", async () => {
    await using replica = await openNew(free);
    for (let start = 0; start < 200_000; start += 20_000) {
      const lines = Array.from({ length: 20_000 }, (_, n) => `m,s=${n % 500} n=${n} ${(start + n) * 1_000}`);
      expect((await replica.send("", line(lines.join("\n")), calm)).kind).toBe("stored");
    }
    // Nothing of ours to do but to go round: how often that is possible is what others get.
    let rounds = 0;
    let reading = true;
    const others = (async () => {
      for (; reading; rounds += 1) await new Promise((resolve) => setImmediate(resolve));
    })();
    const read = await replica.read({ measurement: "m", fields: ["n"], windows: [{ fromMs: 0, toMs: 1e9 }] }, calm);
    reading = false;
    await others;
    expect(read.reduce((sum, { values }) => sum + values.length, 0)).toBe(200_000);
    expect(rounds, "at least one in ten thousand values").toBeGreaterThan(20);
  });

  test("two kinds of one field, in two shards, are both read", async () => {
    await using replica = await openNew(free);
    const monthMs = 30 * dayMs;
    await replica.send("", line(`m n=1 ${monthMs}`), calm);
    await replica.send("", line(`m n="x" ${3 * monthMs}`), calm);
    const windows = [{ fromMs: 0, toMs: 4 * monthMs }];
    expect(await replica.read({ measurement: "m", fields: ["n"], windows }, calm)).toEqual([
      { measurement: "m", tags: {}, field: "n", timesMs: [monthMs, 3 * monthMs], values: [1, "x"] },
    ]);
    expect(await replica.summarize("m", windows[0] as (typeof windows)[0], 30 * 4 * dayMs, calm)).toMatchObject([
      { fields: [{ field: "n", count: 2, sum: 1 }] },
    ]);
    expect(bodyOf(await replica.points("m", windows[0] as (typeof windows)[0], calm))).toEqual(
      line(`m n=1 ${monthMs}\nm n="x" ${3 * monthMs}`),
    );
  });
});

/** Servers elsewhere, as `INFLUX_URLS` names them: each test makes a database of its own there, so it needs the right to. */
const elsewhere = readSettings({ ...process.env, INFLUX_URLS: process.env.BELLWETHER_TEST_INFLUX_URLS ?? "" }).influx;
for (const target of elsewhere) {
  replicaContract(`InfluxDB at ${target.url}`, async () => {
    const replica = open({ ...target, database: `${target.database}_${process.pid}_${nextDatabase()}` });
    await replica.prepare([raw], calm);
    return replica;
  });
}
