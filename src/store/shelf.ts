/** Points that a target refused, each with its reason, until it takes them or somebody gives them up. */
import type { ShelfEntry } from "../core/ports.ts";
import { seriesKey } from "./line.ts";
import type { SpoolFile } from "./spool-file.ts";

export type Refused = Pick<ShelfEntry, "line" | "reason" | "expired">;

/** Different points of one target that it may yet take; beyond it its lane stops, for nothing is dropped. */
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
  add(target: string, bucket: string, refused: readonly Refused[], nowMs: number): void {
    this.#rows.delete(target);
    const insert = this.#file.sql<[string, string, string, string, number, string, number, number, number], never>(
      `insert into shelf (target, bucket, measurement, line, expired, reason, first_ms, last_ms, count)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do update
       set line = excluded.line, reason = excluded.reason, last_ms = excluded.last_ms, count = count + excluded.count`,
    );
    for (const { line, reason, expired } of refused) {
      if (!expired) insert.run(target, bucket, "", line, 0, reason, nowMs, nowMs, 1);
    }
    const tooOld = Map.groupBy(
      refused.filter(({ expired }) => expired),
      ({ line }) => nameIn(line),
    );
    for (const [name, own] of tooOld) {
      const { line, reason } = own.at(-1) as Refused;
      insert.run(target, bucket, name, line, 1, reason, nowMs, nowMs, own.length);
    }
  }

  /** In a transaction. @returns its `count`; 0: it is not there any more */
  remove({ id, target, line }: ShelfEntry): number {
    this.#rows.delete(target);
    // The number of one that is gone may have been given to another.
    const remove = this.#file.sql<[number, string], { count: number }>(
      "delete from shelf where id = ? and line = ? returning count",
    );
    return remove.get(id, line)?.count ?? 0;
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

  /** Whether there are points of a measurement that the target may yet take. */
  holds(target: string, measurement: string): boolean {
    const beginning = seriesKey({ measurement, tags: {} });
    const found = this.#file.sql<[string, string, string], object>(
      "select 1 from shelf where target = ? and expired = 0 and (instr(line, ?) = 1 or instr(line, ?) = 1) limit 1",
    );
    return found.get(target, `${beginning},`, `${beginning} `) !== undefined;
  }

  /** Points that the target may yet take: not those that are too old. */
  rows(target: string): number {
    let rows = this.#rows.get(target);
    if (rows === undefined) {
      const count = this.#file.sql<[string], { n: number }>(
        "select count(*) as n from shelf where target = ? and expired = 0",
      );
      rows = count.get(target)?.n ?? 0;
      this.#rows.set(target, rows);
    }
    return rows;
  }

  /** Whether the shelf of a target has room for so many more; those that are too old need none. */
  takes(target: string, more: number): boolean {
    return more === 0 || this.rows(target) + more <= shelfRowsMax;
  }
}

/** The measurement, as it stands in a line. */
function nameIn(line: string): string {
  return /^(?:\\.|[^,\\ ])*/s.exec(line)?.[0] ?? "";
}
