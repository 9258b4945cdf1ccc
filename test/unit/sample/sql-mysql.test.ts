import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { deadline, stopwatch } from "../../../src/core/time.ts";
import { excessOf } from "../../../src/sample/sources/sql-mysql-account.ts";
import type { Session, Sessions } from "../../../src/sample/sources/sql-sessions.ts";
import { type Mariadb, whyNoMariadb } from "../../support/servers/mariadb.ts";
import { freePort } from "../../support/servers/process.ts";
import { startProxy } from "../../support/servers/proxy.ts";
import { type Account, mysqlShop, never, type Shop, slot, sqlSource } from "./sql-shop.ts";

const own = { own: true } as const;

describe.skipIf(whyNoMariadb(own) !== null)("MariaDB", () => {
  let shop: Shop<Mariadb>;
  beforeAll(async () => {
    shop = await mysqlShop(own);
  });
  afterAll(() => shop[Symbol.asyncDispose]());
  afterEach(() => {
    shop.warned.length = 0;
  });

  const rowsOf = async (query: string, more: object = {}, account: Account = "reader", options: object = {}) => {
    await using source = sqlSource(shop.deps(account, options), query, more);
    return (await source.read(slot, never)).rows;
  };
  const problemOf = async (work: Promise<unknown>): Promise<Problem> => {
    const thrown = await work.catch((reason: unknown) => reason);
    expect(thrown).toBeInstanceOf(Problem);
    return thrown as Problem;
  };
  /** Below the parser and the guard. */
  const run = async (sessions: Sessions<never>, text: string, rowsMax = 1_000) => {
    const select = (session: Session) => session.select({ text, values: [] }, rowsMax);
    return (await sessions.session(never, select)).rows;
  };
  const below = (account: Account = "reader", more: object = {}) => {
    return shop.sessions(account, more) as unknown as Sessions<never>;
  };

  test("cells: numbers that a double holds are numbers, others decimal text; times are ISO text", async () => {
    await using sessions = below();
    const query = `select 1 as whole, 9007199254740993 as big, 12.50 as money, 1234567890123456.78 as much, 1e-1 as tenth,
      null as nothing, 'x' as word, date('2026-03-01') as day, timestamp('2026-03-01 10:00:00') as wall, b'101' + 0 as bits`;
    expect(await run(sessions, query)).toEqual([
      {
        whole: 1,
        big: "9007199254740993",
        money: 12.5,
        much: "1234567890123456.78",
        tenth: 0.1,
        nothing: null,
        word: "x",
        day: "2026-03-01",
        wall: "2026-03-01T10:00:00",
        bits: 5,
      },
    ]);
  });

  test.each([
    ["SQL-018 binary", "select cast('x' as binary) as c", 'column "c" in row 1 is binary'],
    ["SQL-018 too long", "select rpad('x', 70000, 'y') as c", 'column "c" in row 1 is 70000 bytes, more than 65536'],
    ["SQL-018 JSON", "select j as c from documents", 'column "c" in row 1 is JSON'],
    ["SQL-012 two of one name", "select 1 as n, 2 as n", 'two columns are called "n"'],
  ])("%s is refused", async (code, query, message) => {
    await shop.query("create or replace table documents (j json)", "insert into documents values ('{}')");
    await using sessions = below();
    expect(await problemOf(run(sessions, query))).toMatchObject({ code: code.slice(0, 7), message });
  });

  test("rows beyond the limit are not fetched, whatever LIMIT the query has", async () => {
    await using sessions = below();
    const thousands = "select a.n from loans l, (select 1 as n union all select 2) a limit 2";
    expect(await problemOf(run(sessions, thousands, 1))).toMatchObject({ code: "SQL-007" });
    expect(await run(sessions, thousands, 2)).toHaveLength(2);
  });

  test.each([
    ["datetime", "datetime", "Europe/Berlin", "'2026-11-20 10:00:00'"],
    ["datetime", "timestamp", "UTC", "from_unixtime(1795165200)"],
    ["epoch-s", "bigint", "UTC", "1795165200"],
    ["epoch-ms", "bigint", "UTC", "1795165200000"],
  ])("the slot's bounds are bound as %s in %s columns", async (time, type, zone, value) => {
    await shop.query(`create or replace table t (at ${type})`, `insert into t values (${value})`);
    const query = "select count(*) as n from t where at >= :slot_start and at < :slot_end";
    expect(await rowsOf(query, {}, "reader", { time, zone })).toEqual([{ n: 1 }]);
  });

  describe("B50 what is wrong is told in four different texts", () => {
    test("unknown tables and columns, a wrong password, a host that is down, TLS", async () => {
      expect(await problemOf(rowsOf("select n from nope"))).toMatchObject({
        code: "SQL-013",
        message: `unknown table "${shop.database}.nope"`,
      });
      expect(await problemOf(rowsOf("select nope from loans"))).toMatchObject({ code: "SQL-013" });
      const denied = await problemOf(rowsOf("select 1 as n", {}, "nobody"));
      expect(formatProblem(denied)).toMatch(
        /^SQL-014 connection shop - 127\.0\.0\.1:\d+ refuses: Access denied for user/,
      );
      expect(formatProblem(denied)).not.toContain("wrong");
      const url = `mysql://127.0.0.1:${await freePort()}/shop`;
      expect(await problemOf(rowsOf("select 1 as n", {}, "reader", { url }))).toMatchObject({
        code: "SQL-015",
        retryable: true,
      });
      expect(await problemOf(rowsOf("select 1 as n", {}, "reader", { tls: true }))).toMatchObject({ code: "SQL-016" });
    });
  });

  test("B51 an account that may write is refused in production, and warned of elsewhere", async () => {
    const problem = await problemOf(rowsOf("select n from loans", {}, "app"));
    expect(problem.code).toBe("SQL-017");
    expect(problem.message).toMatch(/ALL PRIVILEGES on \d+ tables/);
    await using source = sqlSource(shop.deps("app", {}, { production: false }), "select n from loans");
    expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
    expect(shop.warned).toHaveLength(1);
  });

  describe("F23", () => {
    test("to explain is to run: the limit holds for it too", async () => {
      await using sessions = below("reader", { timeout_max: "300ms" });
      const elapsedMs = stopwatch();
      const statement = { text: "select * from (select sleep(2) as s) x", values: [] };
      const problem = await problemOf(sessions.session(never, (session) => session.plan(statement)));
      expect(problem).toMatchObject({ code: "SQL-008", retryable: true });
      expect(elapsedMs()).toBeLessThan(1_900);
    });

    test("a function that is cut answers 0 without an error: time over the limit is an error all the same", async () => {
      await using sessions = below("reader", { timeout_max: "300ms" });
      const benchmark = "select benchmark(2000000000, md5('x')) as n";
      expect(await problemOf(run(sessions, benchmark))).toMatchObject({ code: "SQL-008" });
    });

    test("executable comments run, locks are taken: below the parser they are cut, refused, or given up", async () => {
      await using sessions = below("reader", { timeout_max: "300ms", pool_max: 1 });
      expect(await problemOf(run(sessions, "select /*! sleep(2), */ 1 as n"))).toMatchObject({ code: "SQL-008" });
      expect(await problemOf(run(sessions, "select * from loans for update"))).toMatchObject({
        code: expect.stringMatching(/SQL-002|SQL-014/),
      });
      expect(await run(sessions, "select get_lock('bellwether', 1) as n")).toEqual([{ n: 1 }]);
      expect(await run(sessions, "select is_used_lock('bellwether') as n")).toEqual([{ n: null }]);
    });

    test.each(["/*! sleep(1), */", "/*M! sleep(1), */"])("%s does not get past the parser", async (comment) => {
      const options = { connection: "shop", query: `select ${comment} 1 as n`, rows_max: 10 };
      const { sources } = await import("../../../src/sample/sources/index.ts");
      await using source = sources.sql!.create(options, shop.deps());
      expect(await problemOf(source.read(slot, never))).toMatchObject({ code: "SQL-005" });
    });
  });

  test("what gives no rows is never run", async () => {
    await using sessions = below("app");
    expect(await problemOf(run(sessions, "insert into loans values (9)"))).toMatchObject({ code: "SQL-002" });
    expect(await problemOf(run(sessions, "set session max_statement_time = 0"))).toMatchObject({ code: "SQL-002" });
    expect(await problemOf(run(sessions, "select wipe() as n"))).toMatchObject({ code: "SQL-002" });
    expect(await shop.query("select n from loans")).toEqual([{ n: 1 }]);
  });

  test("X39 while a query hangs, its sampler holds one connection, the others go on, and the server ends it", async () => {
    const deps = shop.deps();
    await using slow = sqlSource(deps, "select s from slow");
    await using quick = sqlSource(deps, "select n from loans");
    const reading = problemOf(slow.read(slot, deadline(1_500)));
    await expect.poll(() => shop.working()).toHaveLength(1);
    for (let reads = 0; reads < 10; reads += 1) expect((await quick.read(slot, never)).rows).toEqual([{ n: 1 }]);
    expect(await reading).toMatchObject({ code: "SQL-008", retryable: true });
    await expect.poll(() => shop.working()).toEqual([]);
  });

  test("the plan of a view is hidden from who may only read it, and that is said", async () => {
    await using source = sqlSource(shop.deps(), "select s from slow");
    const { estimate, problems } = await source.inspect(slot, never);
    expect(estimate).toBeNull();
    expect(problems.map(({ code }) => code)).toEqual(["SQL-W13"]);
  });

  test("a connection that is lost in the middle of a read is worth retrying; the next read has a new one", async () => {
    await using proxy = await startProxy(shop.server.port);
    const deps = shop.deps("reader", { url: `mysql://127.0.0.1:${proxy.port}/${shop.database}` });
    await using slow = sqlSource(deps, "select s from slow");
    await using quick = sqlSource(deps, "select n from loans");
    const reading = problemOf(slow.read(slot, never));
    await expect.poll(() => shop.working()).toHaveLength(1);
    await proxy.set({ mode: "down" });
    expect(await reading).toMatchObject({ code: "SQL-015", retryable: true });
    await proxy.set({});
    expect((await quick.read(slot, never)).rows).toEqual([{ n: 1 }]);
    await expect.poll(() => shop.working(), { timeout: 10_000 }).toEqual([]);
  });

  test("a server that was restarted costs no read; one that stands still is given up at the deadline", async () => {
    await using source = sqlSource(shop.deps(), "select n from loans");
    expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
    await shop.server.restart();
    expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
    shop.server.pause();
    expect(await problemOf(source.read(slot, deadline(400)))).toMatchObject({ code: "SQL-008", retryable: true });
    shop.server.resume();
    expect((await source.read(slot, deadline(10_000))).rows).toEqual([{ n: 1 }]);
  });
});

describe("rights of SHOW GRANTS", () => {
  const count = (schema: string | null, table: string | null): number =>
    table !== null ? 1 : schema === null ? 50 : 41;
  test.each([
    [
      ["GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*B6'", "GRANT SELECT, SHOW VIEW ON `shop`.* TO `r`@`%`"],
      [],
    ],
    [["GRANT SELECT, INSERT ON `shop`.* TO `r`@`%`"], ["INSERT on 41 tables"]],
    [["GRANT SELECT (`a`, `b`), UPDATE (`a`) ON `shop`.`loans` TO `r`@`%`"], ["UPDATE on 1 table"]],
    [["GRANT FILE, PROCESS ON *.* TO `r`@`%`"], ["FILE", "PROCESS"]],
    [["GRANT ALL PRIVILEGES ON *.* TO `r`@`%` WITH GRANT OPTION"], ["ALL PRIVILEGES on 50 tables", "GRANT OPTION"]],
    [["GRANT `writers` TO `r`@`%`", "GRANT DELETE ON `shop`.* TO `writers`"], ["DELETE on 41 tables"]],
  ])("%j", (grants, expected) => expect(excessOf(grants, count)).toEqual(expected));
});
