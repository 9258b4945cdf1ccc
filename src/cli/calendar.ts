import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Command, Option } from "commander";
import { compilePattern } from "../core/labels.ts";
import { formatProblem, messageOf, Problem, Problems } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { isZone, localTime } from "../core/zone.ts";
import { fileBytesMax, tooLarge } from "../define/document.ts";
import { type IcsOptions, type IcsResult, readIcs } from "../define/ics.ts";
import { type EventKind, eventKinds, titled } from "../define/icsdays.ts";
import { calendarYaml } from "../define/import.ts";
import { name as nameSchema } from "../define/scalars.ts";
import { type CommonOptions, commonOptions, settingsOf, typed, usage } from "./context.ts";
import { print, printJson } from "./output.ts";

type Options = CommonOptions & {
  readonly name: string;
  readonly as: EventKind;
  readonly zone?: string;
  readonly years?: string;
  readonly match?: string;
  readonly uplift?: string;
  readonly out?: string;
  readonly replace?: boolean;
};

export function calendarCommand(program: Command): void {
  const calendar = program.command("calendar").description("calendars: holidays, worked weekends, campaigns");
  const run = calendar
    .command("import")
    .description("writes a calendar from an iCalendar file (.ics), to be read and changed")
    .argument("<file>", "the .ics file")
    .requiredOption("--name <name>", "what samplers will call the calendar")
    .addOption(new Option("--as <what>", "what its events are").choices(eventKinds).default("holidays"))
    .option("--zone <zone>", "time zone of the calendar (BELLWETHER_ZONE)")
    .option("--years <range>", "years wanted, 2026-2028; default: from last year to the one after next")
    .option("--match <pattern>", "only events whose title it is found in, a regular expression (RE2)")
    .option("--uplift <times>", "with --as campaigns: times the usual that is expected, 2.5")
    .option("--out <file>", "where to write; - prints (default: rules/calendars/NAME.yaml in the config folder)")
    .option("--replace", "writes over a file that is there")
    .action(importFile);
  commonOptions(run);
}

function importFile(file: string, options: Options): void {
  const { settings } = settingsOf(options);
  const { name, as, zone = settings.zone } = options;
  const uplift = check(options, zone);
  const { match } = options;
  const pattern = match === undefined ? null : typed("--match", () => compilePattern(match));
  const out = options.out ?? join(settings.configDir, "rules/calendars", `${name}.yaml`);
  if (out !== "-" && existsSync(out) && !options.replace) {
    throw usage("is there already", { where: out, fix: "add --replace, or write to another file with --out" });
  }
  const { occurrences, problems } = read(file, { zone, ...yearsOf(options.years, zone) });
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Problems(errors);
  const chosen = titled(occurrences, pattern);
  const comment = `From ${basename(file).replace(/[^\x20-\x7e]/g, "?")}, by bellwether calendar import.`;
  const imported = calendarYaml(chosen, { name, zone, as, uplift, comment, file });
  if (imported.count === 0) {
    const fix = "look at --years and --match, and at what the file holds";
    throw new Problem(`no ${as} found in it`, { code: "CAL-015", where: file, fix });
  }
  const warnings = [...problems, ...imported.problems];
  if (out !== "-") write(out, imported.text);
  for (const warning of warnings) process.stderr.write(`warning ${formatProblem(warning)}\n`);
  if (options.json) printJson({ file: out, name, as, count: imported.count, warnings: warnings.map(formatProblem) });
  else if (out === "-") process.stdout.write(imported.text);
  else print(`${out}: ${counted(imported.count, as.slice(0, -1))}; samplers name it with calendar: ${name}`);
}

/** @returns the uplift; 1 where none is wanted */
function check({ name, as, uplift }: Options, zone: string): number {
  if (!nameSchema.safeParse(name).success) {
    throw usage(`not a name (got ${JSON.stringify(name)})`, {
      where: "--name",
      fix: "use up to 64 letters, digits, - and _",
    });
  }
  if (!isZone(zone)) {
    throw usage(`unknown time zone (got ${JSON.stringify(zone)})`, { where: "--zone", fix: "write Europe/London" });
  }
  if ((uplift === undefined) === (as !== "campaigns")) {
    const times = Number(uplift ?? 1);
    if (times >= 0.01 && times <= 100) return times;
    const what = `wants a number from 0.01 to 100 (got ${JSON.stringify(uplift)})`;
    throw usage(what, { where: "--uplift", fix: "write 2.5" });
  }
  if (uplift !== undefined) throw usage("only for campaigns", { where: "--uplift", fix: "add --as campaigns" });
  const fix = "add --uplift 2.5; the file may say more of each later";
  throw usage("campaigns need what is expected of them", { where: "--as", fix });
}

function yearsOf(text: string | undefined, zone: string): Pick<IcsOptions, "fromWallMs" | "toWallMs"> {
  const { year } = localTime(systemClock.nowMs(), zone);
  const [, from = String(year - 1), to = text === undefined ? String(year + 2) : from] =
    /^(\d{4})(?:-(\d{4}))?$/.exec(text ?? "") ?? [];
  const wrong = text !== undefined && !/^\d{4}(?:-\d{4})?$/.test(text);
  if (wrong || Number(from) < 1970 || Number(to) < Number(from) || Number(to) - Number(from) > 50) {
    const what = `not years (got ${JSON.stringify(text)})`;
    throw usage(what, { where: "--years", fix: "write 2026 or 2026-2028, at most 50 of them" });
  }
  return { fromWallMs: Date.UTC(Number(from), 0, 1), toWallMs: Date.UTC(Number(to) + 1, 0, 1) };
}

function read(file: string, options: IcsOptions): IcsResult {
  let bytes: Uint8Array;
  try {
    // A device or a pipe has no size that could be looked at first.
    const stats = statSync(file);
    if (!stats.isFile()) throw new Error("not a file");
    if (stats.size > fileBytesMax) return { occurrences: [], problems: [tooLarge(file, stats.size)] };
    bytes = readFileSync(file);
  } catch (thrown) {
    throw usage(`cannot be read: ${messageOf(thrown).split(",")[0]}`, { where: file, fix: "check the path" });
  }
  return readIcs(file, bytes, options);
}

function write(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  } catch (thrown) {
    throw new Problem(messageOf(thrown), { where: file, fix: "name a file that may be written with --out" });
  }
}
