/** What a cron expression promises: when it fires by the wall clock, and what changes of the clock do to it. */
import { createTask, type ParsedFields, validateDetailed } from "node-cron";
import { dayMs, hourMs, minuteMs } from "../core/time.ts";
import { localDay, msToWall, nextTransitionMs } from "../core/zone.ts";
import { fault } from "./fault.ts";

/** The calendar repeats its weekdays every 28 years: what does not fire within them never will. */
const horizonDays = 40 * 366;

/** @returns the text of what is wrong with the expression, null if nothing is */
export function cronFault(expression: string): string | null {
  const fields = expression.trim().split(/\s+/).length;
  if (!expression.startsWith("@") && fields !== 5 && fields !== 6) {
    const fix = "write minute hour day month weekday, with seconds before them if needed";
    return fault("SCH-001", `wants 5 or 6 fields, has ${fields}`, fix);
  }
  const checked = validateDetailed(expression);
  const [first] = checked.errors;
  if (first?.message.includes("impossible day")) return neverFires();
  if (first !== undefined) {
    const what = `${first.value === undefined ? "" : `"${first.value}" `}is no valid ${cronWord(first.field)}`;
    return fault("SCH-001", what, "write for example 0 5 * * mon-fri");
  }
  return firingDays(expression, 0, horizonDays).next().done === true ? neverFires() : null;
}

function neverFires(): string {
  return fault("SCH-002", "never fires", "choose a day that comes");
}

function cronWord(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** The longest distance between two days with a firing, in days, as seen over two years and a bit. */
export function longestGapDays(expression: string, fromMs: number): number {
  const days = [...firingDays(expression, fromMs, 2 * 366 + 31)];
  const gaps = days.slice(1).map((day, index) => (day - (days[index] as number)) / dayMs);
  return gaps.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...gaps);
}

/** Days with a firing as midnights by the wall clock, as if it showed UTC. */
function* firingDays(expression: string, fromMs: number, count: number): Generator<number> {
  const firesOn = dayMatcher(expression);
  const first = Math.floor(fromMs / dayMs) * dayMs;
  for (let index = 0; index < count; index += 1) {
    if (firesOn(first + index * dayMs)) yield first + index * dayMs;
  }
}

/** node-cron wants day, month and weekday all to match. `L`, `W` and `#` are left to node-cron itself: slow, but rare. */
function dayMatcher(expression: string): (wallMs: number) => boolean {
  const { month, dayOfMonth, dayOfWeek, hour, minute, second } = fieldsOf(expression);
  if ([...dayOfMonth, ...dayOfWeek].every((each) => typeof each === "number")) {
    return (wallMs) => {
      const day = new Date(wallMs);
      return (
        month.includes(day.getUTCMonth() + 1) &&
        dayOfMonth.includes(day.getUTCDate()) &&
        dayOfWeek.includes(day.getUTCDay())
      );
    };
  }
  const first = ((hour[0] as number) * 3600 + (minute[0] as number) * 60 + (second[0] as number)) * 1000;
  const task = createTask(expression, () => {}, { timezone: "UTC" });
  // Takes it out of node-cron's list of tasks; it was never started, and still answers.
  task.destroy();
  return (wallMs) =>
    month.includes(new Date(wallMs).getUTCMonth() + 1) &&
    task.match(new Date(Math.floor(wallMs / dayMs) * dayMs + first));
}

function fieldsOf(expression: string): ParsedFields {
  return validateDetailed(expression).fields as ParsedFields;
}

/**
 * What changes of the clock in the next 12 months do to the expression, as `2026-03-29 runs at 02:00`; empty if its
 * hours are not touched. A wall time that is skipped runs right after the gap, one that is repeated runs once.
 */
export function clockChanges(expression: string, zone: string, nowMs: number): string[] {
  const firesOn = dayMatcher(expression);
  const { hour, minute } = fieldsOf(expression);
  const found: string[] = [];
  let atMs = nextTransitionMs(nowMs, zone);
  while (atMs !== null && atMs < nowMs + 366 * dayMs) {
    const beforeMs = msToWall(atMs - minuteMs, zone) + minuteMs;
    const afterMs = msToWall(atMs, zone);
    let touched = false;
    for (let wallMs = Math.min(beforeMs, afterMs); wallMs < Math.max(beforeMs, afterMs); wallMs += minuteMs) {
      const inHour = Math.floor(wallMs / minuteMs) % 60;
      touched ||= minute.includes(inHour) && hour.includes(Math.floor(wallMs / hourMs) % 24) && firesOn(wallMs);
    }
    if (touched && afterMs !== beforeMs) {
      const time = new Date(afterMs).toISOString().slice(11, 16);
      found.push(`${localDay(atMs, zone)} runs ${afterMs > beforeMs ? `at ${time}` : "once"}`);
    }
    atMs = nextTransitionMs(atMs, zone);
  }
  return found;
}
