/** What an incident is called. */
import type { Definitions } from "../core/definitions.ts";
import { type Alert, isOwn, ownName } from "../core/model.ts";

/**
 * The rule or sampler and the series where there is one alert only; else the samplers and how many series. What is
 * wrong, where it is about Bellwether itself.
 */
export function titleOf(alerts: readonly Alert[], definitions: Definitions): string {
  const [only] = alerts;
  if (only === undefined) return "";
  if (alerts.every(isOwn)) return `Bellwether: ${listed(alerts.map(ownName).sort())}`;
  if (alerts.length === 1) return `${oneTitle(only, definitions)}${tagValues(only, definitions)}`;
  const titles = [...new Set(alerts.map((alert) => definitions.samplers.get(alert.sampler)?.title ?? alert.sampler))];
  return `${listed(titles)}: ${alerts.length} series`;
}

function listed(titles: readonly string[]): string {
  return `${titles.slice(0, 3).join(", ")}${titles.length > 3 ? " and more" : ""}`;
}

function oneTitle(alert: Alert, definitions: Definitions): string {
  return definitions.rules.get(alert.rule)?.title ?? definitions.samplers.get(alert.sampler)?.title ?? alert.sampler;
}

function tagValues(alert: Alert, definitions: Definitions): string {
  const tags = definitions.samplers.get(alert.sampler)?.point.tags ?? [];
  const values = tags.map((tag) => alert.labels[tag]).filter((value) => value !== undefined);
  return values.length === 0 ? "" : ` (${values.join(", ")})`;
}
