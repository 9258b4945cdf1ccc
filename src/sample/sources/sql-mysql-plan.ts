/** What `EXPLAIN` of MySQL and MariaDB says a query would read: one row a table, in the order of the nested loops. Pure. */
import type { Plan, Scan } from "./sql-guard.ts";

export type ExplainRow = {
  readonly id: number | string | null;
  readonly select_type: string;
  readonly table: string | null;
  /** How it is read: `ALL` and `index` go through everything. */
  readonly type: string | null;
  readonly rows: number | string | null;
  /** Percent of them that are expected to be left by the conditions. */
  readonly filtered: number | string | null;
  readonly Extra?: string | null;
};

/**
 * Every table is read once for each row that is left of those before it, in its own SELECT; a dependent subquery once
 * for each row of the SELECT before. Derived tables are read where they are made.
 * @param names alias -> table, and about how many rows it has; null: not known
 */
export function planOf(rows: readonly ExplainRow[], names: ReadonlyMap<string, TableSize>): Plan {
  const scans: Scan[] = [];
  const left = new Map<string, number>();
  let enclosing = 1;
  let madeRows = 0;
  for (const row of rows) {
    const id = String(row.id);
    const dependent = /^(DEPENDENT|UNCACHEABLE)/.test(row.select_type);
    if (!left.has(id) && !dependent) enclosing = 1;
    const before = left.get(id) ?? (dependent ? enclosing : 1);
    const each = Number(row.rows ?? 0);
    const kept = Math.max(1, (before * each * Number(row.filtered ?? 100)) / 100);
    left.set(id, kept);
    if (!dependent) enclosing = kept;
    if (row.table === null) continue;
    if (row.table.startsWith("<")) {
      // Rows of a derived table are gone through too, and belong to no table.
      madeRows += before * each;
      continue;
    }
    const size = names.get(row.table) ?? { name: row.table, rows: null };
    const whole = (row.type === "ALL" || row.type === "index") && row.rows !== null && before === 1;
    scans.push({ table: size.name, rows: before * each, whole, tableRows: size.rows });
  }
  return { scans, joinedRows: madeRows, cost: null };
}

export type TableSize = { readonly name: string; readonly rows: number | null };
