import { mean, sampleStandardDeviation } from "simple-statistics";
import type { FieldJudging } from "../../core/definitions.ts";
import type { Baseline, BaselineDay } from "../../core/model.ts";
import type { Cells, Place } from "../cells.ts";
import { trimmedMean } from "../math/trimmedmean.ts";

/** Fewer usable days than this have no baseline. */
const usableDaysMin = 4;

/** Days trimmed at each end: as asked, as long as two days remain. */
function trimOf(days: number, asked: number): number {
  return Math.min(asked, Math.floor((days - 2) / 2));
}

/**
 * Trimmed mean of the same slot on the days before, incidents and gaps left out; NaN with fewer than
 * {@link usableDaysMin} days.
 */
export function centreAt(cells: Cells, place: Place, { days, trim }: FieldJudging["baseline"]): number {
  const values: number[] = [];
  for (const cell of place.days.slice(0, days)) {
    if (cell < 0 || cells.inIncident[cell] !== 0) continue;
    const value = cells.values[cell] as number;
    if (!Number.isNaN(value)) values.push(value);
  }
  if (values.length < usableDaysMin) return Number.NaN;
  return trimmedMean(values, trimOf(values.length, trim));
}

/** The slot's own baseline with every day looked at, as people see it; `dayStartsMs` is when its slot begins. */
export function baselineOf(
  cells: Cells,
  place: Place,
  judging: FieldJudging["baseline"],
  dayStartsMs: readonly number[],
): Baseline {
  const days: BaselineDay[] = place.days.slice(0, judging.days).map((cell, day) => {
    const value = cell < 0 ? Number.NaN : (cells.values[cell] as number);
    const startMs = dayStartsMs[day] as number;
    if (place.onCampaign?.[day] === true) return { startMs, value: null, use: "campaign" };
    if (Number.isNaN(value)) return { startMs, value: null, use: "missing" };
    return { startMs, value, use: cells.inIncident[cell] === 0 ? "used" : "incident" };
  });
  const byValue = days.flatMap((day, index) => (day.use === "used" ? [index] : []));
  byValue.sort((one, other) => (days[one]?.value as number) - (days[other]?.value as number));
  if (byValue.length < usableDaysMin) {
    return { centre: null, spread: null, daysUsed: byValue.length, daysTrimmed: 0, days };
  }
  const dropped = trimOf(byValue.length, judging.trim);
  for (const index of [...byValue.slice(0, dropped), ...byValue.slice(byValue.length - dropped)]) {
    days[index] = { ...(days[index] as BaselineDay), use: "trimmed" };
  }
  const kept = byValue.slice(dropped, byValue.length - dropped).map((index) => days[index]?.value as number);
  return {
    centre: mean(kept),
    spread: sampleStandardDeviation(kept),
    daysUsed: kept.length,
    daysTrimmed: 2 * dropped,
    days,
  };
}
