import type { Calendar, FieldJudging, Sampler } from "../core/definitions.ts";
import { type Matcher, matchersOf, tagsKey } from "../core/labels.ts";
import { counter, gauge } from "../core/measure.ts";
import type { Point, Tags, TimeWindow } from "../core/model.ts";
import type { Measure, Series, TimeSeriesStore } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { acceptedMsMax } from "./accepted.ts";
import { Block, blockSlotsMax, type Held } from "./block.ts";
import { latchMsMax, memorySlots, referenceDays, windowSlots } from "./cells.ts";
import { ZoneDays } from "./days.ts";
import { endedPart, partMs, partsMs } from "./parts.ts";
import { acceptedIn, leftFields, leftIn, partIn, verdictMeasurement } from "./stored.ts";
import { merged, pieces, until } from "./windows.ts";

/** Slots that a block serves if its series are few. */
const blockSlots = 60;
/** Values that moving on to the next block may read, if its series are many; more where each read is a journey. */
const moveValues = { near: 200_000, far: 2_000_000 };
/** Values that one call to the store may return. */
const readValues = 500_000;
/** A series is missed for at most so many days, however long its baseline is. */
const missedDaysMax = 14;
/**
 * Cells held by all blocks together: 13 bytes each of a count, 18 of a gauge, 21 of a ratio, one more where there was an
 * incident. 50,000 series of counts at 1 minute are 68 million or 0.9 GB, in a process of 1.8 GB (ten samplers) to 2.6 GB
 * (one); where the store is far away, 88 million or, reckoned, 1.1 GB.
 */
const cellsUsualMax = 100_000_000;

/** Share of a process's memory that history may take, and bytes of a cell with what goes with it. */
const memoryShare = 0.4;
const cellBytes = 14;

/** How many cells fit a machine, or a container, of so much memory: 100 million at most. */
export function historyCellsIn(bytes: number): number {
  return Math.min(cellsUsualMax, Math.floor((memoryShare * bytes) / cellBytes));
}

/** What a slot is judged by, and under which name it is remembered. */
export type Subject = { readonly sampler: Sampler; readonly field: string; readonly judging: FieldJudging };

/** A block to judge by; or, in words that follow "not judged:", why there is no history now. */
export type Basis =
  | { readonly block: Block; readonly kept: boolean }
  | { readonly block: null; readonly without: string };

/** A block that is being filled, and of about how many series. */
type Filling = {
  readonly subject: Subject;
  readonly block: Block;
  readonly series: number;
  /** Given: one series is only looked at, so what a copy knows that is behind will do, and is noted. */
  readonly look?: { readonly tags: Tags; stale: boolean } | undefined;
  /** Given: what is read is not put in yet, but to be once all reads are done. */
  readonly later?: (() => void)[];
};

type Reads = { readonly measurement: string; readonly fields: readonly string[]; readonly tags: readonly Matcher[] };

/** Only a copy that is behind could be asked. Never leaves this file. */
class Behind extends Error {}

/**
 * History in blocks: what a few neighbouring slots need of all series is read at once, then the slots are added as
 * they are judged. Everything in it can be read from the store again, and judging comes to the same whichever way it
 * came. Another process that judges an old slot again is noticed after {@link History.forget} or a restart.
 */
export class History {
  readonly #store: TimeSeriesStore;
  readonly #calendarOf: (sampler: Sampler) => Calendar | null;
  /** Least recently used first. */
  readonly #blocks = new Map<string, Block>();
  readonly #cellsMax: number;
  #reads = 0;
  #evictions = 0;

  /**
   * @param calendarOf the calendar that a sampler names; null = none
   * @param cellsMax default 100 million
   */
  constructor(
    store: TimeSeriesStore,
    calendarOf: (sampler: Sampler) => Calendar | null,
    cellsMax: number = cellsUsualMax,
  ) {
    this.#store = store;
    this.#calendarOf = calendarOf;
    this.#cellsMax = cellsMax;
  }

  /**
   * A block that can judge `timeMs`. `kept` blocks go on to the next slots; a slot that is not newer than the ones
   * judged already gets a block of its own, which knows nothing of what came after it. Where something must be read and
   * cannot be, what is held stays as it is, for slots that need no more.
   */
  async at(subject: Subject, timeMs: number): Promise<Basis> {
    try {
      return await this.#at(subject, timeMs);
    } catch (thrown) {
      if (thrown instanceof Behind) {
        return { block: null, without: "its history could only be read from a copy that is behind" };
      }
      if (!(thrown instanceof Problem && thrown.retryable)) throw thrown;
      return { block: null, without: `its history could not be read (${thrown.message})` };
    }
  }

  async #at(subject: Subject, timeMs: number): Promise<{ block: Block; kept: boolean }> {
    const key = keyOf(subject);
    const known = this.#blocks.get(key) ?? null;
    if (known !== null && timeMs <= known.lastMs) {
      const filling = { subject, block: this.#make(subject, timeMs, 1), series: known.held.size };
      await this.#fill(filling, null);
      return { block: filling.block, kept: false };
    }
    const usable = known !== null && fits(known, subject, this.#calendarOf(subject.sampler), timeMs) ? known : null;
    const block = usable?.covers(timeMs) === true ? usable : await this.#next(subject, timeMs, usable);
    // Before anything else may fail: the block before is spent.
    this.#keep(key, block);
    await this.#catchUp({ subject, block, series: block.held.size }, timeMs);
    return { block, kept: true };
  }

  /** A block for one slot of one series, kept nowhere; `stale` where some of it may differ from what is stored. */
  async look(subject: Subject, timeMs: number, tags: Tags): Promise<{ block: Block; stale: boolean }> {
    const look = { tags, stale: false };
    const block = this.#make(subject, timeMs, 1);
    await this.#fill({ subject, block, series: 1, look }, null);
    return { block, stale: look.stale };
  }

  /** What is held, if anything is, knows the values of a slot that could not be judged. */
  note(subject: Subject, points: readonly Point[]): void {
    const block = this.#blocks.get(keyOf(subject));
    if (block !== undefined) putPoints(block, subject, points);
  }

  /** Forgets what is held for a sampler: after its definition changed, or where verdicts could not be stored. */
  forget(sampler: string, field?: string): void {
    const beginning = field === undefined ? `${sampler}\n` : `${sampler}\n${field}\n`;
    for (const key of this.#blocks.keys()) if (key.startsWith(beginning)) this.#blocks.delete(key);
  }

  async #next(subject: Subject, timeMs: number, before: Block | null): Promise<Block> {
    const series = before?.held.size ?? (await this.#seriesCount(subject));
    const values = this.#store.farAway === true ? moveValues.far : moveValues.near;
    const many = Math.floor(values / Math.max(1, series * daysOf(subject.judging)));
    const slots = Math.max(1, Math.min(blockSlots, many, blockSlotsMax(subject.sampler.schedule.stepMs)));
    const block = this.#make(subject, timeMs, slots);
    // After a long pause there is nothing to take over, and much to catch up with.
    const near = before !== null && before.shape.fromMs < timeMs && timeMs - before.lastMs <= latchMsMax;
    await this.#fill({ subject, block, series }, near ? before : null);
    return block;
  }

  #make(subject: Subject, fromMs: number, slots: number): Block {
    const { sampler, judging } = subject;
    return new Block(
      {
        stepMs: sampler.schedule.stepMs,
        fromMs,
        slots,
        days: daysOf(judging),
        points: judging.forecast.points,
        missedDays: Math.min(missedDaysMax, judging.baseline.days),
        calendar: this.#calendarOf(sampler),
        zone: sampler.zone,
      },
      new ZoneDays(sampler.zone),
    );
  }

  async #seriesCount({ sampler, field }: Subject): Promise<number> {
    const known = await this.#store.list({ measurement: sampler.point.measurement });
    return known.filter((series) => series.field === field).length;
  }

  async #fill(filling: Filling, before: Block | null): Promise<void> {
    const { block } = filling;
    const { fromMs, stepMs } = block.shape;
    const lanes = block.lanesToRead(before);
    // An onset may be noticed late: marks after a lane's end still cover slots in it.
    const marks = lanes.map((lane) => ({ ...lane, toMs: lane.toMs + (windowSlots(stepMs) - 1) * stepMs }));
    const own = block.window;
    if (before === null) {
      const tail = { fromMs: block.lanes[0]?.fromMs as number, toMs: fromMs };
      await this.#readValues(filling, [...until(fromMs, [...lanes, tail]), own]);
      const first = { fromMs: Math.min(fromMs - latchMsMax, tail.fromMs), toMs: fromMs };
      await this.#readMarks(filling, [...until(fromMs, [...marks, first]), own]);
      await this.#readMemory(filling, { fromMs: Number.NEGATIVE_INFINITY, toMs: fromMs });
      await this.#readParts(filling, { fromMs: fromMs - partsMs, toMs: fromMs });
      await this.#readAccepted(filling, { fromMs: fromMs - acceptedMsMax, toMs: fromMs });
      return;
    }
    // Nothing is taken over until all is read: where a read fails, what is held stays as it is.
    const later: (() => void)[] = [];
    await this.#readValues({ ...filling, later }, [...until(fromMs, lanes), own]);
    await this.#readMarks({ ...filling, later }, [...until(fromMs, marks), own]);
    if (before.isSpent) {
      // Another look at the same slots was faster.
      await this.#fill(filling, null);
      return;
    }
    block.takeOver(before);
    block.lastMs = before.lastMs;
    for (const put of later) put();
    for (const held of block.held.values()) for (const accepted of held.accepted) block.accept(held, accepted);
    block.tidy();
  }

  /** Slots between the newest one known and `timeMs`: somebody else may have judged them. */
  async #catchUp(filling: Filling, timeMs: number): Promise<void> {
    const { block } = filling;
    const { stepMs } = block.shape;
    const gap = { fromMs: block.lastMs + stepMs, toMs: timeMs };
    if (gap.fromMs >= gap.toMs) return;
    await this.#readValues(filling, [gap]);
    await this.#readMarks(filling, [gap], timeMs);
    await this.#readMemory(filling, gap);
    await this.#readParts(filling, gap);
    await this.#readAccepted(filling, gap);
    block.lastMs = timeMs - stepMs;
  }

  async #readValues(filling: Filling, windows: readonly TimeWindow[]): Promise<void> {
    const { block, look } = filling;
    const { sampler, field, judging } = filling.subject;
    const fields = judging.denominator === undefined ? [field] : [field, judging.denominator];
    const query = { measurement: sampler.point.measurement, fields, tags: matchersOf(look?.tags ?? {}) };
    const count = Math.max(filling.series, block.held.size);
    await this.#readEach({ ...filling, series: count }, query, windows, (series) => {
      const held = heldOf(block, series.tags, look?.tags);
      if (held === null) return;
      for (const [index, timeMs] of series.timesMs.entries()) {
        if (series.field === field) block.put(held, timeMs, series.values[index]);
        else block.putDenominator(held, timeMs, series.values[index]);
      }
    });
  }

  async #readMarks(
    filling: Filling,
    windows: readonly TimeWindow[],
    untilMs = filling.block.shape.fromMs,
  ): Promise<void> {
    const { block, look } = filling;
    const query = ofVerdicts(filling, ["since", "loss", "direction"]);
    const far = this.#store.farAway === true && look === undefined;
    const count = far ? await this.#markedCount(filling.subject, windows) : Math.max(filling.series, block.held.size);
    await this.#readFields({ ...filling, series: count }, query, windows, (held, timeMs, fields) => {
      this.#putMark(block, held, timeMs, fields, untilMs);
    });
  }

  /** What verdicts expected of the newest slots, as far as sums reach, and what the newest of them remember. */
  async #readMemory(filling: Filling, { fromMs, toMs }: TimeWindow): Promise<void> {
    const { block } = filling;
    const { stepMs } = block.shape;
    const query = ofVerdicts(filling, leftFields);
    const slots = Math.max(windowSlots(stepMs), memorySlots + 1);
    const windows = [{ fromMs: Math.max(fromMs, toMs - slots * stepMs), toMs }];
    await this.#readFields(filling, query, windows, (held, timeMs, fields) => {
      block.remember(held, timeMs, leftIn(fields));
    });
  }

  /** What verdicts say, each with all its fields; those of all series at once would need more memory than all history. */
  async #readFields(
    filling: Filling,
    query: Reads,
    windows: readonly TimeWindow[],
    use: (held: Held, timeMs: number, fields: Record<string, unknown>) => void,
  ): Promise<void> {
    await this.#read(filling, query, windows, (piece) => {
      const found = new Map<Held, Map<number, Record<string, unknown>>>();
      for (const series of piece) collect(found, filling.block, series, filling.look?.tags);
      for (const [held, times] of found) for (const [timeMs, fields] of times) use(held, timeMs, fields);
    });
  }

  /** What came in the parts of the days before. */
  async #readParts(filling: Filling, window: TimeWindow): Promise<void> {
    const { stepMs } = filling.block.shape;
    if (stepMs > partMs) return;
    const clock = new ZoneDays(filling.subject.sampler.zone);
    await this.#readRare(filling, window, "part", stepMs / partMs, (held, timeMs, value) => {
      const index = endedPart(timeMs, stepMs, clock);
      if (index !== null) held.parts.put({ index, sum: partIn(value) });
    });
  }

  /** What became the new normal; after marks, whose slots it takes out of what is left out. */
  async #readAccepted(filling: Filling, window: TimeWindow): Promise<void> {
    // It is so rare that a thousandth of all slots is many.
    await this.#readRare(filling, window, "accepted", 1 / 1_000, (held, timeMs, value) => {
      const accepted = acceptedIn(value, timeMs);
      if (accepted !== null) filling.block.accept(held, accepted);
    });
  }

  /** A field of verdicts that only a `share` of all slots has. */
  async #readRare(
    filling: Filling,
    window: TimeWindow,
    name: string,
    share: number,
    use: (held: Held, timeMs: number, value: unknown) => void,
  ): Promise<void> {
    const { block, look } = filling;
    const query = ofVerdicts(filling, [name]);
    const series = Math.max(filling.series, block.held.size) * share;
    await this.#readEach({ ...filling, series }, query, [window], (found) => {
      const { field: _, ...own } = found.tags;
      const held = heldOf(block, own, look?.tags);
      if (held === null) return;
      for (const [at, timeMs] of found.timesMs.entries()) use(held, timeMs, found.values[at]);
    });
  }

  /** Marks are rare, so that few reads will do for them. Only the size of reads depends on what is known here. */
  async #markedCount({ sampler, field }: Subject, windows: readonly TimeWindow[]): Promise<number> {
    const measurement = verdictMeasurement(sampler.point.measurement);
    const known = await this.#store.list({ measurement, sinceMs: Math.min(...windows.map(({ fromMs }) => fromMs)) });
    return known.filter((one) => one.field === "since" && one.tags.field === field).length;
  }

  /** `untilMs`: start of the first slot yet to be judged. */
  #putMark(block: Block, held: Held, timeMs: number, fields: Record<string, unknown>, untilMs: number): void {
    const { since, loss, direction } = fields;
    if (typeof since !== "number") return;
    // What an earlier run said of slots yet to be judged has no part in judging them. One that said that an incident
    // is over says so again.
    if (timeMs >= untilMs) {
      held.earlier = [...held.earlier, timeMs];
      return;
    }
    const ongoing =
      since <= 0
        ? null
        : {
            sinceMs: since,
            loss: typeof loss === "number" ? loss : 0,
            direction: direction === "up" ? ("up" as const) : ("down" as const),
          };
    block.mark(held, { timeMs, ongoing });
  }

  /** As {@link History.#read}, a series at a time. */
  async #readEach(
    filling: Filling,
    query: Reads,
    windows: readonly TimeWindow[],
    use: (series: Series) => void,
  ): Promise<void> {
    await this.#read(filling, query, windows, (piece) => piece.forEach(use));
  }

  /** Reads windows in pieces of about {@link readValues} values at most, ascending. @throws Behind */
  async #read(
    { block, series: count, look, later }: Filling,
    query: Reads,
    windows: readonly TimeWindow[],
    use: (piece: readonly Series[]) => void,
  ): Promise<void> {
    const perSlot = Math.max(Number.MIN_VALUE, count) * query.fields.length;
    const pieceMs = Math.max(1, Math.floor(readValues / perSlot)) * block.shape.stepMs;
    for (const piece of pieces(merged(windows), pieceMs)) {
      this.#reads += 1;
      const { series, stale } = await this.#store.read({ ...query, windows: piece });
      if (stale && look === undefined) throw new Behind();
      if (stale && look !== undefined) look.stale = true;
      if (later === undefined) use(series);
      else later.push(() => use(series));
    }
  }

  #keep(key: string, block: Block): void {
    this.#blocks.delete(key);
    this.#blocks.set(key, block);
    const size = block.held.size * block.cellsEach;
    if (size > this.#cellsMax) {
      this.#blocks.delete(key);
      throw new Problem(`judging needs ${size} values at hand, at most ${this.#cellsMax} are allowed`, {
        where: key.split("\n").slice(0, 2).join("."),
        fix: "fewer series in one sampler, or fewer baseline days",
      });
    }
    for (const [oldest] of this.#blocks) {
      if (this.cells() <= this.#cellsMax) break;
      this.#blocks.delete(oldest);
      this.#evictions += 1;
    }
  }

  cells(): number {
    let cells = 0;
    for (const block of this.#blocks.values()) cells += block.held.size * block.cellsEach;
    return cells;
  }

  measures(): Measure[] {
    return [
      gauge("judge_history_cells", "Slots of history held in memory.", this.cells()),
      gauge("judge_history_cells_limit", "Slots of history that may be held.", this.#cellsMax),
      gauge("judge_history_blocks", "Measurements and fields whose history is held.", this.#blocks.size),
      counter("judge_history_reads", "Reads of history from the store.", this.#reads),
      counter("judge_history_evictions", "Histories given up for lack of room.", this.#evictions),
    ];
  }
}

/** Asks for fields of the verdicts that a block rests on. */
function ofVerdicts({ subject: { sampler, field }, look }: Filling, fields: readonly string[]): Reads {
  const measurement = verdictMeasurement(sampler.point.measurement);
  return { measurement, fields, tags: matchersOf({ ...look?.tags, field }) };
}

/** Fields of verdicts by series and time. */
function collect(
  found: Map<Held, Map<number, Record<string, unknown>>>,
  block: Block,
  series: Series,
  only: Tags | undefined,
): void {
  const { field: _, ...own } = series.tags;
  const held = heldOf(block, own, only);
  if (held === null) return;
  const times = found.get(held) ?? new Map<number, Record<string, unknown>>();
  found.set(held, times);
  for (const [index, timeMs] of series.timesMs.entries()) {
    const fields = times.get(timeMs) ?? {};
    fields[series.field] = series.values[index];
    times.set(timeMs, fields);
  }
}

/** Evidence looks back over so many days, however many the baseline that people see does. */
function daysOf({ baseline }: FieldJudging): number {
  return Math.max(referenceDays, baseline.days);
}

/** The measurement is in it, for a slot that is being judged while its definition changes keeps its block afterwards. */
function keyOf({ sampler, field }: Subject): string {
  return `${sampler.name}\n${field}\n${sampler.point.measurement}`;
}

/** A cron's slots leave the block's grid where the clock is changed. */
function fits({ shape }: Block, { sampler, judging }: Subject, calendar: Calendar | null, timeMs: number): boolean {
  const { stepMs } = sampler.schedule;
  const same =
    shape.days === daysOf(judging) &&
    shape.missedDays === Math.min(missedDaysMax, judging.baseline.days) &&
    shape.points === judging.forecast.points &&
    shape.calendar === calendar &&
    shape.zone === sampler.zone;
  return same && shape.stepMs === stepMs && (timeMs - shape.fromMs) % stepMs === 0;
}

/** Puts in the values of one slot, as they are at hand. @returns the series that have one */
export function putPoints(
  block: Block,
  { field, judging: { denominator } }: Pick<Subject, "field" | "judging">,
  points: readonly Point[],
): ReadonlySet<Held> {
  const present = new Set<Held>();
  for (const { tags, fields, timeMs } of points) {
    if (fields[field] === undefined) continue;
    const held = block.series(tagsKey(tags), tags);
    block.put(held, timeMs, fields[field]);
    if (denominator !== undefined) block.putDenominator(held, timeMs, fields[denominator]);
    present.add(held);
  }
  return present;
}

/** Null where one series is asked for and this is another: matchers let series with more tags pass. */
function heldOf(block: Block, tags: Tags, only: Tags | undefined): Held | null {
  const key = tagsKey(tags);
  return only === undefined || key === tagsKey(only) ? block.series(key, tags) : null;
}
