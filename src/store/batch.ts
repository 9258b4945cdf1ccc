/** From points to what the spool holds and servers take. */
import { promisify } from "node:util";
import { gzip, gzipSync } from "node:zlib";
import type { Point } from "../core/model.ts";
import type { Bucket, Rejection } from "../core/ports.ts";
import { dayMs, hourMs, minuteMs } from "../core/time.ts";
import { lineOf, refusal, seriesKey } from "./line.ts";
import type { NewBatch } from "./spool.ts";
import { windowsOf } from "./windows.ts";

/** Points and characters of one batch of the log; some 400 KB when packed. */
const batchPointsMax = 5_000;
const batchCharsMax = 3_000_000;

const zip = promisify(gzip);

/** Raw points, and what they are summed into. A shard holds a day or a week, as InfluxDB itself would choose. */
export function bucketsOf({ keepRawMs, keepMs }: { keepRawMs: number | null; keepMs: number }): Bucket[] {
  const coarser = (name: string, everyMs: number): Bucket => ({ name, everyMs, keepMs, shardMs: 7 * dayMs });
  return [
    { name: "", everyMs: null, keepMs: keepRawMs, shardMs: keepRawMs === null ? 7 * dayMs : dayMs },
    coarser("bellwether_10m", 10 * minuteMs),
    coarser("bellwether_1h", hourMs),
  ];
}

/** A point that may be stored, with the beginning of its line. */
export type Taken = { readonly key: string; readonly point: Point };

/** Tells points that may be stored from others. @param more what else may speak against a point; it sees those in order */
export function sift(
  points: readonly Point[],
  more: (point: Point) => string | null = () => null,
): { taken: Taken[]; rejected: Rejection[] } {
  const taken: Taken[] = [];
  const rejected: Rejection[] = [];
  for (const [index, point] of points.entries()) {
    const reason = refusal(point) ?? more(point);
    if (reason === null) taken.push({ key: seriesKey(point), point });
    else rejected.push({ index, reason });
  }
  return { taken, rejected };
}

export function batchesOf(bucket: string, taken: readonly Taken[]): Promise<NewBatch[]> {
  const pieces: { text: string; points: Point[] }[] = [];
  for (const { key, point } of taken) {
    let piece = pieces.at(-1);
    if (piece === undefined || piece.points.length === batchPointsMax || piece.text.length >= batchCharsMax) {
      piece = { text: "", points: [] };
      pieces.push(piece);
    }
    piece.text += `${lineOf(key, point)}\n`;
    piece.points.push(point);
  }
  return Promise.all(
    pieces.map(async ({ text, points }) => {
      const windows = bucket === "" ? windowsOf(points) : [];
      return { bucket, body: await pack(text), points: points.length, windows };
    }),
  );
}

/**
 * As fast as it goes: a point that is packed twice as well is not worth the time of a core. Long texts are packed by
 * zlib's threads; a short one is done sooner than a thread is found for it.
 */
export async function pack(text: string): Promise<Uint8Array> {
  return text.length < shortChars ? gzipSync(text, { level: 1 }) : zip(text, { level: 1 });
}

/** Some 0.2 ms of packing. */
const shortChars = 16_384;
