/** Series in one SQLite file: the embedded store, for one process on one machine. */

import { statSync } from "node:fs";
import type Sqlite from "better-sqlite3";
import { z } from "zod";
import { counter, gauge } from "../../core/measure.ts";
import type { Point } from "../../core/model.ts";
import type {
  Clock,
  KnownSeries,
  Log,
  Measure,
  Measured,
  Plugin,
  Reading,
  ReadQuery,
  Rejection,
  TimeSeriesStore,
} from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { stopwatch } from "../../core/time.ts";
import {
  Catalogue,
  type Field,
  findRuns,
  type Run,
  type SeriesRow,
  seriesNumber,
  toSeries,
} from "./sqlite-catalogue.ts";
import { isDamage, type OwnFile, openOwnFile } from "./sqlite-file.ts";
import { type Cell, prepareStatements, type Statements, seriesVersions } from "./sqlite-statements.ts";

export const sqlite: Plugin<TimeSeriesStore & Measured, SqliteStoreOptions, StoreDeps> = {
  kind: "sqlite",
  summary: "Series in one SQLite file of the data folder; nothing to install",
  example: "sqlite: { file: series.db }",
  options: z.strictObject({
    file: z.string().min(1),
    readOnly: z.boolean().optional(),
    valuesMax: z.int().min(1).optional(),
  }),
  create: (options, deps) => new SqliteStore(options, deps),
};

export type SqliteStoreOptions = {
  /** Path of the file, made if it is not there; `:memory:` forgets everything at the end. */
  file: string;
  /** For looking on while another process writes; writing and expiring throw. Default false. */
  readOnly?: boolean | undefined;
  /** Values that one read may return. Default 2,000,000. */
  valuesMax?: number | undefined;
};

export type StoreDeps = { readonly clock: Clock; readonly log: Log };

/** Rows that one statement of reading may return, and one of expiring may delete: some ten milliseconds each. */
const pieceRows = 20_000;
/** How long a read may go on before others get their turn. */
const turnMs = 10;

/** Everything in it is synchronous, in pieces of some ten milliseconds; a slot is written in one piece. */
class SqliteStore implements TimeSeriesStore, Measured {
  readonly #path: string;
  readonly #readOnly: boolean;
  readonly #valuesMax: number;
  readonly #file: OwnFile<unknown>;
  readonly #database: Sqlite.Database;
  readonly #statements: Statements;
  #catalogue: Catalogue;
  #dataVersion: unknown;
  #sound = true;
  #valuesPeak = 0;
  #counts = { written: 0, rejected: 0, expired: 0, reads: 0, readSeconds: 0, writes: 0, writeSeconds: 0 };

  constructor(options: SqliteStoreOptions, deps: StoreDeps) {
    this.#path = options.file;
    this.#valuesMax = options.valuesMax ?? 2_000_000;
    this.#readOnly = options.readOnly ?? false;
    const format = { what: "series file", versions: seriesVersions };
    const own = { file: options.file, format, readOnly: this.#readOnly, ...deps };
    const file = openOwnFile(own, (database) => {
      const statements = prepareStatements(database);
      return { statements, catalogue: loadCatalogue(statements) };
    });
    this.#file = file;
    this.#database = file.database;
    this.#statements = file.loaded.statements;
    this.#catalogue = file.loaded.catalogue;
  }

  async write(points: readonly Point[]): Promise<{ rejected: readonly Rejection[] }> {
    const elapsedMs = stopwatch();
    const rejected: Rejection[] = [];
    this.#guard("write", () => {
      try {
        this.#database.transaction(() => this.#insert(points, rejected)).immediate();
      } catch (thrown) {
        // What was noted of new series has not come to be.
        this.#catalogue = this.#load();
        throw thrown;
      }
    });
    this.#counts.writes += 1;
    this.#counts.writeSeconds += elapsedMs() / 1_000;
    this.#counts.written += points.length - rejected.length;
    this.#counts.rejected += rejected.length;
    return { rejected };
  }

  /** Rows are gathered by field, because that is how they lie in the file: a third of the time of random order. */
  #insert(points: readonly Point[], rejected: Rejection[]): void {
    const batches = new Map<Field, Record<"series" | "latest" | "points", Cell[]>>();
    for (const [index, point] of points.entries()) {
      const reason = this.#catalogue.refusal(point);
      if (reason !== null) {
        rejected.push({ index, reason });
        continue;
      }
      const { measurement, number, tags } = this.#catalogue.place(point);
      for (const [name, value] of Object.entries(point.fields)) {
        const field = this.#catalogue.field(measurement, name, value);
        let batch = batches.get(field);
        if (batch === undefined) {
          batch = { series: [], latest: [], points: [] };
          batches.set(field, batch);
        }
        const id = seriesNumber(field, number);
        const noted = this.#catalogue.note(field, number, point.timeMs, value);
        if (noted === "new") batch.series.push(id, measurement.name, tags, name, field.kind);
        if (noted !== "earlier") batch.latest.push(id, field.latestMs[number] as number, quietMs(field, number));
        batch.points.push(point.timeMs, id, typeof value === "boolean" ? Number(value) : value);
      }
    }
    for (const batch of batches.values()) {
      this.#statements.insertSeries(batch.series);
      this.#statements.insertLatest(batch.latest);
      this.#statements.insertPoints(batch.points);
    }
  }

  /**
   * The series come by field as asked for, then by age. Never stale: there is no other copy.
   * @throws Problem if there are more than `valuesMax` values
   */
  async read(query: ReadQuery): Promise<Reading> {
    const elapsedMs = stopwatch();
    this.#refresh();
    const measurement = this.#catalogue.measurements.get(query.measurement);
    if (measurement === undefined) return { series: [], stale: false };
    const runs = query.fields.flatMap((name) => {
      const field = measurement.fields.get(name);
      return field === undefined ? [] : findRuns(measurement, field, query.tags ?? []);
    });
    let leftMax = this.#valuesMax;
    let turnEndMs = turnMs;
    for (const window of query.windows) {
      const times = this.#guard("read", () => this.#statements.times.all(window));
      for (const run of runs) {
        for (const piece of cut(times, Math.max(1, Math.floor(pieceRows / run.span)))) {
          leftMax -= this.#guard("read", () => collect(this.#statements, run, piece));
          if (leftMax < 0) throw this.#tooMuch(query);
          if (elapsedMs() < turnEndMs) continue;
          await turn();
          turnEndMs = elapsedMs() + turnMs;
        }
      }
    }
    this.#valuesPeak = Math.max(this.#valuesPeak, this.#valuesMax - leftMax);
    this.#counts.reads += 1;
    this.#counts.readSeconds += elapsedMs() / 1_000;
    return { series: runs.flatMap((run) => toSeries(measurement, run)), stale: false };
  }

  async list(query: {
    measurement?: string | undefined;
    sinceMs?: number | undefined;
  }): Promise<readonly KnownSeries[]> {
    this.#refresh();
    return [...this.#catalogue.list(query.measurement, query.sinceMs ?? Number.NEGATIVE_INFINITY)];
  }

  /** Series whose latest point goes are forgotten with it, and their field may then take values of another kind. */
  async expire(beforeMs: number): Promise<number> {
    for (let gone = 0; ; ) {
      const piece = this.#guard("expire", () =>
        this.#database.transaction(() => this.#expirePiece(beforeMs)).immediate(),
      );
      gone += piece.deleted;
      this.#counts.expired += piece.deleted;
      if (piece.last) return gone;
      await turn();
    }
  }

  /** A piece ends between two times; one slot is the least that goes at once. */
  #expirePiece(beforeMs: number): { deleted: number; last: boolean } {
    const { oldest, timeAfterRows, deletePoints, deleteLatest, deleteSeries, forgetNonzero } = this.#statements;
    const next = timeAfterRows.get(beforeMs, pieceRows);
    if (next !== undefined) {
      const endMs = next === oldest.get() ? next + 1 : next;
      return { deleted: deletePoints.run(endMs).changes, last: false };
    }
    const deleted = deletePoints.run(beforeMs).changes;
    const series = deleteSeries.run(beforeMs).changes;
    if (series > 0) deleteLatest.run(beforeMs);
    if (forgetNonzero.run(beforeMs).changes + series > 0) this.#catalogue = this.#load();
    return { deleted, last: true };
  }

  #load(): Catalogue {
    return this.#guard("read", () => loadCatalogue(this.#statements));
  }

  /** For a store that looks on: the pragma changes when another process has written. */
  #refresh(): void {
    if (!this.#readOnly) return;
    const version = this.#guard("read", () => this.#database.pragma("data_version", { simple: true }));
    if (this.#dataVersion !== undefined && this.#dataVersion !== version) this.#catalogue = this.#load();
    this.#dataVersion = version;
  }

  #guard<T>(what: string, work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      if (isDamage(thrown)) {
        this.#sound = false;
        throw new Problem("the series file is damaged", {
          where: this.#path,
          fix: "restart: the file is checked, set aside if need be, and a new one begun",
          cause: thrown,
        });
      }
      if (String((thrown as { code?: unknown }).code).startsWith("SQLITE_")) {
        throw new Problem(`cannot ${what} the series file: ${messageOf(thrown)}`, {
          where: this.#path,
          fix: "check that the disk has room and the file can be written",
          retryable: true,
          cause: thrown,
        });
      }
      throw thrown;
    }
  }

  #tooMuch(query: ReadQuery): Problem {
    return new Problem(`more than ${this.#valuesMax} values of ${query.measurement} were asked for at once`, {
      code: "QRY-001",
      fix: "ask for shorter windows, or for fewer series",
    });
  }

  measures(): Measure[] {
    const counts = this.#counts;
    const bytes = ["", "-wal"].map((suffix) => statSync(this.#path + suffix, { throwIfNoEntry: false })?.size ?? 0);
    return [
      counter("store_points_written", "Points stored.", counts.written),
      counter("store_points_rejected", "Points that can never be stored.", counts.rejected),
      counter("store_values_expired", "Field values forgotten because of their age.", counts.expired),
      counter("store_reads", "Reads of series.", counts.reads),
      counter("store_read_seconds", "Time spent reading series.", counts.readSeconds),
      counter("store_writes", "Writes of points.", counts.writes),
      counter("store_write_seconds", "Time spent writing points.", counts.writeSeconds),
      gauge("store_read_values_peak", "Values that the largest read returned.", this.#valuesPeak),
      gauge("store_read_values_limit", "Values that one read may return.", this.#valuesMax),
      gauge("store_series", "Series known.", this.#catalogue.seriesCount),
      gauge("store_bytes", "Size of the series file and its log.", bytes[0]! + bytes[1]!),
      gauge("store_damaged_files", "Damaged files set aside at the start.", this.#file.damaged ? 1 : 0),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#file.close(this.#sound);
  }
}

function loadCatalogue(statements: Statements): Catalogue {
  return new Catalogue(statements.series.iterate() as Iterable<SeriesRow>);
}

/** How long before a series' latest point its latest number other than zero was; null if there was none. */
function quietMs({ latestMs, nonzeroMs }: Field, number: number): number | null {
  const lastNonzeroMs = nonzeroMs[number];
  return lastNonzeroMs === undefined ? null : (latestMs[number] as number) - lastNonzeroMs;
}

/** Reads a run at some times; returns how many values were wanted. */
function collect(statements: Statements, { field, first, last, found }: Run, times: readonly number[]): number {
  const base = seriesNumber(field, first);
  const rows = statements.run.all(JSON.stringify(times), base, seriesNumber(field, last));
  let count = 0;
  for (const [timeMs, id, value] of rows) {
    const series = found[id - base];
    if (series === undefined) continue;
    series.timesMs.push(timeMs);
    series.values.push(field.kind === "boolean" ? value === 1 : value);
    count += 1;
  }
  return count;
}

function cut(times: readonly number[], countMax: number): (readonly number[])[] {
  if (times.length <= countMax) return times.length === 0 ? [] : [times];
  const parts: (readonly number[])[] = [];
  for (let start = 0; start < times.length; start += countMax) parts.push(times.slice(start, start + countMax));
  return parts;
}

/** Lets whatever else is ready run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
