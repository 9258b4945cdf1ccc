/** What announced campaigns make of the expectation of one series. */
import { campaignAt, campaignsIn, namesField } from "../core/calendar.ts";
import type { Calendar, Campaign, Expectation } from "../core/definitions.ts";
import type { Labels } from "../core/model.ts";
import { dayMs } from "../core/time.ts";
import type { Place } from "./cells.ts";
import { predictorReach } from "./detectors/predictors.ts";
import type { Kind } from "./kind.ts";

export type OnCampaign = {
  readonly title: string;
  readonly expect: Expectation;
  /** Cell of the same time on the day that it is compared with; -1 = none. */
  readonly likeCell: number;
  readonly fromMs: number;
  readonly toMs: number;
  /** One of its matchers looks at the field: only such a campaign is meant for gauges. */
  readonly namesField: boolean;
};

/**
 * Whether it says what is expected: of a count always. What else has no size that such campaigns are written for, so one
 * has to name the field, or the day that a ratio with its denominator is to be like; so many times as much is no matter
 * of any ratio.
 */
export function reshapes({ expect, namesField }: OnCampaign, kind: Kind, hasDenominator: boolean): boolean {
  if (kind === "count") return true;
  return kind === "ratio" ? expect.kind === "like" && (hasDenominator || namesField) : namesField;
}

/** Days before, beyond those always looked at, that campaigns in `[fromMs, toMs)` are compared with; ascending. */
export function likeDays(calendar: Calendar | null, fromMs: number, toMs: number, days: number): number[] {
  const found = new Set<number>();
  for (const { expect, fromMs: startMs, toMs: endMs } of calendar?.campaigns ?? []) {
    if (expect.kind === "like" && startMs < toMs && endMs > fromMs && expect.daysBefore > days) {
      found.add(expect.daysBefore);
    }
  }
  return [...found].sort((a, b) => a - b);
}

/**
 * The place as this series sees it: days with a campaign of their own are no reference, and the campaign that runs now
 * says what is expected.
 * @param subject what matchers see of the series
 * @param startMs when the same slot begins so many days before
 * @param likeCell its cell; -1 = not held
 */
export function onCampaigns(
  place: Place,
  calendar: Calendar | null,
  subject: () => Labels,
  startMs: (daysBefore: number) => number,
  likeCell: (daysBefore: number) => number,
): Place {
  if (calendar === null || !near(calendar, place)) return place;
  const labels = subject();
  const on = place.days.map((_, index) => campaignAt(calendar, labels, startMs(index + 1)) !== null);
  const now = campaignAt(calendar, labels, place.timeMs);
  const ended = now === null ? endedLately(calendar, subject, place) : undefined;
  return {
    ...place,
    days: place.days.map((cell, day) => (on[day] === true ? -1 : cell)),
    onCampaign: on,
    ...(now === null ? {} : { campaign: campaignOf(now, likeCell) }),
    ...(ended === undefined ? {} : { endedCampaign: campaignOf(ended, likeCell) }),
  };
}

/** So lately that its values may be among those that would predict a gauge. */
function endedLately(calendar: Calendar, subject: () => Labels, { timeMs, stepMs }: Place): Campaign | undefined {
  const window = { fromMs: timeMs - predictorReach * stepMs, toMs: timeMs };
  return campaignsIn(calendar, subject, window).toSorted((one, other) => other.toMs - one.toMs)[0];
}

function campaignOf(campaign: Campaign, likeCell: (daysBefore: number) => number): OnCampaign {
  const { title, expect, fromMs, toMs } = campaign;
  return {
    ...{ title, expect, fromMs, toMs },
    likeCell: expect.kind === "like" ? likeCell(expect.daysBefore) : -1,
    namesField: namesField(campaign),
  };
}

function near({ campaigns }: Calendar, { timeMs, days }: Place): boolean {
  const fromMs = timeMs - (days.length + 1) * dayMs;
  return campaigns.some((campaign) => campaign.fromMs <= timeMs && campaign.toMs > fromMs);
}
