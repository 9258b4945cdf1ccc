/** Events of an iCalendar file as a calendar in YAML, for people to read, change and keep. Pure. */
import { stringify } from "yaml";
import type { Problem } from "../core/problem.ts";
import { dayMs } from "../core/time.ts";
import type { Occurrence } from "./ics.ts";
import { type EventKind, leftOut, wholeDays } from "./icsdays.ts";

export type ImportOptions = {
  readonly name: string;
  readonly zone: string;
  readonly as: EventKind;
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
  const { days, left } = wholeDays(occurrences);
  problems.push(...left.map((each) => leftOut(file, [each], as)));
  return Object.fromEntries([...days].map(([day, { title }]) => [day, title]));
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
