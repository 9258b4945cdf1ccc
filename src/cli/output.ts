/** How commands print: plain lines and aligned tables for people, one JSON document for programs. */
import { formatTimeUtc, secondMs } from "../core/time.ts";

export function print(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Columns aligned by their widest cell; numbers to the right. Long last columns are left as they are. */
export function table(header: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string[] {
  const cells = [header, ...rows].map((row) => row.map((cell) => (cell === null ? "-" : String(cell))));
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells.map((row, line) =>
    row
      .map((cell, column) => {
        const width = widths[column] as number;
        const right = line > 0 && typeof rows[line - 1]?.[column] === "number";
        return right ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

/** A moment for people: UTC to the second. */
export function timeText(timeMs: number): string {
  return formatTimeUtc(Math.floor(timeMs / secondMs) * secondMs);
}

/** A number as people write it: four significant digits at most, no trailing zeros. */
export function numberText(value: number | null | undefined): string {
  if (value === null || value === undefined) return "-";
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** Text in a colour where standard output is a terminal and NO_COLOR is not set. */
export function paint(text: string, colour: "red" | "green" | "yellow" | "dim" | "bold"): string {
  const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };
  if (!process.stdout.isTTY || process.env.NO_COLOR) return text;
  return `\u001b[${codes[colour]}m${text}\u001b[0m`;
}
