/**
 * Which copy is read: a clean one that answers, before one that is behind. What a copy still lacks is added from the
 * spool, so that whoever wrote a point reads it; where that is too much, the answer says that it is stale.
 */
import { gunzipSync } from "node:zlib";
import { matchesAll } from "../core/labels.ts";
import type { FieldValue, Point, Tags } from "../core/model.ts";
import type { Clock, Measure, Reading, ReadQuery, Replica, Series } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { deadline, floorToStep, secondMs, stopwatch } from "../core/time.ts";
import { parseLines, seriesKey } from "./line.ts";
import type { Batch, Spool } from "./spool.ts";
import { type Windows, windowMs } from "./windows.ts";

/** Points that are added to an answer from the spool; a copy that lacks more is behind. */
const overlayPointsMax = 50_000;
/** The second copy is asked when the first has not answered for so long, or for as long as most answers take. */
const hedgeMsMin = 250;
const readTimeoutMs = 10 * secondMs;
/** Latest answers from whose times the hedge is reckoned. */
const timesKept = 100;
/** A copy that failed is asked last for so long. */
const distrustMs = 5 * secondMs;

/** How one copy could answer one question. */
type Choice = {
  readonly replica: Replica;
  readonly clean: boolean;
  readonly overlay: readonly Batch[];
  readonly pending: number;
};

export class Router {
  readonly #replicas: readonly Replica[];
  readonly #spool: Spool;
  readonly #windows: Windows;
  readonly #timer: Clock;
  /** Whether writes go through, as the lanes and the pulse know it. */
  readonly #isWell: (target: string) => boolean;
  readonly #times = new Map<string, number[]>();
  readonly #failedMs = new Map<string, number>();
  #counts = { reads: 0, hedged: 0, failedOver: 0, stale: 0, failed: 0, seconds: 0 };

  constructor(deps: {
    replicas: readonly Replica[];
    spool: Spool;
    windows: Windows;
    timer: Clock;
    isWell: (target: string) => boolean;
  }) {
    this.#replicas = deps.replicas;
    this.#spool = deps.spool;
    this.#windows = deps.windows;
    this.#timer = deps.timer;
    this.#isWell = deps.isWell;
  }

  /** @throws Problem, retryable, if no copy answers */
  async read(query: ReadQuery): Promise<Reading> {
    if (query.windows.length === 0 || query.fields.length === 0) return { series: [], stale: false };
    const elapsedMs = stopwatch();
    const choices = this.choices(query);
    const { choice, series } = await this.#race(choices, query);
    const stale = !choice.clean || this.#differs(query);
    this.#counts.reads += 1;
    this.#counts.seconds += elapsedMs() / secondMs;
    if (stale) this.#counts.stale += 1;
    return { series: overlaid(series, choice.overlay, query), stale };
  }

  /** Clean ones first, then those that work, then those that lack least. */
  choices(query: ReadQuery): Choice[] {
    const nowMs = this.#timer.nowMs();
    const rank = ({ replica, clean }: Choice): number => {
      const distrusted = nowMs - (this.#failedMs.get(replica.name) ?? 0) < distrustMs;
      return (clean ? 0 : 4) + (distrusted ? 2 : 0) + (this.#isWell(replica.name) ? 0 : 1);
    };
    const all = this.#replicas.map((replica) => this.#choice(replica, query));
    return all.sort((a, b) => rank(a) - rank(b) || a.pending - b.pending);
  }

  #choice(replica: Replica, query: ReadQuery): Choice {
    const { batches, all } = this.#spool.pending(replica.name, "", overlayPointsMax);
    const pending = batches.reduce((sum, { points }) => sum + points, 0);
    const overlay = batches.filter(({ windows }) => windows.some((window) => touches(query, window)));
    return { replica, clean: all && this.#isVerified(replica.name, query), overlay, pending };
  }

  /** Whether all that is asked for was compared since the copy was last in doubt. */
  #isVerified(target: string, { windows }: ReadQuery): boolean {
    const { doubted, verifiedFromMs } = this.#spool.target(target);
    if (!doubted) return true;
    return verifiedFromMs !== null && (windows[0]?.fromMs ?? 0) >= verifiedFromMs;
  }

  #differs(query: ReadQuery): boolean {
    return this.#windows.differing(1_000).some((window) => touches(query, window));
  }

  /** Asks one after the other: the next one when the one before failed, or has not answered for long. */
  async #race(choices: readonly Choice[], query: ReadQuery): Promise<{ choice: Choice; series: readonly Series[] }> {
    const ended = new AbortController();
    const faults: unknown[] = [];
    try {
      return await new Promise((resolve, reject) => {
        let left = choices.length;
        let next = 0;
        const askNext = (): void => {
          const choice = choices[next];
          if (choice === undefined) return;
          next += 1;
          const hedge = new AbortController();
          this.#ask(choice, query, ended.signal)
            .then((series) => resolve({ choice, series }))
            .catch((thrown: unknown) => {
              faults.push(thrown);
              left -= 1;
              if (left === 0) reject(this.#nobody(faults));
              else if (!ended.signal.aborted && next < choices.length) {
                this.#counts.failedOver += 1;
                askNext();
              }
            })
            .finally(() => hedge.abort());
          const patience = AbortSignal.any([hedge.signal, ended.signal]);
          this.#timer
            .sleep(this.#hedgeMs(choice.replica.name), patience)
            .then(() => {
              if (next >= choices.length) return;
              this.#counts.hedged += 1;
              askNext();
            })
            .catch(() => {});
        };
        askNext();
      });
    } finally {
      ended.abort();
    }
  }

  async #ask({ replica }: Choice, query: ReadQuery, ended: AbortSignal): Promise<readonly Series[]> {
    const elapsedMs = stopwatch();
    try {
      const series = await replica.read(query, deadline(readTimeoutMs, ended));
      this.#times.set(replica.name, [...(this.#times.get(replica.name) ?? []), elapsedMs()].slice(-timesKept));
      return series;
    } catch (thrown) {
      if (!ended.aborted) this.#failedMs.set(replica.name, this.#timer.nowMs());
      throw thrown;
    }
  }

  #hedgeMs(target: string): number {
    const times = (this.#times.get(target) ?? []).toSorted((a, b) => a - b);
    return Math.max(hedgeMsMin, times[Math.floor(times.length * 0.95)] ?? 0);
  }

  #nobody(faults: readonly unknown[]): unknown {
    this.#counts.failed += 1;
    // What is the question's own fault is so for every copy.
    const own = faults.find((fault) => fault instanceof Problem && !fault.retryable);
    if (own !== undefined) return own;
    return new Problem(`no InfluxDB answers: ${[...new Set(faults.map(messageOf))].join("; ")}`, {
      where: "INFLUX_URLS",
      fix: "see bellwether replicas status",
      retryable: true,
    });
  }

  measures(): Measure[] {
    const { reads, hedged, failedOver, stale, failed, seconds } = this.#counts;
    return [
      counter("reads", "Reads of series.", reads),
      counter("read_seconds", "Time spent reading series.", seconds),
      counter("reads_hedged", "Reads that a second copy was asked for, because the first was slow.", hedged),
      counter("reads_failed_over", "Reads that a second copy was asked for, because the first failed.", failedOver),
      counter("reads_stale", "Reads that only a copy in doubt, or behind, could answer.", stale),
      counter("reads_failed", "Reads that nobody answered.", failed),
    ];
  }
}

function touches(query: ReadQuery, { measurement, startMs }: { measurement: string; startMs: number }): boolean {
  if (measurement !== query.measurement) return false;
  return query.windows.some(({ fromMs, toMs }) => startMs < toMs && startMs >= floorToStep(fromMs, windowMs));
}

/** An answer with the points of batches that the copy may lack, in their order: the last value wins. */
function overlaid(series: readonly Series[], batches: readonly Batch[], query: ReadQuery): readonly Series[] {
  if (batches.length === 0) return series;
  const wanted = new Set(query.fields);
  const added = new Map<string, { tags: Tags; field: string; values: Map<number, FieldValue> }>();
  for (const { body } of batches) {
    for (const point of parseLines(gunzipSync(body).toString())) {
      if (!isAskedFor(point, query)) continue;
      for (const [field, value] of Object.entries(point.fields)) {
        if (!wanted.has(field)) continue;
        const key = `${field} ${seriesKey(point)}`;
        const found = added.get(key) ?? { tags: point.tags, field, values: new Map<number, FieldValue>() };
        found.values.set(point.timeMs, value);
        added.set(key, found);
      }
    }
  }
  const whole = series.map((one) => {
    const key = `${one.field} ${seriesKey(one)}`;
    const more = added.get(key);
    added.delete(key);
    return more === undefined ? one : merged(one, more.values);
  });
  const { measurement } = query;
  const fresh = [...added.values()].map(({ tags, field, values }) => {
    return merged({ measurement, tags, field, timesMs: [], values: [] }, values);
  });
  return [...whole, ...fresh];
}

function isAskedFor({ measurement, tags, timeMs }: Point, query: ReadQuery): boolean {
  if (measurement !== query.measurement) return false;
  if (!query.windows.some(({ fromMs, toMs }) => timeMs >= fromMs && timeMs < toMs)) return false;
  return matchesAll(query.tags ?? [], tags);
}

function merged(series: Series, more: ReadonlyMap<number, FieldValue>): Series {
  const all = new Map<number, FieldValue>();
  for (const [index, timeMs] of series.timesMs.entries()) all.set(timeMs, series.values[index] as FieldValue);
  for (const [timeMs, value] of more) all.set(timeMs, value);
  const timesMs = [...all.keys()].sort((a, b) => a - b);
  return { ...series, timesMs, values: timesMs.map((timeMs) => all.get(timeMs) as FieldValue) };
}

function counter(name: string, help: string, value: number): Measure {
  return { name: `bellwether_replica_${name}_total`, help, kind: "counter", value };
}
