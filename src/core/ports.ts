/** The contracts between Bellwether and the world. An adapter is one file that fulfils one of them. */
import type { ZodType } from "zod";
import type { Connection } from "./definitions.ts";
import type { Matcher } from "./labels.ts";
import type { FieldValue, Labels, Message, Point, Receipt, Row, SeriesId, TimeWindow } from "./model.ts";
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
  read(window: TimeWindow, signal: AbortSignal): Promise<readonly Row[]>;
}

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

/** Writing equal points twice changes nothing. A throw means "unknown, keep all"; `rejected` will never succeed. */
export interface TimeSeriesStore extends AsyncDisposable {
  write(points: readonly Point[]): Promise<{ rejected: readonly { index: number; reason: string }[] }>;
  /** Many series, many windows, one call: judging a slot of 5,000 series must not be 5,000 queries. */
  read(query: ReadQuery): Promise<readonly Series[]>;
  /** What is there; `measurement` absent: everything. Series whose latest point is before `sinceMs` are left out. */
  list(query: { measurement?: string | undefined; sinceMs?: number | undefined }): Promise<readonly KnownSeries[]>;
  /** Forgets points before `beforeMs`; returns how many field values went. */
  expire(beforeMs: number): Promise<number>;
}

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
  | { readonly kind: "slot"; readonly id: string; readonly sampler: string; readonly startMs: number }
  | { readonly kind: "deliver"; readonly id: string };
export type JobOf<K extends Job["kind"]> = Extract<Job, { kind: K }>;

/** At least once, in no promised order. A job whose id is waiting or running is ignored. */
export interface Queue extends AsyncDisposable {
  add(job: Job, options?: { delayMs?: number }): Promise<void>;
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
  /** Figures of what the ports made with the same `deps` object share. */
  measures?(deps: Deps): readonly Measure[];
};
