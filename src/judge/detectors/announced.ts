/**
 * What a gauge is expected to be while a campaign runs, and right after one: the values just before say nothing of it
 * then, those at the same time on past days do.
 */
import { type Cells, type Place, referenceDays } from "../cells.ts";
import { type Usual, usualDays, usualOf, usualOn } from "./usual.ts";

/** Each end of what is expected is a band of its own: what slots of past days were, so many times. */
export type Announced = { readonly least: Usual; readonly most: Usual };

/** Null where too little is known of the days before. */
export function announcedAt(cells: Cells, place: Place): Announced | null {
  const expect = place.campaign?.expect ?? { kind: "uplift", min: 1, max: 1 };
  if (expect.kind === "uplift") return between(usualLevel(cells, place), expect.min, expect.max);
  const { likeCell } = place.campaign as NonNullable<Place["campaign"]>;
  // A day that one campaign is to be like may well have been an incident when nobody had told of it.
  return between(
    usualOn(likeCell, place.stepMs, (cell) => cells.values[cell] as number),
    expect.scale,
    expect.scale,
  );
}

/** Of days of the same kind, where enough of them are known. */
function usualLevel({ values, inIncident }: Cells, { days, alike, stepMs }: Place): Usual | null {
  const valueAt = (cell: number): number => (inIncident[cell] === 1 ? Number.NaN : (values[cell] as number));
  const same = days.slice(0, referenceDays).filter((_, day) => alike[day] === true);
  return usualOf(same, stepMs, valueAt) ?? usualOf(days.slice(0, usualDays), stepMs, valueAt);
}

function between(usual: Usual | null, min: number, max: number): Announced | null {
  if (usual === null) return null;
  // So many times a negative value is lower, not higher.
  const ends = [scaled(usual, min), scaled(usual, max)].sort((one, other) => one.mean - other.mean);
  return { least: ends[0] as Usual, most: ends[1] as Usual };
}

function scaled({ mean, most, least }: Usual, scale: number): Usual {
  return { mean: mean * scale, most: most * scale, least: least * scale };
}
