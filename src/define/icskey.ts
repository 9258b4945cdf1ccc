/** The key `ics` of a calendar as it is written. */
import { z } from "zod";
import { compilePattern } from "../core/labels.ts";
import { fault } from "./fault.ts";
import { eventKinds } from "./icsdays.ts";
import { across, line, viaProblem } from "./scalars.ts";
import { checkUplift, uplift } from "./uplift.ts";

const filesMax = 20;

const path = line.refine(
  (text) => /\.ics$/i.test(text),
  fault("CFG-019", "not the name of an iCalendar file", "write the path of an .ics file, from the folder of this file"),
);

const mapping = across(
  z.strictObject({
    file: path.describe("path of an iCalendar file, from the folder of this file; inside rules/"),
    as: z.enum(eventKinds).prefault("holidays").describe("what its events are"),
    titles: z
      .string()
      .superRefine(viaProblem(compilePattern))
      .optional()
      .describe("only events whose title it is found in, a regular expression (RE2); default: all"),
    uplift: uplift.optional().describe("with as: campaigns: times the usual expectation, 2.5 or { min: 1.8, max: 3 }"),
  }),
  ({ as, uplift }, report) => {
    if (as === "campaigns" && uplift === undefined) {
      report([], fault("CFG-018", "campaigns without uplift", "add uplift: 2.5"));
    }
    if (as !== "campaigns" && uplift !== undefined) {
      report(["uplift"], fault("CFG-019", "uplift without campaigns", "add as: campaigns, or remove it"));
    }
    checkUplift(uplift, ["uplift"], report);
  },
);

const wanted = "wants the path of an .ics file, or a mapping with file";

/** One file, with what its events are. */
const icsEntry = z.union([path, mapping], fault("CFG-008", wanted, "write school.ics"));

export const icsSchema = z.union(
  [
    path,
    mapping,
    z
      .array(icsEntry)
      .min(1)
      .max(filesMax, fault("CFG-003", `more than ${filesMax} files`, "join some of them")),
  ],
  fault("CFG-008", `${wanted}, or a list of them`, "write school.ics"),
);

/** The files that can be told, as steps from the calendar to where each is written, and what is written. */
export function icsEntries(value: unknown): { steps: (string | number)[]; written: z.output<typeof mapping> }[] {
  const list: unknown[] = Array.isArray(value) ? value.slice(0, filesMax) : value === undefined ? [] : [value];
  return list.flatMap((each, index) => {
    const at = Array.isArray(value) ? ["ics", index] : ["ics"];
    const { success, data } = icsEntry.safeParse(each);
    if (!success) return [];
    return typeof data === "string"
      ? [{ steps: at, written: { file: data, as: "holidays" as const } }]
      : [{ steps: [...at, "file"], written: data }];
  });
}
