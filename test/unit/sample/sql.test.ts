import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { deadline } from "../../../src/core/time.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import type { Answer, Question } from "../../../src/sample/sources/sql-child.ts";
import { ChildPool } from "../../../src/sample/sources/sql-pool.ts";
import { makeDatabase, processesWith, quietLog, shopDeps, sqlSource } from "./support.ts";

const window = { fromMs: Date.parse("2026-07-01T09:00:00Z"), toMs: Date.parse("2026-07-01T09:01:00Z") };
const never = new AbortController().signal;
/** 64 rows, and every way to choose seven of them: days of work. */
const many = `create table many (i);
  with recursive n(i) as (select 1 union all select i + 1 from n where i < 64) insert into many select i from n;`;
const endless =
  "select count(*) as n from many a, many b, many c, many d, many e, many f, many g where a.i + b.i + c.i < d.i * e.i * f.i * g.i";
const sql = sources.sql!;

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bellwether-sql-"));
  file = join(folder, "shop.db");
});
afterEach(() => rmSync(folder, { recursive: true }));

const rowsOf = async (query: string, connection: object = {}, more: Parameters<typeof sqlSource>[2] = {}) => {
  await using source = sqlSource(shopDeps(folder, connection), query, more);
  return (await source.read(window, never)).rows;
};
const problemOf = async (query: string, more: Parameters<typeof sqlSource>[2] = {}): Promise<Problem> => {
  const thrown = await rowsOf(query, {}, more).catch((reason: unknown) => reason);
  expect(thrown).toBeInstanceOf(Problem);
  return thrown as Problem;
};

describe("cells", () => {
  beforeEach(() => makeDatabase(file, `create table t (n); ${many}`));

  test("arrive as they are; whole numbers that a double would round as decimal text", async () => {
    const query = "select 1 as whole, 1.5 as real, 'x' as word, null as absent, 9007199254740993 as big, 9e999 as inf";
    expect(await rowsOf(query)).toEqual([
      { whole: 1, real: 1.5, word: "x", absent: null, big: "9007199254740993", inf: Number.POSITIVE_INFINITY },
    ]);
  });

  test.each([
    ["binary", "select cast('word' as blob) as data", 'column "data" in row 1 is binary'],
    ["too long", "select printf('%.*c', 65537, 'x') as page", 'column "page" in row 1 is 65537 bytes, more than 65536'],
  ])("B52 %s is refused", async (_, query, text) => {
    expect(await problemOf(query)).toMatchObject({ code: "SQL-018", message: text, retryable: false });
  });

  test("an answer is bounded as a whole", async () => {
    const query = "select printf('%.*c', 65000, 'x') as page from many a, many b where a.i <= 18";
    const problem = await problemOf(query, { rows_max: 2_000 });
    expect(problem).toMatchObject({ code: "SQL-007", message: "the answer has more than 67108864 bytes" });
  });

  test("B44 a million rows end at the limit, quickly", async () => {
    const query = "select a.i from many a, many b, many c, many d, many e";
    const problem = await problemOf(query);
    expect(formatProblem(problem)).toBe(
      "SQL-007 connection shop - stopped at more than 1000 rows. Fix: group more coarsely, or raise rows_max.",
    );
  });
});

describe("B45-B50 what the database says becomes a text that helps", () => {
  beforeEach(() => makeDatabase(file, "create table t (n)"));

  test.each([
    ["B50 table", "select * from nope", "SQL-013", 'unknown table "nope"', false],
    ["B50 column", "select nope from t", "SQL-013", 'unknown column "nope"', false],
    [
      "B43 function",
      "select pg_sleep(10) as n",
      "SQL-006",
      expect.stringMatching(/^function pg_sleep is not allowed/),
      false,
    ],
    ["syntax", "select from where", "SQL-032", expect.stringMatching(/^cannot be read: syntax error/), false],
  ])("%s", async (_, query, code, message, retryable) => {
    expect(await problemOf(query)).toMatchObject({ code, message, retryable });
  });

  test("B50 a file that is no database", async () => {
    writeFileSync(file, "not a database at all, but long enough to be looked at closely".repeat(20));
    expect(await problemOf("select 1 as n")).toMatchObject({ code: "SQL-014", retryable: false });
  });

  test("B50 a folder that is not there; once the file is there, the same source reads it", async () => {
    const deps = shopDeps(folder, { file: "later/shop.db" });
    await using source = sqlSource(deps, "select 7 as n");
    await expect(source.read(window, never)).rejects.toMatchObject({ code: "SQL-015", retryable: true });
    mkdirSync(join(folder, "later"));
    makeDatabase(join(folder, "later/shop.db"), "create table t (n)");
    expect((await source.read(window, never)).rows).toEqual([{ n: 7 }]);
  });

  test("unknown connections and kinds are named", () => {
    const deps = shopDeps(folder);
    expect(() => sql.create({ connection: "shpo", query: "select 1", rows_max: 1 }, deps)).toThrow(
      expect.objectContaining({ message: 'unknown connection (got "shpo")', fix: "name one of shop" }),
    );
  });
});

describe("options", () => {
  const options = (query: string, more: object = {}) => sql.options.safeParse({ connection: "shop", query, ...more });

  test.each([
    ["select 1; select 2", {}, "SQL-001 more than one statement. Fix: write one SELECT"],
    ["select 1", { rows_max: 100_001 }, "Too big: expected number to be <=100000"],
    ["select 1", { limit: 5 }, 'Unrecognized key: "limit"'],
    ["select 1", { batch: "orders" }, "SCH-003 wants either query or batch. Fix: write one of them"],
  ])("%s %o", (query, more, message) => {
    expect(options(query, more).error?.issues.map((issue) => issue.message)).toEqual([message]);
  });

  test("samplers that name the same query of a connection are one batch; what the connection lacks is named", () => {
    const batched = (batch: string) => sql.options.parse({ connection: "shop", batch });
    expect(sql.batch!(batched("orders"))).toBe("shop/orders");
    expect(sql.batch!(options("select 1").data)).toBeNull();
    const deps = shopDeps(folder, { queries: { orders: "select 1 as n" } });
    expect(() => sql.create(batched("refunds"), deps)).toThrow(
      expect.objectContaining({ message: 'connection shop has no query "refunds"', fix: "name one of orders" }),
    );
  });

  test("the queries of a connection are checked as those of samplers are", () => {
    const issues = sql.connections!.sqlite!.safeParse({ file: "x", queries: { orders: "drop table t" } }).error?.issues;
    expect(issues?.map(({ path, message }) => [path, message])).toEqual([
      [["queries", "orders"], "SQL-002 only SELECT is allowed. Fix: write SELECT, or WITH ... SELECT"],
    ]);
  });

  test("the example is valid, and asks for its slot", () => {
    const example = sql.options.parse(parse(sql.example).sql);
    expect(sql.warnings!(example)).toEqual([]);
  });

  test("B48 a query that does not ask for its slot is warned about", () => {
    const [warning] = sql.warnings!(options("select count(*) as n from t").data);
    expect(formatProblem(warning!)).toMatch(/^SQL-W11 query - not repeatable: .+ Fix: /);
    expect(warning!.severity).toBe("warning");
  });

  test("a connection's zone must exist", () => {
    const connection = sql.connections!.sqlite!;
    expect(connection.safeParse({ file: "x", zone: "GMT+8" }).error?.issues[0]?.message).toMatch(
      /^SCH-004 unknown zone/,
    );
    const defaults = { file: "x", time: "text", zone: "UTC", processes_max: 4, queries: {} };
    expect(connection.parse({ file: "x" })).toEqual(defaults);
  });
});

describe("the slot's bounds are bound as the database writes times", () => {
  const bounds = "select :slot_start as a, :slot_end as b, typeof(:slot_start) as type";
  test.each([
    [{}, "2026-07-01 09:00:00", "2026-07-01 09:01:00", "text"],
    [{ zone: "Europe/London" }, "2026-07-01 10:00:00", "2026-07-01 10:01:00", "text"],
    [{ zone: "Asia/Kolkata" }, "2026-07-01 14:30:00", "2026-07-01 14:31:00", "text"],
    [{ time: "epoch-s" }, 1782896400, 1782896460, "integer"],
    [{ time: "epoch-ms" }, 1782896400000, 1782896460000, "integer"],
  ])("%o", async (connection, a, b, type) => {
    makeDatabase(file, "create table t (n)");
    expect(await rowsOf(bounds, connection)).toEqual([{ a, b, type }]);
  });

  test("whatever stands around them: literals with colons, questions marks, comments", async () => {
    makeDatabase(file, "create table t (at text); insert into t values ('2026-07-01 09:00:30')");
    const query = `select count(*) as n, '08:30:00 why? \\?' as note -- from :slot_start; really?
      from t where at >= :slot_start and at < :slot_end and at >= :slot_start /* :slot_end */ ;`;
    expect(await rowsOf(query)).toEqual([{ n: 1, note: "08:30:00 why? \\?" }]);
  });
});

describe("S1 hostile statements with the check of the text switched off change nothing", () => {
  const hostile = [
    "insert into loans values (2)",
    "update loans set n = 2",
    "delete from loans",
    "replace into loans values (1)",
    "drop table loans",
    "create table x (n)",
    "alter table loans add column x",
    "vacuum",
    "pragma journal_mode = wal",
    "pragma query_only = off",
    "pragma writable_schema = on",
    "attach 'evil.db' as evil",
    "begin immediate",
    "reindex",
    "select 1; delete from loans",
    "select 1) ; delete from loans; select (1",
    "select 1) limit 1; delete from loans --",
    "with d as (select 1) delete from loans",
    "with d as (delete from loans returning n) select * from d",
    "select load_extension('evil')",
    "select writefile('evil.txt', 'x')",
    "select * from pragma_query_only('off')",
    "explain delete from loans",
    "insert into loans select 1 returning n",
  ];
  test("in the file, and beside it", async () => {
    makeDatabase(file, "create table loans (n); insert into loans values (1)");
    const digest = () => createHash("sha256").update(readFileSync(file)).digest("hex");
    const before = digest();
    const entry = new URL("../../../src/sample/sources/sql-child.ts", import.meta.url);
    const what = "hostile statements";
    await using pool = new ChildPool<Question, Answer>({ entry, args: [file], what, childrenMax: 1, log: quietLog });
    for (const query of hostile) await pool.ask({ query, bindings: {}, rowsMax: 1000 }, never);
    const answer = await pool.ask({ query: "select 1 as n", bindings: {}, rowsMax: 1000 }, never);
    expect(answer).toMatchObject({ columns: ["n"], rows: [[1]] });
    expect(digest()).toBe(before);
    expect(processesWith(file)).toHaveLength(1);
    expect(["evil.db", "evil.txt", "shop.db-wal"].filter((name) => existsSync(join(folder, name)))).toEqual([]);
  });
});

describe("processes", () => {
  beforeEach(() => makeDatabase(file, `create table t (n); insert into t values (1); ${many}`));

  test("a hung query is really ended: its process is gone, and a new one answers", async () => {
    const deps = shopDeps(folder);
    await using hung = sqlSource(deps, endless);
    await using quick = sqlSource(deps, "select n from t");
    expect((await quick.read(window, never)).rows).toEqual([{ n: 1 }]);
    const [pid] = processesWith(file);
    const thrown = await hung.read(window, deadline(300)).catch((reason: unknown) => reason);
    expect(formatProblem(thrown as Problem)).toMatch(
      /^SQL-008 connection shop - cut at \d\.\d s\. Fix: add an index on the time column, /,
    );
    await expect.poll(() => processesWith(file)).not.toContain(pid);
    expect((await quick.read(window, never)).rows).toEqual([{ n: 1 }]);
    expect(sql.measures!(deps).map(({ name, value }) => [name, value])).toEqual([
      ["bellwether_sql_processes", 1],
      ["bellwether_sql_queries_waiting", 0],
      ["bellwether_sql_processes_killed_total", 1],
    ]);
  });

  test("a hung query does not hold up the others of its connection", async () => {
    const deps = shopDeps(folder, { processes_max: 2 });
    await using hung = sqlSource(deps, endless);
    await using quick = sqlSource(deps, "select n from t");
    const stopping = new AbortController();
    const hanging = hung.read(window, stopping.signal).catch((reason: unknown) => reason);
    for (let reads = 0; reads < 20; reads += 1) expect((await quick.read(window, never)).rows).toEqual([{ n: 1 }]);
    expect(processesWith(file)).toHaveLength(2);
    stopping.abort("enough");
    expect(await hanging).toBe("enough");
  });

  test("processes are bounded; who waits longer than its deadline is told, who waits on is served", async () => {
    const deps = shopDeps(folder, { processes_max: 1 });
    await using hung = sqlSource(deps, endless);
    await using quick = sqlSource(deps, "select n from t");
    const stopping = new AbortController();
    const hanging = hung.read(window, stopping.signal).catch((reason: unknown) => reason);
    const patient = quick.read(window, never);
    await expect(quick.read(window, deadline(400))).rejects.toMatchObject({ code: "SQL-008", retryable: true });
    expect(processesWith(file)).toHaveLength(1);
    stopping.abort();
    await hanging;
    expect((await patient).rows).toEqual([{ n: 1 }]);
  });

  test("a process that dies by itself is a Problem worth retrying, and is replaced", async () => {
    await using source = sqlSource(shopDeps(folder), endless);
    const reading = source.read(window, never).catch((reason: unknown) => reason);
    await expect.poll(() => processesWith(file)).toHaveLength(1);
    process.kill(processesWith(file)[0]!, "SIGKILL");
    expect(await reading).toMatchObject({ retryable: true, where: "connection shop" });
    await using quick = sqlSource(shopDeps(folder), "select n from t");
    expect((await quick.read(window, never)).rows).toEqual([{ n: 1 }]);
  });

  test("the last source of a connection ends its processes", async () => {
    const deps = shopDeps(folder);
    const [first, second] = [sqlSource(deps, "select n from t"), sqlSource(deps, "select n + 1 as n from t")];
    await first.read(window, never);
    await first[Symbol.asyncDispose]();
    expect((await second.read(window, never)).rows).toEqual([{ n: 2 }]);
    await second[Symbol.asyncDispose]();
    expect(processesWith(file)).toEqual([]);
  });

  test("a source closed in the middle of a read lets it finish", async () => {
    const source = sqlSource(shopDeps(folder), "select n from t");
    const reading = source.read(window, never);
    await source[Symbol.asyncDispose]();
    expect((await reading).rows).toEqual([{ n: 1 }]);
  });

  test("a file that is replaced is read anew", async () => {
    await using source = sqlSource(shopDeps(folder), "select n from t");
    expect((await source.read(window, never)).rows).toEqual([{ n: 1 }]);
    makeDatabase(`${file}.new`, "create table t (n); insert into t values (2)");
    renameSync(`${file}.new`, file);
    expect((await source.read(window, never)).rows).toEqual([{ n: 2 }]);
  });

  test("when this process is killed, its children end too, even in the middle of a query", async () => {
    const support = new URL("./support.ts", import.meta.url).href;
    const script = `
      const { shopDeps, sqlSource } = await import(${JSON.stringify(support)});
      sqlSource(shopDeps(${JSON.stringify(folder)}), ${JSON.stringify(endless)})
        .read({ fromMs: 0, toMs: 1 }, new AbortController().signal);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
    await expect.poll(() => processesWith(file), { timeout: 10_000 }).toHaveLength(1);
    const [child] = processesWith(file);
    await expect.poll(() => / R /.test(readFileSync(`/proc/${child}/stat`, "utf8")), { timeout: 10_000 }).toBe(true);
    parent.kill("SIGKILL");
    await once(parent, "exit");
    await expect.poll(() => processesWith(file), { timeout: 5_000 }).toEqual([]);
  });

  test("a child knows none of our environment", async () => {
    process.env.BELLWETHER_TEST_SECRET = "s3cret";
    await using source = sqlSource(shopDeps(folder), "select n from t");
    await source.read(window, never);
    const [pid] = processesWith(file);
    expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain("s3cret");
    delete process.env.BELLWETHER_TEST_SECRET;
  });
});

describe("what the database says of itself", () => {
  const query = "select count(*) as n from loans where at >= :slot_start and at < :slot_end";
  const grown = `create table loans (at text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
    insert into loans select datetime('2026-07-01', i || ' seconds') from n;`;

  test("its version, the tables of the query with their rows, and a time condition that no index serves", async () => {
    makeDatabase(file, grown);
    await using source = sqlSource(shopDeps(folder), query);
    const { problems, ...facts } = await source.inspect(window, never);
    expect(facts).toEqual({
      server: expect.stringMatching(/^SQLite 3\.\d+\.\d+ at shop\.db$/),
      clockAheadMs: null,
      tables: [{ name: "loans", rows: 20_000 }],
      estimate: null,
    });
    expect(problems.map(formatProblem)).toEqual([
      "SQL-W12 connection shop - goes through all of loans, about 20,000 rows. Fix: compare a time column that has an index with :slot_start and :slot_end.",
    ]);
  });

  test("nothing is wrong where an index serves it", async () => {
    makeDatabase(file, `${grown} create index loans_at on loans (at);`);
    await using source = sqlSource(shopDeps(folder), query);
    expect(await source.inspect(window, never)).toMatchObject({ problems: [], tables: [{ name: "loans" }] });
  });

  test("what a read took is told; how many rows SQLite went through is not known", async () => {
    makeDatabase(file, grown);
    await using source = sqlSource(shopDeps(folder), query);
    const { cost } = await source.read(window, never);
    expect(cost.rowsRead).toBeNull();
    expect(cost.serverMs).toBeGreaterThan(0);
  });
});
