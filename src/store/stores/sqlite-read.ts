/** Reading many series at many times: which rows are asked for, and whose they are. */
import { matchesAll } from "../../core/labels.ts";
import type { FieldValue, Tags } from "../../core/model.ts";
import type { ReadQuery, Series } from "../../core/ports.ts";
import { type Field, type Measurement, seriesNumber } from "./sqlite-catalogue.ts";
import type { Statements } from "./sqlite-statements.ts";

/** Series of one field to read, and what has been read of them so far. */
export type Pick = {
  readonly field: Field;
  readonly first: number;
  readonly last: number;
  readonly span: number;
  /** By the number of the tags, less that of the first. */
  readonly found: ({ timesMs: number[]; values: FieldValue[] } | undefined)[];
};

/**
 * Cuts the matching series into runs of neighbours. A run may hold strangers, which are read and thrown away, as long
 * as they are fewer than what finding a place in the tree costs.
 */
export function pick(measurement: Measurement, field: Field, tags: NonNullable<ReadQuery["tags"]>): Pick[] {
  const runs: Pick[] = [];
  let run: { first: number; last: number; wanted: number[] } | undefined;
  const close = (): void => {
    if (run === undefined) return;
    const found: Pick["found"] = [];
    for (const number of run.wanted) found[number - run.first] = { timesMs: [], values: [] };
    runs.push({ field, first: run.first, last: run.last, span: run.last - run.first + 1, found });
  };
  for (const [number, latestMs] of field.latestMs.entries()) {
    if (latestMs === undefined || !matchesAll(tags, measurement.tags[number] as Tags)) continue;
    if (run === undefined || number - run.last > strangersMax) {
      close();
      run = { first: number, last: number, wanted: [] };
    }
    run.last = number;
    run.wanted.push(number);
  }
  close();
  return runs;
}

/** Neighbouring rows that are read in the time in which one place is found. */
const strangersMax = 16;

/** Reads a run at some times; returns how many values were wanted. */
export function collect(statements: Statements, { field, first, last, found }: Pick, times: readonly number[]): number {
  const base = seriesNumber(field, first);
  const rows = statements.run.all(JSON.stringify(times), base, seriesNumber(field, last));
  let count = 0;
  for (const [timeMs, id, value] of rows) {
    const series = found[id - base];
    if (series === undefined) continue;
    series.timesMs.push(timeMs);
    series.values.push(field.kind === "boolean" ? value === 1 : value);
    count += 1;
  }
  return count;
}

export function toSeries(measurement: Measurement, { field, first, found }: Pick): Series[] {
  return [...found.entries()].flatMap(([offset, series]) => {
    if (series === undefined || series.timesMs.length === 0) return [];
    const tags = measurement.tags[first + offset] as Tags;
    return [{ measurement: measurement.name, tags, field: field.name, ...series }];
  });
}

export function cut(times: readonly number[], countMax: number): (readonly number[])[] {
  if (times.length <= countMax) return times.length === 0 ? [] : [times];
  const parts: (readonly number[])[] = [];
  for (let start = 0; start < times.length; start += countMax) parts.push(times.slice(start, start + countMax));
  return parts;
}
