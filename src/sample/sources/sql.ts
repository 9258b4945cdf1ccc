/** Rows of a read-only SQL query. What kind of database answers is the connection's to say. */
import { z } from "zod";
import type { Connection } from "../../core/definitions.ts";
import type { Plugin, Source, SourceDeps } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { mysql, mysqlSource } from "./sql-mysql.ts";
import { postgres, postgresSource } from "./sql-postgres.ts";
import { type Asked, sharedMeasures } from "./sql-shared.ts";
import { SqliteSource, sqlite } from "./sql-sqlite.ts";
import { bindsSlot, queryText } from "./sql-text.ts";

const options = z
  .strictObject({
    connection: z.string().min(1).describe("a name in rules/connections.yaml"),
    query: queryText.optional().describe("one SELECT over the slot, with :slot_start and :slot_end"),
    batch: z
      .string()
      .min(1)
      .optional()
      .describe(
        "in place of query: the name of one of the connection's queries; samplers that name it share its reads",
      ),
    rows_max: z.int().min(1).max(100_000).default(1000).describe("rows of a slot at most; one more is a fault"),
  })
  .superRefine(({ query, batch }, context) => {
    if ((query === undefined) !== (batch === undefined)) return;
    const message = "SCH-003 wants either query or batch. Fix: write one of them";
    context.addIssue({ code: "custom", message });
  });
type SqlOptions = z.infer<typeof options>;

type Kind = {
  readonly options: z.ZodType<{ readonly queries: Readonly<Record<string, string>> }>;
  readonly make: (asked: Asked, deps: SourceDeps) => Source;
};

const kinds: Readonly<Record<string, Kind>> = {
  sqlite: { options: sqlite, make: (asked, deps) => new SqliteSource(asked, deps) },
  postgres: { options: postgres, make: postgresSource },
  mysql: { options: mysql, make: mysqlSource },
};

/**
 * `rows_max` bounds an answer; a cell is at most 64 KiB and an answer at most 64 MiB of text. The caller's signal
 * bounds the time: when it aborts, the query is stopped where it runs.
 */
export const sql: Plugin<Source, SqlOptions, SourceDeps> = {
  kind: "sql",
  summary: "Rows of one read-only SELECT over a SQL database.",
  example: `sql:
  connection: shop
  query: >
    select country, count(*) as orders, sum(amount) as amount from invoices
    where invoiced_at >= :slot_start and invoiced_at < :slot_end group by country
  rows_max: 1000
`,
  options,
  connections: Object.fromEntries(Object.entries(kinds).map(([kind, { options }]) => [kind, options])),
  create: (chosen, deps) => {
    const { connection, kind } = connectionOf(chosen.connection, deps.connections);
    const query = chosen.query ?? namedQuery(chosen.batch as string, connection, kind.options);
    return kind.make({ connection, query, rowsMax: chosen.rows_max }, deps);
  },
  isRepeatable,
  warnings: (chosen) => {
    if (isRepeatable(chosen, {})) return [];
    return [
      new Problem("not repeatable: gaps cannot be sampled again", {
        code: "SQL-W11",
        path: "query",
        fix: "compare a time column with :slot_start and :slot_end",
        severity: "warning",
      }),
    ];
  },
  batch: ({ connection, batch }) => (batch === undefined ? null : `${connection}/${batch}`),
  measures: sharedMeasures,
};

/** A query that the connection does not have is told elsewhere. */
function isRepeatable({ query, batch }: SqlOptions, { queries }: Readonly<Record<string, unknown>>): boolean {
  const text = query ?? Object(queries)[batch as string];
  return typeof text !== "string" || bindsSlot(text);
}

function connectionOf(name: string, connections: ReadonlyMap<string, Connection>) {
  const connection = connections.get(name);
  const kind = kinds[connection?.kind ?? ""];
  if (connection !== undefined && kind !== undefined) return { connection, kind };
  const what = connection === undefined ? "unknown connection" : `cannot read connections of kind ${connection.kind}`;
  throw new Problem(`${what} (got ${JSON.stringify(name)})`, {
    where: connection?.place ?? "rules/connections.yaml",
    fix: `name one of ${[...connections.keys()].join(", ") || "the connections in rules/connections.yaml"}`,
  });
}

function namedQuery(batch: string, connection: Connection, schema: Kind["options"]): string {
  const { queries } = schema.parse(connection.options);
  if (Object.hasOwn(queries, batch)) return queries[batch] as string;
  throw new Problem(`connection ${connection.name} has no query ${JSON.stringify(batch)}`, {
    where: connection.place,
    fix: `name one of ${Object.keys(queries).join(", ") || "its queries, once it has some"}`,
  });
}
