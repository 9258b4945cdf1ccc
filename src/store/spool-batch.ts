/** Batches of points as the log keeps and hands them over. */
import type { Origin } from "../core/ports.ts";
import { type BatchRow, checksumOf } from "./spool-format.ts";

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

export function rowOf(batch: NewBatch, seq: number, atMs: number, origin: Origin | undefined): BatchRow {
  const { bucket, points, body } = batch;
  const windows = JSON.stringify(batch.windows.map(({ measurement, startMs }) => [measurement, startMs]));
  const { sampler = null, slotMs = null } = origin ?? {};
  const row = { seq, bucket, points, windows, at_ms: atMs, sampler, slot_ms: slotMs, body };
  return { ...row, crc: checksumOf(row) };
}

export function toBatch(row: BatchRow): Batch {
  const { seq, bucket, body, points, at_ms: atMs } = row;
  return { seq, bucket, body, points, atMs, windows: windowsIn(row) };
}

export function windowsIn({ windows }: Pick<BatchRow, "windows">): WindowKey[] {
  return (JSON.parse(windows) as [string, number][]).map(([measurement, startMs]) => ({ measurement, startMs }));
}
