/**
 * What a gauge is expected to be while a campaign that names its field runs, and right after it: the values just before
 * say nothing of it then, those at the same time on past days do.
 */

import { medianSorted } from "simple-statistics";
import type { Expectation } from "../../core/definitions.ts";
import { reshapes } from "../campaigns.ts";
import { type Cells, type Place, referenceDays } from "../cells.ts";
import type { Kind } from "../kind.ts";
import { ascending } from "../math/ascending.ts";
import { predictors } from "./predictors.ts";
import { type Usual, usualDays, usualDaysMin, usualOf, usualOn } from "./usual.ts";

/** What is said of a gauge's level, and since when. */
export type Announcement = { readonly expect: Expectation; readonly likeCell: number; readonly sinceMs: number };

/** Nothing inside is news. */
export type Band = {
  readonly least: number;
  readonly most: number;
  /** How far slots of days lie apart: 0 for a constant, whatever range a campaign leaves. */
  readonly width: number;
};

const asUsual = { kind: "uplift", min: 1, max: 1 } as const;

/** Null where the values just before predict a gauge as ever. */
export function announcementAt(cells: Cells, place: Place, kind: Kind): Announcement | null {
  const { campaign, endedCampaign, now, timeMs, stepMs } = place;
  const of = campaign ?? endedCampaign;
  if (of === undefined || !reshapes(of, kind, false)) return null;
  const { expect, likeCell, fromMs, toMs } = of;
  if (campaign !== undefined) return { expect, likeCell, sinceMs: fromMs };
  const since = Math.ceil((timeMs - toMs) / stepMs);
  const known = cells.values.subarray(Math.max(0, now - since), now).filter((value) => !Number.isNaN(value)).length;
  return known >= predictors(stepMs) ? null : { expect: asUsual, likeCell: -1, sinceMs: toMs };
}

/** Null where too little is known of the days before. */
export function bandAt(cells: Cells, place: Place, { expect, likeCell }: Announcement): Band | null {
  if (expect.kind === "uplift") return between(usualLevel(cells, place), expect.min, expect.max);
  // A day that one campaign is to be like may well have been an incident when nobody had told of it.
  return between(usualOn(likeCell, place.stepMs, { known: cells.values }), expect.scale, expect.scale);
}

/** Of days of the same kind where enough of them are known; each as it would be today if it went on as it did. */
function usualLevel({ values, inIncident }: Cells, { days, alike, stepMs }: Place): Usual | null {
  const sound = { known: values.map((value, cell) => (inIncident[cell] === 1 ? Number.NaN : value)) };
  const same = days.slice(0, referenceDays).map((cell, index) => (alike[index] === true ? cell : -1));
  const means = (some: readonly number[]) => some.map((cell) => usualOn(cell, stepMs, sound)?.mean ?? Number.NaN);
  const known = means(same).filter((mean) => !Number.isNaN(mean)).length;
  const some = known >= usualDaysMin ? same : days.slice(0, usualDays);
  return usualOf(some, stepMs, sound, slopeOf(means(some)));
}

/**
 * By how much the level rises a day: the median of the slopes between every two days (Theil, H. (1950), Proc. KNAW 53;
 * Sen, P. K. (1968), JASA 63).
 * @param means the newest first; NaN = not known
 */
function slopeOf(means: readonly number[]): number {
  const slopes: number[] = [];
  for (const [later, one] of means.entries()) {
    for (let earlier = later + 1; earlier < means.length; earlier += 1) {
      const slope = (one - (means[earlier] as number)) / (earlier - later);
      if (!Number.isNaN(slope)) slopes.push(slope);
    }
  }
  return slopes.length === 0 ? 0 : medianSorted(ascending(slopes));
}

/** So many times a negative value is lower, not higher. */
function between(usual: Usual | null, min: number, max: number): Band | null {
  if (usual === null) return null;
  const { least, most } = usual;
  return {
    least: Math.min(least * min, least * max),
    most: Math.max(most * min, most * max),
    width: (most - least) * max,
  };
}
