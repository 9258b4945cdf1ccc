/** Points that a target refused, each with its reason, until it takes them or somebody gives them up. */
import type { SpoolFile } from "./spool-file.ts";

export type ShelfEntry = {
  readonly id: number;
  readonly target: string;
  readonly bucket: string;
  readonly line: string;
  /** True: older than the server keeps points; it will not be taken whatever is mended. */
  readonly expired: boolean;
  readonly reason: string;
  readonly firstMs: number;
  readonly lastMs: number;
  /** How often this very point was refused. */
  readonly count: number;
};

export type Refused = Pick<ShelfEntry, "line" | "reason" | "expired">;

/** Different points of one target; beyond it its lane stops, for nothing is dropped. */
export const shelfRowsMax = 100_000;

type Row = Omit<ShelfEntry, "firstMs" | "lastMs" | "expired"> & { expired: number; first_ms: number; last_ms: number };

export class Shelf {
  readonly #file: SpoolFile;
  /** Rows by target, as far as they were counted since they last changed. */
  readonly #rows = new Map<string, number>();

  constructor(file: SpoolFile) {
    this.#file = file;
  }

  load(): void {
    this.#rows.clear();
  }

  /** In a transaction. */
  add(target: string, bucket: string, { line, reason, expired }: Refused, nowMs: number): void {
    this.#rows.delete(target);
    this.#file
      .sql<[string, string, string, number, string, number, number], never>(
        `insert into shelf (target, bucket, line, expired, reason, first_ms, last_ms, count)
         values (?, ?, ?, ?, ?, ?, ?, 1) on conflict do update
         set reason = excluded.reason, last_ms = excluded.last_ms, count = count + 1`,
      )
      .run(target, bucket, line, Number(expired), reason, nowMs, nowMs);
  }

  /** In a transaction. @returns how often it had been refused; 0: it is not there any more */
  remove({ id, target }: ShelfEntry): number {
    this.#rows.delete(target);
    const count = this.#file.sql<[number], { count: number }>("select count from shelf where id = ?").get(id)?.count;
    this.#file.sql<[number], never>("delete from shelf where id = ?").run(id);
    return count ?? 0;
  }

  /** Oldest first. */
  list(filter: { target?: string | undefined; expired?: boolean | undefined; limit: number }): ShelfEntry[] {
    const { target = null, expired, limit } = filter;
    const only = expired === undefined ? null : Number(expired);
    return this.#file
      .sql<[string | null, number | null, number], Row>(
        "select * from shelf where target = coalesce(?, target) and expired = coalesce(?, expired) order by id limit ?",
      )
      .all(target, only, limit)
      .map(({ first_ms: firstMs, last_ms: lastMs, ...row }) => ({
        ...row,
        firstMs,
        lastMs,
        expired: row.expired === 1,
      }));
  }

  rows(target: string): number {
    let rows = this.#rows.get(target);
    if (rows === undefined) {
      rows = this.#file.sql<[string], { n: number }>("select count(*) as n from shelf where target = ?").get(target)?.n;
      this.#rows.set(target, rows ?? 0);
    }
    return rows ?? 0;
  }

  /** Whether the shelf of a target has room for so many more. */
  takes(target: string, more: number): boolean {
    return more === 0 || this.rows(target) + more <= shelfRowsMax;
  }
}
