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
 * total would be an alarm; NULL adds nothing. Without rows it is 0 with `empty: zero`, and else absent. The total of a
 * ratio is that of all its denominators together, which comes with their sum.
 */
export function totalsOf(sampler: Sampler, rows: readonly Row[]): Totals {
  const fields: Record<string, number> = {};
  const lacking: string[] = [];
  for (const field of sampler.point.total ?? []) {
    if (rows.length === 0 && sampler.empty !== "zero") continue;
    const denominator = sampler.judge[field]?.denominator;
    const found = denominator === undefined ? sumIn(rows, field) : ratioIn(rows, field, denominator);
    if ("lacking" in found) lacking.push(`no total of "${field}" in this slot: ${found.lacking}`);
    else Object.assign(fields, found.fields);
  }
  return { fields, lacking };
}

type Found = { readonly fields: Readonly<Record<string, number>> } | { readonly lacking: string };

function sumIn(rows: readonly Row[], field: string): Found {
  const cells = rows.map((row) => numberOf(row[field]));
  const unread = cells.findIndex((cell) => "fault" in cell);
  if (unread >= 0) return { lacking: `row ${unread + 1} cannot be counted` };
  const numbers = cells.flatMap((cell) => ("value" in cell && cell.value !== null ? [cell.value] : []));
  if (rows.length > 0 && numbers.length === 0) return { fields: {} };
  const sum = sumOf(numbers);
  return sum === null ? { lacking: "it cannot be held exactly" } : { fields: { [field]: sum } };
}

/** Nothing measured is neither 0 nor 1. A row that was measured on something has its share, or there is no saying. */
function ratioIn(rows: readonly Row[], field: string, denominator: string): Found {
  if (rows.length === 0) return { fields: { [denominator]: 0, [field]: 0 } };
  const trials = sumIn(rows, denominator);
  if ("lacking" in trials) return trials;
  let hits = 0;
  for (const [index, row] of rows.entries()) {
    const on = readNumber(row[denominator]);
    const share = readNumber(row[field]);
    if (on < 0 || (on > 0 && Number.isNaN(share))) return { lacking: `row ${index + 1} cannot be counted` };
    if (on > 0) hits += share * on;
  }
  const whole = hits / (trials.fields[denominator] ?? 0);
  return Number.isFinite(whole) ? { fields: { ...trials.fields, [field]: whole } } : trials;
}

/** NaN for what is no number. */
function readNumber(cell: unknown): number {
  const read = numberOf(cell);
  return "value" in read && read.value !== null ? read.value : Number.NaN;
}

/** The same for the same numbers in any order; null beyond what a double holds. */
function sumOf(numbers: readonly number[]): number | null {
  const sum = numbers.toSorted((a, b) => a - b).reduce((before, number) => before + number, 0);
  if (!Number.isFinite(sum)) return null;
  return numbers.every(Number.isInteger) && !Number.isSafeInteger(sum) ? null : sum;
}
