import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { deadline } from "../../../src/core/time.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import type { Session, Sessions } from "../../../src/sample/sources/sql-sessions.ts";
import { type Postgres, whyNoPostgres } from "../../support/servers/postgres.ts";
import { freePort } from "../../support/servers/process.ts";
import { startProxy } from "../../support/servers/proxy.ts";
import { type Account, never, postgresShop, type Shop, slot, sqlSource } from "./sql-shop.ts";

const own = { own: true } as const;

describe.skipIf(whyNoPostgres(own) !== null)("PostgreSQL", () => {
  let shop: Shop<Postgres>;
  beforeAll(async () => {
    shop = await postgresShop(own);
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
  const run = async (sessions: Sessions<never>, text: string, signal = never) => {
    const select = (session: Session) => session.select({ text, values: [] }, 1_000);
    return (await sessions.session(signal, select)).rows;
  };
  const below = (account: Account = "reader", more: object = {}) => {
    return shop.sessions(account, more) as unknown as Sessions<never>;
  };

  describe("cells", () => {
    test("numbers that a double holds are numbers, others decimal text; times are ISO text", async () => {
      const query = `select 1::int2 as small, 9007199254740993::int8 as big, 12.50::numeric as money,
        1234567890123456.78::numeric as much, 0.1::float8 as real, 'NaN'::numeric as nan, true as yes, null as nothing,
        'x'::varchar as word, date '2026-03-01' as day, timestamp '2026-03-01 10:00' as wall,
        timestamptz '2026-03-01 10:00+02' as moment`;
      expect(await rowsOf(query)).toEqual([
        {
          small: 1,
          big: "9007199254740993",
          money: 12.5,
          much: "1234567890123456.78",
          real: 0.1,
          nan: Number.NaN,
          yes: true,
          nothing: null,
          word: "x",
          day: "2026-03-01",
          wall: "2026-03-01T10:00:00",
          moment: "2026-03-01T08:00:00Z",
        },
      ]);
    });

    test.each([
      ["json", "select '{}'::jsonb as c", 'column "c" in row 1 is JSON'],
      ["a list", "select array[1, 2] as c", 'column "c" in row 1 is a list'],
      ["too long", "select rpad('x', 70000) as c from loans", 'column "c" in row 1 is 70000 bytes, more than 65536'],
    ])("B52 %s is refused", async (_, query, message) => {
      const sessions = below();
      expect(await problemOf(run(sessions, query))).toMatchObject({ code: "SQL-018", message });
      await sessions[Symbol.asyncDispose]();
    });

    test("B52 binary is refused, B49 two columns of one name too", async () => {
      await using sessions = below();
      expect(await problemOf(run(sessions, "select 'x'::bytea as c"))).toMatchObject({ code: "SQL-018" });
      expect(await problemOf(run(sessions, "select 1 as n, 2 as n"))).toMatchObject({ code: "SQL-012" });
    });

    test("an answer of gigabytes is cut before it fills our memory, and stops in the server", async () => {
      await using sessions = below();
      const flood = "select repeat(md5(i::text), 1500) as c from generate_series(1, 900) i, generate_series(1, 100) j";
      const flooded = sessions.session(never, (session) => session.select({ text: flood, values: [] }, 100_000));
      expect(await problemOf(flooded)).toMatchObject({
        code: "SQL-007",
        message: "the answer has more than 67108864 bytes",
      });
      await expect.poll(() => shop.working(), { timeout: 10_000 }).toEqual([]);
    });
  });

  describe("the slot's bounds", () => {
    const bounds = "select count(*) as n from t where at >= :slot_start and at < :slot_end";
    test.each([
      ["timestamptz", "timestamptz", "UTC", "'2026-11-20 10:00:00+01'"],
      ["timestamp", "timestamp", "Europe/Berlin", "'2026-11-20 10:00:00'"],
      ["epoch-s", "bigint", "UTC", "1795165200"],
      ["epoch-ms", "bigint", "UTC", "1795165200000"],
    ])("are bound as %s columns hold times", async (time, type, zone, value) => {
      await shop.query(
        "drop table if exists t",
        `create table t (at ${type})`,
        `insert into t values (${value})`,
        `grant select on t to ${shop.user("reader")}`,
      );
      expect(await rowsOf(bounds, {}, "reader", { time, zone })).toEqual([{ n: 1 }]);
    });
  });

  describe("B50 what is wrong is told in four different texts", () => {
    test("an unknown table, an unknown column", async () => {
      expect(formatProblem(await problemOf(rowsOf("select n from nope")))).toBe(
        `SQL-013 connection shop - unknown table "nope". Fix: name a table that ${shop.database} has, with its schema.`,
      );
      expect(await problemOf(rowsOf("select nope from loans"))).toMatchObject({ code: "SQL-013", retryable: false });
    });

    test("a wrong password, which is not shown, and a table that was not granted", async () => {
      const problem = await problemOf(rowsOf("select 1 as n", {}, "nobody"));
      expect(problem).toMatchObject({ code: "SQL-014", retryable: false });
      expect(formatProblem(problem)).toContain("password authentication failed");
      expect(formatProblem(problem)).not.toContain("wrong");
      await shop.query("create table secrets (n int)");
      expect(await problemOf(rowsOf("select n from secrets"))).toMatchObject({
        code: "SQL-014",
        message: expect.stringContaining("permission denied for table secrets"),
      });
    });

    test("a host that is down; a name that does not exist", async () => {
      const url = `postgres://127.0.0.1:${await freePort()}/shop`;
      const problem = await problemOf(rowsOf("select 1 as n", {}, "reader", { url }));
      expect(problem).toMatchObject({ code: "SQL-015", retryable: true });
      expect(problem.message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached: connect ECONNREFUSED$/);
      const unknown = await problemOf(
        rowsOf("select 1 as n", {}, "reader", { url: "postgres://nowhere.invalid/shop" }),
      );
      expect(unknown).toMatchObject({ code: "SQL-015", retryable: true });
    });

    test("TLS that the server does not speak", async () => {
      const problem = await problemOf(rowsOf("select 1 as n", {}, "reader", { tls: true }));
      expect(problem).toMatchObject({ code: "SQL-016", retryable: false });
    });

    test("CFG-013 a missing reference, CFG-012 a password written out", async () => {
      const missing = new Problem("env:READER is not set", { code: "CFG-013" });
      const secret = () => {
        throw missing;
      };
      await using source = sqlSource(shop.deps("reader", {}, { secret }), "select 1 as n");
      expect(await problemOf(source.read(slot, never))).toBe(missing);
      expect(await problemOf(rowsOf("select 1 as n", {}, "reader", { password: "hunter2" }))).toMatchObject({
        code: "CFG-012",
        message: "a secret is written out",
      });
    });

    test("a password that was changed is taken up without a restart", async () => {
      let password = "re4der";
      await using source = sqlSource(shop.deps("reader", {}, { secret: () => password }), "select n from loans");
      await source.read(slot, never);
      await shop.query(
        `alter role ${shop.user("reader")} password 'changed'`,
        `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${shop.user("reader")}'`,
      );
      expect(await problemOf(source.read(slot, never))).toMatchObject({ code: "SQL-014" });
      password = "changed";
      expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
      await shop.query(`alter role ${shop.user("reader")} password 're4der'`);
    });
  });

  test("a url with a password is not a url of a connection", () => {
    const { postgres } = sources.sql!.connections!;
    for (const url of ["postgres://u:p@h/d", "postgres://h:1", "http://h/d", "postgres://h/d?options=x", "h/d"]) {
      expect(postgres!.safeParse({ url, user: "x" }).error?.issues[0]?.message, url).toMatch(/^wants postgres:/);
    }
    expect(postgres!.safeParse({ url: "postgres://h:1/d", user: "x", timeout_max: "1d" }).success).toBe(false);
  });

  describe("B51 an account that may do more than read", () => {
    test("is refused in production, before the query, by counting its rights", async () => {
      const problem = await problemOf(rowsOf("select n from loans", {}, "app"));
      expect(problem.code).toBe("SQL-017");
      expect(problem.message).toMatch(/INSERT on \d tables, UPDATE on \d tables, .*CREATE in 1 schema/);
    });

    test("is warned of elsewhere, once for all samplers of the connection, and named by inspect", async () => {
      const deps = shop.deps("app", {}, { production: false });
      await using one = sqlSource(deps, "select n from loans");
      await using two = sqlSource(deps, "select n + 1 as n from loans");
      expect((await one.read(slot, never)).rows).toEqual([{ n: 1 }]);
      expect((await two.read(slot, never)).rows).toEqual([{ n: 2 }]);
      expect(shop.warned).toEqual([expect.stringMatching(/^its account may do more than read: INSERT on/)]);
      const { problems } = await one.inspect(slot, never);
      expect(problems.map(({ code, severity }) => [code, severity])).toEqual([["SQL-017", "warning"]]);
    });

    test("of the administrator, that it is one", async () => {
      const url = new URL(shop.url);
      const options = { user: url.username };
      const secret = () => url.password;
      await using source = sqlSource(shop.deps("reader", options, { secret }), "select 1 as n");
      expect((await problemOf(source.read(slot, never))).message).toContain("superuser");
    });
  });

  describe("F22", () => {
    const facts: readonly [string, string][] = [
      ["a session's limits are turned off", "select set_config('statement_timeout', '0', false) as a"],
      ["its read-only default too", "select set_config('default_transaction_read_only', 'off', false) as a"],
      ["a function of another's rights writes", "select wipe() as a"],
      ["a large object is made in a read-only transaction", "select lo_create(0)::text as a"],
      ["two statements in one text", "select 1 as a; insert into loans values (3)"],
      ["the transaction is ended first", "commit; insert into loans values (3)"],
      ["a lock outlives the transaction", "select pg_advisory_lock(7)::text as a"],
    ];
    test("none of what it found is left for the next statement on the connection", async () => {
      await using sessions = below("app", { pool_max: 1 });
      const left = `select current_setting('statement_timeout') as timeout, current_setting('transaction_read_only') as ro,
        (select count(*) from loans) as loans, (select count(*) from pg_largeobject_metadata) as large,
        (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks`;
      const clean = [{ timeout: "30s", ro: "on", loans: 1, large: 0, locks: 0 }];
      expect(await run(sessions, left)).toEqual(clean);
      for (const [what, text] of facts) {
        await run(sessions, text).catch((reason: unknown) => expect(reason, what).toBeInstanceOf(Problem));
        expect(await run(sessions, left), what).toEqual(clean);
      }
      const outside = await shop.query(
        "select (select count(*) from loans) as loans, (select count(*) from pg_largeobject) as large",
      );
      expect(outside).toEqual([{ loans: "1", large: "0" }]);
      // A connection that was cut, as it did not end in time, is gone in the server a little later.
      await expect.poll(() => shop.query("select 1 from pg_locks where locktype = 'advisory'")).toEqual([]);
    });

    test("what it does in the transaction itself is refused or undone", async () => {
      await using sessions = below("app");
      expect(await problemOf(run(sessions, "select wipe() as a"))).toMatchObject({ code: "SQL-002" });
      expect(await run(sessions, "select lo_create(4711)::int8 as a")).toEqual([{ a: 4711 }]);
      expect(await shop.query("select oid from pg_largeobject_metadata")).toEqual([]);
    });
  });

  describe("limits", () => {
    test("B45 the server itself cuts at timeout_max", async () => {
      const problem = await problemOf(rowsOf("select s from slow", {}, "reader", { timeout_max: "300ms" }));
      expect(problem).toMatchObject({
        code: "SQL-008",
        retryable: true,
        message: expect.stringContaining("cut by the server"),
      });
    });

    test("a plan that is slow to make is cut too", async () => {
      // A function that claims to be constant is computed while planning.
      await shop.query("create function pi2() returns int language sql immutable as 'select 1 from pg_sleep(60)'");
      await using sessions = below("reader", { timeout_max: "300ms" });
      const plan = sessions.session(never, (session) =>
        session.plan({ text: "select n from loans where n = pi2()", values: [] }),
      );
      expect(await problemOf(plan)).toMatchObject({ code: "SQL-008" });
    });

    test("X39 while a query hangs, its sampler holds one connection, and the others go on", async () => {
      const deps = shop.deps();
      await using slow = sqlSource(deps, "select s from slow");
      await using quick = sqlSource(deps, "select n from loans");
      const reading = problemOf(slow.read(slot, deadline(1_500)));
      await expect.poll(() => shop.working()).toHaveLength(1);
      for (let reads = 0; reads < 10; reads += 1) expect((await quick.read(slot, never)).rows).toEqual([{ n: 1 }]);
      expect(await shop.working()).toHaveLength(1);
      expect(await reading).toMatchObject({ code: "SQL-008", retryable: true });
      await expect.poll(() => shop.working()).toEqual([]);
    });

    test("connections are bounded; who waits is counted, and given up at its own deadline", async () => {
      const deps = shop.deps("reader", { pool_max: 2 });
      await using slow = sqlSource(deps, "select s from slow");
      await using quick = sqlSource(deps, "select n from loans");
      const stopping = new AbortController();
      const hanging = [1, 2].map(() => slow.read(slot, stopping.signal).catch((reason: unknown) => reason));
      await expect.poll(() => shop.working()).toHaveLength(2);
      const waiting = problemOf(quick.read(slot, deadline(300)));
      const patient = quick.read(slot, never);
      await expect
        .poll(() => figures(deps))
        .toMatchObject({ connections_busy: 2, connections_max: 2, queries_waiting: 2 });
      expect(await waiting).toMatchObject({ code: "SQL-019" });
      stopping.abort("enough");
      expect(await Promise.all(hanging)).toEqual(["enough", "enough"]);
      expect((await patient).rows).toEqual([{ n: 1 }]);
      await expect
        .poll(() => figures(deps))
        .toMatchObject({ connections_busy: 0, queries_waiting: 0, queries_cut_total: 2 });
    });

    const figures = (deps: Parameters<typeof sqlSource>[0]): Record<string, number> =>
      Object.fromEntries(
        sources.sql!.measures!(deps).map(({ name, value }) => [name.replace("bellwether_sql_", ""), value]),
      );
  });

  describe("the wire", () => {
    const through = async (port: number) =>
      shop.deps("reader", { url: `postgres://127.0.0.1:${port}/${shop.database}` });

    test("a connection that is lost in the middle of a read is worth retrying; the next read has a new one", async () => {
      await using proxy = await startProxy(shop.server.port);
      const deps = await through(proxy.port);
      await using slow = sqlSource(deps, "select s from slow");
      await using quick = sqlSource(deps, "select n from loans");
      const reading = problemOf(slow.read(slot, never));
      await expect.poll(() => shop.working()).toHaveLength(1);
      await proxy.set({ mode: "down" });
      expect(await reading).toMatchObject({ code: "SQL-015", retryable: true });
      await expect.poll(() => shop.working(), { timeout: 10_000 }).toEqual([]);
      expect(await problemOf(quick.read(slot, never))).toMatchObject({ code: "SQL-015", retryable: true });
      await proxy.set({});
      expect((await quick.read(slot, never)).rows).toEqual([{ n: 1 }]);
    });

    test("a server that was restarted between two reads costs none of them", async () => {
      await using source = sqlSource(shop.deps(), "select n from loans");
      expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
      await shop.server.restart();
      expect((await source.read(slot, never)).rows).toEqual([{ n: 1 }]);
    });

    test("a server that stands still is given up at the deadline, and read again when it goes on", async () => {
      await using source = sqlSource(shop.deps(), "select n from loans");
      await source.read(slot, never);
      shop.server.pause();
      expect(await problemOf(source.read(slot, deadline(400)))).toMatchObject({ code: "SQL-008", retryable: true });
      shop.server.resume();
      expect((await source.read(slot, deadline(10_000))).rows).toEqual([{ n: 1 }]);
      await expect.poll(() => shop.working()).toEqual([]);
    });

    test("no statement goes by the simple protocol once the connection is made", async () => {
      const sent: Buffer[] = [];
      const { createServer } = await import("node:net");
      const tap = createServer((client) => {
        const target = connect({ host: "127.0.0.1", port: shop.server.port });
        client
          .on("data", (piece) => sent.push(piece))
          .pipe(target)
          .pipe(client);
        for (const socket of [client, target]) socket.on("error", () => {});
      }).listen(0, "127.0.0.1");
      await expect.poll(() => tap.listening).toBe(true);
      const { port } = tap.address() as { port: number };
      await using source = sqlSource(await through(port), "select n from loans");
      await source.read(slot, never);
      sent.length = 0;
      await source.read(slot, never);
      tap.close();
      expect(messagesOf(Buffer.concat(sent))).not.toContain("Q");
      expect(messagesOf(Buffer.concat(sent))).toContain("P");
    });
  });

  test("a query that the parser refuses reaches no server", async () => {
    const url = `postgres://127.0.0.1:${await freePort()}/shop`;
    await using source = sqlSource(shop.deps("reader", { url }), "select pg_sleep(1) as n");
    expect(await problemOf(source.read(slot, never))).toMatchObject({ code: "SQL-006" });
    expect(await problemOf(source.inspect(slot, never))).toMatchObject({ code: "SQL-006" });
  });
});

/** Types of the messages that a client sends: one letter, four bytes of length. */
function messagesOf(bytes: Buffer): string {
  let types = "";
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1))
    types += String.fromCharCode(bytes[at] as number);
  return types;
}
