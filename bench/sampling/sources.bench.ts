/**
 * Reads a second of one worker: {@link SamplerRunner} over each kind of source, beside bare loops that ask the same
 * server the same query with the same client library, all in turns in one run. A read asks for one minute of orders by
 * country: twenty rows out of a thousand.
 *
 * The peers are of two sorts. One does nothing but ask. Another does by hand what a source must do for safety as well,
 * so that what lies between that one and ours is ours alone.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Client } from "@elastic/elasticsearch";
import Sqlite from "better-sqlite3";
import pg from "pg";
import type { Sampler } from "../../src/core/definitions.ts";
import type { TimeWindow } from "../../src/core/model.ts";
import { minuteMs, stopwatch } from "../../src/core/time.ts";
import type { SamplerRunner } from "../../src/sample/sample.ts";
import { makeIndex } from "../../test/support/elasticsearch.ts";
import { startElasticsearch, whyNoElasticsearch } from "../../test/support/servers/elasticsearch.ts";
import { startPostgres, whyNoPostgres } from "../../test/support/servers/postgres.ts";
import { type BenchRow, benchFolder, formatMs, median, printTable } from "../support.ts";
import { runnerOf, samplerOf } from "./samplers.ts";

const rounds = 7;
/** Reads in one turn, after one turn of each to warm up. */
const reads = 200;
const samplerCount = 20;
/** Reads under way at a time: as many as a connection has places for. */
const atOnce = 4;
const minutes = 60;
const startMs = Date.parse("2026-11-20T09:00:00Z");
const ordersAMinute = 1_000;
const countries = Array.from({ length: 20 }, (_, index) => `country-${index}`);
const goal = 0.8;
const never = new AbortController().signal;

type Read = (window: TimeWindow, turn: number) => Promise<unknown>;
type Subjects = { readonly ours: Read } & Readonly<Record<string, Read>>;

const windowOf = (read: number): TimeWindow => {
  const fromMs = startMs + (read % minutes) * minuteMs;
  return { fromMs, toMs: fromMs + minuteMs };
};

/** Every order, with its number, as a place in time and a country. */
function* orders(): Iterable<{ atMs: number; country: string; amount: number }> {
  for (let order = 0; order < minutes * ordersAMinute; order += 1) {
    const atMs = startMs + Math.floor((order * minuteMs) / ordersAMinute);
    yield { atMs, country: countries[(order * 7) % countries.length] as string, amount: (order % 97) + 0.25 };
  }
}

async function turnMs(read: Read, width: number): Promise<number> {
  let next = 0;
  const elapsedMs = stopwatch();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let turn = next++; turn < reads; turn = next++) await read(windowOf(turn), turn);
    }),
  );
  return elapsedMs();
}

/** Ours beside each of the others, one read at a time and several. */
async function compare(title: string, subjects: Subjects): Promise<void> {
  const rows: BenchRow[] = [];
  const names = Object.keys(subjects);
  for (const width of [1, atOnce]) {
    const times = new Map(names.map((name) => [name, [] as number[]]));
    for (let round = 0; round <= rounds; round += 1) {
      for (const name of names) {
        const ms = await turnMs(subjects[name] as Read, width);
        if (round > 0) times.get(name)?.push(ms);
      }
    }
    const ours = times.get("ours") as number[];
    const perSecond = (ms: readonly number[]): string => `${Math.round(reads / (median(ms) / 1_000))}/s`;
    const each = formatMs((median(ours) * width) / reads);
    for (const [name, ms] of times) {
      if (name === "ours") continue;
      const ratio = median(ours.map((oursMs, round) => (ms[round] as number) / oursMs));
      const verdict = `>= ${goal}: ${ratio >= goal ? "met" : "missed"}`;
      const measured = `${perSecond(ours)}, ${each} each`;
      rows.push({
        what: `${width} at a time`,
        measured,
        peer: `${name}: ${perSecond(ms)}`,
        ratio: ratio.toFixed(2),
        goal: verdict,
      });
    }
  }
  printTable(`${title} (${rounds} rounds of ${reads} reads)`, rows);
}

function oursOf(runner: SamplerRunner, source: Sampler["source"]): Read {
  const samplers = Array.from({ length: samplerCount }, (_, index) => samplerOf(`orders-${index}`, { ...source }));
  return async (window, turn) => {
    const { rows } = await runner.run(samplers[turn % samplerCount] as Sampler, window, never);
    if (rows.length !== countries.length) throw new Error(`${rows.length} rows in place of ${countries.length}`);
  };
}

const query = (from: string, to: string): string =>
  `select country, count(*) as orders, sum(amount) as amount from invoices
   where invoiced_at >= ${from} and invoiced_at < ${to} group by country`;
const sqlSource = { kind: "sql", options: { connection: "shop", query: query(":slot_start", ":slot_end") } };

async function benchSqlite(): Promise<void> {
  const file = join(benchFolder(), "shop.db");
  const shop = new Sqlite(file);
  shop.exec(`create table invoices (id integer primary key, invoiced_at integer, country text, amount real);
    create index invoices_at on invoices (invoiced_at)`);
  const insert = shop.prepare("insert into invoices (invoiced_at, country, amount) values (?, ?, ?)");
  shop.transaction(() => {
    for (const { atMs, country, amount } of orders()) insert.run(atMs, country, amount);
  })();
  shop.close();

  await using runner = runnerOf({ kind: "sqlite", options: { file, time: "epoch-ms" } });
  const text = query("@from", "@to");
  using database = openReadOnly(file);
  const statement = database.prepare(text);
  const bound = ({ fromMs, toMs }: TimeWindow): object => ({ from: fromMs, to: toMs });
  const child = fork(join(import.meta.dirname, "bare-child.ts"), [file, text], { serialization: "advanced" });
  const idle: (() => void)[] = [];
  let busy = false;
  await compare("SQLite: reads a second", {
    ours: oursOf(runner, sqlSource),
    "bare child process": async (window) => {
      while (busy) await new Promise<void>((resolve) => idle.push(resolve));
      busy = true;
      child.send(bound(window));
      await once(child, "message");
      busy = false;
      idle.shift()?.();
    },
    "in the same process": async (window) => statement.all(bound(window)),
  });
  child.kill();
}

function openReadOnly(file: string) {
  const database = new Sqlite(file, { readonly: true });
  return Object.assign(database, { [Symbol.dispose]: () => void database.close() });
}

async function benchPostgres(): Promise<void> {
  const missing = whyNoPostgres();
  if (missing !== null) return console.log(`\nPostgreSQL is left out: ${missing}`);
  await using server = await startPostgres();
  const url = await server.database();
  const reader = "bench_reader";
  await server.query(
    `create table invoices (id bigserial, invoiced_at timestamptz, country text, amount float8);
     insert into invoices (invoiced_at, country, amount)
       select timestamptz '${new Date(startMs).toISOString()}' + i * interval '${minuteMs / ordersAMinute} ms',
         'country-' || (i * 7) % ${countries.length}, i % 97 + 0.25
       from generate_series(0, ${minutes * ordersAMinute - 1}) as i;
     create index invoices_at on invoices (invoiced_at);
     analyze invoices;
     drop role if exists ${reader};
     create role ${reader} login password 're4der';
     grant select on invoices to ${reader}`,
    url,
  );
  const { hostname, port, pathname } = new URL(url);
  const options = { url: `postgres://${hostname}:${port}${pathname}`, user: reader, password: "env:PASSWORD" };
  await using runner = runnerOf(
    { kind: "postgres", options: { ...options, pool_max: atOnce } },
    { "env:PASSWORD": "re4der" },
  );
  const place = { host: hostname, port: Number(port), database: pathname.slice(1) };
  const account = { ...place, user: reader, password: "re4der", max: atOnce };
  await using bare = openPool(account);
  // Of its own: a session that is wiped forgets what was prepared.
  await using guarded = openPool(account);
  const { pool } = bare;
  const text = query("$1", "$2");
  const bound = ({ fromMs, toMs }: TimeWindow) => [new Date(fromMs).toISOString(), new Date(toMs).toISOString()];
  await compare("PostgreSQL: reads a second", {
    ours: oursOf(runner, sqlSource),
    "our statements by hand": (window) => guardedRead(guarded.pool, text, bound(window)),
    "read-only transaction": async (window) => {
      const client = await pool.connect();
      await client.query("begin transaction isolation level repeatable read, read only");
      await client.query({ name: "orders", text, values: bound(window) });
      await client.query("rollback");
      client.release();
    },
    "one prepared statement": (window) => pool.query({ name: "orders", text, values: bound(window) }),
  });
  await server.query(`drop owned by ${reader}; drop role ${reader}`, url);
}

function openPool(options: pg.PoolConfig) {
  const pool = new pg.Pool(options);
  // Whoever waits for its end would wait for clients that a fault has kept; the server goes with the benchmark.
  return { pool, [Symbol.asyncDispose]: async () => void pool.on("error", () => {}).end() };
}

/** What a read of ours sends: limits, a cursor, the server's own count of rows, and a session that is wiped. */
async function guardedRead(pool: pg.Pool, text: string, values: readonly string[]): Promise<void> {
  const client = await pool.connect();
  const limits = { statement_timeout: "30000", lock_timeout: "30000", work_mem: "16MB", timezone: "UTC" };
  const set = Object.entries(limits).map(([name, value]) => `set_config('${name}', '${value}', true)`);
  await client.query("begin transaction isolation level repeatable read, read only");
  await client.query(`select ${set.join(", ")}`);
  await client.query(`declare answer no scroll cursor for ${text}`, [...values]);
  await client.query("fetch forward 1001 from answer");
  await client.query("select pg_stat_get_xact_tuples_returned('invoices'::regclass)::float8");
  await client.query("rollback");
  await client.query("discard all");
  client.release();
}

async function benchElasticsearch(): Promise<void> {
  const missing = await whyNoElasticsearch();
  if (missing !== null) return console.log(`\nElasticsearch is left out: ${missing}`);
  await using server = await startElasticsearch();
  await makeIndex(server, "invoices", { "@timestamp": "date", country: "keyword", amount: "double" });
  const documents = [...orders()].map(({ atMs, ...rest }) => ({ "@timestamp": new Date(atMs).toISOString(), ...rest }));
  for (let at = 0; at < documents.length; at += 10_000) {
    await server.add("invoices", documents.slice(at, at + 10_000));
  }
  await using runner = runnerOf({
    kind: "elasticsearch",
    options: { url: server.url, networks: ["127.0.0.0/8"], requests_max: atOnce },
  });
  const client = new Client({ node: server.url, maxRetries: 0 });
  const search = ({ fromMs, toMs }: TimeWindow) => {
    const bounds = { gte: new Date(fromMs).toISOString(), lt: new Date(toMs).toISOString() };
    const sources = [{ country: { terms: { field: "country", missing_bucket: true } } }];
    const aggs = { amount: { sum: { field: "amount" } } };
    return {
      index: "invoices",
      size: 0,
      track_total_hits: true,
      query: { bool: { filter: [{ range: { "@timestamp": bounds } }] } },
      aggs: { by: { composite: { size: 1_001, sources }, aggs } },
    };
  };
  const values = { amount: { sum: "amount" } };
  await compare("Elasticsearch: reads a second", {
    ours: oursOf(runner, {
      kind: "elasticsearch",
      options: { connection: "shop", index: "invoices", by: ["country"], values },
    }),
    "bare client": (window) => client.search(search(window)),
  });
  await client.close();
}

const only = process.argv[2] ?? "";
const benches = { sqlite: benchSqlite, postgres: benchPostgres, elasticsearch: benchElasticsearch };
for (const [name, bench] of Object.entries(benches)) if (name.includes(only)) await bench();
