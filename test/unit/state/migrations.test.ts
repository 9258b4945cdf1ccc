import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { openState } from "../../../src/state/database.ts";
import { steps } from "../../../src/state/migrations/index.ts";
import { slot } from "../../contracts/state.ts";
import { SimulatedClock } from "../../support/clock.ts";
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
  for (const name of [
    "slots",
    "alerts",
    "incidents",
    "transitions",
    "outbox",
    "silences",
    "people",
    "audit",
    "leases",
    "processes",
  ]) {
    expect(before).toContain(name);
  }
  await using state = await open(file);
  expect(await state.slots.counts()).toMatchObject({ due: 1 });
  expect(tables(file)).toEqual(before);
});

test("a file of the first build gets what has been added since, and keeps its rows", async () => {
  const file = join(folder, "first.db");
  {
    await using state = await open(file);
    await state.slots.add([slot(-1)]);
  }
  const bare = new Sqlite(file);
  bare.exec("drop table leases; drop table processes; drop index slots_started_ms_index");
  bare.exec("alter table slots drop column server_ms; alter table slots drop column rows_read");
  bare.exec("delete from knex_migrations where name = '0002-several-processes'");
  // knex's own runner, which the first build used, kept its lock here.
  bare.exec('create table knex_migrations_lock ("index" integer primary key, is_locked integer)');
  bare.close();
  await using state = await open(file);
  expect(await state.slots.list({ limit: 9 })).toMatchObject([{ state: "due", serverMs: null, rowsRead: null }]);
  expect(await state.leases.take(["a"], "w1", 0, 1)).toEqual(["a"]);
});

test("steps are named in order, and as their files are", () => {
  const names = steps.map(({ name }) => name);
  expect(names).toEqual([...names].sort());
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
    `SPL-002 ${file} - written by a newer build: schema 0009-runs, this build reads up to 0003-totals. ` +
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
