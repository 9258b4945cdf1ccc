/**
 * Between the two places where series may be: the file of one process, and several InfluxDBs.
 *
 *   series.db -> points as they are ------------------> Mirror.write ---------> spool -> every InfluxDB
 *                too old for that: sums and means ----> Mirror.appendCoarser -> spool -> every InfluxDB
 *   a clean InfluxDB -> points as they are -----------> series.db                                (back)
 *
 * It goes from the oldest point to the newest, an hour or more at a time. After each of them it is on the disk how far
 * it is: killed, it goes on there. Points that are written twice change nothing.
 */
import type { FieldValue, Point, Tags, TimeWindow } from "./core/model.ts";
import type { Clock, KnownSeries, PointAccount, Reading, Series, TimeSeriesStore } from "./core/ports.ts";
import { Problem } from "./core/problem.ts";
import { dayMs, floorToStep, hourMs, minuteMs, stopwatch } from "./core/time.ts";
import { countBoth } from "./import-check.ts";
import {
  beginProgress,
  type ImportCounts,
  type ImportProgress,
  keepProgress,
  noCounts,
  readProgress,
} from "./import-progress.ts";
import { bucketsOf } from "./store/batch.ts";
import { refusal, seriesKey } from "./store/line.ts";
import type { Mirror } from "./store/mirror.ts";
import { RollUp } from "./store/rollup.ts";

/** What progress is aligned to: the longest piece that points are summed in. */
const spanMsMin = hourMs;
/** An InfluxDB is asked for a day at most, so that its answer comes in time; a file for as much as there is. */
const spanMsMax = { far: dayMs, near: 2 ** 43 };
/** Values of one span: with more, the next one is shorter; with less than a quarter, longer. */
const spanValues = 100_000;
/** Points that are handed over at once. */
const writePoints = 20_000;
/** Points that may wait in the spool for the copy that is furthest behind. */
const pendingPointsMax = 500_000;
const lookMs = 200;
/** How long a copy may take nothing before it is left at that for now. */
const patienceMs = 2 * minuteMs;
/** Of a copy that answers late, less is asked; of one that does not answer so little, nothing. */
const askedMsMin = minuteMs;
/** What a server is about to forget is not sent to it. */
const marginMs = hourMs;
/** Reasons of refusal that are told apart; those beyond are counted together. */
const reasonsMax = 100;
/** No point is earlier, epoch ms. */
const beginningMs = -9_223_372_036_854;

export type ImportOptions = {
  /** True: from the InfluxDBs into the file. */
  readonly back: boolean;
  /** Whole hours are taken. Absent: from the oldest point. */
  readonly fromMs?: number | undefined;
  /** Absent: to the newest point. */
  readonly toMs?: number | undefined;
  readonly keepRawMs: number | null;
  readonly keepMs: number;
  /** Where it is written down how far it is. */
  readonly progressFile: string;
  /** How long a copy may take nothing, in real time, before it is left at that for now. Default two minutes. */
  readonly patienceMs?: number | undefined;
};

export type ImportDeps = {
  readonly file: TimeSeriesStore;
  readonly mirror: Mirror;
  readonly clock: Clock;
  /** Waits in real time. */
  readonly timer: Clock;
  /** @param share 0 to 1 */
  readonly onProgress: (share: number) => void;
};

/** What became of one measurement's values, and how many there are now, as they were sampled, on either side. */
type Imported = ImportCounts & {
  readonly measurement: string;
  readonly file: number;
  readonly copies: Readonly<Record<string, number>>;
};

export type ImportResult = {
  readonly back: boolean;
  /** Points from here on were taken as they are; null: all. Earlier ones as sums and means. */
  readonly rawFromMs: number | null;
  /** True: all of it had been imported before, and nothing was written. */
  readonly before: boolean;
  readonly measurements: readonly Imported[];
  /** Values that cannot be stored there, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** Stretches of time of which only a copy that may lack points could be asked. */
  readonly staleSpans: number;
};

/** @throws Problem, retryable, where a copy takes nothing for long, or none answers: called again, it goes on there */
export function importSeries(options: ImportOptions, deps: ImportDeps, signal: AbortSignal): Promise<ImportResult> {
  return new Import(options, deps, signal).run();
}

type Plan = TimeWindow & { readonly name: string; readonly fields: ReadonlyMap<string, readonly string[]> };
type Span = { values: number; stale: boolean; counts: Record<string, ImportCounts>; refused: Record<string, number> };

/** More than can be read at once. */
class TooMuch extends Error {}

class Import {
  readonly #options: ImportOptions;
  readonly #deps: ImportDeps;
  readonly #signal: AbortSignal;
  readonly #source: TimeSeriesStore;
  readonly #target: TimeSeriesStore;
  /** Points before it are summed up, and before the other one left where they are. */
  readonly #rawFromMs: number;
  readonly #keptFromMs: number;

  constructor(options: ImportOptions, deps: ImportDeps, signal: AbortSignal) {
    const { back, keepRawMs, keepMs } = options;
    const { file, mirror, clock } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#signal = signal;
    this.#source = back ? mirror : file;
    this.#target = back ? file : mirror;
    const keptSince = (ms: number): number => floorToStep(clock.nowMs() - ms + marginMs, spanMsMin) + spanMsMin;
    this.#rawFromMs = back || keepRawMs === null ? beginningMs : keptSince(keepRawMs);
    this.#keptFromMs = back || keepRawMs === null ? beginningMs : keptSince(keepMs);
  }

  async run(): Promise<ImportResult> {
    const { back, progressFile } = this.#options;
    const { mirror, onProgress } = this.#deps;
    // Copies in doubt are compared first. Where one of them does not answer, what is read says whether it is stale.
    if (back) await mirror.tendNow(this.#signal).catch(() => {});
    this.#signal.throwIfAborted();
    const plan = planOf(this.#options, this.#deps.clock, await this.#source.list({}));
    const earlier = readProgress(progressFile, plan.name);
    const progress = earlier ?? beginProgress(plan.name);
    const before = progress.done;
    if (!before) await this.#walk(plan, progress);
    onProgress(1);
    await this.#waitFor((points) => points === 0);
    return {
      back,
      before,
      rawFromMs: this.#rawFromMs === beginningMs ? null : this.#rawFromMs,
      measurements: await this.#checked(plan, progress),
      refused: progress.refused,
      staleSpans: progress.staleSpans,
    };
  }

  /** From what the servers still keep as it was sampled. */
  async #checked(plan: Plan, { counts, firstMs }: ImportProgress): Promise<Imported[]> {
    const window = { fromMs: Math.max(firstMs ?? plan.toMs, this.#rawFromMs), toMs: plan.toMs };
    const checked: Imported[] = [];
    for (const [measurement, fields] of plan.fields) {
      const found = await countBoth(this.#deps, { measurement, fields, window }, this.#signal);
      checked.push({ measurement, ...(counts[measurement] ?? noCounts()), ...found });
    }
    return checked;
  }

  /** Span by span; an hour that holds too much is read in parts. */
  async #walk(plan: Plan, progress: ImportProgress): Promise<void> {
    const { onProgress } = this.#deps;
    const longestMs = this.#options.back ? spanMsMax.far : spanMsMax.near;
    let spanMs = spanMsMin;
    for (let fromMs = progress.reachedMs ?? plan.fromMs; fromMs < plan.toMs; ) {
      this.#signal.throwIfAborted();
      const window = { fromMs, toMs: this.#endOf(fromMs, spanMs, plan.toMs) };
      let span: Span;
      try {
        span = await this.#take(window, plan);
      } catch (thrown) {
        if (!(thrown instanceof TooMuch)) throw thrown;
        spanMs = shorter(window.toMs - window.fromMs);
        continue;
      }
      if (span.values > 0) progress.firstMs ??= fromMs;
      note(progress, span);
      progress.reachedMs = window.toMs;
      progress.done = window.toMs === plan.toMs;
      keepProgress(this.#options.progressFile, progress);
      const { firstMs } = progress;
      if (firstMs !== null) onProgress((window.toMs - firstMs) / Math.max(1, plan.toMs - firstMs));
      if (span.values > spanValues) spanMs = shorter(spanMs);
      else if (span.values < spanValues / 4) spanMs = Math.min(longestMs, spanMs * 2);
      fromMs = window.toMs;
    }
  }

  /** Ends of spans are whole hours; none lies on both sides of a bound. */
  #endOf(fromMs: number, spanMs: number, lastMs: number): number {
    const ends = [floorToStep(fromMs, spanMsMin) + spanMs, lastMs, this.#rawFromMs, this.#keptFromMs];
    return Math.min(...ends.filter((endMs) => endMs > fromMs));
  }

  async #take(window: TimeWindow, { fields }: Plan): Promise<Span> {
    const span: Span = { values: 0, stale: false, counts: {}, refused: {} };
    const tooOld = window.toMs <= this.#keptFromMs;
    const rollUp = window.toMs <= this.#rawFromMs ? new RollUp(bucketsOf(this.#options)) : null;
    for (const [measurement, names] of fields) {
      const counts = noCounts();
      span.counts[measurement] = counts;
      for await (const { series, stale } of this.#readings(measurement, names, window)) {
        const values = series.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
        counts.read += values;
        span.stale ||= stale;
        if (tooOld) counts.tooOld += values;
        else if (rollUp === null) await this.#write(pointsOf(series), counts, span);
        else this.#sum(series, rollUp, counts, span);
      }
      span.values += counts.read;
    }
    if (rollUp !== null && !tooOld) await this.#writeCoarser(rollUp, span);
    return span;
  }

  #sum(all: readonly Series[], rollUp: RollUp, counts: ImportCounts, span: Span): void {
    for (const series of all) {
      const { measurement, tags, timesMs, field } = series;
      const reason = refusal({ measurement, tags, timeMs: 0, fields: { [`mean_${field}`]: 0 } });
      const summed = reason === null ? rollUp.add([series]) : 0;
      counts.summed += summed;
      if (reason === null) counts.unsummed += timesMs.length - summed;
      else {
        counts.refused += timesMs.length;
        refuse(span.refused, `${measurement}: ${reason}`, timesMs.length);
      }
    }
  }

  /** What there is in a window: at once, or where that is too much of an hour, part by part. */
  async *#readings(measurement: string, fields: readonly string[], window: TimeWindow): AsyncGenerator<Reading> {
    const lengthMs = window.toMs - window.fromMs;
    let reading: Reading;
    try {
      reading = await this.#source.read({ measurement, fields, windows: [window] });
    } catch (thrown) {
      this.#signal.throwIfAborted();
      if (!(thrown instanceof Problem)) throw thrown;
      // A file says by a fault that is for good that it is asked for too much; a server may also answer too late.
      if (thrown.retryable && (!this.#options.back || lengthMs <= askedMsMin)) throw thrown;
      if (lengthMs > spanMsMin) throw new TooMuch(thrown.message, { cause: thrown });
      if (lengthMs <= 1) throw thrown;
      const middleMs = window.fromMs + Math.floor(lengthMs / 2);
      yield* this.#readings(measurement, fields, { fromMs: window.fromMs, toMs: middleMs });
      yield* this.#readings(measurement, fields, { fromMs: middleMs, toMs: window.toMs });
      return;
    }
    yield reading;
  }

  async #write(points: readonly Point[], counts: ImportCounts, span: Span): Promise<void> {
    for (let start = 0; start < points.length; start += writePoints) {
      const piece = points.slice(start, start + writePoints);
      await this.#makeRoom();
      counts.raw += piece.reduce((sum, { fields }) => sum + Object.keys(fields).length, 0);
      const { rejected } = await this.#target.write(piece);
      if (rejected.length === 0) continue;
      // One field may be what is not taken: the others of the point are.
      const parts = rejected.flatMap(({ index }) => partsOf(piece[index] as Point));
      for (const rejection of (await this.#target.write(parts)).rejected) {
        counts.raw -= 1;
        counts.refused += 1;
        refuse(span.refused, `${(parts[rejection.index] as Point).measurement}: ${rejection.reason}`, 1);
      }
    }
  }

  async #writeCoarser(rollUp: RollUp, span: Span): Promise<void> {
    for (const [bucket, points] of rollUp.points()) {
      for (let start = 0; start < points.length; start += writePoints) {
        await this.#makeRoom();
        const piece = points.slice(start, start + writePoints);
        const { rejected } = await this.#deps.mirror.appendCoarser(bucket, piece);
        for (const { index, reason } of rejected) {
          refuse(span.refused, `${(piece[index] as Point).measurement} in ${bucket}: ${reason}`, 1);
        }
      }
    }
  }

  // ---- not faster than the servers --------------------------------------------------------------------------------

  #makeRoom(): Promise<void> {
    return this.#waitFor((points) => points === 0 || (points < pendingPointsMax && this.#deps.mirror.hasRoom));
  }

  /** Until the copy that is furthest behind lacks few enough points. @throws Problem if it takes nothing for long */
  async #waitFor(isEnough: (points: number) => boolean): Promise<void> {
    if (this.#options.back) return;
    let elapsedMs = stopwatch();
    for (let before = ""; ; await this.#deps.timer.sleep(lookMs, this.#signal)) {
      const pending = this.#pending();
      const [name, points] = Object.entries(pending).sort((a, b) => b[1] - a[1])[0] ?? ["", 0];
      if (isEnough(points)) return;
      const now = JSON.stringify(pending);
      if (now !== before) elapsedMs = stopwatch();
      before = now;
      if (elapsedMs() <= (this.#options.patienceMs ?? patienceMs)) continue;
      throw new Problem(`${name} takes no points, and lacks ${points}${this.#whyNot(name)}`, {
        where: "INFLUX_URLS",
        fix: "mend it and run this again: it goes on where it is, and what is in the spool is kept",
        retryable: true,
      });
    }
  }

  /** Points of all buckets that each copy lacks. */
  #pending(): Record<string, number> {
    const { replicas } = this.#deps.mirror.status();
    const sum = (accounts: readonly PointAccount[]) => accounts.reduce((points, { pending }) => points + pending, 0);
    return Object.fromEntries(replicas.map(({ name, accounts }) => [name, sum(accounts)]));
  }

  #whyNot(name: string): string {
    const replica = this.#deps.mirror.status().replicas.find((each) => each.name === name);
    const reason = replica?.lanes.find((lane) => lane.reason !== null)?.reason ?? replica?.reason;
    return reason == null ? "" : `: ${reason}`;
  }
}

/** What is to be read: all fields that are known, from the oldest point to the newest. */
function planOf(
  { back, fromMs, toMs, keepRawMs, keepMs }: ImportOptions,
  clock: Clock,
  known: readonly KnownSeries[],
): Plan {
  const fields = new Map<string, string[]>();
  for (const { measurement, field } of known) {
    const names = fields.get(measurement) ?? [];
    if (names.length === 0) fields.set(measurement, names);
    if (!names.includes(field)) names.push(field);
  }
  const lastMs = known.reduce((latest, each) => Math.max(latest, each.lastMs), beginningMs);
  // What is older is about to be forgotten by the servers themselves; a file is looked through from the first day on.
  const oldestMs = back ? floorToStep(clock.nowMs() - (keepRawMs ?? keepMs) - dayMs, dayMs) : beginningMs;
  return {
    name: JSON.stringify({ back, from: fromMs ?? null, to: toMs ?? null, lastMs, series: known.length }),
    fields: new Map([...fields].sort(([a], [b]) => (a < b ? -1 : 1))),
    // Whole hours, for a piece that is summed is summed as a whole.
    fromMs: floorToStep(Math.max(fromMs ?? oldestMs, oldestMs), spanMsMin),
    toMs: -floorToStep(-Math.min(toMs ?? Number.MAX_SAFE_INTEGER, lastMs + 1), spanMsMin),
  };
}

function shorter(spanMs: number): number {
  return Math.max(spanMsMin, floorToStep(spanMs / 4, spanMsMin));
}

/** Fields of one point together, in the order of time: so few windows are touched by each batch. */
function pointsOf(all: readonly Series[]): Point[] {
  type Growing = { measurement: string; tags: Tags; timeMs: number; fields: Record<string, FieldValue> };
  const found = new Map<string, Map<number, Growing>>();
  for (const { measurement, tags, field, timesMs, values } of all) {
    const key = seriesKey({ measurement, tags });
    const byTime = found.get(key) ?? new Map<number, Growing>();
    if (byTime.size === 0) found.set(key, byTime);
    for (const [index, timeMs] of timesMs.entries()) {
      const point = byTime.get(timeMs) ?? { measurement, tags, timeMs, fields: {} };
      point.fields[field] = values[index] as FieldValue;
      byTime.set(timeMs, point);
    }
  }
  return [...found.values()].flatMap((byTime) => [...byTime.values()]).sort((a, b) => a.timeMs - b.timeMs);
}

/** A point for each of its fields. */
function partsOf({ fields, ...point }: Point): Point[] {
  return Object.entries(fields).map(([name, value]) => ({ ...point, fields: { [name]: value } }));
}

function refuse(refused: Record<string, number>, what: string, values: number): void {
  const text = what in refused || Object.keys(refused).length < reasonsMax ? what : "for other reasons";
  refused[text] = (refused[text] ?? 0) + values;
}

function note(progress: ImportProgress, span: Span): void {
  for (const [measurement, counts] of Object.entries(span.counts)) {
    const all = progress.counts[measurement] ?? noCounts();
    progress.counts[measurement] = all;
    for (const name of Object.keys(counts) as (keyof ImportCounts)[]) all[name] += counts[name];
  }
  for (const [what, values] of Object.entries(span.refused)) refuse(progress.refused, what, values);
  if (span.stale) progress.staleSpans += 1;
}
