import type { Point } from "../../src/core/model.ts";
import type { Origin, Reading, ReadQuery, TimeSeriesStore } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";

/** A real store whose reads fail on demand: `away`, no server answers; `behind`, only an old copy of it does. */
export class ShakyStore implements TimeSeriesStore {
  readonly inner: TimeSeriesStore;
  reads: "sound" | "away" | "behind" = "sound";
  /** The copy that is behind holds what lies before. */
  heldUntilMs = Number.POSITIVE_INFINITY;
  readonly asked: ReadQuery[] = [];
  readonly origins: (Origin | undefined)[] = [];
  readonly farAway: boolean;

  constructor(inner: TimeSeriesStore, farAway = false) {
    this.inner = inner;
    this.farAway = farAway;
  }

  async read(query: ReadQuery): Promise<Reading> {
    this.asked.push(query);
    if (this.reads === "away") throw new Problem("no server answers", { retryable: true });
    const reading = await this.inner.read(query);
    if (this.reads === "sound") return reading;
    const series = reading.series.map((one) => {
      const count = one.timesMs.filter((timeMs) => timeMs < this.heldUntilMs).length;
      return { ...one, timesMs: one.timesMs.slice(0, count), values: one.values.slice(0, count) };
    });
    return { series: series.filter(({ timesMs }) => timesMs.length > 0), stale: true };
  }

  write(points: readonly Point[], origin?: Origin) {
    this.origins.push(origin);
    return this.inner.write(points, origin);
  }

  list(query: Parameters<TimeSeriesStore["list"]>[0]) {
    return this.inner.list(query);
  }

  expire(beforeMs: number) {
    return this.inner.expire(beforeMs);
  }

  /** The inner store belongs to whoever opened it. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
