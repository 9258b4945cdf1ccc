/** The contracts between Bellwether and the world. An adapter is one file that fulfils one of them. */
import type { ZodType } from "zod";
import type { Connection } from "./definitions.ts";
import type { Matcher } from "./labels.ts";
import type { FieldValue, Labels, Message, Point, Priority, Receipt, Row, SeriesId, TimeWindow } from "./model.ts";
import type { Problem } from "./problem.ts";

/** Time is passed in. A sleep ends early, by throwing the signal's reason, when the signal aborts. */
export interface Clock {
  nowMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Tells what happened inside; lines are structured, never hold secrets, and are not for users' mistakes. */
export interface Log {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/** Reads what happened in `[fromMs, toMs)`. Throws Problem; retryable only if the same call could succeed later. */
export interface Source extends AsyncDisposable {
  read(window: TimeWindow, signal: AbortSignal): Promise<SourceAnswer>;
  /**
   * What the system that is asked says of itself and of this read, under the same limits and without the read itself:
   * for `try`, `check --connect` and `doctor`. @throws Problem if it cannot be asked
   */
  inspect(window: TimeWindow, signal: AbortSignal): Promise<SourceFacts>;
}

export type SourceAnswer = { readonly rows: readonly Row[]; readonly cost: SourceCost };

/** What a read cost the system that was asked. */
export type SourceCost = {
  /** How long it worked or was waited for, ms; waiting for a place in a pool of ours is not in it. */
  readonly serverMs: number;
  /** Rows or documents that it had to go through; null if it does not tell. */
  readonly rowsRead: number | null;
};

export type SourceFacts = {
  /** What answers and where, without user and password: `PostgreSQL 15.8 at db.example:5432/shop`. */
  readonly server: string;
  /** Its clock less ours; null if it does not tell. */
  readonly clockAheadMs: number | null;
  /** Tables or indices that the read names, and about how many rows each has; null if it does not tell. */
  readonly tables: readonly { readonly name: string; readonly rows: number | null }[];
  /** What it expects one read to take: rows to go through, and a cost in its own unit; null if it does not tell. */
  readonly estimate: { readonly rows: number; readonly cost: number | null } | null;
  /** What is wrong or unwise: an account that may write, a time condition that no index serves. */
  readonly problems: readonly Problem[];
};

/** One series' values in the windows asked for, ascending in time. Times and values have the same length. */
export type Series = SeriesId & { readonly timesMs: readonly number[]; readonly values: readonly FieldValue[] };

export type ReadQuery = {
  readonly measurement: string;
  readonly fields: readonly string[];
  /** Matchers over tags; absent or empty: every series. */
  readonly tags?: readonly Matcher[] | undefined;
  /** Ascending, not overlapping. */
  readonly windows: readonly TimeWindow[];
};

/** A series the store knows, and the time of its latest point. */
export type KnownSeries = SeriesId & {
  readonly lastMs: number;
  /**
   * Time of its latest number other than zero, epoch ms; null if the store has none, or its values are no numbers. A
   * value that a zero has replaced since may still count.
   */
  readonly lastNonzeroMs: number | null;
};

export type Rejection = { readonly index: number; readonly reason: string };

/** What a read found. */
export type Reading = {
  /** Series without values in the windows are left out. */
  readonly series: readonly Series[];
  /**
   * True: newer values may be missing, or older ones differ, because only a copy that is behind could be asked. Who
   * decides by it says `unknown`; who shows it says so.
   */
  readonly stale: boolean;
};

/** Whose points a write carries: named where a field's type conflicts, or where there is no room for them. */
export type Origin = { readonly sampler: string; readonly priority: Priority; readonly slotMs: number };

/** Writing equal points twice changes nothing. A throw means "unknown, keep all"; `rejected` will never succeed. */
export interface TimeSeriesStore extends AsyncDisposable {
  /** True: each read costs a request over the network, so few large ones are better than many small ones. Absent: false. */
  readonly farAway?: boolean;
  /** @param origin absent: nobody in particular, of medium priority */
  write(points: readonly Point[], origin?: Origin): Promise<{ rejected: readonly Rejection[] }>;
  /** Many series, many windows, one call: judging a slot of 5,000 series must not be 5,000 queries. */
  read(query: ReadQuery): Promise<Reading>;
  /** What is there; `measurement` absent: everything. Series whose latest point is before `sinceMs` are left out. */
  list(query: { measurement?: string | undefined; sinceMs?: number | undefined }): Promise<readonly KnownSeries[]>;
  /** Forgets points before `beforeMs`; returns how many field values went. */
  expire(beforeMs: number): Promise<number>;
}

/**
 * One of several servers that are to hold the same series. It only carries: order, retries, health and what to do about
 * an answer are the caller's. `bucket` is the retention policy that points go to; `""` is the one of raw points.
 */
export interface Replica extends AsyncDisposable {
  /** Short name, as settings give it: letters, digits and `-`. */
  readonly name: string;
  /** Where it is, without user and password. */
  readonly place: string;
  /**
   * One request. Never throws: whatever becomes of it is an answer.
   * @param body line protocol, times in ms, one or more gzip members one after the other, each ending in a line break
   */
  send(bucket: string, body: Uint8Array, signal: AbortSignal): Promise<Answer>;
  /** As {@link TimeSeriesStore.read}, from this server alone. @throws Problem, retryable if it may answer later */
  read(query: ReadQuery, signal: AbortSignal): Promise<readonly Series[]>;
  /** As {@link TimeSeriesStore.list}, from this server alone. */
  list(
    query: { measurement?: string | undefined; sinceMs?: number | undefined },
    signal: AbortSignal,
  ): Promise<readonly KnownSeries[]>;
  /** Fields and the kind of their values, of everything that is stored. */
  fields(signal: AbortSignal): Promise<readonly FieldType[]>;
  /**
   * All points of one measurement in a window, fields of one point together. For comparing, row by row.
   * @param bucket default: that of raw points
   */
  points(measurement: string, window: TimeWindow, signal: AbortSignal, bucket?: string): Promise<readonly Point[]>;
  /**
   * What there is of one measurement, in pieces of `everyMs` aligned to the epoch; empty pieces are left out.
   * @param bucket default: that of raw points
   */
  summarize(
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
    bucket?: string,
  ): Promise<readonly PieceSummary[]>;
  /**
   * Sums and means of each number of each series in pieces of `everyMs`, as points with fields `sum_<field>` and
   * `mean_<field>`. For servers that cannot down-sample by themselves.
   */
  rollUp(measurement: string, window: TimeWindow, everyMs: number, signal: AbortSignal): Promise<readonly Point[]>;
  /** Has the server do that by itself, into another bucket; false if it cannot. */
  rollUpInto(
    bucket: string,
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** Forgets points of the raw bucket before `beforeMs`; returns how many field values went. */
  expire(beforeMs: number, signal: AbortSignal): Promise<number>;
  /** Makes what is missing of database, buckets and the server's own down-sampling. @throws Problem if it may not */
  prepare(buckets: readonly Bucket[], signal: AbortSignal): Promise<{ readonly rollsUp: boolean }>;
  /** Version, buckets, rights, start: for health, `doctor` and the console. @throws Problem if it does not answer */
  inspect(signal: AbortSignal): Promise<ReplicaFacts>;
  /** Writes one canary point to the current shard and reads it back. */
  probe(timeMs: number, signal: AbortSignal): Promise<Answer>;
  /** Whether the canary point that {@link probe} wrote at that time is still there. */
  holdsCanary(timeMs: number, signal: AbortSignal): Promise<boolean>;
}

/** What became of a request to write. */
export type Answer =
  | { readonly kind: "stored" }
  /** It may be stored or not: the same bytes are to be sent again. */
  | { readonly kind: "unknown"; readonly reason: string }
  /** The server's disk is full. An InfluxDB 1.x goes on refusing after room was made, until it is restarted. */
  | { readonly kind: "stuck"; readonly reason: string }
  /** Nothing of it can be stored before somebody mends the server's set-up, its rights or its limits. */
  | { readonly kind: "operator"; readonly reason: string }
  /** The body is too large for the server. */
  | { readonly kind: "size"; readonly reason: string }
  /** Some points can never be stored; the others may or may not have been. */
  | { readonly kind: "refused"; readonly reason: string; readonly culprit: Culprit | null }
  /** Some points are older than the server keeps them; the others were stored. */
  | { readonly kind: "expired"; readonly reason: string; readonly beforeMs: number | null };

/** Which points of a body a refusal means: a line as the server quotes it, or every point with such a field. */
export type Culprit =
  | { readonly kind: "line"; readonly text: string }
  | {
      readonly kind: "field";
      readonly measurement: string;
      readonly field: string;
      /** The kind of value that it was given and does not take; null if the server does not tell. */
      readonly given: FieldKind | null;
    };

/** Numbers are floats, in every server. `other`: a kind that we never write, as integers are. */
export type FieldKind = "number" | "text" | "boolean";
export type FieldType = { readonly measurement: string; readonly field: string; readonly kind: FieldKind | "other" };

/** Count, sum, least and greatest of one field over all series in one piece of time; of texts the count alone. */
export type FieldSummary = {
  readonly field: string;
  readonly count: number;
  readonly sum: number | null;
  readonly min: number | null;
  readonly max: number | null;
};
export type PieceSummary = { readonly startMs: number; readonly fields: readonly FieldSummary[] };

/** A retention policy. `keepMs` null: for ever. `everyMs` null: raw points, else pieces that are summed into it. */
export type Bucket = {
  readonly name: string;
  readonly keepMs: number | null;
  readonly shardMs: number;
  readonly everyMs: number | null;
};

export type ReplicaFacts = {
  /** As the server names it, `1.6.7`. */
  readonly version: string;
  /** When the server was started; null if it does not tell. */
  readonly startedMs: number | null;
  /** Clock of the server less ours; null if it does not tell. */
  readonly clockAheadMs: number | null;
  /** Different for two servers, the same for two addresses of one; null if it does not tell. */
  readonly identity: string | null;
  readonly databaseExists: boolean;
  readonly buckets: readonly {
    readonly name: string;
    readonly keepMs: number | null;
    readonly shardMs: number | null;
  }[];
  /** `admin` may do more than it needs. */
  readonly rights: "admin" | "all" | "write" | "read" | "none" | "unknown";
  /** What its data take on its disk; null if it does not tell. */
  readonly diskBytes: number | null;
};

/** How the copies are, for `replicas status`, the console and the conditions that people are told of. */
export type ReplicasStatus = {
  readonly spool: {
    readonly bytes: number;
    readonly bytesMax: number;
    /** Free on the disk that it lies on. */
    readonly freeBytes: number;
    /** Slots whose points had no room, or were lost, and that have not been sampled again. */
    readonly gaps: number;
    /** Windows of five minutes yet to be compared. */
    readonly unsealedWindows: number;
    /** Windows that differ, and nothing tells which copy is right; of some of them, how. */
    readonly differingWindows: number;
    readonly undecided: readonly string[];
    /** Why the latest comparison was not made, and since when none is; null if it was. */
    readonly repairFault: string | null;
    readonly repairFaultSinceMs: number | null;
  };
  readonly replicas: readonly ReplicaStatus[];
};

export type ReplicaStatus = {
  readonly name: string;
  readonly place: string;
  /** Whether a canary went in and came out again; null: nobody has asked yet. */
  readonly well: boolean | null;
  readonly reason: string | null;
  /** What is wrong with its set-up, as sentences. */
  readonly faults: readonly string[];
  readonly facts: ReplicaFacts | null;
  readonly lanes: readonly LaneStatus[];
  /** Where every point is, by bucket: spooled = acknowledged + pending + shelved + expired. */
  readonly accounts: readonly PointAccount[];
  /** Age of the oldest batch that it lacks. */
  readonly lagMs: number;
  /** Windows in which its answers were unclear. */
  readonly dirtyWindows: number;
  /** Different points that it refused. */
  readonly shelf: number;
  /** Why all that it stores is being compared, and from when on it has been; null: it is not. */
  readonly verifyReason: string | null;
  readonly verifiedFromMs: number | null;
  /** When points were last written to it by repair. */
  readonly repairedMs: number | null;
};

export type LaneStatus = {
  /** `""`: raw points. */
  readonly bucket: string;
  readonly state: "idle" | "sending" | "failing" | "stuck" | "parked";
  readonly reason: string | null;
  readonly sinceMs: number | null;
  /** When its latest trouble ended; null: it has had none. */
  readonly mendedMs: number | null;
  readonly requests: number;
  readonly points: number;
  readonly failures: number;
  readonly requestSeconds: number;
};

/** Where every point of one target and bucket is. */
export type PointAccount = {
  readonly target: string;
  readonly bucket: string;
  readonly spooled: number;
  readonly acknowledged: number;
  readonly pending: number;
  readonly shelved: number;
  readonly expired: number;
  /** Points that lie in the log behind the cursor, counted one batch after the other: must be `pending`. */
  readonly inLog: number;
  /** When the oldest of them was spooled, epoch ms; null if there is none. */
  readonly oldestMs: number | null;
};

/** What a comparison of the copies found, and what a repair did about it. */
export type ComparisonFound = {
  /** Windows of five minutes that were looked at, of all measurements together. */
  readonly windows: number;
  /** Windows in which copies differed. */
  readonly differing: readonly { readonly measurement: string; readonly startMs: number }[];
  /** Points written to copies that lacked them or had another value. */
  readonly repaired: number;
  /** What nobody could decide, as sentences. */
  readonly undecided: readonly string[];
};

/** A point that a copy does not take. */
export type ShelfEntry = {
  readonly id: number;
  readonly target: string;
  readonly bucket: string;
  /** Line protocol, times in ms. */
  readonly line: string;
  /**
   * True: older than the server keeps points; it will not be taken whatever is mended. One entry stands for all such
   * points of a measurement, and `line` is the newest of them.
   */
  readonly expired: boolean;
  readonly reason: string;
  readonly firstMs: number;
  readonly lastMs: number;
  /** How often this very point was refused; of those that are too old, how many there were. */
  readonly count: number;
};

/** Delivers once or throws Problem; returns the provider's receipt. Grouping, dedupe and retry are the caller's. */
export interface Notifier extends AsyncDisposable {
  /** True if sending a message with the same id again gives no second message. Absent: false. */
  readonly idempotent?: boolean;
  /** Whether it could send, without sending; a few words about where to. Throws Problem. For `doctor`. */
  check?(): Promise<string>;
  send(message: Message, signal: AbortSignal): Promise<Receipt>;
}

/** Work to do. Ids hold letters, digits, "-" and "_"; a job must survive `JSON.parse(JSON.stringify(job))`. */
export type Job =
  /** Look for a slot of this sampler to run. `share`: which part of all samplers it belongs to, 0 to {@link shareCount}. */
  | {
      readonly kind: "sample";
      readonly id: string;
      readonly sampler: string;
      readonly startMs: number;
      readonly share: number;
    }
  /** Look for messages that are owed. */
  | { readonly kind: "notify"; readonly id: string };
export type JobOf<K extends Job["kind"]> = Extract<Job, { kind: K }>;

/** Parts that samplers are dealt into; the most workers that can have some of them. */
export const shareCount = 32;

/** At least once, in no promised order. A job whose id is waiting or running is ignored. */
export interface Queue extends AsyncDisposable {
  /**
   * @param options.priority jobs of a higher one go first. Default medium
   * @throws Problem, retryable, if the job is not taken; it never waits for a server that is away
   */
  add(job: Job, options?: { delayMs?: number; priority?: Priority }): Promise<void>;
  /**
   * Shares whose `sample` jobs this process handles from now on; jobs of others stay for whoever serves them. Those that
   * run go on to their end. Before the first call: none.
   */
  serve(shares: ReadonlySet<number>): void;
  /** Handles at most `concurrency` jobs of a kind at a time. A handler that throws is logged, never retried: SQL is the truth. */
  work<K extends Job["kind"]>(
    kind: K,
    concurrency: number,
    handle: (job: JobOf<K>, signal: AbortSignal) => Promise<void>,
  ): void;
  /** For `/metrics`. */
  depth(): { readonly waiting: number; readonly running: number };
}

/** What a source is given at its making. Relative files of a connection lie in the data folder. */
export type SourceDeps = {
  readonly connections: ReadonlyMap<string, Connection>;
  readonly dataDir: string;
  /** What a reference (`env:NAME`, `file:PATH`) stands for; throws Problem CFG-013 without the value. */
  readonly secret: (reference: string) => string;
  /** True: what is unsafe is refused, where it is only warned of otherwise. */
  readonly production: boolean;
  readonly log: Log;
};

/** What a notifier is given at its making. */
export type NotifierDeps = { readonly clock: Clock; readonly log: Log };

/** A number about ourselves, for `/metrics`. Names follow Prometheus: `bellwether_slots_done_total`. */
export type Measure = {
  readonly name: string;
  readonly help: string;
  readonly kind: "counter" | "gauge";
  readonly value: number;
  readonly labels?: Labels | undefined;
};

/** Whatever holds a bound or counts something says so here; read at each scrape, so it must be quick. */
export interface Measured {
  measures(): readonly Measure[] | Promise<readonly Measure[]>;
}

/**
 * What an adapter file exports. `example` is YAML, shown in the docs and validated by a test, so it cannot rot.
 * `options` are strict: unknown keys are faults.
 */
export type Plugin<Port, Options, Deps> = {
  readonly kind: string;
  readonly summary: string;
  readonly example: string;
  readonly options: ZodType<Options>;
  /** For sources: strict options of the connection kinds it can use, `sqlite` to its schema. */
  readonly connections?: Readonly<Record<string, ZodType>>;
  create(options: Options, deps: Deps): Port;
  /** What is allowed but unwise in options that are valid. Pure. */
  warnings?(options: Options): readonly Problem[];
  /** For sources: whether a window that is over can still be read, through a connection of these options. Absent: it can. */
  isRepeatable?(options: Options, connection: Readonly<Record<string, unknown>>): boolean;
  /** For sources: reads of the same window whose options give the same text here are one read. Absent or null: no other's. */
  batch?(options: Options): string | null;
  /** Figures of what the ports made with the same `deps` object share. */
  measures?(deps: Deps): readonly Measure[];
};
