/** `samplers/`: one metric family a file. */
import { z } from "zod";
import {
  type ActiveHours,
  historySlotsMax,
  type Place,
  type Sampler,
  type Schedule,
  type Shadow,
} from "../core/definitions.ts";
import { dayMs, formatDuration, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { wallToMs } from "../core/zone.ts";
import { cronFault, longestGapDays } from "./cron.ts";
import { fault, oneOf } from "./fault.ts";
import { judgeSchema, toJudging } from "./judging.ts";
import { type Kinds, onlyKey } from "./kinds.ts";
import * as scalar from "./scalars.ts";
import { across, count, duration, isNumber, type Report } from "./scalars.ts";

const weekdayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const weekdayFault = fault("CFG-019", "wants weekdays", "write mon-fri, or a list: [mon, wed, sun]");

/** `mon-fri`, `sat-mon` or a list, as 1 Monday to 7 Sunday. */
const weekdays = z
  .union([z.string(), z.array(z.enum(weekdayNames as [string, ...string[]])).min(1)], weekdayFault)
  .transform((value, context): number[] => {
    if (Array.isArray(value)) return [...new Set(value.map((day) => weekdayNames.indexOf(day) + 1))].sort();
    const [from, to = from] = value.split("-").map((day) => weekdayNames.indexOf(day.trim().toLowerCase()));
    if (from === undefined || to === undefined || from < 0 || to < 0 || value.split("-").length > 2) {
      context.addIssue(weekdayFault);
      return z.NEVER;
    }
    const length = ((to - from + 7) % 7) + 1;
    return Array.from({ length }, (_, index) => ((from + index) % 7) + 1).sort();
  });

const hoursFault = fault(
  "CFG-019",
  "wants hours of the day, the first before the second",
  'write "08:00-17:00", up to 24:00',
);

const hours = z.string().transform((text, context) => {
  const [, ...digits] = /^(\d\d):([0-5]\d)-(\d\d):([0-5]\d)$/.exec(text)?.map(Number) ?? [];
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = digits;
  const from = fromHour * 60 + fromMinute;
  const to = toHour * 60 + toMinute;
  if (digits.length === 4 && from < to && to <= 1440) return { from, to };
  context.addIssue(hoursFault);
  return z.NEVER;
});

const shadowFix = "write true, or the day on which it ends as 2026-12-15";

const shadow = z
  .union([z.boolean(), z.string()], fault("CFG-008", "wants true or a day", shadowFix))
  .superRefine((written, context) => {
    if (typeof written === "boolean" || z.iso.date().safeParse(written).success) return;
    context.addIssue(fault("CFG-019", "not a day of the calendar", shadowFix));
  });

const active = z
  .strictObject({
    days: weekdays.prefault("mon-sun").describe("weekdays: mon-fri, or a list"),
    hours: hours.prefault("00:00-24:00").describe("wall clock, start included, end not"),
    zone: scalar.zone.optional(),
  })
  .describe("when slots are due at all; default: always");

const point = across(
  z.strictObject({
    measurement: scalar.measurement.describe("name of the points"),
    tags: z.array(scalar.tag).max(20).prefault([]).describe("columns that tell the series apart"),
    fields: z.array(scalar.field).min(1).max(50).describe("numeric columns"),
    total: z
      .array(scalar.field)
      .min(1)
      .max(50)
      .optional()
      .describe(
        "counts, and ratios with their denominators, whose total over all tags is a series of its own; default: none",
      ),
  }),
  ({ tags, fields, total }, report) => {
    if (total !== undefined && Array.isArray(tags) && tags.length === 0) {
      report(["total"], fault("CFG-019", "total without tags", "remove it; without tags there is one series"));
    }
    if (!Array.isArray(tags) || !Array.isArray(fields)) return;
    const seen = new Set<unknown>();
    for (const [key, columns] of Object.entries({ tags, fields })) {
      for (const [index, column] of columns.entries()) {
        if (seen.has(column)) report([key, index], fault("CFG-010", "column named twice", "keep one of the two"));
        seen.add(column);
      }
    }
  },
);

const cron = z.string().superRefine((text, context) => {
  const wrong = cronFault(text);
  if (wrong !== null) context.addIssue(wrong);
});

export function samplerSchema(kinds: Kinds) {
  const sources = Object.fromEntries(Object.entries(kinds.sources).map(([kind, { options }]) => [kind, options]));
  return across(
    z.strictObject({
      name: scalar.samplerName.describe("unique name"),
      title: scalar.line.describe("what people read in messages and pictures"),
      owner: scalar.name.describe("person or group that answers for it"),
      group: scalar.name
        .optional()
        .describe("group that hears its alerts where no route says otherwise; default: owner"),
      purpose: z.string().max(2000).optional().describe("what it is for"),
      runbook: scalar.runbook.optional().describe("path or URL of the steps to take"),
      every: duration(scalar.stepRange).optional().describe("length of a slot, aligned in UTC"),
      cron: cron.optional().describe("when to run by the wall clock of zone, 5 or 6 fields; needs window"),
      window: duration(scalar.stepRange).optional().describe("length of the slot that ends when cron fires"),
      delay: duration(scalar.waitRange).prefault("0s").describe("how long rows may take to arrive"),
      zone: scalar.zone
        .optional()
        .describe("time zone of cron, active hours and baseline days; default: BELLWETHER_ZONE"),
      calendar: scalar.name.optional().describe("calendar that knows its holidays, worked weekends and campaigns"),
      active: active.optional(),
      timeout: duration({ minMs: 100, maxMs: hourMs }).optional().describe("how long one run may take; default 10s"),
      grace: duration(scalar.waitRange)
        .prefault("0s")
        .describe("how long an empty slot is late before it is missing; it is asked for again meanwhile"),
      resample: count(0, 12)
        .prefault(0)
        .describe("slots before the newest that are read again with each one, for rows that come late"),
      history: duration({ minMs: 0, maxMs: 35 * dayMs })
        .prefault("0s")
        .describe("how far back slots are read, for the record, before its first one; its source must have them"),
      source: onlyKey(sources, "source kind").describe("where rows come from"),
      point: point.describe("which columns make the points"),
      empty: z.enum(["zero", "missing", "error"]).describe("what a slot without rows means"),
      judge: judgeSchema.prefault({}).describe("fields that are judged; others are stored only"),
      priority: z
        .enum(["low", "medium", "high"])
        .prefault("medium")
        .describe("who goes without first where there is no room for new points: low, then medium, then high"),
      alerts: z.boolean().prefault(true).describe("false: stored and judged, nobody told"),
      shadow: shadow
        .optional()
        .describe(
          "while new: judged and forecast, nobody told, until that day begins in zone, or true: until it is ended",
        ),
      alert: z
        .strictObject(scalar.lifecycle)
        .prefault({})
        .describe("how many bad slots fire, how many good ones resolve"),
      labels: scalar.labels,
    }),
    (sampler, report) => {
      checkSchedule(sampler, report);
      checkLate(sampler, report);
      checkHistory(sampler, report);
      checkJudge(sampler, report);
      if (sampler.alerts === false && sampler.shadow !== undefined && sampler.shadow !== false) {
        report(["shadow"], fault("CFG-019", "shadow with alerts: false", "keep one of the two: nobody is told anyway"));
      }
      checkTotal(sampler, report);
    },
  );
}

type Written = z.output<ReturnType<typeof samplerSchema>>;
type Loose = { readonly [K in keyof Written]?: unknown };

/** Lengths of slots that people use, to suggest from. */
const usualStepsMs = [
  ...[1, 2, 5, 10, 15, 20, 30].map((seconds) => seconds * secondMs),
  ...[1, 2, 3, 5, 10, 15, 20, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 4, 6, 8, 12, 24].map((hours) => hours * hourMs),
];

function checkSchedule(sampler: Loose, report: Report): void {
  const { every, window, timeout } = sampler;
  if (every !== undefined && sampler.cron !== undefined) {
    report(["cron"], fault("CFG-019", "every and cron at once", "keep one of the two"));
  }
  if (every === undefined && sampler.cron === undefined) {
    report([], fault("CFG-018", "neither every nor cron", "add every: 1m, or cron with window"));
  }
  if (sampler.cron !== undefined && window === undefined) {
    report(
      ["cron"],
      fault("CFG-018", "cron without window", "add window: how long the slot is that ends when it fires"),
    );
  }
  if (sampler.cron === undefined && window !== undefined) {
    report(["window"], fault("CFG-019", "window without cron", "remove it; with every, slots follow each other"));
  }
  if (isNumber(every)) checkStep(every, report);
  if (isNumber(every) && isNumber(timeout) && timeout >= every) {
    report(["timeout"], fault("SCH-007", `not shorter than every, which is ${formatDuration(every)}`, "shorten it"));
  }
}

function checkLate({ empty, grace, resample }: Loose, report: Report): void {
  if (isNumber(grace) && grace > 0 && empty !== "missing") {
    report(["grace"], fault("CFG-019", `grace with empty: ${String(empty)}`, "use resample, or empty: missing"));
  }
  if (isNumber(resample) && resample > 0 && empty === "error") {
    report(["resample"], fault("CFG-019", "resample with empty: error", "use empty: zero or missing"));
  }
}

function checkHistory({ every, cron: expression, window, history }: Loose, report: Report): void {
  const stepMs = isNumber(every) ? every : Math.min(isNumber(window) ? window : Infinity, leastGapMs(expression));
  if (!isNumber(history) || history <= historySlotsMax * stepMs) return;
  const what = `holds more than ${historySlotsMax} slots of ${formatDuration(stepMs)}`;
  report(["history"], fault("SCH-009", what, `write ${formatDuration(longestHistory(stepMs))} or less`));
}

/** A cron fires no more often. */
function leastGapMs(expression: unknown): number {
  const fields = String(expression).trim().split(/\s+/);
  const [seconds, minutes] = fields.length === 6 ? fields : ["0", ...fields];
  const isOne = (field = ""): boolean => /^\d+$/.test(field);
  return isOne(seconds) ? (isOne(minutes) ? hourMs : minuteMs) : secondMs;
}

/** In whole days or, of short slots, hours. */
function longestHistory(stepMs: number): number {
  const mostMs = historySlotsMax * stepMs;
  const unitMs = mostMs < dayMs ? hourMs : dayMs;
  return Math.floor(mostMs / unitMs) * unitMs;
}

function checkStep(stepMs: number, report: Report): void {
  if (stepMs < hourMs ? hourMs % stepMs === 0 : dayMs % stepMs === 0 || stepMs % dayMs === 0) return;
  const days = Math.floor(stepMs / dayMs);
  const below = usualStepsMs.findLast((ms) => ms < stepMs) as number;
  const above = usualStepsMs.find((ms) => ms > stepMs);
  const [use, or] = above === undefined ? [days * dayMs, (days + 1) * dayMs] : [below, above];
  const whole = stepMs < hourMs ? "an hour" : "a day";
  report(
    ["every"],
    fault("SCH-005", `does not divide ${whole}`, `use ${formatDuration(use)} or ${formatDuration(or)}`),
  );
}

function checkJudge(sampler: Loose, report: Report): void {
  const { judge, point } = sampler as {
    judge?: Record<string, { kind?: unknown; denominator?: unknown; baseline?: { days?: unknown } }>;
    point?: { fields?: unknown };
  };
  if (typeof judge !== "object" || judge === null) return;
  const fields = Array.isArray(point?.fields) ? point.fields.filter((each) => typeof each === "string") : null;
  const period = periodDays(sampler);
  for (const [field, options] of Object.entries(judge)) {
    if (fields !== null && !fields.includes(field)) {
      report(["judge", field], fault("RUL-003", "not among point.fields", oneOf(field, fields)));
    }
    const { kind, denominator } = options ?? {};
    if (denominator !== undefined && kind !== "ratio") {
      report(
        ["judge", field, "denominator"],
        fault("CFG-019", `denominator with kind: ${String(kind)}`, "write kind: ratio, or remove it"),
      );
    } else if (fields !== null && typeof denominator === "string") {
      const others = fields.filter((each) => each !== field);
      const fix = others.length === 0 ? "add the field to point.fields" : oneOf(denominator, others);
      if (!others.includes(denominator)) {
        report(["judge", field, "denominator"], fault("RUL-003", "not another of point.fields", fix));
      }
    }
    const days = options?.baseline?.days;
    if (isNumber(days) && days < 2 * period) {
      const apart = Number.isFinite(period) ? `up to ${period} days` : "years";
      const what = `a baseline of ${days} days holds fewer than 2 periods: slots are ${apart} apart`;
      const fix = 2 * period <= 28 ? `set baseline.days to ${2 * period} or more` : "leave the field out of judge";
      report(["judge", field], fault("SCH-008", what, fix));
    }
  }
}

/** Sums of levels and averages say nothing, so it must be said that a field is a count, or of what it is a share. */
function checkTotal(sampler: Loose, report: Report): void {
  const { judge, point } = sampler as {
    judge?: Record<string, { kind?: unknown; denominator?: unknown }>;
    point?: { fields?: unknown; total?: unknown };
  };
  const { fields, total } = point ?? {};
  if (!Array.isArray(total) || !Array.isArray(fields)) return;
  for (const [index, field] of total.entries()) {
    const path = ["point", "total", index];
    if (typeof field !== "string") continue;
    if (!fields.includes(field)) report(path, fault("RUL-003", "not among point.fields", oneOf(field, fields)));
    else if (total.indexOf(field) < index) report(path, fault("CFG-010", "named twice", "keep one of the two"));
    else {
      const found = totalFault(field, judge ?? {}, total);
      if (found !== null) report(path, found);
    }
  }
}

function totalFault(
  field: string,
  judge: Readonly<Record<string, { kind?: unknown; denominator?: unknown }>>,
  total: readonly unknown[],
): string | null {
  const { kind, denominator } = judge[field] ?? {};
  const leave = "or leave it out of total";
  if (kind === "count") return null;
  if (kind !== "ratio") {
    const what = `a total of "${field}", which is not judged as a count`;
    return fault(
      "CFG-019",
      what,
      `write judge: { ${field}: { kind: count } }, or kind: ratio and its denominator, ${leave}`,
    );
  }
  if (typeof denominator !== "string") {
    const what = `a total of the ratio "${field}", whose denominator is not named`;
    return fault("CFG-019", what, `write judge: { ${field}: { denominator: FIELD } }, ${leave}`);
  }
  // Its sum is stored with the total, and would be judged without anybody having asked for it.
  if (!(denominator in judge) || total.includes(denominator)) return null;
  const what = `a total of the ratio "${field}", and none of "${denominator}", which is judged as well`;
  return fault("CFG-019", what, `add ${denominator} to total, ${leave}`);
}

/** Longest distance, in days, between two days that have slots. */
function periodDays({ every, cron: expression, active: when }: Loose): number {
  const own = isNumber(every) ? every / dayMs : 0;
  const fires = typeof expression === "string" && cronFault(expression) === null ? longestGapDays(expression, 0) : 0;
  const days = (when as { days?: unknown } | undefined)?.days;
  const active = Array.isArray(days) && days.every(isNumber) ? longestGap(days) : 0;
  return Math.max(1, own, fires, active);
}

function longestGap(sorted: readonly number[]): number {
  return Math.max(...sorted.map((day, index) => (sorted[index + 1] ?? (sorted[0] as number) + 7) - day));
}

/** A run is stopped after 10 s, and leaves a fifth of a shorter step to store and judge. */
function defaultTimeoutMs(stepMs: number): number {
  return Math.min(10 * secondMs, Math.floor(stepMs * 0.8));
}

export function toSampler(written: Written, place: Place, defaultZone: string): Sampler {
  const zone = written.zone ?? defaultZone;
  const schedule = toSchedule(written, zone);
  const [kind, options] = Object.entries(written.source)[0] as [string, unknown];
  return {
    name: written.name,
    title: written.title,
    owner: written.owner,
    group: written.group ?? written.owner,
    purpose: written.purpose ?? null,
    runbook: written.runbook ?? null,
    schedule,
    zone,
    calendar: written.calendar ?? null,
    active: written.active === undefined ? null : toActive(written.active, zone),
    timeoutMs: written.timeout ?? defaultTimeoutMs(schedule.stepMs),
    graceMs: written.grace,
    resample: written.resample,
    historyMs: written.history,
    source: { kind, options },
    point: written.point,
    empty: written.empty,
    judge: toJudging(written.judge),
    priority: written.priority,
    alerts: written.alerts,
    ...(written.shadow === undefined || written.shadow === false ? {} : { shadow: toShadow(written.shadow, zone) }),
    alerting: { ...written.alert.pending, recoverCount: written.alert.recover },
    labels: written.labels,
    place,
  };
}

function toSchedule({ every, cron: expression, window, delay }: Written, zone: string): Schedule {
  if (every !== undefined) return { kind: "every", stepMs: every, delayMs: delay };
  return { kind: "cron", expression: expression as string, stepMs: window as number, delayMs: delay, zone };
}

function toShadow(written: string | true, zone: string): Shadow {
  if (written === true) return { text: "true", untilMs: null };
  return { text: written, untilMs: wallToMs(Date.parse(`${written}T00:00Z`), zone) };
}

function toActive(written: z.output<typeof active>, zone: string): ActiveHours {
  const { from: fromMinute, to: toMinute } = written.hours;
  return { zone: written.zone ?? zone, weekdays: written.days, fromMinute, toMinute };
}
