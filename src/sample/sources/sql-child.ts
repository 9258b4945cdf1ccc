/** Reads a SQLite file in a process of its own: a query cannot be stopped in a thread. Started by `sql.ts`. */
import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type Sqlite from "better-sqlite3";
import knex, { type Knex } from "knex";
import { messageOf } from "../../core/problem.ts";
import { stopwatch } from "../../core/time.ts";
import { answerBytesMax, cellBytesMax } from "./sql-cells.ts";

export type Question = {
  /** One SELECT with named parameters. */
  readonly query: string;
  readonly bindings: Readonly<Record<string, string | bigint>>;
  /** Rows to read at most; one more is an answer that is too long. */
  readonly rowsMax: number;
  /** True: the steps that the query would take, without taking them. */
  readonly plan?: boolean;
};

export type Answer =
  /** Names are sent once, not with each row. */
  | { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[]; readonly elapsedMs: number }
  /** `code` is SQLite's (`SQLITE_BUSY`), or one of ours: `ROWS`, `CELL`, `SIZE`. */
  | { readonly fault: { readonly code: string; readonly text: string } };

/** Prepared queries that are kept. */
const statementsMax = 200;

type Database = {
  readonly knex: Knex;
  readonly connection: Connection;
  readonly statements: Map<string, Sqlite.Statement>;
  readonly inode: bigint;
};
type Connection = Pick<Sqlite.Database, "pragma" | "prepare">;

const [, , file = ""] = process.argv;
let database: Database | null = null;

/** Opens the file again once another one has taken its name. */
async function open(): Promise<Database> {
  const inode = statSync(file, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
  if (database?.inode === inode) return database;
  await close();
  const opened = knex({
    client: "better-sqlite3",
    connection: { filename: file, options: { readonly: true, safeIntegers: true } },
    useNullAsDefault: true,
    compileSqlOnError: false,
    pool: { min: 0, max: 1 },
  });
  const connection = (await opened.client.acquireConnection()) as Connection;
  connection.pragma("query_only = on");
  database = { knex: opened, connection, statements: new Map(), inode };
  return database;
}

async function close(): Promise<void> {
  if (database === null) return;
  await database.knex.client.releaseConnection(database.connection);
  await database.knex.destroy();
  database = null;
}

/** SQLite itself prepares a query anew where the file's tables have changed meanwhile. */
function prepared({ connection, statements }: Database, text: string): Sqlite.Statement {
  const kept = statements.get(text);
  if (kept !== undefined) return kept;
  const fresh = connection.prepare(text).raw();
  if (statements.size >= statementsMax) statements.clear();
  statements.set(text, fresh);
  return fresh;
}

async function answer(question: Question): Promise<Answer> {
  try {
    const elapsedMs = stopwatch();
    const limited = `select * from (\n${question.query}\n) limit ${question.rowsMax + 1}`;
    const text = question.plan === true ? `explain query plan ${question.query}` : limited;
    const statement = prepared(await open(), text);
    const rows = statement.all(question.bindings) as unknown[][];
    if (rows.length > question.rowsMax) return { fault: { code: "ROWS", text: `more than ${question.rowsMax} rows` } };
    const columns = statement.columns().map(({ name }) => name);
    return plainRows(columns, rows, elapsedMs());
  } catch (thrown) {
    const { code } = thrown as { code?: unknown };
    return { fault: { code: typeof code === "string" ? code : "", text: messageOf(thrown) } };
  }
}

/** Whole numbers that a JavaScript number would round become decimal text; what is too large or binary is refused. */
function plainRows(columns: readonly string[], rows: unknown[][], elapsedMs: number): Answer {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    for (const [at, cell] of row.entries()) {
      const column = columns[at] as string;
      if (typeof cell === "bigint") row[at] = Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
      else if (typeof cell === "string") {
        const size = Buffer.byteLength(cell);
        if (size > cellBytesMax) return cellFault(column, index, `${size} bytes, more than ${cellBytesMax}`);
        bytes += size;
      } else if (cell instanceof Uint8Array) return cellFault(column, index, "binary");
    }
  }
  return bytes > answerBytesMax
    ? { fault: { code: "SIZE", text: `more than ${answerBytesMax} bytes` } }
    : { columns, rows, elapsedMs };
}

function cellFault(column: string, index: number, what: string): Answer {
  return { fault: { code: "CELL", text: `column "${column}" in row ${index + 1} is ${what}` } };
}

new Worker(new URL("./sql-child-watch.ts", import.meta.url));
process.on("message", async (question: Question) => {
  process.send?.(await answer(question));
});
