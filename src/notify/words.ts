/** Numbers, times and lists as a message says them. */
import { dayMs, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { formatLocal } from "../core/zone.ts";

/** `12,340`, `61.5`, `0.25`: as many decimals as matter. "no value" for null. */
export function numberText(value: number | null): string {
  if (value === null) return "no value";
  const size = Math.abs(value);
  const maximumFractionDigits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return new Intl.NumberFormat("en", { maximumFractionDigits }).format(value);
}

/** `45 s`, `45 min`, `2 h 5 min`, `3 d 4 h`: the two largest units. */
export function durationText(ms: number): string {
  const units: readonly (readonly [string, number])[] = [
    ["d", dayMs],
    ["h", hourMs],
    ["min", minuteMs],
    ["s", secondMs],
  ];
  const first = units.findIndex(([, sizeMs]) => ms >= sizeMs);
  if (first === -1) return "0 s";
  const [, smallestMs] = units[Math.min(first + 1, units.length - 1)] as readonly [string, number];
  // Rounding first, so that 59 min 59.7 s does not read "59 min 60 s".
  const rounded = Math.round(ms / smallestMs) * smallestMs;
  if (first > 0 && rounded >= (units[first - 1] as readonly [string, number])[1]) return durationText(rounded);
  const parts: string[] = [];
  let restMs = rounded;
  for (const [unit, sizeMs] of units.slice(first, first + 2)) {
    const count = Math.floor(restMs / sizeMs);
    restMs -= count * sizeMs;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.join(" ");
}

/** `1st`, `2nd`, `3rd`, `11th`. */
export function ordinalText(count: number): string {
  const endings: Readonly<Record<string, string>> = { one: "st", two: "nd", few: "rd" };
  return `${count}${endings[new Intl.PluralRules("en", { type: "ordinal" }).select(count)] ?? "th"}`;
}

/** `2026-11-20 10:41 (Europe/London)`. */
export function timeText(timeMs: number, zone: string): string {
  return `${formatLocal(timeMs, zone)} (${zone})`;
}

/** `10:41` on the wall clock of `zone`; `10:41:05` off the full minute. */
export function clockText(timeMs: number, zone: string): string {
  return formatLocal(timeMs, zone).slice(11);
}

/** `the minute from 10:41`, `the hour from 10:00`, `15 min from 10:45`. */
export function slotText(startMs: number, stepMs: number, zone: string): string {
  const named = new Map([
    [minuteMs, "the minute"],
    [hourMs, "the hour"],
    [dayMs, "the day"],
  ]).get(stepMs);
  const from = stepMs >= dayMs ? formatLocal(startMs, zone) : clockText(startMs, zone);
  return `${named ?? durationText(stepMs)} from ${from}`;
}

/** On one line, without control characters; longer texts end in an ellipsis. */
export function oneLine(text: string, charsMax = 200): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").trim();
  const letters = [...line];
  return letters.length <= charsMax ? line : `${letters.slice(0, charsMax - 1).join("")}…`;
}
