/**
 * Coarser buckets: sums and means of ten minutes and of an hour. Servers that can make them by themselves, of what is at
 * most two hours late; the rest is summed here.
 */
import type { Point, TimeWindow } from "../core/model.ts";
import type { Bucket, Clock, Log, Replica } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
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
  readonly log: Log;
};

type Piece = {
  readonly bucket: string;
  readonly measurement: string;
  readonly window: TimeWindow;
  readonly everyMs: number;
};

export class Coarser {
  readonly #deps: CoarserDeps;
  /** Buckets of servers that refuse sums: said once. */
  readonly #refused = new Set<string>();
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

  /**
   * Sums what servers did not: all of it where they cannot, else what came too late for them. A bucket that a server does
   * not have is its set-up's fault and named there: it keeps no window of raw points open.
   */
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
    const { buckets, timer } = this.#deps;
    for (const { name, everyMs } of buckets) {
      if (everyMs === null) continue;
      const fromMs = floorToStep(window.fromMs, everyMs);
      const endMs = floorToStep(window.toMs - 1, everyMs) + everyMs;
      const toMs = Math.min(endMs, floorToStep(timer.nowMs(), everyMs));
      if (toMs <= fromMs) continue;
      const piece = { bucket: name, measurement, window: { fromMs, toMs }, everyMs };
      const key = `${target.name}\0${name}`;
      try {
        if (await this.#sumPiece(target, piece, deadline(askTimeoutMs, signal))) this.count += 1;
        this.#refused.delete(key);
      } catch (thrown) {
        if (!(thrown instanceof Problem) || thrown.retryable) throw thrown;
        if (this.#refused.has(key)) continue;
        this.#refused.add(key);
        this.#deps.log.warn(
          { err: thrown, bucket: name },
          `${name} of ${target.name} is not filled: ${thrown.message}`,
        );
      }
    }
  }

  /** @returns whether anything was summed: what one server says is handed over to all */
  async #sumPiece(
    target: Replica,
    { bucket, measurement, window, everyMs }: Piece,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (await target.rollUpInto(bucket, measurement, window, everyMs, signal)) return true;
    if (target !== this.#deps.replicas[0]) return false;
    await this.#deps.append(bucket, await target.rollUp(measurement, window, everyMs, signal));
    return true;
  }
}
