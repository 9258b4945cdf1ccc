/**
 * One slot from source to alert:
 *
 *   read the source -> points -> judge -> store points and verdicts -> relate and alert in one transaction
 *
 * Each step may be done twice: points and verdicts of a slot overwrite themselves, and alerts ignore slots they have
 * seen. So a slot that was interrupted anywhere is simply run again.
 */
import type { Alerting } from "./alerting.ts";
import type { Sampler } from "./core/definitions.ts";
import { tagsKey } from "./core/labels.ts";
import type { DataState, Point, SlotRecord, Verdict } from "./core/model.ts";
import type { KnownSeries, Log, Measure, Measured, TimeSeriesStore } from "./core/ports.ts";
import { formatProblem, Problem } from "./core/problem.ts";
import { dayMs } from "./core/time.ts";
import type { Judge } from "./judge/judge.ts";
import { verdictPoint } from "./judge/verdict.ts";
import { toPoints } from "./sample/points.ts";
import type { SamplerRunner } from "./sample/sample.ts";

/** A series that had no point for so long, or with `empty: zero` nothing but zeros, is no longer expected to have one. */
const forgottenMs = 14 * dayMs;

export type PipelineDeps = {
  readonly runner: Pick<SamplerRunner, "run">;
  readonly store: TimeSeriesStore;
  readonly judge: Judge;
  readonly alerting: Alerting;
  readonly log: Log;
};

export class Pipeline implements Measured {
  readonly #deps: PipelineDeps;
  #points = 0;
  #refused = 0;
  #verdicts = 0;

  constructor(deps: PipelineDeps) {
    this.#deps = deps;
  }

  /** @throws Problem if the source fails, or nothing of what it returned was valid */
  async run(
    sampler: Sampler,
    slot: Pick<SlotRecord, "startMs" | "stepMs" | "catchUp">,
    signal: AbortSignal,
  ): Promise<{ rows: number; points: number; dataState: DataState }> {
    const { runner, store, judge, alerting } = this.#deps;
    const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
    const { rows } = await runner.run(sampler, window, signal);
    signal.throwIfAborted();
    const read = toPoints(sampler, slot.startMs, rows, await knownSeries(store, sampler, slot.startMs));
    this.#report(sampler, read.problems);
    const verdicts = read.failed ? [] : await judge.judgeSlot(sampler, slot.startMs, read.points);
    const stored = await this.#store(sampler, slot.startMs, read.points, verdicts).catch((thrown: unknown) => {
      judge.forget(sampler.name);
      throw thrown;
    });
    if (read.failed) throw firstError(read.problems);
    if (!slot.catchUp) await alerting.tellSlot(sampler, stored.verdicts);
    return { rows: rows.length, points: stored.points, dataState: read.dataState };
  }

  measures(): Measure[] {
    const counter = (name: string, help: string, value: number): Measure => {
      return { name: `bellwether_${name}_total`, help, kind: "counter", value };
    };
    return [
      counter("points_stored", "Points of samplers stored.", this.#points),
      counter("points_refused", "Rows and points that were not valid, each logged with its reason.", this.#refused),
      counter("verdicts", "Points judged.", this.#verdicts),
    ];
  }

  /** Points and their verdicts in one write, which is one wait for the disk. What is refused is told of nobody. */
  async #store(
    sampler: Sampler,
    slotMs: number,
    points: readonly Point[],
    verdicts: readonly Verdict[],
  ): Promise<{ points: number; verdicts: readonly Verdict[] }> {
    const origin = { sampler: sampler.name, priority: sampler.priority, slotMs };
    const { rejected } = await this.#deps.store.write([...points, ...verdicts.map(verdictPoint)], origin);
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

function firstError(problems: readonly Problem[]): Problem {
  const errors = problems.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return new Problem("nothing was valid");
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  const { code, where, path, fix, retryable } = first;
  return new Problem(`${first.message}${more}`, { code, where, path, fix, retryable });
}
