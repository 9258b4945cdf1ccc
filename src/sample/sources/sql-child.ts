/** Reads a SQLite file in a process of its own: a query cannot be stopped in a thread. Started by `sql.ts`. */
import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
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
  | { readonly rows: readonly Record<string, unknown>[]; readonly elapsedMs: number }
  /** `code` is SQLite's (`SQLITE_BUSY`), or one of ours: `ROWS`, `CELL`, `SIZE`. */
  | { readonly fault: { readonly code: string; readonly text: string } };

const [, , file = ""] = process.argv;
let database: { readonly knex: Knex; readonly inode: bigint } | null = null;

/** Opens the file again once another one has taken its name. */
async function open(): Promise<Knex> {
  const inode = statSync(file, { bigint: true, throwIfNoEntry: false })?.ino ?? 0n;
  if (database?.inode === inode) return database.knex;
  await database?.knex.destroy();
  const opened = knex({
    client: "better-sqlite3",
    connection: { filename: file, options: { readonly: true, safeIntegers: true } },
    useNullAsDefault: true,
    compileSqlOnError: false,
    pool: {
      min: 0,
      max: 1,
      afterCreate: (connection: { pragma(text: string): void }, done: (fault: unknown, made: unknown) => void) => {
        connection.pragma("query_only = on");
        done(null, connection);
      },
    },
  });
  database = { knex: opened, inode };
  return opened;
}

async function answer(question: Question): Promise<Answer> {
  try {
    const elapsedMs = stopwatch();
    const limited = `select * from (\n${question.query}\n) limit ${question.rowsMax + 1}`;
    const text = question.plan === true ? `explain query plan ${question.query}` : limited;
    const rows = (await (await open()).raw(text, question.bindings)) as Record<string, unknown>[];
    if (rows.length > question.rowsMax) return { fault: { code: "ROWS", text: `more than ${question.rowsMax} rows` } };
    return plainRows(rows, elapsedMs());
  } catch (thrown) {
    const { code } = thrown as { code?: unknown };
    // knex puts the whole query before what SQLite said.
    const text = messageOf(thrown).split(" - ").at(-1) as string;
    return { fault: { code: typeof code === "string" ? code : "", text } };
  }
}

/** Whole numbers that a JavaScript number would round become decimal text; what is too large or binary is refused. */
function plainRows(rows: Record<string, unknown>[], elapsedMs: number): Answer {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    for (const [column, cell] of Object.entries(row)) {
      if (typeof cell === "bigint") row[column] = Number.isSafeInteger(Number(cell)) ? Number(cell) : String(cell);
      else if (typeof cell === "string") {
        const size = Buffer.byteLength(cell);
        if (size > cellBytesMax) return cellFault(column, index, `${size} bytes, more than ${cellBytesMax}`);
        bytes += size;
      } else if (cell instanceof Uint8Array) return cellFault(column, index, "binary");
    }
  }
  return bytes > answerBytesMax
    ? { fault: { code: "SIZE", text: `more than ${answerBytesMax} bytes` } }
    : { rows, elapsedMs };
}

function cellFault(column: string, index: number, what: string): Answer {
  return { fault: { code: "CELL", text: `column "${column}" in row ${index + 1} is ${what}` } };
}

new Worker(new URL("./sql-child-watch.ts", import.meta.url));
process.on("message", async (question: Question) => {
  process.send?.(await answer(question));
});
