/** Cells of one line of CSV, as RFC 4180 has them. */

/**
 * A cell that begins with a quote ends with one, may hold commas, and holds a quote where it is written twice. Quotes
 * inside other cells are letters like all others. A cell does not go on in the next line.
 * @returns null where a quote is not closed, or more than blanks follows the one that closes
 */
export function cellsOf(line: string): string[] | null {
  if (!line.includes('"')) return line.split(",");
  const cells: string[] = [];
  for (let at = 0; ; ) {
    const quoted = quotedCell(line, at);
    if (quoted === null) return null;
    const end = quoted === undefined ? endOfCell(line, at) : quoted.end;
    cells.push(quoted === undefined ? line.slice(at, end) : quoted.cell);
    if (end === line.length) return cells;
    at = end + 1;
  }
}

/** Undefined: the cell at `from` does not begin with a quote; null: it cannot be read. */
function quotedCell(line: string, from: number): { cell: string; end: number } | null | undefined {
  let at = skipBlanks(line, from);
  if (line[at] !== '"') return undefined;
  let cell = "";
  for (;;) {
    const quote = line.indexOf('"', at + 1);
    if (quote < 0) return null;
    cell += line.slice(at + 1, quote);
    at = quote;
    if (line[quote + 1] !== '"') break;
    cell += '"';
    at += 1;
  }
  const end = skipBlanks(line, at + 1);
  return end === line.length || line[end] === "," ? { cell, end } : null;
}

function endOfCell(line: string, from: number): number {
  const comma = line.indexOf(",", from);
  return comma < 0 ? line.length : comma;
}

function skipBlanks(line: string, from: number): number {
  let at = from;
  while (line[at] === " " || line[at] === "\t") at += 1;
  return at;
}
