import { describe, expect, test } from "vitest";
import type { Sampler } from "../../../src/core/definitions.ts";
import type { Row } from "../../../src/core/model.ts";
import type { KnownSeries } from "../../../src/core/ports.ts";
import { formatProblem } from "../../../src/core/problem.ts";
import { pointLimits, toPoints } from "../../../src/sample/points.ts";
import { growthOf, nearlyLinear } from "../../support/cost.ts";
import { judgingOf } from "../judge/support.ts";
import { sampler } from "./support.ts";

const startMs = Date.parse("2026-11-20T09:00:00Z");
const known = (country: string, field = "orders", measurement = "orders"): KnownSeries => ({
  measurement,
  tags: { country },
  field,
  lastMs: startMs - 60_000,
  lastNonzeroMs: startMs - 60_000,
});
const read = (rows: readonly Row[], changes: Partial<Sampler> = {}, series: readonly KnownSeries[] = []) =>
  toPoints(sampler(changes), startMs, rows, series);
const one = (fields: readonly string[], tags: readonly string[] = []): Partial<Sampler> => ({
  point: { measurement: "orders", tags, fields },
});

test("a row becomes a point of its slot", () => {
  expect(read([{ country: "France", orders: 3, amount: 12.5, note: "not asked for" }])).toEqual({
    points: [
      { measurement: "orders", tags: { country: "France" }, fields: { orders: 3, amount: 12.5 }, timeMs: startMs },
    ],
    problems: [],
    beyondBounds: 0,
    dataState: "value",
    failed: false,
  });
});

describe("a cell that cannot be a tag: its row is left out, the others go on", () => {
  test.each([
    ["B25 line break", "42\nadmin", "PNT-001", "holds a line break"],
    ["B25 carriage return", "42\radmin", "PNT-001", "holds a line break"],
    ["B26 backslash at the end", "a\\", "PNT-002", "ends with a backslash"],
    ["B27 empty", "", "PNT-003", "is empty"],
    ["B27 null", null, "PNT-003", "is empty"],
    ["B27 absent", undefined, "PNT-003", "is empty"],
    ["B27 binary", new Uint8Array([1]), "PNT-003", "is neither text nor a number"],
    ["B35 control character", "a\u0007b", "PNT-011", "holds control characters"],
    ["B35 NUL", "a\u0000", "PNT-011", "holds control characters"],
    ["B37 lone surrogate", "a\ud800", "PNT-013", "is not valid Unicode"],
    ["B37 replacement character", "Z\ufffdrich", "PNT-013", "is not valid Unicode"],
  ])("%s", (_, country, code, what) => {
    const good = { country: "France", orders: 3, amount: 1 };
    const { points, problems, failed } = read([good, { country, orders: 9, amount: 9 }]);
    expect(points.map(({ tags }) => tags)).toEqual([{ country: "France" }]);
    expect(problems.map(formatProblem)).toEqual([
      expect.stringContaining(
        `${code} samplers/shop/orders.yaml:1:1 point.tags - column "country" ${what} in row 2. Fix: `,
      ),
    ]);
    expect(failed).toBe(false);
  });
});

describe("a cell that is a tag", () => {
  test.each([
    ["text", "Côte d'Ivoire", "Côte d'Ivoire"],
    ["emoji", "🇩🇪", "🇩🇪"],
    ["comma, blank, equals", "a, b=c", "a, b=c"],
    ["backslash inside", "a\\b", "a\\b"],
    ["number", 42, "42"],
    ["bigint", 9007199254740993n, "9007199254740993"],
    ["truth value", true, "true"],
  ])("%s", (_, cell, tag) => {
    expect(read([{ country: cell, orders: 1, amount: 1 }]).points[0]?.tags).toEqual({ country: tag });
  });
});

describe("a cell that cannot be a number", () => {
  test.each([
    ["B28 NaN", Number.NaN, "PNT-004", "is NaN"],
    ["B28 infinity", Number.POSITIVE_INFINITY, "PNT-004", "is Infinity"],
    ["B28 text beyond a double", "1e999", "PNT-004", "is Infinity"],
    ["B29 thousands separator", "1,234.50", "PNT-005", 'is not a number (got "9,999.99")'],
    ["B29 currency", "¥100", "PNT-005", 'is not a number (got "¥999")'],
    ["B29 percent", "12 %", "PNT-005", 'is not a number (got "99 %")'],
    ["B29 empty text", "", "PNT-005", 'is not a number (got "")'],
    ["B29 word, which is not shown", "Ana Silva", "PNT-005", 'is not a number (got "Aaa Aaaaa")'],
    ["B29 hexadecimal", "0x10", "PNT-005", 'is not a number (got "9a99")'],
    ["B29 truth value", true, "PNT-005", "is not a number (got boolean)"],
    ["B29 date", new Date(0), "PNT-005", "is not a number (got object)"],
    ["B30 2^63", 9223372036854775808n, "PNT-006", "is outside int64"],
    ["B30 2^53 + 1", 9007199254740993n, "PNT-006", "is a whole number beyond 2^53"],
    ["B30 the same as text", "9007199254740993", "PNT-006", "is a whole number beyond 2^53"],
    ["B30 negative", "-9223372036854775809", "PNT-006", "is outside int64"],
  ])("%s", (_, cell, code, what) => {
    const { points, problems, dataState, failed } = read([{ n: cell }], one(["n"]));
    expect(points).toEqual([]);
    expect(problems.map(formatProblem)).toEqual([
      expect.stringContaining(
        `${code} samplers/shop/orders.yaml:1:1 point.fields - column "n" ${what} in row 1. Fix: `,
      ),
    ]);
    expect({ dataState, failed }).toEqual({ dataState: "missing", failed: true });
  });
});

describe("a cell that is a number", () => {
  test.each([
    [12.5, 12.5],
    ["12.5", 12.5],
    ["12.50", 12.5],
    ["-3", -3],
    ["+3", 3],
    [" 7 ", 7],
    [".5", 0.5],
    ["5.", 5],
    ["1e6", 1_000_000],
    ["0.1", 0.1],
    ["9007199254740991", 9_007_199_254_740_991],
    [5n, 5],
    [-0.0, -0],
  ])("%s", (cell, value) => {
    expect(read([{ n: cell }], one(["n"])).points[0]?.fields).toEqual({ n: value });
  });
});

describe("columns", () => {
  test.each([
    [
      "B31 time as a field",
      one(["time"]),
      { time: 1 },
      'PNT-007 samplers/shop/orders.yaml:1:1 point.fields - "time" is reserved',
    ],
    ["B31 leading underscore", one(["n"], ["_host"]), { n: 1, _host: "a" }, 'point.tags - "_host" is reserved'],
    [
      "B49 wrong name",
      one(["total"]),
      { sum: 1, day: 2 },
      'SQL-012 samplers/shop/orders.yaml:1:1 point - no column "total"; there are sum, day',
    ],
    ["B49 two", one(["total", "n"], ["shop"]), { sum: 1 }, 'no column "shop", "total", "n"; there are sum'],
  ])("%s: nothing of the slot is taken", (_, changes, row, text) => {
    const { points, problems, failed } = read([row], { ...changes, empty: "zero" });
    expect({ points, failed }).toEqual({ points: [], failed: true });
    expect(problems.map(formatProblem)).toEqual([expect.stringContaining(text)]);
  });

  test("B31, B33 a column called time that nobody asked for is not the point's time", () => {
    const { points, problems, failed } = read([{ n: 1, time: 0 }], one(["n"]));
    expect(points).toEqual([{ measurement: "orders", tags: {}, fields: { n: 1 }, timeMs: startMs }]);
    expect(problems.map(({ code, severity }) => [code, severity])).toEqual([["PNT-007", "warning"]]);
    expect(failed).toBe(false);
  });
});

describe("B34 tag values are bounded", () => {
  const rows = (from: number, count: number): Row[] =>
    Array.from({ length: count }, (_, index) => ({ country: `c${from + index}`, orders: 1, amount: 1 }));

  test("1,000 values are taken, the next are named once", () => {
    const { points, problems } = read(rows(0, 1_005));
    expect(points).toHaveLength(1_000);
    expect(problems.map(formatProblem)).toEqual([
      expect.stringContaining(
        'PNT-010 samplers/shop/orders.yaml:1:1 point.tags - "country" has more than 1000 values; 5 rows',
      ),
    ]);
  });

  test("values known before count, and stay welcome", () => {
    const series = Array.from({ length: 1_000 }, (_, index) => known(`c${index}`));
    const { points, problems } = read([...rows(0, 3), ...rows(5_000, 2)], {}, series);
    expect(points.map(({ tags }) => tags.country)).toEqual(["c0", "c1", "c2"]);
    expect(problems.map(({ code }) => code)).toEqual(["PNT-010"]);
  });
});

test("B35 tags longer than the bound are refused", () => {
  const { points, problems } = read([
    { country: "x".repeat(pointLimits.keyBytesMax), orders: 1, amount: 1 },
    { country: "France", orders: 1, amount: 1 },
  ]);
  expect(points).toHaveLength(1);
  expect(problems.map(({ code, message }) => [code, message])).toEqual([
    ["PNT-011", "tags of row 1 are longer than 65536 bytes"],
  ]);
});

describe("B36 two rows of one series", () => {
  test("are both left out, since which is right cannot be known", () => {
    const { points, problems } = read([
      { country: "France", orders: 1, amount: 1 },
      { country: "Italy", orders: 1, amount: 1 },
      { country: "France", orders: 2, amount: 2 },
    ]);
    expect(points.map(({ tags }) => tags.country)).toEqual(["Italy"]);
    expect(problems.map(({ code, message }) => [code, message])).toEqual([["PNT-012", '(country="France") twice']]);
  });

  test("without tags, the answer says what is missing", () => {
    const { problems, failed } = read([{ n: 1 }, { n: 2 }, { n: 3 }], one(["n"]));
    expect(problems.map(({ message }) => message)).toEqual(["3 rows, and no tags to tell them apart"]);
    expect(failed).toBe(true);
  });
});

test("problems are named up to a bound, then counted", () => {
  const rows = Array.from({ length: 250 }, () => ({ country: "", orders: 1, amount: 1 }));
  const { problems } = read(rows);
  expect(problems).toHaveLength(101);
  expect(problems.at(-1)?.message).toBe("and 150 more");
});

describe("what a slot without rows means", () => {
  const series = [known("France"), known("France", "amount"), known("Italy")];
  const zero = (country: string) => ({
    measurement: "orders",
    tags: { country },
    fields: { orders: 0, amount: 0 },
    timeMs: startMs,
  });

  test("zero: every series seen before is zero", () => {
    expect(read([], { empty: "zero" }, series)).toEqual({
      points: [zero("France"), zero("Italy")],
      problems: [],
      beyondBounds: 0,
      dataState: "zero",
      failed: false,
    });
  });

  test("zero: a series that is absent beside others is zero too", () => {
    const { points, dataState } = read([{ country: "Italy", orders: 2, amount: 5 }], { empty: "zero" }, series);
    expect(points.map(({ tags, fields }) => [tags.country, fields.orders])).toEqual([
      ["Italy", 2],
      ["France", 0],
    ]);
    expect(dataState).toBe("value");
  });

  test("zero: nothing is invented for series never seen, of another measurement, field, or with other tags", () => {
    const foreign = [
      known("Spain", "orders", "refunds"),
      known("Spain", "vat"),
      { ...known("Spain"), tags: { country: "Spain", shop: "a" } },
      { ...known("Spain"), tags: { shop: "a" } },
    ];
    expect(read([], { empty: "zero" }, foreign)).toMatchObject({ points: [], dataState: "missing", failed: false });
  });

  test("zero: a series whose row has a fault is not absent", () => {
    const { points } = read([{ country: "France", orders: "n/a", amount: 1 }], { empty: "zero" }, series);
    expect(points.map(({ tags }) => tags.country)).toEqual(["Italy"]);
  });

  test("zero: without tags the one series is known by its definition", () => {
    const { points } = read([], { ...one(["n"]), empty: "zero" });
    expect(points).toEqual([{ measurement: "orders", tags: {}, fields: { n: 0 }, timeMs: startMs }]);
  });

  test("zero: NULL is no value, and not 0", () => {
    const { points, problems, dataState } = read([{ country: "France", orders: 0, amount: null }], { empty: "zero" }, [
      known("France"),
    ]);
    expect(points.map(({ fields }) => fields)).toEqual([{ orders: 0 }]);
    expect(problems.map(({ code, severity }) => [code, severity])).toEqual([["PNT-004", "warning"]]);
    expect(dataState).toBe("zero");
  });

  test("missing: no points, no problem", () => {
    const expected = { points: [], problems: [], beyondBounds: 0, dataState: "missing", failed: false };
    expect(read([], { empty: "missing" }, series)).toEqual(expected);
    expect(read([{ n: null }], { ...one(["n"]), empty: "missing" })).toEqual(expected);
  });

  test("error: no rows fail the slot, worth retrying", () => {
    const { points, problems, failed } = read([], { empty: "error" }, series);
    expect({ points, failed }).toEqual({ points: [], failed: true });
    expect(problems.map(({ message, retryable }) => [message, retryable])).toEqual([
      ["no rows, and empty is error", true],
    ]);
  });

  test("error: a series that is absent fails the slot, and the others are kept", () => {
    const { points, problems, failed } = read([{ country: "Italy", orders: 1, amount: 1 }], { empty: "error" }, series);
    expect(points).toHaveLength(1);
    expect(failed).toBe(true);
    expect(problems.map(({ message }) => message)).toEqual(['no row for (country="France"), and empty is error']);
  });
});

test("values that are all zero are told from values", () => {
  expect(read([{ n: 0 }], one(["n"])).dataState).toBe("zero");
});

test("a slot of 5,000 series costs little more than eight of 625", async () => {
  const slot = (series: number): void => {
    const rows = Array.from({ length: series }, (_, n) => ({ shop: `s${Math.floor(n / 50)}`, till: `t${n % 50}`, n }));
    expect(read(rows, { ...one(["n"], ["shop", "till"]), empty: "zero" }).points).toHaveLength(series);
  };
  expect(await growthOf(slot, 625)).toBeLessThan(nearlyLinear);
});

describe("the total of a ratio over all series", () => {
  const paid = {
    point: { measurement: "orders", tags: ["country"], fields: ["paid", "tried"], total: ["paid"] },
    judge: { paid: judgingOf({ kind: "ratio", denominator: "tried" }) },
  };
  const totalOf = (rows: readonly (readonly [unknown, unknown])[], changes: Partial<Sampler> = {}) => {
    const made = rows.map(([share, tried], index) => ({ country: `c${index}`, paid: share, tried }));
    const { points, problems } = read(made as Row[], { ...paid, ...changes });
    const own = points.filter(({ tags }) => Object.keys(tags).length === 0);
    return { totals: own.map(({ fields }) => fields), texts: problems.map(formatProblem) };
  };

  test.each([
    [
      "weighs each series by what it was measured on",
      [
        [0.5, 10],
        ["0.9", 30],
      ],
      [{ paid: 0.8, tried: 40 }],
    ],
    [
      "nothing measured adds nothing",
      [
        [0.5, 10],
        [0, 0],
        [null, 0],
        [0.7, null],
      ],
      [{ paid: 0.5, tried: 10 }],
    ],
    [
      "nothing measured at all is no ratio",
      [
        [0, 0],
        [null, 0],
      ],
      [{ tried: 0 }],
    ],
    ["no denominators at all", [[0.5, null]], []],
  ] as const)("%s", (_, rows, totals) => {
    expect(totalOf(rows)).toEqual({ totals, texts: [] });
  });

  test("without rows it follows empty", () => {
    expect(totalOf([], { empty: "zero" }).totals).toEqual([{ paid: 0, tried: 0 }]);
    expect(totalOf([], { empty: "missing" }).totals).toEqual([]);
  });

  test.each([
    ["a share that is not known of something measured", [null, 7]],
    ["a share that cannot be read", ["most", 7]],
    ["a denominator that cannot be read", [0.5, "many"]],
    ["a denominator below zero", [0.5, -1]],
  ] as const)("%s leaves the slot without it, and says so", (_, row) => {
    const { totals, texts } = totalOf([[0.5, 10], row]);
    expect(totals).toEqual([]);
    expect(texts.at(-1)).toContain('no total of "paid" in this slot: row 2 cannot be counted');
  });
});

describe("the total of a count over all series", () => {
  const total = {
    point: { measurement: "orders", tags: ["country"], fields: ["orders", "amount"], total: ["orders"] },
  };
  const totalOf = (rows: readonly Row[], changes: Partial<Sampler> = {}, series: readonly KnownSeries[] = []) => {
    const { points, ...rest } = read(rows, { ...total, ...changes }, series);
    const own = points.filter(({ tags }) => Object.keys(tags).length === 0);
    return { totals: own.map(({ fields }) => fields), ...rest, texts: rest.problems.map(formatProblem) };
  };
  const two = [
    { country: "France", orders: 3, amount: 1 },
    { country: "Germany", orders: "4", amount: 2 },
  ];

  test("comes last, without tags, and of the fields asked for", () => {
    expect(read(two, total).points.at(-1)).toEqual({
      measurement: "orders",
      tags: {},
      fields: { orders: 7 },
      timeMs: startMs,
    });
    expect(read(two).points).toHaveLength(2);
  });

  test.each([
    ["series that are absent add nothing", "missing", two, [{ orders: 7 }]],
    ["series that are filled with zeros add nothing", "zero", two, [{ orders: 7 }]],
    ["no rows at all, empty is zero", "zero", [], [{ orders: 0 }]],
    ["no rows at all, empty is missing", "missing", [], []],
    ["no rows at all, empty is error", "error", [], []],
    ["some are absent, empty is error: the slot failed", "error", two, []],
    ["NULL is no value", "missing", [{ country: "France", orders: null, amount: 1 }], []],
  ] as const)("%s", (_, empty, rows, totals) => {
    expect(totalOf(rows, { empty }, [known("Spain")]).totals).toEqual(totals);
  });

  test("zeros are zeros before any series is known", () => {
    expect(totalOf([], { empty: "zero" }).totals).toEqual([{ orders: 0 }]);
  });

  test("a row whose tags cannot be kept happened all the same", () => {
    expect(totalOf([...two, { country: null, orders: 5, amount: 1 }]).totals).toEqual([{ orders: 12 }]);
  });

  test("a number that cannot be read leaves the slot without a total, and says so", () => {
    const { totals, texts, failed } = totalOf([...two, { country: "Spain", orders: "many", amount: 1 }]);
    expect(totals).toEqual([]);
    expect(texts[1]).toBe(
      'PNT-014 samplers/shop/orders.yaml:1:1 point.total - no total of "orders" in this slot: row 3 cannot be counted',
    );
    expect(failed).toBe(false);
  });

  test("two rows of one series leave the slot without a total, and say so", () => {
    const { totals, texts } = totalOf([...two, two[0] as Row]);
    expect(totals).toEqual([]);
    expect(texts[1]).toContain("PNT-014");
  });

  test("a sum that no double holds exactly is none", () => {
    const rows = ["France", "Germany"].map((country) => ({ country, orders: Number.MAX_SAFE_INTEGER, amount: 1 }));
    expect(totalOf(rows).texts[0]).toContain("it cannot be held exactly");
  });

  test("the order of rows does not matter to it", () => {
    const parts = [0.1, 0.2, 0.3, 1e16, -1e16, 7.7].map((orders, index) => ({
      country: `c${index}`,
      orders,
      amount: 1,
    }));
    expect(totalOf(parts).totals).toEqual(totalOf(parts.toReversed()).totals);
  });

  test("a slot in which nothing is valid fails, and has none", () => {
    const { totals, failed } = totalOf([{ country: null, orders: 5, amount: 1 }]);
    expect({ totals, failed }).toEqual({ totals: [], failed: true });
  });
});

describe("combinations of tags are bounded", () => {
  const limits = { ...pointLimits, combinationsMax: 3 };
  const point = { measurement: "orders", tags: ["country", "device"], fields: ["orders"], total: ["orders"] };
  const rows = ["France", "Germany"].flatMap((country) =>
    ["app", "web"].map((device) => ({ country, device, orders: 1 })),
  );

  test("those beyond are left out, told, counted, and still in the total", () => {
    const { points, problems, beyondBounds } = toPoints(sampler({ point }), startMs, rows, [], limits);
    expect(points.map(({ tags }) => tags)).toEqual([
      { country: "France", device: "app" },
      { country: "France", device: "web" },
      { country: "Germany", device: "app" },
      {},
    ]);
    expect(points.at(-1)?.fields).toEqual({ orders: 4 });
    expect(beyondBounds).toBe(1);
    expect(problems.map(formatProblem)).toEqual([
      "PNT-010 samplers/shop/orders.yaml:1:1 point.tags - more than 3 combinations of tags; 1 rows are left out. " +
        "Fix: leave a tag out, or group more coarsely.",
    ]);
  });

  test("those known stay", () => {
    const before = [{ ...known("Germany"), tags: { country: "Germany", device: "web" } }];
    const { points } = toPoints(sampler({ point }), startMs, rows, before, limits);
    expect(points.map(({ tags }) => `${tags.country} ${tags.device}`)).toContain("Germany web");
    expect(points).toHaveLength(4);
  });
});
