import { expect, test } from "vitest";
import type { Bucket, Series } from "../../../src/core/ports.ts";
import { RollUp } from "../../../src/store/rollup.ts";

const day = Date.UTC(2026, 10, 20);
const minute = 60_000;
const buckets: Bucket[] = [
  { name: "", everyMs: null, keepMs: null, shardMs: 1 },
  { name: "ten", everyMs: 10 * minute, keepMs: null, shardMs: 1 },
  { name: "hour", everyMs: 60 * minute, keepMs: null, shardMs: 1 },
];

function series(field: string, values: Series["values"], country = "DE", fromMs = day): Series {
  const timesMs = values.map((_, index) => fromMs + index * 5 * minute);
  return { measurement: "orders", tags: { country }, field, timesMs, values };
}

test("numbers are summed and averaged in aligned pieces, fields of one series together", () => {
  const rollUp = new RollUp(buckets);
  expect(rollUp.add([series("orders", [1, 2, 3]), series("amount", [10, 20, 60])])).toBe(6);
  expect(rollUp.points().get("ten")).toEqual([
    point(day, { sum_orders: 3, mean_orders: 1.5, sum_amount: 30, mean_amount: 15 }),
    point(day + 10 * minute, { sum_orders: 3, mean_orders: 3, sum_amount: 60, mean_amount: 60 }),
  ]);
  expect(rollUp.points().get("hour")).toEqual([
    point(day, { sum_orders: 6, mean_orders: 2, sum_amount: 90, mean_amount: 30 }),
  ]);
  expect([...rollUp.points().keys()]).toEqual(["ten", "hour"]);
});

test("a piece that comes in two parts is summed as one; other tags are another point", () => {
  const rollUp = new RollUp(buckets);
  rollUp.add([series("orders", [1])]);
  rollUp.add([series("orders", [5], "DE", day + 5 * minute), series("orders", [7], "UK")]);
  expect(rollUp.points().get("ten")).toEqual([
    point(day, { sum_orders: 6, mean_orders: 3 }),
    point(day, { sum_orders: 7, mean_orders: 7 }, "UK"),
  ]);
});

test("texts and booleans have no sum, and are not counted as summed", () => {
  const rollUp = new RollUp(buckets);
  expect(rollUp.add([series("note", ["a", "b"]), series("ok", [true])])).toBe(0);
  expect(rollUp.points().get("ten")).toEqual([]);
});

function point(timeMs: number, fields: Record<string, number>, country = "DE") {
  return { measurement: "orders", tags: { country }, timeMs, fields };
}
