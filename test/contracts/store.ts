import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatSeries, parseMatcher } from "../../src/core/labels.ts";
import type { FieldValue, Point, Tags } from "../../src/core/model.ts";
import type { ReadQuery, TimeSeriesStore } from "../../src/core/ports.ts";

/** What every TimeSeriesStore keeps to. `open` gives an empty store; it is disposed of after each test. */
export function storeContract(name: string, open: () => Promise<TimeSeriesStore>): void {
  describe(`a series store: ${name}`, () => {
    let store: TimeSeriesStore;
    beforeEach(async () => {
      store = await open();
    });
    afterEach(() => store[Symbol.asyncDispose]());

    const minute = (count: number): number => Date.UTC(2026, 10, 20, 9, 0) + count * 60_000;
    const point = (timeMs: number, fields: Point["fields"], tags: Tags = {}, measurement = "orders"): Point => ({
      measurement,
      tags,
      fields,
      timeMs,
    });
    const everything = [{ fromMs: minute(-100_000), toMs: minute(100_000) }];

    /** Series by name, each as its times in minutes and its values: `{ 'orders.n': [[0, 7], [1, 8]] }`. */
    async function read(query: Partial<ReadQuery> = {}): Promise<Record<string, [number, FieldValue][]>> {
      const { series, stale } = await store.read({
        measurement: "orders",
        fields: ["n"],
        windows: everything,
        ...query,
      });
      expect(stale, "the only copy is never behind").toBe(false);
      const texts = series.map((each): [string, [number, FieldValue][]] => {
        expect(each.timesMs.length).toBe(each.values.length);
        const cells = each.timesMs.map((timeMs, index): [number, FieldValue] => [
          (timeMs - minute(0)) / 60_000,
          each.values[index] as FieldValue,
        ]);
        return [formatSeries(each), cells];
      });
      expect(new Set(texts.map(([text]) => text)).size, "each series comes once").toBe(texts.length);
      return Object.fromEntries(texts);
    }

    async function accept(...points: Point[]): Promise<void> {
      expect((await store.write(points)).rejected).toEqual([]);
    }

    test.each<[string, FieldValue]>([
      ["a whole number", 42],
      ["zero", 0],
      ["a negative fraction", -0.1],
      ["a number that 32 bits do not hold", 4_503_599_627_370_497],
      ["the largest number", Number.MAX_VALUE],
      ["the smallest number", Number.MIN_VALUE],
      ["true", true],
      ["false", false],
      ["a text", "81 % below, since 14:02"],
      ["a text of digits", "0012"],
      ["the empty text", ""],
      ["a text with quotes, a backslash and a line break", 'say "no" \\ or\nnothing'],
      ["a text beyond the basic plane", "订单 😀"],
    ])("%s comes back as it was written", async (_, value) => {
      await accept(point(minute(0), { n: value }));
      expect(await read()).toEqual({ "orders.n": [[0, value]] });
    });

    test("windows hold their start and not their end", async () => {
      await accept(...[0, 1, 2, 3, 4, 5].map((count) => point(minute(count), { n: count })));
      const windows = [
        { fromMs: minute(1), toMs: minute(3) },
        { fromMs: minute(3) + 1, toMs: minute(5) },
      ];
      expect(await read({ windows })).toEqual({ "orders.n": [1, 2, 4].map((count) => [count, count]) });
    });

    test("values ascend in time, in whatever order they were written", async () => {
      for (const count of [3, 1, 5, 2, 4]) await accept(point(minute(count), { n: count }));
      expect(await read()).toEqual({ "orders.n": [1, 2, 3, 4, 5].map((count) => [count, count]) });
    });

    test("nothing is read of what is not there", async () => {
      await accept(point(minute(0), { n: 1, m: 2 }, { country: "Germany" }));
      expect(await read({ measurement: "sales" })).toEqual({});
      expect(await read({ fields: ["x"] })).toEqual({});
      expect(await read({ fields: [] })).toEqual({});
      expect(await read({ windows: [] })).toEqual({});
      expect(await read({ windows: [{ fromMs: minute(1), toMs: minute(2) }] }), "no empty series").toEqual({});
      expect(await read({ tags: [parseMatcher('country="France"')] })).toEqual({});
    });

    test("writing equal points twice changes nothing", async () => {
      const points = [0, 1].flatMap((count) => ["A", "B"].map((shop) => point(minute(count), { n: count }, { shop })));
      await accept(...points);
      const before = [await read(), await store.list({})];
      await accept(...points);
      expect([await read(), await store.list({})]).toEqual(before);
    });

    test("the last value of a field wins, and fields of one point merge", async () => {
      await accept(point(minute(0), { n: 1, m: 10 }), point(minute(1), { n: 5 }));
      await accept(point(minute(0), { n: 2 }));
      await accept(point(minute(0), { k: 30 }), point(minute(1), { n: 6 }), point(minute(1), { n: 7 }));
      expect(await read({ fields: ["n", "m", "k"] })).toEqual({
        "orders.n": [
          [0, 2],
          [1, 7],
        ],
        "orders.m": [[0, 10]],
        "orders.k": [[0, 30]],
      });
    });

    test("tags are the same in any order; a measurement, a tag or a field apart is another series", async () => {
      await accept(
        point(minute(0), { n: 1 }, { country: "Germany", shop: "A" }),
        point(minute(1), { n: 2 }, { shop: "A", country: "Germany" }),
        point(minute(0), { n: 3 }, { country: "Germany" }),
        point(minute(0), { n: 4 }, { country: "germany", shop: "A" }),
        point(minute(0), { n: 5 }, { country: 'Ger,man"y=', shop: "A B" }),
        point(minute(0), { n: 6 }, { country: "Germany" }, "sales"),
      );
      expect(await read()).toEqual({
        'orders{country="Germany",shop="A"}.n': [
          [0, 1],
          [1, 2],
        ],
        'orders{country="Germany"}.n': [[0, 3]],
        'orders{country="germany",shop="A"}.n': [[0, 4]],
        [`orders{country=${JSON.stringify('Ger,man"y=')},shop="A B"}.n`]: [[0, 5]],
      });
      const { series } = await store.read({ measurement: "sales", fields: ["n"], windows: everything });
      expect(series[0]).toMatchObject({ measurement: "sales", tags: { country: "Germany" }, field: "n" });
    });

    test.each<[string[], string[]]>([
      [['country="Germany"'], ["Germany"]],
      [['country!="Germany"'], ["France", "United Kingdom", ""]],
      [['country=~"Ger.*|Fra.*"'], ["Germany", "France"]],
      [['country!~".*an.*"'], ["United Kingdom", ""]],
      [['country=""'], [""]],
      [
        ['country=~".*e.*"', 'country!="Germany"'],
        ["France", "United Kingdom"],
      ],
    ])("matchers %j choose among the tags", async (matchers, wanted) => {
      const countries = ["Germany", "France", "United Kingdom", ""];
      const tagsOf = (country: string): Tags => (country === "" ? {} : { country });
      await accept(...countries.map((country) => point(minute(0), { n: country.length }, tagsOf(country))));
      const { series } = await store.read({
        measurement: "orders",
        fields: ["n"],
        tags: matchers.map(parseMatcher),
        windows: everything,
      });
      expect(series.map((each) => each.tags.country ?? "").sort()).toEqual([...wanted].sort());
    });

    test("many series and many windows are read in one call", async () => {
      const points = Array.from({ length: 8 }, (_, day) =>
        Array.from({ length: 300 }, (_, shop) =>
          [0, 1, 2].map((count) => point(minute(day * 1440 + count), { n: shop * day + count }, { shop: `${shop}` })),
        ),
      ).flat(2);
      await accept(...points);
      const windows = [0, 2, 5, 7].map((day) => ({ fromMs: minute(day * 1440 + 1), toMs: minute(day * 1440 + 3) }));
      const found = await read({ windows });
      expect(Object.keys(found)).toHaveLength(300);
      for (let shop = 0; shop < 300; shop += 1) {
        const wanted = [0, 2, 5, 7].flatMap((day) => [1, 2].map((count) => [day * 1440 + count, shop * day + count]));
        expect(found[`orders{shop="${shop}"}.n`]).toEqual(wanted);
      }
    });

    test("a field keeps its kind; the other points of the call are stored", async () => {
      await accept(point(minute(0), { n: 1 }, { shop: "A" }));
      const { rejected } = await store.write([
        point(minute(1), { n: 2 }, { shop: "A" }),
        point(minute(1), { n: "3" }, { shop: "B" }),
        point(minute(1), { n: true }, { shop: "C" }),
        point(minute(1), { n: 4 }, { shop: "D" }),
      ]);
      expect(rejected.map((each) => each.index).sort()).toEqual([1, 2]);
      for (const each of rejected) expect(each.reason).toContain("n");
      expect(await read()).toEqual({
        'orders{shop="A"}.n': [
          [0, 1],
          [1, 2],
        ],
        'orders{shop="D"}.n': [[1, 4]],
      });
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%d is rejected", async (value) => {
      const { rejected } = await store.write([point(minute(0), { n: 1 }), point(minute(1), { n: value })]);
      expect(rejected.map((each) => each.index)).toEqual([1]);
      expect(await read()).toEqual({ "orders.n": [[0, 1]] });
    });

    test("list tells what is there and the time of its latest point", async () => {
      await accept(
        point(minute(5), { n: 1, m: 1 }, { shop: "A" }),
        point(minute(7), { n: 1 }, { shop: "A" }),
        point(minute(6), { n: 1 }, { shop: "A" }),
        point(minute(9), { n: 1 }, { shop: "B" }),
        point(minute(8), { amount: 2.5 }, {}, "sales"),
      );
      const list = async (query: Parameters<TimeSeriesStore["list"]>[0]) =>
        (await store.list(query)).map((each) => `${formatSeries(each)} ${(each.lastMs - minute(0)) / 60_000}`).sort();
      const all = ['orders{shop="A"}.m 5', 'orders{shop="A"}.n 7', 'orders{shop="B"}.n 9', "sales.amount 8"];
      expect(await list({})).toEqual(all);
      expect(await list({ measurement: "orders" })).toEqual(all.slice(0, 3));
      expect(await list({ measurement: "nothing" })).toEqual([]);
      expect(await list({ sinceMs: minute(7) })).toEqual(all.slice(1));
      expect(await list({ sinceMs: minute(7) + 1 })).toEqual(all.slice(2));
    });

    test("list tells when the latest number other than zero was, in whatever order it came", async () => {
      const lastNonzero = async () =>
        Object.fromEntries(
          (await store.list({})).map((each) => [
            formatSeries(each),
            each.lastNonzeroMs === null ? null : (each.lastNonzeroMs - minute(0)) / 60_000,
          ]),
        );
      await accept(
        point(minute(1), { n: 3, m: 0, text: "0", yes: true }, { shop: "A" }),
        point(minute(2), { n: -0.5, m: -0 }, { shop: "A" }),
        point(minute(3), { n: 0, m: 0 }, { shop: "A" }),
        point(minute(3), { n: 7 }, { shop: "B" }),
      );
      const wanted = {
        'orders{shop="A"}.n': 2,
        'orders{shop="A"}.m': null,
        'orders{shop="A"}.text': null,
        'orders{shop="A"}.yes': null,
        'orders{shop="B"}.n': 3,
      };
      expect(await lastNonzero()).toEqual(wanted);
      await accept(point(minute(4), { n: 0, m: 0 }, { shop: "A" }), point(minute(1), { n: 9 }, { shop: "B" }));
      expect(await lastNonzero(), "neither zeros nor what is late move it").toEqual(wanted);
      await accept(point(minute(2), { m: 5 }, { shop: "A" }), point(minute(3), { n: 1 }, { shop: "A" }));
      expect(await lastNonzero(), "late, but later than what was known").toEqual({
        ...wanted,
        'orders{shop="A"}.n': 3,
        'orders{shop="A"}.m': 2,
      });
      await store.expire(minute(3));
      expect(await lastNonzero(), "what is forgotten is no number any more").toEqual({
        'orders{shop="A"}.n': 3,
        'orders{shop="A"}.m': null,
        'orders{shop="B"}.n': 3,
      });
      await accept(point(minute(6), { n: 0, m: 8 }, { shop: "A" }));
      expect(await lastNonzero()).toMatchObject({ 'orders{shop="A"}.n': 3, 'orders{shop="A"}.m': 6 });
    });

    test("expire forgets what is older, and series that have nothing else", async () => {
      await accept(
        point(minute(1), { n: 1, m: 1 }, { shop: "A" }),
        point(minute(2), { n: 2 }, { shop: "A" }),
        point(minute(3), { n: 3 }, { shop: "A" }),
        point(minute(1), { n: 4 }, { shop: "B" }),
      );
      expect(await store.expire(minute(2))).toBe(3);
      expect(await read({ fields: ["n", "m"] })).toEqual({
        'orders{shop="A"}.n': [
          [2, 2],
          [3, 3],
        ],
      });
      expect((await store.list({})).map(formatSeries)).toEqual(['orders{shop="A"}.n']);
      expect(await store.expire(minute(2))).toBe(0);
      await accept(point(minute(4), { n: 5 }, { shop: "B" }));
      expect((await read())['orders{shop="B"}.n']).toEqual([[4, 5]]);
    });
  });
}
