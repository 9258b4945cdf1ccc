/** What is said to MySQL and MariaDB within one read-only transaction. */
import type { Connection, FieldPacket, PrepareStatementInfo } from "mysql2";
import { Problem } from "../../core/problem.ts";
import { stopwatch, systemClock } from "../../core/time.ts";
import { answerBytesMax, readRows, tooManyRows, tooMuchText } from "./sql-cells.ts";
import type { Plan } from "./sql-guard.ts";
import { excessOf } from "./sql-mysql-account.ts";
import { type MysqlField, readerOf } from "./sql-mysql-cells.ts";
import { type ExplainRow, planOf, type TableSize } from "./sql-mysql-plan.ts";
import { Broken, type Session, type Statement } from "./sql-sessions.ts";

/** A connection of the driver, with the socket that its types leave out. */
export type MysqlRaw = Connection & {
  readonly stream: NodeJS.ReadableStream & { readonly bytesRead: number; destroy(): void };
};

export class MysqlSession implements Session {
  readonly #raw: MysqlRaw;
  readonly #where: string;
  readonly #limitMs: number;
  readonly #version: string;

  constructor(raw: MysqlRaw, where: string, limitMs: number, version: string) {
    this.#raw = raw;
    this.#where = where;
    this.#limitMs = limitMs;
    this.#version = version;
  }

  /** A prepared statement is one statement, and one that gives no columns is never run. */
  async select({ text, values }: Statement, rowsMax: number) {
    const elapsedMs = stopwatch();
    await ask(this.#raw, `set session sql_select_limit = ${rowsMax + 1}`);
    const info = await prepared(this.#raw, text);
    const { columns } = info as unknown as { columns: readonly unknown[] };
    if (columns.length === 0) {
      throw new Problem("it gives no rows", { code: "SQL-002", where: this.#where, fix: "write one SELECT" });
    }
    const before = await this.#rowsCounted();
    const { fields, rows } = await this.#streamed({ text, values }, rowsMax);
    // A function that was cut gives 0 in place of an error.
    if (elapsedMs() >= this.#limitMs) throw Object.assign(new Error("over the limit"), { errno: 1969 });
    const after = await this.#rowsCounted();
    const read = fields.map((field) => ({ name: field.name, read: readerOf(field) }));
    const rowsRead = before === null || after === null ? null : after - before;
    return { rows: readRows(read, rows, this.#where), rowsRead };
  }

  /** To plan may be to run: derived tables are made for it. So the same limits hold. */
  async plan({ text, values }: Statement): Promise<Plan | null> {
    const extended = this.#version.includes("MariaDB") ? "extended " : "";
    const elapsedMs = stopwatch();
    await ask(this.#raw, "set session sql_select_limit = default");
    const rows = await explained(this.#raw, `explain ${extended}${text}`, values);
    if (elapsedMs() >= this.#limitMs) throw Object.assign(new Error("over the limit"), { errno: 1969 });
    return rows === null ? null : planOf(rows, await this.#tables(rows, text));
  }

  async about() {
    const sentMs = systemClock.nowMs();
    const [row] = await ask(this.#raw, "select cast(unix_timestamp(now(6)) * 1000 as signed) as ms");
    const middleMs = (sentMs + systemClock.nowMs()) / 2;
    const [number = ""] = this.#version.split("-");
    const name = this.#version.includes("MariaDB") ? "MariaDB" : "MySQL";
    return { server: `${name} ${number}`, clockAheadMs: Math.round(Number(row?.ms) - middleMs) };
  }

  async excess(): Promise<readonly string[]> {
    const grants = (await ask(this.#raw, "show grants")).map((row) => String(Object.values(row)[0]));
    const tables = await ask(
      this.#raw,
      `select table_schema as s, count(*) as n from information_schema.tables
       where table_schema not in ('information_schema', 'performance_schema', 'mysql', 'sys') group by table_schema`,
    );
    return excessOf(grants, (schema, table) => {
      if (table !== null) return 1;
      const covered = tables.filter(({ s }) => schema === null || String(s) === schema.replaceAll("\\_", "_"));
      return covered.reduce((sum, { n }) => sum + Number(n), 0);
    });
  }

  /** Aliases are what a plan names: a table whose name stands in the query, where that leaves no doubt. */
  async #tables(rows: readonly ExplainRow[], text: string): Promise<Map<string, TableSize>> {
    const sizes = await ask(
      this.#raw,
      `select table_schema as s, table_name as t, table_rows as n from information_schema.tables
       where table_schema not in ('information_schema', 'performance_schema', 'mysql', 'sys') limit 5000`,
    );
    const known = new Map(
      sizes.map(({ s, t, n }) => [String(t).toLowerCase(), { name: `${s}.${t}`, rows: Number(n) }]),
    );
    const names = new Map<string, TableSize>();
    for (const { table } of rows) {
      if (table === null) continue;
      const behind = new RegExp(`([\\w$]+)\`?\\s+(?:as\\s+)?\`?${table.replace(/[^\w]/g, "\\$&")}\\b`, "i").exec(
        text,
      )?.[1];
      const size = known.get(table.toLowerCase()) ?? known.get(behind?.toLowerCase() ?? "");
      if (size !== undefined) names.set(table, size);
    }
    return names;
  }

  /** MariaDB counts rows as it goes; MySQL counts its steps, of which each is a row. */
  async #rowsCounted(): Promise<number | null> {
    const pattern = this.#version.includes("MariaDB") ? "Rows_read" : "Handler_read_%";
    const rows = await ask(this.#raw, `show session status like '${pattern}'`);
    return rows.length === 0 ? null : rows.reduce((sum, row) => sum + Number(Object.values(row)[1]), 0);
  }

  /** Takes rows as they come, and has the server stop after one more than is allowed. */
  async #streamed({ text, values }: Statement, rowsMax: number): Promise<{ fields: MysqlField[]; rows: unknown[][] }> {
    const { stream } = this.#raw;
    const startBytes = stream.bytesRead;
    const rows: unknown[][] = [];
    let fields: MysqlField[] = [];
    let lost = (): void => {};
    const streamed = new Promise<void>((resolve, reject) => {
      // A statement without a callback is not told of a connection that breaks.
      lost = () => reject(Object.assign(new Error("it was closed"), { code: "PROTOCOL_CONNECTION_LOST" }));
      stream.on("close", lost);
      const command = this.#raw.execute({ sql: text, rowsAsArray: true }, [...values]);
      command.on("fields", (found: FieldPacket[]) => {
        fields = found as unknown as MysqlField[];
      });
      command.on("result", (row: unknown) => {
        if (!Array.isArray(row)) return;
        if (rows.length > rowsMax) return reject(new Broken(tooManyRows(rowsMax, this.#where)));
        if (stream.bytesRead - startBytes > 2 * answerBytesMax) reject(new Broken(tooMuchText(this.#where)));
        rows.push(row);
      });
      command.on("error", reject).on("end", () => resolve());
    });
    await streamed.finally(() => stream.off("close", lost));
    if (rows.length > rowsMax) throw tooManyRows(rowsMax, this.#where);
    return { fields, rows };
  }
}

/** A statement of ours, as text: some of them cannot be prepared. */
export function ask(raw: MysqlRaw, text: string): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    raw.query(text, (fault, rows) => (fault === null ? resolve(rows as Record<string, unknown>[]) : reject(fault)));
  });
}

/** Of a view, only those see the plan that may see its text and read its tables. */
const hiddenPlan = 1345;

function explained(raw: MysqlRaw, text: string, values: readonly string[]): Promise<ExplainRow[] | null> {
  return new Promise((resolve, reject) => {
    raw.execute(text, [...values], (fault, rows) => {
      if (fault === null) resolve(rows as unknown as ExplainRow[]);
      else if (fault.errno === hiddenPlan) resolve(null);
      else reject(fault);
    });
  });
}

function prepared(raw: MysqlRaw, text: string): Promise<PrepareStatementInfo> {
  return new Promise((resolve, reject) => {
    raw.prepare({ sql: text, rowsAsArray: true } as never, (fault, info) =>
      fault === null ? resolve(info) : reject(fault),
    );
  });
}
