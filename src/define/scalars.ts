/** The small words of the language, shared by every kind of definition: names, durations, zones, matchers. */
import { z } from "zod";
import type { Lifecycle } from "../core/definitions.ts";
import { parseMatcher } from "../core/labels.ts";
import { ownSampler } from "../core/model.ts";
import { Problem } from "../core/problem.ts";
import { dayMs, formatDuration, parseDurationMs, secondMs } from "../core/time.ts";
import { isZone } from "../core/zone.ts";
import { reservedNames } from "./document.ts";
import { fault, suggestion } from "./fault.ts";

/** Labels that every alert carries: a tag or label of that name would hide them. */
const ownLabels = ["sampler", "measurement", "field", "rule", "direction", "severity"];

export function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

/** Adds an issue of the schema at hand; `path` from its own value. */
export type Report = (path: (string | number)[], message: string) => void;

/**
 * A check over several keys of one definition. It also runs where single keys are at fault, so that every fault is
 * told in one pass: values are as they were written wherever their own schema refused them.
 */
export function across<T extends z.ZodType>(schema: T, check: (value: Loose<z.output<T>>, report: Report) => void): T {
  return schema.superRefine(
    (value, context) => {
      if (typeof value !== "object" || value === null) return;
      const report: Report = (path, message) => context.addIssue({ code: "custom", path, message });
      check(value as Loose<z.output<T>>, report);
    },
    { when: () => true },
  ) as T;
}
type Loose<T> = { readonly [K in keyof T]?: unknown };

/** Samplers, rules, people, groups, calendars, connections: what other definitions and job ids refer to. */
export const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
    error: fault("CFG-019", "not a name", "use up to 64 letters, digits, - and _"),
    abort: true,
  })
  .refine((text) => !reservedNames.has(text), fault("CFG-009", "reserved name", "choose another name"));

/** Alerts about Bellwether itself name a sampler that is none. */
export const samplerName = name.refine(
  (text) => text !== ownSampler,
  fault("CFG-009", "reserved name", "choose another name"),
);

/** A column, tag, field, measurement or label. */
export const label = z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, {
  error: (issue) =>
    String(issue.input).startsWith("_")
      ? fault("CFG-009", "names with a leading _ are reserved", "rename the column in the query")
      : fault("CFG-019", "not a column name", "use up to 64 letters, digits and _, starting with a letter"),
});

export const measurement = label
  .refine(
    (text) => !text.endsWith("_verdict"),
    fault("CFG-009", "names ending in _verdict are reserved", "choose another name"),
  )
  .refine(
    (text) => !text.startsWith(`${ownSampler}_`),
    fault("CFG-009", `names beginning with ${ownSampler}_ are reserved`, "choose another name"),
  );

/** Columns that become tags. */
export const tag = label.refine(
  (text) => text !== "time" && !ownLabels.includes(text),
  fault("CFG-009", "reserved name", "rename the column in the query: select country as region"),
);

/** Columns that become fields. */
export const field = label.refine(
  (text) => text !== "time",
  fault("CFG-009", "reserved name", "rename the column in the query"),
);

/** One line for people. */
export const line = z
  .string()
  .min(1, fault("CFG-019", "wants text that is not empty"))
  .max(200, fault("CFG-003", "longer than 200 characters"))
  .regex(/^[^\r\n]*$/, fault("CFG-019", "line break in text", "write it on one line"));

/** Path or URL of the steps to take. Paths are relative to the config folder and stay inside it. */
export const runbook = line.refine(
  (text) => /^https?:\/\//.test(text) || staysInside(text),
  fault("CFG-015", "outside the config folder", "write a path without .. or a URL"),
);

/** Whether a relative path stays below the folder it starts in. */
export function staysInside(path: string): boolean {
  let depth = 0;
  for (const step of path.split(/[/\\]/)) {
    if (step === "..") depth -= 1;
    else if (step !== "." && step !== "") depth += 1;
    if (depth < 0) return false;
  }
  return !/^(?:[/\\]|[A-Za-z]:)/.test(path);
}

export const labels = z
  .record(tag, z.string().max(200, fault("CFG-003", "longer than 200 characters")))
  .prefault({})
  .describe("labels added to every alert");

type Range = { readonly minMs: number; readonly maxMs: number };

/** `90s`, `1m`, `1h30m`. Bare numbers have no unit and are refused. */
export function duration({ minMs, maxMs }: Range) {
  const message = fault(
    "SCH-003",
    `wants a duration with a unit, ${minMs === 0 ? "0s" : formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    "write for example 30s, 5m or 1h",
  );
  return z
    .string(message)
    .meta({ pattern: "^(\\d+(\\.\\d+)?(ms|[smhdw]))+$", examples: ["30s", "5m", "1h"] })
    .transform((text, context) => {
      const ms = parseDurationMs(text);
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
      context.addIssue(message);
      return z.NEVER;
    });
}

/** Steps and windows: 1 s to 7 d. */
export const stepRange: Range = { minMs: secondMs, maxMs: 7 * dayMs };
/** Delays and waits: none to 7 d. */
export const waitRange: Range = { minMs: 0, maxMs: 7 * dayMs };

/** A number in a range, both ends included. */
export function number(min: number, max: number) {
  const what = `wants a number from ${min} to ${max}`;
  return z.number().min(min, tooLow(what, min)).max(max, tooHigh(what, max));
}

/** A whole number in a range, both ends included. */
export function count(min: number, max: number) {
  const what = `wants a whole number from ${min} to ${max}`;
  const broken = fault("RUL-002", what, "write it without a fraction");
  return z.number().int(broken).min(min, tooLow(what, min)).max(max, tooHigh(what, max));
}

export function tooLow(what: string, min: number): string {
  return fault("RUL-002", what, `write ${min} or more`);
}

export function tooHigh(what: string, max: number): string {
  return fault("RUL-002", what, `write ${max} or less`);
}

/** Cities and offsets that people write for zones, where the database has no name that resembles them. */
const zoneNicknames: Readonly<Record<string, string>> = {
  beijing: "Asia/Shanghai",
  peking: "Asia/Shanghai",
  china: "Asia/Shanghai",
  prc: "Asia/Shanghai",
  shenzhen: "Asia/Shanghai",
  guangzhou: "Asia/Shanghai",
  mumbai: "Asia/Kolkata",
  delhi: "Asia/Kolkata",
  "san francisco": "America/Los_Angeles",
  washington: "America/New_York",
  "+0": "UTC",
  "+1": "Europe/Paris",
  "+2": "Europe/Athens",
  "+3": "Europe/Moscow",
  "+4": "Asia/Dubai",
  "+5:30": "Asia/Kolkata",
  "+7": "Asia/Bangkok",
  "+8": "Asia/Shanghai",
  "+9": "Asia/Tokyo",
  "+10": "Australia/Sydney",
  "-3": "America/Sao_Paulo",
  "-5": "America/New_York",
  "-6": "America/Chicago",
  "-7": "America/Denver",
  "-8": "America/Los_Angeles",
};

function zoneSuggestion(text: string): string {
  const word = text.trim().toLowerCase();
  const offset = /^(?:gmt|utc)?([+-])0?(\d{1,2})(?::?(\d\d))?$/.exec(word);
  const key = offset === null ? word : `${offset[1]}${offset[2]}${(offset[3] ?? "00") === "00" ? "" : `:${offset[3]}`}`;
  const nickname = zoneNicknames[key];
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone")];
  const city = zones.find((zone) => zone.toLowerCase().split("/").at(-1) === word.replaceAll(" ", "_"));
  const meant = nickname ?? city;
  const near = meant === undefined ? suggestion(text, zones) : `did you mean "${meant}"?`;
  return `use a name such as Europe/London${near === null ? "" : ` (${near})`}`;
}

/** An IANA name. Offsets and abbreviations are refused: they know nothing of summer time. */
export const zone = z
  .string()
  .refine(isZone, { error: (issue) => fault("SCH-004", "unknown time zone", zoneSuggestion(String(issue.input))) })
  .describe("time zone, an IANA name");

/** `2 of 3`; a bare number n means n of n. */
const pending = z
  .union([z.string(), z.number()], fault("CFG-008", 'wants "bad slots of latest slots"', "write for example 2 of 3"))
  .transform((value, context): Pick<Lifecycle, "pendingCount" | "pendingOf"> => {
    const found = /^(\d{1,3})(?: of (\d{1,3}))?$/.exec(String(value));
    const pendingCount = Number(found?.[1]);
    const pendingOf = Number(found?.[2] ?? found?.[1]);
    if (found !== null && pendingCount >= 1 && pendingCount <= pendingOf && pendingOf <= 100) {
      return { pendingCount, pendingOf };
    }
    context.addIssue(fault("RUL-002", "wants n of m with 1 <= n <= m <= 100", "write for example 2 of 3"));
    return z.NEVER;
  });

/** Both parts of an alert's life, with the defaults of every rule: 2 of 3 fire, 3 resolve. */
export const lifecycle = {
  pending: pending.prefault("2 of 3").describe("bad slots that fire, of the latest so many"),
  recover: count(1, 100).prefault(3).describe("good slots in a row that resolve"),
};

/** A check of a text by what throws a Problem for one that it cannot take. */
export function viaProblem(parse: (text: string) => unknown) {
  return (text: string, context: z.RefinementCtx<string>): void => {
    try {
      parse(text);
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      const what = thrown.message.replace(/ \(got .*\)$/s, "");
      context.addIssue(fault(thrown.code ?? "CFG-019", what, thrown.fix));
    }
  };
}

/** `country="Germany"`. */
export const matcher = z.string().superRefine(viaProblem(parseMatcher));

export const direction = z.enum(["both", "up", "down"]).prefault("both").describe("which differences matter");
