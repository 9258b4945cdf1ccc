// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what is refused
import { describe, expect, test } from "vitest";
import { bindsSlot, boundQuery, queryFaults } from "../../../src/sample/sources/sql-text.ts";
import { growthOf, nearlyLinear } from "../../support/cost.ts";

const codes = (query: string): string[] => queryFaults(query).map((fault) => fault.slice(0, 7));

describe("queries that are refused, with the codes they are refused by", () => {
  test.each([
    ["select 1; drop table loan", ["SQL-001"]],
    ["select 1;; select 2", ["SQL-001"]],
    ["select 1 /* ; */ ; /* x */ delete from t", ["SQL-001"]],
    ["", ["SQL-002"]],
    ["-- select 1", ["SQL-002"]],
    ["insert into t values (1)", ["SQL-002", "SQL-004"]],
    ["update t set a = 1", ["SQL-002"]],
    ["with d as (select 1) delete from t", ["SQL-002"]],
    ["with d as (delete from t returning *) select * from d", ["SQL-002"]],
    ["with d as (select 1) insert into t select * from d", ["SQL-002", "SQL-004"]],
    ["explain select 1", ["SQL-002"]],
    ["pragma journal_mode = wal", ["SQL-002"]],
    ["attach 'x.db' as x", ["SQL-002"]],
    ["vacuum", ["SQL-002"]],
    ["sel/**/ect 1", ["SQL-002"]],
    ["call refresh()", ["SQL-002"]],
    ["select * from t for update", ["SQL-003"]],
    ["select * from t FOR /* quietly */ SHARE", ["SQL-003"]],
    ["select * into outfile '/tmp/x' from t", ["SQL-004"]],
    ["select a into t2 from t", ["SQL-004"]],
    ["select /*! sleep(1), */ 1", ["SQL-005"]],
    ["select /*M! 1 */ 2", ["SQL-005"]],
    ["select /*+ SET_VAR(max_execution_time = 0) */ 1", ["SQL-005"]],
    ["select * from t for no key update", ["SQL-003"]],
    ["select * from t lock in share mode", ["SQL-003"]],
    ["select load_extension('x')", ["SQL-006"]],
    ["select count(*) from t where day = '${day}'", ["SQL-010"]],
    ["select count(*) from ${table}", ["SQL-010"]],
    ["select count(*) from t where at >= ':slot_start'", ["SQL-010"]],
    ["select * from t where at >= :start", ["SQL-010"]],
    ["select * from t where at >= ?", ["SQL-010"]],
    ["select * from t where at >= @slot_start", ["SQL-010"]],
    ["update t set a = :x; drop table t", ["SQL-001", "SQL-010"]],
  ])("%s", (query, expected) => {
    expect(codes(query)).toEqual(expected);
  });
});

describe("queries that are not refused", () => {
  test.each([
    ["select 1"],
    ["SELECT 1;"],
    [" \n-- orders\nselect 1 ; -- done\n"],
    ["with d as (select 1 as n) select n from d"],
    ["select replace(name, 'a', 'b') as n from t where (replace(name, 'x', '')) = 'y'"],
    ["select count(*) as n from t where note = 'drop table x; delete from y'"],
    ['select "update" as n, `delete`, [insert] from t'],
    ["select 'it''s ${' || 'x' as n from t".replace("${", "$")],
    ["select * from t where at >= :slot_start and at < :slot_end"],
    ["select '08:30:00' as opens, 'why?' as question from t"],
    ["select t.into from t"],
    ["select at::date as day from t where at >= :slot_start::timestamptz"],
    ["select tags[1] as first, tags[i] as ith, array[a, b] as both from t"],
    ["select details @> '{}' as has, details #>> '{a,b}' as b from t"],
  ])("%s", (query) => {
    expect(queryFaults(query)).toEqual([]);
  });
});

test("every fault says how to fix it", () => {
  for (const query of ["drop table t", "select 1; select 2", "select ?", "select 1 into t", "select ${x}"]) {
    for (const fault of queryFaults(query)) expect(fault).toMatch(/^SQL-\d{3} .+\. Fix: .+/);
  }
});

test("a query without the slot's bounds is told from one with them", () => {
  expect(bindsSlot("select 1 from t where at >= :slot_start")).toBe(true);
  expect(bindsSlot("select ':slot_start' -- :slot_end")).toBe(false);
});

test("servers get marks in place of bounds, and every other character as it was", () => {
  const query =
    "select ':slot_end ?' as a, b::date from t where at >= :slot_start and at < :slot_end or at = :slot_start;";
  expect(boundQuery(query, "numbered")).toEqual({
    text: "select ':slot_end ?' as a, b::date from t where at >= $1 and at < $2 or at = $1",
    names: ["slot_start", "slot_end"],
  });
  expect(boundQuery(query, "plain")).toEqual({
    text: "select ':slot_end ?' as a, b::date from t where at >= ? and at < ? or at = ?",
    names: ["slot_start", "slot_end", "slot_start"],
  });
});

test.each(["(", "'", "/*", "${"])(
  "a hostile text of 100,000 times %s costs little more than eight of an eighth",
  async (text) => {
    expect(await growthOf((times) => queryFaults(`select ${text.repeat(times)}`), 12_500)).toBeLessThan(nearlyLinear);
  },
);
