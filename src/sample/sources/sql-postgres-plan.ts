/** What `EXPLAIN (FORMAT JSON)` of PostgreSQL says a query would read. Pure. */
import type { Plan, Scan } from "./sql-guard.ts";

export type PlanNode = {
  readonly "Node Type": string;
  readonly "Parent Relationship"?: string;
  readonly "Startup Cost": number;
  readonly "Total Cost": number;
  readonly "Plan Rows": number;
  readonly Strategy?: string;
  readonly Schema?: string;
  readonly "Relation Name"?: string;
  readonly "Subplan Name"?: string;
  readonly "Index Cond"?: string;
  readonly Filter?: string;
  readonly Plans?: readonly PlanNode[];
};

/** Rows of tables as the server's statistics have them, by `schema.table`; absent or negative: never analysed. */
export type TableRows = ReadonlyMap<string, number>;

/** What fetching one row by an index costs at most: a page anywhere on the disk, the index's entry, the row. */
const fetchCostMax = 4.015;

/** What going through one row of a table costs at least, where about a hundred fit a page. */
const scanCostMin = 0.0225;

/** Nodes that take all of their input before they give anything: a LIMIT above them spares nothing below. */
const blocking = new Set(["Sort", "Hash", "HashAggregate"]);

/** How a node is run: how often, and which part of its rows is asked for, 0 to 1. */
type Run = { readonly loops: number; readonly share: number };

export function planOf(root: PlanNode, tableRows: TableRows): Plan {
  const scans: Scan[] = [];
  let joinedRows = 0;
  const visit = (node: PlanNode, run: Run): void => {
    joinedRows += joinedRowsOf(node) * run.loops * run.share;
    if (node["Relation Name"] !== undefined) scans.push(scanOf(node, run, tableRows));
    for (const child of node.Plans ?? []) visit(child, runOf(child, node, run));
  };
  visit(root, { loops: 1, share: 1 });
  return { scans, joinedRows, cost: root["Total Cost"] };
}

function runOf(child: PlanNode, parent: PlanNode, { loops, share }: Run): Run {
  const relation = child["Parent Relationship"];
  if (relation === "InitPlan") return { loops: 1, share: 1 };
  if (relation === "SubPlan") {
    const once = parent.Filter?.includes(`hashed ${child["Subplan Name"]}`) === true;
    return { loops: once ? loops : loops * Math.max(1, parent["Plan Rows"]), share: 1 };
  }
  const type = parent["Node Type"];
  if (type === "Nested Loop" && relation === "Inner") {
    const outer = parent.Plans?.find((other) => other["Parent Relationship"] === "Outer");
    return { loops: loops * Math.max(1, outer?.["Plan Rows"] ?? 1), share };
  }
  if (type === "Limit") return { loops, share: share * limitShare(parent, child) };
  return { loops, share: isBlocking(parent) ? 1 : share };
}

/** Rows that a join makes more of than it was given: many to many. */
function joinedRowsOf(node: PlanNode): number {
  if (!/^(Hash|Merge) Join$/.test(node["Node Type"])) return 0;
  return Math.max(0, node["Plan Rows"] - Math.max(...(node.Plans ?? []).map((child) => child["Plan Rows"]), 0));
}

function isBlocking(node: PlanNode): boolean {
  const type = node["Node Type"];
  // One row without GROUP BY, or a hash of the groups: either way all input first.
  return blocking.has(type) || (type === "Aggregate" && node.Strategy !== "Sorted");
}

/** Part of its input that a LIMIT asks for, as the planner has reckoned the cost. */
function limitShare(limit: PlanNode, child: PlanNode): number {
  const whole = child["Total Cost"] - child["Startup Cost"];
  const asked = limit["Total Cost"] - child["Startup Cost"];
  return whole <= 0 ? 1 : Math.min(1, Math.max(0, asked / whole));
}

function scanOf(node: PlanNode, { loops, share }: Run, tableRows: TableRows): Scan {
  const table = `${node.Schema}.${node["Relation Name"]}`;
  const known = tableRows.get(table) ?? -1;
  const type = node["Node Type"];
  const whole = type === "Seq Scan" || (/^Index (Only )?Scan$/.test(type) && node["Index Cond"] === undefined);
  const cost = node["Total Cost"] - node["Startup Cost"];
  // Rows of a plan are those that a filter leaves; what went through it is more.
  const bitmap = Math.max(0, ...(node.Plans ?? []).map((child) => child["Plan Rows"]));
  const filtered = node.Filter === undefined ? 0 : cost / fetchCostMax;
  const through = type === "Seq Scan" ? (known < 0 ? cost / scanCostMin : known) : Math.max(bitmap, filtered);
  const rows = Math.max(node["Plan Rows"], through);
  return {
    table,
    rows: rows * loops * share,
    whole: whole && share === 1,
    tableRows: known < 0 ? (whole ? Math.round(rows) : null) : known,
  };
}

/** `schema.table` of every table that is read. */
export function tablesOf(root: PlanNode): { readonly schema: string; readonly table: string }[] {
  const own = root["Relation Name"];
  const mine = own === undefined ? [] : [{ schema: root.Schema ?? "public", table: own }];
  return [...mine, ...(root.Plans ?? []).flatMap(tablesOf)];
}
