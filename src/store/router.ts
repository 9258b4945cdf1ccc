/**
 * Which copy is read: a clean one that answers, before one that is behind. What a copy still lacks is added from the
 * spool, so that whoever wrote a point reads it; where that is too much, the answer says that it is stale.
 */

import { gunzipSync } from "node:zlib";
import { matchesAll } from "../core/labels.ts";
import { counter } from "../core/measure.ts";
import type { FieldValue, Point, Tags } from "../core/model.ts";
import type { Clock, Measure, Reading, ReadQuery, Replica, Series } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { deadline, floorToStep, secondMs, stopwatch } from "../core/time.ts";
import { parseLines, seriesKey } from "./line.ts";
import type { Batch, Spool } from "./spool.ts";
import { newHere } from "./targets.ts";
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

/** How one copy stands to one question. */
type Choice = {
  readonly replica: Replica;
  /** Whether all that is asked for was compared since the copy was last in doubt. */
  readonly verified: boolean;
  /** Raw points that it lacks, of whatever they are. */
  readonly pending: number;
};

/** What other processes that write to the same servers know of them. */
export type Elsewhere = {
  /** One could not write to it for a while: what it lacks, reads from it lack. */
  readonly isBehind: (target: string) => boolean;
  /** One that lives has compared it and doubts nothing of it. */
  readonly isSound: (target: string) => boolean;
};

export class Router {
  readonly #replicas: readonly Replica[];
  readonly #spool: Spool;
  readonly #windows: Windows;
  readonly #timer: Clock;
  /** Whether writes go through, as the lanes and the pulse know it. */
  readonly #isWell: (target: string) => boolean;
  readonly #elsewhere: Elsewhere;
  readonly #times = new Map<string, number[]>();
  readonly #failedMs = new Map<string, number>();
  #counts = { reads: 0, hedged: 0, failedOver: 0, stale: 0, failed: 0, seconds: 0 };

  constructor(deps: {
    replicas: readonly Replica[];
    spool: Spool;
    windows: Windows;
    timer: Clock;
    isWell: (target: string) => boolean;
    elsewhere: Elsewhere;
  }) {
    this.#replicas = deps.replicas;
    this.#spool = deps.spool;
    this.#windows = deps.windows;
    this.#timer = deps.timer;
    this.#isWell = deps.isWell;
    this.#elsewhere = deps.elsewhere;
  }

  /** @throws Problem, retryable, if no copy answers */
  async read(query: ReadQuery): Promise<Reading> {
    if (query.windows.length === 0 || query.fields.length === 0) return { series: [], stale: false };
    const elapsedMs = stopwatch();
    const { series, stale } = await this.#race(this.choices(query), query);
    this.#counts.reads += 1;
    this.#counts.seconds += elapsedMs() / secondMs;
    if (stale) this.#counts.stale += 1;
    return { series, stale };
  }

  /** Those that are in no doubt first, then those that work, then those that lack least. */
  choices(query: ReadQuery): Choice[] {
    const nowMs = this.#timer.nowMs();
    const rank = ({ replica: { name }, verified }: Choice): number => {
      const distrusted = nowMs - (this.#failedMs.get(name) ?? 0) < distrustMs;
      return (verified ? 0 : 4) + (distrusted ? 2 : 0) + (this.#isWell(name) ? 0 : 1);
    };
    const all = this.#replicas.map((replica): Choice => {
      const pending = this.#spool.pendingPoints(replica.name, "");
      return { replica, verified: this.#isVerified(replica.name, query), pending };
    });
    return all.sort((a, b) => rank(a) - rank(b) || a.pending - b.pending);
  }

  #isVerified(target: string, { measurement, windows }: ReadQuery): boolean {
    if (this.#elsewhere.isBehind(target)) return false;
    const { doubted, verifyReason, verifiedFromMs } = this.#spool.target(target);
    const isVouchedFor = verifyReason === newHere && this.#elsewhere.isSound(target);
    const isCompared = verifiedFromMs !== null && (windows[0]?.fromMs ?? 0) >= verifiedFromMs;
    if (doubted && !isVouchedFor && !isCompared) return false;
    // What it refused is on its shelf, and not in its answers.
    if (this.#spool.shelves(target, measurement)) return false;
    return !windows.some(({ fromMs, toMs }) => this.#windows.lostIn(target, measurement, fromMs, toMs));
  }

  #differs({ measurement, windows }: ReadQuery): boolean {
    return windows.some(({ fromMs, toMs }) => this.#windows.differsIn(measurement, fromMs, toMs));
  }

  /**
   * Asks one after the other: the next one when the one before failed, has not answered for long, or could not say
   * enough. The first answer that is not stale counts.
   */
  async #race(choices: readonly Choice[], query: ReadQuery): Promise<Reading> {
    const ended = new AbortController();
    const asked: Promise<Reading | null>[] = [];
    const faults: unknown[] = [];
    try {
      for (const [index, choice] of choices.entries()) {
        const answer = this.#ask(choice, query, ended.signal).catch((thrown: unknown) => {
          faults.push(thrown);
          return null;
        });
        asked.push(answer);
        if (index === choices.length - 1) break;
        const news = await Promise.race([firstSound(asked), this.#late(choice.replica.name, ended.signal)]);
        if (news !== null && news !== "late") return news;
        this.#counts[news === "late" ? "hedged" : "failedOver"] += 1;
      }
      const sound = await firstSound(asked);
      if (sound !== null) return sound;
      const stale = (await Promise.all(asked)).find((reading) => reading !== null);
      if (stale == null) throw this.#nobody(faults);
      return stale;
    } finally {
      ended.abort();
    }
  }

  /** Comes when an answer had better have come; never, once all is over. */
  async #late(target: string, ended: AbortSignal): Promise<"late"> {
    await this.#timer.sleep(this.#hedgeMs(target), ended).catch(() => new Promise(() => {}));
    return "late";
  }

  async #ask({ replica, verified }: Choice, query: ReadQuery, ended: AbortSignal): Promise<Reading> {
    const elapsedMs = stopwatch();
    // Before the question: what the copy gets while it answers may be in both.
    const spans = query.windows.map(({ fromMs, toMs }) => ({ fromMs: floorToStep(fromMs, windowMs), toMs }));
    const { batches, all } = this.#spool.lacking(replica.name, query.measurement, spans, overlayPointsMax);
    try {
      const series = await replica.read(query, deadline(readTimeoutMs, ended));
      this.#times.set(replica.name, [...(this.#times.get(replica.name) ?? []), elapsedMs()].slice(-timesKept));
      return { series: overlaid(series, batches, query), stale: !all || !verified || this.#differs(query) };
    } catch (thrown) {
      const ours = ended.aborted || (thrown instanceof Problem && thrown.code === "QRY-001");
      if (!ours) this.#failedMs.set(replica.name, this.#timer.nowMs());
      throw thrown;
    }
  }

  #hedgeMs(target: string): number {
    const times = (this.#times.get(target) ?? []).toSorted((a, b) => a - b);
    return Math.max(hedgeMsMin, times[Math.floor(times.length * 0.95)] ?? 0);
  }

  #nobody(faults: readonly unknown[]): Problem {
    // A question that asks for too much does so of every copy; all else may be mended.
    const tooMuch = faults.find((fault) => fault instanceof Problem && fault.code === "QRY-001");
    if (tooMuch instanceof Problem) return tooMuch;
    this.#counts.failed += 1;
    return new Problem(`no InfluxDB answers: ${[...new Set(faults.map(messageOf))].join("; ")}`, {
      where: "INFLUX_URLS",
      fix: "see bellwether replicas status",
      retryable: true,
    });
  }

  measures(): Measure[] {
    const { reads, hedged, failedOver, stale, failed, seconds } = this.#counts;
    return [
      counter("replica_reads", "Reads of series.", reads),
      counter("replica_read_seconds", "Time spent reading series.", seconds),
      counter("replica_reads_hedged", "Reads that a second copy was asked for, because the first was slow.", hedged),
      counter(
        "replica_reads_failed_over",
        "Reads that a second copy was asked for, because the first failed.",
        failedOver,
      ),
      counter("replica_reads_stale", "Reads that only a copy in doubt, or behind, could answer.", stale),
      counter("replica_reads_failed", "Reads that nobody answered.", failed),
    ];
  }
}

/** The first of the answers that is not stale; null if none is. */
function firstSound(asked: readonly Promise<Reading | null>[]): Promise<Reading | null> {
  const sound = asked.map(async (answer) => {
    const reading = await answer;
    if (reading === null || reading.stale) throw new Error("not this one");
    return reading;
  });
  return Promise.any(sound).catch(() => null);
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
