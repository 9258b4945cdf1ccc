/** What a single cell may hold to become part of a point. Pure; each fault is one row of a table. */

export type CellFault = {
  readonly code: string;
  /** Continues `column "x" `: `is empty in row 3`, where the row is added by the reader. */
  readonly what: string;
  readonly fix: string;
};

const tagFaults: readonly (CellFault & { readonly found: (value: string) => boolean })[] = [
  { code: "PNT-003", what: "is empty", fix: "coalesce it to a name", found: (value) => value === "" },
  {
    code: "PNT-001",
    what: "holds a line break",
    fix: "replace it in the query",
    found: (value) => /[\r\n]/.test(value),
  },
  {
    code: "PNT-002",
    what: "ends with a backslash",
    fix: "trim it in the query",
    found: (value) => value.endsWith("\\"),
  },
  {
    code: "PNT-011",
    what: "holds control characters",
    fix: "remove them in the query",
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    found: (value) => /[\u0000-\u001f\u007f]/.test(value),
  },
  {
    code: "PNT-013",
    what: "is not valid Unicode",
    fix: "store it as UTF-8",
    found: (value) => !value.isWellFormed() || value.includes("\ufffd"),
  },
];

const notTag: CellFault = { code: "PNT-003", what: "is neither text nor a number", fix: "cast it to text" };

/** A cell as the value of a tag. Numbers and truth values become their text; absent is empty. */
export function tagOf(cell: unknown): { value: string } | { fault: CellFault } {
  if (cell !== null && cell !== undefined && !["string", "number", "bigint", "boolean"].includes(typeof cell)) {
    return { fault: notTag };
  }
  const value = cell === null || cell === undefined ? "" : String(cell);
  const fault = tagFaults.find(({ found }) => found(value));
  return fault === undefined ? { value } : { fault };
}

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A cell as a number. Text counts if it is a plain decimal, as databases return DECIMAL: `12.5`, `-3`, `1e6`; neither
 * `1,234.50` nor `12 %`. Null is no value. Whole numbers that a double would round are refused.
 */
export function numberOf(cell: unknown): { value: number | null } | { fault: CellFault } {
  if (cell === null || cell === undefined) return { value: null };
  if (typeof cell === "number") return Number.isFinite(cell) ? { value: cell } : { fault: notFinite(cell) };
  if (typeof cell === "bigint") return wholeNumber(cell);
  if (typeof cell !== "string") return { fault: notNumber(typeof cell) };
  const text = cell.trim();
  if (!decimal.test(text)) return { fault: notNumber(JSON.stringify(shapeOf(cell))) };
  if (/^[+-]?\d+$/.test(text)) return wholeNumber(BigInt(text.replace("+", "")));
  const value = Number(text);
  return Number.isFinite(value) ? { value } : { fault: notFinite(value) };
}

function wholeNumber(whole: bigint): { value: number } | { fault: CellFault } {
  const value = Number(whole);
  if (Number.isSafeInteger(value)) return { value };
  const what = `is ${BigInt.asIntN(64, whole) === whole ? "a whole number beyond 2^53" : "outside int64"}`;
  return { fault: { code: "PNT-006", what, fix: "divide it in the query, or cast it to a floating-point number" } };
}

function notFinite(value: number): CellFault {
  return { code: "PNT-004", what: `is ${value}`, fix: "guard the division, for example with nullif" };
}

function notNumber(got: string): CellFault {
  return { code: "PNT-005", what: `is not a number (got ${got})`, fix: "select a number without signs or separators" };
}

/** The form of a text without what it says, since it may be anybody's name or number: `Ab1` becomes `Aa9`. */
function shapeOf(text: string): string {
  const shape = text
    .replace(/\p{Lu}/gu, "A")
    .replace(/\p{Ll}/gu, "a")
    .replace(/\d/g, "9");
  return shape.length > 20 ? `${shape.slice(0, 20)}…` : shape;
}
