import { describe, expect, test } from "vitest";
import { formatProblem } from "../../../src/core/problem.ts";
import { addressOf } from "../../../src/sample/sources/sql-address.ts";
import { exactNumber } from "../../../src/sample/sources/sql-cells.ts";
import { judgePlan, type Plan, type TimeFacts } from "../../../src/sample/sources/sql-guard.ts";
import { type ExplainRow, planOf as planOfMysql } from "../../../src/sample/sources/sql-mysql-plan.ts";
import { type PlanNode, planOf as planOfPostgres } from "../../../src/sample/sources/sql-postgres-plan.ts";

const bound: TimeFacts = {
  bindsSlot: true,
  timeConditions: [{ table: "orders", column: "created_at", bounds: ["slot_start", "slot_end"], wrapped: false }],
};
const unbound: TimeFacts = { bindsSlot: false, timeConditions: [] };
const ceilings = { rowsMax: 5_000_000, costMax: 1_000_000 };
const scan = (rows: number, whole = false) => ({ table: "shop.orders", rows, whole, tableRows: 20_000_000 });
const plan = (changes: Partial<Plan>): Plan => ({ scans: [], joinedRows: 0, cost: null, ...changes });
const judged = (given: Partial<Plan>, time = bound) => judgePlan(plan(given), ceilings, time, "connection shop");
const words = (given: Partial<Plan>, time = bound) => {
  const { refusal, warnings } = judged(given, time);
  return [...(refusal === null ? [] : [refusal]), ...warnings].map(formatProblem);
};

describe("B46 the verdict", () => {
  test.each<[string, Partial<Plan>, TimeFacts, string[]]>([
    ["a slot's rows", { scans: [scan(600)], cost: 28 }, bound, []],
    ["exactly the ceiling", { scans: [scan(5_000_000)] }, bound, []],
    [
      "too many rows",
      { scans: [scan(18_882_607_396)] },
      unbound,
      [
        "SQL-009 connection shop - would read 18,882,607,396 rows, more than 5,000,000, most of shop.orders, which has about 20,000,000. Fix: add a time condition.",
      ],
    ],
    [
      "too many rows made by a join",
      { scans: [scan(10)], joinedRows: 6_000_000 },
      bound,
      [
        "SQL-009 connection shop - would read 6,000,010 rows, more than 5,000,000, most of shop.orders, which has about 20,000,000. Fix: let an index serve its time condition, or ask for less.",
      ],
    ],
    [
      "too much cost",
      { scans: [scan(10)], cost: 1_000_001 },
      bound,
      [
        "SQL-009 connection shop - would cost 1,000,001, more than 1,000,000. Fix: let an index serve its time condition, or ask for less.",
      ],
    ],
    [
      "a whole table",
      { scans: [scan(10_001, true)] },
      bound,
      [
        'SQL-W12 connection shop - goes through all of shop.orders, about 20,000,000 rows: no index serves the condition on "created_at". Fix: compare a time column that has an index with :slot_start and :slot_end.',
      ],
    ],
    ["a whole table of a few rows", { scans: [{ ...scan(50, true), tableRows: 50 }] }, unbound, []],
  ])("%s", (_, given, time, expected) => expect(words(given, time)).toEqual(expected));

  test("a condition that is computed with is told apart from one that another table has", () => {
    const wrapped = { ...bound, timeConditions: [{ ...bound.timeConditions[0]!, wrapped: true }] };
    expect(words({ scans: [scan(10, true)] }, wrapped)[0]).toContain('"created_at" is computed with');
    const other = { ...bound, timeConditions: [{ ...bound.timeConditions[0]!, table: "payments" }] };
    expect(words({ scans: [scan(10, true)] }, other)[0]).toContain("no time condition reaches it");
  });
});

/** A node of PostgreSQL, as its own EXPLAIN names what it tells. */
const node = (type: string, rows: number, cost: readonly [number, number], more: Partial<PlanNode> = {}): PlanNode => ({
  "Node Type": type,
  "Plan Rows": rows,
  "Startup Cost": cost[0],
  "Total Cost": cost[1],
  ...more,
});
const orders = { Schema: "public", "Relation Name": "orders" };
const sizes = new Map([["public.orders", 1_000_000]]);
const outer = (child: PlanNode): PlanNode => ({ ...child, "Parent Relationship": "Outer" });
const inner = (child: PlanNode): PlanNode => ({ ...child, "Parent Relationship": "Inner" });
const rowsOf = (root: PlanNode): number => {
  const { scans, joinedRows } = planOfPostgres(root, sizes);
  return Math.round(scans.reduce((sum, { rows }) => sum + rows, joinedRows));
};

describe("rows gone through in a plan of PostgreSQL", () => {
  const seq = node("Seq Scan", 10, [0, 18_000], { ...orders, Filter: "(x)" });
  const byIndex = node("Index Scan", 600, [0, 30], { ...orders, "Index Cond": "(x)" });
  test.each<[string, PlanNode, number]>([
    ["a filter leaves 10 of a million, all of which are gone through", seq, 1_000_000],
    ["an index gives what it gives", byIndex, 600],
    [
      "what a filter takes from an index was fetched: at most a page each",
      node("Index Scan", 1, [0, 401_500], { ...orders, "Index Cond": "(x)", Filter: "(y)" }),
      100_000,
    ],
    [
      "a bitmap's rows are those of its index",
      node("Bitmap Heap Scan", 5, [0, 90], {
        ...orders,
        Filter: "(y)",
        Plans: [outer(node("Bitmap Index Scan", 700, [0, 9]))],
      }),
      700,
    ],
    [
      "a nested loop goes through the inner side for each outer row",
      node("Nested Loop", 1, [0, 1], {
        Plans: [outer(byIndex), inner(node("Index Scan", 2, [0, 8], { ...orders, "Index Cond": "(x)" }))],
      }),
      600 + 1_200,
    ],
    [
      "memory does not make it less",
      node("Nested Loop", 1, [0, 1], {
        Plans: [outer(byIndex), inner(node("Materialize", 10, [0, 1], { Plans: [outer(seq)] }))],
      }),
      600 + 600_000_000,
    ],
    [
      "a hash is made once, and rows that a join makes count",
      node("Hash Join", 5_000, [0, 1], {
        Plans: [outer(byIndex), inner(node("Hash", 600, [0, 1], { Plans: [outer(byIndex)] }))],
      }),
      600 + 600 + 4_400,
    ],
    [
      "LIMIT ends an index early",
      node("Limit", 100, [0, 1], { Plans: [outer(node("Index Scan", 1_000_000, [0, 10_000], orders))] }),
      100,
    ],
    [
      "and does not end what has to be sorted first",
      node("Limit", 100, [900, 901], {
        Plans: [outer(node("Sort", 1_000_000, [900, 1_000], { Plans: [outer(seq)] }))],
      }),
      1_000_000,
    ],
    [
      "a subquery is run for each row",
      node("Seq Scan", 50, [0, 9], {
        Schema: "public",
        "Relation Name": "small",
        Plans: [{ ...byIndex, "Parent Relationship": "SubPlan" }],
      }),
      400 + 30_000,
    ],
  ])("%s", (_, root, expected) => expect(rowsOf(root)).toBe(expected));

  test("a table that was never analysed is reckoned by its cost", () => {
    const unknown = node("Seq Scan", 10, [0, 22_500], { Schema: "public", "Relation Name": "fresh", Filter: "(x)" });
    expect(rowsOf(unknown)).toBe(1_000_000);
  });
});

describe("rows gone through in a plan of MySQL", () => {
  const row = (given: Partial<ExplainRow>): ExplainRow => {
    return { id: 1, select_type: "SIMPLE", table: "o", type: "ref", rows: 100, filtered: 100, ...given };
  };
  const names = new Map([["o", { name: "shop.orders", rows: 1_000_000 }]]);
  const total = (rows: ExplainRow[]): number => {
    const { scans, joinedRows } = planOfMysql(rows, names);
    return scans.reduce((sum, scan) => sum + scan.rows, joinedRows);
  };
  test.each<[string, ExplainRow[], number]>([
    ["one table", [row({ rows: "600" })], 600],
    ["the next table once for each row that is left", [row({ filtered: 50 }), row({ table: "p", rows: 3 })], 100 + 150],
    ["every row with every other", [row({ rows: 100_000 }), row({ table: "b", rows: 100_000 })], 100_000 + 1e10],
    [
      "a derived table is made, then read",
      [
        row({ table: "<derived2>", rows: 100, select_type: "PRIMARY" }),
        row({ id: 2, select_type: "DERIVED", rows: 5_000 }),
      ],
      5_100,
    ],
    [
      "a dependent subquery for each row",
      [
        row({ select_type: "PRIMARY", rows: 200 }),
        row({ id: 2, select_type: "DEPENDENT SUBQUERY", table: "p", rows: 4 }),
      ],
      200 + 800,
    ],
    ["no table at all", [row({ table: null, rows: null })], 0],
  ])("%s", (_, rows, expected) => expect(total(rows)).toBe(expected));

  test("ALL and index go through everything, and aliases stand for tables", () => {
    const { scans } = planOfMysql([row({ type: "ALL", rows: 1_000_000 })], names);
    expect(scans).toEqual([{ table: "shop.orders", rows: 1_000_000, whole: true, tableRows: 1_000_000 }]);
  });
});

test.each([
  ["12.50", 12.5],
  ["-0.10", -0.1],
  ["123456789012345", 123456789012345],
  ["9007199254740991", 9007199254740991],
  ["9007199254740993", "9007199254740993"],
  ["0.1234567890123456789", "0.1234567890123456789"],
  ["1e400", "1e400"],
  ["NaN", Number.NaN],
])("a decimal text is a number where that loses nothing: %s", (text, expected) =>
  expect(exactNumber(text)).toEqual(expected),
);

test.each([
  ["postgres://db.example/shop", { host: "db.example", port: 5432, database: "shop" }],
  ["postgresql://[::1]:6432/a%20b", { host: "::1", port: 6432, database: "a b" }],
  ["postgres://u@db.example/shop", null],
  ["postgres://u:p@db.example/shop", null],
  ["postgres://db.example", null],
  ["mysql://db.example/shop", null],
  ["postgres://db.example/shop?sslmode=disable", null],
])("%s", (url, expected) => expect(addressOf(url, "postgres")).toEqual(expected));
