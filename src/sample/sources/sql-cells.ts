/** What a cell of an answer may be, whatever the database. Pure. */
import type { Row } from "../../core/model.ts";
import { Problem } from "../../core/problem.ts";

/** Bytes of one cell, and of all text of an answer. */
export const cellBytesMax = 65_536;
export const answerBytesMax = 64 * 1_048_576;

export type Column = {
  readonly name: string;
  /** A cell that is not NULL, as it came, to what a row holds; a text: what is wrong with every such cell (`binary`). */
  readonly read: ((cell: unknown) => unknown) | string;
};

/** Decimal digits that a double always gives back as they were. */
const exactDigits = 15;

/** A decimal text as a number where that loses nothing, else as it is. NaN and infinities become numbers. */
export function exactNumber(cell: unknown): number | string {
  const text = String(cell);
  const value = Number(text);
  if (!Number.isFinite(value)) return /\d/.test(text) ? text : value;
  const digits = text
    .replace(/e.*$/i, "")
    .replace(/[^0-9]/g, "")
    .replace(/^0+/, "").length;
  return digits <= exactDigits || Number.isSafeInteger(value) ? value : text;
}

/** @throws Problem SQL-018 for a cell that is refused, SQL-012 for two columns of one name, SQL-007 for too much text */
export function readRows(columns: readonly Column[], cells: readonly (readonly unknown[])[], where: string): Row[] {
  const twice = columns.find(({ name }, at) => columns.findIndex((other) => other.name === name) < at);
  if (twice !== undefined) {
    const fix = "give each column a name of its own";
    throw new Problem(`two columns are called "${twice.name}"`, { code: "SQL-012", where, fix });
  }
  let bytes = 0;
  const rows = cells.map((row, index) => {
    const read = columns.map((column, at) => {
      const cell = readCell(column, row[at], index, where);
      if (typeof cell === "string") bytes += Buffer.byteLength(cell);
      return [column.name, cell];
    });
    return Object.fromEntries(read) as Row;
  });
  if (bytes > answerBytesMax) throw tooMuchText(where);
  return rows;
}

export function tooMuchText(where: string): Problem {
  const fix = "select fewer columns";
  return new Problem(`the answer has more than ${answerBytesMax} bytes`, { code: "SQL-007", where, fix });
}

export function tooManyRows(rowsMax: number, where: string): Problem {
  const fix = "group more coarsely, or raise rows_max";
  return new Problem(`stopped at more than ${rowsMax} rows`, { code: "SQL-007", where, fix });
}

function readCell({ name, read }: Column, cell: unknown, index: number, where: string): unknown {
  if (cell === null || cell === undefined) return null;
  const value = typeof read === "string" ? null : read(cell);
  const size = typeof value === "string" ? Buffer.byteLength(value) : 0;
  if (typeof read !== "string" && size <= cellBytesMax) return value;
  const what = typeof read === "string" ? read : `${size} bytes, more than ${cellBytesMax}`;
  throw new Problem(`column "${name}" in row ${index + 1} is ${what}`, {
    code: "SQL-018",
    where,
    fix: "select numbers and short text only",
  });
}
