/** Numbers and times as people read them. */
import { formatDuration } from "../../core/time.ts";

/** Absent numbers are shown as a dash, never as zero. */
export const none = "\u2013";

export function number(value: number | null): string {
  if (value === null) return none;
  const size = Math.abs(value);
  const digits = size >= 1_000 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value).replace("-", "\u2212");
}

/** `1 slot`, `12 slots`. */
export function count(value: number, noun: string): string {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Difference in percent of the expectation, with its sign; empty where it has no meaning. */
export function deviation(observed: number | null, expected: number | null): string {
  if (observed === null || expected === null || expected === 0) return "";
  const percent = Math.round(((observed - expected) / Math.abs(expected)) * 100);
  if (percent === 0) return "\u00b10 %";
  return `${percent > 0 ? "+" : "\u2212"}${Math.abs(percent)} %`;
}

type Style = "time" | "seconds" | "day" | "full";

const styles: Readonly<Record<Style, Intl.DateTimeFormatOptions>> = {
  time: { hour: "2-digit", minute: "2-digit" },
  seconds: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short" },
  full: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
};
const formats = new Map<string, Intl.DateTimeFormat>();

/** A moment by the wall clock of `zone`; 24 hours, because a pager does not ask for a.m. */
export function wall(moment: string | number, zone: string, style: Style = "full"): string {
  const key = `${zone} ${style}`;
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...styles[style] });
    formats.set(key, format);
  }
  return format.format(typeof moment === "number" ? moment : Date.parse(moment));
}

/** `3m ago`, `in 20s`, `now`, by the server's clock. */
export function relative(moment: string, nowMs: number): string {
  const awayMs = Date.parse(moment) - nowMs;
  if (Math.abs(awayMs) < 1_000) return "now";
  const text = formatDuration(Math.abs(awayMs));
  return awayMs < 0 ? `${text} ago` : `in ${text}`;
}

export function lasted(from: string, to: string | null, nowMs: number): string {
  return formatDuration(Math.max(0, (to === null ? nowMs : Date.parse(to)) - Date.parse(from)));
}
