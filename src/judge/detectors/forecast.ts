import type { Forecast } from "../../core/model.ts";
import { counted } from "../../core/words.ts";
import { type Cells, forecastReach, type Place, skipSlotsMax } from "../cells.ts";
import { type Gm11, gm11, gm11At, ratioMax, smallErrorsMin } from "../math/gm11.ts";
import { levelShift } from "../math/levelratios.ts";

/** Least points that GM(1,1) is fitted to. */
const pointsMin = 4;

/** Above this |a| the model runs away within a few steps; Liu and Lin allow short forecasts up to 0.8. */
const developmentMax = 0.8;

/** What the forecaster came to; turned into words only where somebody reads them. */
export type Outlook =
  | { readonly kind: "value"; readonly value: number; readonly model: Gm11 }
  | { readonly kind: "points"; readonly points: number; readonly looked: number }
  | { readonly kind: "far"; readonly slots: number }
  | { readonly kind: "ratios"; readonly points: number }
  | { readonly kind: "development"; readonly a: number }
  | { readonly kind: "grade"; readonly c: number; readonly p: number };

/**
 * GM(1,1) for the slot under test, fitted to the last `points` values before slot `now - skip`, incidents left out.
 * @param skip slots right before the one under test that are under suspicion and must not teach the forecast; more than
 * {@link skipSlotsMax} count as that many
 */
export function forecastAt(cells: Cells, place: Place, points: number, skip: number): Outlook {
  const newest = place.now - 1 - Math.min(skip, skipSlotsMax);
  const looked = forecastReach(points);
  const found: number[] = [];
  let newestFound = newest;
  for (let cell = newest; cell > newest - looked && found.length < points; cell -= 1) {
    const value = cells.values[cell] as number;
    if (Number.isNaN(value) || cells.inIncident[cell] !== 0) continue;
    if (found.length === 0) newestFound = cell;
    found.push(value);
  }
  if (found.length < pointsMin) return { kind: "points", points: found.length, looked };
  // A forecast further ahead than the points it rests on is a guess.
  if (place.now - newestFound > points) return { kind: "far", slots: place.now - newestFound };
  found.reverse();
  let size = 0;
  let flat = true;
  for (const value of found) {
    size += Math.abs(value) / found.length;
    flat &&= value === found[0];
  }
  const shift = flat ? 0 : levelShift(found);
  // A shift beyond the values' own size would make any series pass.
  if (shift > size) return { kind: "ratios", points: found.length };
  for (let k = 0; k < found.length; k += 1) (found[k] as number) += shift;
  const model = gm11(found);
  if (Math.abs(model.a) > developmentMax) return { kind: "development", a: model.a };
  if (model.grade === "unqualified" || Number.isNaN(model.c)) return { kind: "grade", c: model.c, p: model.p };
  const value = gm11At(model, found.length - 1 + place.now - newestFound) - shift;
  if (!Number.isFinite(value)) return { kind: "development", a: model.a };
  return { kind: "value", value, model };
}

/** The outlook as a verdict carries it. */
export function forecastOf(outlook: Outlook): Forecast {
  if (outlook.kind !== "value") return { value: null, abstained: abstainedText(outlook) };
  return { value: outlook.value, a: outlook.model.a, b: outlook.model.b, grade: outlook.model.grade };
}

function abstainedText(outlook: Exclude<Outlook, { readonly kind: "value" }>): string {
  switch (outlook.kind) {
    case "points":
      return `${counted(outlook.points, "usable point")} in the last ${outlook.looked} slots, ${pointsMin} needed`;
    case "far":
      return `the newest usable point is ${outlook.slots} slots back`;
    case "ratios":
      return `the last ${outlook.points} points jump too much for a grey model`;
    case "development":
      return `the model runs away, a = ${outlook.a.toFixed(2)}`;
    case "grade":
      return `poor fit: ${poorText(outlook)}`;
  }
}

/** Which of the two tests of a grey model it fails. */
function poorText({ c, p }: { readonly c: number; readonly p: number }): string {
  const failed = [
    ...(c > ratioMax ? [`C ${c.toFixed(2)} above ${ratioMax.toFixed(2)}`] : []),
    ...(p < smallErrorsMin ? [`P ${p.toFixed(2)} below ${smallErrorsMin.toFixed(2)}`] : []),
  ];
  return failed.length === 0 ? "it has no errors to be compared" : failed.join(", ");
}
