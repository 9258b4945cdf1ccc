/** Sums and means of numbers in pieces of time, for points that are too old to be kept as they were sampled. Pure. */
import type { Point, Tags } from "../core/model.ts";
import type { Bucket, Series } from "../core/ports.ts";
import { floorToStep } from "../core/time.ts";
import { seriesKey } from "./line.ts";

type Sum = { sum: number; count: number };
/** All fields of one series in one piece of time. */
type Piece = {
  readonly measurement: string;
  readonly tags: Tags;
  readonly timeMs: number;
  readonly fields: Map<string, Sum>;
};

/** Gathers series, a field at a time and in any number of parts, and gives points as {@link Replica.rollUp} does. */
export class RollUp {
  readonly #buckets: readonly {
    readonly everyMs: number;
    readonly name: string;
    readonly pieces: Map<string, Piece>;
  }[];

  /** @param buckets that of raw points among them is left out */
  constructor(buckets: readonly Bucket[]) {
    this.#buckets = buckets.flatMap(({ name, everyMs }) =>
      everyMs === null ? [] : [{ name, everyMs, pieces: new Map() }],
    );
  }

  /** Returns how many of the values are numbers: texts and booleans have no sum. */
  add(series: readonly Series[]): number {
    let count = 0;
    for (const one of series) {
      if (typeof one.values[0] !== "number") continue;
      count += one.values.length;
      for (const { everyMs, pieces } of this.#buckets) addTo(pieces, everyMs, one);
    }
    return count;
  }

  /** Points with fields `sum_<field>` and `mean_<field>` by bucket; their time is the start of the piece. */
  points(): ReadonlyMap<string, readonly Point[]> {
    return new Map(this.#buckets.map(({ name, pieces }) => [name, [...pieces.values()].map(toPoint)]));
  }
}

function addTo(
  pieces: Map<string, Piece>,
  everyMs: number,
  { measurement, tags, field, timesMs, values }: Series,
): void {
  const key = seriesKey({ measurement, tags });
  let startMs = Number.NaN;
  let into: Sum = { sum: 0, count: 0 };
  for (const [index, timeMs] of timesMs.entries()) {
    const piece = floorToStep(timeMs, everyMs);
    if (piece !== startMs) {
      startMs = piece;
      into = sumOf(pieces, `${key} ${piece}`, { measurement, tags, timeMs: piece, fields: new Map() }, field);
    }
    into.sum += values[index] as number;
    into.count += 1;
  }
}

function sumOf(pieces: Map<string, Piece>, key: string, fresh: Piece, field: string): Sum {
  const piece = pieces.get(key) ?? fresh;
  if (piece === fresh) pieces.set(key, fresh);
  const sum = piece.fields.get(field) ?? { sum: 0, count: 0 };
  if (sum.count === 0) piece.fields.set(field, sum);
  return sum;
}

function toPoint({ measurement, tags, timeMs, fields }: Piece): Point {
  const summed: Record<string, number> = {};
  for (const [field, { sum, count }] of fields) {
    summed[`sum_${field}`] = sum;
    summed[`mean_${field}`] = sum / count;
  }
  return { measurement, tags, timeMs, fields: summed };
}
