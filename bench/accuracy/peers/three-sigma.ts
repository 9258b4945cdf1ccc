import type { Grid } from "../series.ts";

const days = 7;
const slotsAside = 2;
/** Fewer values than this, of 35, give no deviation to speak of. */
const valuesMin = 12;
const sigmas = 3;
/** Where all values were the same, any other is infinitely surprising. */
const scoreMax = 100;

/** How many times three deviations a value is from the mean of the same time of day, two slots either side. */
export function threeSigma({ values, perDay }: Grid): Float64Array {
  const scores = new Float64Array(values.length);
  for (let cell = 0; cell < values.length; cell += 1) {
    const value = values[cell] as number;
    if (Number.isNaN(value)) continue;
    let [count, mean, squares] = [0, 0, 0];
    for (let day = 1; day <= days; day += 1) {
      const centre = cell - day * perDay;
      // A slot after this time of day lies in the past all the same, unless a day is shorter than what is looked at.
      for (let at = Math.max(0, centre - slotsAside); at <= Math.min(cell - 1, centre + slotsAside); at += 1) {
        const past = values[at] as number;
        if (Number.isNaN(past)) continue;
        count += 1;
        const delta = past - mean;
        mean += delta / count;
        squares += delta * (past - mean);
      }
    }
    if (count < valuesMin || value === mean) continue;
    const deviation = Math.sqrt(squares / (count - 1));
    scores[cell] = Math.min(scoreMax, Math.abs(value - mean) / deviation / sigmas);
  }
  return scores;
}
