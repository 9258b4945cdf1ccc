/** Rows into points: what is valid goes on, what is not is named by row and column. Pure. */
import type { Sampler } from "../core/definitions.ts";
import { tagsKey } from "../core/labels.ts";
import type { DataState, Point, Row, Tags } from "../core/model.ts";
import type { KnownSeries } from "../core/ports.ts";
import { Problem, type ProblemOptions } from "../core/problem.ts";
import { type CellFault, numberOf, tagOf } from "./cells.ts";
import { totalsOf } from "./total.ts";

export type PointLimits = {
  /** Values of one tag, known and new together. Default 1,000. */
  readonly tagValuesMax: number;
  /** Combinations of tags, known and new together. Default 10,000. */
  readonly combinationsMax: number;
  /** Bytes of measurement and tags together. Default 64 KiB. */
  readonly keyBytesMax: number;
  /** Problems named one by one; the rest are counted in one more. Default 100. */
  readonly problemsMax: number;
};

export const pointLimits: PointLimits = {
  tagValuesMax: 1_000,
  combinationsMax: 10_000,
  keyBytesMax: 65_536,
  problemsMax: 100,
};

export type Points = {
  readonly points: readonly Point[];
  /** In order of rows; warnings among them hold nothing back. */
  readonly problems: readonly Problem[];
  /** Rows left out because a tag has too many values, or the sampler too many combinations of them. */
  readonly beyondBounds: number;
  /** `value` if any number differs from zero, `zero` if all are zero, `missing` without points. */
  readonly dataState: DataState;
  /** The slot failed: nothing in it was valid, or `empty: error` and something is absent. Valid points are kept. */
  readonly failed: boolean;
};

/**
 * The points of one slot.
 *
 * A row with a fault is left out whole, and its series is not taken for absent. Two rows of one series are both left
 * out: which of them is right cannot be known. NULL in a field is no value: the point goes without it.
 * With `empty: zero`, series known of this measurement that have no row become zero, and a sampler without tags its
 * one series; `known` of other measurements, or with other tags, is ignored. What `point.total` asks for comes last.
 */
export function toPoints(
  sampler: Sampler,
  slotStartMs: number,
  rows: readonly Row[],
  known: readonly KnownSeries[],
  limits: PointLimits = pointLimits,
): Points {
  const faults = new Faults(sampler, limits.problemsMax);
  const wrongColumns = columnProblems(sampler, rows);
  if (wrongColumns.some(isError)) {
    return { points: [], problems: wrongColumns, beyondBounds: 0, dataState: "missing", failed: true };
  }
  const knownTags = ownTags(sampler, known);
  const read = readRows(sampler, rows, faults);
  const { rows: few, beyondBounds } = refuseCardinality(sampler, read, knownTags, limits, faults);
  const single = refuseDuplicates(few, faults);
  const points: Point[] = single.flatMap(({ tags, fields }) =>
    Object.keys(fields).length === 0
      ? []
      : [{ measurement: sampler.point.measurement, tags, fields, timeMs: slotStartMs }],
  );
  const seen = new Set(read.map(({ key }) => key));
  const absent = [...expected(sampler, knownTags)].filter(([key]) => !seen.has(key)).map(([, tags]) => tags);
  if (sampler.empty === "zero") {
    const fields = Object.fromEntries(sampler.point.fields.map((field) => [field, 0]));
    points.push(
      ...absent.map((tags) => ({ measurement: sampler.point.measurement, tags, fields, timeMs: slotStartMs })),
    );
  }
  const incomplete = sampler.empty === "error" && nothingOrLess(rows, absent, faults);
  const invalid = points.length === 0 && [...wrongColumns, ...faults.list()].some(isError);
  const failed = incomplete || invalid;
  if (!failed) points.push(...totalPoint(sampler, slotStartMs, rows, single.length < few.length, faults));
  const problems = [...wrongColumns, ...faults.list()];
  return { points, problems, beyondBounds, dataState: dataStateOf(points), failed };
}

function isError({ severity }: Problem): boolean {
  return severity === "error";
}

/**
 * The sum over all series, a series without tags: no row can be one, as tags are never empty. None if not asked for.
 * @param doubled some series has two rows: which of them is right cannot be known, so neither can the sum
 */
function totalPoint(sampler: Sampler, timeMs: number, rows: readonly Row[], doubled: boolean, faults: Faults): Point[] {
  if (sampler.point.total === undefined) return [];
  const why = "no total in this slot: some series has several rows";
  const { fields, lacking } = doubled ? { fields: {}, lacking: [why] } : totalsOf(sampler, rows);
  for (const what of lacking) faults.add(what, { code: "PNT-014", path: "point.total", severity: "warning" });
  if (Object.keys(fields).length === 0) return [];
  return [{ measurement: sampler.point.measurement, tags: {}, fields, timeMs }];
}

function dataStateOf(points: readonly Point[]): DataState {
  if (points.length === 0) return "missing";
  return points.some(({ fields }) => Object.values(fields).some((value) => value !== 0)) ? "value" : "zero";
}

// ---- problems ---------------------------------------------------------------------------------------------------

/** Collects problems up to a bound, and counts the rest. */
class Faults {
  readonly #sampler: Sampler;
  readonly #max: number;
  readonly #problems: Problem[] = [];
  #more = 0;

  constructor(sampler: Sampler, max: number) {
    this.#sampler = sampler;
    this.#max = max;
  }

  add(what: string, options: ProblemOptions): void {
    if (this.#problems.length < this.#max)
      this.#problems.push(new Problem(what, { where: this.#sampler.place, ...options }));
    else this.#more += 1;
  }

  cell(column: string, index: number, fault: CellFault, path: string): void {
    this.add(`column "${column}" ${fault.what} in row ${index + 1}`, { code: fault.code, fix: fault.fix, path });
  }

  list(): Problem[] {
    if (this.#more === 0) return this.#problems;
    return [...this.#problems, new Problem(`and ${this.#more} more`, { where: this.#sampler.place })];
  }
}

/** Columns that cannot be, whatever the rows hold. */
function columnProblems(sampler: Sampler, rows: readonly Row[]): Problem[] {
  const where = sampler.place;
  const named = [
    ...sampler.point.tags.map((column) => ({ column, path: "point.tags" })),
    ...sampler.point.fields.map((column) => ({ column, path: "point.fields" })),
  ];
  const reserved = named.filter(({ column }) => column === "time" || column.startsWith("_"));
  const problems = reserved.map(({ column, path }) => {
    return new Problem(`"${column}" is reserved`, { code: "PNT-007", where, path, fix: "rename it with AS" });
  });
  const [first] = rows;
  if (first === undefined) return problems;
  const absent = named.filter(({ column }) => !Object.hasOwn(first, column));
  const columns = Object.keys(first);
  if (absent.length > 0) {
    const what = `no column ${absent.map(({ column }) => `"${column}"`).join(", ")}; there are ${columns.join(", ")}`;
    problems.push(
      new Problem(what, { code: "SQL-012", where, path: "point", fix: "name columns of the query, see AS" }),
    );
  }
  if (columns.includes("time") && reserved.length === 0) {
    problems.push(
      new Problem('column "time" is not used: a point tells of its slot and carries the start of it', {
        code: "PNT-007",
        where,
        fix: "leave it out of the query",
        severity: "warning",
      }),
    );
  }
  return problems;
}

// ---- rows -------------------------------------------------------------------------------------------------------

type ReadRow = {
  readonly index: number;
  readonly tags: Tags;
  readonly key: string;
  /** Null: the row has a fault, though its series is known. */
  readonly fields: Readonly<Record<string, number>> | null;
};

type GoodRow = ReadRow & { readonly fields: Readonly<Record<string, number>> };

/** Rows whose tags are valid. */
function readRows(sampler: Sampler, rows: readonly Row[], faults: Faults): ReadRow[] {
  const read: ReadRow[] = [];
  rows.forEach((row, index) => {
    const tags = readTags(sampler, row, index, faults);
    const fields = readFields(sampler, row, index, faults);
    if (tags !== null) read.push({ index, tags, key: tagsKey(tags), fields });
  });
  return read;
}

function readTags(sampler: Sampler, row: Row, index: number, faults: Faults): Tags | null {
  const tags: Record<string, string> = {};
  for (const column of sampler.point.tags) {
    const read = tagOf(row[column]);
    if ("fault" in read) faults.cell(column, index, read.fault, "point.tags");
    else tags[column] = read.value;
  }
  return Object.keys(tags).length === sampler.point.tags.length ? tags : null;
}

function readFields(sampler: Sampler, row: Row, index: number, faults: Faults): Record<string, number> | null {
  const fields: Record<string, number> = {};
  let valid = true;
  for (const column of sampler.point.fields) {
    const read = numberOf(row[column]);
    if ("fault" in read) {
      valid = false;
      faults.cell(column, index, read.fault, "point.fields");
    } else if (read.value !== null) fields[column] = read.value;
    else if (sampler.empty !== "missing") noValue(sampler, column, index, faults);
  }
  return valid ? fields : null;
}

/** NULL where the definition says that nothing is a zero, or an error. */
function noValue(sampler: Sampler, column: string, index: number, faults: Faults): void {
  faults.add(`column "${column}" has no value in row ${index + 1}, which is not 0`, {
    code: "PNT-004",
    path: "point.fields",
    fix: `write coalesce(..., 0) if nothing means zero`,
    severity: sampler.empty === "error" ? "error" : "warning",
  });
}

/** Rows with a tag value that is one too many are left out; values known before stay. */
function refuseCardinality(
  sampler: Sampler,
  rows: readonly ReadRow[],
  known: ReadonlyMap<string, Tags>,
  limits: PointLimits,
  faults: Faults,
): { readonly rows: GoodRow[]; readonly beyondBounds: number } {
  const good = rows.filter((row): row is GoodRow => row.fields !== null);
  const refused = new Set<GoodRow>();
  for (const row of good) {
    if (Buffer.byteLength(sampler.point.measurement + row.key) <= limits.keyBytesMax) continue;
    refused.add(row);
    const what = `tags of row ${row.index + 1} are longer than ${limits.keyBytesMax} bytes`;
    faults.add(what, { code: "PNT-011", path: "point.tags", fix: "shorten them in the query" });
  }
  const tooLong = refused.size;
  for (const tag of sampler.point.tags) {
    const values = new Set([...known.values()].map((tags) => tags[tag] as string));
    const before = refused.size;
    for (const row of good) {
      const value = row.tags[tag] as string;
      if (values.has(value) || refused.has(row)) continue;
      if (values.size < limits.tagValuesMax) values.add(value);
      else refused.add(row);
    }
    if (refused.size === before) continue;
    faults.add(`"${tag}" has more than ${limits.tagValuesMax} values; ${refused.size - before} rows are left out`, {
      code: "PNT-010",
      path: "point.tags",
      fix: "use a field, or group more coarsely",
    });
  }
  refuseCombinations(good, refused, known, limits, faults);
  return { rows: good.filter((row) => !refused.has(row)), beyondBounds: refused.size - tooLong };
}

/** Each tag may have few values, and all of them together too many. */
function refuseCombinations(
  rows: readonly GoodRow[],
  refused: Set<GoodRow>,
  known: ReadonlyMap<string, Tags>,
  { combinationsMax }: PointLimits,
  faults: Faults,
): void {
  const combinations = new Set(known.keys());
  const before = refused.size;
  for (const row of rows) {
    if (refused.has(row) || combinations.has(row.key)) continue;
    if (combinations.size < combinationsMax) combinations.add(row.key);
    else refused.add(row);
  }
  if (refused.size === before) return;
  const what = `more than ${combinationsMax} combinations of tags; ${refused.size - before} rows are left out`;
  faults.add(what, { code: "PNT-010", path: "point.tags", fix: "leave a tag out, or group more coarsely" });
}

function refuseDuplicates(rows: readonly GoodRow[], faults: Faults): GoodRow[] {
  const counts = new Map<string, number>();
  for (const { key } of rows) counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const [key, count] of counts) {
    if (count === 1) continue;
    const times = count === 2 ? "twice" : `${count} times`;
    faults.add(key === "" ? `${count} rows, and no tags to tell them apart` : `(${key}) ${times}`, {
      code: "PNT-012",
      path: "point.tags",
      fix: "name what tells the rows apart as a tag, or add to GROUP BY",
    });
  }
  return rows.filter(({ key }) => counts.get(key) === 1);
}

// ---- series known -----------------------------------------------------------------------------------------------

/** Tag combinations of the sampler's own measurement and tags, by key. */
function ownTags(sampler: Sampler, known: readonly KnownSeries[]): Map<string, Tags> {
  const { measurement, fields, tags: names } = sampler.point;
  const found = new Map<string, Tags>();
  for (const series of known) {
    if (series.measurement !== measurement || !fields.includes(series.field)) continue;
    const own =
      names.length === Object.keys(series.tags).length && names.every((name) => Object.hasOwn(series.tags, name));
    if (own) found.set(tagsKey(series.tags), series.tags);
  }
  return found;
}

/** What a complete slot has; without tags there is one series, known by its definition. */
function expected(sampler: Sampler, known: ReadonlyMap<string, Tags>): ReadonlyMap<string, Tags> {
  return sampler.point.tags.length === 0 ? new Map([["", {}]]) : known;
}

/** `empty: error`: names what is absent. */
function nothingOrLess(rows: readonly Row[], absent: readonly Tags[], faults: Faults): boolean {
  if (rows.length === 0) faults.add("no rows, and empty is error", { path: "empty", retryable: true });
  else
    for (const tags of absent)
      faults.add(`no row for (${tagsKey(tags)}), and empty is error`, { path: "empty", retryable: true });
  return rows.length === 0 || absent.length > 0;
}
