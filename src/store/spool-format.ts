/** The tables of the spool's file, and how a batch lies in them. */
import { crc32 } from "node:zlib";
import type { FileFormat } from "./stores/index.ts";

/** A file of more is not read through after a crash: batches have a checksum of their own, pages are met as they come. */
export const checkBytesMax = 256 * 1_024 * 1_024;

export const spoolFormat: FileFormat = {
  what: "spool",
  checkBytesMax,
  versions: [
    // `windows` of a batch: the pieces of five minutes that it touches, as JSON: [[measurement, start], ...]. `touch`
    // has them once more, to be looked up. The body comes last, so that all else of a row lies on one page.
    `create table batch (
      seq integer primary key autoincrement,
      bucket text not null,
      points integer not null,
      windows text not null,
      at_ms integer not null,
      sampler text,
      slot_ms integer,
      crc integer not null,
      body blob not null
    );
    create index batch_by_bucket on batch (bucket, seq, points, at_ms);
    create table touch (
      measurement text not null,
      start_ms integer not null,
      seq integer not null,
      primary key (measurement, start_ms, seq)
    ) without rowid;
    create table bucket (name text primary key, spooled integer not null) without rowid;
    create table cursor (
      target text not null,
      bucket text not null,
      seq integer not null,
      base integer not null,
      acknowledged integer not null,
      shelved integer not null,
      expired integer not null,
      primary key (target, bucket)
    ) without rowid;
    create table shelf (
      id integer primary key,
      target text not null,
      bucket text not null,
      line text not null,
      expired integer not null,
      reason text not null,
      first_ms integer not null,
      last_ms integer not null,
      count integer not null,
      unique (target, bucket, line, expired)
    );
    create table gap (
      sampler text not null,
      slot_ms integer not null,
      points integer not null,
      reason text not null,
      at_ms integer not null,
      primary key (sampler, slot_ms)
    ) without rowid;
    create table window (
      measurement text not null,
      start_ms integer not null,
      first_seq integer not null,
      last_seq integer not null,
      changed_ms integer not null,
      writes integer not null,
      differs text,
      primary key (measurement, start_ms)
    ) without rowid;
    create index window_by_first on window (first_seq) where differs is null;
    create index window_by_last on window (last_seq, changed_ms) where differs is null;
    create index window_that_differs on window (start_ms) where differs is not null;
    create table dirty (
      target text not null,
      measurement text not null,
      start_ms integer not null,
      reason text not null,
      since_ms integer not null,
      primary key (target, measurement, start_ms)
    ) without rowid;
    create table field (
      measurement text not null,
      field text not null,
      kind text not null,
      sampler text,
      since_ms integer not null,
      primary key (measurement, field)
    ) without rowid;
    create table target (
      name text primary key,
      started_ms integer,
      canary_ms integer,
      verify_reason text,
      verify_since_ms integer,
      verified_from_ms integer,
      doubted integer,
      repaired_ms integer
    ) without rowid;`,
    // Which series there are, so that a start need not ask the servers: as it was at a batch.
    `create table catalogue (id integer primary key check (id = 1), seq integer not null, body blob not null);`,
    // Of points that are too old one row a measurement, an example of them. Gaps have a kind, and doubts a number.
    `create table refused (
      id integer primary key,
      target text not null,
      bucket text not null,
      measurement text not null default '',
      line text not null,
      expired integer not null,
      reason text not null,
      first_ms integer not null,
      last_ms integer not null,
      count integer not null
    );
    insert into refused (target, bucket, measurement, line, expired, reason, first_ms, last_ms, count)
      select target, bucket, '', line, expired, reason, first_ms, last_ms, count from shelf where expired = 0 order by id;
    insert into refused (target, bucket, measurement, line, expired, reason, first_ms, last_ms, count)
      select target, bucket, substr(line, 1, min(instr(line || ',', ','), instr(line || ' ', ' ')) - 1) as name,
        max(line), 1, max(reason), min(first_ms), max(last_ms), sum(count)
      from shelf where expired = 1 group by target, bucket, name;
    drop table shelf;
    alter table refused rename to shelf;
    create unique index shelf_by_line on shelf (target, bucket, line) where expired = 0;
    create unique index shelf_expired on shelf (target, bucket, measurement) where expired = 1;
    alter table gap add column kind text not null default 'refused';
    create index gap_by_slot on gap (slot_ms, sampler);
    alter table target drop column verify_since_ms;
    alter table target add column doubt integer not null default 0;
    update target set doubt = 1 where verify_reason is not null;
    drop index window_that_differs;
    create index window_that_differs on window (measurement, start_ms) where differs is not null;`,
  ],
};

/** A write to a window, which is to be compared from now on: measurement, start, batch, the same, time. */
export const windowTouched = `insert into window values (?, ?, ?, ?, ?, 1, null) on conflict do update
  set first_seq = min(first_seq, excluded.first_seq), last_seq = excluded.last_seq, changed_ms = excluded.changed_ms,
    writes = writes + 1, differs = null`;

/** Tables that a damaged file's heir takes over as they are; batches are found by their checksums. */
export const carriedTables = ["bucket", "cursor", "shelf", "gap", "window", "dirty", "field", "target"] as const;

export type BatchRow = {
  readonly seq: number;
  readonly bucket: string;
  readonly points: number;
  readonly windows: string;
  readonly at_ms: number;
  /** Whose points they are; null: nobody's in particular. */
  readonly sampler: string | null;
  readonly slot_ms: number | null;
  /** Of everything else, see {@link checksumOf}: a disk may give back other bytes than it was given. */
  readonly crc: number;
  readonly body: Uint8Array;
};

export function checksumOf(row: Omit<BatchRow, "crc">): number {
  const { seq, bucket, points, windows, at_ms, sampler, slot_ms, body } = row;
  return crc32(body, crc32(JSON.stringify([seq, bucket, points, windows, at_ms, sampler, slot_ms])));
}

export function isSound(row: BatchRow): boolean {
  return row.body instanceof Uint8Array && checksumOf(row) === row.crc;
}

/**
 * Writes batches, each with what it is looked up by.
 * @param prepare makes a statement of its text
 */
export function batchPutter(prepare: (text: string) => { run(...bind: unknown[]): unknown }): (row: BatchRow) => void {
  const batch = prepare(
    `insert into batch (seq, bucket, points, windows, at_ms, sampler, slot_ms, crc, body)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const touch = prepare("insert or ignore into touch values (?, ?, ?)");
  return ({ seq, bucket, points, windows, at_ms, sampler, slot_ms, crc, body }) => {
    batch.run(seq, bucket, points, windows, at_ms, sampler, slot_ms, crc, body);
    for (const [measurement, startMs] of JSON.parse(windows) as [string, number][]) {
      touch.run(measurement, startMs, seq);
    }
  };
}
