/** What reading a query brings to light: faults with their places, tables, functions, and conditions on the slot. */
import type { SlotBound } from "./sql-text.ts";

export type Dialect = "sqlite" | "postgres" | "mysql";

/** A column that a condition compares with a bound of the slot, in WHERE or ON, so that rows outside it are not read. */
export type TimeCondition = {
  /** As written, `sales.orders`; null: of no one table (a subquery's column), or the column names none of several. */
  readonly table: string | null;
  readonly column: string;
  readonly bounds: readonly SlotBound[];
  /** True: the column stands inside a function, a cast or a sum, so that no index on it serves. */
  readonly wrapped: boolean;
};

/** A query as its dialect reads it. */
export type ParsedQuery = {
  /** Each `CODE what. Fix: fix`; empty: it may be run. */
  readonly faults: readonly string[];
  /**
   * What is to be sent: the query without comments and closing semicolon, otherwise unchanged. This text was checked,
   * and no other.
   */
  readonly text: string;
  /** Tables and views that it reads, with schema as written; names of WITH are left out. */
  readonly tables: readonly string[];
  /** In lower case. */
  readonly functions: readonly string[];
  readonly timeConditions: readonly TimeCondition[];
  /** Whether it asks for its slot at all. */
  readonly bindsSlot: boolean;
};

/** One side of a comparison: columns in it as they were written, `["o", "created_at"]`, and bounds in it. */
export type Side = {
  readonly columns: { readonly path: readonly string[]; readonly wrapped: boolean }[];
  readonly bounds: SlotBound[];
};

/** Names of FROM -> table as written; null for a subquery or a name of WITH. The enclosing query's are in it too. */
export type Scope = ReadonlyMap<string, string | null>;

/** Schemas of the servers' own tables: settings, users, other people's queries. */
const systemSchemas: Readonly<Record<Dialect, RegExp>> = {
  postgres: /^(pg_.*|information_schema)$/,
  mysql: /^(mysql|sys|performance_schema|information_schema)$/,
  sqlite: /(?!)/,
};
const systemTables: Readonly<Record<Dialect, RegExp>> = {
  postgres: /^pg_/,
  mysql: /(?!)/,
  sqlite: /^(sqlite_|pragma_|dbstat$|bytecode$|tables_used$|completion$|fsdir$|zipfile$|sqlar)/,
};

export class Findings {
  readonly dialect: Dialect;
  readonly faults: string[];
  readonly tables = new Set<string>();
  readonly functions = new Set<string>();
  readonly #conditions = new Map<string, { condition: TimeCondition; bounds: Set<SlotBound> }>();
  readonly #query: string;

  /** @param faults those that are known already; none of their kind is said twice */
  constructor(dialect: Dialect, query: string, faults: readonly string[]) {
    this.dialect = dialect;
    this.#query = query;
    this.faults = [...faults];
  }

  /** @param at place in the text; absent: nowhere in particular */
  add(code: string, what: string, fix: string, at?: number): void {
    const general = /^SQL-00[1-5]$/.test(code) && this.faults.some((known) => known.startsWith(code));
    // A query of thousands of faults is not thousands of lines.
    if (general || this.faults.length >= 20) return;
    const place = at === undefined ? "" : ` at ${placeOf(this.#query, at)}`;
    const message = `${code} ${what}${place}. Fix: ${fix}`;
    if (!this.faults.includes(message)) this.faults.push(message);
  }

  onlySelect(at?: number): void {
    this.add("SQL-002", "only SELECT is allowed", "write SELECT, or WITH ... SELECT", at);
  }

  recursive(at?: number): void {
    const fix = "join a table of numbers or days";
    this.add("SQL-032", "WITH RECURSIVE may never end", fix, at);
  }

  /** Something that no rule here knows, and that is therefore refused. */
  unknown(what: string, fix: string, at?: number): void {
    this.add("SQL-032", `${what} is not allowed here`, fix, at);
  }

  table(schema: string | undefined, name: string, isCte: boolean, at?: number): string {
    const [inSchema, table] = [schema?.toLowerCase() ?? "", name.toLowerCase()];
    if (systemSchemas[this.dialect].test(inSchema) || systemTables[this.dialect].test(table)) {
      this.add("SQL-030", `${name} belongs to the server itself`, "name a table or view of your own", at);
    }
    const written = schema === undefined ? name : `${schema}.${name}`;
    if (!isCte) this.tables.add(written);
    return written;
  }

  /** What a comparison that every row must meet says about the slot. */
  compared(left: Side, right: Side, scope: Scope): void {
    const bounds = new Set([...left.bounds, ...right.bounds]);
    if (bounds.size === 0) return;
    for (const side of [left, right]) {
      for (const { path, wrapped } of side.columns) {
        // `paid_at - :slot_start > 0`: the bound on the same side is a computation with the column.
        this.#condition(path, wrapped || side.bounds.length > 0, bounds, scope);
      }
    }
  }

  #condition(path: readonly string[], wrapped: boolean, bounds: ReadonlySet<SlotBound>, scope: Scope): void {
    const column = path.at(-1) as string;
    const table = tableOf(path.slice(0, -1), scope);
    const key = JSON.stringify([table, column, wrapped]);
    const known = this.#conditions.get(key) ?? {
      condition: { table, column, wrapped, bounds: [] },
      bounds: new Set<SlotBound>(),
    };
    for (const bound of bounds) known.bounds.add(bound);
    this.#conditions.set(key, known);
  }

  result(text: string, bindsSlot: boolean): ParsedQuery {
    const timeConditions = [...this.#conditions.values()].map(({ condition, bounds }) => ({
      ...condition,
      bounds: [...bounds].sort().reverse(),
    }));
    const [tables, functions] = [[...this.tables].sort(), [...this.functions].sort()];
    return { faults: this.faults, text, tables, functions, timeConditions, bindsSlot };
  }
}

function tableOf(qualifier: readonly string[], scope: Scope): string | null {
  if (qualifier.length > 0) {
    return scope.get(qualifier.join(".")) ?? scope.get(qualifier.at(-1) as string) ?? null;
  }
  const [only, ...others] = scope.values();
  return others.length === 0 ? (only ?? null) : null;
}

/** `2:17`, both counted from 1. */
function placeOf(query: string, at: number): string {
  const before = query.slice(0, at).split("\n");
  return `${before.length}:${(before.at(-1) as string).length + 1}`;
}
