/** Spools, batches and the sum that must always hold, for the tests of the spool. */
import { gunzipSync, gzipSync } from "node:zlib";
import { expect } from "vitest";
import type { Log } from "../../../src/core/ports.ts";
import { type NewBatch, Spool, type SpoolOptions } from "../../../src/store/spool.ts";
import { windowsOf } from "../../../src/store/windows.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { silent } from "./support.ts";

export const startMs = Date.parse("2026-11-26T08:00:00Z");

export function openSpool(file: string, more: Partial<SpoolOptions> = {}): Spool {
  return new Spool({
    file,
    targets: ["a", "b"],
    buckets: ["", "hourly"],
    bytesMax: 4e9,
    clock: new SimulatedClock(startMs),
    log: silent,
    ...more,
  });
}

export type BatchShape = {
  readonly points?: number;
  readonly bucket?: string;
  readonly measurement?: string;
  readonly timeMs?: number;
  /** Bytes of text, hardly to be packed, in each point. Default 0. */
  readonly ballastBytes?: number;
};

/** A batch whose points can be told from those of any other by `id`. */
export function batchOf(id: number, shape: BatchShape = {}): NewBatch {
  const { points = 2, bucket = "", measurement = "orders", timeMs = startMs, ballastBytes = 0 } = shape;
  const lines = Array.from({ length: points }, (_, index) => {
    const ballast = ballastBytes === 0 ? "" : `,text="${noise(id * 1_000 + index, ballastBytes)}"`;
    return `${measurement},shop=${index} n=${id}${ballast} ${timeMs}\n`;
  });
  const windows = bucket === "" ? windowsOf([{ measurement, timeMs }]) : [];
  return { bucket, body: gzipSync(lines.join(""), { level: 1 }), points, windows };
}

/** Text that looks like chance, the same for the same seed. */
function noise(seed: number, length: number): string {
  let state = (seed + 1) * 2_654_435_761;
  let text = "";
  while (text.length < length) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += state.toString(36);
  }
  return text.slice(0, length);
}

/** What {@link batchOf} was given. */
export function idOf({ body }: { body: Uint8Array }): number {
  return Number(/ n=(\d+)/.exec(gunzipSync(body).toString())?.[1]);
}

/** Ids of all batches that a target lacks, in order; settles none. */
export function idsBehind(spool: Spool, target: string, bucket = ""): number[] {
  return spool.next(target, bucket, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER).map(idOf);
}

/** spooled = acknowledged + pending + shelved + expired, and what is pending lies in the log. */
export function expectAccounts(spool: Spool): void {
  for (const account of spool.accounts()) {
    const { spooled, acknowledged, pending, shelved, expired, inLog } = account;
    expect(acknowledged + pending + shelved + expired, JSON.stringify(account)).toBe(spooled);
    expect(inLog, JSON.stringify(account)).toBe(pending);
    expect(Math.min(acknowledged, pending, shelved, expired), JSON.stringify(account)).toBeGreaterThanOrEqual(0);
  }
}

/** Hands over all that a target lacks, as a lane would whose server takes everything; returns the ids. */
export function drain(spool: Spool, target: string, bucket = ""): number[] {
  const ids: number[] = [];
  for (;;) {
    const group = spool.next(target, bucket, 5_000, 512 * 1_024);
    if (group.length === 0) return ids;
    ids.push(...group.map(idOf));
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    spool.settle(target, bucket, group.at(-1)?.seq as number, points, []);
  }
}

/** Keeps what is logged as errors and warnings. */
export function recordingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (_fields: object, text: string): void => {
    lines.push(text);
  };
  return { lines, debug() {}, info() {}, warn: keep, error: keep };
}

/** What lies in the spool that is to be damaged: ids and numbers of its batches are the same. */
export const damaged = {
  batches: 120,
  /** Batches up to here are in the file, the others in its log. */
  inFile: 80,
  /** Each so many batches one that takes several pages. */
  longEvery: 10,
  settled: { a: 30, b: 10 },
} as const;
