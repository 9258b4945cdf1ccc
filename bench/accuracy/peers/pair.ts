import { gm11, gm11At } from "../../../src/judge/math/gm11.ts";
import { levelShift } from "../../../src/judge/math/levelratios.ts";
import { trimmedMean } from "../../../src/judge/math/trimmedmean.ts";
import type { Grid } from "../series.ts";

const days = 7;
const daysMin = 4;
const points = 8;
const pointsMin = 4;
/** Off by this share is one on the scale of scores. */
const off = 0.5;
/** Of a baseline of zero everything is infinitely far off. */
const scoreMax = 100;

/**
 * The pair and nothing else: a value that differs by half from the trimmed seven-day mean and from GM(1,1) of the
 * points right before it. No evidence, no memory of incidents. Where the forecast abstains the baseline speaks alone.
 */
export function pair({ values, perDay }: Grid): Float64Array {
  const scores = new Float64Array(values.length);
  for (let cell = 0; cell < values.length; cell += 1) {
    const value = values[cell] as number;
    if (Number.isNaN(value)) continue;
    const past: number[] = [];
    for (let day = 1; day <= days && cell >= day * perDay; day += 1) {
      const before = values[cell - day * perDay] as number;
      if (!Number.isNaN(before)) past.push(before);
    }
    if (past.length < daysMin) continue;
    const fromBaseline = farFrom(trimmedMean(past, 1), value);
    // What agrees with the baseline need not ask the forecast for the call, but its score should say how far both are.
    const forecast = forecastAt(values, cell);
    scores[cell] = Number.isNaN(forecast) ? fromBaseline : Math.min(fromBaseline, farFrom(forecast, value));
  }
  return scores;
}

function farFrom(expected: number, value: number): number {
  if (value === expected) return 0;
  return Math.min(scoreMax, Math.abs(value - expected) / Math.abs(expected) / off);
}

/** NaN where it abstains: too few points, or one of GM(1,1)'s own checks fails. */
function forecastAt(values: Float64Array, cell: number): number {
  const found: number[] = [];
  let newest = -1;
  for (let at = cell - 1; at >= 0 && at >= cell - 2 * points && found.length < points; at -= 1) {
    const value = values[at] as number;
    if (Number.isNaN(value)) continue;
    if (newest < 0) newest = at;
    found.unshift(value);
  }
  if (found.length < pointsMin) return Number.NaN;
  const size = found.reduce((sum, value) => sum + Math.abs(value), 0) / found.length;
  const shift = found.every((value) => value === found[0]) ? 0 : levelShift(found);
  if (shift > size) return Number.NaN;
  const model = gm11(found.map((value) => value + shift));
  if (Math.abs(model.a) > 0.8 || model.grade === "unqualified" || Number.isNaN(model.c)) return Number.NaN;
  return gm11At(model, found.length - 1 + cell - newest) - shift;
}
