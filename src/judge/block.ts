import { campaignsIn } from "../core/calendar.ts";
import type { Calendar } from "../core/definitions.ts";
import type { JudgeMemory, Labels, Tags, TimeWindow } from "../core/model.ts";
import { hourMs } from "../core/time.ts";
import { type Accepted, acceptedMsMax, scalesOf } from "./accepted.ts";
import { likeDays, onCampaigns } from "./campaigns.ts";
import {
  type Before,
  type Cells,
  cellValue,
  dayReach,
  denominatorsOf,
  latchMsMax,
  makeCells,
  memorySlots,
  type Ongoing,
  type Place,
  reachSlots,
  skipSlotsMax,
  windowSlots,
} from "./cells.ts";
import { dayPart, isFree } from "./dayparts.ts";
import type { ZoneDays } from "./days.ts";
import { type Part, Parts, partBefore, partMs } from "./parts.ts";
import type { Left } from "./stored.ts";

/**
 * A stretch of slots that is held: today's, or one day's before. All lie on one grid, that of the slots to be judged.
 * Where the clock was changed since, slots of days before lie off it: they belong to the nearest cell, so a cell of
 * those days begins `earlyMs` before its slot, half a step.
 */
type Lane = {
  /** Calendar days before; 0 = today. */
  readonly day: number;
  readonly fromMs: number;
  readonly slots: number;
  readonly offset: number;
  readonly earlyMs: number;
};

/** What a lane takes over from that of the same day in the block before: `count` cells, the first of which is `from`. */
type Stretch = { readonly lane: Lane; readonly other: Lane | undefined; readonly from: number; readonly count: number };

/** One series in a block. */
export type Held = {
  readonly tags: Tags;
  readonly cells: Cells;
  /** What the newest mark says, and when it was set. */
  ongoing: Ongoing | null;
  markMs: number;
  /** What the newest verdict with a value remembers, and of which slot it is. */
  memory: JudgeMemory;
  memoryMs: number;
  readonly parts: Parts;
  /** What became the new normal lately. */
  accepted: readonly Accepted[];
  /** Slots yet to be judged whose verdicts of an earlier run were part of an incident, or closed one. */
  earlier: readonly number[];
};

/** What the verdict of one slot left behind: an incident that goes on, or (null) the end of one. */
export type Mark = { readonly timeMs: number; readonly ongoing: Ongoing | null };

export type BlockShape = {
  readonly stepMs: number;
  /** Start of the first slot that can be judged from it. */
  readonly fromMs: number;
  /** How many slots can be. */
  readonly slots: number;
  readonly days: number;
  readonly points: number;
  /** A series without a value on so many days, at the time of a slot, is no longer missed in it. */
  readonly missedDays: number;
  /** What says of days what kind they are; null: nothing but the weekday. */
  readonly calendar: Calendar | null;
  readonly zone: string;
};

/** A day's block must not reach into the day before's: the shortest day of any zone, less an hour. */
const blockMsMax = 22 * hourMs;

/** How many slots one block may serve. */
export function blockSlotsMax(stepMs: number): number {
  return 1 + Math.floor(blockMsMax / stepMs);
}

/**
 * The history that judging some neighbouring slots needs, of all series of one measurement and field: the newest slots
 * before them and the same stretch of each day before. Filled from the store at the beginning, then slot by slot.
 */
export class Block {
  readonly shape: BlockShape;
  /** Today's, then 1, 2, ... days before, then those that campaigns are compared with. */
  readonly lanes: readonly Lane[];
  readonly cellsEach: number;
  readonly held = new Map<string, Held>();
  /** Start of the newest slot it knows all about. */
  lastMs: number;
  /** Another block took over what this one held. */
  isSpent = false;
  readonly #clock: ZoneDays;
  /** Nothing at all; series share its arrays, but for values, until they need their own, which most never do. */
  readonly #none: Cells;

  constructor(shape: BlockShape, clock: ZoneDays) {
    this.shape = shape;
    this.#clock = clock;
    this.lastMs = shape.fromMs - shape.stepMs;
    const lanes: Lane[] = [];
    let offset = 0;
    const { fromMs: startMs, toMs } = this.window;
    const usual = Array.from({ length: shape.days + 1 }, (_, day) => day);
    for (const day of [...usual, ...likeDays(shape.calendar, startMs, toMs, shape.days)]) {
      const { firstMs, lastMs } = this.#stretch(day);
      const before = day === 0 ? reachSlots(shape.stepMs, shape.points) : dayReach.before;
      const fromMs = shape.fromMs - (Math.ceil((shape.fromMs - firstMs) / shape.stepMs) + before) * shape.stepMs;
      const slots = Math.ceil((lastMs - fromMs) / shape.stepMs) + 1 + (day === 0 ? 0 : dayReach.after);
      lanes.push({ day, fromMs, slots, offset, earlyMs: day === 0 ? 0 : Math.floor(shape.stepMs / 2) });
      offset += slots;
    }
    this.lanes = lanes;
    this.cellsEach = offset;
    this.#none = makeCells(offset, this.#today.slots);
  }

  /** First and last of the block's slots, `day` days before; a change of offset may move some of them. */
  #stretch(day: number): { firstMs: number; lastMs: number } {
    const { fromMs, slots, stepMs } = this.shape;
    if (day === 0) return { firstMs: fromMs, lastMs: fromMs + (slots - 1) * stepMs };
    let firstMs = Number.POSITIVE_INFINITY;
    let lastMs = Number.NEGATIVE_INFINITY;
    for (let slot = 0; slot < slots; slot += 1) {
      const startMs = this.#clock.beforeMs(fromMs + slot * stepMs, day);
      firstMs = Math.min(firstMs, startMs);
      lastMs = Math.max(lastMs, startMs);
    }
    return { firstMs, lastMs };
  }

  /** The slots that can be judged. */
  get window(): TimeWindow {
    const { fromMs, slots, stepMs } = this.shape;
    return { fromMs, toMs: fromMs + slots * stepMs };
  }

  covers(timeMs: number): boolean {
    const { fromMs, slots, stepMs } = this.shape;
    const slot = (timeMs - fromMs) / stepMs;
    return !this.isSpent && Number.isInteger(slot) && slot >= 0 && slot < slots;
  }

  place(timeMs: number): Place {
    const { stepMs, calendar, zone } = this.shape;
    const starts = this.#clock.sameSlotsMs(timeMs, this.shape.days);
    const days = starts.map((startMs, index) => {
      return startMs === null ? -1 : this.#cell(this.lanes[index + 1] as Lane, startMs);
    });
    const part = dayPart(calendar, zone, timeMs);
    const alike = starts.map((startMs) => startMs !== null && dayPart(calendar, zone, startMs) === part);
    return { timeMs, stepMs, now: this.#cell(this.lanes[0] as Lane, timeMs), days, alike };
  }

  /** The place as one series sees it, whose labels are asked for where campaigns are near. */
  placeFor(slot: Place, held: Held, subject: () => Labels): Place {
    const startMs = (day: number): number => this.#clock.beforeMs(slot.timeMs, day);
    const starts = (): number[] => slot.days.map((_, index) => startMs(index + 1));
    const scales = held.accepted.length === 0 ? undefined : scalesOf(held.accepted, slot.timeMs, starts());
    const place = scales === undefined ? slot : { ...slot, scales };
    return onCampaigns(place, this.shape.calendar, subject, startMs, (day) => {
      const lane = this.lanes.find((each) => each.day === day);
      return lane === undefined ? -1 : this.#cell(lane, startMs(day));
    });
  }

  #cell(lane: Lane, timeMs: number): number {
    const slot = this.#slot(lane, timeMs);
    return slot >= 0 && slot < lane.slots ? lane.offset + slot : -1;
  }

  #slot(lane: Lane, timeMs: number): number {
    return Math.floor((timeMs - lane.fromMs + lane.earlyMs) / this.shape.stepMs);
  }

  /** The series of this key, made empty if it is new. */
  series(key: string, tags: Tags): Held {
    const known = this.held.get(key);
    if (known !== undefined) return known;
    const made = {
      tags,
      cells: { ...this.#none, values: this.#none.values.slice() },
      ongoing: null,
      markMs: Number.NEGATIVE_INFINITY,
      memory: {},
      memoryMs: Number.NEGATIVE_INFINITY,
      parts: new Parts(),
      accepted: [],
      earlier: [],
    };
    this.held.set(key, made);
    return made;
  }

  get #today(): Lane {
    return this.lanes[0] as Lane;
  }

  /** With steps of an hour and more the lanes overlap: a slot may lie in several. */
  put(held: Held, timeMs: number, value: unknown): void {
    for (const lane of this.lanes) {
      const cell = this.#cell(lane, timeMs);
      if (cell >= 0) held.cells.values[cell] = cellValue(value);
    }
    // What was reckoned from the old value; slots of today are no past yet.
    if (held.cells.jumps !== null && timeMs < this.shape.fromMs) held.cells.jumps = null;
  }

  /** What a ratio was measured on. */
  putDenominator(held: Held, timeMs: number, value: unknown): void {
    for (const lane of this.lanes) {
      const cell = this.#cell(lane, timeMs);
      if (cell >= 0) denominatorsOf(held.cells)[cell] = cellValue(value);
    }
  }

  /** Notes what a verdict on a slot with a value leaves for the slots after it. */
  remember(held: Held, timeMs: number, { range, memory }: Left): void {
    const cell = this.#cell(this.#today, timeMs);
    if (range !== null && cell >= 0) {
      const { least, most } = this.#expectedOf(held);
      least[cell] = range.least;
      most[cell] = range.most;
    }
    if (memory === null || timeMs < held.memoryMs) return;
    held.memory = memory;
    held.memoryMs = timeMs;
  }

  /** Has the cells know how weekdays differ. @returns the part of the day that ends right before the slot, if one does */
  weigh(held: Held, place: Place, subject: () => Labels): Part | null {
    const { calendar, zone } = this.shape;
    const found = partBefore(held.cells, place, this.#clock);
    // What a campaign brought says nothing of weekdays.
    const within = { fromMs: place.timeMs - partMs, toMs: place.timeMs };
    const special = found !== null && campaignsIn(calendar, subject, within).length > 0;
    const part = special ? { ...found, sum: Number.NaN } : found;
    if (part !== null) held.parts.put(part);
    held.cells.ratios = held.parts.at(place.timeMs, this.#clock, isFree(calendar, zone, place.timeMs), held.accepted);
    held.cells.drift = held.parts.drift(place.timeMs, this.#clock, held.accepted);
    return part;
  }

  /** Marks are put in any order; the newest one tells what goes on. */
  mark(held: Held, { timeMs, ongoing }: Mark): void {
    const { stepMs } = this.shape;
    if (timeMs >= held.markMs) {
      held.ongoing = ongoing;
      held.markMs = timeMs;
    }
    if (ongoing === null) return;
    const since = Math.min(Math.floor((timeMs - ongoing.sinceMs) / stepMs), windowSlots(stepMs) - 1);
    for (const lane of this.lanes) {
      const cell = this.#slot(lane, timeMs);
      // A mark right after the lane's end still covers its last slots.
      const from = Math.max(0, cell - since);
      const to = Math.min(lane.slots - 1, cell);
      if (from <= to) this.#incidentsOf(held).fill(1, lane.offset + from, lane.offset + to + 1);
    }
  }

  /** What went on is the new normal: its slots are references like any others, from the next slot on. */
  accept(held: Held, accepted: Accepted): void {
    held.accepted = [...held.accepted.filter(({ atMs }) => atMs !== accepted.atMs), accepted];
    for (const lane of this.lanes) {
      const from = Math.max(0, this.#slot(lane, accepted.sinceMs));
      const to = Math.min(lane.slots - 1, this.#slot(lane, accepted.atMs));
      if (from <= to) this.#incidentsOf(held).fill(0, lane.offset + from, lane.offset + to + 1);
    }
  }

  /** The series' own array, to be written to. */
  #incidentsOf({ cells }: Held): Uint8Array {
    if (cells.inIncident === this.#none.inIncident) cells.inIncident = cells.inIncident.slice();
    return cells.inIncident;
  }

  #expectedOf({ cells }: Held): Cells {
    if (cells.least === this.#none.least) {
      cells.least = cells.least.slice();
      cells.most = cells.most.slice();
    }
    return cells;
  }

  /** What goes on before `timeMs`. */
  ongoingAt(held: Held, timeMs: number): Ongoing | null {
    return timeMs - held.markMs > latchMsMax || this.#isOver(held, timeMs) ? null : held.ongoing;
  }

  /** Late data made an incident of a slot, and newer ones had been judged already: none of them was part of it. */
  #isOver(held: Held, timeMs: number): boolean {
    return held.memoryMs > held.markMs && timeMs - held.memoryMs <= memorySlots * this.shape.stepMs;
  }

  /** All that the verdicts before `timeMs` leave it. */
  beforeAt(held: Held, timeMs: number): Before {
    return {
      ongoing: this.ongoingAt(held, timeMs),
      endedMs: held.ongoing === null || this.#isOver(held, timeMs) ? held.markMs : Number.NEGATIVE_INFINITY,
      memory: timeMs - held.memoryMs > memorySlots * this.shape.stepMs ? {} : held.memory,
    };
  }

  /** Whether the series had a value around the slot today or at its time lately, or has an incident that goes on. */
  isKnown(held: Held, place: Place): boolean {
    if (this.ongoingAt(held, place.timeMs) !== null) return true;
    for (const cell of [place.now, ...place.days.slice(0, this.shape.missedDays)]) {
      for (let back = 0; cell >= 0 && back < skipSlotsMax; back += 1) {
        if (!Number.isNaN(held.cells.values[cell - back])) return true;
      }
    }
    return false;
  }

  /** Stretches of days before that `before` does not hold; all of them without it. */
  lanesToRead(before: Block | null): TimeWindow[] {
    const { stepMs } = this.shape;
    return this.lanes.slice(1).flatMap((lane) => {
      const toMs = lane.fromMs + lane.slots * stepMs;
      const other = before?.lanes.find(({ day }) => day === lane.day);
      const shared = other !== undefined && (lane.fromMs - other.fromMs) % stepMs === 0 && lane.fromMs >= other.fromMs;
      const fromMs = shared ? Math.max(lane.fromMs, other.fromMs + other.slots * stepMs) : lane.fromMs;
      return fromMs < toMs ? [{ fromMs: fromMs - lane.earlyMs, toMs }] : [];
    });
  }

  /**
   * Takes over what `before` holds, where {@link lanesToRead} leaves it out; `before` is spent. Where both are laid out
   * alike the same arrays go on: every few slots as much memory would be made anew.
   */
  takeOver(before: Block): void {
    before.isSpent = true;
    const stretches = this.#stretchesOf(before);
    const alike = stretches.every(({ lane, other }) => lane.offset === other?.offset && lane.slots === other.slots);
    for (const [key, old] of before.held) {
      const accepted = old.accepted.filter(({ atMs }) => atMs > this.shape.fromMs - acceptedMsMax);
      this.held.set(key, {
        ...old,
        cells: this.#carried(old.cells, before.#none, stretches, alike),
        accepted,
        earlier: [],
      });
    }
    before.held.clear();
  }

  /** Where in `before` what a lane holds begins, and how much of it there is. */
  #stretchesOf(before: Block): Stretch[] {
    return this.lanes.map((lane) => {
      const other = before.lanes.find(({ day }) => day === lane.day);
      const skip = other === undefined ? Number.NaN : (lane.fromMs - other.fromMs) / this.shape.stepMs;
      const known = other !== undefined && Number.isInteger(skip) && skip >= 0 && skip < other.slots;
      if (!known) return { lane, other, from: 0, count: 0 };
      return { lane, other, from: other.offset + skip, count: Math.min(other.slots - skip, lane.slots) };
    });
  }

  /** @param alike the arrays of `old` may be used */
  #carried(old: Cells, oldNone: Cells, stretches: readonly Stretch[], alike: boolean): Cells {
    const cells: Cells = { ...this.#none, values: carried(old.values, this.#none.values, stretches, alike) };
    if (old.denominators !== null) {
      cells.denominators = carried(old.denominators, this.#none.values, stretches, alike);
    }
    if (old.inIncident !== oldNone.inIncident) {
      const inIncident = carried(old.inIncident, this.#none.inIncident, stretches, alike);
      if (inIncident.includes(1)) cells.inIncident = inIncident;
    }
    if (old.least !== oldNone.least) {
      const today = stretches.slice(0, 1);
      cells.least = carried(old.least, this.#none.least, today, alike);
      cells.most = carried(old.most, this.#none.most, today, alike);
    }
    return cells;
  }

  /** Forgets series of which nothing is held any more. */
  tidy(): void {
    for (const [key, held] of this.held) {
      const { fromMs, stepMs } = this.shape;
      const left =
        this.ongoingAt(held, fromMs) !== null ||
        fromMs - held.memoryMs <= memorySlots * stepMs ||
        held.accepted.length > 0 ||
        held.parts.holds(fromMs, this.#clock);
      if (!left && held.cells.values.every(Number.isNaN)) this.held.delete(key);
    }
  }
}

/** @param none as long as the result, and empty @param alike `from` itself may become the result */
function carried<T extends Float64Array | Uint8Array>(
  from: T,
  none: T,
  stretches: readonly Stretch[],
  alike: boolean,
): T {
  const to = alike ? from : (none.slice() as T);
  for (const { lane, from: start, count } of stretches) {
    if (alike) to.copyWithin(lane.offset, start, start + count);
    else to.set(from.subarray(start, start + count), lane.offset);
    to.fill(none[0] as number, lane.offset + count, lane.offset + lane.slots);
  }
  return to;
}
