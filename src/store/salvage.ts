/** What is carried over from a spool's file that was damaged, or whose disk failed, into a new one. */
import Sqlite from "better-sqlite3";
import { type BatchRow, batchPutter, carriedTables, checkBytesMax, isSound } from "./spool-format.ts";
import { SpoolPages, type Trace } from "./spool-pages.ts";

export type Salvage = {
  /** Batches carried over, and points in them. */
  readonly batches: number;
  readonly points: number;
  /** Batches that targets lacked and that could not be read: at most so many, and what is left of them. */
  readonly lost: number;
  readonly traces: readonly Trace[];
  /** Tables of which rows may be missing. */
  readonly incomplete: readonly string[];
};

type Row = Readonly<Record<string, unknown>>;

/** All but the batches. */
export type Rescued = {
  readonly tables: ReadonlyMap<string, readonly Row[]>;
  readonly incomplete: readonly string[];
  /** Numbers of the oldest batch and of the newest; null: unknown. */
  readonly firstSeq: number | null;
  readonly lastSeq: number | null;
  /** Batches after this one were never committed. */
  readonly seqMax: number;
};

/** A number that nobody reaches: batches come some hundred a second. */
export const seqMax = 2 ** 48;

/**
 * Reads what a connection still gives; of each table up to where it breaks off.
 * @param own true: the connection wrote the file, so what it does not see was never committed; false: it may see less
 * than there is
 */
export function rescue(from: Sqlite.Database | null, own: boolean): Rescued {
  if (from === null) return { tables: new Map(), incomplete: carriedTables, firstSeq: null, lastSeq: null, seqMax };
  const rescued = rescueFrom(from);
  return { ...rescued, seqMax: own ? (rescued.lastSeq ?? seqMax) : seqMax };
}

function rescueFrom(from: Sqlite.Database): Omit<Rescued, "seqMax"> {
  const tables = new Map<string, Row[]>();
  const incomplete: string[] = [];
  for (const table of carriedTables) {
    const rows: Row[] = [];
    tables.set(table, rows);
    try {
      for (const row of from.prepare<[], Row>(`select * from ${table}`).iterate()) rows.push(row);
    } catch {
      incomplete.push(table);
    }
  }
  const seqOf = (text: string): number | null => {
    try {
      const seq = from.prepare(text).pluck().get() ?? 0;
      return isSeq(seq) ? seq : null;
    } catch {
      return null;
    }
  };
  const firstSeq = seqOf("select min(seq) from batch");
  const lastSeq = seqOf("select seq from sqlite_sequence where name = 'batch'");
  return { tables, incomplete, firstSeq, lastSeq };
}

/** Of one transaction: where the disk is full, what was carried over before stays. */
const pieceBytes = 8_388_608;

/**
 * Writes what was rescued, and every batch that a connection or the pages of the damaged file still give, into a new
 * one. Where that has no room for all, it has the first of them.
 */
export function carryOver(
  damaged: string,
  from: Sqlite.Database | null,
  rescued: Rescued,
  into: Sqlite.Database,
): Salvage {
  const incomplete = new Set(rescued.incomplete);
  into.transaction(() => {
    for (const [table, rows] of rescued.tables) if (!putRows(into, table, rows, rescued.lastSeq)) incomplete.add(table);
  })();
  using pages = new SpoolPages(damaged);
  const seqs = pages.seqs.filter((seq) => seq >= (rescued.firstSeq ?? 1) && seq <= rescued.seqMax);
  const acknowledged = leastCursors(into);
  const put = batchPutter((text) => into.prepare(text));
  const lackedFrom = (acknowledged.get("") ?? 0) + 1;
  const traces: Trace[] = [];
  let [batches, points, readable] = [0, 0, 0];
  const carry = (seq: number): number => {
    // Pages may also hold a batch of this number that was never committed.
    const { row, trace = null } = { trace: null, ...(committed(from, seq) ?? pages.read(seq)) };
    if (row === null) {
      if (trace !== null && seq >= lackedFrom) traces.push(trace);
      return 0;
    }
    if (seq >= lackedFrom) readable += 1;
    // Of a large file, what all have is left behind: it would only serve repair.
    if (pages.bytes > checkBytesMax && seq <= (acknowledged.get(row.bucket) ?? 0)) return 0;
    put(row);
    batches += 1;
    points += row.points;
    return row.body.length;
  };
  try {
    for (let next = 0; next < seqs.length; ) {
      into.transaction(() => {
        for (let bytes = 0; bytes < pieceBytes && next < seqs.length; next += 1) bytes += carry(seqs[next] as number);
      })();
    }
  } catch (thrown) {
    if (!isFull(thrown)) throw thrown;
    incomplete.add("batch");
  }
  const lastSeq = Math.max(rescued.lastSeq ?? 0, seqs.at(-1) ?? 0, ...acknowledged.values());
  into.exec(`delete from sqlite_sequence; insert into sqlite_sequence values ('batch', ${lastSeq})`);
  const firstLacked = Math.max(lackedFrom, rescued.firstSeq ?? seqs[0] ?? lackedFrom);
  return {
    batches,
    points,
    lost: Math.max(0, lastSeq - firstLacked + 1 - readable),
    traces,
    incomplete: [...incomplete],
  };
}

/** As a connection has it; null if it has not, or not as it was written. */
function committed(from: Sqlite.Database | null, seq: number): { readonly row: BatchRow } | null {
  try {
    const row = from?.prepare<[number], BatchRow>("select * from batch where seq = ?").get(seq);
    return row !== undefined && isSound(row) ? { row } : null;
  } catch {
    return null;
  }
}

export function isFull(thrown: unknown): boolean {
  if (!(thrown instanceof Sqlite.SqliteError)) return false;
  // The index of the log is a file of its own, mapped into memory; where it cannot grow, the disk is full too.
  return thrown.code === "SQLITE_FULL" || thrown.code === "SQLITE_IOERR_SHMSIZE";
}

/** By bucket, the number up to which all targets have its batches. */
function leastCursors(database: Sqlite.Database): Map<string, number> {
  const rows = database.prepare<[], { bucket: string; seq: number }>(
    "select bucket, min(seq) as seq from cursor group by bucket",
  );
  return new Map(rows.all().map(({ bucket, seq }) => [bucket, seq]));
}

/** @returns whether all rows were such as the table takes */
function putRows(into: Sqlite.Database, table: string, rows: readonly Row[], lastSeq: number | null): boolean {
  const columns = into.pragma(`table_info(${table})`) as { name: string; type: string; notnull: number }[];
  // A file of an older version lacks some: they have a default.
  const known = columns.filter(({ name }) => rows.length === 0 || Object.hasOwn(rows[0] as Row, name));
  const names = known.map(({ name }) => name);
  const insert = into.prepare(
    `insert or ignore into ${table} (${names.join(", ")}) values (${names.map((name) => `@${name}`).join(", ")})`,
  );
  const fits = (row: Row): boolean =>
    known.every(({ name, type, notnull }) => {
      const value = row[name];
      if (value === null) return notnull === 0;
      return type.toLowerCase() === "integer" ? Number.isSafeInteger(value) : typeof value === "string";
    });
  // A cursor beyond the end of the log would pass over what comes.
  const sound = rows.filter((row) => fits(row) && (table !== "cursor" || (row.seq as number) <= (lastSeq ?? seqMax)));
  let changes = 0;
  for (const row of sound) changes += insert.run(row).changes;
  return changes === rows.length;
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= seqMax;
}
