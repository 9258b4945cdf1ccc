// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what is refused
import { describe, expect, test } from "vitest";
import { type Dialect, functionGroups, loadParser, parseQuery } from "../../../src/sample/sources/sql-parse.ts";
import { hostileStatements, ordinaryQueries } from "../../support/hostile.ts";
import { hostileMutations, ordinaryMutations } from "../../support/hostile-mutations.ts";

const dialects = ["postgres", "mysql", "sqlite"] as const;
const parsers = {
  postgres: await loadParser("postgres"),
  mysql: await loadParser("mysql"),
  sqlite: await loadParser("sqlite"),
};
const faultsOf = (query: string, dialect: Dialect): readonly string[] => parsers[dialect](query).faults;
const codesOf = (query: string, dialect: Dialect): string[] => [
  ...new Set(faultsOf(query, dialect).map((fault) => fault.slice(0, 7))),
];

describe("queries as people write them are accepted", () => {
  for (const dialect of dialects) {
    describe(dialect, () => {
      test.each(ordinaryQueries(dialect).map((query) => [query]))("%s", (query) => {
        const { faults, tables, bindsSlot, text } = parsers[dialect](query);
        expect(faults).toEqual([]);
        expect(tables.length > 0 || !query.includes(" from ")).toBe(true);
        expect(bindsSlot).toBe(query.includes(":slot_"));
        expect(text).not.toMatch(/--|\/\*|;\s*$/);
      });
    });
  }
});

describe("hostile statements are refused, with the codes they are refused by", () => {
  for (const dialect of dialects) {
    describe(dialect, () => {
      test.each(hostileStatements(dialect).map(({ code, sql }) => [code, sql]))("%s %j", (code, sql) => {
        const faults = faultsOf(sql as string, dialect);
        expect(faults.map((fault) => fault.slice(0, 7))).toContain(code);
        for (const fault of faults) expect(fault).toMatch(/^SQL-0\d\d [\s\S]+\. Fix: [\s\S]+[^.]$/);
      });
    });
  }
});

test("the corpus is as large as it is said to be", () => {
  const sizes = dialects.map((dialect) => ({
    ordinary: new Set(ordinaryQueries(dialect)).size,
    hostile: new Set(hostileStatements(dialect).map(({ sql }) => sql)).size,
  }));
  for (const { ordinary, hostile } of sizes) {
    expect(ordinary).toBeGreaterThanOrEqual(80);
    expect(hostile).toBeGreaterThanOrEqual(60);
  }
  const all = dialects.flatMap((dialect) => hostileStatements(dialect).map(({ sql }) => sql));
  expect(new Set(all).size).toBeGreaterThanOrEqual(120);
});

describe("of 2,000 mutations none is accepted, and what keeps its meaning stays accepted", () => {
  test.each([
    ["postgres", 700],
    ["mysql", 700],
    ["sqlite", 600],
  ] as const)("%s", (dialect, count) => {
    const accepted = hostileMutations(dialect, count, 20261127).filter((sql) => faultsOf(sql, dialect).length === 0);
    expect(accepted).toEqual([]);
    // Else it would do to refuse everything.
    const same = ordinaryMutations(dialect, count, 20261127);
    const refused = same.filter((sql) => faultsOf(sql, dialect).length > 0);
    expect(refused.length).toBeLessThanOrEqual(count / 100);
  });
});

describe("what a query reads", () => {
  const condition = (table: string | null, column: string, wrapped = false, bounds = ["slot_start", "slot_end"]) => ({
    table,
    column,
    bounds,
    wrapped,
  });
  const slot = (column: string): string => `${column} >= :slot_start and ${column} < :slot_end`;

  describe.each(dialects.map((dialect) => [dialect] as const))("%s", (dialect) => {
    test.each([
      [`select 1 from shop.orders o where ${slot("o.at")}`, ["shop.orders"], [condition("shop.orders", "at")]],
      [`select 1 from orders where ${slot("at")}`, ["orders"], [condition("orders", "at")]],
      ["select 1 from a join b on a.id = b.id", ["a", "b"], []],
      [`select 1 from a join b on a.id = b.id and ${slot("b.at")}`, ["a", "b"], [condition("b", "at")]],
      [`select 1 from a, b where ${slot("at")}`, ["a", "b"], [condition(null, "at")]],
      [`with o as (select * from orders where ${slot("at")}) select 1 from o`, ["orders"], [condition("orders", "at")]],
      [
        `with orders as (select * from orders) select 1 from orders where ${slot("at")}`,
        ["orders"],
        [condition(null, "at")],
      ],
      ["select 1 from (with x as (select 1 as n) select n from x) y, x", ["x"], []],
      [`select 1 from orders o where ${slot("substr(o.at, 1, 10)")}`, ["orders"], [condition("orders", "at", true)]],
      [`select 1 from orders o where ${slot("cast(o.at as date)")}`, ["orders"], [condition("orders", "at", true)]],
      [`select 1 from orders where ${slot("at + 1")}`, ["orders"], [condition("orders", "at", true)]],
      ["select 1 from orders where at between :slot_start and :slot_end", ["orders"], [condition("orders", "at")]],
      ["select 1 from orders where :slot_start <= at", ["orders"], [condition("orders", "at", false, ["slot_start"])]],
      ["select 1 from orders where at >= :slot_start or id = 1", ["orders"], []],
      ["select 1 from orders where not (at >= :slot_start)", ["orders"], []],
      ["select sum(case when at >= :slot_start then 1 end) as n from orders", ["orders"], []],
      [
        `select 1 from a where ${slot("a.at")} and exists (select 1 from b where b.id = a.id and ${slot("b.seen")})`,
        ["a", "b"],
        [condition("a", "at"), condition("b", "seen")],
      ],
      [
        `select 1 from a where ${slot("at")} union all select 1 from b where ${slot("date(at)")}`,
        ["a", "b"],
        [condition("a", "at"), condition("b", "at", true)],
      ],
    ])("%s", (query, tables, conditions) => {
      const parsed = parsers[dialect](query);
      expect(parsed.tables).toEqual(tables);
      const key = (each: { table: string | null }): string => String(each.table);
      expect([...parsed.timeConditions].sort((a, b) => key(a).localeCompare(key(b)))).toEqual(conditions);
    });
  });

  test("functions are those of the query, in lower case", async () => {
    const query = "select COUNT(*), round(avg(a)) as m, coalesce(max(b), 0) as c from t";
    for (const dialect of dialects) {
      const { functions } = await parseQuery(query, dialect);
      expect(functions.filter((name) => name !== "coalesce")).toEqual(["avg", "count", "max", "round"]);
    }
  });
});

test("all faults are told in one pass, each with its place", () => {
  const query = "select nosuch(1),\n  pg_sleep(2)\nfrom pg_authid for update";
  expect(faultsOf(query, "postgres")).toEqual([
    "SQL-003 takes locks. Fix: remove FOR UPDATE, FOR SHARE or LOCK IN SHARE MODE",
    "SQL-030 pg_authid belongs to the server itself at 3:6. Fix: name a table or view of your own",
    "SQL-006 function nosuch is not allowed at 1:8. Fix: use a function that docs/sources/sql.md names, or have a view compute it",
    "SQL-006 function pg_sleep is not allowed at 2:3. Fix: use a function that docs/sources/sql.md names, or have a view compute it",
  ]);
});

test("places count characters, not bytes", () => {
  expect(faultsOf("select 'größe €', nosuch(1)", "postgres")[0]).toContain("at 1:19.");
  expect(faultsOf("select 'größe €', nosuch(1)", "sqlite")[0]).toContain("at 1:19.");
});

test("a mistyped function is answered with the one that was meant", () => {
  for (const dialect of dialects)
    expect(faultsOf("select cuont(*) from t", dialect)[0]).toContain("did you mean count?");
});

describe("what is refused says how else to write it", () => {
  test.each([
    ["sqlite", "select a from t limit 5, 10", "LIMIT n OFFSET m"],
    ["mysql", "select key from t", "names in `...`"],
    ["postgres", "select a from where b = 1", "cannot be read: syntax error"],
    ["mysql", 'select a from t where b = "x"', "write '...' for text"],
    ["postgres", "with recursive n as (select 1) select * from n", "a table of numbers or days"],
    ["postgres", "select repeat('x', 3)", "have a view compute it"],
  ] as const)("%s: %s", (dialect, query, part) => {
    expect(faultsOf(query, dialect).join("\n")).toContain(part);
  });
});

describe("what is sent is what was checked", () => {
  test.each([
    ["/* a */ select 1 -- b\nas n ; -- c\n;", "select 1     \nas n"],
    ["select '--x' as a, '/* y */' as b;", "select '--x' as a, '/* y */' as b"],
    ["select a from t where at >= :slot_start", "select a from t where at >= :slot_start"],
  ])("%j", (query, sent) => {
    for (const dialect of dialects) expect(parsers[dialect](query).text).toBe(sent);
  });
});

describe("a query has bounds", () => {
  const nested = (count: number): string => `select ${"(".repeat(count)}1${")".repeat(count)} as n`;
  const hostile = [
    nested(5_000),
    `select ${"abs(".repeat(5_000)}1${")".repeat(5_000)}`,
    `select a from t where ${"not ".repeat(9_000)}a`,
    `select ${"case when ".repeat(9_000)}`,
    `select ${Array(9_999).fill("1").join(" + ")} as n`,
    Array(4_000).fill("select 1").join(" union all "),
    `select ${"(select ".repeat(9_000)}1${")".repeat(9_000)}`,
    `select ${"nosuch(1), ".repeat(4_000)}1`,
    `select '${"x".repeat(100_000)}'`,
    `select ${"'".repeat(99_000)}`,
    `select ${"/*".repeat(49_000)}`,
  ];

  test.each(dialects.map((dialect) => [dialect]))("%s: each is answered, and nothing breaks", (dialect) => {
    for (const query of hostile) {
      const { faults } = parsers[dialect](query);
      expect(faults.length).toBeLessThan(25);
      // The library still works after what it could not take.
      expect(faultsOf("select 1 as alive", dialect)).toEqual([]);
    }
  });

  test.each(dialects.map((dialect) => [dialect]))("%s: sixty parentheses are taken, more are not", (dialect) => {
    expect(codesOf(nested(60), dialect)).toEqual([]);
    expect(codesOf(nested(61), dialect)).toEqual(["SQL-033"]);
    expect(codesOf(`select 1 as n${" ".repeat(99_987)}`, dialect)).toEqual([]);
    expect(codesOf(`select 1 as n${" ".repeat(99_988)}`, dialect)).toEqual(["SQL-033"]);
    const manyOf = (count: number): string => `select a from t where b in (${Array(count).fill("1").join(",")})`;
    expect(codesOf(manyOf(9_000), dialect)).toEqual([]);
    expect(codesOf(manyOf(11_000), dialect)).toEqual(["SQL-033"]);
  });
});

test("every function that is on a list can be called", () => {
  const forms = [
    "N",
    "N()",
    "N(a)",
    "N(a, b)",
    "N(day from a)",
    "N(day, a, b)",
    "N('x' in a)",
    "N(a as char)",
    "N(a, char)",
  ];
  for (const dialect of dialects) {
    for (const name of Object.values(functionGroups[dialect]).flat()) {
      const faults = forms.map((form) => faultsOf(`select ${form.replace("N", name)} as n from t`, dialect));
      expect(
        faults.some(({ length }) => length === 0),
        `${dialect} ${name}: ${faults[2]}`,
      ).toBe(true);
    }
  }
});

test("no function that writes, waits, reads files or locks is on a list", () => {
  const bad =
    /sleep|_lock|file|^lo_|dblink|xml|set_config|setval|nextval|notify|benchmark|extension|pg_|txid|user|terminate|cancel|blob|advis/;
  for (const dialect of dialects) {
    const names = Object.values(functionGroups[dialect]).flat();
    expect(names.length).toBeGreaterThan(60);
    expect(names.filter((name) => bad.test(name))).toEqual([]);
    expect(names.filter((name) => name !== name.toLowerCase())).toEqual([]);
  }
});
