/**
 * The real invoices that the demo's shop is grown from: "Online Retail", D. Chen, UCI Machine Learning Repository,
 * doi 10.24432/C5BW33, CC BY 4.0, summed per invoice. See `demo/NOTICE`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { messageOf, Problem } from "../../core/problem.ts";

/** One invoice of one real day, without its number: it is used many times. */
type RealInvoice = {
  /** Minutes since local midnight, 0 to 1439. */
  readonly minuteOfDay: number;
  readonly country: string;
  /** Pounds; below zero where goods came back. */
  readonly amount: number;
  readonly cancelled: boolean;
};

/** Everything one real day brought, in order of time. */
export type RealDay = {
  /** `2011-03-23`, as the shop's clock read. */
  readonly date: string;
  /** 1 Monday to 7 Sunday. There is no 6: the shop was closed on Saturdays. */
  readonly weekday: number;
  readonly invoices: readonly RealInvoice[];
};

const invoicesFile = join(import.meta.dirname, "../../../demo/online-retail-invoices.csv.gz");
const header = "invoice_no,invoiced_at,country,lines,units,amount_gbp,cancelled";
const row = /^[^,]+,(\d{4}-\d\d-\d\d) (\d\d):(\d\d):\d\d,([^,]+),\d+,-?\d+,(-?\d+\.\d+),([01])$/;

/**
 * Reads the real invoices, grouped by calendar day in ascending order. Invoices without an amount that were not
 * cancelled are left out: they are corrections of stock and of debts, not orders.
 * @throws Problem if the file is not there or is not what it should be
 */
export function readRealDays(file: string = invoicesFile): readonly RealDay[] {
  const [first, ...lines] = text(file).trimEnd().split("\n");
  if (first !== header) throw broken(file, 1);
  const days = new Map<string, RealInvoice[]>();
  for (const [index, line] of lines.entries()) {
    const cells = row.exec(line);
    if (cells === null) throw broken(file, index + 2);
    const [, date, hour, minute, country, amount, cancelled] = cells as unknown as string[];
    const invoice: RealInvoice = {
      minuteOfDay: Number(hour) * 60 + Number(minute),
      country: country as string,
      amount: Number(amount),
      cancelled: cancelled === "1",
    };
    if (!invoice.cancelled && invoice.amount <= 0) continue;
    const day = days.get(date as string);
    if (day === undefined) days.set(date as string, [invoice]);
    else day.push(invoice);
  }
  return [...days]
    .map(([date, invoices]) => ({ date, weekday: weekdayOf(date), invoices }))
    .sort((a, b) => (a.date < b.date ? -1 : 1));
}

/** 1 Monday to 7 Sunday. */
export function weekdayOf(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay() || 7;
}

function text(file: string): string {
  try {
    return gunzipSync(readFileSync(file)).toString("utf8");
  } catch (cause) {
    throw new Problem(`cannot read the demo's invoices: ${messageOf(cause)}`, { where: file, fix: missingFix, cause });
  }
}

function broken(file: string, line: number): Problem {
  return new Problem("not a row of the demo's invoices", { where: `${file}:${line}`, fix: missingFix });
}

const missingFix = "take demo/online-retail-invoices.csv.gz from the repository again";
