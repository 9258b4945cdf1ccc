/**
 * The durable log between sampling and the servers: what is in it survives a crash of the process and of the machine.
 *
 *   append -> batch 1, 2, 3, ...      one log
 *                 ^        ^
 *             cursor a  cursor b      what each target has behind it, bucket by bucket
 *
 * It is one SQLite file; SQLite is the best-tested way to survive a crash. Calls are synchronous and short; appends of
 * one turn of the event loop share one wait for the disk.
 *
 * For each target and bucket, at all times, in points: spooled = acknowledged + pending + shelved + expired.
 */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock, Log, Measure, Measured, Origin, PointAccount } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { hourMs, stopwatch } from "../core/time.ts";
import { SpoolFile } from "./spool-file.ts";

/** A piece of five minutes of one measurement: what is compared, repaired and sealed at once. */
export type WindowKey = { readonly measurement: string; readonly startMs: number };

export type NewBatch = {
  readonly bucket: string;
  /** Line protocol, times in ms, one gzip member, ending in a line break. */
  readonly body: Uint8Array;
  readonly points: number;
  readonly windows: readonly WindowKey[];
};

export type Batch = NewBatch & { readonly seq: number; readonly atMs: number };

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

/** Points that there was no room for. The slot can be run again. */
export type Gap = {
  readonly sampler: string;
  readonly slotMs: number;
  readonly points: number;
  readonly reason: string;
  readonly atMs: number;
};

/** What is remembered of a target. */
export type TargetNote = {
  readonly startedMs: number | null;
  readonly canaryMs: number | null;
  /** Why everything that it stores must be compared; null: nothing need be. */
  readonly verifyReason: string | null;
  readonly verifySinceMs: number | null;
  /** All from here on was compared since. */
  readonly verifiedFromMs: number | null;
  readonly repairedMs: number | null;
};

export type SpoolOptions = {
  readonly file: string;
  readonly readOnly?: boolean | undefined;
  readonly targets: readonly string[];
  readonly buckets: readonly string[];
  /** Bound of the file; never more than a fifth of its disk. */
  readonly bytesMax: number;
  /** How long batches are kept after all have them, to repair from. Default 48 h. */
  readonly cushionMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** See {@link SpoolFile}. */
  readonly onBroken?: (problem: Problem) => void;
};

type Cursor = { target: string; bucket: string; seq: number; base: number } & Record<
  "acknowledged" | "shelved" | "expired",
  number
>;

/** Share of the bound at which points of a priority are refused; low ones are held up before that. */
const refusedAt = { low: 0.85, medium: 0.95, high: 1 } as const;
const heldUpAt = 0.7;
/** Points on the shelf of one target; beyond it the lane stops, for nothing is dropped. */
const shelfRowsMax = 100_000;
/** Batches that one statement of trimming may delete. */
const trimRows = 500;

export class Spool implements Measured {
  readonly #options: SpoolOptions;
  readonly #file: SpoolFile;
  readonly #bytesMax: number;
  readonly #cushionMs: number;
  #spooled = new Map<string, number>();
  #cursors = new Map<string, Cursor>();
  #gaps = new Set<string>();
  /** Gaps that could not even be written down yet. */
  #unwritten: Gap[] = [];
  #waiting: {
    batches: readonly NewBatch[];
    origin: Origin | undefined;
    done: () => void;
    failed: (why: unknown) => void;
  }[] = [];
  #counts = { commits: 0, commitSeconds: 0, commitSecondsMax: 0, refused: 0, heldUp: 0, trimmed: 0, sacrificed: 0 };

  /** @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it */
  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#cushionMs = options.cushionMs ?? 48 * hourMs;
    const { clock, log, readOnly = false, onBroken = () => {} } = options;
    this.#file = new SpoolFile({ file: options.file, readOnly, clock, log, onBroken, onReplaced: () => this.#load() });
    const { bsize, blocks } = statfsSync(dirname(options.file));
    this.#bytesMax = Math.min(options.bytesMax, (bsize * blocks) / 5);
    this.#load();
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /**
   * Resolves when the batches are on the disk.
   * @throws Problem SPL-003, retryable, if there is no room for points of this priority: noted as a gap
   */
  append(batches: readonly NewBatch[], origin?: Origin): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ batches, origin, done, failed });
      if (this.#waiting.length === 1) setImmediate(() => this.#commit());
    });
  }

  #commit(): void {
    const all = this.#waiting;
    this.#waiting = [];
    const share = this.#pressure();
    const admitted = all.filter(({ batches, origin, failed }) => {
      const why = share < refusedAt[origin?.priority ?? "medium"] ? null : this.#fullText(share);
      if (why !== null) failed(this.#refuse(batches, origin, why));
      return why === null;
    });
    if (admitted.length === 0) return;
    const elapsedMs = stopwatch();
    try {
      this.#file.durable(() => {
        for (const { batches, origin } of admitted) this.#insert(batches, origin);
      });
    } catch (thrown) {
      for (const { batches, origin, failed } of admitted)
        failed(this.#refuse(batches, origin, messageOf(thrown), thrown));
      this.#load();
      return;
    }
    const seconds = elapsedMs() / 1_000;
    this.#counts.commits += 1;
    this.#counts.commitSeconds += seconds;
    this.#counts.commitSecondsMax = Math.max(this.#counts.commitSecondsMax, seconds);
    for (const { batches, origin, done } of admitted) {
      for (const { bucket, points } of batches) this.#spooled.set(bucket, this.spooledIn(bucket) + points);
      if (origin !== undefined) this.#gaps.delete(gapKey(origin));
      done();
    }
  }

  #insert(batches: readonly NewBatch[], origin: Origin | undefined): void {
    const nowMs = this.#options.clock.nowMs();
    const batch = this.#file.sql<[string, Uint8Array, number, string, number], never>(
      "insert into batch (bucket, body, points, windows, at_ms) values (?, ?, ?, ?, ?)",
    );
    const count = this.#file.sql<[string, number], never>(
      "insert into bucket values (?, ?) on conflict do update set spooled = spooled + excluded.spooled",
    );
    const window = this.#file.sql<[string, number, number, number, number], never>(
      `insert into window values (?, ?, ?, ?, ?, 1, null) on conflict do update
       set last_seq = excluded.last_seq, changed_ms = excluded.changed_ms, writes = writes + 1, differs = null`,
    );
    for (const { bucket, body, points, windows } of batches) {
      const touched = windows.map(({ measurement, startMs }) => [measurement, startMs]);
      const { lastInsertRowid } = batch.run(bucket, body, points, JSON.stringify(touched), nowMs);
      count.run(bucket, points);
      const seq = Number(lastInsertRowid);
      for (const { measurement, startMs } of windows) window.run(measurement, startMs, seq, seq, nowMs);
    }
    if (origin === undefined || !this.#gaps.has(gapKey(origin))) return;
    this.#file
      .sql<[string, number], never>("delete from gap where sampler = ? and slot_ms = ?")
      .run(origin.sampler, origin.slotMs);
  }

  /** Share of the bound that is in use, after what may go has gone. */
  #pressure(): number {
    if (this.usedBytes() < heldUpAt * this.#bytesMax) return this.usedBytes() / this.#bytesMax;
    this.#trim("sealed");
    if (this.usedBytes() >= refusedAt.low * this.#bytesMax) this.#trim("acknowledged");
    return this.usedBytes() / this.#bytesMax;
  }

  #fullText(share: number): string {
    return `the spool has no room: ${Math.round(share * 100)} % of ${Math.round(this.#bytesMax / 1e6)} MB are in use`;
  }

  #refuse(batches: readonly NewBatch[], origin: Origin | undefined, why: string, cause?: unknown): Problem {
    const points = batches.reduce((sum, batch) => sum + batch.points, 0);
    this.#counts.refused += points;
    const { sampler = "(nobody)", slotMs = 0 } = origin ?? {};
    this.#noteGap({ sampler, slotMs, points, reason: why, atMs: this.#options.clock.nowMs() });
    return new Problem(why, {
      code: "SPL-003",
      where: this.#options.file,
      fix: "bring back the InfluxDB that is behind, or give the spool more room (BELLWETHER_SPOOL_MAX)",
      retryable: true,
      cause,
    });
  }

  #noteGap(gap: Gap): void {
    const write = (each: Gap): void => {
      this.#file
        .sql<[string, number, number, string, number], never>(
          `insert into gap values (?, ?, ?, ?, ?, 1) on conflict do update
           set points = excluded.points, reason = excluded.reason, at_ms = excluded.at_ms, count = count + 1`,
        )
        .run(each.sampler, each.slotMs, each.points, each.reason, each.atMs);
    };
    this.#unwritten.push(gap);
    this.#gaps.add(gapKey(gap));
    const all = () => this.#unwritten.forEach(write);
    try {
      this.#file.durable(all);
      this.#unwritten = [];
    } catch {
      try {
        this.#file.inReserve(all);
        this.#unwritten = [];
      } catch (thrown) {
        this.#options.log.error({ ...gap }, `a gap could not be written down yet: ${messageOf(thrown)}`);
      }
    }
  }

  /** True while points of low priority are to come slower. */
  get heldUp(): boolean {
    return this.usedBytes() >= heldUpAt * this.#bytesMax;
  }

  usedBytes(): number {
    return this.#file.usedBytes();
  }

  /** Free on its disk. */
  freeBytes(): number {
    const { bavail, bsize } = statfsSync(dirname(this.#options.file));
    return bavail * bsize;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  // ---- handing over -------------------------------------------------------------------------------------------

  /** The oldest batches that a target lacks, in order, together of about `pointsMax` points and `bytesMax` bytes. */
  next(target: string, bucket: string, pointsMax: number, bytesMax: number): Batch[] {
    const found: Batch[] = [];
    let [points, bytes] = [0, 0];
    for (const batch of this.#after(bucket, this.cursor(target, bucket).seq)) {
      points += batch.points;
      bytes += batch.body.length;
      if (found.length > 0 && (points > pointsMax || bytes > bytesMax)) break;
      found.push(batch);
    }
    return found;
  }

  /** Batches that a target lacks, in order, until they hold more than `pointsMax` points; `all` says whether that was all. */
  pending(target: string, bucket: string, pointsMax: number): { batches: Batch[]; all: boolean } {
    const batches: Batch[] = [];
    let points = 0;
    for (const batch of this.#after(bucket, this.#readCursor(target, bucket).seq)) {
      points += batch.points;
      if (points > pointsMax) return { batches, all: false };
      batches.push(batch);
    }
    return { batches, all: true };
  }

  /** The newest batches first that touch a window, as long as they are kept. */
  touching({ measurement, startMs }: WindowKey): Batch[] {
    const rows = this.#file.sql<[string], BatchRow>(
      "select * from batch where bucket = '' and instr(windows, ?) order by seq desc",
    );
    return rows.all(JSON.stringify([measurement, startMs])).map(toBatch);
  }

  /** Number of the newest batch; 0: there never was one. */
  get lastSeq(): number {
    return this.#number("select coalesce(max(seq), 0) from sqlite_sequence where name = 'batch'");
  }

  /** Raw batches after `seq`; `whole` unless some of them were forgotten already. */
  since(seq: number): { whole: boolean; batches: Iterable<Batch> } {
    const first = this.#number("select coalesce(min(seq), ? + 1) from batch", seq);
    return { whole: first <= seq + 1 || this.lastSeq <= seq, batches: this.#after("", seq) };
  }

  *#after(bucket: string, seq: number): Generator<Batch> {
    const get = this.#file.sql<[string, number], BatchRow>(
      "select * from batch where bucket = ? and seq > ? order by seq limit 1",
    );
    for (let row = get.get(bucket, seq); row !== undefined; row = get.get(bucket, row.seq)) yield toBatch(row);
  }

  /** What became of all batches up to `seq`. Undone by a power cut, they are handed over again, which changes nothing. */
  settle(target: string, bucket: string, seq: number, acknowledged: number, refused: readonly Refused[]): void {
    const cursor = this.cursor(target, bucket);
    const expired = refused.filter((each) => each.expired).length;
    const next: Cursor = {
      ...cursor,
      seq,
      acknowledged: cursor.acknowledged + acknowledged,
      shelved: cursor.shelved + refused.length - expired,
      expired: cursor.expired + expired,
    };
    const write = (): void => {
      for (const each of refused) this.#shelve(target, bucket, each);
      this.#writeCursor(next);
    };
    if (refused.length > 0) this.#file.durable(write);
    else this.#file.relaxed(write);
    this.#cursors.set(cursorKey(target, bucket), next);
  }

  #writeCursor(cursor: Cursor): void {
    this.#file
      .sql<Cursor, never>(
        `insert or replace into cursor (target, bucket, seq, base, acknowledged, shelved, expired)
         values (@target, @bucket, @seq, @base, @acknowledged, @shelved, @expired)`,
      )
      .run(cursor);
  }

  #shelve(target: string, bucket: string, { line, reason, expired }: Refused): void {
    const nowMs = this.#options.clock.nowMs();
    this.#file
      .sql<[string, string, string, number, string, number, number], never>(
        `insert into shelf (target, bucket, line, expired, reason, first_ms, last_ms, count)
         values (?, ?, ?, ?, ?, ?, ?, 1) on conflict do update
         set reason = excluded.reason, last_ms = excluded.last_ms, count = count + 1`,
      )
      .run(target, bucket, line, Number(expired), reason, nowMs, nowMs);
  }

  /** Whether the shelf of a target takes so many more. */
  shelfTakes(target: string, more: number): boolean {
    return this.shelfRows(target) + more <= shelfRowsMax;
  }

  shelfRows(target: string): number {
    return this.#number("select count(*) from shelf where target = ?", target);
  }

  /** Oldest first. */
  shelf(filter: { target?: string | undefined; expired?: boolean | undefined; limit: number }): ShelfEntry[] {
    const { target, expired, limit } = filter;
    return this.#file
      .sql<object, ShelfRow>(
        `select * from shelf where (@target is null or target = @target) and (@expired is null or expired = @expired)
         order by id limit @limit`,
      )
      .all({ target: target ?? null, expired: expired === undefined ? null : Number(expired), limit })
      .map(({ first_ms: firstMs, last_ms: lastMs, ...row }) => ({
        ...row,
        firstMs,
        lastMs,
        expired: row.expired === 1,
      }));
  }

  /** Points of the shelf that a target has taken after all. */
  unshelve(entries: readonly ShelfEntry[]): void {
    const moved = new Map<string, Cursor>();
    for (const { target, bucket, expired, count } of entries) {
      const key = cursorKey(target, bucket);
      const cursor = moved.get(key) ?? { ...this.cursor(target, bucket) };
      cursor[expired ? "expired" : "shelved"] -= count;
      cursor.acknowledged += count;
      moved.set(key, cursor);
    }
    this.#file.durable(() => {
      for (const { id } of entries) this.#file.sql<[number], never>("delete from shelf where id = ?").run(id);
      for (const cursor of moved.values()) this.#writeCursor(cursor);
    });
    for (const [key, cursor] of moved) this.#cursors.set(key, cursor);
  }

  cursor(target: string, bucket: string): Cursor {
    const key = cursorKey(target, bucket);
    const known = this.#cursors.get(key);
    if (known !== undefined) return known;
    const base = this.spooledIn(bucket);
    const made = { target, bucket, seq: this.lastSeq, base, acknowledged: 0, shelved: 0, expired: 0 };
    this.#cursors.set(key, made);
    return made;
  }

  /** For one who looks on: the cursor as it is by now. */
  #readCursor(target: string, bucket: string): Cursor {
    if (this.#options.readOnly) this.#load();
    return this.cursor(target, bucket);
  }

  spooledIn(bucket: string): number {
    return this.#spooled.get(bucket) ?? 0;
  }

  pendingPoints(target: string, bucket: string): number {
    const { base, acknowledged, shelved, expired } = this.cursor(target, bucket);
    return this.spooledIn(bucket) - base - acknowledged - shelved - expired;
  }

  /** Where every point is. */
  accounts(): PointAccount[] {
    if (this.#options.readOnly) this.#load();
    const behind = this.#file.sql<[string, number], { points: number; oldest: number | null }>(
      "select coalesce(sum(points), 0) as points, min(at_ms) as oldest from batch where bucket = ? and seq > ?",
    );
    return [...this.#cursors.values()].map(({ target, bucket, seq, base, acknowledged, shelved, expired }) => {
      const { points, oldest } = behind.get(bucket, seq) ?? { points: 0, oldest: null };
      const pending = this.pendingPoints(target, bucket);
      const spooled = this.spooledIn(bucket) - base;
      return { target, bucket, spooled, acknowledged, pending, shelved, expired, inLog: points, oldestMs: oldest };
    });
  }

  // ---- keeping house ------------------------------------------------------------------------------------------

  /** Forgets batches that everybody has, whose windows are sealed, and that are older than the cushion. */
  trim(): void {
    this.#trim("cushion");
    if (this.#unwritten.length > 0) this.#noteGap(this.#unwritten.pop() as Gap);
  }

  /** A batch is forgotten only when all before it are: so the log has no holes, and a hole in it is a damage. */
  #trim(what: "cushion" | "sealed" | "acknowledged"): void {
    const unsealed = this.#number("select coalesce(min(first_seq), 9e15) from window");
    const least = Math.min(...[...this.#cursors.values()].map(({ seq, bucket }) => this.#reach(seq, bucket)));
    const limit = what === "acknowledged" ? least : Math.min(least, unsealed - 1);
    const beforeMs = what === "cushion" ? this.#options.clock.nowMs() - this.#cushionMs : Number.MAX_SAFE_INTEGER;
    const remove = this.#file.sql<[number, number, number], never>(
      "delete from batch where seq in (select seq from batch where seq <= ? and at_ms < ? order by seq limit ?)",
    );
    const enough = () => what !== "cushion" && this.usedBytes() < heldUpAt * this.#bytesMax;
    for (let gone = trimRows; gone === trimRows && !enough(); ) {
      gone = this.#file.relaxed(() => remove.run(limit, beforeMs, trimRows).changes);
      this.#counts[what === "cushion" ? "trimmed" : "sacrificed"] += gone;
    }
  }

  /** Every raw batch up to this one is behind the cursors of all targets. */
  handedOver(): number {
    return Math.min(...this.#options.targets.map((target) => this.#reach(this.cursor(target, "").seq, "")));
  }

  /** A cursor whose bucket has nothing behind it holds nobody up. */
  #reach(seq: number, bucket: string): number {
    const next = this.#file.sql<[string, number], { seq: number }>(
      "select seq from batch where bucket = ? and seq > ? order by seq limit 1",
    );
    const first = next.get(bucket, seq);
    return first === undefined ? Number.MAX_SAFE_INTEGER : first.seq - 1;
  }

  /** Oldest first. */
  gaps(limit: number): Gap[] {
    const rows = this.#file.sql<
      [number],
      { sampler: string; slot_ms: number; points: number; reason: string; at_ms: number }
    >("select * from gap order by slot_ms, sampler limit ?");
    return rows
      .all(limit)
      .map(({ slot_ms: slotMs, at_ms: atMs, sampler, points, reason }) => ({ sampler, slotMs, points, reason, atMs }));
  }

  get gapCount(): number {
    return this.#gaps.size;
  }

  /** For a slot that will never be sampled again. */
  dropGap({ sampler, slotMs }: Pick<Gap, "sampler" | "slotMs">): void {
    this.#file.durable(() =>
      this.#file.sql<[string, number], never>("delete from gap where sampler = ? and slot_ms = ?").run(sampler, slotMs),
    );
    this.#gaps.delete(gapKey({ sampler, slotMs }));
  }

  /** The file under it, for {@link Windows} and {@link Catalogue}, which keep their tables in it. */
  get file(): SpoolFile {
    return this.#file;
  }

  target(name: string): TargetNote {
    const row = this.#file
      .sql<[string], Record<string, number | string | null>>("select * from target where name = ?")
      .get(name);
    const number = (column: string) => (row?.[column] ?? null) as number | null;
    return {
      startedMs: number("started_ms"),
      canaryMs: number("canary_ms"),
      verifyReason: (row?.verify_reason ?? null) as string | null,
      verifySinceMs: number("verify_since_ms"),
      verifiedFromMs: number("verified_from_ms"),
      repairedMs: number("repaired_ms"),
    };
  }

  noteTarget(name: string, changes: Partial<TargetNote>): void {
    const note = { name, ...this.target(name), ...changes };
    this.#file.durable(() =>
      this.#file
        .sql<typeof note, never>(
          `insert or replace into target (name, started_ms, canary_ms, verify_reason, verify_since_ms, verified_from_ms,
             repaired_ms)
           values (@name, @startedMs, @canaryMs, @verifyReason, @verifySinceMs, @verifiedFromMs, @repairedMs)`,
        )
        .run(note),
    );
  }

  #load(): void {
    const { targets, buckets, readOnly } = this.#options;
    const spooled = this.#file.sql<[], { name: string; spooled: number }>("select * from bucket").all();
    this.#spooled = new Map(spooled.map((row) => [row.name, row.spooled]));
    const cursors = this.#file.sql<[], Cursor>("select * from cursor").all();
    this.#cursors = new Map(
      cursors
        .filter(({ target }) => targets.includes(target))
        .map((each) => [cursorKey(each.target, each.bucket), each]),
    );
    const gaps = this.#file.sql<[], { sampler: string; slot_ms: number }>("select sampler, slot_ms from gap").all();
    this.#gaps = new Set(gaps.map(({ sampler, slot_ms: slotMs }) => gapKey({ sampler, slotMs })));
    if (readOnly) return;
    this.#begin(targets, buckets, cursors);
  }

  /** Cursors of new targets begin at the end of the log: what was before is compared. Those of targets that are gone go. */
  #begin(targets: readonly string[], buckets: readonly string[], cursors: readonly Cursor[]): void {
    const { log, clock } = this.#options;
    const gone = [...new Set(cursors.map(({ target }) => target))].filter((name) => !targets.includes(name));
    const fresh = targets.filter((name) => !this.#cursors.has(cursorKey(name, "")));
    this.#file.durable(() => {
      for (const name of gone) {
        log.warn({ target: name }, "a target is no longer in the settings: what it lacks is not kept for it");
        for (const table of ["cursor", "shelf", "dirty"])
          this.#file.sql<[string], never>(`delete from ${table} where target = ?`).run(name);
        this.#file.sql<[string], never>("delete from target where name = ?").run(name);
      }
      for (const target of targets) {
        for (const bucket of buckets) this.#writeCursor(this.cursor(target, bucket));
      }
    });
    for (const name of fresh) {
      this.noteTarget(name, { verifyReason: "it is new here", verifySinceMs: clock.nowMs(), verifiedFromMs: null });
    }
    this.#reconcile();
  }

  /** After a damage, points may be in no account: those of batches that were lost. They are named as gaps. */
  #reconcile(): void {
    for (const account of this.accounts()) {
      const missing = account.pending - account.inLog;
      if (missing === 0) continue;
      const cursor = this.cursor(account.target, account.bucket);
      const mended = { ...cursor, base: cursor.base + missing };
      this.#file.durable(() => this.#writeCursor(mended));
      this.#cursors.set(cursorKey(account.target, account.bucket), mended);
      const reason = "it was damaged";
      this.noteTarget(account.target, {
        verifyReason: `the spool before it: ${reason}`,
        verifySinceMs: this.#options.clock.nowMs(),
        verifiedFromMs: null,
      });
      this.#options.log.error(
        { ...account, missing },
        `${Math.abs(missing)} points of a damaged spool are in no account: both copies are compared`,
      );
    }
  }

  #number(text: string, ...bind: (string | number)[]): number {
    const row = this.#file.sql<(string | number)[], Record<string, number>>(text).get(...bind);
    return Number(Object.values(row ?? { none: 0 })[0]);
  }

  measures(): Measure[] {
    const { commits, commitSeconds, commitSecondsMax, refused, heldUp, trimmed, sacrificed } = this.#counts;
    return [
      ...this.accounts().flatMap(accountMeasures),
      gauge("spool_bytes", "Bytes of the spool in use.", this.usedBytes()),
      gauge("spool_bytes_limit", "Bytes that the spool may use.", this.#bytesMax),
      gauge("spool_gaps", "Slots that there was no room for, and that have not been sampled again.", this.#gaps.size),
      gauge("spool_gaps_unwritten", "Gaps that the disk has no room to write down.", this.#unwritten.length),
      gauge("spool_salvages", "Damaged spools that this process carried over.", this.#file.salvages.length),
      gauge("shelf_rows_limit", "Points that the shelf of a target may hold.", shelfRowsMax),
      gauge("spool_commit_seconds_max", "Longest wait for the disk of one append.", commitSecondsMax),
      counter("spool_commits", "Appends that were written to the disk.", commits),
      counter("spool_commit_seconds", "Time spent on that.", commitSeconds),
      counter("spool_points_refused", "Points that there was no room for.", refused),
      counter("spool_points_held_up", "Writes of low priority that were made to wait.", heldUp),
      counter("spool_batches_trimmed", "Batches forgotten because all have had them for long enough.", trimmed),
      counter(
        "spool_batches_sacrificed",
        "Batches that could have served repair, forgotten for lack of room.",
        sacrificed,
      ),
    ];
  }

  noteHeldUp(): void {
    this.#counts.heldUp += 1;
  }

  close(): void {
    if (this.#waiting.length > 0) this.#commit();
    this.#file.close();
  }
}

type BatchRow = { seq: number; bucket: string; body: Buffer; points: number; windows: string; at_ms: number };
type ShelfRow = Omit<ShelfEntry, "firstMs" | "lastMs" | "expired"> & {
  expired: number;
  first_ms: number;
  last_ms: number;
};

function toBatch({ seq, bucket, body, points, windows, at_ms: atMs }: BatchRow): Batch {
  const touched = JSON.parse(windows) as [string, number][];
  return {
    seq,
    bucket,
    body,
    points,
    atMs,
    windows: touched.map(([measurement, startMs]) => ({ measurement, startMs })),
  };
}

function cursorKey(target: string, bucket: string): string {
  return `${target} ${bucket}`;
}

function gapKey({ sampler, slotMs }: Pick<Gap, "sampler" | "slotMs">): string {
  return `${slotMs} ${sampler}`;
}

function accountMeasures({ target, bucket, ...account }: PointAccount): Measure[] {
  const helps = {
    spooled: "Points spooled for a target.",
    acknowledged: "Of them, points that the target has taken.",
    pending: "Of them, points that the target lacks.",
    shelved: "Of them, points that the target refused.",
    expired: "Of them, points older than the target keeps any.",
  };
  return (Object.keys(helps) as (keyof typeof helps)[]).map((name) => ({
    name: `bellwether_replica_points_${name}`,
    help: helps[name],
    kind: "gauge",
    value: account[name],
    labels: { target, bucket: bucket === "" ? "raw" : bucket },
  }));
}

function gauge(name: string, help: string, value: number): Measure {
  return { name: `bellwether_${name}`, help, kind: "gauge", value };
}

function counter(name: string, help: string, value: number): Measure {
  return { name: `bellwether_${name}_total`, help, kind: "counter", value };
}
