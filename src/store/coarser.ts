/**
 * Coarser buckets: sums and means of ten minutes and of an hour. Servers that can make them by themselves, of what is at
 * most two hours late; the rest is summed here.
 */
import type { Point, TimeWindow } from "../core/model.ts";
import type { Bucket, Clock, Replica } from "../core/ports.ts";
import { deadline, floorToStep, hourMs, minuteMs } from "../core/time.ts";
import type { Window } from "./windows.ts";
import { windowMs } from "./windows.ts";

/** What comes later than this is summed by us; servers take up two hours. */
const lateMs = hourMs;
const askTimeoutMs = 2 * minuteMs;

export type CoarserDeps = {
  readonly replicas: readonly Replica[];
  readonly buckets: readonly Bucket[];
  readonly timer: Clock;
  /** Whether a server sums by itself. */
  readonly rollsUp: (target: string) => boolean;
  /** Hands over points of a coarser bucket to all servers. */
  readonly append: (bucket: string, points: readonly Point[]) => Promise<void>;
};

export class Coarser {
  readonly #deps: CoarserDeps;
  /** Stretches that were summed. */
  count = 0;

  constructor(deps: CoarserDeps) {
    this.#deps = deps;
  }

  /** Windows that begin before it can be summed: where a server does not by itself, their longest piece has to be over. */
  get readyBeforeMs(): number {
    const { replicas, rollsUp, timer, buckets } = this.#deps;
    if (replicas.every(({ name }) => rollsUp(name))) return Number.POSITIVE_INFINITY;
    return floorToStep(timer.nowMs(), Math.max(1, ...buckets.map(({ everyMs }) => everyMs ?? 1)));
  }

  /** Sums what servers did not: all of it where they cannot, else what came too late for them. */
  async sumSealed(measurement: string, windows: readonly Window[], signal: AbortSignal): Promise<void> {
    const { replicas, timer, rollsUp } = this.#deps;
    const lateBeforeMs = timer.nowMs() - lateMs;
    for (const target of replicas) {
      const own = windows.filter(({ startMs }) => !rollsUp(target.name) || startMs < lateBeforeMs);
      const [first, last] = [own[0], own.at(-1)];
      if (first === undefined || last === undefined) continue;
      await this.sum(target, measurement, { fromMs: first.startMs, toMs: last.startMs + windowMs }, signal);
    }
  }

  /** Sums all pieces that a window of time touches and that are over. */
  async sum(target: Replica, measurement: string, window: TimeWindow, signal: AbortSignal): Promise<void> {
    const { buckets, timer, append, replicas } = this.#deps;
    for (const { name, everyMs } of buckets) {
      if (everyMs === null) continue;
      const fromMs = floorToStep(window.fromMs, everyMs);
      const endMs = floorToStep(window.toMs - 1, everyMs) + everyMs;
      const toMs = Math.min(endMs, floorToStep(timer.nowMs(), everyMs));
      if (toMs <= fromMs) continue;
      const soon = deadline(askTimeoutMs, signal);
      if (await target.rollUpInto(name, measurement, { fromMs, toMs }, everyMs, soon)) this.count += 1;
      else if (target === replicas[0]) {
        // What one server says is handed over to all.
        await append(name, await target.rollUp(measurement, { fromMs, toMs }, everyMs, soon));
        this.count += 1;
      }
    }
  }
}
