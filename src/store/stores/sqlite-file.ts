/** A SQLite file that belongs to one process: who may have it open, its format, and what happens to a damaged one. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import Sqlite from "better-sqlite3";
import type { Clock, Log } from "../../core/ports.ts";
import { messageOf, Problem, toProblem } from "../../core/problem.ts";
import { formatTimeUtc } from "../../core/time.ts";

/** What a kind of file holds. */
export type FileFormat = {
  /** As messages call it: `series file`. */
  readonly what: string;
  /** Statements that make each version of the one before it, from nothing on; the file's `user_version` counts them. */
  readonly versions: readonly string[];
  /** Bytes beyond which a file that was not closed in order is not read through at the start. Default: none. */
  readonly checkBytesMax?: number;
};

export type OwnFile<T> = {
  readonly database: Sqlite.Database;
  /** What `load` gave. */
  readonly loaded: T;
  /** Path that a damaged file was moved to at this opening; null if there was none. */
  readonly damaged: string | null;
  /** The last process that had it did not end in order, or met damage. */
  readonly leftOpen: boolean;
  /**
   * Puts a new file in the place of this one, which is kept under a name that begins with `why`. Not for a file that is
   * read only, or in memory.
   * @throws whatever `fill` or the disk does; the file is then where it was
   */
  replace(why: string, fill: Heir): { readonly database: Sqlite.Database; readonly aside: string };
  /** `sound`: nothing met that the next opening ought to look into. */
  close(sound: boolean): void;
};

/**
 * Fills the file that follows a damaged one, which is still in its place.
 * @param from the connection that met the damage, for what it still gives; null: there is no file, only its log
 */
export type Heir = (into: Sqlite.Database, from: Sqlite.Database | null) => void;

export type OwnFileOptions = {
  file: string;
  format: FileFormat;
  readOnly: boolean;
  clock: Clock;
  log: Log;
  /** What a damaged file leaves to the new one. Default: nothing. */
  heir?: Heir;
};

/**
 * @param load reads what is needed of the file at the start; damage that it meets is met in time to be set aside
 * @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 if it cannot be opened
 */
export function openOwnFile<T>(options: OwnFileOptions, load: (database: Sqlite.Database) => T): OwnFile<T> {
  const { file, readOnly } = options;
  try {
    if (file === ":memory:" || readOnly) {
      const database = new Sqlite(file, { readonly: readOnly, fileMustExist: readOnly });
      const replace = (): never => {
        throw new Error(`${file} is not this process's own`);
      };
      const close = () => database.close();
      try {
        const loaded = prepared(database, options, false, load);
        return { database, loaded, damaged: null, leftOpen: false, replace, close };
      } catch (thrown) {
        close();
        throw thrown;
      }
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
    throw toProblem(thrown, `cannot open the ${options.format.what}`, {
      code: "STR-002",
      where: file,
      fix: "check that the folder exists and can be written",
    });
  }
}

function ownFile<T>(options: OwnFileOptions, lock: FileLock, load: (database: Sqlite.Database) => T): OwnFile<T> {
  const { file, log, format, heir = () => {} } = options;
  finishReplacement(options);
  let damaged: string | null = null;
  const met = openSound(options, lock.leftOpen, load);
  if ("cause" in met) {
    damaged = replaceFile(options, "damaged", met.database, heir);
    const fields = { file, damaged, cause: met.cause };
    log.error(fields, `the ${format.what} is damaged: set aside, a new one begun`);
  }
  const opened = "cause" in met ? openNew(options, load) : met;
  let { database } = opened;
  return {
    database,
    loaded: opened.loaded,
    damaged,
    leftOpen: lock.leftOpen,
    replace: (why, fill) => {
      const aside = replaceFile(options, why, database, fill);
      database = openNew(options, () => null).database;
      return { database, aside };
    },
    close: (sound) => {
      database.close();
      lock.release(sound);
    },
  };
}

type Opened<T> = { readonly database: Sqlite.Database; readonly loaded: T };

function openSound<T>(
  options: OwnFileOptions,
  check: boolean,
  load: (database: Sqlite.Database) => T,
): Opened<T> | { readonly database: Sqlite.Database | null; readonly cause: string } {
  const { file } = options;
  // SQLite would take an empty file for a new one, and remove the log.
  if (sizeOf(file) === 0 && sizeOf(`${file}-wal`) > 0) {
    return { database: null, cause: "its log is there, and the file itself is not" };
  }
  const database = new Sqlite(file);
  try {
    return { database, loaded: prepared(database, options, check, load) };
  } catch (thrown) {
    if (isDamage(thrown)) return { database, cause: messageOf(thrown) };
    database.close();
    throw thrown;
  }
}

function openNew<T>(options: OwnFileOptions, load: (database: Sqlite.Database) => T): Opened<T> {
  const database = new Sqlite(options.file);
  return { database, loaded: prepared(database, options, false, load) };
}

/**
 * The new file is made beside the old one, and takes its place when it is whole: whenever the process or the disk fails
 * in between, one of them is there.
 * @param database the connection to the old one, which is closed
 * @returns the path that the old one has now
 */
function replaceFile(options: OwnFileOptions, why: string, database: Sqlite.Database | null, fill: Heir): string {
  const { file, format, clock } = options;
  const [unfinished, finished] = [`${file}.new`, `${file}.next`];
  removeFile(unfinished);
  const into = new Sqlite(unfinished);
  try {
    into.pragma("synchronous = FULL");
    makeTables(into, format, 0);
    fill(into, database);
  } finally {
    into.close();
  }
  renameSync(unfinished, finished);
  const aside = setAside(file, why, clock.nowMs());
  // Closed under its own name, its log would go, and with it what SQLite could not read of it.
  database?.close();
  renameSync(finished, file);
  syncFolder(dirname(file));
  return aside;
}

/** Where the process ended while it replaced a file: a new one that is whole takes its place, another one goes. */
function finishReplacement({ file, format, clock, log }: OwnFileOptions): void {
  removeFile(`${file}.new`);
  const finished = `${file}.next`;
  if (!existsSync(finished)) return;
  const aside = setAside(file, "suspect", clock.nowMs());
  renameSync(finished, file);
  syncFolder(dirname(file));
  log.error({ file, aside }, `the ${format.what} was being replaced when the process ended: done now`);
}

function removeFile(file: string): void {
  for (const suffix of ["", "-journal"]) rmSync(file + suffix, { force: true });
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Checked, given its tables, and read as far as the start needs it. */
function prepared<T>(
  database: Sqlite.Database,
  { file, format, readOnly }: OwnFileOptions,
  check: boolean,
  load: (database: Sqlite.Database) => T,
): T {
  const version = checkVersion(database, file, format);
  if (!readOnly) setUp(database, format, version, check);
  else if (version < format.versions.length) {
    throw new Error(version === 0 ? "it is empty yet" : "it is of an older version");
  }
  return load(database);
}

/** SQLite's own default. */
const pageBytes = 4_096;
/** No build will ever count so far: a number beyond it is damage. */
const versionMax = 1_000;

/** Journal in a log of its own (readers never wait for the writer), and on the disk at each commit. */
function setUp(database: Sqlite.Database, format: FileFormat, version: number, check: boolean): void {
  const { checkBytesMax = Number.POSITIVE_INFINITY } = format;
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("cache_size = -32768");
  database.pragma("journal_size_limit = 67108864");
  const bytes = Number(database.pragma("page_count", { simple: true })) * pageBytes;
  if (check && bytes <= checkBytesMax) {
    const answer = database.pragma("quick_check(1)", { simple: true });
    if (answer !== "ok") throw new Damage(String(answer));
  }
  makeTables(database, format, version);
}

/** Brings a file of a version, 0 for an empty one, up to date. */
function makeTables(database: Sqlite.Database, { versions }: FileFormat, version: number): void {
  if (version === versions.length) return;
  if (version === 0 && database.prepare("select 1 from sqlite_master").get() !== undefined) {
    throw new Damage("it has tables, but no version");
  }
  const upgrade = `${versions.slice(version).join("")}pragma user_version = ${versions.length};`;
  database.transaction(() => database.exec(upgrade)).immediate();
}

function checkVersion(database: Sqlite.Database, file: string, { versions }: FileFormat): number {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version < 0 || version > versionMax) throw new Damage(`there is no version ${version}`);
  if (version > versions.length) {
    throw new Problem(`written by a newer build: version ${version}, this build reads up to ${versions.length}`, {
      code: "SPL-002",
      where: file,
      fix: "start the newer build, or move the file away",
    });
  }
  return version;
}

/** For what a `load` finds. */
export class Damage extends Error {}

/** The file is no database, its pages contradict each other, or its tables are not those of its version. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Damage) return true;
  if (!(thrown instanceof Sqlite.SqliteError)) return false;
  if (thrown.code === "SQLITE_ERROR")
    return /no such (table|column|index)|already exists|no column|unsupported file/.test(thrown.message);
  return /^SQLITE_(CORRUPT|NOTADB)/.test(thrown.code);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Moves the file and its log to a name that tells why and when, so that it can be looked into. */
function setAside(file: string, why: string, nowMs: number): string {
  const stem = `${file}.${why}-${formatTimeUtc(nowMs).replace(/[-:]/g, "")}`;
  let name = stem;
  for (let copy = 2; existsSync(name) || existsSync(`${name}-wal`); copy += 1) name = `${stem}-${copy}`;
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
    try {
      if (sound) this.#database.exec("pragma user_version = 0; commit");
    } catch {
      // On a full disk, say. The next holder then looks into the file, which does no harm.
    }
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
