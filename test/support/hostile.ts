/** Statements of `test/cases/sql/`: hostile ones, which must never run, and ordinary ones, which must. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type SqlDialect = "sqlite" | "postgres" | "mysql";

function linesOf(name: string): string[] {
  const text = readFileSync(join(import.meta.dirname, "../cases/sql", name), "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** What a query may be refused by, and the query. Those of any dialect come first. */
export function hostileStatements(dialect: SqlDialect): { readonly code: string; readonly sql: string }[] {
  return ["any", dialect]
    .flatMap((name) => linesOf(`hostile-${name}.sql`))
    .map((line) => ({ code: line.slice(0, 7), sql: line.slice(8).replace(/\\u\{(\w+)\}/g, (_, hex) => charOf(hex)) }));
}

/** Queries as people write them for samplers; those of any dialect come first. */
export function ordinaryQueries(dialect: SqlDialect): string[] {
  return ["any", dialect].flatMap((name) => linesOf(`ordinary-${name}.sql`));
}

function charOf(hex: string): string {
  return String.fromCodePoint(Number.parseInt(hex, 16));
}
