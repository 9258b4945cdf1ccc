/** Rows of InfluxQL's answers, gathered into series and points. */
import { type Matcher, matchesAll, tagsKey } from "../../core/labels.ts";
import type { FieldValue, Point, Tags } from "../../core/model.ts";
import type { KnownSeries, Series } from "../../core/ports.ts";

export type Cell = FieldValue | null;
/** Rows of one statement that belong together; a long answer comes in several parts. */
export type Part = {
  readonly name?: string;
  readonly tags?: Tags;
  readonly columns: readonly string[];
  readonly values?: readonly (readonly Cell[])[];
};

/** Rows of `time, fields, tags`, told apart by their tags. A series that the matchers do not want has no place. */
class TagTree<T> {
  readonly #names: readonly string[];
  readonly #matchers: readonly Matcher[];
  readonly #make: (tags: Tags) => T;
  readonly #root: Branch<T> = new Map();
  #single: Leaf<T> | undefined;

  constructor(names: readonly string[], matchers: readonly Matcher[], make: (tags: Tags) => T) {
    this.#names = names;
    this.#matchers = matchers;
    this.#make = make;
  }

  /** What was made for the tags of a row, the first of which is in column `first`. */
  find(row: readonly Cell[], first: number): T | null {
    const last = this.#names.length - 1;
    if (last < 0) {
      this.#single ??= this.#leaf(row, first);
      return this.#single.made;
    }
    let branch = this.#root;
    for (let index = 0; index < last; index += 1) {
      const cell = row[first + index] as Cell;
      let next = branch.get(cell) as Branch<T> | undefined;
      if (next === undefined) {
        next = new Map();
        branch.set(cell, next);
      }
      branch = next;
    }
    const cell = row[first + last] as Cell;
    let leaf = branch.get(cell) as Leaf<T> | undefined;
    if (leaf === undefined) {
      leaf = this.#leaf(row, first);
      branch.set(cell, leaf);
    }
    return leaf.made;
  }

  #leaf(row: readonly Cell[], first: number): Leaf<T> {
    const cells = this.#names.map((name, index): [string, Cell] => [name, row[first + index] as Cell]);
    const tags: Tags = Object.fromEntries(cells.filter((cell): cell is [string, string] => isText(cell[1])));
    return { made: matchesAll(this.#matchers, tags) ? this.#make(tags) : null };
  }
}

function isText(cell: Cell): cell is string {
  return typeof cell === "string" && cell !== "";
}

type Leaf<T> = { readonly made: T | null };
type Branch<T> = Map<Cell, Branch<T> | Leaf<T>>;

type Found = { readonly timesMs: number[]; readonly values: FieldValue[] };

/** Gathers rows of `time, fields, tags` into series. */
export class SeriesCollector {
  readonly #measurement: string;
  readonly #columns: readonly string[];
  readonly #tree: TagTree<(Found | undefined)[]>;
  readonly #all: { readonly tags: Tags; readonly found: (Found | undefined)[] }[] = [];
  readonly #fields: readonly string[];
  /** Of each column the place of its field: a field that has two types has two columns. */
  readonly #places: readonly number[];
  count = 0;

  /** @param columns names of the fields, column by column */
  constructor(measurement: string, columns: readonly string[], tags: readonly string[], matchers: readonly Matcher[]) {
    this.#measurement = measurement;
    this.#columns = columns;
    this.#fields = [...new Set(columns)];
    this.#places = columns.map((name) => this.#fields.indexOf(name));
    this.#tree = new TagTree(tags, matchers, (own) => {
      const found: (Found | undefined)[] = [];
      this.#all.push({ tags: own, found });
      return found;
    });
  }

  add({ values = [] }: Part): void {
    const columns = this.#columns.length;
    for (const row of values) {
      const found = this.#tree.find(row, columns + 1);
      if (found === null) continue;
      for (let index = 0; index < columns; index += 1) {
        const value = row[index + 1] as Cell;
        if (value === null) continue;
        const place = this.#places[index] as number;
        let series = found[place];
        if (series === undefined) {
          series = { timesMs: [], values: [] };
          found[place] = series;
        }
        series.timesMs.push(row[0] as number);
        series.values.push(value);
        this.count += 1;
      }
    }
  }

  /** By field as asked for, then in the order in which they first appeared. */
  series(): Series[] {
    return this.#fields.flatMap((field, place) =>
      this.#all.flatMap(({ tags, found }) => {
        const own = found[place];
        return own === undefined ? [] : [{ measurement: this.#measurement, tags, field, ...own }];
      }),
    );
  }
}

/** Gathers rows of `time, fields, tags` into points: each row is one. */
export class PointCollector {
  readonly points: Point[] = [];
  #values = 0;
  readonly #measurement: string;
  readonly #columns: readonly string[];
  readonly #tree: TagTree<Tags>;

  constructor(measurement: string, columns: readonly string[], tags: readonly string[]) {
    this.#measurement = measurement;
    this.#columns = columns;
    this.#tree = new TagTree(tags, [], (own) => own);
  }

  /** Values, not points. */
  get count(): number {
    return this.#values;
  }

  add({ values = [] }: Part): void {
    for (const row of values) {
      const fields = fieldsOf(this.#columns, row);
      this.#values += Object.keys(fields).length;
      const tags = this.#tree.find(row, this.#columns.length + 1) as Tags;
      this.points.push({ measurement: this.#measurement, tags, fields, timeMs: row[0] as number });
    }
  }
}

/** Gathers the latest times of each series, from answers that are grouped by tags. */
export class LatestCollector {
  readonly #measurement: string;
  readonly #found = new Map<string, { -readonly [K in keyof KnownSeries]: KnownSeries[K] }>();

  constructor(measurement: string) {
    this.#measurement = measurement;
  }

  /** All of these before the first {@link addNonzero}. */
  addLast(field: string, part: Part): void {
    const tags = ownTags(part);
    const lastMs = timeOf(part);
    const id = idOf(field, tags);
    const known = this.#found.get(id);
    if (known !== undefined) known.lastMs = Math.max(known.lastMs, lastMs);
    else this.#found.set(id, { measurement: this.#measurement, tags, field, lastMs, lastNonzeroMs: null });
  }

  /** Of a series whose latest point was too old to be told of, nothing is noted. */
  addNonzero(field: string, part: Part): void {
    const known = this.#found.get(idOf(field, ownTags(part)));
    if (known !== undefined) known.lastNonzeroMs = Math.max(known.lastNonzeroMs ?? timeOf(part), timeOf(part));
  }

  series(): KnownSeries[] {
    return [...this.#found.values()];
  }
}

function idOf(field: string, tags: Tags): string {
  return `${field}\n${tagsKey(tags)}`;
}

function timeOf({ values = [] }: Part): number {
  return values[0]?.[0] as number;
}

/** Rows of `time, then cells by name` of one series as points; cells that are absent are left out. */
export function pointsOf(measurement: string, columns: readonly string[], part: Part): Point[] {
  const tags = ownTags(part);
  return (part.values ?? []).map((row) => ({
    measurement,
    tags,
    fields: fieldsOf(columns, row),
    timeMs: row[0] as number,
  }));
}

function fieldsOf(columns: readonly string[], row: readonly Cell[]): Point["fields"] {
  const cells = columns.map((name, index): [string, Cell] => [name, row[index + 1] as Cell]);
  return Object.fromEntries(cells.filter((cell): cell is [string, FieldValue] => cell[1] !== null));
}

/** Tags of an answer that is grouped by them: those that a series lacks come as empty texts. */
function ownTags({ tags = {} }: Part): Tags {
  return Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== ""));
}

/** Rows of a part as records by column. */
export function recordsOf(parts: readonly Part[]): Record<string, Cell>[] {
  return parts.flatMap(({ columns, values = [] }) =>
    values.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index] as Cell]))),
  );
}
