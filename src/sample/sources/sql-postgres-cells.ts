/** Cells of PostgreSQL, by the number of their type, from the text that the server sends. Pure. */
import { type Column, exactNumber } from "./sql-cells.ts";

const numbers = new Set([20, 21, 23, 26, 700, 701, 1700]);
const json = new Set([114, 3802, 4072]);
const boolean = 16;
const bytea = 17;
const xml = 142;
const record = 2249;
const timestamp = 1114;
const timestamptz = 1184;

/** Of the types that come with the server: bool, bytea, char, name, int2, int4, text, bpchar, varchar, int8, ... */
const arrays = new Set([
  143, 199, 629, 651, 719, 791, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1014, 1015, 1016, 1021,
  1022, 1028, 1040, 1041, 1115, 1182, 1183, 1185, 1187, 1231, 1270, 1561, 1563, 2287, 2951, 3807,
]);

/** @param type its `oid` in `pg_type`. Those that are not known here, as enumerations, are text. */
export function readerOf(type: number): Column["read"] {
  if (numbers.has(type)) return exactNumber;
  if (type === boolean) return (cell) => cell === "t";
  if (type === timestamp) return (cell) => String(cell).replace(" ", "T");
  if (type === timestamptz) return isoTime;
  if (type === bytea) return "binary";
  if (json.has(type)) return "JSON";
  if (type === xml) return "XML";
  if (arrays.has(type)) return "a list";
  if (type === record) return "a record";
  return (cell) => cell;
}

/** `2026-11-20 09:00:00.25+00` as `2026-11-20T09:00:00.25Z`; other offsets keep theirs. */
function isoTime(cell: unknown): string {
  const text = String(cell).replace(" ", "T");
  const [, time, sign, hours, minutes = "00"] = /^(.*)([+-])(\d\d)(?::(\d\d))?$/.exec(text) ?? [];
  if (time === undefined) return text;
  return hours === "00" && minutes === "00" ? `${time}Z` : `${time}${sign}${hours}:${minutes}`;
}
