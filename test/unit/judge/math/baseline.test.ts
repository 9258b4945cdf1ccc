import { describe, expect, test } from "vitest";
import { ascending } from "../../../../src/judge/math/ascending.ts";
import { trimmedMean } from "../../../../src/judge/math/trimmedmean.ts";

/** Self-awareness times, Dana (1990), as worked through in Wilcox, "Introduction to Robust Estimation", chapter 3. */
const wilcox = Object.freeze([
  77, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611,
]) as number[];

describe("trimmed mean", () => {
  test("agrees with Wilcox's worked example: 20 % trimmed mean 282.7", () => {
    expect(trimmedMean(wilcox, 3)).toBeCloseTo(282.7, 1);
  });

  test("without trimming it is the mean", () => {
    const values = Object.freeze([2, 4, 4, 4, 5, 5, 7, 9]) as number[];
    expect(trimmedMean(values, 0)).toBe(5);
  });

  test("one wild day does not move it", () => {
    for (const days of [
      [1, 2, 3, 4, 1e30],
      [1e30, 4, 3, 2, 1],
      [3, 1e30, 1, 2, 4],
      [4, 3, -1e30, 4, 2],
    ]) {
      expect(trimmedMean(Object.freeze(days) as number[], 1)).toBe(3);
    }
  });

  test("too few values are refused by name, rule and number", () => {
    expect(() => trimmedMean([1, 2], 1)).toThrow("trimmedMean requires at least 3 values (got 2)");
  });
});

describe("ascending", () => {
  test.each([[[]], [[1]], [[3, 1, 2]], [[2, 2, -1, 0]], [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]])("%j", (values) => {
    const input = Object.freeze(values) as number[];
    expect(ascending(input)).toEqual([...input].sort((one, other) => one - other));
  });
});
