import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Source } from "../../src/core/ports.ts";
import { deadline, stopwatch } from "../../src/core/time.ts";
import { elasticsearch } from "../../src/sample/sources/elasticsearch.ts";
import { connectionsTo, makeIndex, slowQuery } from "../support/elasticsearch.ts";
import { type Elasticsearch, startElasticsearch, whyNoElasticsearch } from "../support/servers/elasticsearch.ts";
import { freePort } from "../support/servers/process.ts";
import { invoices, type SourceCase, sourceContract } from "./source.ts";

// ES|QL and searches are asked of one server: it takes the longest of all here to start.
const missing = await whyNoElasticsearch({ esql: true });
const codes = { tooMany: "ELS-007", cut: "NET-005", unknown: "ELS-013", unreachable: "NET-010" };

/** A millisecond each: a search that takes many seconds. */
const slowDocuments = 20_000;

let server: Elasticsearch;
let deadPort = 0;

function source(options: object, connection = "shop"): Source {
  const gone = `http://127.0.0.1:${deadPort}`;
  const deps = connectionsTo({ shop: { url: server.url, scripts: true }, gone: { url: gone } });
  return elasticsearch.create(elasticsearch.options.parse({ connection, ...options }), deps);
}

type Asks = { readonly name: string; readonly byCountry: object; readonly unknown: object };

function elasticsearchCase({ name, byCountry, unknown }: Asks): SourceCase {
  return {
    name,
    codes,
    countsRows: true,
    setUp: async () => {},
    tearDown: async () => {},
    byCountry: (rowsMax = 1000) => source({ ...byCountry, rows_max: rowsMax }),
    unknownTable: () => source(unknown),
    hanging: () => source({ index: "slow", time: "invoiced_at", query: slowQuery(server) }),
    unreachable: () => source(byCountry, "gone"),
    isWorking: async () => (await server.searches()).length > 0,
  };
}

describe.skipIf(missing !== null)(`a real Elasticsearch${missing === null ? "" : ` (${missing})`}`, () => {
  beforeAll(async () => {
    server = await startElasticsearch({ esql: true });
    deadPort = await freePort();
    await makeIndex(server, "invoices", { invoiced_at: "date", country: "keyword", amount: "double" });
    await server.add("invoices", invoices);
    // Whether a search is cancelled is looked at between shards, and else after some thousands of documents.
    await makeIndex(server, "slow", { invoiced_at: "date", n: "long" }, { number_of_shards: 24 });
    const documents = Array.from({ length: slowDocuments }, (_, n) => ({ invoiced_at: "2026-11-20T09:00:30Z", n }));
    await server.add("slow", documents);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const index = { index: "invoices", time: "invoiced_at" };
  const bounds = { range: { invoiced_at: { gte: ":slot_start", lt: ":slot_end" } } };
  const within = "invoiced_at >= ?slot_start AND invoiced_at < ?slot_end";
  const amount = { amount: { sum: { field: "amount" } } };
  sourceContract(
    elasticsearchCase({
      name: "elasticsearch by columns",
      byCountry: { ...index, by: ["country"], count: "orders", values: { amount: { sum: "amount" } } },
      unknown: { ...index, index: "nothing_here" },
    }),
  );
  sourceContract(
    elasticsearchCase({
      name: "elasticsearch by a body",
      byCountry: {
        index: "invoices",
        count: "orders",
        body: {
          query: bounds,
          aggs: { country: { terms: { field: "country", order: { _key: "asc" } }, aggs: amount } },
        },
      },
      unknown: { index: "nothing_here", body: { query: bounds } },
    }),
  );
  sourceContract(
    elasticsearchCase({
      name: "elasticsearch by ES|QL",
      byCountry: {
        esql: `FROM invoices | WHERE ${within} | STATS orders = COUNT(*), amount = SUM(amount) BY country | SORT country`,
      },
      unknown: { esql: `FROM nothing_here | WHERE ${within} | STATS n = COUNT(*)` },
    }),
  );

  test("an ES|QL query that nobody waits for is gone from the server's task list", async () => {
    const long = 'EVAL s = REPEAT(CONCAT("ab", n::string), 5000) | WHERE s RLIKE ".*a.*b.*a.*c"';
    await using held = source({ esql: `FROM slow | ${long} | STATS n = COUNT(*)` });
    const stopping = new AbortController();
    const reading = held.read({ fromMs: 0, toMs: 60_000 }, stopping.signal).catch((reason: unknown) => reason);
    await expect.poll(() => server.searches(), { timeout: 5_000 }).not.toEqual([]);
    const reason = new Error("stopping");
    const sinceMs = stopwatch();
    stopping.abort(reason);
    expect(await reading).toBe(reason);
    expect(sinceMs()).toBeLessThan(1_000);
    await expect.poll(() => server.searches(), { timeout: 5_000 }).toEqual([]);
  });

  test("an ES|QL query without a limit of its own is not cut at the server's 1,000 rows", async () => {
    await using held = source({ esql: "FROM slow | KEEP n // and no more", rows_max: 1_500 });
    const problem = held.read({ fromMs: 0, toMs: 60_000 }, deadline(10_000));
    await expect(problem).rejects.toMatchObject({ code: "ELS-007", message: "stopped at more than 1500 rows" });
  });

  test("an unknown field of an ES|QL query is told by its name", async () => {
    await using held = source({ esql: "FROM invoices | STATS n = SUM(nope)" });
    const problem = held.read({ fromMs: 0, toMs: 60_000 }, deadline(10_000));
    await expect(problem).rejects.toMatchObject({ code: "ELS-013", message: "unknown field nope" });
  });
});
