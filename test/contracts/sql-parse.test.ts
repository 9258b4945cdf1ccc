/** The parsers' opinion beside the real servers': what is accepted is SQL there, and lists hold what they promise. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import SQLite from "better-sqlite3";
import { createConnection } from "mysql2/promise";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { functionGroups, parseQuery } from "../../src/sample/sources/sql-parse.ts";
import { ordinaryQueries, type SqlDialect } from "../support/hostile.ts";
import { type Mariadb, startMariadb, whyNoMariadb } from "../support/servers/mariadb.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../support/servers/postgres.ts";

const schema = readFileSync(join(import.meta.dirname, "../cases/sql/schema.sql"), "utf8");

function tables(time: string, json: string): string[] {
  const lines = schema.split("\n").filter((line) => line !== "" && !line.startsWith("--"));
  return lines.map((line) => line.replaceAll(/\bTIME\b/g, time).replaceAll(/\bJSON\b/g, json));
}

/** Every query that is accepted and that the server does not take, with what it says. */
async function refusedBy(dialect: SqlDialect, prepare: (text: string) => Promise<unknown>): Promise<string[]> {
  const refused: string[] = [];
  for (const query of ordinaryQueries(dialect)) {
    const { text } = await parseQuery(query, dialect);
    await prepare(text).catch((thrown: Error) => refused.push(`${thrown.message}: ${query}`));
  }
  return refused;
}

const names = (dialect: SqlDialect): string[] => Object.values(functionGroups[dialect]).flat();

test("SQLite takes every ordinary query", async () => {
  const database = new SQLite(":memory:");
  for (const statement of tables("text", "text")) database.exec(statement);
  const run = async (text: string): Promise<unknown> =>
    database.prepare(text).all({ slot_start: "2026-11-27 09:00:00", slot_end: "2026-11-27 09:05:00" });
  expect(await refusedBy("sqlite", run)).toEqual([]);
  database.close();
});

test("SQLite has the functions that its list names, save the newest", () => {
  const database = new SQLite(":memory:");
  const known = new Set(database.prepare("select distinct name from pragma_function_list").pluck().all());
  const unknown = names("sqlite").filter((name) => !known.has(name));
  // Functions that give rows are in no list until they are used.
  for (const name of functionGroups.sqlite.rows ?? []) database.prepare(`select key, value from ${name}('[1]')`).all();
  // CAST is syntax; PERCENTILE and MEDIAN are a choice of whoever builds SQLite.
  const choices = ["cast", "median", "percentile"];
  expect(unknown.filter((name) => ![...choices, ...(functionGroups.sqlite.rows ?? [])].includes(name))).toEqual([]);
  database.close();
});

const noPostgres = whyNoPostgres();
describe.skipIf(noPostgres !== null)(`PostgreSQL${noPostgres === null ? "" : ` (${noPostgres})`}`, () => {
  let server: Postgres;
  let client: Client;
  beforeAll(async () => {
    server = await startPostgres();
    client = new Client({ connectionString: await server.database() });
    await client.connect();
    for (const statement of tables("timestamptz", "jsonb")) await client.query(statement);
    await client.query("create schema sales");
    await client.query("create table sales.orders (like orders)");
  });
  afterAll(async () => {
    await client?.end();
    await server?.[Symbol.asyncDispose]();
  });

  test("takes every ordinary query", async () => {
    const prepare = async (text: string): Promise<unknown> => {
      const numbered = text.replaceAll(":slot_start", "$1").replaceAll(":slot_end", "$2");
      await client.query(`prepare one as ${numbered}`);
      return client.query("deallocate one");
    };
    expect(await refusedBy("postgres", prepare)).toEqual([]);
  });

  test("calls none of the listed functions volatile, which is what writes, but clock and chance", async () => {
    const { rows } = await client.query(
      `select distinct proname::text as name from pg_proc where proname = any ($1) and provolatile = 'v'
       and pronamespace = 'pg_catalog'::regnamespace order by 1`,
      [names("postgres")],
    );
    expect(rows.map(({ name }) => name)).toEqual(["clock_timestamp", "random"]);
  });

  test("has the functions that the list names", async () => {
    const { rows } = await client.query("select distinct proname::text as name from pg_proc");
    const known = new Set(rows.map(({ name }) => name));
    // Syntax with parentheses, and words that stand for a function without them.
    const syntax = /^(coalesce|nullif|greatest|least|grouping|trim|current_(date|time|timestamp)|localtime(stamp)?)$/;
    expect(names("postgres").filter((name) => !known.has(name) && !syntax.test(name))).toEqual([]);
  });
});

const noMariadb = whyNoMariadb();
describe.skipIf(noMariadb !== null)(`MariaDB${noMariadb === null ? "" : ` (${noMariadb})`}`, () => {
  let server: Mariadb;
  let url: string;
  beforeAll(async () => {
    server = await startMariadb();
    url = await server.database();
    for (const statement of tables("datetime", "json")) await server.query(statement, url);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test("takes every ordinary query", async () => {
    const connection = await createConnection({ uri: url, namedPlaceholders: false });
    const own = new URL(url).pathname.slice(1);
    const run = async (text: string): Promise<unknown> => {
      const bounds: string[] = [];
      const plain = text.replaceAll(/:slot_(start|end)/g, (bound) => {
        bounds.push(bound === ":slot_start" ? "2026-11-27 09:00:00" : "2026-11-27 09:05:00");
        return "?";
      });
      return connection.execute(plain.replace("shop.orders", `${own}.orders`), bounds);
    };
    expect(await refusedBy("mysql", run)).toEqual([]);
    await connection.end();
  });

  test("has the functions that the list names, save those of MySQL", async () => {
    const unknown: string[] = [];
    for (const name of names("mysql")) {
      const code = await server.query(`select ${name}()`, url).then(
        () => "",
        (thrown: { code?: string }) => thrown.code,
      );
      if (code === "ER_SP_DOES_NOT_EXIST") unknown.push(name);
    }
    expect(unknown).toEqual(["any_value"]);
  });
});
