/** Events of an iCalendar file as a calendar in YAML, for people to read, change and keep. Pure. */
import { stringify } from "yaml";
import { Problem } from "../core/problem.ts";
import { dayMs } from "../core/time.ts";
import type { Occurrence } from "./ics.ts";

export const importKinds = ["holidays", "workdays", "campaigns"] as const;
export type ImportKind = (typeof importKinds)[number];

export type ImportOptions = {
  readonly name: string;
  readonly zone: string;
  readonly as: ImportKind;
  /** What campaigns are expected to bring, times the usual. */
  readonly uplift: number;
  /** First line of the file, without the `#`. */
  readonly comment: string;
  /** Name of the imported file, for messages. */
  readonly file: string;
};

export type Imported = { readonly text: string; readonly count: number; readonly problems: readonly Problem[] };

/** @returns the file, how many days or campaigns are in it, and warnings about what is not */
export function calendarYaml(occurrences: readonly Occurrence[], options: ImportOptions): Imported {
  const { name, zone, as, comment } = options;
  const problems: Problem[] = [];
  const content = as === "campaigns" ? campaigns(occurrences, options.uplift) : days(occurrences, options, problems);
  // In quotes, since `No` and `12:30` are no text in YAML without.
  const text = stringify(
    { calendars: { [name]: { zone, [as]: content } } },
    { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN", lineWidth: 0 },
  );
  return { text: `# ${comment}\n${text}`, count: Object.keys(content).length, problems };
}

function days(
  occurrences: readonly Occurrence[],
  { as, file }: ImportOptions,
  problems: Problem[],
): Record<string, string> {
  const found = new Map<string, string>();
  const told = new Set<number>();
  for (const { title, line, fromWallMs, toWallMs } of occurrences) {
    if (fromWallMs % dayMs !== 0 || toWallMs % dayMs !== 0) {
      const what = `left out: ${JSON.stringify(title)} has hours, and ${as} are whole days`;
      const where = `${file}:${line}:1`;
      if (!told.has(line)) problems.push(new Problem(what, { code: "CAL-W13", where, severity: "warning" }));
      told.add(line);
      continue;
    }
    // Two names for one day: the first is enough.
    for (let dayAtMs = fromWallMs; dayAtMs < toWallMs; dayAtMs += dayMs) {
      const day = new Date(dayAtMs).toISOString().slice(0, 10);
      if (!found.has(day)) found.set(day, title);
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function campaigns(occurrences: readonly Occurrence[], uplift: number): object[] {
  return occurrences.map(({ title, fromWallMs, toWallMs, allDay }) => ({
    title,
    from: wallText(fromWallMs, allDay),
    to: wallText(allDay ? toWallMs - dayMs : toWallMs, allDay),
    expect: { uplift },
  }));
}

function wallText(wallMs: number, day: boolean): string {
  return new Date(wallMs)
    .toISOString()
    .slice(0, day ? 10 : 16)
    .replace("T", " ");
}
