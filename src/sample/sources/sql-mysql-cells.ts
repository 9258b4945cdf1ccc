/** Cells of MySQL and MariaDB, by type and character set of their column. Pure. */
import { type Column, exactNumber } from "./sql-cells.ts";

/** Of the protocol. */
export type MysqlField = {
  readonly name: string;
  readonly columnType: number;
  readonly characterSet: number;
  readonly columnLength: number;
  /** `json` where MariaDB says so: its JSON is text by type. */
  readonly extendedFormat?: string | undefined;
};

const numbers = new Set([0, 1, 2, 3, 4, 5, 8, 9, 13, 246]);
const times = new Set([7, 12, 17, 18]);
const texts = new Set([15, 249, 250, 251, 252, 253, 254]);
const [bit, json, geometry] = [16, 245, 255];
const binary = 63;

/** Whole numbers that a double holds exactly. */
const bitsMax = 53;

export function readerOf({ columnType, characterSet, columnLength, extendedFormat }: MysqlField): Column["read"] {
  if (numbers.has(columnType)) return exactNumber;
  if (times.has(columnType)) return (cell) => String(cell).replace(" ", "T");
  if (columnType === json || extendedFormat === "json") return "JSON";
  if (columnType === geometry) return "binary";
  if (columnType === bit) return columnLength > bitsMax ? "a set of bits" : bitsOf;
  if (texts.has(columnType) && characterSet === binary) return "binary";
  return String;
}

function bitsOf(cell: unknown): number {
  return cell instanceof Uint8Array ? cell.reduce((value, byte) => value * 256 + byte, 0) : Number(cell);
}
