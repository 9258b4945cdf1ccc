import { mean, standardDeviation } from "simple-statistics";

/** A fitted GM(1,1). Arrays have the length of the input. */
export type Gm11 = {
  /** Development coefficient: about minus the growth per step. */
  readonly a: number;
  /** Grey action quantity: about the level. */
  readonly b: number;
  /** First value of the input, which the model passes through. */
  readonly first: number;
  readonly fitted: readonly number[];
  /** Input minus fitted; the first is 0 and counts in C and P. */
  readonly residuals: readonly number[];
  /** Posterior error ratio: deviation of the residuals over deviation of the input, >= 0; 0 for a perfect fit. */
  readonly c: number;
  /** Small-error probability: share of residuals within 0.6745 S1 of their mean, 0 to 1. */
  readonly p: number;
  readonly grade: "good" | "qualified" | "just qualified" | "unqualified";
};

/** The worst that a model may be and still be of use: C at most, and P at least. */
export const ratioMax = 0.65;
export const smallErrorsMin = 0.7;

/**
 * The grey model GM(1,1): fits x0(k) + a z1(k) = b by least squares, where x1 is the running sum of the input and
 * z1(k) the mean of its neighbours x1(k) and x1(k-1); grades itself by the posterior check.
 * A series whose sums do not change (all zero after the first value) makes the plain formula divide by zero; then
 * a = 0 and b is the mean of the values after the first.
 * Source: Deng, J. (1982), "Control problems of grey systems", Systems & Control Letters 1(5); grades as in Liu, S. and
 * Lin, Y. (2010), "Grey Systems: Theory and Applications", chapter on model accuracy.
 * Complexity: O(n). Inputs whose squares overflow give a model that is not finite.
 * @param values at least 4, evenly spaced in time, oldest first
 * @throws Error with fewer values
 * @example gm11([2.874, 3.278, 3.337, 3.39, 3.679]).a // => -0.037204...
 */
export function gm11(values: readonly number[]): Gm11 {
  const n = values.length;
  if (n < 4) throw new Error(`gm11 requires at least 4 values (got ${n})`);
  const first = values[0] as number;
  const { a, b } = leastSquares(values);
  const fitted = [first];
  const residuals = [0];
  const scale = scaleOf({ a, b, first });
  for (let k = 1; k < n; k += 1) {
    const value = scale * Math.exp(-a * k);
    fitted.push(value);
    residuals.push((values[k] as number) - value);
  }
  const s1 = standardDeviation(values as number[]);
  const s2 = standardDeviation(residuals);
  const centre = mean(residuals);
  let small = 0;
  for (const residual of residuals) if (Math.abs(residual - centre) < 0.6745 * s1) small += 1;
  const c = s2 === 0 ? 0 : s2 / s1;
  const p = s2 === 0 ? 1 : small / n;
  return { a, b, first, fitted, residuals, c, p, grade: gradeOf(c, p) };
}

/**
 * The model's value at position k of the original series: 0 is the first value, n the first forecast.
 * x0^(k) = (1 - e^a) (x0(0) - b/a) e^(-ak), the difference of two steps of the time response; b where a vanishes.
 */
export function gm11At(model: { readonly a: number; readonly b: number; readonly first: number }, k: number): number {
  return k === 0 ? model.first : scaleOf(model) * Math.exp(-model.a * k);
}

/** (1 - e^a) (x0(0) - b/a), which is b where a vanishes. */
function scaleOf({ a, b, first }: { readonly a: number; readonly b: number; readonly first: number }): number {
  return Math.abs(a) < 1e-9 ? b : -Math.expm1(a) * (first - b / a);
}

function leastSquares(values: readonly number[]): { a: number; b: number } {
  const m = values.length - 1;
  const flat = values.every((value) => value === values[0]);
  if (flat) return { a: 0, b: values[0] as number };
  let sum = values[0] as number;
  let sz = 0;
  let szz = 0;
  let sx = 0;
  let szx = 0;
  for (let k = 1; k <= m; k += 1) {
    const x = values[k] as number;
    const z = sum + x / 2;
    sum += x;
    sz += z;
    szz += z * z;
    sx += x;
    szx += z * x;
  }
  const determinant = m * szz - sz * sz;
  // Relative to its terms: rounding leaves a little where the sums are equal.
  if (determinant <= 1e-12 * m * szz) return { a: 0, b: sx / m };
  const a = (sz * sx - m * szx) / determinant;
  return { a, b: (sx + a * sz) / m };
}

function gradeOf(c: number, p: number): Gm11["grade"] {
  if (c <= 0.35 && p >= 0.95) return "good";
  if (c <= 0.5 && p >= 0.8) return "qualified";
  if (c <= ratioMax && p >= smallErrorsMin) return "just qualified";
  return "unqualified";
}
