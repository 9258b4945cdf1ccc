/**
 * Batches that every target has are kept for a while, to repair from. They go when they are old enough, and before that
 * where room is short: those first whose windows are sealed.
 */
import { stopwatch } from "../core/time.ts";
import type { Accounts } from "./accounts.ts";
import { windowsIn } from "./spool-batch.ts";
import type { SpoolFile } from "./spool-file.ts";
import type { BatchRow } from "./spool-format.ts";

/** How long batches are forgotten before others get their turn; the disk takes a multiple of it. */
const turnMs = 3;
/** Under pressure a log of more is brought into the file before anything is given up. */
const logBytesMax = 1_048_576;
/** What a batch takes besides its body, on a full disk: pages of the tables that it changes, in log and file. */
const roomBytes = 262_144;

export class Cushion {
  readonly #file: SpoolFile;
  readonly #accounts: Accounts;
  readonly counts = { trimmed: 0, sacrificed: 0 };

  constructor(file: SpoolFile, accounts: Accounts) {
    this.#file = file;
    this.#accounts = accounts;
  }

  /**
   * Gives up what may go until `fewBytes` are in use, or for as long as a turn takes; batches whose windows are not
   * sealed only while `manyBytes` are.
   */
  relieve(fewBytes: number, manyBytes: number): void {
    if (this.#file.logBytes() > logBytesMax) this.#file.shortenLog();
    const elapsedMs = stopwatch();
    const more = () => this.#file.usedBytes() >= fewBytes && elapsedMs() < turnMs;
    this.#forget("sealed", more);
    if (this.#file.usedBytes() >= manyBytes) this.#forget("acknowledged", more);
  }

  /** On a full disk: makes room within the file. @returns whether there is enough for so many bytes */
  makeRoom(bytes: number): boolean {
    const lacking = () => this.#file.spareBytes() < bytes + roomBytes;
    this.#forget("sealed", lacking);
    if (lacking()) this.#forget("acknowledged", lacking);
    return !lacking();
  }

  /** Forgets sealed batches that were spooled before `beforeMs`. */
  async trim(beforeMs: number): Promise<void> {
    for (let whole = false; !whole; ) {
      const elapsedMs = stopwatch();
      whole = this.#forget("sealed", () => elapsedMs() < turnMs, beforeMs);
      if (!whole) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * The oldest batch first, while `more` says so. A batch is forgotten only when all before it are: a hole in the log is
   * a damage.
   * @param beforeMs only those spooled before; absent: it is for want of room
   * @returns false if there may be more to forget
   */
  #forget(what: "sealed" | "acknowledged", more: () => boolean, beforeMs?: number): boolean {
    const least = Math.min(...[...this.#accounts.cursors].map((cursor) => this.#accounts.reach(cursor)));
    const untilSeq = what === "acknowledged" ? least : Math.min(least, this.#firstUnsealed() - 1);
    const oldest = this.#file.sql<[], Pick<BatchRow, "seq" | "at_ms" | "windows">>(
      "select seq, at_ms, windows from batch order by seq limit 1",
    );
    const next = () => {
      const row = oldest.get();
      const goes = row !== undefined && row.seq <= untilSeq && row.at_ms < (beforeMs ?? Number.MAX_SAFE_INTEGER);
      return goes ? row : undefined;
    };
    if (next() === undefined) return true;
    return this.#file.relaxed(() => {
      for (let row = next(); row !== undefined; row = next()) {
        if (!more()) return false;
        this.#remove(row);
        this.counts[beforeMs === undefined ? "sacrificed" : "trimmed"] += 1;
      }
      return true;
    });
  }

  /** First batch that a window needs which is yet to be compared. */
  #firstUnsealed(): number {
    const first = this.#file.sql<[], { seq: number | null }>(
      "select min(first_seq) as seq from window where differs is null",
    );
    return first.get()?.seq ?? Number.MAX_SAFE_INTEGER;
  }

  /** In a transaction. */
  #remove(row: Pick<BatchRow, "seq" | "windows">): void {
    this.#file.sql<[number], never>("delete from batch where seq = ?").run(row.seq);
    this.#accounts.forgot(row.seq);
    const touch = this.#file.sql<[string, number, number], never>(
      "delete from touch where measurement = ? and start_ms = ? and seq = ?",
    );
    for (const { measurement, startMs } of windowsIn(row)) touch.run(measurement, startMs, row.seq);
  }
}
