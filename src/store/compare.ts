/** Whether copies hold the same, told from sums first and from points where sums differ. Pure. */
import type { FieldValue, Point } from "../core/model.ts";
import type { FieldSummary, PieceSummary } from "../core/ports.ts";
import { seriesKey } from "./line.ts";

/** Sums of the same numbers in another order differ by rounding: relative to what was added up. */
const sumTolerance = 1e-9;

/** Starts of the pieces in which the copies differ. */
export function differingPieces(copies: readonly (readonly PieceSummary[])[]): number[] {
  const byStart = copies.map((pieces) => new Map(pieces.map(({ startMs, fields }) => [startMs, fields])));
  const starts = new Set(byStart.flatMap((pieces) => [...pieces.keys()]));
  const differ = (startMs: number): boolean => {
    const [first = [], ...others] = byStart.map((pieces) => pieces.get(startMs) ?? []);
    return others.some((other) => !areEqual(first, other));
  };
  return [...starts].filter(differ).sort((a, b) => a - b);
}

function areEqual(one: readonly FieldSummary[], other: readonly FieldSummary[]): boolean {
  const counted = (fields: readonly FieldSummary[]) => fields.filter(({ count }) => count > 0);
  const others = new Map(counted(other).map((summary) => [summary.field, summary]));
  const ones = counted(one);
  if (ones.length !== others.size) return false;
  return ones.every((mine) => {
    const theirs = others.get(mine.field);
    if (theirs === undefined || mine.count !== theirs.count) return false;
    if (mine.min !== theirs.min || mine.max !== theirs.max) return false;
    if (mine.sum === null || theirs.sum === null) return mine.sum === theirs.sum;
    const scale = Math.max(Math.abs(mine.min ?? 0), Math.abs(mine.max ?? 0)) * mine.count;
    return mine.sum === theirs.sum || Math.abs(mine.sum - theirs.sum) <= sumTolerance * scale;
  });
}

/** One field of one point that copies hold differently. */
export type Difference = {
  /** The point without its fields. */
  readonly point: Pick<Point, "measurement" | "tags" | "timeMs">;
  readonly field: string;
  /** Its value in each copy, in the order given; undefined where it is absent. */
  readonly values: readonly (FieldValue | undefined)[];
};

export function differencesOf(copies: readonly (readonly Point[])[]): Difference[] {
  const found = copies.map((points) => new Map(points.map((point) => [pointKey(point), point])));
  const differences: Difference[] = [];
  const seen = new Set<string>();
  for (const copy of found) {
    for (const [key, { measurement, tags, timeMs }] of copy) {
      if (seen.has(key)) continue;
      seen.add(key);
      const fields = found.map((other) => other.get(key)?.fields ?? {});
      for (const field of new Set(fields.flatMap(Object.keys))) {
        const values = fields.map((each) => each[field]);
        if (values.every((value) => value === values[0])) continue;
        differences.push({ point: { measurement, tags, timeMs }, field, values });
      }
    }
  }
  return differences;
}

/** Measurement, tags and time: a point's identity as one text. */
export function pointKey(point: Pick<Point, "measurement" | "tags" | "timeMs">): string {
  return `${seriesKey(point)} ${point.timeMs}`;
}
