/** What events mean to a calendar: days off, days worked or campaigns. One reading for the import and the key. Pure. */
import type { RE2JS } from "re2js";
import type { Problem } from "../core/problem.ts";
import { dayMs } from "../core/time.ts";
import type { Occurrence } from "./ics.ts";
import { lineProblem } from "./icsevents.ts";

export const eventKinds = ["holidays", "workdays", "campaigns"] as const;
export type EventKind = (typeof eventKinds)[number];

/** Those whose title the pattern is found in; null: all. */
export function titled(occurrences: readonly Occurrence[], pattern: RE2JS | null): readonly Occurrence[] {
  return pattern === null ? occurrences : occurrences.filter(({ title }) => pattern.matcher(title).find());
}

/** @returns `2026-12-25` to the first event that has it, ascending; and one of each event that has hours */
export function wholeDays<T extends Occurrence>(
  occurrences: readonly T[],
): { days: ReadonlyMap<string, T>; left: readonly T[] } {
  const days = new Map<string, T>();
  const left = new Map<number, T>();
  for (const occurrence of occurrences) {
    const { line, fromWallMs, toWallMs } = occurrence;
    if (fromWallMs % dayMs !== 0 || toWallMs % dayMs !== 0) {
      if (!left.has(line)) left.set(line, occurrence);
      continue;
    }
    // Two names for one day: the first is enough.
    for (let dayAtMs = fromWallMs; dayAtMs < toWallMs; dayAtMs += dayMs) {
      const day = new Date(dayAtMs).toISOString().slice(0, 10);
      if (!days.has(day)) days.set(day, occurrence);
    }
  }
  return { days: new Map([...days].sort(([a], [b]) => (a < b ? -1 : 1))), left: [...left.values()] };
}

/** @param left events with hours, one or more. @returns what is told of those that `as` has no use for */
export function leftOut(file: string, left: readonly [Occurrence, ...Occurrence[]], as: EventKind): Problem {
  const [{ title, line }] = left;
  const name = JSON.stringify(title);
  const which = left.length === 1 ? `${name} has hours` : `${left.length} events, ${name} the first, have hours`;
  return lineProblem(file, line, "CAL-W13", `left out: ${which}, and ${as} are whole days`);
}
