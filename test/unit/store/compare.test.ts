import { describe, expect, test } from "vitest";
import type { Point } from "../../../src/core/model.ts";
import type { FieldSummary, PieceSummary } from "../../../src/core/ports.ts";
import { differencesOf, differingPieces } from "../../../src/store/compare.ts";

const numbers = (changes: Partial<FieldSummary> = {}): FieldSummary => {
  return { field: "n", count: 3, sum: 0.6, min: 0.1, max: 0.3, ...changes };
};
const piece = (startMs: number, ...fields: FieldSummary[]): PieceSummary => ({ startMs, fields });

describe("pieces differ", () => {
  test.each<[string, FieldSummary[], FieldSummary[], boolean]>([
    ["not where all sums are equal", [numbers()], [numbers()], false],
    // 0.1 + 0.2 + 0.3 is 0.6000000000000001, and 0.3 + 0.2 + 0.1 is 0.6.
    ["not by the order in which they were added up", [numbers()], [numbers({ sum: 0.1 + 0.2 + 0.3 })], false],
    [
      "not in sums near zero of large numbers",
      [numbers({ sum: 0, min: -1e9, max: 1e9 })],
      [numbers({ sum: 1e-7, min: -1e9, max: 1e9 })],
      false,
    ],
    ["in the count", [numbers()], [numbers({ count: 2 })], true],
    ["in the sum", [numbers()], [numbers({ sum: 0.61 })], true],
    ["in the least", [numbers()], [numbers({ min: 0.05 })], true],
    ["in the greatest", [numbers()], [numbers({ max: 0.35 })], true],
    ["in a field", [numbers()], [numbers(), numbers({ field: "m" })], true],
    ["in a field that has another name", [numbers()], [numbers({ field: "m" })], true],
    ["in the kind of a field", [numbers()], [numbers({ sum: null, min: null, max: null })], true],
    ["not in a field that has no values", [numbers()], [numbers(), numbers({ field: "m", count: 0 })], false],
  ])("%s", (_, one, other, differ) => {
    const wanted = differ ? [0] : [];
    expect(differingPieces([[piece(0, ...one)], [piece(0, ...other)]])).toEqual(wanted);
    expect(differingPieces([[piece(0, ...other)], [piece(0, ...one)]])).toEqual(wanted);
  });

  test("where one copy has none, in order of time, and among three", () => {
    expect(differingPieces([[piece(10, numbers()), piece(0, numbers())], []])).toEqual([0, 10]);
    const whole = [piece(0, numbers()), piece(10, numbers())];
    expect(differingPieces([whole, whole, [piece(0, numbers())]])).toEqual([10]);
  });

  test("not with one copy alone", () => {
    expect(differingPieces([[piece(0, numbers())]])).toEqual([]);
  });
});

describe("points differ", () => {
  const point = (changes: Partial<Point> = {}): Point => {
    return { measurement: "orders", tags: { shop: "A" }, fields: { n: 1, text: "x" }, timeMs: 5, ...changes };
  };

  test("field by field, told with the value of each copy", () => {
    const one = [point(), point({ timeMs: 6 }), point({ tags: { shop: "B" } })];
    const other = [point({ fields: { n: 2, text: "x" } }), point({ tags: { shop: "B" }, fields: { n: 1 } })];
    const about = ({ tags, timeMs }: Partial<Point>) => ({
      measurement: "orders",
      tags: tags ?? { shop: "A" },
      timeMs: timeMs ?? 5,
    });
    expect(differencesOf([one, other])).toEqual([
      { point: about({}), field: "n", values: [1, 2] },
      { point: about({ timeMs: 6 }), field: "n", values: [1, undefined] },
      { point: about({ timeMs: 6 }), field: "text", values: ["x", undefined] },
      { point: about({ tags: { shop: "B" } }), field: "text", values: ["x", undefined] },
    ]);
    expect(differencesOf([other, one])).toHaveLength(4);
  });

  test("not by the order of points, tags or fields", () => {
    const one = [point({ tags: { shop: "A", country: "DE" } }), point({ timeMs: 6 })];
    const other = [point({ timeMs: 6, fields: { text: "x", n: 1 } }), point({ tags: { country: "DE", shop: "A" } })];
    expect(differencesOf([one, other])).toEqual([]);
  });
});
