/**
 * The store that keeps every point on several InfluxDBs:
 *
 *   write -> validate, encode -> Spool (on the disk: done) -> a Lane per target and bucket -> Replica
 *   read  -> Router -> a clean Replica, and from the Spool what it lacks
 *            Pulse per target: is it well, was it restarted or emptied
 *            Repairer: compare, write what is lacking, seal
 */

import { existsSync } from "node:fs";
import { counter, gauge } from "../core/measure.ts";
import type { Condition, Point, TimeWindow } from "../core/model.ts";
import type {
  Clock,
  ComparisonFound,
  KnownSeries,
  Log,
  Measure,
  Measured,
  Origin,
  PieceSummary,
  Reading,
  ReadQuery,
  Rejection,
  Replica,
  ReplicasStatus,
  ShelfEntry,
  TimeSeriesStore,
} from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { deadline, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { batchesOf, bucketsOf, sift } from "./batch.ts";
import { Catalogue } from "./catalogue.ts";
import { conditionsOf, setUpFaults } from "./conditions.ts";
import { deliver, Halted } from "./deliver.ts";
import { defaultPace, Lane, type Pace } from "./lane.ts";
import { linesOf } from "./line.ts";
import { Pulse } from "./pulse.ts";
import { Repairer } from "./repair.ts";
import { type Elsewhere, Router } from "./router.ts";
import { type Gap, Spool } from "./spool.ts";
import { statusMeasures, statusOf } from "./status.ts";
import { Windows, windowsOf } from "./windows.ts";

/** How long a write of low priority is made to wait while room is short. */
const heldUpMs = 2 * secondMs;
const upkeepMs = minuteMs;
/** How long a process that only reads goes by the series it knows. */
const othersMs = 30 * secondMs;
/** An hour. */
const roundsUntilRelearnt = 60;
/** Share of the spool's bound below which even points of low priority are taken. */
const roomyShare = 0.8;
const drainedMs = 10 * secondMs;
const drainLookMs = 20;
/** How long a start waits for servers to say how they are. */
const firstLookMs = 8 * secondMs;
const requeueTimeoutMs = 10 * secondMs;
/** Points of the shelf that are sent together. */
const requeuePoints = 5_000;

export type MirrorOptions = {
  /** Path of the spool. */
  readonly file: string;
  readonly replicas: readonly Replica[];
  /** How long raw points are kept; null: for ever. */
  readonly keepRawMs: number | null;
  /** How long sums and means are kept; also how far back copies are compared. */
  readonly keepMs: number;
  readonly spoolBytesMax: number;
  readonly repairPointsPerSecond: number;
  /** Only read: nothing is locked, carried or repaired. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Other processes write to the same servers: series that only they have written are learnt now and then. Default false. */
  readonly shared?: boolean | undefined;
  /** Default: there are no others. */
  readonly elsewhere?: Elsewhere | undefined;
  readonly pace?: Partial<Pace> | undefined;
};

export type MirrorDeps = {
  /** What time it is for points. */
  readonly clock: Clock;
  /** Waits in real time: servers do not run on a demo's clock. */
  readonly timer: Clock;
  readonly log: Log;
  readonly onBroken?: (problem: Problem) => void;
};

export class Mirror implements TimeSeriesStore, Measured {
  readonly farAway = true;
  readonly #options: MirrorOptions;
  readonly #deps: MirrorDeps;
  readonly #spool: Spool;
  readonly #windows: Windows;
  readonly #catalogue: Catalogue;
  readonly #lanes: readonly Lane[];
  readonly #pulses: ReadonlyMap<string, Pulse>;
  readonly #router: Router;
  readonly #repairer: Repairer;
  readonly #stopping = new AbortController();
  #work: Promise<unknown>[] = [];
  #completing: Promise<void> | null = null;
  #counts = { points: 0, rejected: 0 };

  /**
   * Opens the spool, asks each server once how it is, and begins to carry.
   * @throws Problem SPL-001 if another process has the spool, SPL-002 if a newer build wrote it
   */
  static async open(options: MirrorOptions, deps: MirrorDeps): Promise<Mirror> {
    const mirror = new Mirror(options, deps);
    try {
      await mirror.#begin();
      return mirror;
    } catch (thrown) {
      await mirror[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  private constructor(options: MirrorOptions, deps: MirrorDeps) {
    this.#options = options;
    this.#deps = deps;
    const { replicas, readOnly = false } = options;
    const { clock, timer, log, onBroken } = deps;
    const buckets = bucketsOf(options);
    const pace = { ...defaultPace, ...options.pace };
    const spoolOptions = {
      file: options.file,
      targets: replicas.map(({ name }) => name),
      buckets: buckets.map(({ name }) => name),
      bytesMax: options.spoolBytesMax,
      clock,
      log,
      ...(onBroken === undefined ? {} : { onBroken }),
    };
    // Before the first start there is nothing to look on at: an empty log is begun, as a start would.
    if (readOnly && !existsSync(options.file)) new Spool(spoolOptions).close();
    const spool = new Spool({ ...spoolOptions, readOnly });
    const windows = new Windows(spool);
    const catalogue = new Catalogue(spool);
    this.#spool = spool;
    this.#windows = windows;
    this.#catalogue = catalogue;
    this.#pulses = new Map(
      replicas.map((target) => {
        const onMended = () => this.#nudge(target.name);
        return [
          target.name,
          new Pulse({ target, buckets, spool, windows, catalogue, clock, timer, pace, log, onMended }),
        ];
      }),
    );
    this.#lanes = replicas.flatMap((target) => {
      const probe = (signal: AbortSignal) => (this.#pulses.get(target.name) as Pulse).beat(signal);
      const deps = { target, spool, windows, clock, timer, pace, probe, log };
      return buckets.map(({ name: bucket }) => new Lane({ ...deps, bucket }));
    });
    const isWell = (name: string): boolean => this.#isWell(name);
    const elsewhere = options.elsewhere ?? { isBehind: () => false, isSound: () => false };
    this.#router = new Router({ replicas, spool, windows, timer, isWell, elsewhere });
    this.#repairer = new Repairer({
      replicas,
      buckets,
      spool,
      windows,
      catalogue,
      clock,
      timer,
      log,
      horizonMs: options.keepRawMs ?? options.keepMs,
      pointsPerSecondMax: options.repairPointsPerSecond,
      isWell: (name) => this.#isWell(name),
      rollsUp: (name) => this.#pulses.get(name)?.health.rollsUp ?? false,
      append: async (bucket, points) => {
        await this.appendCoarser(bucket, points);
      },
    });
  }

  async #begin(): Promise<void> {
    const { signal } = this.#stopping;
    if (this.#options.readOnly) return;
    const soon = deadline(firstLookMs, signal);
    await Promise.all([...this.#pulses.values()].map((pulse) => pulse.beat(soon)));
    // Two new and empty servers are alike at once; of others the newest past is compared first.
    await this.#repairer.verify(soon).catch(() => {});
    await this.#complete(soon).catch(() => {});
    this.#work = [
      ...this.#lanes.map((lane) => lane.run(signal)),
      ...[...this.#pulses.values()].map((pulse) => pulse.run(signal)),
      this.#repairer.run(signal),
      this.#keepUp(signal),
    ];
  }

  #nudge(target: string): void {
    for (const lane of this.#lanes) if (lane.target === target) lane.nudge();
  }

  #isWell(target: string): boolean {
    if (this.#options.readOnly) return true;
    const trouble = this.#lanes.some((lane) => lane.target === target && "sinceMs" in lane.state && lane.bucket === "");
    return !trouble && this.#pulses.get(target)?.health.well !== false;
  }

  // ---- the store ----------------------------------------------------------------------------------------------

  /**
   * Done when the points are on this machine's disk; servers get them when they can.
   * @throws Problem SPL-003, retryable, where the spool has no room for points of this priority
   */
  async write(points: readonly Point[], origin?: Origin): Promise<{ rejected: readonly Rejection[] }> {
    if (origin?.priority === "low" && this.#spool.heldUp) {
      this.#spool.noteHeldUp();
      await this.#deps.timer.sleep(heldUpMs, this.#stopping.signal);
    }
    using claim = this.#catalogue.claim(origin, this.#deps.clock.nowMs());
    const { taken, rejected } = sift(points, claim.take);
    const packing = batchesOf("", taken);
    // While other threads pack. A series is known a moment before it is stored, which its own slot alone could notice.
    for (const { key, point } of taken) this.#catalogue.note(key, point);
    await this.#spool.append(await packing, origin, claim.write);
    claim.keep();
    this.#counts.points += taken.length;
    this.#counts.rejected += rejected.length;
    for (const lane of this.#lanes) if (lane.bucket === "") lane.nudge();
    return { rejected };
  }

  /**
   * As {@link write}, into a coarser bucket: points as {@link Replica.rollUp} gives them.
   * @throws Problem SPL-003, retryable, where the spool has no room
   */
  async appendCoarser(bucket: string, points: readonly Point[]): Promise<{ rejected: readonly Rejection[] }> {
    const { taken, rejected } = sift(points);
    if (taken.length > 0) await this.#spool.append(await batchesOf(bucket, taken));
    for (const lane of this.#lanes) if (lane.bucket === bucket) lane.nudge();
    return { rejected };
  }

  read(query: ReadQuery): Promise<Reading> {
    return this.#router.read(query);
  }

  async list(query: {
    measurement?: string | undefined;
    sinceMs?: number | undefined;
  }): Promise<readonly KnownSeries[]> {
    const soon = deadline(firstLookMs, this.#stopping.signal);
    if (!this.#catalogue.complete) await this.#complete(soon).catch(() => {});
    else if (this.#options.shared && this.#options.readOnly) await this.#learnSometimes(soon);
    return this.#catalogue.list(query);
  }

  /**
   * Learns from a server which series there are: after the first start, or where the record of them was lost. Asked for
   * by many at once, it is done once.
   */
  #complete(signal: AbortSignal): Promise<void> {
    this.#completing ??= this.#learnSeries(signal).finally(() => {
      this.#completing = null;
    });
    return this.#completing;
  }

  #learntMs = Number.NEGATIVE_INFINITY;

  /** Who writes nothing itself knows only what it has asked for. */
  async #learnSometimes(signal: AbortSignal): Promise<void> {
    if (this.#deps.timer.nowMs() - this.#learntMs < othersMs) return;
    await this.learnOthers(signal).catch((thrown: unknown) => {
      this.#deps.log.warn({ err: thrown }, `series that others have written: ${messageOf(thrown)}`);
    });
  }

  /** Learns which series there are, those included that other processes have written. @throws Problem if no server tells */
  async learnOthers(signal: AbortSignal): Promise<void> {
    this.#learntMs = this.#deps.timer.nowMs();
    this.#catalogue.complete = false;
    await this.#complete(signal);
  }

  async #learnSeries(signal: AbortSignal): Promise<void> {
    if (this.#catalogue.complete) return;
    const faults: string[] = [];
    for (const { replica } of this.#router.choices({ measurement: "", fields: [], windows: [] })) {
      try {
        this.#catalogue.merge(await replica.list({}, signal));
        this.#catalogue.complete = true;
        return;
      } catch (thrown) {
        faults.push(messageOf(thrown));
      }
    }
    throw new Problem(`no InfluxDB says which series there are: ${faults.join("; ")}`, { retryable: true });
  }

  /**
   * Raw points that are kept for ever otherwise; what has a retention policy goes by it.
   * @throws Problem, retryable, while a copy lacks points: older ones among them would come after it
   */
  async expire(beforeMs: number): Promise<number> {
    if (this.#options.keepRawMs === null) await this.drain(drainedMs);
    this.#catalogue.expire(beforeMs);
    if (this.#options.keepRawMs !== null) return 0;
    const soon = deadline(hourMs, this.#stopping.signal);
    const gone = await Promise.all(this.#options.replicas.map((replica) => replica.expire(beforeMs, soon)));
    return Math.max(0, ...gone);
  }

  /** Waits until every copy has everything. @throws Problem, retryable, if that takes longer */
  async drain(timeoutMs: number): Promise<void> {
    const isDone = () => !this.#spool.accounts().some(({ pending }) => pending > 0);
    if (await this.#waitUntil(isDone, timeoutMs)) return;
    throw new Problem("a copy still lacks points", { fix: "see bellwether replicas status", retryable: true });
  }

  /** Waits until every copy has all that was written before the call. @returns false: that takes longer */
  async arrived(timeoutMs: number): Promise<boolean> {
    const written = this.#spool.lastSeq;
    return this.#waitUntil(() => this.#spool.handedOver() >= written, timeoutMs).catch(() => false);
  }

  /** @returns false: that takes longer @throws where the store is closed meanwhile */
  async #waitUntil(holds: () => boolean, timeoutMs: number): Promise<boolean> {
    for (let waitedMs = 0; !holds(); waitedMs += drainLookMs) {
      if (waitedMs >= timeoutMs) return false;
      await this.#deps.timer.sleep(drainLookMs, this.#stopping.signal);
    }
    return true;
  }

  async #keepUp(signal: AbortSignal): Promise<void> {
    const { timer, log } = this.#deps;
    for (let round = 1; !signal.aborted; round += 1) {
      await timer.sleep(upkeepMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        if (round % roundsUntilRelearnt === 0) await this.#relearn(signal);
        await this.#spool.trim();
        await this.#complete(deadline(firstLookMs, signal));
        await this.#catalogue.save();
      } catch (thrown) {
        log.warn({ err: thrown }, `the spool's upkeep: ${messageOf(thrown)}`);
      }
    }
  }

  /** Forgets the kind of fields that no server has any more: the way back from a wrong first value. */
  async #relearn(signal: AbortSignal): Promise<void> {
    const { replicas } = this.#options;
    if (!replicas.every(({ name }) => this.#isWell(name))) return;
    const upToSeq = this.#spool.handedOver();
    const fields = await Promise.all(replicas.map((replica) => replica.fields(deadline(firstLookMs, signal))));
    this.#catalogue.relearn(fields, upToSeq);
  }

  /** Raw points that a copy lacks. */
  pendingPoints(target: string): number {
    return this.#spool.pendingPoints(target, "");
  }

  // ---- looking on, and helping --------------------------------------------------------------------------------

  status(): ReplicasStatus {
    return statusOf({
      replicas: this.#options.replicas,
      spool: this.#spool,
      windows: this.#windows,
      lanes: this.#lanes,
      pulses: this.#pulses,
      repairFault: this.#repairer.fault,
      nowMs: this.#deps.clock.nowMs(),
    });
  }

  /** What somebody must mend, for {@link Alerting.tellConditions}. */
  conditions(): Condition[] {
    return conditionsOf(this.status(), this.#deps.clock.nowMs());
  }

  /** TGT-001, TGT-002: what is wrong with the servers together. */
  faults(): Problem[] {
    return setUpFaults(this.status());
  }

  /** Asks each server how it is, and writes nothing: for {@link status} of a mirror that only reads. */
  async glance(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#pulses.values()].map((pulse) => pulse.glance(signal)));
  }

  /** What each copy has of one measurement, as {@link Replica.summarize} says it. */
  async summaries(
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
  ): Promise<{ readonly name: string; readonly pieces: readonly PieceSummary[] }[]> {
    return Promise.all(
      this.#options.replicas.map(async (replica) => {
        return { name: replica.name, pieces: await replica.summarize(measurement, window, everyMs, signal) };
      }),
    );
  }

  compare(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#repairer.compare(window, deep, signal);
  }

  repair(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#repairer.repair(window, deep, signal);
  }

  shelf(filter: { target?: string | undefined; limit: number }): ShelfEntry[] {
    return this.#spool.shelf(filter);
  }

  /**
   * Sends what is on the shelf once more; what is refused again stays, with its newest reason.
   * @throws Problem, retryable, if a copy takes nothing at all; the others have been tried
   */
  async requeue(target: string | undefined, signal: AbortSignal): Promise<{ taken: number; left: number }> {
    const counts = { taken: 0, left: 0 };
    const silent = new Map<string, string>();
    for (const replica of this.#options.replicas.filter(({ name }) => target === undefined || name === target)) {
      const entries = this.#spool.shelf({ target: replica.name, expired: false, limit: Number.MAX_SAFE_INTEGER });
      for (const [, own] of Map.groupBy(entries, ({ bucket }) => bucket)) {
        const reason = await this.#offer(replica, own, counts, signal);
        if (reason === null) continue;
        silent.set(replica.name, reason);
        break;
      }
    }
    if (silent.size === 0) return counts;
    const reasons = [...silent].map(([name, reason]) => `${name} takes nothing: ${reason}`);
    const done = counts.taken === 0 ? "" : ` (${counts.taken} points were taken)`;
    throw new Problem(`${reasons.join("; ")}${done}`, { retryable: true, fix: "see bellwether replicas status" });
  }

  /**
   * What is taken is compared again: a newer value may have come meanwhile.
   * @param entries of one bucket
   * @returns why the copy takes nothing at all; null: it took them, or refused them for what they are
   */
  async #offer(
    replica: Replica,
    entries: readonly ShelfEntry[],
    counts: { taken: number; left: number },
    signal: AbortSignal,
  ): Promise<string | null> {
    for (let start = 0; start < entries.length; start += requeuePoints) {
      const piece = entries.slice(start, start + requeuePoints);
      const bucket = piece[0]?.bucket ?? "";
      const send = (body: Uint8Array) => replica.send(bucket, body, deadline(requeueTimeoutMs, signal));
      const lines = linesOf(piece.map(({ line }) => `${line}\n`).join(""));
      const outcome = await deliver(lines, send).catch((thrown: unknown) => {
        if (thrown instanceof Halted) return thrown.answer;
        throw thrown;
      });
      signal.throwIfAborted();
      if ("kind" in outcome) return outcome.reason;
      const left = new Set(outcome.refused.map(({ line }) => line));
      this.#spool.unshelve(piece.filter(({ line }) => !left.has(line)));
      const taken = lines.filter(({ text }) => !left.has(text)).map(({ point }) => point);
      if (bucket === "") this.#windows.reopen(windowsOf(taken), this.#deps.clock.nowMs());
      counts.taken += taken.length;
      counts.left += left.size;
    }
    return null;
  }

  /** The oldest slots first; `after` pages on. */
  gaps(limit: number, after?: Pick<Gap, "sampler" | "slotMs">): Gap[] {
    return this.#spool.gaps(limit, after);
  }

  dropGap(gap: Pick<Gap, "sampler" | "slotMs">): void {
    this.#spool.dropGap(gap);
  }

  /** Whether there is room for points that were refused before, and for the next ones too. */
  get hasRoom(): boolean {
    return this.#spool.usedBytes() < roomyShare * this.#spool.bytesMax;
  }

  /** Looks, compares and repairs at once, rather than when its time comes: for commands and tests. */
  async tendNow(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#pulses.values()].map((pulse) => pulse.beat(signal)));
    await this.#repairer.verify(signal);
    await this.#repairer.sweep(signal);
  }

  measures(): Measure[] {
    const { points, rejected } = this.#counts;
    return [
      counter("store_points_written", "Points stored.", points),
      counter("store_points_rejected", "Points that can never be stored.", rejected),
      gauge("store_series", "Series known.", this.#catalogue.seriesCount),
      ...statusMeasures(this.status()),
      ...this.#spool.measures(),
      ...this.#router.measures(),
      ...this.#repairer.measures(),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#work);
    try {
      if (this.#work.length > 0) await this.#catalogue.save();
    } finally {
      for (const replica of this.#options.replicas) await replica[Symbol.asyncDispose]();
      this.#spool.close();
    }
  }
}
