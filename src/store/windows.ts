/**
 * What of the newest past has been compared. A window is five minutes of one measurement:
 *
 *   open (somebody writes, or a target lacks something) -> closed -> compared -> sealed (forgotten here)
 *
 * A late write opens it again.
 */
import { floorToStep, minuteMs } from "../core/time.ts";
import type { Spool, WindowKey } from "./spool.ts";
import { windowTouched } from "./spool-format.ts";

export const windowMs = 5 * minuteMs;

export type Window = WindowKey & {
  /** Writes that touched it so far: another number later says that something came between. */
  readonly writes: number;
  /** The newest batch that touched it. */
  readonly lastSeq: number;
  /** In what the copies differ, where that could not be repaired. */
  readonly differs: string | null;
};

const lostReason = "points may be lost";

type WindowRow = { measurement: string; start_ms: number; last_seq: number; writes: number; differs: string | null };

export class Windows {
  readonly #spool: Spool;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /**
   * Windows that every target has whole and that nobody wrote to since `beforeMs`, those written to longest ago first.
   * @param seq every batch up to it is behind all cursors
   * @param again after them those that differ for good, in case a copy was mended; default false
   */
  closed(seq: number, beforeMs: number, limit: number, { again = false } = {}): Window[] {
    const rows = (which: string, most: number): WindowRow[] =>
      this.#spool.file
        .sql<[number, number, number], WindowRow>(
          `select * from window where ${which} and last_seq <= ? and changed_ms <= ? order by last_seq limit ?`,
        )
        .all(seq, beforeMs, most);
    const equal = rows("differs is null", limit);
    const differing = again ? rows("differs is not null", limit - equal.length) : [];
    return [...equal, ...differing].map(toWindow);
  }

  get(key: WindowKey): Window | null {
    const row = this.#spool.file
      .sql<[string, number], WindowRow>("select * from window where measurement = ? and start_ms = ?")
      .get(key.measurement, key.startMs);
    return row === undefined ? null : toWindow(row);
  }

  /** Forgets windows that were found equal, unless somebody wrote to them meanwhile. */
  seal(windows: readonly Window[]): void {
    const remove = this.#spool.file.sql<[string, number, number], never>(
      "delete from window where measurement = ? and start_ms = ? and writes = ?",
    );
    const clean = this.#spool.file.sql<[string, number], never>(
      "delete from dirty where measurement = ? and start_ms = ?",
    );
    this.#spool.file.relaxed(() => {
      for (const { measurement, startMs, writes } of windows) {
        if (remove.run(measurement, startMs, writes) > 0) clean.run(measurement, startMs);
      }
    });
  }

  /** Says of a window that its copies differ and nobody knows which one is right. */
  differ({ measurement, startMs }: WindowKey, how: string): void {
    this.#spool.file.relaxed(() =>
      this.#spool.file
        .sql<[string, number, string], never>(
          `insert into window values (?, ?, 9e15, 0, 0, 0, ?) on conflict do update set differs = excluded.differs`,
        )
        .run(measurement, startMs, how),
    );
  }

  /** Has windows compared once more, as if somebody had written to them by now. */
  reopen(keys: readonly WindowKey[], nowMs: number): void {
    const { file } = this.#spool;
    const touch = file.sql<[string, number, number, number, number], never>(windowTouched);
    file.relaxed(() => {
      const seq = file.lastSeq;
      for (const { measurement, startMs } of keys) touch.run(measurement, startMs, seq, seq, nowMs);
    });
  }

  /** Whether copies differ for good in a window of a measurement that touches [fromMs, toMs). */
  differsIn(measurement: string, fromMs: number, toMs: number): boolean {
    const found = this.#spool.file
      .sql<[string, number, number], object>(
        "select 1 from window where measurement = ? and start_ms > ? and start_ms < ? and differs is not null",
      )
      .get(measurement, fromMs - windowMs, toMs);
    return found !== undefined;
  }

  /** Those whose copies differ for good, newest first. */
  differing(limit: number): Window[] {
    return this.#spool.file
      .sql<[number], WindowRow>("select * from window where differs is not null order by start_ms desc limit ?")
      .all(limit)
      .map(toWindow);
  }

  /** The values of a target there may yet turn out wrong. */
  markDirty(target: string, windows: readonly WindowKey[], reason: string, nowMs: number): void {
    const insert = this.#spool.file.sql<[string, string, number, string, number], never>(
      "insert into dirty values (?, ?, ?, ?, ?) on conflict do update set since_ms = excluded.since_ms",
    );
    this.#spool.file.relaxed(() => {
      for (const { measurement, startMs } of windows) insert.run(target, measurement, startMs, reason, nowMs);
    });
  }

  /** Those that were not marked since are clean: all of them were compared. */
  clean(target: string, sinceMs: number): void {
    this.#spool.file.relaxed(() =>
      this.#spool.file
        .sql<[string, number, string], never>("delete from dirty where target = ? and since_ms < ? and reason <> ?")
        .run(target, sinceMs, lostReason),
    );
  }

  /** Windows that are not sealed yet may hold points that a target has lost; until they are, it is not trusted there. */
  markLost(target: string, nowMs: number): void {
    const { file } = this.#spool;
    file.relaxed(() =>
      file
        .sql<[string, string, number], never>(
          `insert or replace into dirty select ?, measurement, start_ms, ?, ? from window where differs is null`,
        )
        .run(target, lostReason, nowMs),
    );
  }

  /** Whether a target may have lost points of a measurement in a window that touches [fromMs, toMs). */
  lostIn(target: string, measurement: string, fromMs: number, toMs: number): boolean {
    const found = this.#spool.file
      .sql<[string, string, number, number, string], object>(
        "select 1 from dirty where target = ? and measurement = ? and start_ms > ? and start_ms < ? and reason = ?",
      )
      .get(target, measurement, fromMs - windowMs, toMs, lostReason);
    return found !== undefined;
  }

  isDirty(target: string, { measurement, startMs }: WindowKey): boolean {
    const found = this.#spool.file
      .sql<[string, string, number], object>(
        "select 1 from dirty where target = ? and measurement = ? and start_ms = ?",
      )
      .get(target, measurement, startMs);
    return found !== undefined;
  }

  /** How many are open or yet to be compared, how many differ for good, and how many are dirty by target. */
  counts(): { unsealed: number; differing: number; dirty: ReadonlyMap<string, number> } {
    const count = (text: string): number => this.#spool.file.sql<[], { n: number }>(text).get()?.n ?? 0;
    const unsealed = count("select count(*) as n from window");
    const differing = count("select count(*) as n from window where differs is not null");
    const dirty = this.#spool.file
      .sql<[], { target: string; n: number }>("select target, count(*) as n from dirty group by target")
      .all();
    return { unsealed, differing, dirty: new Map(dirty.map(({ target, n }) => [target, n])) };
  }
}

/** The windows that points lie in, each once. Neighbours mostly lie in the same. */
export function windowsOf(points: readonly { readonly measurement: string; readonly timeMs: number }[]): WindowKey[] {
  const found = new Map<string, WindowKey>();
  let last: WindowKey | null = null;
  for (const { measurement, timeMs } of points) {
    const startMs = floorToStep(timeMs, windowMs);
    if (last !== null && last.startMs === startMs && last.measurement === measurement) continue;
    last = { measurement, startMs };
    const key = `${startMs} ${measurement}`;
    if (!found.has(key)) found.set(key, last);
  }
  return [...found.values()];
}

function toWindow({ measurement, start_ms: startMs, last_seq: lastSeq, writes, differs }: WindowRow): Window {
  return { measurement, startMs, lastSeq, writes, differs };
}
