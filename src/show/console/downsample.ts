/** Fewer points for the same picture. Pure. */

export type Kept = {
  readonly value: number | null;
  /** The higher, the worse; the worst of a bucket is always kept. */
  readonly rank: number;
};

/**
 * Cuts the points into equal buckets and keeps of each the lowest, the highest, the worst, and one without a value if
 * there is any: real points, none averaged, so no spike, no outage and no gap disappears.
 * @param pointsMax at most so many are kept, >= 4
 * @returns indexes of the points kept, ascending, and how many points one bucket holds (1 = all are kept)
 */
export function thin(points: readonly Kept[], pointsMax: number): { kept: number[]; slotsPerPoint: number } {
  if (points.length <= pointsMax) return { kept: points.map((_, index) => index), slotsPerPoint: 1 };
  const size = Math.ceil(points.length / Math.floor(pointsMax / 4));
  const kept: number[] = [];
  for (let start = 0; start < points.length; start += size) {
    kept.push(...keptOf(points, start, Math.min(start + size, points.length)));
  }
  return { kept, slotsPerPoint: size };
}

function keptOf(points: readonly Kept[], start: number, end: number): number[] {
  const indexes = Array.from({ length: end - start }, (_, offset) => start + offset);
  const value = (index: number) => (points[index] as Kept).value;
  const rank = (index: number) => (points[index] as Kept).rank;
  const valued = indexes.filter((index) => value(index) !== null);
  const best = (among: readonly number[], better: (a: number, b: number) => boolean) =>
    among.reduce<number | undefined>(
      (found, index) => (found === undefined || better(index, found) ? index : found),
      undefined,
    );
  const chosen = [
    best(valued, (a, b) => (value(a) as number) < (value(b) as number)),
    best(valued, (a, b) => (value(a) as number) > (value(b) as number)),
    best(indexes, (a, b) => rank(a) > rank(b)),
    indexes.find((index) => value(index) === null),
  ];
  return [...new Set(chosen.filter((index) => index !== undefined))].sort((a, b) => a - b);
}
