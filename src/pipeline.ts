/**
 * One slot from source to alert:
 *
 *   read the source -> points -> store -> judge -> store the verdicts -> relate and alert in one transaction
 *
 * Each step may be done twice: points and verdicts of a slot overwrite themselves, and alerts ignore slots they have
 * seen. So a slot that was interrupted anywhere is simply run again.
 */
import type { Alerting } from "./alerting.ts";
import type { Sampler } from "./core/definitions.ts";
import { tagsKey } from "./core/labels.ts";
import type { DataState, Point, SlotRecord } from "./core/model.ts";
import type { KnownSeries, Log, Measure, Measured, TimeSeriesStore } from "./core/ports.ts";
import { formatProblem, Problem } from "./core/problem.ts";
import { dayMs } from "./core/time.ts";
import type { Judge } from "./judge/judge.ts";
import { verdictPoint } from "./judge/verdict.ts";
import { toPoints } from "./sample/points.ts";
import type { SamplerRunner } from "./sample/sample.ts";

/** A series that had no point for so long is no longer expected to have one. */
export const forgottenMs = 14 * dayMs;

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
    const read = toPoints(sampler, slot.startMs, rows, await knownSeries(store, sampler, slot.startMs));
    this.#report(sampler, read.problems);
    const points = await this.#store(sampler, read.points);
    if (read.failed) throw firstError(read.problems);
    signal.throwIfAborted();
    const verdicts = await judge.judgeSlot(sampler, slot.startMs, points);
    await store.write(verdicts.map(verdictPoint));
    this.#verdicts += verdicts.length;
    if (!slot.catchUp) await alerting.tellSlot(sampler, verdicts);
    return { rows: rows.length, points: points.length, dataState: read.dataState };
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

  async #store(sampler: Sampler, points: readonly Point[]): Promise<readonly Point[]> {
    const { rejected } = await this.#deps.store.write(points);
    this.#points += points.length - rejected.length;
    if (rejected.length === 0) return points;
    this.#report(
      sampler,
      rejected.map(({ index, reason }) => {
        const { measurement, tags } = points[index] as Point;
        return new Problem(reason, { where: sampler.place, path: `${measurement}{${tagsKey(tags)}}` });
      }),
    );
    const refused = new Set(rejected.map(({ index }) => index));
    return points.filter((_, index) => !refused.has(index));
  }

  #report(sampler: Sampler, problems: readonly Problem[]): void {
    for (const problem of problems) {
      if (problem.severity === "error") this.#refused += 1;
      this.#deps.log.warn({ sampler: sampler.name }, formatProblem(problem));
    }
  }
}

/** Series of the sampler that had a point lately: those that `empty` speaks of when a slot has no row for them. */
export async function knownSeries(
  store: TimeSeriesStore,
  sampler: Sampler,
  slotStartMs: number,
): Promise<readonly KnownSeries[]> {
  return store.list({ measurement: sampler.point.measurement, sinceMs: slotStartMs - forgottenMs });
}

function firstError(problems: readonly Problem[]): Problem {
  const errors = problems.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) return new Problem("nothing was valid");
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  const { code, where, path, fix, retryable } = first;
  return new Problem(`${first.message}${more}`, { code, where, path, fix, retryable });
}
