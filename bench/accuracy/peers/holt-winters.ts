import type { Grid } from "../series.ts";

/** RRDtool's defaults, as its manual has them (rrdcreate: HWPREDICT, FAILURES). */
const alpha = 0.1;
const beta = 0.0035;
const gamma = 0.1;
const delta = 2;
const window = 9;
const failures = 7;
/** Seasons before it says anything: the first makes the season, the next ones its deviations. */
const seasonsMin = 3;

/**
 * Additive Holt-Winters with a season of a day and Brutlag's confidence bands, as RRDtool has them.
 * Source: Brutlag, J. D. (2000), "Aberrant Behavior Detection in Time Series for Network Monitoring", LISA XIV.
 * The score is the seventh largest of the last nine deviations in units of the band: it passes 1 exactly where seven
 * of nine lie outside.
 */
export function holtWinters({ values, perDay }: Grid): Float64Array {
  const scores = new Float64Array(values.length);
  const season = new Float64Array(perDay);
  const deviation = new Float64Array(perDay);
  const seen = new Uint16Array(perDay);
  let level = firstLevel(values, perDay);
  let trend = 0;
  const recent: number[] = [];
  for (let cell = 0; cell < values.length; cell += 1) {
    const value = values[cell] as number;
    const slot = cell % perDay;
    // A gap leaves level and trend where they were: extrapolating through a long one would run away.
    if (Number.isNaN(value)) continue;
    const times = seen[slot] as number;
    seen[slot] = Math.min(65_535, times + 1);
    if (times === 0) {
      season[slot] = value - level;
      continue;
    }
    const shape = season[slot] as number;
    const error = Math.abs(value - (level + trend + shape));
    if (cell >= seasonsMin * perDay && times > 1) {
      // Begun at nothing, an average of so few is too low by a known factor.
      const usual = (deviation[slot] as number) / (1 - (1 - gamma) ** (times - 1));
      recent.push(error === 0 ? 0 : Math.min(1e6, error / (delta * usual)));
      if (recent.length > window) recent.shift();
      scores[cell] = recent.length < window ? 0 : (recent.toSorted((a, b) => b - a)[failures - 1] as number);
    }
    const before = level;
    level = alpha * (value - shape) + (1 - alpha) * (level + trend);
    trend = beta * (level - before) + (1 - beta) * trend;
    season[slot] = gamma * (value - level) + (1 - gamma) * shape;
    deviation[slot] = gamma * error + (1 - gamma) * (deviation[slot] as number);
  }
  return scores;
}

/** The mean of the first season. */
function firstLevel(values: Float64Array, perDay: number): number {
  const known = values.subarray(0, perDay).filter((value) => !Number.isNaN(value));
  return known.length === 0 ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
}
