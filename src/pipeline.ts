/**
 * One slot from source to alert:
 *
 *   read the source -> points -> judge -> store points and verdicts -> relate and alert in one transaction
 *
 * A slot whose source did not answer is judged all the same: its series are unknown, and that is stored and told too.
 *
 * Each step may be done twice: points and verdicts of a slot overwrite themselves, and alerts ignore slots they have
 * seen. So a slot that was interrupted anywhere is simply run again.
 */
import type { Alerting } from "./alerting.ts";
import type { Sampler } from "./core/definitions.ts";
import { tagsKey } from "./core/labels.ts";
import type { DataState, Point, SlotRecord, Verdict } from "./core/model.ts";
import type { Clock, KnownSeries, Log, Measure, Measured, SourceCost, TimeSeriesStore } from "./core/ports.ts";
import { formatProblem, Problem } from "./core/problem.ts";
import { dayMs, formatTimeUtc } from "./core/time.ts";
import type { Judge } from "./judge/judge.ts";
import { verdictPoint } from "./judge/stored.ts";
import { toPoints } from "./sample/points.ts";
import type { SamplerRunner } from "./sample/sample.ts";

/** A series that had no point for so long, or with `empty: zero` nothing but zeros, is no longer expected to have one. */
const forgottenMs = 14 * dayMs;

/** What there is to say of a slot without a value, where more is known than that it has none. */
type Absence = { readonly state: "late" | "source-down"; readonly reason: string };

export type PipelineDeps = {
  readonly clock: Clock;
  readonly runner: Pick<SamplerRunner, "run">;
  readonly store: TimeSeriesStore;
  readonly judge: Judge;
  readonly alerting: Alerting;
  readonly log: Log;
};

export type SlotResult = {
  readonly rows: number;
  readonly points: number;
  readonly dataState: DataState;
  readonly cost: SourceCost;
};

type SlotTimes = Pick<SlotRecord, "startMs" | "stepMs">;
type DueSlot = SlotTimes & Pick<SlotRecord, "dueMs" | "catchUp"> & Partial<Pick<SlotRecord, "error">>;

export class Pipeline implements Measured {
  readonly #deps: PipelineDeps;
  #points = 0;
  #refused = 0;
  #beyondBounds = 0;
  #verdicts = 0;
  #amended = 0;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
  }

  /** @throws Problem if the source fails, or nothing of what it returned was valid */
  async run(sampler: Sampler, slot: DueSlot, signal: AbortSignal): Promise<SlotResult> {
    const { judge, alerting } = this.#deps;
    const { read, rows, cost } = await this.#sample(sampler, slot, signal);
    this.#report(sampler, read.problems);
    const absence = rows === 0 ? this.#lateness(sampler, slot) : null;
    const judged = read.failed ? [] : await judge.judgeSlot(sampler, slot.startMs, read.points);
    // It has failed before, so verdicts that say so may be stored.
    const revises = slot.error != null;
    const stored = await this.#store(sampler, slot.startMs, read.points, markAbsent(judged, absence), revises);
    if (read.failed) throw firstError(read.problems);
    if (!slot.catchUp) await alerting.tellSlot(sampler, stored.verdicts);
    const dataState = absence?.state ?? read.dataState;
    return { rows, points: stored.points, dataState, cost };
  }

  /**
   * Reads a slot once more that was run before. Where it has other points now they are stored and judged; nobody is told,
   * since newer slots have been told of since.
   * @returns null if it is as it was
   */
  async runAgain(sampler: Sampler, slot: SlotRecord, signal: AbortSignal): Promise<SlotResult | null> {
    const { read, rows, cost } = await this.#sample(sampler, slot, signal);
    if (read.failed) throw firstError(read.problems);
    const changed = await this.#changed(sampler, slot, read.points);
    const absence = rows === 0 ? this.#lateness(sampler, slot) : null;
    const dataState = absence?.state ?? read.dataState;
    if (!changed && dataState === slot.dataState) return null;
    const judged = await this.#deps.judge.judgeSlot(sampler, slot.startMs, read.points);
    const { points } = await this.#store(sampler, slot.startMs, read.points, markAbsent(judged, absence), true);
    if (changed) this.#amended += 1;
    return { rows, points, dataState, cost };
  }

  /**
   * A slot that was not sampled: what is known of its series is that nobody knows.
   * @param reason one sentence for people
   */
  async runWithout(sampler: Sampler, slot: SlotTimes & Pick<SlotRecord, "catchUp">, absence: Absence): Promise<void> {
    const { judge, alerting } = this.#deps;
    const judged = await judge.judgeSlot(sampler, slot.startMs, []);
    const { verdicts } = await this.#store(sampler, slot.startMs, [], markAbsent(judged, absence), false);
    if (!slot.catchUp) await alerting.tellSlot(sampler, verdicts);
  }

  async #sample(sampler: Sampler, { startMs, stepMs }: SlotTimes, signal: AbortSignal) {
    const { runner, store } = this.#deps;
    const { rows, cost } = await runner.run(sampler, { fromMs: startMs, toMs: startMs + stepMs }, signal);
    signal.throwIfAborted();
    const read = toPoints(sampler, startMs, rows, await knownSeries(store, sampler, startMs));
    this.#beyondBounds += read.beyondBounds;
    return { read, rows: rows.length, cost };
  }

  /** Why an empty slot may not be missing yet; null where it is. */
  #lateness(sampler: Sampler, slot: Pick<SlotRecord, "dueMs">): Absence | null {
    const untilMs = slot.dueMs + sampler.graceMs;
    if (sampler.graceMs === 0 || this.#deps.clock.nowMs() >= untilMs) return null;
    return { state: "late", reason: `no rows yet; they may come until ${formatTimeUtc(untilMs)}` };
  }

  /** Whether a slot's points are others than those stored. */
  async #changed(sampler: Sampler, { startMs }: SlotTimes, points: readonly Point[]): Promise<boolean> {
    const { measurement, fields } = sampler.point;
    const windows = [{ fromMs: startMs, toMs: startMs + 1 }];
    const { series } = await this.#deps.store.read({ measurement, fields, windows });
    const stored = new Map(series.map(({ tags, field, values }) => [`${field} ${tagsKey(tags)}`, values[0]]));
    const now = points.flatMap(({ tags, fields: cells }) =>
      Object.entries(cells).map(([field, value]) => [`${field} ${tagsKey(tags)}`, value] as const),
    );
    return now.some(([key, value]) => stored.get(key) !== value);
  }

  measures(): Measure[] {
    const counter = (name: string, help: string, value: number): Measure => {
      return { name: `bellwether_${name}_total`, help, kind: "counter", value };
    };
    return [
      counter("points_stored", "Points of samplers stored.", this.#points),
      counter("points_refused", "Rows and points that were not valid, each logged with its reason.", this.#refused),
      counter("rows_beyond_bounds", "Rows left out: too many values of a tag, or combinations.", this.#beyondBounds),
      counter("verdicts", "Points judged.", this.#verdicts),
      counter("slots_amended", "Slots whose points were others when they were read again.", this.#amended),
    ];
  }

  /** Points and their verdicts in one write, which is one wait for the disk. What is refused is told of nobody. */
  async #store(
    sampler: Sampler,
    slotMs: number,
    points: readonly Point[],
    verdicts: readonly Verdict[],
    revises: boolean,
  ): Promise<{ points: number; verdicts: readonly Verdict[] }> {
    const origin = { sampler: sampler.name, priority: sampler.priority, slotMs };
    const { store, judge } = this.#deps;
    const writing = store.write([...points, ...verdicts.map((verdict) => verdictPoint(verdict, revises))], origin);
    const { rejected } = await writing.catch((thrown: unknown) => {
      judge.forget(sampler.name);
      throw thrown;
    });
    this.#points += points.length;
    this.#verdicts += verdicts.length;
    if (rejected.length === 0) return { points: points.length, verdicts };
    const refused = rejected.filter(({ index }) => index < points.length);
    this.#points -= refused.length;
    this.#report(
      sampler,
      refused.map(({ index, reason }) => {
        const { measurement, tags } = points[index] as Point;
        return new Problem(reason, { where: sampler.place, path: `${measurement}{${tagsKey(tags)}}` });
      }),
    );
    const gone = new Set(refused.map(({ index }) => tagsKey((points[index] as Point).tags)));
    const left = verdicts.filter(({ series }) => !gone.has(tagsKey(series.tags)));
    return { points: points.length - refused.length, verdicts: left };
  }

  #report(sampler: Sampler, problems: readonly Problem[]): void {
    for (const problem of problems) {
      if (problem.severity === "error") this.#refused += 1;
      this.#deps.log.warn({ sampler: sampler.name }, formatProblem(problem));
    }
  }
}

/**
 * Series of the sampler that had a point lately: those that `empty` speaks of when a slot has no row for them. Where it
 * fills them with zeros, those zeros tell nothing: the point must have had another number than zero in some field.
 */
export async function knownSeries(
  store: TimeSeriesStore,
  sampler: Sampler,
  slotStartMs: number,
): Promise<readonly KnownSeries[]> {
  const sinceMs = slotStartMs - forgottenMs;
  const known = await store.list({ measurement: sampler.point.measurement, sinceMs });
  if (sampler.empty !== "zero") return known;
  // One field of a point that is left is enough to fill them all.
  return known.filter(({ lastNonzeroMs }) => lastNonzeroMs !== null && lastNonzeroMs >= sinceMs);
}

/** Verdicts on series without a value say why there is none, where that is known. */
function markAbsent(verdicts: readonly Verdict[], absence: Absence | null): readonly Verdict[] {
  if (absence === null) return verdicts;
  const { state, reason } = absence;
  return verdicts.map((verdict) => (verdict.observed === null ? { ...verdict, state, reason } : verdict));
}

function firstError(problems: readonly Problem[]): Problem {
  const errors = problems.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return new Problem("nothing was valid");
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  const { code, where, path, fix, retryable } = first;
  return new Problem(`${first.message}${more}`, { code, where, path, fix, retryable });
}
