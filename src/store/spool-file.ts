/** The spool's file: its tables, how it is written, and what becomes of one whose disk fails. */
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import Sqlite from "better-sqlite3";
import type { Clock, Log } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { minuteMs, stopwatch } from "../core/time.ts";
import { type FileFormat, isDamage, type OwnFile, openOwnFile } from "./stores/index.ts";

/** A file of more is not read through after a crash: bodies have a checksum of their own, pages are met as they come. */
const checkBytesMax = 256 * 1_024 * 1_024;

const spoolFormat: FileFormat = {
  what: "spool",
  checkBytesMax,
  versions: [
    // `windows` of a batch: the pieces of five minutes that it touches, as JSON: [[measurement, start], ...].
    `create table batch (
      seq integer primary key autoincrement,
      bucket text not null,
      points integer not null,
      windows text not null,
      at_ms integer not null,
      body blob not null
    );
    create index batch_by_bucket on batch (bucket, seq, points, at_ms);
    create table bucket (name text primary key, spooled integer not null) without rowid;
    create table cursor (
      target text not null,
      bucket text not null,
      seq integer not null,
      base integer not null,
      acknowledged integer not null,
      shelved integer not null,
      expired integer not null,
      primary key (target, bucket)
    ) without rowid;
    create table shelf (
      id integer primary key,
      target text not null,
      bucket text not null,
      line text not null,
      expired integer not null,
      reason text not null,
      first_ms integer not null,
      last_ms integer not null,
      count integer not null,
      unique (target, bucket, line)
    );
    create table gap (
      sampler text not null,
      slot_ms integer not null,
      points integer not null,
      reason text not null,
      at_ms integer not null,
      count integer not null,
      primary key (sampler, slot_ms)
    ) without rowid;
    create table window (
      measurement text not null,
      start_ms integer not null,
      first_seq integer not null,
      last_seq integer not null,
      changed_ms integer not null,
      writes integer not null,
      differs text,
      primary key (measurement, start_ms)
    ) without rowid;
    create table dirty (
      target text not null,
      measurement text not null,
      start_ms integer not null,
      reason text not null,
      since_ms integer not null,
      primary key (target, measurement, start_ms)
    ) without rowid;
    create table field (
      measurement text not null,
      field text not null,
      kind text not null,
      sampler text,
      since_ms integer not null,
      primary key (measurement, field)
    ) without rowid;
    create table target (
      name text primary key,
      started_ms integer,
      canary_ms integer,
      verify_reason text,
      verify_since_ms integer,
      verified_from_ms integer,
      repaired_ms integer
    ) without rowid;`,
    // Which series there are, so that a start need not ask the servers: as it was at a batch.
    `create table catalogue (id integer primary key check (id = 1), seq integer not null, body blob not null);`,
  ],
};

export type SpoolFileOptions = {
  readonly file: string;
  /** For looking on while another process writes. */
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** The disk failed a second time within a minute: the process had better end and be started again. */
  readonly onBroken: (problem: Problem) => void;
  /** A new file stands in the place of one whose disk failed: what was read of it must be read again. */
  readonly onReplaced: () => void;
};

/** Room kept back beside the file, so that what must be written on a full disk can be. */
const ballastBytes = 4_194_304;
/** A second failure of the disk within so long is one too many. */
const brokenMs = minuteMs;

/**
 * Writes in transactions: `durable` ones are on the disk when they return, `relaxed` ones survive a crash of the
 * process, and after a power cut may be undone, the latest first.
 *
 * A write that the disk fails is never tried again on the same file: what the kernel still has of it proves nothing.
 * The file is set aside, what can be read of it is carried over into a new one, and there the write is done again.
 */
export class SpoolFile {
  /** What was carried over from damaged files, this process's own life long. */
  readonly salvages: (Salvage & { readonly aside: string })[] = [];
  readonly #options: SpoolFileOptions;
  readonly #own: OwnFile<null>;
  readonly #sinceFailure: { elapsedMs: (() => number) | null } = { elapsedMs: null };
  #database: Sqlite.Database;
  #statements = new Map<string, Sqlite.Statement>();
  #sound = true;
  #relaxed = false;

  /** @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 */
  constructor(options: SpoolFileOptions) {
    this.#options = options;
    this.#own = openOwnFile({ ...options, format: spoolFormat }, () => null);
    this.#database = this.#own.database;
    if (this.#own.damaged !== null) this.#carryOver(this.#own.damaged);
    if (!options.readOnly) this.#keepBallast();
  }

  /** A statement, prepared once; its rows are arrays of columns where it says `.raw()`. */
  sql<Bind extends unknown[] | object, Row>(
    text: string,
  ): Sqlite.Statement<Bind extends unknown[] ? Bind : [Bind], Row> {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement as Sqlite.Statement<Bind extends unknown[] ? Bind : [Bind], Row>;
  }

  /** @throws Problem SPL-003 if the disk is full; another Problem if the file broke and could not be replaced */
  durable<T>(work: () => T): T {
    return this.#write(work, false);
  }

  relaxed<T>(work: () => T): T {
    return this.#write(work, true);
  }

  #write<T>(work: () => T, relaxed: boolean): T {
    try {
      if (this.#relaxed !== relaxed) {
        this.#database.pragma(`synchronous = ${relaxed ? "NORMAL" : "FULL"}`);
        this.#relaxed = relaxed;
      }
      return this.#database.transaction(work).immediate();
    } catch (thrown) {
      if (isFull(thrown)) throw this.#full(thrown);
      if (!isDiskFault(thrown) && !isDamage(thrown)) throw thrown;
      this.#replace(thrown);
      return this.#database.transaction(work).immediate();
    }
  }

  #replace(thrown: unknown): void {
    const { file, log, onBroken } = this.#options;
    const recent = this.#sinceFailure.elapsedMs;
    const reason = messageOf(thrown);
    const broken = (cause: unknown): Problem => {
      const problem = new Problem(`the spool's disk fails: ${messageOf(cause)}`, {
        code: "SPL-004",
        where: file,
        fix: "look into the disk, or start on another data folder; what was accepted before is kept",
        retryable: true,
        cause,
      });
      this.#sound = false;
      onBroken(problem);
      return problem;
    };
    if (recent !== null && recent() < brokenMs) throw broken(thrown);
    this.#sinceFailure.elapsedMs = stopwatch();
    try {
      const { database, aside } = this.#own.beginAnew("suspect");
      this.#database = database;
      this.#statements = new Map();
      this.#relaxed = false;
      log.error({ file, aside, cause: reason }, "the spool's disk failed a write: its file is replaced by a new one");
      this.#carryOver(aside);
      this.#options.onReplaced();
    } catch (cause) {
      throw broken(cause);
    }
  }

  #carryOver(aside: string): void {
    const salvaged = { ...salvage(aside, this.#database), aside };
    this.salvages.push(salvaged);
    this.#options.log.error(
      { ...salvaged, lost: salvaged.lost.slice(0, 20) },
      `${salvaged.points} points were carried over from a damaged spool, ${salvaged.lost.length} batches could not be`,
    );
  }

  #full(cause: unknown): Problem {
    return new Problem("the spool's disk is full", {
      code: "SPL-003",
      where: this.#options.file,
      fix: "make room on the disk: points are refused until there is some, each with a gap that is sampled again",
      retryable: true,
      cause,
    });
  }

  /** Bytes of the file in use, and of its log. */
  usedBytes(): number {
    const count = (name: string): number => Number(this.#database.pragma(name, { simple: true }));
    const logBytes = statSync(`${this.#options.file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    return (count("page_count") - count("freelist_count")) * count("page_size") + logBytes;
  }

  /** Writes what must be written although the disk is full: in the room that was kept back for it. */
  inReserve<T>(work: () => T): T {
    rmSync(this.#ballast, { force: true });
    try {
      return this.durable(work);
    } finally {
      this.#database.pragma("wal_checkpoint(TRUNCATE)");
      this.#keepBallast();
    }
  }

  get #ballast(): string {
    return `${this.#options.file}.reserve`;
  }

  /** Without room for it there is none to keep back; the next write in the reserve then fails like any other. */
  #keepBallast(): void {
    if (statSync(this.#ballast, { throwIfNoEntry: false })?.size === ballastBytes) return;
    try {
      const handle = openSync(this.#ballast, "w", 0o600);
      try {
        writeSync(handle, Buffer.alloc(ballastBytes, 0x2e));
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
    } catch {
      rmSync(this.#ballast, { force: true });
    }
  }

  close(): void {
    this.#own.close(this.#sound);
  }
}

function isFull(thrown: unknown): boolean {
  return thrown instanceof Sqlite.SqliteError && thrown.code === "SQLITE_FULL";
}

function isDiskFault(thrown: unknown): boolean {
  return thrown instanceof Sqlite.SqliteError && thrown.code.startsWith("SQLITE_IOERR");
}

type Salvage = {
  /** Batches carried over, and points in them. */
  readonly batches: number;
  readonly points: number;
  /** Batches whose pages or bodies could not be read. */
  readonly lost: readonly number[];
};

/**
 * Carries over what can be read of a damaged spool: batches whose checksum holds, cursors, shelf, gaps, types. Tables
 * that cannot be read are left out; what is compared later anyway (windows) is not looked for.
 */
function salvage(damaged: string, into: Sqlite.Database): Salvage {
  let from: Sqlite.Database;
  try {
    from = new Sqlite(damaged, { readonly: true });
  } catch {
    return { batches: 0, points: 0, lost: [] };
  }
  try {
    return into.transaction(() => {
      for (const table of ["bucket", "cursor", "shelf", "gap", "field", "target"]) copyTable(from, into, table);
      return copyBatches(from, into);
    })();
  } finally {
    from.close();
  }
}

type Row = Record<string, unknown>;

function copyTable(from: Sqlite.Database, into: Sqlite.Database, table: string): void {
  const rows = readable(() => from.prepare<[], Row>(`select * from ${table}`).all()) ?? [];
  for (const row of rows) insert(into, table, row);
}

/** Batches are forgotten from the oldest on, so one that is absent between two others was lost. */
function copyBatches(from: Sqlite.Database, into: Sqlite.Database): Salvage {
  const ends = readable(() => from.prepare<[], Row>("select min(seq) as first, max(seq) as last from batch").get());
  const get = readable(() => from.prepare<[number], Row>("select * from batch where seq = ?"));
  const lost: number[] = [];
  let batches = 0;
  let points = 0;
  if (get === undefined || typeof ends?.first !== "number") return { batches, points, lost };
  for (let seq = ends.first; seq <= (ends.last as number); seq += 1) {
    const row = readable(() => get.get(seq));
    if (row === undefined || readable(() => gunzipSync(row.body as Buffer)) === undefined) {
      lost.push(seq);
      continue;
    }
    insert(into, "batch", row);
    batches += 1;
    points += row.points as number;
  }
  return { batches, points, lost };
}

function insert(into: Sqlite.Database, table: string, row: Row): void {
  const names = Object.keys(row);
  const values = names.map((name) => `@${name}`).join(", ");
  into.prepare(`insert or ignore into ${table} (${names.join(", ")}) values (${values})`).run(row);
}

/** What `read` gives; undefined where the file cannot give it. */
function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
