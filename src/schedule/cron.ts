/** Which slots a sampler has, and when each may run. Pure: all follows from the definition and the times given. */
import { createHash } from "node:crypto";
import { createTask, type ParsedFields, parse } from "node-cron";
import type { ActiveHours, Sampler, Schedule } from "../core/definitions.ts";
import type { Slot } from "../core/model.ts";
import { toProblem } from "../core/problem.ts";
import { dayMs, floorToStep, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { localTime, momentsOfWall, msToWall } from "../core/zone.ts";

type EverySchedule = Extract<Schedule, { kind: "every" }>;
type CronSchedule = Extract<Schedule, { kind: "cron" }>;

/** Jitter spreads samplers over this part of their step, and over no more than {@link jitterMsMax}. */
const jitterShare = 0.1;
export const jitterMsMax = 5 * secondMs;

/** How far ahead the next slot is looked for: past every 29 February, and past every week of active hours. */
const everyHorizonMs = 9 * dayMs;
const cronHorizonMs = 5 * 366 * dayMs;
/** How far back the newest slot is looked for. */
const latestHorizonMs = 366 * dayMs;

/** No zone moves its clock by more at once (Antarctica/Troll moves by two hours). */
const clockChangeMsMax = 3 * hourMs;

/**
 * The active slots of `sampler` that end in `(afterMs, untilMs]`, ascending, at most `limit`.
 * @throws Problem if the cron expression cannot be read
 */
export function slotsEndingIn(sampler: Sampler, afterMs: number, untilMs: number, limit: number): Slot[] {
  const { schedule, active, name } = sampler;
  const ends =
    schedule.kind === "every"
      ? everyEnds(schedule, active, afterMs, untilMs)
      : cronEnds(schedule, active, afterMs, untilMs);
  const slots: Slot[] = [];
  for (const endMs of ends) {
    if (slots.length >= limit) break;
    slots.push({ sampler: name, startMs: endMs - schedule.stepMs, stepMs: schedule.stepMs });
  }
  return slots;
}

/** The first active slot that ends after `afterMs`; null if there is none within the next years. */
export function nextSlot(sampler: Sampler, afterMs: number): Slot | null {
  const horizonMs = sampler.schedule.kind === "every" ? everyHorizonMs + sampler.schedule.stepMs : cronHorizonMs;
  return slotsEndingIn(sampler, afterMs, afterMs + horizonMs, 1)[0] ?? null;
}

/** The active slot that holds `timeMs`, null if there is none; where slots of a cron overlap, the first to end. */
export function slotHolding(sampler: Sampler, timeMs: number): Slot | null {
  const [slot] = slotsEndingIn(sampler, timeMs, timeMs + sampler.schedule.stepMs, 1);
  return slot !== undefined && slot.startMs <= timeMs ? slot : null;
}

/** The newest active slot that ends by `untilMs`; null if there was none in the last {@link latestHorizonMs}. */
export function latestSlot(sampler: Sampler, untilMs: number): Slot | null {
  for (let backMs = 2 * sampler.schedule.stepMs; ; backMs *= 2) {
    const lookMs = Math.min(backMs, latestHorizonMs);
    const slot = slotsEndingIn(sampler, untilMs - lookMs, untilMs, Number.POSITIVE_INFINITY).at(-1);
    if (slot !== undefined || lookMs === latestHorizonMs) return slot ?? null;
  }
}

/**
 * When a slot may run: its end, the sampler's delay, and a jitter that is the same for every slot of the sampler (a
 * hash of its name, up to a tenth of the step and at most 5 s), so that samplers do not all ask at once.
 */
export function dueMs(sampler: Sampler, slot: Slot): number {
  return slot.startMs + slot.stepMs + sampler.schedule.delayMs + jitterMs(sampler.name, slot.stepMs);
}

function jitterMs(name: string, stepMs: number): number {
  const share = createHash("sha256").update(name).digest().readUInt32BE(0) / 2 ** 32;
  return Math.floor(share * Math.min(stepMs * jitterShare, jitterMsMax));
}

// ---- every ----------------------------------------------------------------------------------------------------

function* everyEnds(schedule: EverySchedule, active: ActiveHours | null, afterMs: number, untilMs: number) {
  const { stepMs } = schedule;
  let startMs = floorToStep(afterMs, stepMs);
  while (startMs + stepMs <= untilMs) {
    if (isActive(active, startMs)) {
      yield startMs + stepMs;
      startMs += stepMs;
    } else {
      startMs = Math.ceil(mayBecomeActiveMs(active as ActiveHours, startMs) / stepMs) * stepMs;
    }
  }
}

function isActive(active: ActiveHours | null, startMs: number): boolean {
  if (active === null) return true;
  const { weekday, minuteOfDay } = localTime(startMs, active.zone);
  return active.weekdays.includes(weekday) && minuteOfDay >= active.fromMinute && minuteOfDay < active.toMinute;
}

/**
 * A later moment before which no slot is active, given that none is at `startMs`. It never passes a quarter of an
 * hour, where zones change their clocks.
 */
function mayBecomeActiveMs(active: ActiveHours, startMs: number): number {
  const quarterMs = floorToStep(startMs, 15 * minuteMs) + 15 * minuteMs;
  const minutesLeft = active.fromMinute - localTime(startMs, active.zone).minuteOfDay;
  if (minutesLeft <= 0) return quarterMs;
  return Math.min(quarterMs, floorToStep(startMs, minuteMs) + minutesLeft * minuteMs);
}

// ---- cron -----------------------------------------------------------------------------------------------------

type Cron = {
  readonly fields: ParsedFields;
  /** Names no hour: then every pass of a repeated hour fires, and a skipped hour is not made up for. */
  readonly everyHour: boolean;
  /** Whether the day that holds `wallMs` has any firing. */
  readonly onDay: (wallMs: number) => boolean;
};

/** Expressions read so far; the schedule object is the key, so that a definition that is gone takes its own along. */
const crons = new WeakMap<CronSchedule, Cron>();

function cronOf(schedule: CronSchedule): Cron {
  const known = crons.get(schedule);
  if (known !== undefined) return known;
  try {
    const fields = parse(schedule.expression);
    // The library decides about days (`L`, `15W`, `MON#2`); its own timers, which ask the machine's clock, stay off.
    const task = createTask(schedule.expression, () => {}, { timezone: "Etc/UTC" });
    task.destroy();
    const [second = 0, minute = 0, hour = 0] = [fields.second[0], fields.minute[0], fields.hour[0]];
    const firstMs = hour * hourMs + minute * minuteMs + second * secondMs;
    const cron = {
      fields,
      everyHour: fields.hour.length === 24,
      onDay: (wallMs: number) => task.match(new Date(floorToStep(wallMs, dayMs) + firstMs)),
    };
    crons.set(schedule, cron);
    return cron;
  } catch (thrown) {
    throw toProblem(thrown, `not a cron expression (got ${JSON.stringify(schedule.expression)})`, {
      code: "SCH-001",
      fix: "write 5 fields (minute hour day month weekday) or 6 (second first)",
    });
  }
}

/** Fires by the wall clock: the expression is matched against wall times, each of which stands for a moment. */
function* cronEnds(schedule: CronSchedule, active: ActiveHours | null, afterMs: number, untilMs: number) {
  const cron = cronOf(schedule);
  const fromWallMs = msToWall(afterMs, schedule.zone) - clockChangeMsMax;
  const toWallMs = msToWall(untilMs, schedule.zone) + clockChangeMsMax;
  let lastMs = afterMs;
  for (let dayWallMs = floorToStep(fromWallMs, dayMs); dayWallMs <= toWallMs; dayWallMs += dayMs) {
    if (!cron.onDay(dayWallMs)) continue;
    for (const hour of cron.fields.hour) {
      const hourWallMs = dayWallMs + hour * hourMs;
      if (hourWallMs + hourMs <= fromWallMs || hourWallMs > toWallMs) continue;
      for (const endMs of firingsOfHour(cron, hourWallMs, schedule.zone, lastMs, untilMs)) {
        if (endMs > untilMs) break;
        // What a gap skips fires where another firing may stand already: once.
        if (endMs <= lastMs) continue;
        lastMs = endMs;
        if (isActive(active, endMs - schedule.stepMs)) yield endMs;
      }
    }
  }
}

/** The moments at which one hour on the wall fires, ascending; none of an hour that lies outside `(afterMs, untilMs]`. */
function firingsOfHour(cron: Cron, hourWallMs: number, zone: string, afterMs: number, untilMs: number): number[] {
  const [first, last] = [momentsOfWall(hourWallMs, zone), momentsOfWall(hourWallMs + hourMs - 1, zone)];
  const [firstMs, lastMs] = [first.passesMs[0], last.passesMs[0]];
  const unchanged = first.passesMs.length === 1 && last.passesMs.length === 1 && lastMs === firstMs! + hourMs - 1;
  if (unchanged && (lastMs! <= afterMs || firstMs! > untilMs)) return [];
  const wallsMs = cron.fields.minute.flatMap((minute) =>
    cron.fields.second.map((second) => hourWallMs + minute * minuteMs + second * secondMs),
  );
  if (unchanged) return wallsMs.map((wallMs) => firstMs! + wallMs - hourWallMs);
  return wallsMs.flatMap((wallMs) => firings(cron, wallMs, zone)).sort((a, b) => a - b);
}

function firings(cron: Cron, wallMs: number, zone: string): readonly number[] {
  const { passesMs, gapEndMs } = momentsOfWall(wallMs, zone);
  if (cron.everyHour) return passesMs;
  return gapEndMs === null ? passesMs.slice(0, 1) : [gapEndMs];
}
