/** The sum of a slot's rows, whatever their tags. Pure. */
import type { Sampler } from "../core/definitions.ts";
import type { Row } from "../core/model.ts";
import { numberOf } from "./cells.ts";

export type Totals = {
  readonly fields: Readonly<Record<string, number>>;
  /** Why a field has no total in this slot, each as one sentence. */
  readonly lacking: readonly string[];
};

/**
 * What `point.total` asks for. A row counts whatever is wrong with its tags, also where they are one too many to be
 * kept: it happened. A row whose number cannot be read leaves its field without a total in this slot, since too low a
 * total would be an alarm; NULL adds nothing. Without rows it is 0 with `empty: zero`, and else absent.
 */
export function totalsOf(sampler: Sampler, rows: readonly Row[]): Totals {
  const fields: Record<string, number> = {};
  const lacking: string[] = [];
  for (const field of sampler.point.total ?? []) {
    const cells = rows.map((row) => numberOf(row[field]));
    const unread = cells.findIndex((cell) => "fault" in cell);
    const numbers = cells.flatMap((cell) => ("value" in cell && cell.value !== null ? [cell.value] : []));
    if (unread >= 0) lacking.push(`no total of "${field}" in this slot: row ${unread + 1} cannot be counted`);
    else if (numbers.length > 0 || (rows.length === 0 && sampler.empty === "zero")) {
      const sum = sumOf(numbers);
      if (sum === null) lacking.push(`no total of "${field}" in this slot: it cannot be held exactly`);
      else fields[field] = sum;
    }
  }
  return { fields, lacking };
}

/** The same for the same numbers in any order; null beyond what a double holds. */
function sumOf(numbers: readonly number[]): number | null {
  const sum = numbers.toSorted((a, b) => a - b).reduce((before, number) => before + number, 0);
  if (!Number.isFinite(sum)) return null;
  return numbers.every(Number.isInteger) && !Number.isSafeInteger(sum) ? null : sum;
}
