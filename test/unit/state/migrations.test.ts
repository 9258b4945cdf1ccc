import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import knex, { type Knex } from "knex";
import { describe, expect, test } from "vitest";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { openState } from "../../../src/state/database.ts";
import { migrations } from "../../../src/state/migrations/index.ts";
import { slot } from "../../contracts/state.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { postgres, whyMissing } from "../../support/debian.ts";
import { silent, testFolder } from "../store/support.ts";

const folder = testFolder("state-migrations");
const clock = new SimulatedClock("2026-11-21T09:30:00Z");

function open(file: string) {
  return openState({ file, clock, log: silent });
}

function tables(file: string): unknown[] {
  const bare = new Sqlite(file, { readonly: true });
  const found = bare.prepare("select name from sqlite_master where type = 'table' order by name").pluck().all();
  bare.close();
  return found;
}

async function problemOf(promise: Promise<unknown>): Promise<Problem> {
  const thrown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof Problem)) throw new Error(`not a Problem: ${thrown}`);
  return thrown;
}

test("an empty file gets its tables; opening again changes nothing and keeps what is there", async () => {
  const file = join(folder, "empty.db");
  {
    await using state = await open(file);
    await state.slots.add([slot(-1)]);
  }
  const before = tables(file);
  for (const name of ["slots", "alerts", "incidents", "transitions", "outbox", "silences", "people", "audit"]) {
    expect(before).toContain(name);
  }
  await using state = await open(file);
  expect(await state.slots.counts()).toMatchObject({ due: 1 });
  expect(tables(file)).toEqual(before);
});

test("steps are named in order, and each can be had by its name", async () => {
  const names = await migrations.getMigrations();
  expect(names).toEqual([...names].sort());
  for (const name of names) expect(typeof (await migrations.getMigration(name)).up).toBe("function");
  const files = readdirSync(join(import.meta.dirname, "../../../src/state/migrations"));
  expect(files.sort()).toEqual([...names.map((name) => `${name}.ts`), "index.ts"].sort());
});

test("a file of a newer build is refused by name", async () => {
  const file = join(folder, "newer.db");
  await (await open(file))[Symbol.asyncDispose]();
  const bare = new Sqlite(file);
  bare.exec("insert into knex_migrations (name, batch) values ('0009-runs', 2)");
  bare.close();
  expect(formatProblem(await problemOf(open(file)))).toBe(
    `SPL-002 ${file} - written by a newer build: schema 0009-runs, this build reads up to 0001-facts. ` +
      "Fix: start the newer build, or move the file away.",
  );
});

test("a file that is no database is a Problem and left as it is", async () => {
  const file = join(folder, "broken.db");
  writeFileSync(file, "these are not facts\n".repeat(300));
  expect(await problemOf(open(file))).toMatchObject({ code: "STR-002", where: file, retryable: false });
  expect(existsSync(file)).toBe(true);
  expect((await problemOf(open(join(folder, "nowhere", "state.db")))).code).toBe("STR-002");
});

/** What the steps would run on another database, compiled by knex without its driver. */
async function compiled(dialect: "postgres" | "mysql2"): Promise<string[]> {
  const Dialect = (await import(`knex/lib/dialects/${dialect}/index.js`)).default as typeof Knex.Client;
  const statements: string[] = [];
  class Recorder extends Dialect {
    override async acquireConnection(): Promise<object> {
      return {};
    }
    override async releaseConnection(): Promise<void> {}
    async _query(_connection: unknown, query: { sql: string }): Promise<object> {
      statements.push(query.sql);
      return { ...query, response: { rows: [] } };
    }
    processResponse(): unknown[] {
      return [];
    }
  }
  const query = knex({ client: Recorder });
  for (const name of await migrations.getMigrations()) await (await migrations.getMigration(name)).up(query);
  return statements;
}

describe("the schema suits other databases", () => {
  test("MySQL: every column in an index has a length, within what an index may hold", async () => {
    const statements = await compiled("mysql2");
    const creates = statements.filter((sql) => sql.startsWith("create table"));
    expect(creates).toHaveLength(8);
    const columns = new Map(
      creates.flatMap((sql) => {
        const table = /create table `(\w+)`/.exec(sql)?.[1];
        expect(sql).toContain("collate utf8mb4_bin");
        return [...sql.matchAll(/`(\w+)` (varchar\(\d+\)|text|bigint|int|boolean|double)/g)].map(
          ([, column, type]): [string, string] => [`${table}.${column}`, type as string],
        );
      }),
    );
    const indexes = statements.flatMap((sql) => {
      const table = /table `(\w+)`/.exec(sql)?.[1];
      const keys = [...sql.matchAll(/(?:index|unique|primary key) ?(?:`\w+`)? ?\(([^)]*)\)/g)];
      return keys.map(([, list]) => (list as string).split(", ").map((name) => `${table}.${name.replaceAll("`", "")}`));
    });
    expect(indexes.length).toBeGreaterThan(25);
    for (const index of indexes) {
      const bytes = index.map((column) => {
        const type = columns.get(column) ?? "";
        expect(type, column).not.toMatch(/^(text|)$/);
        return 4 * Number(/varchar\((\d+)\)/.exec(type)?.[1] ?? 2);
      });
      // InnoDB's limit for the DYNAMIC row format, at four bytes a character.
      expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(3_072);
    }
  });

  const missing = whyMissing(postgres);

  test.skipIf(missing !== null)(
    `PostgreSQL takes every statement${missing === null ? "" : ` (${missing})`}`,
    async () => {
      const bin = postgres.find() as string;
      const root = mkdtempSync(join(tmpdir(), "pg-"));
      // PostgreSQL refuses to run as root.
      const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
      if (user.uid !== undefined) chownSync(root, user.uid, user.gid);
      const options = {
        ...user,
        cwd: root,
        env: { PATH: process.env.PATH, HOME: root, LC_ALL: "C" },
        stdio: "pipe",
      } as const;
      const data = join(root, "data");
      const run = (tool: string, ...args: string[]) => execFileSync(join(bin, tool), args, options);
      run("initdb", "-D", data, "-U", "state", "-A", "trust", "--no-sync");
      run("pg_ctl", "-D", data, "-w", "-o", `-k ${root} -h "" -F`, "-l", join(root, "log"), "start");
      try {
        const sql = (await compiled("postgres")).join(";\n");
        const psql = spawnSync(join(bin, "psql"), ["-h", root, "-U", "state", "-v", "ON_ERROR_STOP=1", "postgres"], {
          ...options,
          input: `begin;\n${sql};\ncommit;\n\\dt`,
          encoding: "utf8",
        });
        expect(psql.stderr).toBe("");
        expect(psql.status).toBe(0);
        expect(psql.stdout).toContain("(8 rows)");
      } finally {
        run("pg_ctl", "-D", data, "-m", "immediate", "stop");
        rmSync(root, { recursive: true });
      }
    },
  );
});
