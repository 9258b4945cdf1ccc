import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import type { Source } from "../../../src/core/ports.ts";
import { deadline, systemClock } from "../../../src/core/time.ts";
import { SamplerRunner } from "../../../src/sample/sample.ts";
import type { SourcePlugin } from "../../../src/sample/sources/index.ts";
import { makeDatabase, processesWith, sampler, shopDeps } from "./support.ts";

const window = { fromMs: 0, toMs: 60_000 };
const never = new AbortController().signal;
/** Every way to choose seven of 64 rows: days of work. */
const endless =
  "select count(*) as n from many a, many b, many c, many d, many e, many f, many g where a.i + b.i + c.i < d.i * e.i * f.i * g.i";
const asks = (query: string, changes: object = {}) =>
  sampler({ source: { kind: "sql", options: { connection: "shop", query } }, ...changes });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bellwether-sample-"));
  makeDatabase(
    join(folder, "shop.db"),
    [
      "create table t (n); insert into t values (1); create table many (i)",
      ...Array.from({ length: 64 }, (_, i) => `insert into many values (${i})`),
    ].join(";"),
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a sampler's rows, and how long they took in real time", async () => {
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  const { rows, elapsedMs } = await runner.run(asks("select n from t"), window, never);
  expect(rows).toEqual([{ n: 1 }]);
  expect(elapsedMs).toBeGreaterThan(0);
});

test("the sampler's timeout bounds the read, and the signal ends it sooner", async () => {
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  const slow = asks(endless, { timeoutMs: 300 });
  await expect(runner.run(slow, window, never)).rejects.toMatchObject({ code: "SQL-008", retryable: true });
  const patient = asks(endless, { name: "other", timeoutMs: 60_000 });
  await expect(runner.run(patient, window, deadline(200))).rejects.toMatchObject({ code: "SQL-008" });
  await expect.poll(() => processesWith(folder)).toEqual([]);
});

test("a definition that changed is read with its new query; equal ones share processes", async () => {
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  const first = asks("select n from t");
  expect((await runner.run(first, window, never)).rows).toEqual([{ n: 1 }]);
  const pids = processesWith(folder);
  expect((await runner.run(asks("select n + 1 as n from t"), window, never)).rows).toEqual([{ n: 2 }]);
  expect(processesWith(folder)).toEqual(pids);
});

test("forgetting a sampler, and the end of the runner, leave no process behind", async () => {
  const runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  await runner.run(asks("select n from t"), window, never);
  await runner.forget("shop-orders");
  expect(processesWith(folder)).toEqual([]);
  await runner.run(asks("select n from t"), window, never);
  await runner[Symbol.asyncDispose]();
  expect(processesWith(folder)).toEqual([]);
});

test("a kind that does not exist is a Problem that names those that do", async () => {
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  const running = runner.run(sampler({ source: { kind: "sqll", options: {} } }), window, never);
  await expect(running).rejects.toMatchObject({
    where: "samplers/shop/orders.yaml:1:1",
    fix: "one of sql, http, elasticsearch",
  });
});

test("what was read is counted, and sources say what they hold", async () => {
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock });
  await runner.run(asks("select 1 as n union all select 2"), window, never);
  await runner.run(asks("select nope from t"), window, never).catch(() => {});
  const measures = new Map(runner.measures().map(({ name, value }) => [name, value]));
  expect(Object.fromEntries(measures)).toMatchObject({
    bellwether_sources_open: 1,
    bellwether_sample_reads_total: 2,
    bellwether_sample_faults_total: 1,
    bellwether_sample_rows_total: 2,
    bellwether_sql_processes: 1,
  });
});

test("sources come from the map that is given", async () => {
  const made: unknown[] = [];
  const fixed: SourcePlugin = {
    kind: "fixed",
    summary: "",
    example: "",
    options: z.strictObject({ n: z.number() }),
    create: ({ n }: { n: number }): Source => {
      made.push(n);
      return {
        read: async ({ fromMs }) => ({ rows: [{ n, fromMs }], cost: { serverMs: 0, rowsRead: null } }),
        inspect: async () => ({ server: "", clockAheadMs: null, tables: [], estimate: null, problems: [] }),
        [Symbol.asyncDispose]: async () => {},
      };
    },
  };
  await using runner = new SamplerRunner({ ...shopDeps(folder), clock: systemClock, kinds: { fixed } });
  const fives = sampler({ source: { kind: "fixed", options: { n: 5 } } });
  for (const fromMs of [0, 60_000]) {
    expect((await runner.run(fives, { fromMs, toMs: fromMs + 60_000 }, never)).rows).toEqual([{ n: 5, fromMs }]);
  }
  expect(made).toEqual([5]);
});
