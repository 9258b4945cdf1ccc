import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { gm11, gm11At } from "../../../../src/judge/math/gm11.ts";
import { levelShift } from "../../../../src/judge/math/levelratios.ts";

type Vector = {
  name: string;
  x0: number[];
  a: number;
  b: number;
  fitted: number[];
  forecast: number[];
  residual: number[];
  C: number;
  P: number;
  grade: string;
  level_ratio: number[];
  level_ratio_bounds: [number, number];
};

const file = join(import.meta.dirname, "../gm11-vectors.json");
const { vectors } = JSON.parse(readFileSync(file, "utf8")) as { vectors: Vector[] };

test("there are six published or recomputed vectors", () => {
  expect(vectors.length).toBe(6);
});

describe.each(vectors)("GM(1,1) agrees with $name to six digits", (vector) => {
  const input = Object.freeze([...vector.x0]);
  const model = gm11(input);

  /** Six significant digits, and no less than six places for what is near zero. */
  function expectClose(actual: number, wanted: number): void {
    expect(Math.abs(actual - wanted)).toBeLessThanOrEqual(5e-7 * Math.max(1, Math.abs(wanted)));
  }

  test("parameters and the posterior check", () => {
    expectClose(model.a, vector.a);
    expectClose(model.b, vector.b);
    expectClose(model.c, vector.C);
    expectClose(model.p, vector.P);
    expect(model.grade).toBe(vector.grade);
  });

  test("fitted values, residuals and forecasts", () => {
    for (const [k, wanted] of vector.fitted.entries()) expectClose(model.fitted[k] as number, wanted);
    for (const [k, wanted] of vector.residual.entries()) expectClose(model.residuals[k] as number, wanted);
    for (const [k, wanted] of vector.forecast.entries()) expectClose(gm11At(model, input.length + k), wanted);
  });

  test("a shift is needed exactly where a level ratio leaves its bounds", () => {
    const [low, high] = vector.level_ratio_bounds;
    const inside = vector.level_ratio.every((ratio) => ratio > low && ratio < high);
    expect(levelShift(input) === 0).toBe(inside);
  });
});

describe("GM(1,1) where the plain formula divides by zero", () => {
  test.each([
    { what: "flat", values: [7, 7, 7, 7, 7], forecast: 7 },
    { what: "all zero", values: [0, 0, 0, 0], forecast: 0 },
    { what: "zero after the first", values: [5, 0, 0, 0, 0], forecast: 0 },
  ])("$what: the forecast is the level", ({ values, forecast }) => {
    const model = gm11(Object.freeze(values) as number[]);
    expect(gm11At(model, values.length)).toBe(forecast);
    expect(model).toMatchObject({ a: 0, c: 0, p: 1, grade: "good" });
  });

  test("fewer than four values are refused by name, rule and number", () => {
    expect(() => gm11([1, 2, 3])).toThrow("gm11 requires at least 4 values (got 3)");
  });
});

describe("the shift brings level ratios inside their bounds", () => {
  test.each([
    [[10, 11, 12, 11]],
    [[0, 10, 0, 10]],
    [[0, 0, 0, 5]],
    [[-5, -4, 3, 8]],
    [[100, 20, 100, 20, 60]],
    [[-3, -3, -3, -3]],
    [[0, 0, 0, 0]],
  ])("%j", (values) => {
    const shift = levelShift(Object.freeze(values) as number[]);
    const bound = Math.exp(2 / (values.length + 1));
    for (const [k, value] of values.entries()) {
      expect(value + shift).toBeGreaterThan(0);
      if (k === 0) continue;
      const ratio = ((values[k - 1] as number) + shift) / (value + shift);
      expect(ratio).toBeGreaterThan(1 / bound);
      expect(ratio).toBeLessThan(bound);
    }
  });

  test("one value is refused", () => {
    expect(() => levelShift([1])).toThrow("levelShift requires at least 2 values (got 1)");
  });
});
