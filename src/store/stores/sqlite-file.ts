/** A SQLite file that belongs to one process: who may have it open, its format, and what happens to a damaged one. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
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
  /**
   * Moves the file aside and begins an empty one in its place, whose `database` it returns; nobody else can come
   * between. Not for a file that is read only, or in memory.
   */
  beginAnew(why: string): { readonly database: Sqlite.Database; readonly aside: string };
  /** `sound`: nothing met that the next opening ought to look into. */
  close(sound: boolean): void;
};

export type OwnFileOptions = { file: string; format: FileFormat; readOnly: boolean; clock: Clock; log: Log };

/**
 * @param load reads what is needed of the file at the start; damage that it meets is met in time to be set aside
 * @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 if it cannot be opened
 */
export function openOwnFile<T>(options: OwnFileOptions, load: (database: Sqlite.Database) => T): OwnFile<T> {
  const { file, readOnly } = options;
  try {
    if (file === ":memory:" || readOnly) {
      const database = new Sqlite(file, { readonly: readOnly, fileMustExist: readOnly });
      const beginAnew = (): never => {
        throw new Error(`${file} is not this process's own`);
      };
      return { ...prepared(database, options, false, load), damaged: null, beginAnew, close: () => database.close() };
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
  const { file, clock, log } = options;
  const open = (check: boolean, damaged: string | null): OwnFile<T> => {
    const found = prepared(new Sqlite(file), options, check, load);
    let { database } = found;
    const beginAnew = (why: string) => {
      database.close();
      const aside = setAside(file, why, clock.nowMs());
      database = prepared(new Sqlite(file), options, false, () => null).database;
      return { database, aside };
    };
    const close = (sound: boolean): void => {
      database.close();
      lock.release(sound);
    };
    return { ...found, damaged, beginAnew, close };
  };
  try {
    return open(lock.leftOpen, null);
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    const damaged = setAside(file, "damaged", clock.nowMs());
    const what = options.format.what;
    log.error({ file, damaged, cause: messageOf(thrown) }, `the ${what} is damaged: set aside, an empty one begun`);
    return open(false, damaged);
  }
}

/** Checked, given its tables, and read as far as the start needs it; closed again if any of that throws. */
function prepared<T>(
  database: Sqlite.Database,
  { file, format, readOnly }: OwnFileOptions,
  check: boolean,
  load: (database: Sqlite.Database) => T,
): Pick<OwnFile<T>, "database" | "loaded"> {
  try {
    const version = checkVersion(database, file, format);
    if (!readOnly) setUp(database, format, version, check);
    else if (version < format.versions.length) throw new Error(version === 0 ? "it is empty yet" : "it is of an older version");
    return { database, loaded: load(database) };
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** SQLite's own default. */
const pageBytes = 4_096;

/** Journal in a log of its own (readers never wait for the writer), and on the disk at each commit. */
function setUp(database: Sqlite.Database, format: FileFormat, version: number, check: boolean): void {
  const { versions, checkBytesMax = Number.POSITIVE_INFINITY } = format;
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("cache_size = -32768");
  database.pragma("journal_size_limit = 67108864");
  const bytes = Number(database.pragma("page_count", { simple: true })) * pageBytes;
  if (check && bytes <= checkBytesMax) {
    const answer = database.pragma("quick_check(1)", { simple: true });
    if (answer !== "ok") throw new Damage(String(answer));
  }
  if (version === versions.length) return;
  const upgrade = `${versions.slice(version).join("")}pragma user_version = ${versions.length};`;
  database.transaction(() => database.exec(upgrade)).immediate();
}

function checkVersion(database: Sqlite.Database, file: string, { versions }: FileFormat): number {
  const version = Number(database.pragma("user_version", { simple: true }));
  if (version > versions.length) {
    throw new Problem(`written by a newer build: version ${version}, this build reads up to ${versions.length}`, {
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

/** Moves the file and its log to a name that tells why and when, so that it can be looked into. */
export function setAside(file: string, why: string, nowMs: number): string {
  const stem = `${file}.${why}-${formatTimeUtc(nowMs).replace(/[-:]/g, "")}`;
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
