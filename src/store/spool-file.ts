/** The spool's file: how it is written, and what becomes of one whose disk fails. */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import Sqlite from "better-sqlite3";
import type { Clock, Log } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { minuteMs, stopwatch } from "../core/time.ts";
import { carryOver, isFull, rescue, type Salvage, seqMax } from "./salvage.ts";
import { type BatchRow, spoolFormat } from "./spool-format.ts";
import { SpoolPages } from "./spool-pages.ts";
import { Damage, type Heir, isDamage, type OwnFile, openOwnFile } from "./stores/index.ts";

export type SpoolFileOptions = {
  readonly file: string;
  /** For looking on while another process writes. */
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** The disk failed a second time within a minute: the process had better end and be started again. */
  readonly onBroken: (problem: Problem) => void;
  /** A new file stands in the place of one that failed: what was read of it must be read again. */
  readonly onReplaced: () => void;
};

/** What was found wrong with a file, and what is left of it. */
export type Mishap = Salvage & {
  /** Where the file is kept; null: it is the one in use, or nothing is left of it. */
  readonly aside: string | null;
};

/** A statement, as better-sqlite3 knows it. */
export type Sql<Bind extends unknown[], Row> = {
  get(...bind: Bind): Row | undefined;
  all(...bind: Bind): Row[];
  /** Returns how many rows it changed. */
  run(...bind: Bind): number;
};

/** Room kept back beside the file, so that what must be written on a full disk can be. */
const reserveBytes = 4_194_304;
/** Less than this is not enough to open the file, let alone to write. */
const scarceBytes = 1_048_576;
/** A second failure of the disk within so long is one too many. */
const brokenMs = minuteMs;
/** Pages of the log from which on it is brought into the file: half of SQLite's own figure, some five milliseconds. */
const logPagesMax = 500;
/** SQLite is not to do that itself: it would, within a commit, and not say if the disk failed it. */
const ownCheckpoints = "wal_autocheckpoint = 0";

/**
 * Writes in transactions: `durable` ones are on the disk when they return, `relaxed` ones survive a crash of the
 * process, and after a power cut may be undone, the latest first.
 *
 * What the disk fails, or the file contradicts, is never tried again on the same file: after a failed sync the next
 * one may succeed although nothing of it is on the disk. The file is set aside, what can be read of it is carried over
 * into a new one, and there the work is done again.
 */
export class SpoolFile {
  /** This process's own life long, the oldest first. */
  readonly mishaps: Mishap[] = [];
  readonly #options: SpoolFileOptions;
  readonly #own: OwnFile<Hidden>;
  #sinceFailure: (() => number) | null = null;
  #database: Sqlite.Database;
  #statements = new Map<string, Sqlite.Statement<unknown[]>>();
  #broken: Problem | null = null;
  #inside = false;
  #relaxed = false;
  #tidying = false;
  #closed = false;

  /** @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 */
  constructor(options: SpoolFileOptions) {
    this.#options = options;
    const { file, readOnly } = options;
    const before = { file: sizeOf(file), log: existsSync(`${file}-wal`), reserve: existsSync(this.#reserve) };
    if (!readOnly && before.reserve && this.freeBytes() < scarceBytes) rmSync(this.#reserve);
    let salvage: Salvage | null = null;
    const heir: Heir = (into, from) => {
      rmSync(this.#reserve, { force: true });
      salvage = carryOver(file, from, rescue(from, false), into);
    };
    this.#own = openOwnFile({ ...options, format: spoolFormat, heir }, (database) =>
      readOnly ? { rows: [], lost: 0, traces: [], damaged: false } : hiddenIn(file, database),
    );
    this.#database = this.#own.database;
    const { damaged, leftOpen, loaded } = this.#own;
    const { lost, traces } = loaded;
    const found = { aside: null, batches: loaded.rows.length, points: pointsOf(loaded.rows), lost, traces };
    if (salvage !== null) this.#report({ ...(salvage as Salvage), aside: damaged });
    else if (before.file === 0 && before.reserve) this.#report({ ...found, incomplete: ["the whole file"] });
    else if (loaded.damaged || (before.file > 0 && leftOpen && !before.log)) {
      this.#report({ ...found, incomplete: ["the log beside it"] });
    }
    this.#database.pragma(ownCheckpoints);
  }

  /** Batches that a damaged log still holds, though SQLite stopped reading it before them: to be appended again. */
  get hidden(): readonly BatchRow[] {
    return this.#own.loaded.rows;
  }

  /** Number of the newest batch; 0: there never was one. */
  get lastSeq(): number {
    return this.sql<[], { seq: number }>("select seq from sqlite_sequence where name = 'batch'").get()?.seq ?? 0;
  }

  /** A statement, prepared once. */
  sql<Bind extends unknown[], Row>(text: string): Sql<Bind, Row> {
    const statement = (): Sqlite.Statement<Bind, Row> => {
      let found = this.#statements.get(text);
      if (found === undefined) {
        found = this.#database.prepare<unknown[]>(text);
        this.#statements.set(text, found);
      }
      return found as unknown as Sqlite.Statement<Bind, Row>;
    };
    return {
      get: (...bind) => this.#guarded(() => statement().get(...bind)),
      all: (...bind) => this.#guarded(() => statement().all(...bind)),
      run: (...bind) => this.#guarded(() => statement().run(...bind).changes),
    };
  }

  /**
   * For small writes: on a full disk they go into the room that is kept back for them.
   * @throws Problem SPL-003 if that is full too, SPL-004 if the disk fails again and again
   */
  durable<T>(work: () => T): T {
    return this.#small(work, false);
  }

  /** As {@link durable}. */
  relaxed<T>(work: () => T): T {
    return this.#small(work, true);
  }

  /** Durable, for what may be refused. @throws Problem SPL-003 if the disk is full, SPL-004 */
  bulk<T>(work: () => T): T {
    return this.#write(work, false);
  }

  #small<T>(work: () => T, relaxed: boolean): T {
    try {
      return this.#write(work, relaxed);
    } catch (thrown) {
      if (this.#inside || !isNoRoom(thrown)) throw thrown;
      return this.inReserve(work);
    }
  }

  #write<T>(work: () => T, relaxed: boolean): T {
    if (this.#inside) return work();
    return this.#guarded(() => {
      if (this.#relaxed !== relaxed) {
        this.#database.pragma(`synchronous = ${relaxed ? "NORMAL" : "FULL"}`);
        this.#relaxed = relaxed;
      }
      this.#inside = true;
      try {
        return this.#database.transaction(work).immediate();
      } finally {
        this.#inside = false;
        this.#tidySoon();
      }
    });
  }

  /** Does work, again on a new file if this one fails. Inside a transaction that is for the whole of it to do. */
  #guarded<T>(work: () => T): T {
    if (this.#inside) return work();
    if (this.#broken !== null) throw this.#broken;
    try {
      return work();
    } catch (thrown) {
      if (isFull(thrown)) throw this.#full(thrown);
      if (this.#options.readOnly || !(isDiskFault(thrown) || isDamage(thrown))) throw thrown;
      this.#replace(thrown);
      return this.#guarded(work);
    }
  }

  /** Replaces the file because of what somebody read in it. Who only looks on leaves it. */
  distrust(why: string): void {
    if (!this.#options.readOnly) this.#replace(new Damage(why));
  }

  #replace(thrown: unknown): void {
    const { file, log } = this.#options;
    if (this.#broken !== null) throw this.#broken;
    if (this.#sinceFailure !== null && this.#sinceFailure() < brokenMs) throw this.#break(thrown);
    this.#sinceFailure = stopwatch();
    try {
      rmSync(this.#reserve, { force: true });
      let salvage: Salvage | null = null;
      const { database, aside } = this.#own.replace("suspect", (into, from) => {
        salvage = carryOver(file, from, rescue(from, true), into);
      });
      this.#database = database;
      this.#database.pragma(ownCheckpoints);
      this.#statements = new Map();
      this.#relaxed = false;
      this.keepReserve();
      log.error(
        { file, aside, cause: messageOf(thrown) },
        "the spool's file or its disk failed: a new file replaces it",
      );
      this.#report({ ...(salvage as unknown as Salvage), aside });
    } catch (cause) {
      throw this.#break(cause);
    }
    this.#options.onReplaced();
  }

  #break(cause: unknown): Problem {
    this.#broken = new Problem(`the spool's disk fails: ${messageOf(cause)}`, {
      code: "SPL-004",
      where: this.#options.file,
      fix: "look into the disk, or start on another data folder; what was accepted before is kept",
      retryable: true,
      cause,
    });
    this.#options.onBroken(this.#broken);
    return this.#broken;
  }

  #report(mishap: Mishap): void {
    this.mishaps.push(mishap);
    const { aside, batches, points, lost, traces, incomplete } = mishap;
    const fields = { file: this.#options.file, aside, batches, lost, traces: traces.slice(0, 20), incomplete };
    // Where a table is not whole, nobody knows what else there was.
    const more = incomplete.length === 0 ? "" : ` or more; not to be had, or not all of it: ${incomplete.join(", ")}`;
    const text = `of a damaged spool ${points} points were carried over, batches lost: ${lost}${more}`;
    this.#options.log.error(fields, text);
  }

  #full(cause: unknown): Problem {
    return new Problem("the spool's disk is full", {
      code: "SPL-003",
      where: this.#options.file,
      fix: "make room on the disk; points that are refused meanwhile are noted, and sampled again",
      retryable: true,
      cause,
    });
  }

  /** Bytes of the file in use, and of its log. */
  usedBytes(): number {
    return (this.#count("page_count") - this.#count("freelist_count")) * this.#count("page_size") + this.logBytes();
  }

  /** Bytes of the file that nothing is in. */
  spareBytes(): number {
    return this.#count("freelist_count") * this.#count("page_size");
  }

  logBytes(): number {
    return sizeOf(`${this.#options.file}-wal`);
  }

  /** Free on its disk. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(dirname(this.#options.file));
    return bavail * bsize;
  }

  #count(name: string): number {
    return this.#guarded(() => Number(this.#database.pragma(name, { simple: true })));
  }

  /** Brings the log into the file and gives its room back, if that can be done at once. */
  shortenLog(): void {
    this.#checkpoint("TRUNCATE");
  }

  /** When those who waited for the commit have gone on; a failure is met as any other. */
  #tidySoon(): void {
    if (this.#tidying) return;
    this.#tidying = true;
    setImmediate(() => {
      this.#tidying = false;
      if (this.#closed || this.#broken !== null) return;
      try {
        if (this.#checkpoint("NOOP") >= logPagesMax) this.#checkpoint("PASSIVE");
      } catch (thrown) {
        this.#options.log.error(
          { err: thrown },
          `the spool's log cannot be brought into its file: ${messageOf(thrown)}`,
        );
      }
    });
  }

  /** @returns pages in the log */
  #checkpoint(how: "NOOP" | "PASSIVE" | "TRUNCATE"): number {
    try {
      return this.#guarded(() => {
        // Nobody is waited for: what a reader holds up now is done the next time.
        this.#database.pragma("busy_timeout = 0");
        const [{ log }] = this.#database.pragma(`wal_checkpoint(${how})`) as [{ log: number }];
        this.#database.pragma("busy_timeout = 5000");
        return log;
      });
    } catch (thrown) {
      if (isNoRoom(thrown)) return 0;
      throw thrown;
    }
  }

  /** Writes in the room that is kept back, which must not need more of it for long than the log of it takes. */
  inReserve<T>(work: () => T): T {
    rmSync(this.#reserve, { force: true });
    try {
      return this.#write(work, false);
    } finally {
      if (this.#broken === null) {
        this.shortenLog();
        this.keepReserve();
      }
    }
  }

  get #reserve(): string {
    return `${this.#options.file}.reserve`;
  }

  /** Without room for it there is none to keep back; the next write in the reserve then fails like any other. */
  keepReserve(): void {
    if (this.#options.readOnly || sizeOf(this.#reserve) === reserveBytes) return;
    try {
      const handle = openSync(this.#reserve, "w", 0o600);
      try {
        writeFileSync(handle, Buffer.alloc(reserveBytes, 0x2e));
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
    } catch {
      rmSync(this.#reserve, { force: true });
    }
  }

  close(): void {
    this.#closed = true;
    this.#own.close(this.#broken === null);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The disk is full: SPL-003 of this file. */
export function isNoRoom(thrown: unknown): boolean {
  return thrown instanceof Problem && thrown.code === "SPL-003";
}

function isDiskFault(thrown: unknown): boolean {
  return thrown instanceof Sqlite.SqliteError && thrown.code.startsWith("SQLITE_IOERR");
}

function lastSeqOf(database: Sqlite.Database): number {
  const last = Number(database.prepare("select seq from sqlite_sequence where name = 'batch'").pluck().get() ?? 0);
  const most = Number(database.prepare("select coalesce(max(seq), 0) from batch").pluck().get());
  if (last < most || last > seqMax) throw new Damage(`its newest batch is ${most}, and not ${last}`);
  return last;
}

/** What one damaged page of the log hides from SQLite: all that follows. */
type Hidden = Pick<Mishap, "lost" | "traces"> & { readonly rows: readonly BatchRow[]; readonly damaged: boolean };

function hiddenIn(file: string, database: Sqlite.Database): Hidden {
  const lastSeq = lastSeqOf(database);
  using pages = new SpoolPages(file, "log");
  const seqs = pages.seqs.filter((seq) => seq > lastSeq);
  const rows = seqs.flatMap((seq) => pages.read(seq).row ?? []);
  // A transaction that a kill or a full disk cut off has no end: that is no damage.
  const [{ log }] = database.pragma("wal_checkpoint(NOOP)") as [{ log: number }];
  const isCut = pages.endsCutOff(log, lastSeq);
  const damaged = !isCut && (pages.committedPages > log || (log === 0 && rows.length > 0));
  if (!damaged) return { rows: [], lost: 0, traces: [], damaged };
  const traces = seqs.flatMap((seq) => {
    const found = pages.read(seq);
    return found.row === null && found.trace !== null ? [found.trace] : [];
  });
  return { rows, lost: traces.length, traces, damaged };
}

function pointsOf(rows: readonly BatchRow[]): number {
  return rows.reduce((sum, { points }) => sum + points, 0);
}
