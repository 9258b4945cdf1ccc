/**
 * Which series there are, in memory: names to numbers and back, the time of each one's latest point and that of its
 * latest number other than zero.
 *
 * The number of a series is made of the number of its field (which belongs to one measurement) and the number of its
 * tags within the measurement: `field * 2^20 + tags`. So all series of one field lie side by side at every time, and
 * judging one field of 5,000 series reads one run of rows a time.
 */
import { matchesAll } from "../../core/labels.ts";
import type { FieldValue, Point, Tags } from "../../core/model.ts";
import type { KnownSeries, ReadQuery, Series } from "../../core/ports.ts";

/** A field keeps the kind of its first value, in all series of its measurement, as in InfluxDB. */
export type FieldKind = "number" | "text" | "boolean";

export type Field = {
  readonly id: number;
  readonly name: string;
  readonly kind: FieldKind;
  /** Time of the latest point, by the number of the tags; where there is none, there is no such series. */
  readonly latestMs: (number | undefined)[];
  /** Time of the latest number other than zero, by the number of the tags. */
  readonly nonzeroMs: (number | undefined)[];
};

export type Measurement = {
  readonly name: string;
  readonly fields: Map<string, Field>;
  /** Tags by number; undefined where a series has been forgotten. */
  readonly tags: (Tags | undefined)[];
  readonly numbers: Map<string, number>;
};

export type SeriesRow = {
  id: number;
  measurement: string;
  tags: string;
  field: string;
  kind: FieldKind;
  ts: number;
  quiet_ms: number | null;
};

/** Different tags that one measurement may have: 2^20. */
const tagSetsMax = 2 ** 20;

/** Characters of a text value; InfluxDB takes 64 KB. */
const textCharsMax = 65_535;

export class Catalogue {
  readonly measurements = new Map<string, Measurement>();
  #fieldIdMax = 0;
  #seriesCount = 0;

  constructor(rows: Iterable<SeriesRow>) {
    for (const row of rows) {
      const measurement = this.#measurement(row.measurement);
      const number = row.id % tagSetsMax;
      measurement.tags[number] ??= JSON.parse(row.tags);
      measurement.numbers.set(row.tags, number);
      const field = this.#field(measurement, row.field, row.kind, Math.floor(row.id / tagSetsMax));
      field.latestMs[number] = row.ts;
      if (row.quiet_ms !== null) field.nonzeroMs[number] = row.ts - row.quiet_ms;
      this.#seriesCount += 1;
    }
  }

  get seriesCount(): number {
    return this.#seriesCount;
  }

  /** Why a point can never be stored; null if it can. */
  refusal(point: Point): string | null {
    const fields = Object.entries(point.fields);
    if (fields.length === 0) return "the point has no fields";
    if (!Number.isSafeInteger(point.timeMs)) return `not a time in milliseconds: ${point.timeMs}`;
    const measurement = this.measurements.get(point.measurement);
    for (const [name, value] of fields) {
      const kind = kindOf(value);
      if (kind === undefined) return `field "${name}" is neither a number, a text nor a boolean`;
      const known = measurement?.fields.get(name);
      if (known !== undefined && known.kind !== kind) return `field "${name}" is a ${known.kind}, got a ${kind}`;
      const fault = faultOf(value);
      if (fault !== null) return `field "${name}" ${fault}`;
    }
    if (measurement?.tags.length === tagSetsMax && !measurement.numbers.has(tagsText(point.tags))) {
      return `measurement "${point.measurement}" has ${tagSetsMax} series of each field already`;
    }
    return null;
  }

  /** The measurement of a point and the number of its tags, made if they are new. */
  place(point: Point): { measurement: Measurement; number: number; tags: string } {
    const measurement = this.#measurement(point.measurement);
    const tags = tagsText(point.tags);
    let number = measurement.numbers.get(tags);
    if (number === undefined) {
      number = measurement.tags.length;
      measurement.numbers.set(tags, number);
      measurement.tags[number] = { ...point.tags };
    }
    return { measurement, number, tags };
  }

  /** The field that a value goes to, made if it is new. */
  field(measurement: Measurement, name: string, value: FieldValue): Field {
    return measurement.fields.get(name) ?? this.#field(measurement, name, kindOf(value) as FieldKind);
  }

  /** Notes a value; returns whether its series is new, and if not, whether one of its latest times has changed. */
  note(field: Field, number: number, timeMs: number, value: FieldValue): "new" | "later" | "earlier" {
    const latestMs = field.latestMs[number];
    const later = latestMs === undefined || latestMs < timeMs;
    if (later) field.latestMs[number] = timeMs;
    let moved = false;
    if (typeof value === "number" && value !== 0) {
      const nonzeroMs = field.nonzeroMs[number];
      moved = nonzeroMs === undefined || nonzeroMs < timeMs;
      if (moved) field.nonzeroMs[number] = timeMs;
    }
    if (latestMs !== undefined) return later || moved ? "later" : "earlier";
    this.#seriesCount += 1;
    return "new";
  }

  *list(measurementName: string | undefined, sinceMs: number): Generator<KnownSeries> {
    for (const measurement of this.measurements.values()) {
      if (measurementName !== undefined && measurement.name !== measurementName) continue;
      for (const field of measurement.fields.values()) {
        for (const [number, lastMs] of field.latestMs.entries()) {
          if (lastMs === undefined || lastMs < sinceMs) continue;
          const tags = measurement.tags[number] as Tags;
          const lastNonzeroMs = field.nonzeroMs[number] ?? null;
          yield { measurement: measurement.name, tags, field: field.name, lastMs, lastNonzeroMs };
        }
      }
    }
  }

  #measurement(name: string): Measurement {
    let found = this.measurements.get(name);
    if (found === undefined) {
      found = { name, fields: new Map(), tags: [], numbers: new Map() };
      this.measurements.set(name, found);
    }
    return found;
  }

  #field(measurement: Measurement, name: string, kind: FieldKind, id = this.#fieldIdMax + 1): Field {
    let found = measurement.fields.get(name);
    if (found === undefined) {
      found = { id, name, kind, latestMs: [], nonzeroMs: [] };
      measurement.fields.set(name, found);
      this.#fieldIdMax = Math.max(this.#fieldIdMax, id);
    }
    return found;
  }
}

/** The number that stands for a series in the file. */
export function seriesNumber(field: Field, tagsNumber: number): number {
  return field.id * tagSetsMax + tagsNumber;
}

/** Tags as JSON in a fixed order: equal tags, equal text. */
function tagsText(tags: Tags): string {
  const names = Object.keys(tags);
  if (names.length < 2) return JSON.stringify(tags);
  return JSON.stringify(Object.fromEntries(names.sort().map((name) => [name, tags[name]])));
}

function kindOf(value: unknown): FieldKind | undefined {
  if (typeof value === "number" || typeof value === "boolean") return typeof value as FieldKind;
  return typeof value === "string" ? "text" : undefined;
}

function faultOf(value: FieldValue): string | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : `is not a finite number (got ${value})`;
  if (typeof value !== "string") return null;
  if (value.length > textCharsMax) return `is longer than ${textCharsMax} characters`;
  return value.isWellFormed() ? null : "is not well-formed Unicode";
}

/** Series of one field to read, and what has been read of them so far. */
export type Run = {
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
export function findRuns(measurement: Measurement, field: Field, tags: NonNullable<ReadQuery["tags"]>): Run[] {
  const runs: Run[] = [];
  let run: { first: number; last: number; wanted: number[] } | undefined;
  const close = (): void => {
    if (run === undefined) return;
    const found: Run["found"] = [];
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

export function toSeries(measurement: Measurement, { field, first, found }: Run): Series[] {
  return [...found.entries()].flatMap(([offset, series]) => {
    if (series === undefined || series.timesMs.length === 0) return [];
    const tags = measurement.tags[first + offset] as Tags;
    return [{ measurement: measurement.name, tags, field: field.name, ...series }];
  });
}
