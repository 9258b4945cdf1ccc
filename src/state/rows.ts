/** Between the words of `core/model.ts` and rows of tables, for any of SQLite, PostgreSQL and MySQL. */
import { createHash } from "node:crypto";
import type { Knex } from "knex";

/** A row as knex takes and gives it. */
export type Row = Record<string, unknown>;

/**
 * How a value is kept. PostgreSQL hands 64-bit numbers over as text and MySQL has no booleans, so both are read back
 * through here. A null stays a null in every kind.
 */
type Kind = "text" | "number" | "flag" | "json";

const readers: Readonly<Record<Kind, (cell: unknown) => unknown>> = {
  text: (cell) => cell,
  number: Number,
  flag: (cell) => cell === true || Number(cell) === 1,
  json: (cell) => JSON.parse(cell as string),
};

/** Turns values of one type into rows and back. */
export class Codec<T extends object> {
  readonly #columns: readonly { readonly key: string; readonly name: string; readonly kind: Kind }[];

  /**
   * @param kinds every field of the type: one that is forgotten does not compile
   * @param names columns that are not called `snake_case` of the field, because SQL reserves the word
   */
  constructor(kinds: Readonly<Record<keyof T & string, Kind>>, names?: Readonly<Partial<Record<keyof T, string>>>) {
    this.#columns = Object.entries<Kind>(kinds).map(([key, kind]) => ({
      key,
      name: names?.[key as keyof T] ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      kind,
    }));
  }

  toRow(value: T): Row {
    const row: Row = {};
    for (const { key, name, kind } of this.#columns) {
      const cell = value[key as keyof T] ?? null;
      row[name] = kind === "json" && cell !== null ? JSON.stringify(cell) : cell;
    }
    return row;
  }

  /** Columns that the type does not have are left aside. */
  fromRow(row: Row): T {
    const value: Row = {};
    for (const { key, name, kind } of this.#columns) {
      const cell = row[name] ?? null;
      value[key] = cell === null ? null : readers[kind](cell);
    }
    return value as T;
  }
}

/** Of fixed length, so that any text may stand in a unique index: MySQL bounds what an index may hold. */
export function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

/** Rows a statement: beyond this SQLite's compiler takes longer than what fewer statements save. */
const pieceRowsMax = 100;

/** Cuts a list into pieces that one statement takes. */
export function pieces<T>(values: readonly T[], rowsMax: number = pieceRowsMax): T[][] {
  const cut: T[][] = [];
  for (let start = 0; start < values.length; start += rowsMax) cut.push(values.slice(start, start + rowsMax));
  return cut;
}

/**
 * Inserts rows; those that some unique index of the table holds already are left as they are.
 * @param column any of the table's: on MySQL it is set to itself, as ignoring would ignore text that is too long as well
 */
export async function insertNew(query: Knex, table: string, column: string, rows: readonly Row[]): Promise<void> {
  const inserting = query(table).insert(rows).onConflict();
  await (query.client.driverName === "mysql2"
    ? inserting.merge({ [column]: query.ref(`${table}.${column}`) })
    : inserting.ignore());
}
