/** Opening the facts on real servers: many processes at once, killed ones before, and everything that may be wrong. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { stopwatch } from "../../../src/core/time.ts";
import { openState, type State } from "../../../src/state/database.ts";
import { steps } from "../../../src/state/migrations/index.ts";
import { slot } from "../../contracts/state.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { type Mariadb, startMariadb, whyNoMariadb } from "../../support/servers/mariadb.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../../support/servers/postgres.ts";
import { freePort } from "../../support/servers/process.ts";
import { silent, start } from "../store/support.ts";

const clock = new SimulatedClock("2026-11-21T09:30:00Z");
const names = steps.map(({ name }) => name);
type Server = Postgres | Mariadb;

function open(url: string): Promise<State> {
  return openState({ url, clock, log: silent, pool: { patienceMs: 300 } });
}

async function problemOf(promise: Promise<State>): Promise<Problem> {
  const thrown: unknown = await promise.then(
    (state) => state[Symbol.asyncDispose](),
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof Problem)) throw new Error(`not a Problem: ${thrown}`);
  expect(formatProblem(thrown), "no password, whatever it is").not.toContain("only-for-tests");
  return thrown;
}

/** Columns and indexes of all tables, as the server lists them. */
async function shapeOf(server: Server, kind: string, url: string): Promise<unknown> {
  const schema = kind === "PostgreSQL" ? "'public'" : "database()";
  const columns = await server.query(
    `select table_name as t, column_name as c, data_type as d, is_nullable as n from information_schema.columns
     where table_schema = ${schema} order by 1, 2`,
    url,
  );
  const indexes =
    kind === "PostgreSQL"
      ? await server.query("select indexdef from pg_indexes where schemaname = 'public' order by 1", url)
      : await server.query(
          `select table_name as t, index_name as i, seq_in_index as s, column_name as c, non_unique as u
           from information_schema.statistics where table_schema = database() order by 1, 2, 3`,
          url,
        );
  expect(indexes.length).toBeGreaterThan(25);
  return { columns, indexes };
}

const servers = [
  { kind: "PostgreSQL", missing: whyNoPostgres(), begin: (): Promise<Server> => startPostgres() },
  { kind: "MariaDB", missing: whyNoMariadb(), begin: (): Promise<Server> => startMariadb() },
];

describe.each(servers)("$kind", ({ kind, missing, begin }) => {
  let server: Server;
  let url: string;
  let whole: unknown;
  beforeAll(async () => {
    if (missing !== null) return;
    server = await begin();
    const reference = await server.database();
    await (await open(reference))[Symbol.asyncDispose]();
    whole = await shapeOf(server, kind, reference);
  });
  beforeEach(async () => {
    if (missing === null) url = await server.database();
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const applied = async (): Promise<unknown[]> =>
    (await server.query("select name from knex_migrations order by id", url)).map(({ name }) => name);

  describe.skipIf(missing !== null)(missing ?? "is there", () => {
    test("six start at once on an empty database: one makes the tables, the others wait for it", async () => {
      const states = await Promise.all(Array.from({ length: 6 }, () => open(url)));
      expect(await applied()).toEqual(names);
      expect(await shapeOf(server, kind, url)).toEqual(whole);
      for (const state of states) {
        expect(await state.slots.latestMs("orders")).toBeNull();
        await state[Symbol.asyncDispose]();
      }
    });

    test("a process killed while it makes the tables is in nobody's way, and what it left is made whole", async () => {
      let unfinished = 0;
      for (let round = 0; round < 4; round += 1) {
        url = await server.database();
        const racer = start(import.meta.dirname, "race.ts", url, "w1", "1");
        const gone = once(racer, "close");
        // Until its first statement has come to the server, so that the kill meets the work and not the start.
        const tables = "select count(*) as n from information_schema.tables where table_name = 'slots'";
        const before = Number((await server.query(tables))[0]?.n);
        if (kind === "MariaDB") {
          while (Number((await server.query(tables))[0]?.n) === before && racer.exitCode === null) await sleep(1);
        } else {
          const mine = `select 1 from pg_stat_activity where datname = '${new URL(url).pathname.slice(1)}'`;
          while ((await server.query(mine)).length === 0 && racer.exitCode === null) await sleep(1);
        }
        await sleep(round * 15);
        racer.kill("SIGKILL");
        await gone;
        const made = await applied().catch(() => []);
        if (made.length < names.length) unfinished += 1;
        const state = await open(url);
        expect(await shapeOf(server, kind, url)).toEqual(whole);
        await state[Symbol.asyncDispose]();
      }
      expect(unfinished, "some kill came in the middle").toBeGreaterThan(0);
    });

    test("one that starts while another changes the tables waits for it", async () => {
      const lock =
        kind === "PostgreSQL"
          ? "select pg_advisory_lock(x'62656c6c77657468'::bigint), pg_sleep(0.7)"
          : "select get_lock(concat('bellwether-', left(sha1(database()), 40)), 5), sleep(0.7)";
      const held = server.query(lock, url);
      await sleep(200);
      const opening = open(url);
      expect(await Promise.race([opening, sleep(200, "waits")])).toBe("waits");
      await held;
      await (await opening)[Symbol.asyncDispose]();
      expect(await applied()).toEqual(names);
    });

    test("a database of a newer build is refused by name", async () => {
      await (await open(url))[Symbol.asyncDispose]();
      await server.query("insert into knex_migrations (name, batch) values ('0009-runs', 2)", url);
      const problem = await problemOf(open(url));
      expect(problem).toMatchObject({ code: "SPL-002", retryable: false });
      expect(problem.message).toContain("schema 0009-runs");
    });

    test("a server that is not there is said to be so, without user and password, and may be there later", async () => {
      const away = new URL(url);
      away.port = String(await freePort());
      const problem = await problemOf(open(away.href));
      const where = `${away.protocol}//127.0.0.1:${away.port}${away.pathname}`;
      expect(problem).toMatchObject({ code: "STR-002", where, retryable: true });
      expect(problem.message).toMatch(/cannot be reached.*ECONNREFUSED/);
    });

    test("a wrong password, a database that is not there, and a user without rights are told apart", async () => {
      const wrong = new URL(url);
      wrong.password = "another";
      expect(await problemOf(open(wrong.href))).toMatchObject({ code: "STR-002", retryable: false });
      const nowhere = new URL(url);
      nowhere.pathname = "/nowhere";
      expect((await problemOf(open(nowhere.href))).message).toMatch(/nowhere/);
      const user = `u${new URL(url).pathname.slice(1)}`;
      const database = new URL(url).pathname.slice(1);
      if (kind === "PostgreSQL") {
        await server.query(`create role ${user} login password 'only-for-tests'`);
      } else {
        await server.query(`create user ${user}@'%' identified by 'only-for-tests'`);
        await server.query(`grant select on ${database}.* to ${user}@'%'`);
      }
      const poor = new URL(url);
      poor.username = user;
      poor.password = "only-for-tests";
      const problem = await problemOf(open(poor.href));
      expect(problem).toMatchObject({ code: "STR-002", retryable: false });
      expect(problem.message).toMatch(/denied/);
      expect(problem.fix).toContain("grant");
      await server.query(kind === "PostgreSQL" ? `drop role ${user}` : `drop user ${user}@'%'`);
    });

    test("text that is too long for its column is refused, and not cut", async () => {
      await using state = await open(url);
      await expect(state.slots.add([slot(-3, "x".repeat(201))])).rejects.toThrow(/too long/);
      expect(await state.slots.counts()).toMatchObject({ due: 0 });
    });

    test("20,000 old slots are forgotten in pieces, in seconds; those that wait, and newer ones, stay", async () => {
      await using state = await open(url);
      const numbers =
        kind === "PostgreSQL" ? "generate_series(0, 19999) as g(n)" : "(select seq as n from seq_0_to_19999) as g";
      await server.query(
        `insert into slots (sampler, start_ms, step_ms, state, due_ms, catch_up, attempts)
         select concat('s', mod(n, 50)), n - mod(n, 50), 1, case when n = 7 then 'due' else 'done' end, 1, 1 = 0, 1
         from ${numbers}`,
        url,
      );
      const elapsedMs = stopwatch();
      expect(await state.slots.expire(19_000)).toBe(18_999);
      // A list of the keys took MariaDB two minutes.
      expect(elapsedMs()).toBeLessThan(10_000);
      expect(await state.slots.counts()).toMatchObject({ due: 1, done: 1_000 });
      expect(await state.slots.expire(19_000)).toBe(0);
      const page = await state.slots.list({ limit: 60, toMs: 19_900 });
      expect(page.map(({ startMs }) => startMs)).toEqual([...Array(50).fill(19_850), ...Array(10).fill(19_800)]);
    });

    test("connections are bounded, and their number is measured", async () => {
      await using state = await openState({ url, clock, log: silent, pool: { connectionsMax: 3 } });
      await Promise.all(Array.from({ length: 60 }, () => state.slots.counts()));
      const found = new Map((await state.measures()).map((each) => [`${each.name} ${each.labels?.state}`, each.value]));
      expect(found.get("bellwether_state_connections_max undefined")).toBe(3);
      const used = found.get("bellwether_state_connections used") ?? 0;
      expect(used + (found.get("bellwether_state_connections free") ?? 0)).toBe(3);
    });
  });
});

describe.skipIf(whyNoMariadb() !== null)("MariaDB, whose changes of tables are not undone", () => {
  let server: Mariadb;
  beforeAll(async () => {
    server = await startMariadb();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a table without its indexes, left by a killed process, is made anew", async () => {
    const url = await server.database();
    await server.query("create table slots (sampler varchar(200))", url);
    const state = await open(url);
    expect(await state.slots.add([slot(-1), slot(-1)])).toBe(1);
    await state[Symbol.asyncDispose]();
    await server.query("delete from knex_migrations where name = '0002-several-processes'", url);
    await server.query("alter table slots drop index slots_started_ms_index", url);
    await server.query("drop table processes", url);
    await using again = await open(url);
    expect(await again.slots.counts()).toMatchObject({ due: 1 });
    expect(await again.processes.list(0)).toEqual([]);
  });

  test("tables that hold rows are never made anew", async () => {
    const url = await server.database();
    await server.query("create table slots (sampler varchar(200))", url);
    await server.query("insert into slots values ('orders')", url);
    expect(await problemOf(open(url))).toMatchObject({ code: "STR-002", retryable: false });
    expect(await server.query("select * from slots", url)).toEqual([{ sampler: "orders" }]);
  });
});

test.skipIf(whyNoPostgres() !== null)(
  "PostgreSQL: a database that has no room for all characters is refused",
  async () => {
    await using server = await startPostgres();
    const name = `latin_${process.pid}`;
    await server.query(`create database ${name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    const problem = await problemOf(open(url.href));
    await server.query(`drop database ${name}`);
    expect(formatProblem(problem)).toMatch(/^STR-002 postgres:\/\/127.0.0.1:\d+\/latin_\d+ - .*LATIN1/);
  },
);

test.each(["", "http://host/db", "postgres://host", "mysql:///db", "user:secret@host/db"])(
  "%j is no address of a database, and is not shown",
  async (url) => {
    const problem = await problemOf(open(url));
    expect(problem).toMatchObject({ code: "STR-002", where: "DATABASE_URL", retryable: false });
    expect(formatProblem(problem)).not.toContain("secret");
  },
);
