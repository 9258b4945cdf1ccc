import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatSeries, matchersOf, parseMatcher } from "../../src/core/labels.ts";
import type { FieldValue, Point, Tags } from "../../src/core/model.ts";
import type { Bucket, ReadQuery, Replica, TimeSeriesStore } from "../../src/core/ports.ts";
import { dayMs, hourMs, minuteMs } from "../../src/core/time.ts";
import { lineOf, refusal, seriesKey } from "../../src/store/line.ts";
import { storeContract } from "./store.ts";

export type OpenReplica = () => Promise<Replica>;

export function bodyOf(points: readonly Point[]): Uint8Array {
  return gzipSync(points.map((point) => `${lineOf(seriesKey(point), point)}\n`).join(""));
}

/** Never aborts. */
export const calm = new AbortController().signal;

/**
 * A replica as a series store that takes points one by one where they are not taken together: what the mirror does
 * with its answers is its own concern, what is stored and how it is read is not.
 */
function asStore(replica: Replica): TimeSeriesStore {
  return {
    async write(points) {
      const refused = points.map(refusal);
      const fit = points.filter((_, index) => refused[index] === null);
      if (fit.length > 0 && (await replica.send("", bodyOf(fit), calm)).kind !== "stored") {
        for (const [index, point] of points.entries()) {
          if (refused[index] !== null) continue;
          const answer = await replica.send("", bodyOf([point]), calm);
          if (answer.kind !== "stored") refused[index] = answer.reason;
        }
      }
      return { rejected: refused.flatMap((reason, index) => (reason === null ? [] : [{ index, reason }])) };
    },
    read: async (query) => ({ series: await replica.read(query, calm), stale: false }),
    list: (query) => replica.list(query, calm),
    expire: (beforeMs) => replica.expire(beforeMs, calm),
    [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
  };
}

const startMs = Date.UTC(2026, 10, 20, 9, 0);
const minute = (count: number): number => startMs + count * minuteMs;
const everything = [{ fromMs: minute(-1_000), toMs: minute(1_000) }];
const hour = { fromMs: minute(0), toMs: minute(60) };

function point(timeMs: number, fields: Point["fields"], tags: Tags = {}, measurement = "orders"): Point {
  return { measurement, tags, fields, timeMs };
}

/** What every Replica keeps to. `open` gives one whose database is there and empty. */
export function replicaContract(name: string, open: OpenReplica): void {
  storeContract(`${name}, what is stored`, async () => asStore(await open()));

  describe(`a replica: ${name}`, () => {
    let replica: Replica;
    beforeEach(async () => {
      replica = await open();
    });
    afterEach(() => replica[Symbol.asyncDispose]());

    const store = async (...points: Point[]): Promise<void> => {
      expect(await replica.send("", bodyOf(points), calm)).toEqual({ kind: "stored" });
    };

    async function read(query: Partial<ReadQuery> = {}): Promise<Record<string, [number, FieldValue][]>> {
      const whole = { measurement: "orders", fields: ["n"], windows: everything, ...query };
      const series = (await replica.read(whole, calm)).map((each): [string, [number, FieldValue][]] => [
        formatSeries(each),
        each.timesMs.map((timeMs, index) => [(timeMs - startMs) / minuteMs, each.values[index] as FieldValue]),
      ]);
      expect(new Set(series.map(([text]) => text)).size, "each series comes once").toBe(series.length);
      return Object.fromEntries(series);
    }

    test("a body may be several gzip members, one after the other", async () => {
      const body = Buffer.concat([bodyOf([point(minute(0), { n: 1 })]), bodyOf([point(minute(1), { n: 2 })])]);
      expect(await replica.send("", body, calm)).toEqual({ kind: "stored" });
      expect(await read()).toEqual({
        "orders.n": [
          [0, 1],
          [1, 2],
        ],
      });
    });

    test("tags and fields that came after the first read are told apart from it on", async () => {
      await store(point(minute(0), { n: 1 }));
      expect(await read()).toEqual({ "orders.n": [[0, 1]] });
      await store(point(minute(0), { n: 2, later: "x" }, { shop: "A" }), point(minute(0), { n: 3 }, { shop: "B" }));
      expect(await read({ fields: ["later", "n"] })).toEqual({
        "orders.n": [[0, 1]],
        'orders{shop="A"}.n': [[0, 2]],
        'orders{shop="B"}.n': [[0, 3]],
        'orders{shop="A"}.later': [[0, "x"]],
      });
    });

    test("fields of several kinds are read at once, each with its own values", async () => {
      await store(
        point(minute(0), { n: 1.5, text: "a\nb", yes: true }, { shop: "A" }),
        point(minute(1), { text: 'c"d\\' }, { shop: "A" }),
        point(minute(1), { yes: false }, { shop: "B" }),
      );
      expect(await read({ fields: ["yes", "text", "n", "yes"] })).toEqual({
        'orders{shop="A"}.yes': [[0, true]],
        'orders{shop="B"}.yes': [[1, false]],
        'orders{shop="A"}.text': [
          [0, "a\nb"],
          [1, 'c"d\\'],
        ],
        'orders{shop="A"}.n': [[0, 1.5]],
      });
    });

    test("a tag and a field of one name are two things", async () => {
      await store(point(minute(0), { shop: 7, n: 1 }, { shop: "A" }), point(minute(0), { shop: 8 }, { shop: "B" }));
      expect(await read({ fields: ["shop"], tags: [parseMatcher('shop!="B"')] })).toEqual({
        'orders{shop="A"}.shop': [[0, 7]],
      });
    });

    /** Each must stay a name, and each value a value, in every statement that it becomes part of. */
    const hostile = [
      '"; DROP DATABASE x; --',
      "'; DROP MEASUREMENT orders; --",
      "a' OR 'a'='a",
      'a"::tag, "b',
      "a\\",
      "a\\'",
      "/.*/",
      ":MEASUREMENT",
      "*",
      "$tag",
      "select",
      "a,b=c d",
      "%3B%20drop",
      "\u202Eabc",
      "订单 😀",
      "__proto__",
      "constructor",
      "a;b",
      "-- x",
      "/* x */",
    ];
    test.each(hostile)("%j stays a name and a value", async (text) => {
      const points = [
        point(minute(0), { [text]: 1, other: 2 }, Object.fromEntries([[text, text]]), text),
        point(minute(0), { [text]: 3 }, { plain: "x" }, text),
      ];
      await store(point(minute(0), { n: 9 }));
      const fit = points.filter((each) => refusal(each) === null);
      if (fit.length === 0) return;
      await store(...fit);
      const matcher = { label: text, operator: "=", value: text, pattern: null } as const;
      const series = await replica.read(
        { measurement: text, fields: [text], tags: [matcher], windows: everything },
        calm,
      );
      expect(series).toEqual([
        { measurement: text, tags: points[0]?.tags, field: text, timesMs: [minute(0)], values: [1] },
      ]);
      const others = [{ ...matcher, operator: "!=" } as const];
      const rest = await replica.read({ measurement: text, fields: [text], tags: others, windows: everything }, calm);
      expect(rest.map(({ tags, values }) => [tags, values])).toEqual([[{ plain: "x" }, [3]]]);
      expect(await replica.points(text, hour, calm)).toHaveLength(2);
      expect((await replica.summarize(text, hour, hourMs, calm))[0]?.fields.map(({ count }) => count).sort()).toEqual([
        1, 2,
      ]);
      expect(await replica.rollUp(text, hour, hourMs, calm)).toHaveLength(2);
      const listed = await replica.list({ measurement: text }, calm);
      expect(listed.map(({ measurement }) => measurement)).toEqual([text, text, text]);
      expect(await read(), "and everything else is still there").toEqual({ "orders.n": [[0, 9]] });
    });

    test("a backslash before a quote is a matter of both", async () => {
      const tags = { 'a\\"': 'b\\"', "c\\'": "d\\'" };
      await store(point(minute(0), { n: 1 }, tags), point(minute(0), { n: 2 }));
      const [series] = await replica.read(
        { measurement: "orders", fields: ["n"], tags: matchersOf(tags), windows: everything },
        calm,
      );
      expect(series).toMatchObject({ tags, values: [1] });
    });

    test("an answer of many pieces comes whole and in order", async () => {
      const times = Array.from({ length: 70 }, (_, count) => minute(count));
      const shops = Array.from({ length: 400 }, (_, shop) => `${shop}`);
      const points = times.flatMap((timeMs, count) => shops.map((shop) => point(timeMs, { n: count }, { shop })));
      for (let start = 0; start < points.length; start += 5_000) await store(...points.slice(start, start + 5_000));
      const series = await replica.read({ measurement: "orders", fields: ["n"], windows: everything }, calm);
      expect(series).toHaveLength(400);
      for (const each of series) expect(each.timesMs).toEqual(times);
    });

    test("what is stored has kinds; our own canary is not told of", async () => {
      await store(point(minute(0), { n: 1, text: "a" }), point(minute(0), { yes: true }, {}, "sales"));
      expect((await replica.probe(Date.now(), calm)).kind).toBe("stored");
      const fields = (await replica.fields(calm)).map((each) => `${each.measurement}.${each.field} ${each.kind}`);
      expect(fields.sort()).toEqual(["orders.n number", "orders.text text", "sales.yes boolean"]);
      expect((await replica.list({}, calm)).map(formatSeries).sort()).toEqual(["orders.n", "orders.text", "sales.yes"]);
    });

    test("points come with all their fields", async () => {
      const points = [
        point(minute(0), { n: 1, text: "a" }, { shop: "A" }),
        point(minute(0), { n: 2 }, { shop: "B" }),
        point(minute(1), { yes: false }, { shop: "A" }),
      ];
      await store(...points, point(minute(2), { n: 1 }, { shop: "A" }), point(minute(0), { n: 5 }, {}, "sales"));
      const key = (each: Point) => `${each.timeMs} ${seriesKey(each)}`;
      const found = [...(await replica.points("orders", { fromMs: minute(0), toMs: minute(2) }, calm))];
      expect(found.sort((a, b) => (key(a) < key(b) ? -1 : 1))).toEqual(
        points.sort((a, b) => (key(a) < key(b) ? -1 : 1)),
      );
      expect(await replica.points("nothing", hour, calm)).toEqual([]);
    });

    test("a summary counts all fields, and sums numbers, over all series", async () => {
      await store(
        point(minute(0), { n: 1, text: "a" }, { shop: "A" }),
        point(minute(1), { n: -4 }, { shop: "B" }),
        point(minute(11), { n: 8, yes: true }, { shop: "A" }),
      );
      expect(await replica.summarize("orders", hour, 5 * minuteMs, calm)).toEqual([
        {
          startMs: minute(0),
          fields: [
            { field: "n", count: 2, sum: -3, min: -4, max: 1 },
            { field: "text", count: 1, sum: null, min: null, max: null },
          ],
        },
        {
          startMs: minute(10),
          fields: [
            { field: "n", count: 1, sum: 8, min: 8, max: 8 },
            { field: "yes", count: 1, sum: null, min: null, max: null },
          ],
        },
      ]);
      expect(await replica.summarize("nothing", hour, 5 * minuteMs, calm)).toEqual([]);
    });

    const rolled = [
      point(minute(0), { sum_m: 3, mean_m: 3, sum_n: 12, mean_n: 6 }, { shop: "A" }),
      point(minute(10), { sum_n: 8, mean_n: 8 }, { shop: "A" }),
      point(minute(0), { sum_n: 1, mean_n: 1 }, { shop: "B" }),
    ];
    const toRoll = [
      point(minute(0), { n: 5, m: 3, text: "a" }, { shop: "A" }),
      point(minute(9), { n: 7 }, { shop: "A" }),
      point(minute(10), { n: 8, yes: true }, { shop: "A" }),
      point(minute(3), { n: 1 }, { shop: "B" }),
    ];

    test("numbers are summed up and averaged by series", async () => {
      await store(...toRoll);
      expect(await replica.rollUp("orders", hour, 10 * minuteMs, calm)).toEqual(rolled);
      await store(point(minute(0), { text: "a" }, {}, "notes"));
      expect(await replica.rollUp("notes", hour, 10 * minuteMs, calm)).toEqual([]);
    });

    const raw: Bucket = { name: "", keepMs: null, shardMs: 7 * dayMs, everyMs: null };
    const coarse: Bucket = { name: "bellwether_10m", keepMs: 400 * dayMs, shardMs: 7 * dayMs, everyMs: 10 * minuteMs };

    test("what it needs is made once, and can be asked for again", async () => {
      const { rollsUp } = await replica.prepare([raw, coarse], calm);
      expect(await replica.prepare([raw, coarse], calm)).toEqual({ rollsUp });
      const { buckets, databaseExists, rights, version, startedMs, clockAheadMs } = await replica.inspect(calm);
      expect({ databaseExists, rights }).toEqual({ databaseExists: true, rights: "admin" });
      expect(version).toMatch(/\d\.\d/);
      expect(buckets.map(({ keepMs, shardMs }) => ({ keepMs, shardMs }))).toEqual(
        [raw, coarse].map(({ keepMs, shardMs }) => ({ keepMs, shardMs })),
      );
      expect(buckets[1]?.name).toBe("bellwether_10m");
      expect(startedMs).toBeLessThan(Date.now());
      expect(Math.abs(clockAheadMs as number)).toBeLessThan(2_000);
      expect(await replica.send("bellwether_10m", bodyOf(rolled), calm)).toEqual({ kind: "stored" });
      expect(await read(), "a coarser bucket is not the raw one").toEqual({});
    });

    test("a server that sums up by itself does so into the bucket", async () => {
      await replica.prepare([raw, coarse], calm);
      await store(...toRoll, point(minute(0), { text: "a" }, {}, "notes"));
      const did = await replica.rollUpInto("bellwether_10m", "orders", hour, 10 * minuteMs, calm);
      expect(await replica.rollUpInto("bellwether_10m", "notes", hour, 10 * minuteMs, calm)).toBe(did);
      expect(await read(), "raw points are as they were").toMatchObject({ 'orders{shop="B"}.n': [[3, 1]] });
    });

    test("forgetting raw points leaves what was summed up of them", async () => {
      await replica.prepare([raw, coarse], calm);
      const oldMs = minute(-3 * 7 * 24 * 60);
      await store(point(oldMs, { n: 1, m: 2 }), point(minute(0), { n: 3 }));
      expect(await replica.send("bellwether_10m", bodyOf([point(oldMs, { sum_n: 1 })]), calm)).toEqual({
        kind: "stored",
      });
      expect(await replica.expire(minute(0), calm)).toBe(2);
      expect(await read({ windows: [{ fromMs: oldMs, toMs: minute(1) }] })).toEqual({ "orders.n": [[0, 3]] });
    });

    test("a canary is written and read back, and later ones do not stand for it", async () => {
      const timeMs = Date.now();
      expect(await replica.probe(timeMs, calm)).toEqual({ kind: "stored" });
      expect(await replica.probe(timeMs + 30, calm)).toEqual({ kind: "stored" });
      expect(await replica.holdsCanary(timeMs, calm)).toBe(true);
      expect(await replica.holdsCanary(timeMs + 1, calm)).toBe(false);
    });

    test("a line that cannot be read is named, and the others can be sent again", async () => {
      const bad = "orders n= 1795700000000";
      const body = gzipSync(`orders n=1 ${minute(0)}\n${bad}\norders n=2 ${minute(1)}\n`);
      const answer = await replica.send("", body, calm);
      expect(answer).toMatchObject({ kind: "refused", culprit: { kind: "line", text: bad } });
    });

    test("a field of another kind is named, with the kind that was given", async () => {
      await store(point(minute(0), { 'n "of", x': 1 }, {}, 'my "orders"'));
      const answer = await replica.send(
        "",
        bodyOf([point(minute(1), { 'n "of", x': "two" }, {}, 'my "orders"')]),
        calm,
      );
      const culprit = { kind: "field", measurement: 'my "orders"', field: 'n "of", x', given: "text" };
      expect(answer).toMatchObject({ kind: "refused", culprit });
    });

    test("a bucket that is not there is for the operator", async () => {
      expect(await replica.send("nowhere", bodyOf([point(minute(0), { n: 1 })]), calm)).toMatchObject({
        kind: "operator",
      });
    });

    test("a caller that gives up is told so", async () => {
      const gone = AbortSignal.abort(new Error("given up"));
      expect(await replica.send("", bodyOf([point(minute(0), { n: 1 })]), gone)).toMatchObject({ kind: "unknown" });
      await expect(replica.read({ measurement: "orders", fields: ["n"], windows: everything }, gone)).rejects.toThrow();
    });
  });
}
