/**
 * The durable log between sampling and the servers: what is in it survives a crash of the process and of the machine.
 *
 *   append -> batch 1, 2, 3, ...      one log
 *                 ^        ^
 *             cursor a  cursor b      what each target has behind it, bucket by bucket
 *
 * It is one SQLite file; SQLite is the best-tested way to survive a crash. Calls are synchronous and short; appends of
 * one turn of the event loop share one wait for the disk.
 */

import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { counter, gauge } from "../core/measure.ts";
import type { TimeWindow } from "../core/model.ts";
import type { Clock, Log, Measure, Measured, Origin, PointAccount, ShelfEntry } from "../core/ports.ts";
import { Problem, toProblem } from "../core/problem.ts";
import { hourMs, stopwatch } from "../core/time.ts";
import { Accounts, type Cursor } from "./accounts.ts";
import { Cushion } from "./cushion.ts";
import { type Gap, Gaps, type Slot } from "./gaps.ts";
import { type Refused, Shelf, shelfRowsMax } from "./shelf.ts";
import { type Batch, type NewBatch, rowOf, toBatch, type WindowKey, windowsIn } from "./spool-batch.ts";
import { isNoRoom, type Mishap, SpoolFile } from "./spool-file.ts";
import { type BatchRow, batchPutter, isSound, windowTouched } from "./spool-format.ts";
import { newHere, type TargetFacts, type TargetNote, Targets } from "./targets.ts";

export type { Gap } from "./gaps.ts";
export type { Refused } from "./shelf.ts";
export type { Batch, NewBatch, WindowKey } from "./spool-batch.ts";

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
  /** The disk failed a second time within a minute: the process had better end and be started again. */
  readonly onBroken?: (problem: Problem) => void;
};

type Append = {
  readonly batches: readonly NewBatch[];
  readonly origin: Origin | undefined;
  readonly also: () => void;
  readonly done: () => void;
  readonly failed: (why: unknown) => void;
};
type Refusal = { readonly append: Append; readonly problem: Problem };

/** Share of the bound at which points of a priority are refused; low ones are held up before that. */
const refusedAt = { low: 0.85, medium: 0.95, high: 1 } as const;
const heldUpAt = 0.7;
/** What may go under pressure goes until so little is in use, lest writes be held up at the edge of it. */
const relievedAt = 0.65;
/** Batches that are handed over at once. */
const groupMax = 1_000;

export class Spool implements Measured {
  readonly #options: SpoolOptions;
  readonly #file: SpoolFile;
  readonly #accounts: Accounts;
  readonly #shelf: Shelf;
  readonly #gaps: Gaps;
  readonly #targets: Targets;
  readonly #cushion: Cushion;
  readonly #put: (row: BatchRow) => void;
  readonly #bytesMax: number;
  readonly #cushionMs: number;
  #waiting: Append[] = [];
  #mishapsSeen = 0;
  #counts = { commits: 0, commitSeconds: 0, commitSecondsMax: 0, refused: 0, heldUp: 0, lost: 0 };

  /** @throws Problem SPL-001 if another process has it, SPL-002 if a newer build wrote it, STR-002 */
  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#cushionMs = options.cushionMs ?? 48 * hourMs;
    const { clock, log, readOnly = false, onBroken = () => {} } = options;
    const file = new SpoolFile({ file: options.file, readOnly, clock, log, onBroken, onReplaced: () => this.#load() });
    this.#file = file;
    this.#accounts = new Accounts(file);
    this.#shelf = new Shelf(file);
    this.#gaps = new Gaps(file, log);
    this.#targets = new Targets(file);
    this.#cushion = new Cushion(file, this.#accounts);
    this.#put = batchPutter((text) => file.sql<unknown[], never>(text));
    const { bsize, blocks } = statfsSync(dirname(options.file));
    this.#bytesMax = Math.min(options.bytesMax, (bsize * blocks) / 5);
    try {
      this.#load();
      if (!readOnly) this.#appendAgain(file.hidden);
      file.keepReserve();
    } catch (thrown) {
      file.close();
      throw thrown;
    }
  }

  // ---- writing ------------------------------------------------------------------------------------------------

  /**
   * Resolves when the batches are on the disk.
   * @param also writes what belongs with them, in the transaction that stores them; which may be done again
   * @throws Problem SPL-003, retryable, if there is no room for points of this priority: noted as a gap
   */
  append(batches: readonly NewBatch[], origin?: Origin, also: () => void = () => {}): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ batches, origin, also, done, failed });
      if (this.#waiting.length === 1) setImmediate(() => this.#commit());
    });
  }

  #commit(): void {
    const all = this.#waiting;
    this.#waiting = [];
    if (all.length === 0) return;
    let admitted: readonly Append[] = all;
    let refused: readonly Refusal[] = [];
    try {
      ({ admitted, refused } = this.#admit(all));
      if (admitted.length > 0) this.#write(admitted);
    } catch (thrown) {
      const problem = toProblem(thrown, "points could not be spooled", { where: this.#options.file, retryable: true });
      refused = [...refused, ...admitted.map((append) => ({ append, problem }))];
      admitted = [];
    }
    this.#noteRefused(refused);
    for (const { done } of admitted) done();
    for (const { append, problem } of refused) append.failed(problem);
  }

  /** Those that there is room for, one after the other, as priorities will have it. */
  #admit(all: readonly Append[]): { admitted: Append[]; refused: Refusal[] } {
    const admitted: Append[] = [];
    const refused: Refusal[] = [];
    let usedBytes = this.#relieved();
    for (const append of all) {
      const bytes = bytesOf(append);
      const share = (usedBytes + bytes) / this.#bytesMax;
      if (share < refusedAt[append.origin?.priority ?? "medium"]) {
        admitted.push(append);
        usedBytes += bytes;
      } else refused.push({ append, problem: this.#noRoom(usedBytes) });
    }
    return { admitted, refused };
  }

  #noRoom(usedBytes: number): Problem {
    const percent = Math.round((usedBytes / this.#bytesMax) * 100);
    return new Problem(`the spool has no room: ${percent} % of ${Math.round(this.#bytesMax / 1e6)} MB are in use`, {
      code: "SPL-003",
      where: this.#options.file,
      fix: "bring back the InfluxDB that is behind, or give the spool more room (BELLWETHER_SPOOL_MAX)",
      retryable: true,
    });
  }

  #write(appends: readonly Append[]): void {
    const elapsedMs = stopwatch();
    const insert = (): void => {
      const atMs = this.#options.clock.nowMs();
      let seq = this.#file.lastSeq;
      for (const { batches, origin, also } of appends) {
        also();
        for (const batch of batches) {
          seq += 1;
          this.#insert(rowOf(batch, seq, atMs, origin));
        }
        if (origin !== undefined) this.#gaps.fill(origin);
      }
    };
    try {
      this.#file.bulk(insert);
    } catch (thrown) {
      const bytes = appends.reduce((sum, append) => sum + bytesOf(append), 0);
      if (!isNoRoom(thrown) || !this.#cushion.makeRoom(bytes)) throw thrown;
      this.#file.inReserve(insert);
    }
    for (const { batches, origin } of appends) {
      for (const { bucket, points } of batches) this.#accounts.added(bucket, points);
      if (origin !== undefined) this.#gaps.filled(origin);
    }
    const seconds = elapsedMs() / 1_000;
    this.#counts.commits += 1;
    this.#counts.commitSeconds += seconds;
    this.#counts.commitSecondsMax = Math.max(this.#counts.commitSecondsMax, seconds);
  }

  /** In a transaction. */
  #insert(row: BatchRow): void {
    this.#put(row);
    this.#accounts.writeAdded(row.bucket, row.points);
    const window = this.#file.sql<[string, number, number, number, number], never>(windowTouched);
    for (const { measurement, startMs } of windowsIn(row)) {
      window.run(measurement, startMs, row.seq, row.seq, row.at_ms);
    }
  }

  /** What a damaged log hid from SQLite. */
  #appendAgain(rows: readonly BatchRow[]): void {
    if (rows.length === 0) return;
    this.#file.bulk(() => {
      for (const row of rows) this.#insert(row);
    });
    for (const { bucket, points } of rows) this.#accounts.added(bucket, points);
  }

  #noteRefused(refused: readonly Refusal[]): void {
    if (refused.length === 0) return;
    const atMs = this.#options.clock.nowMs();
    const gaps = refused.map(({ append: { batches, origin }, problem }) => {
      const points = batches.reduce((sum, batch) => sum + batch.points, 0);
      this.#counts.refused += points;
      return { origin, kind: "refused" as const, points, reason: problem.message, atMs };
    });
    this.#gaps.note(gaps);
  }

  // ---- room ---------------------------------------------------------------------------------------------------

  /** Bytes in use, after what may go has gone. */
  #relieved(): number {
    if (this.heldUp) this.#cushion.relieve(relievedAt * this.#bytesMax, refusedAt.low * this.#bytesMax);
    return this.usedBytes();
  }

  /** Forgets batches that everybody has, whose windows are sealed, and that are older than the cushion. */
  async trim(): Promise<void> {
    await this.#cushion.trim(this.#options.clock.nowMs() - this.#cushionMs);
    this.#gaps.writeDown();
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
    return this.#file.freeBytes();
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  // ---- handing over -------------------------------------------------------------------------------------------

  /** The oldest batches that a target lacks, in order, together of about `pointsMax` points and `bytesMax` bytes. */
  next(target: string, bucket: string, pointsMax: number, bytesMax: number): Batch[] {
    const found: Batch[] = [];
    const mishaps = this.#file.mishaps.length;
    let [points, bytes] = [0, 0];
    for (const batch of this.#after(bucket, this.#accounts.cursor(target, bucket).seq)) {
      points += batch.points;
      bytes += batch.body.length;
      if (found.length > 0 && (points > pointsMax || bytes > bytesMax)) break;
      if (found.push(batch) === groupMax) break;
    }
    const pending = this.#accounts.pending(target, bucket);
    if (found.length === 0 && pending !== 0) this.#file.distrust(`${pending} points are pending, in no batch`);
    // In the file that replaces a damaged one, the cursor may be another.
    if (this.#file.mishaps.length > mishaps) return this.next(target, bucket, pointsMax, bytesMax);
    return found;
  }

  /**
   * Batches that a target lacks and that touch some windows of a measurement, in order, until they hold more than
   * `pointsMax` points; `all` says whether that was all.
   * @param starts where the windows of five minutes begin, as spans of time
   */
  lacking(
    target: string,
    measurement: string,
    starts: readonly TimeWindow[],
    pointsMax: number,
  ): { batches: Batch[]; all: boolean } {
    const { seq } = this.#readCursor(target, "");
    const batches: Batch[] = [];
    if (this.#options.readOnly !== true && this.#accounts.pending(target, "") === 0) return { batches, all: true };
    const touching = this.#file.sql<[string, number, number, number], { seq: number }>(
      "select seq from touch where measurement = ? and start_ms >= ? and start_ms < ? and seq > ?",
    );
    const seqs = starts.flatMap(({ fromMs, toMs }) => touching.all(measurement, fromMs, toMs, seq));
    let points = 0;
    for (const each of new Set(seqs.map((row) => row.seq).sort((a, b) => a - b))) {
      const batch = this.#batch(each);
      if (batch === null) continue;
      points += batch.points;
      if (points > pointsMax) return { batches, all: false };
      batches.push(batch);
    }
    return { batches, all: true };
  }

  /** Points that a target lacks. */
  pendingPoints(target: string, bucket: string): number {
    return this.#accounts.pending(target, bucket);
  }

  /** The newest batches first that touch a window, as long as they are kept. */
  touching({ measurement, startMs }: WindowKey): Batch[] {
    const rows = this.#file.sql<[string, number], { seq: number }>(
      "select seq from touch where measurement = ? and start_ms = ? order by seq desc",
    );
    return rows.all(measurement, startMs).flatMap(({ seq }) => this.#batch(seq) ?? []);
  }

  /** Whether a batch after `seq` has points of a measurement. */
  touchedSince(measurement: string, seq: number): boolean {
    const touch = this.#file.sql<[string, number], object>(
      "select 1 from touch where measurement = ? and seq > ? limit 1",
    );
    return touch.get(measurement, seq) !== undefined;
  }

  /** Number of the newest batch; 0: there never was one. */
  get lastSeq(): number {
    return this.#file.lastSeq;
  }

  /** Raw batches after `seq`; `whole` unless some of them were forgotten already. */
  since(seq: number): { whole: boolean; batches: Iterable<Batch> } {
    const first = this.#file.sql<[], { seq: number | null }>("select min(seq) as seq from batch").get()?.seq;
    return { whole: this.lastSeq <= seq || (first != null && first <= seq + 1), batches: this.#after("", seq) };
  }

  *#after(bucket: string, seq: number): Generator<Batch> {
    const next = this.#file.sql<[string, number], BatchRow>(
      "select * from batch where bucket = ? and seq > ? order by seq limit 1",
    );
    for (let row = next.get(bucket, seq); row !== undefined; row = next.get(bucket, row.seq)) {
      if (isSound(row)) yield toBatch(row);
      else this.#lose(row);
    }
  }

  #batch(seq: number): Batch | null {
    const row = this.#file.sql<[number], BatchRow>("select * from batch where seq = ?").get(seq);
    if (row !== undefined && isSound(row)) return toBatch(row);
    if (row !== undefined) this.#lose(row);
    return null;
  }

  /**
   * What became of all batches up to `seq`. Undone by a power cut, they are handed over again, which changes nothing.
   * @throws Error if that is not what the spool has up to there: nothing is settled then
   */
  settle(target: string, bucket: string, seq: number, acknowledged: number, refused: readonly Refused[]): void {
    const expired = refused.filter((each) => each.expired).length;
    const nowMs = this.#options.clock.nowMs();
    const write = (): Cursor => {
      const points = this.#accounts.upTo(target, bucket, seq);
      // Not so if the file was replaced in between, and the cursor begins anew: what was sent will be sent again.
      if (points !== acknowledged + refused.length) {
        throw new Error(`${acknowledged + refused.length} points are settled, of ${points} in the spool`);
      }
      const cursor = this.#accounts.cursor(target, bucket);
      const next: Cursor = {
        ...cursor,
        seq,
        acknowledged: cursor.acknowledged + acknowledged,
        shelved: cursor.shelved + refused.length - expired,
        expired: cursor.expired + expired,
      };
      this.#shelf.add(target, bucket, refused, nowMs);
      this.#accounts.write(next);
      return next;
    };
    this.#accounts.moved(refused.length > 0 ? this.#file.durable(write) : this.#file.relaxed(write));
  }

  /** Whether the shelf of a target takes so many more, not counting those that are too old. */
  shelfTakes(target: string, more: number): boolean {
    return this.#shelf.takes(target, more);
  }

  /** Whether a target refused points of a measurement that it may yet take. */
  shelves(target: string, measurement: string): boolean {
    return this.shelfRows(target) > 0 && this.#shelf.holds(target, measurement);
  }

  /** Points on it that the target may yet take. */
  shelfRows(target: string): number {
    return this.#shelf.rows(target);
  }

  /** Oldest first. */
  shelf(filter: { target?: string | undefined; expired?: boolean | undefined; limit: number }): ShelfEntry[] {
    return this.#shelf.list(filter);
  }

  /** Points of the shelf that a target has taken after all. Those that are too old stay: each stands for others. */
  unshelve(entries: readonly ShelfEntry[]): void {
    this.#takeDown(
      entries.filter(({ expired }) => !expired),
      "acknowledged",
    );
  }

  /**
   * Points of the shelf that a target shall never get: they count as those that are too old, whose entries go as well.
   * @returns how many points
   */
  giveUp(entries: readonly ShelfEntry[]): number {
    return this.#takeDown(entries, "expired");
  }

  #takeDown(entries: readonly ShelfEntry[], to: "acknowledged" | "expired"): number {
    const { cursors, points } = this.#file.durable(() => {
      const cursors = new Map<string, Cursor>();
      let points = 0;
      for (const entry of entries) {
        const { target, bucket, expired } = entry;
        const count = this.#shelf.remove(entry);
        if (expired) continue;
        const cursor = cursors.get(`${target} ${bucket}`) ?? this.#accounts.cursor(target, bucket);
        cursors.set(`${target} ${bucket}`, { ...cursor, shelved: cursor.shelved - count, [to]: cursor[to] + count });
        points += count;
      }
      for (const cursor of cursors.values()) this.#accounts.write(cursor);
      return { cursors, points };
    });
    for (const cursor of cursors.values()) this.#accounts.moved(cursor);
    return points;
  }

  /** For one who looks on: the cursor as it is by now. */
  #readCursor(target: string, bucket: string): Cursor {
    if (this.#options.readOnly) this.#load();
    return this.#accounts.cursor(target, bucket);
  }

  /** Where every point is. */
  accounts(): PointAccount[] {
    if (this.#options.readOnly) this.#load();
    return this.#accounts.list();
  }

  /** Every raw batch up to this one is behind the cursors of all targets. */
  handedOver(): number {
    return Math.min(
      this.lastSeq,
      ...this.#options.targets.map((target) => this.#accounts.reach(this.#accounts.cursor(target, ""))),
    );
  }

  // ---- gaps and targets ---------------------------------------------------------------------------------------

  /** Oldest first. @param afterSlot the last one seen: those that follow it; default: from the first on */
  gaps(limit: number, afterSlot?: Slot): Gap[] {
    return this.#gaps.list(limit, afterSlot);
  }

  get gapCount(): number {
    return this.#gaps.size;
  }

  /** For a slot that will never be sampled again. */
  dropGap(slot: Slot): void {
    this.#gaps.drop(slot);
  }

  /** The file under it, for {@link Windows} and {@link Catalogue}, which keep their tables in it. */
  get file(): SpoolFile {
    return this.#file;
  }

  target(name: string): TargetNote {
    return this.#targets.get(name);
  }

  noteTarget(name: string, changes: Partial<TargetFacts>): void {
    this.#targets.note(name, changes);
  }

  /**
   * Has everything that a target stores compared, for a reason that gets a number: {@link TargetNote.doubt}.
   * @param trusted true: what it has is read meanwhile, unless it was in doubt before
   */
  doubt(name: string, reason: string, { trusted }: { readonly trusted: boolean }): void {
    this.#targets.doubt(name, reason, trusted);
  }

  /** All from `verifiedFromMs` on was compared for that doubt. @returns false, changing nothing, if a newer one arose */
  progress(name: string, doubt: number, verifiedFromMs: number): boolean {
    return this.#targets.progress(name, doubt, verifiedFromMs);
  }

  /** All was compared for that doubt. @returns false, changing nothing, if a newer one arose */
  endDoubt(name: string, doubt: number): boolean {
    return this.#targets.endDoubt(name, doubt);
  }

  // ---- starting, and damage -----------------------------------------------------------------------------------

  /** Reads what is kept in memory, and puts in order what a damage has left. */
  #load(): void {
    const { targets, buckets, readOnly } = this.#options;
    const gone = this.#accounts.load(targets, buckets);
    this.#gaps.load();
    this.#shelf.load();
    if (readOnly) return;
    this.#dismiss(gone);
    const whole = new Set(buckets.filter((bucket) => this.#isWhole(bucket)));
    for (const target of targets) this.#begin(target, whole);
    this.#reconcile(true);
    const mishaps = this.#file.mishaps.slice(this.#mishapsSeen);
    this.#mishapsSeen = this.#file.mishaps.length;
    for (const mishap of mishaps) this.#answerFor(mishap);
  }

  #dismiss(gone: readonly string[]): void {
    for (const name of gone) {
      this.#options.log.warn(
        { target: name },
        "a target is no longer in the settings: what it lacks is not kept for it",
      );
      this.#targets.remove(name);
    }
  }

  /** Whether one of the targets that were here before has all of a bucket. */
  #isWhole(bucket: string): boolean {
    return this.#options.targets.some(
      (target) => this.#accounts.has(target, bucket) && this.#accounts.pending(target, bucket) === 0,
    );
  }

  /**
   * A new target begins at the end of the log where another one has all that was before, so that it is compared; else,
   * or if it lost its cursor, at the start.
   * @param whole buckets of which another one has all
   */
  #begin(target: string, whole: ReadonlySet<string>): void {
    const lacking = this.#options.buckets.filter((bucket) => !this.#accounts.has(target, bucket));
    if (lacking.length === 0) return;
    const known = this.#targets.has(target);
    const damaged = known || this.#file.mishaps.length > this.#mishapsSeen;
    for (const bucket of lacking) {
      this.#accounts.begin(target, bucket, damaged || !whole.has(bucket) ? "start" : "end");
    }
    if (!known) this.doubt(target, newHere, { trusted: false });
  }

  /** After a damage, points may be in no account: those of batches that were lost, or that a damaged cursor passed over. */
  #reconcile(rewind: boolean): void {
    for (const { pending, inLog, ...account } of this.#accounts.reconcile(rewind)) {
      this.#options.log.error(
        { ...account, pending, inLog },
        `the spool held ${inLog} points that ${account.target} lacks, and not ${pending}: all that it stores is compared`,
      );
      this.doubt(account.target, "the spool lost points that it lacked", { trusted: false });
    }
  }

  #answerFor({ lost, traces, incomplete }: Mishap): void {
    this.#counts.lost += lost;
    this.#noteLost(traces);
    if (lost === 0 && incomplete.length === 0) return;
    for (const target of this.#options.targets) this.doubt(target, "the spool was damaged", { trusted: false });
  }

  /** Gives up a batch whose bytes are not those that were written; its slot, if one can tell, is a gap. */
  #lose(row: BatchRow): void {
    const { readOnly, targets, log } = this.#options;
    if (readOnly) return;
    const { seq, bucket, sampler, slot_ms: slotMs, points } = row;
    const lackedBy = targets.filter((target) => this.#accounts.cursor(target, bucket).seq < seq);
    this.#file.durable(() => {
      this.#file.sql<[number], never>("delete from batch where seq = ?").run(seq);
      this.#file.sql<[number], never>("delete from touch where seq = ?").run(seq);
    });
    log.error(
      { seq, bucket, sampler, slotMs, points, lackedBy },
      `batch ${seq} of the spool is damaged: it is given up`,
    );
    this.#accounts.forgot(seq);
    if (lackedBy.length === 0) return;
    this.#counts.lost += 1;
    this.#noteLost([row]);
    this.#reconcile(false);
  }

  #noteLost(traces: Mishap["traces"]): void {
    const atMs = this.#options.clock.nowMs();
    const reason = "the spool lost it to a damage";
    const known = traces.flatMap(({ sampler, slot_ms: slotMs, points }) =>
      typeof sampler === "string" && Number.isSafeInteger(slotMs) && Number.isSafeInteger(points)
        ? { origin: { sampler, slotMs: slotMs as number }, kind: "lost" as const, points, reason, atMs }
        : [],
    );
    if (known.length > 0) this.#gaps.note(known);
  }

  measures(): Measure[] {
    const { commits, commitSeconds, commitSecondsMax, refused, heldUp, lost } = this.#counts;
    const { trimmed, sacrificed } = this.#cushion.counts;
    return [
      ...this.accounts().flatMap(accountMeasures),
      gauge("spool_bytes", "Bytes of the spool in use.", this.usedBytes()),
      gauge("spool_bytes_limit", "Bytes that the spool may use.", this.#bytesMax),
      gauge("spool_gaps", "Slots that there was no room for, and that have not been sampled again.", this.#gaps.size),
      gauge("spool_gaps_unwritten", "Gaps that the disk has no room to write down.", this.#gaps.unwritten),
      gauge("spool_mishaps", "Damages of the spool that this process met.", this.#file.mishaps.length),
      gauge("shelf_rows_limit", "Points that the shelf of a target may hold.", shelfRowsMax),
      gauge("spool_commit_seconds_max", "Longest wait for the disk of one append.", commitSecondsMax),
      counter("spool_commits", "Appends that were written to the disk.", commits),
      counter("spool_commit_seconds", "Time spent on that.", commitSeconds),
      counter("spool_points_refused", "Points that there was no room for.", refused),
      counter("spool_points_held_up", "Writes of low priority that were made to wait.", heldUp),
      counter("spool_batches_trimmed", "Batches forgotten because all have had them for long enough.", trimmed),
      counter("spool_batches_sacrificed", "Batches forgotten for want of room, that repair could use.", sacrificed),
      counter("spool_batches_lost", "Batches that a damage took before all targets had them.", lost),
    ];
  }

  noteHeldUp(): void {
    this.#counts.heldUp += 1;
  }

  close(): void {
    this.#commit();
    this.#file.close();
  }
}

function bytesOf({ batches }: Append): number {
  return batches.reduce((sum, { body }) => sum + body.length, 0);
}

function accountMeasures({ target, bucket, ...account }: PointAccount): Measure[] {
  const helps = {
    spooled: "Points spooled for a target.",
    acknowledged: "Of them, points that the target has taken.",
    pending: "Of them, points that the target lacks.",
    shelved: "Of them, points that the target refused.",
    expired: "Of them, points that the target will never have: too old for it, or given up.",
  };
  return (Object.keys(helps) as (keyof typeof helps)[]).map((name) => ({
    name: `bellwether_replica_points_${name}`,
    help: helps[name],
    kind: "gauge",
    value: account[name],
    labels: { target, bucket: bucket === "" ? "raw" : bucket },
  }));
}
