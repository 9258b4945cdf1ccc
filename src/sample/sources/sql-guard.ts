/** What a plan says a query would take, held against what a connection allows. Pure. */
import { Problem } from "../../core/problem.ts";
import type { ParsedQuery } from "./sql-parse-findings.ts";

/** One table that the plan reads. */
export type Scan = {
  readonly table: string;
  /** Rows that the server expects to go through here, over all repetitions, in memory or not. */
  readonly rows: number;
  /** Every row of the table is gone through. */
  readonly whole: boolean;
  /** About how many rows the table has; null if the server does not tell. */
  readonly tableRows: number | null;
};

export type Plan = {
  readonly scans: readonly Scan[];
  /** Rows that joins are expected to make beyond those that they are given. */
  readonly joinedRows: number;
  /** In the server's own unit; null if it does not tell. */
  readonly cost: number | null;
};

export type Ceilings = {
  readonly rowsMax: number;
  /** Null: no ceiling. */
  readonly costMax: number | null;
};

export type Verdict = {
  /** Rows that all scans together are expected to go through. */
  readonly rows: number;
  /** Why the query is not run; null: it may be. */
  readonly refusal: Problem | null;
  readonly warnings: readonly Problem[];
};

/** Going through every row of a table is worth a word once it has more rows than this. */
const wholeRowsMax = 10_000;

/** What reading the query's text has told about its slot. */
export type TimeFacts = Pick<ParsedQuery, "bindsSlot" | "timeConditions">;

/**
 * Rows that are gone through count, not rows of the answer: a count over 20 million rows answers with one.
 */
export function judgePlan(plan: Plan, ceilings: Ceilings, time: TimeFacts, where: string): Verdict {
  const rows = Math.round(plan.scans.reduce((sum, scan) => sum + scan.rows, plan.joinedRows));
  const advice = time.bindsSlot ? "let an index serve its time condition, or ask for less" : "add a time condition";
  const refusal = (what: string): Problem => new Problem(what, { code: "SQL-009", where, fix: advice });
  const warnings = plan.scans.flatMap((scan) => wholeTable(scan, time, where));
  if (rows > ceilings.rowsMax) {
    const what = `would read ${count(rows)} rows, more than ${count(ceilings.rowsMax)}${most(plan.scans)}`;
    return { rows, refusal: refusal(what), warnings };
  }
  if (ceilings.costMax !== null && plan.cost !== null && plan.cost > ceilings.costMax) {
    const what = `would cost ${count(plan.cost)}, more than ${count(ceilings.costMax)}`;
    return { rows, refusal: refusal(what), warnings };
  }
  return { rows, refusal: null, warnings };
}

function most(scans: readonly Scan[]): string {
  const [first] = scans.toSorted((a, b) => b.rows - a.rows);
  const size = first?.tableRows === null || first === undefined ? "" : `, which has about ${count(first.tableRows)}`;
  return first === undefined ? "" : `, most of ${first.table}${size}`;
}

function wholeTable({ table, whole, tableRows }: Scan, time: TimeFacts, where: string): Problem[] {
  if (!whole || tableRows === null || tableRows <= wholeRowsMax) return [];
  return [
    new Problem(`goes through all of ${table}, about ${count(tableRows)} rows: ${whyWhole(table, time)}`, {
      code: "SQL-W12",
      where,
      fix: "compare a time column that has an index with :slot_start and :slot_end",
      severity: "warning",
    }),
  ];
}

/** Conditions on a view are those of the tables in it, which the query's text does not name. */
function whyWhole(table: string, { bindsSlot, timeConditions }: TimeFacts): string {
  const bare = (name: string): string => name.split(".").at(-1)?.toLowerCase() ?? "";
  const own = timeConditions.filter((condition) => condition.table !== null && bare(condition.table) === bare(table));
  const [condition] = own.length > 0 ? own : timeConditions.filter((other) => other.table === null);
  if (condition?.wrapped) return `"${condition.column}" is computed with before it is compared, so no index serves`;
  if (condition !== undefined) return `no index serves the condition on "${condition.column}"`;
  return bindsSlot && timeConditions.length > 0 ? "no time condition reaches it" : "it has no time condition";
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
