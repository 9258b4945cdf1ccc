/** The file of the series store: who may have it open, what its tables are, and what happens to a damaged one. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import Sqlite from "better-sqlite3";
import type { Clock, Log } from "../../core/ports.ts";
import { messageOf, Problem, toProblem } from "../../core/problem.ts";
import { formatTimeUtc } from "../../core/time.ts";

/** Version of the tables below, kept in the file's `user_version`. */
const schemaVersion = 1;

/**
 * Times come first in the key: a slot is appended at the end of the file, where ten thousand series would otherwise
 * be ten thousand places to write to. `value` has no type of its own, so that a text of digits stays a text.
 */
const schema = `
  create table series (
    id integer primary key,
    measurement text not null,
    tags text not null,
    field text not null,
    kind text not null,
    unique (measurement, tags, field)
  );
  create table latest (series_id integer primary key, ts integer not null, quiet_ms integer);
  create table points (ts integer not null, series_id integer not null, value not null,
    primary key (ts, series_id)) without rowid;
  create view readable as
    select datetime(p.ts / 1000, 'unixepoch') as time, s.measurement, s.tags, s.field, p.value
    from points p join series s on s.id = p.series_id;
  pragma user_version = ${schemaVersion};
`;

export type SeriesFile<T> = {
  readonly database: Sqlite.Database;
  /** What `load` gave. */
  readonly loaded: T;
  /** Path that a damaged file was moved to at this opening; null if there was none. */
  readonly damaged: string | null;
  /** `sound`: nothing met that the next opening ought to look into. */
  close(sound: boolean): void;
};

export type SeriesFileOptions = { file: string; readOnly: boolean; clock: Clock; log: Log };

/**
 * @param load reads what is needed of the file at the start; damage that it meets is met in time to be set aside
 * @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 if it cannot be opened
 */
export function openSeriesFile<T>(options: SeriesFileOptions, load: (database: Sqlite.Database) => T): SeriesFile<T> {
  const { file, readOnly } = options;
  try {
    if (file === ":memory:" || readOnly) {
      const database = new Sqlite(file, { readonly: readOnly, fileMustExist: readOnly });
      return { ...prepared(database, options, false, load), damaged: null, close: () => database.close() };
    }
    mkdirSync(dirname(file), { recursive: true });
    const lock = new FileLock(`${file}.lock`, file);
    try {
      return ownFile(options, lock, load);
    } catch (thrown) {
      lock.release(false);
      throw thrown;
    }
  } catch (thrown) {
    throw toProblem(thrown, "cannot open the series file", {
      code: "STR-002",
      where: file,
      fix: "check that the folder exists and can be written",
    });
  }
}

function ownFile<T>(options: SeriesFileOptions, lock: FileLock, load: (database: Sqlite.Database) => T): SeriesFile<T> {
  const { file, clock, log } = options;
  const open = (check: boolean, damaged: string | null): SeriesFile<T> => {
    const found = prepared(new Sqlite(file), options, check, load);
    const close = (sound: boolean): void => {
      found.database.close();
      lock.release(sound);
    };
    return { ...found, damaged, close };
  };
  try {
    return open(lock.leftOpen, null);
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    const damaged = setAside(file, clock.nowMs());
    log.error({ file, damaged, cause: messageOf(thrown) }, "the series file is damaged: set aside, an empty one begun");
    return open(false, damaged);
  }
}

/** Checked, given its tables, and read as far as the start needs it; closed again if any of that throws. */
function prepared<T>(
  database: Sqlite.Database,
  { file, readOnly }: SeriesFileOptions,
  check: boolean,
  load: (database: Sqlite.Database) => T,
): Pick<SeriesFile<T>, "database" | "loaded"> {
  try {
    const version = checkVersion(database, file);
    if (!readOnly) setUp(database, version, check);
    else if (version === 0) throw new Error("it holds no series yet");
    return { database, loaded: load(database) };
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** Journal in a log of its own (readers never wait for the writer), and on the disk at each commit. */
function setUp(database: Sqlite.Database, version: number, check: boolean): void {
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("cache_size = -32768");
  database.pragma("journal_size_limit = 67108864");
  if (check) {
    const answer = database.pragma("quick_check(1)", { simple: true });
    if (answer !== "ok") throw new Damage(String(answer));
  }
  if (version === 0) database.transaction(() => database.exec(schema)).immediate();
}

function checkVersion(database: Sqlite.Database, file: string): number {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version > schemaVersion) {
    throw new Problem(`written by a newer build: version ${version}, this build reads up to ${schemaVersion}`, {
      code: "SPL-002",
      where: file,
      fix: "start the newer build, or move the file away",
    });
  }
  return version;
}

class Damage extends Error {}

/** The file is no database, or its pages contradict each other. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Damage) return true;
  return thrown instanceof Sqlite.SqliteError && /^SQLITE_(CORRUPT|NOTADB)/.test(thrown.code);
}

/** Moves the file and its log to a name that tells when, so that it can be looked into. */
function setAside(file: string, nowMs: number): string {
  const stem = `${file}.damaged-${formatTimeUtc(nowMs).replace(/[-:]/g, "")}`;
  let name = stem;
  for (let copy = 2; existsSync(name); copy += 1) name = `${stem}-${copy}`;
  for (const suffix of ["", "-wal"]) if (existsSync(file + suffix)) renameSync(file + suffix, name + suffix);
  rmSync(`${file}-shm`, { force: true });
  return name;
}

/**
 * One process per file. The lock is SQLite's own on a file beside it, so it ends with the process, however that ends;
 * its `user_version` is the holder's pid, which others can read meanwhile, and 0 after an orderly end.
 */
class FileLock {
  /** The last holder did not end in order, or met damage. */
  readonly leftOpen: boolean;
  readonly #database: Sqlite.Database;

  /** @throws Problem SPL-001 if another process holds it */
  constructor(path: string, file: string) {
    this.#database = openLock(path);
    try {
      this.#database.exec("begin immediate");
      this.leftOpen = this.#holder() !== 0;
      this.#database.exec(`pragma user_version = ${process.pid}; commit; begin immediate`);
    } catch (thrown) {
      const pid = this.#holder();
      this.#database.close();
      if (!(thrown instanceof Sqlite.SqliteError && thrown.code.startsWith("SQLITE_BUSY"))) throw thrown;
      throw new Problem(`held by ${pid === 0 ? "another process" : `process ${pid}`}`, {
        code: "SPL-001",
        where: file,
        fix: `stop that process, or start this one on another data folder (its lock is ${basename(path)})`,
        retryable: true,
        cause: thrown,
      });
    }
  }

  release(sound: boolean): void {
    if (sound) this.#database.exec("pragma user_version = 0; commit");
    this.#database.close();
  }

  #holder(): number {
    return Number(this.#database.pragma("user_version", { simple: true }));
  }
}

/** A lock file that is no longer a database holds nothing worth keeping. */
function openLock(path: string): Sqlite.Database {
  const options = { timeout: 200 };
  const database = new Sqlite(path, options);
  try {
    database.pragma("user_version");
    return database;
  } catch (thrown) {
    database.close();
    if (!isDamage(thrown)) throw thrown;
    rmSync(path);
    return new Sqlite(path, options);
  }
}
