/**
 * Where every point is, for each target and bucket:
 *
 *   spooled = acknowledged + pending + shelved + expired
 *
 * `pending` is what is left of the sum; `inLog` is counted from the batches behind the cursor, and must be the same.
 */
import type { PointAccount } from "../core/ports.ts";
import type { SpoolFile } from "./spool-file.ts";

export type Cursor = {
  readonly target: string;
  readonly bucket: string;
  /** The target has all batches of the bucket up to this one. */
  readonly seq: number;
  /** Points that were spooled before this target's account begins. */
  readonly base: number;
  readonly acknowledged: number;
  readonly shelved: number;
  readonly expired: number;
};

/** Points of a bucket in batches after one and up to another: kept, so that each batch is counted once. */
type Counted = { readonly after: number; readonly upTo: number; readonly points: number };

export class Accounts {
  readonly #file: SpoolFile;
  readonly #spooled = new Map<string, number>();
  readonly #cursors = new Map<string, Cursor>();
  readonly #counted = new Map<string, Counted>();

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  /** Reads them anew. @returns targets that have a cursor here and are not among the given ones */
  load(targets: readonly string[], buckets: readonly string[]): string[] {
    this.#spooled.clear();
    this.#cursors.clear();
    this.#counted.clear();
    const gone = new Set<string>();
    for (const { name, spooled } of this.#file
      .sql<[], { name: string; spooled: number }>("select * from bucket")
      .all()) {
      this.#spooled.set(name, spooled);
    }
    for (const cursor of this.#file.sql<[], Cursor>("select * from cursor").all()) {
      if (!targets.includes(cursor.target)) gone.add(cursor.target);
      else if (buckets.includes(cursor.bucket)) this.#cursors.set(keyOf(cursor.target, cursor.bucket), cursor);
    }
    return [...gone];
  }

  has(target: string, bucket: string): boolean {
    return this.#cursors.has(keyOf(target, bucket));
  }

  /** Where a target begins: with what comes, or with all that is in the log, which never does harm. */
  begin(target: string, bucket: string, where: "end" | "start"): void {
    const seq = where === "end" ? this.#file.lastSeq : this.#beforeFirst();
    const base = this.spooled(bucket) - this.#count(bucket, seq, Number.MAX_SAFE_INTEGER);
    this.move({ target, bucket, seq, base, acknowledged: 0, shelved: 0, expired: 0 });
  }

  cursor(target: string, bucket: string): Cursor {
    return (
      this.#cursors.get(keyOf(target, bucket)) ?? {
        target,
        bucket,
        seq: this.#file.lastSeq,
        base: this.spooled(bucket),
        acknowledged: 0,
        shelved: 0,
        expired: 0,
      }
    );
  }

  get cursors(): Iterable<Cursor> {
    return this.#cursors.values();
  }

  /** In a transaction; {@link moved} once that is through. */
  write(cursor: Cursor): void {
    const { target, bucket, seq, base, acknowledged, shelved, expired } = cursor;
    this.#file
      .sql<[string, string, number, number, number, number, number], never>(
        "insert or replace into cursor values (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(target, bucket, seq, base, acknowledged, shelved, expired);
  }

  moved(cursor: Cursor): void {
    this.#cursors.set(keyOf(cursor.target, cursor.bucket), cursor);
  }

  move(cursor: Cursor): void {
    this.#file.durable(() => this.write(cursor));
    this.moved(cursor);
  }

  /** Points of a bucket that were ever spooled. */
  spooled(bucket: string): number {
    return this.#spooled.get(bucket) ?? 0;
  }

  /** In a transaction; {@link added} once that is through. */
  writeAdded(bucket: string, points: number): void {
    this.#file
      .sql<[string, number], never>(
        "insert into bucket values (?, ?) on conflict do update set spooled = spooled + excluded.spooled",
      )
      .run(bucket, points);
  }

  added(bucket: string, points: number): void {
    this.#spooled.set(bucket, this.spooled(bucket) + points);
  }

  pending(target: string, bucket: string): number {
    const { base, acknowledged, shelved, expired } = this.cursor(target, bucket);
    return this.spooled(bucket) - base - acknowledged - shelved - expired;
  }

  list(): PointAccount[] {
    const oldest = this.#file.sql<[string, number], { at_ms: number }>(
      "select at_ms from batch where bucket = ? and seq > ? order by seq limit 1",
    );
    return [...this.#cursors.values()].map((cursor) => {
      const { target, bucket, base, acknowledged, shelved, expired } = cursor;
      return {
        target,
        bucket,
        spooled: this.spooled(bucket) - base,
        acknowledged,
        pending: this.pending(target, bucket),
        shelved,
        expired,
        inLog: this.#inLog(cursor),
        oldestMs: oldest.get(bucket, cursor.seq)?.at_ms ?? null,
      };
    });
  }

  /** Points of the bucket in batches after `seq`, up to `upTo`. */
  #count(bucket: string, seq: number, upTo: number): number {
    const sum = this.#file.sql<[string, number, number], { points: number }>(
      "select coalesce(sum(points), 0) as points from batch where bucket = ? and seq > ? and seq <= ?",
    );
    return seq >= upTo ? 0 : (sum.get(bucket, seq, upTo)?.points ?? 0);
  }

  /** From what was counted the last time, only what came and what the target has taken since. */
  #inLog({ target, bucket, seq }: Cursor): number {
    const key = keyOf(target, bucket);
    const last = this.#counted.get(key);
    const known = last === undefined || seq < last.after ? { after: seq, upTo: seq, points: 0 } : last;
    const upTo = this.#file.lastSeq;
    const came = this.#count(bucket, known.upTo, upTo);
    const taken = this.#count(bucket, known.after, seq);
    const counted = { after: seq, upTo, points: known.points + came - taken };
    this.#counted.set(key, counted);
    return counted.points;
  }

  /** A batch is no longer there: what was counted with it, and has not been without, is counted anew. */
  forgot(seq: number): void {
    for (const [key, { after, upTo }] of this.#counted) if (after < seq && seq <= upTo) this.#counted.delete(key);
  }

  /** Points that a settlement of all batches up to `seq` must account for. */
  upTo(target: string, bucket: string, seq: number): number {
    return this.#count(bucket, this.cursor(target, bucket).seq, seq);
  }

  /**
   * Makes accounts hold again after a damage. A cursor whose account does not may have been damaged itself, and have
   * passed over batches: with `rewind` it begins at the oldest batch again, which changes nothing at a server that has
   * them.
   * @returns the accounts that did not hold
   */
  reconcile(rewind: boolean): PointAccount[] {
    this.#counted.clear();
    const wrong = this.list().filter((account) => account.pending !== account.inLog || isNegative(account));
    for (const account of wrong) {
      const { target, bucket } = account;
      const { seq: at, ...cursor } = this.cursor(target, bucket);
      const seq = rewind ? this.#beforeFirst() : at;
      const [acknowledged, shelved, expired] = [cursor.acknowledged, cursor.shelved, cursor.expired].map((points) =>
        Math.max(0, points),
      ) as [number, number, number];
      const inLog = this.#count(bucket, seq, Number.MAX_SAFE_INTEGER);
      const base = this.spooled(bucket) - acknowledged - shelved - expired - inLog;
      this.move({ target, bucket, seq, base, acknowledged, shelved, expired });
    }
    this.#counted.clear();
    return wrong;
  }

  #beforeFirst(): number {
    const first = this.#file.sql<[], { seq: number | null }>("select min(seq) as seq from batch").get()?.seq;
    return first == null ? this.#file.lastSeq : first - 1;
  }

  /** The batch before the next one that a target lacks. A cursor whose bucket has nothing behind it holds nobody up. */
  reach({ bucket, seq }: Cursor): number {
    const next = this.#file.sql<[string, number], { seq: number }>(
      "select seq from batch where bucket = ? and seq > ? order by seq limit 1",
    );
    const first = next.get(bucket, seq);
    return first === undefined ? Number.MAX_SAFE_INTEGER : first.seq - 1;
  }
}

function isNegative({ acknowledged, shelved, expired }: PointAccount): boolean {
  return Math.min(acknowledged, shelved, expired) < 0;
}

function keyOf(target: string, bucket: string): string {
  return `${target} ${bucket}`;
}
