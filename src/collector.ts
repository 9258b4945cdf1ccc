/** What collecting the numbers took, as numbers of its own: one point a slot, so that boards can draw it. */
import { counter } from "./core/measure.ts";
import type { Point } from "./core/model.ts";
import type { Log, Measure, Measured, TimeSeriesStore } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { secondMs, systemClock } from "./core/time.ts";
import { every } from "./housekeeping.ts";
import type { SlotEnd } from "./schedule/worker.ts";

/** The measurement of these points; no sampler may write to it. */
const collectionMeasurement = "bellwether_collection";

/** How long points are gathered before they are written together, in real time, and how many at most. */
const gatherMs = 5 * secondMs;
const gatheredMax = 10_000;

export class Collector implements Measured {
  readonly #deps: { readonly store: TimeSeriesStore; readonly log: Log };
  #gathered: Point[] = [];
  #dropped = 0;

  constructor(deps: { readonly store: TimeSeriesStore; readonly log: Log }) {
    this.#deps = deps;
  }

  /** A slot that was given back to be tried again is told of at its end. */
  note(end: SlotEnd): void {
    if (end.outcome.state === "due") return;
    if (this.#gathered.length >= gatheredMax) this.#dropped += 1;
    else this.#gathered.push(collectionPoint(end));
  }

  /** Writes now and then until the signal aborts, and once more then. */
  async run(signal: AbortSignal): Promise<void> {
    await every(gatherMs, systemClock, signal, this.#deps.log, "figures of the collection", () => this.#write());
    await this.#write().catch((thrown: unknown) => {
      this.#deps.log.warn({ err: thrown }, `the latest figures of the collection are lost: ${messageOf(thrown)}`);
    });
  }

  measures(): Measure[] {
    const help = "Points about slots that were not written because too many waited; the ledger has what they say.";
    return [counter("collection_points_dropped", help, this.#dropped)];
  }

  async #write(): Promise<void> {
    const points = this.#gathered;
    if (points.length === 0) return;
    this.#gathered = [];
    try {
      // Whoever keeps order of importance lets these go first.
      await this.#deps.store.write(points, { sampler: "", priority: "low", slotMs: points[0]?.timeMs ?? 0 });
    } catch (thrown) {
      const room = gatheredMax - this.#gathered.length;
      this.#gathered.unshift(...points.slice(-room));
      this.#dropped += Math.max(0, points.length - room);
      throw thrown;
    }
  }
}

/** Measurement {@link collectionMeasurement}, tag `sampler`, time of the slot; figures that are not known are left out. */
function collectionPoint({ record, outcome, startedMs, endedMs }: SlotEnd): Point {
  const fields: Record<string, number | string> = {
    lateness_ms: Math.max(0, startedMs - record.dueMs),
    duration_ms: Math.max(0, endedMs - startedMs),
    attempts: record.attempts,
    failed: outcome.state === "failed" ? 1 : 0,
    caught_up: outcome.state === "caught-up" ? 1 : 0,
  };
  const numbers = {
    rows: outcome.rows,
    points: outcome.points,
    rows_read: outcome.rowsRead,
    server_ms: outcome.serverMs,
  };
  for (const [name, value] of Object.entries(numbers)) if (value != null) fields[name] = value;
  if (outcome.dataState !== undefined) fields.state = outcome.dataState;
  return {
    measurement: collectionMeasurement,
    tags: { sampler: record.sampler },
    fields,
    timeMs: record.startMs,
  };
}
