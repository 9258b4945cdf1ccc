/** How incidents of samplers in their shadow period are kept apart from all others: by their group key. */
import type { Incident } from "../core/model.ts";

/** Why nobody is told of this sampler's alerts at that time; null: it is not in its shadow period. */
export type Shadowed = (sampler: string, atMs: number) => string | null;

/** Keys of others begin with the position of a route, which is digits. */
export function shadowKey(sampler: string, groupKey: string): string {
  return `shadow ${sampler} ${groupKey}`;
}

/** What the key of a shadow incident would be if it were none; that of others as it is. */
export function liveKey(groupKey: string): string {
  return groupKey.replace(/^shadow \S+ /, "");
}

export function isShadowOf(incident: Incident, sampler: string): boolean {
  return incident.groupKey.startsWith(shadowKey(sampler, ""));
}
