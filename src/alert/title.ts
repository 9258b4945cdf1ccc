/** What an incident is called. */
import { contributionText } from "../core/contribution.ts";
import type { Definitions } from "../core/definitions.ts";
import { type Alert, isOwn, ownName } from "../core/model.ts";

/**
 * The rule or sampler and the series where there is one alert only; else the samplers and how many series. Where all
 * belong to one total, how far that is off, and which series explain it. What is wrong, where it is about Bellwether
 * itself.
 */
export function titleOf(alerts: readonly Alert[], definitions: Definitions): string {
  const [only] = alerts;
  if (only === undefined) return "";
  if (alerts.every(isOwn)) return `Bellwether: ${listed(alerts.map(ownName).sort())}`;
  const total = explainedTotal(alerts);
  if (total !== null) return `${oneTitle(total, definitions)}: ${explanation(total)}`;
  if (alerts.length === 1) return `${oneTitle(only, definitions)}${tagValues(only, definitions)}`;
  const titles = [...new Set(alerts.map((alert) => definitions.samplers.get(alert.sampler)?.title ?? alert.sampler))];
  return `${listed(titles)}: ${alerts.length} series`;
}

/** The total that all of these are about, if it is known what explains it. */
function explainedTotal(alerts: readonly Alert[]): Alert | null {
  const total = alerts.find(({ explained }) => explained != null);
  if (total === undefined) return null;
  const about = ({ sampler, labels }: Alert): string => JSON.stringify([sampler, labels.field, labels.direction]);
  return alerts.every((alert) => about(alert) === about(total)) ? total : null;
}

/** `41 % below; United Kingdom explains 92 % of the drop`. */
function explanation({ explained, observed, expected }: Alert): string {
  const why = explained == null ? "" : contributionText(explained);
  if (observed === null || expected === null || expected === 0) return why;
  const percent = Math.round((Math.abs(observed - expected) / Math.abs(expected)) * 100);
  return `${percent} % ${observed < expected ? "below" : "above"}; ${why}`;
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
