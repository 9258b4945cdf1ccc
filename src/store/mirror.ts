/**
 * The store that keeps every point on several InfluxDBs:
 *
 *   write -> validate, encode -> Spool (on the disk: done) -> a Lane per target and bucket -> Replica
 *   read  -> Router -> a clean Replica, and from the Spool what it lacks
 *            Pulse per target: is it well, was it restarted or emptied
 *            Repairer: compare, write what is lacking, seal
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Condition, Point, TimeWindow } from "../core/model.ts";
import type {
  Bucket,
  Clock,
  KnownSeries,
  Log,
  Measure,
  Measured,
  Origin,
  Reading,
  ReadQuery,
  Rejection,
  Replica,
  ReplicasStatus,
  TimeSeriesStore,
} from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { dayMs, deadline, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { Catalogue } from "./catalogue.ts";
import { conditionsOf, setUpFaults } from "./conditions.ts";
import { defaultPace, Lane, type Pace } from "./lane.ts";
import { lineOf, refusal, seriesKey } from "./line.ts";
import { Pulse } from "./pulse.ts";
import { type Found, Repairer } from "./repair.ts";
import { Router } from "./router.ts";
import { type Gap, type NewBatch, type ShelfEntry, Spool } from "./spool.ts";
import { Windows, windowsOf } from "./windows.ts";

/** Points and characters of one batch of the log; some 400 KB when packed. */
const batchPointsMax = 5_000;
const batchCharsMax = 3_000_000;
/** How long a write of low priority is made to wait while room is short. */
const heldUpMs = 2 * secondMs;
const upkeepMs = minuteMs;
/** How long a start waits for servers to say how they are. */
const firstLookMs = 8 * secondMs;
const requeueTimeoutMs = 10 * secondMs;

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

const pack = promisify(gzip);

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
    const spool = new Spool({
      file: options.file,
      readOnly,
      targets: replicas.map(({ name }) => name),
      buckets: buckets.map(({ name }) => name),
      bytesMax: options.spoolBytesMax,
      clock,
      log,
      ...(onBroken === undefined ? {} : { onBroken }),
    });
    const windows = new Windows(spool);
    const catalogue = new Catalogue(spool);
    this.#spool = spool;
    this.#windows = windows;
    this.#catalogue = catalogue;
    this.#lanes = replicas.flatMap((target) =>
      buckets.map(({ name: bucket }) => new Lane({ target, bucket, spool, windows, clock, timer, pace, log })),
    );
    this.#pulses = new Map(
      replicas.map((target) => {
        const onMended = () => this.#nudge(target.name);
        return [target.name, new Pulse({ target, buckets, spool, catalogue, clock, timer, pace, log, onMended })];
      }),
    );
    this.#router = new Router({ replicas, spool, windows, timer, isWell: (name) => this.#isWell(name) });
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
      rollsUp: (name) => this.#pulses.get(name)?.health.rollsUp ?? false,
      append: (bucket, points) => this.#append(bucket, points),
    });
  }

  async #begin(): Promise<void> {
    const { signal } = this.#stopping;
    if (this.#options.readOnly) return;
    const soon = deadline(firstLookMs, signal);
    await Promise.all([...this.#pulses.values()].map((pulse) => pulse.beat(soon)));
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
    const nowMs = this.#deps.clock.nowMs();
    const rejected: Rejection[] = [];
    const taken: { key: string; point: Point }[] = [];
    for (const [index, point] of points.entries()) {
      const reason = refusal(point) ?? this.#catalogue.conflict(point);
      if (reason !== null) {
        rejected.push({ index, reason });
        continue;
      }
      this.#catalogue.claim(point, origin, nowMs);
      taken.push({ key: seriesKey(point), point });
    }
    await this.#spool.append(await batchesOf("", taken), origin);
    for (const { key, point } of taken) this.#catalogue.note(key, point);
    this.#counts.points += taken.length;
    this.#counts.rejected += rejected.length;
    for (const lane of this.#lanes) if (lane.bucket === "") lane.nudge();
    return { rejected };
  }

  /** Points of a coarser bucket. */
  async #append(bucket: string, points: readonly Point[]): Promise<void> {
    const taken = points.filter((point) => refusal(point) === null).map((point) => ({ key: seriesKey(point), point }));
    if (taken.length === 0) return;
    await this.#spool.append(await batchesOf(bucket, taken));
    for (const lane of this.#lanes) if (lane.bucket === bucket) lane.nudge();
  }

  read(query: ReadQuery): Promise<Reading> {
    return this.#router.read(query);
  }

  async list(query: {
    measurement?: string | undefined;
    sinceMs?: number | undefined;
  }): Promise<readonly KnownSeries[]> {
    if (!this.#catalogue.complete) await this.#complete(deadline(firstLookMs, this.#stopping.signal)).catch(() => {});
    return this.#catalogue.list(query);
  }

  /** Learns from a server which series there are: after the first start, or where the record of them was lost. */
  async #complete(signal: AbortSignal): Promise<void> {
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

  /** Raw points that are kept for ever otherwise; what has a retention policy goes by it. */
  async expire(beforeMs: number): Promise<number> {
    this.#catalogue.expire(beforeMs);
    if (this.#options.keepRawMs !== null) return 0;
    const soon = deadline(hourMs, this.#stopping.signal);
    const gone = await Promise.all(this.#options.replicas.map((replica) => replica.expire(beforeMs, soon)));
    return Math.max(0, ...gone);
  }

  async #keepUp(signal: AbortSignal): Promise<void> {
    const { timer, log } = this.#deps;
    while (!signal.aborted) {
      await timer.sleep(upkeepMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        this.#spool.trim();
        await this.#complete(deadline(firstLookMs, signal));
        this.#catalogue.save();
      } catch (thrown) {
        log.warn({ err: thrown }, `the spool's upkeep: ${messageOf(thrown)}`);
      }
    }
  }

  // ---- looking on, and helping --------------------------------------------------------------------------------

  status(): ReplicasStatus {
    const { replicas } = this.#options;
    const accounts = this.#spool.accounts();
    const { unsealed, differing, dirty } = this.#windows.counts();
    return {
      spool: {
        bytes: this.#spool.usedBytes(),
        bytesMax: this.#spool.bytesMax,
        freeBytes: this.#spool.freeBytes(),
        gaps: this.#spool.gapCount,
        unsealedWindows: unsealed,
        differingWindows: differing,
        undecided: this.#windows.differing(20).map(({ differs }) => differs ?? ""),
        repairFault: this.#repairer.lastError,
      },
      replicas: replicas.map((replica) => {
        const health = (this.#pulses.get(replica.name) as Pulse).health;
        const lanes = this.#lanes.filter(({ target }) => target === replica.name);
        const raw = accounts.find(({ target, bucket }) => target === replica.name && bucket === "");
        const note = this.#spool.target(replica.name);
        return {
          name: replica.name,
          place: replica.place,
          well: health.well,
          reason: health.reason,
          faults: health.faults,
          facts: health.facts,
          lanes: lanes.map(({ bucket, state, counts }) => ({
            bucket,
            ...counts,
            state: state.kind,
            reason: "reason" in state ? state.reason : null,
            sinceMs: "sinceMs" in state ? state.sinceMs : null,
          })),
          accounts: accounts.filter(({ target }) => target === replica.name),
          lagMs: raw?.oldestMs == null ? 0 : Math.max(0, this.#deps.clock.nowMs() - raw.oldestMs),
          dirtyWindows: dirty.get(replica.name) ?? 0,
          shelf: this.#spool.shelfRows(replica.name),
          verifyReason: note.verifyReason,
          verifiedFromMs: note.verifiedFromMs,
          repairedMs: note.repairedMs,
        };
      }),
    };
  }

  /** What somebody must mend, for {@link Alerting.tellConditions}. */
  conditions(): Condition[] {
    return conditionsOf(this.status(), this.#deps.clock.nowMs());
  }

  /** TGT-001, TGT-002: what is wrong with the servers together. */
  faults(): Problem[] {
    return setUpFaults(this.status());
  }

  compare(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<Found> {
    return this.#repairer.compare(window, deep, signal);
  }

  repair(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<Found> {
    return this.#repairer.repair(window, deep, signal);
  }

  shelf(filter: { target?: string | undefined; limit: number }): ShelfEntry[] {
    return this.#spool.shelf(filter);
  }

  /** Sends what is on the shelf once more; what is refused again stays, with its newest reason. */
  async requeue(target: string | undefined, signal: AbortSignal): Promise<{ taken: number; left: number }> {
    const counts = { taken: 0, left: 0 };
    for (const entry of this.#spool.shelf({ target, expired: false, limit: Number.MAX_SAFE_INTEGER })) {
      const replica = this.#options.replicas.find(({ name }) => name === entry.target);
      if (replica === undefined) continue;
      const answer = await replica.send(
        entry.bucket,
        await pack(`${entry.line}\n`),
        deadline(requeueTimeoutMs, signal),
      );
      if (answer.kind === "stored") this.#spool.unshelve([entry]);
      counts[answer.kind === "stored" ? "taken" : "left"] += 1;
      if (answer.kind === "unknown" || answer.kind === "stuck" || answer.kind === "operator") {
        throw new Problem(`${target ?? entry.target} takes nothing: ${answer.reason}`, {
          retryable: true,
          fix: "see bellwether replicas status",
        });
      }
    }
    return counts;
  }

  gaps(limit: number): Gap[] {
    return this.#spool.gaps(limit);
  }

  dropGap(gap: Pick<Gap, "sampler" | "slotMs">): void {
    this.#spool.dropGap(gap);
  }

  /** Whether points of medium priority are taken again. */
  get hasRoom(): boolean {
    return !this.#spool.heldUp;
  }

  /** Looks, compares and repairs at once, rather than when its time comes: for commands and tests. */
  async tendNow(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#pulses.values()].map((pulse) => pulse.beat(signal)));
    await this.#repairer.verify(signal);
    await this.#repairer.sweep(signal);
  }

  measures(): Measure[] {
    const { counts } = this.#windows;
    const { unsealed, differing, dirty } = counts.call(this.#windows);
    const status = this.status();
    return [
      {
        name: "bellwether_store_points_written_total",
        help: "Points stored.",
        kind: "counter",
        value: this.#counts.points,
      },
      {
        name: "bellwether_store_points_rejected_total",
        help: "Points that can never be stored.",
        kind: "counter",
        value: this.#counts.rejected,
      },
      { name: "bellwether_store_series", help: "Series known.", kind: "gauge", value: this.#catalogue.seriesCount },
      {
        name: "bellwether_replica_windows_unsealed",
        help: "Windows of five minutes yet to be compared.",
        kind: "gauge",
        value: unsealed,
      },
      {
        name: "bellwether_replica_windows_undecided",
        help: "Windows that differ, and nobody knows which copy is right.",
        kind: "gauge",
        value: differing,
      },
      ...status.replicas.flatMap(({ name: target, well, lagMs, shelf, verifyReason, lanes }): Measure[] => [
        {
          name: "bellwether_replica_up",
          help: "1: a canary went in and came out again.",
          kind: "gauge",
          value: Number(well === true),
          labels: { target },
        },
        {
          name: "bellwether_replica_lag_seconds",
          help: "Age of the oldest batch that it lacks.",
          kind: "gauge",
          value: lagMs / secondMs,
          labels: { target },
        },
        {
          name: "bellwether_replica_shelf_points",
          help: "Different points that it refused.",
          kind: "gauge",
          value: shelf,
          labels: { target },
        },
        {
          name: "bellwether_replica_windows_dirty",
          help: "Windows in which its answers were unclear.",
          kind: "gauge",
          value: dirty.get(target) ?? 0,
          labels: { target },
        },
        {
          name: "bellwether_replica_in_doubt",
          help: "1: all that it stores is being compared.",
          kind: "gauge",
          value: Number(verifyReason !== null),
          labels: { target },
        },
        ...lanes.flatMap(({ bucket, requests, failures, requestSeconds, state }): Measure[] => {
          const labels = { target, bucket: bucket === "" ? "raw" : bucket };
          return [
            {
              name: "bellwether_lane_requests_total",
              help: "Requests to write.",
              kind: "counter",
              value: requests,
              labels,
            },
            {
              name: "bellwether_lane_failures_total",
              help: "Of them, those that were not stored.",
              kind: "counter",
              value: failures,
              labels,
            },
            {
              name: "bellwether_lane_request_seconds_total",
              help: "Time spent on them.",
              kind: "counter",
              value: requestSeconds,
              labels,
            },
            {
              name: "bellwether_lane_parked",
              help: "1: somebody has to mend the server first.",
              kind: "gauge",
              value: Number(state === "parked"),
              labels,
            },
          ];
        }),
      ]),
      ...this.#spool.measures(),
      ...this.#router.measures(),
      ...this.#repairer.measures(),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#work);
    if (this.#work.length > 0) this.#catalogue.save();
    for (const replica of this.#options.replicas) await replica[Symbol.asyncDispose]();
    this.#spool.close();
  }
}

/** Raw points, and what they are summed into. A shard holds a day or a week, as InfluxDB itself would choose. */
export function bucketsOf({ keepRawMs, keepMs }: Pick<MirrorOptions, "keepRawMs" | "keepMs">): Bucket[] {
  const coarser = (name: string, everyMs: number): Bucket => ({ name, everyMs, keepMs, shardMs: 7 * dayMs });
  return [
    { name: "", everyMs: null, keepMs: keepRawMs, shardMs: keepRawMs === null ? 7 * dayMs : dayMs },
    coarser("bellwether_10m", 10 * minuteMs),
    coarser("bellwether_1h", hourMs),
  ];
}

async function batchesOf(bucket: string, taken: readonly { key: string; point: Point }[]): Promise<NewBatch[]> {
  const pieces: { text: string; points: Point[] }[] = [];
  for (const { key, point } of taken) {
    let piece = pieces.at(-1);
    if (piece === undefined || piece.points.length === batchPointsMax || piece.text.length >= batchCharsMax) {
      piece = { text: "", points: [] };
      pieces.push(piece);
    }
    piece.text += `${lineOf(key, point)}\n`;
    piece.points.push(point);
  }
  return Promise.all(
    pieces.map(async ({ text, points }) => {
      const windows = bucket === "" ? windowsOf(points) : [];
      return { bucket, body: await pack(text, { level: 1 }), points: points.length, windows };
    }),
  );
}
