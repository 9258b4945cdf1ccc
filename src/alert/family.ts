/** Totals and the series that they are the sum of: their alerts are told together. Pure. */
import type { Definitions } from "../core/definitions.ts";
import { formatSeries } from "../core/labels.ts";
import { type Alert, isOwn } from "../core/model.ts";

/** A total and its series in one direction; `total`: this one is the total. */
export type Family = { readonly key: string; readonly total: boolean };

/** The family that an alert belongs to; null where its sampler asks for no total of its field. */
export function familyOf(alert: Pick<Alert, "sampler" | "series" | "labels">, definitions: Definitions): Family | null {
  if (isOwn(alert)) return null;
  const point = definitions.samplers.get(alert.sampler)?.point;
  const { field = "", direction = "" } = alert.labels;
  if (point?.total?.includes(field) !== true) return null;
  const total = alert.series === formatSeries({ measurement: point.measurement, tags: {}, field });
  return { key: `${alert.sampler} ${field} ${direction}`, total };
}

/**
 * Whether what was told of an incident already speaks for another alert of it: the total for its series, and for a total
 * the series that explain it.
 * @param told alerts of the incident that are not silenced and were told
 */
export function spokenFor(told: readonly Alert[], definitions: Definitions): (alert: Alert) => boolean {
  const totals = new Set<string>();
  const series = new Set<string>();
  for (const alert of told) {
    const family = familyOf(alert, definitions);
    if (family?.total === true) totals.add(family.key);
    else if (family !== null) series.add(`${family.key} ${alert.series}`);
  }
  return (alert) => {
    const family = familyOf(alert, definitions);
    if (family === null || !family.total) return family !== null && totals.has(family.key);
    const measurement = definitions.samplers.get(alert.sampler)?.point.measurement ?? "";
    const by = alert.explained?.by ?? [];
    const names = by.map(({ tags }) => formatSeries({ measurement, tags, field: alert.labels.field ?? "" }));
    return names.length > 0 && names.every((name) => series.has(`${family.key} ${name}`));
  };
}
