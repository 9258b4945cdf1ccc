/** What an account of MySQL or MariaDB may do beyond reading, from the lines of `SHOW GRANTS`. Pure. */
import { counted } from "../../core/words.ts";

/** Rights that change nothing and take nobody anything. */
const harmless = new Set(["SELECT", "USAGE", "SHOW VIEW", "SHOW DATABASES", "REFERENCES", "EXECUTE"]);

export type TableCount = (schema: string | null, table: string | null) => number;

/**
 * @param tables how many tables a grant covers: of a schema, or of all for null
 * @returns short phrases, `INSERT on 41 tables`; empty: it reads and no more
 */
export function excessOf(grants: readonly string[], tables: TableCount): string[] {
  const counts = new Map<string, number>();
  const found: string[] = [];
  for (const grant of grants) {
    const [, rights, on] = /^GRANT (.+?) ON (?:TABLE )?(\S+) TO /.exec(grant) ?? [];
    if (rights === undefined || on === undefined) continue;
    const [schema = null, table = null] = partsOf(on);
    for (const right of rightsOf(rights)) {
      if (harmless.has(right)) continue;
      if (schema === null && !/^(ALL PRIVILEGES|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|INDEX|TRIGGER)$/.test(right)) {
        found.push(right);
      } else counts.set(right, (counts.get(right) ?? 0) + tables(schema, table));
    }
    if (/ WITH GRANT OPTION$/.test(grant)) found.push("GRANT OPTION");
  }
  const onTables = [...counts].map(([right, count]) => `${right} on ${counted(count, "table")}`);
  return [...new Set([...onTables, ...found])];
}

/** `SELECT (a, b), INSERT` -> SELECT, INSERT */
function rightsOf(text: string): string[] {
  return text
    .replace(/\([^)]*\)/g, "")
    .split(",")
    .map((right) => right.trim().toUpperCase())
    .filter((right) => right !== "");
}

/** `` `shop`.`loans` `` -> shop, loans; `*` is undefined. */
function partsOf(on: string): (string | undefined)[] {
  const parts = on.match(/`(?:[^`]|``)*`|\*/g) ?? [];
  return parts.map((part) => (part === "*" ? undefined : part.slice(1, -1).replaceAll("``", "`")));
}
