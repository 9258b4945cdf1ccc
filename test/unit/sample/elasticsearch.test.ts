import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Problem } from "../../../src/core/problem.ts";
import { elasticsearch } from "../../../src/sample/sources/elasticsearch.ts";
import { answerProblem, whyPartial } from "../../../src/sample/sources/elasticsearch-problems.ts";
import { connectionsTo } from "../../support/elasticsearch.ts";

/** `path: message` of each fault. */
function faults(options: object): string[] {
  const { error } = elasticsearch.options.safeParse({ connection: "logs", ...options });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const orders = { index: "orders" };
const aggs = (value: object) => ({ ...orders, aggs: { a: value } });
const query = (value: object) => ({ ...orders, query: value });
const body = (value: object) => ({ ...orders, body: value });

describe("a sampler's options", () => {
  const fine: readonly (readonly [string, object])[] = [
    ["an index alone counts", orders],
    ["several indices", { index: "orders-*,payments" }],
    ["an index of another cluster", { index: "berlin:orders" }],
    [
      "columns by a list",
      { ...orders, by: ["country.keyword"], values: { a: { sum: "amount" }, b: { "p99.9": "ms" } } },
    ],
    ["aggregations", aggs({ terms: { field: "country" }, aggs: { s: { stats: { field: "amount" } } } })],
    [
      "a query",
      query({
        bool: { filter: [{ term: { a: 1 } }, { range: { n: { gt: 3 } } }], must_not: { exists: { field: "b" } } },
      }),
    ],
    ["a nested query", query({ nested: { path: "items", query: { match: { "items.name": { query: "tea" } } } } })],
    ["a list of values", query({ terms: { country: ["France", "Germany"], boost: 1 } })],
    ["a body", body({ query: { range: { t: { gte: ":slot_start_ms", lt: ":slot_end_ms" } } }, size: 0 })],
    ["ES|QL", { esql: 'FROM orders | WHERE t >= ?slot_start AND note == "why?" // ?x\n| STATS n = COUNT(*)' }],
  ];
  test.each(fine)("%s", (_, options) => {
    expect(faults(options)).toEqual([]);
  });

  const bad: readonly (readonly [string, object, string])[] = [
    ["no index", {}, ": SCH-003 wants index. Fix: name the indices to search"],
    ["body beside aggs", { ...body({}), aggs: {} }, ": SCH-003 aggs cannot stand beside body"],
    ["esql beside index", { ...orders, esql: "FROM orders" }, ": SCH-003 index cannot stand beside esql"],
    ["by beside aggs", { ...aggs({ sum: { field: "x" } }), by: ["a"] }, ": SCH-003 by cannot stand beside aggs"],
    ["every index", { index: "*" }, "index: ELS-001 means every index"],
    ["every index among others", { index: "orders,*" }, "index: ELS-001 means every index"],
    ["_all", { index: "_all" }, "index: ELS-001 not a name of indices"],
    ["a path in an index", { index: "orders/_delete_by_query" }, "index: ELS-001 not a name of indices"],
    ["a question in an index", { index: "orders?x" }, "index: ELS-001 not a name of indices"],
    ["an index left out", { index: "-orders" }, "index: ELS-001 not a name of indices"],
    [
      "an unknown metric",
      { ...orders, values: { a: { median: "x" } } },
      "values.a.median: ELS-001 unknown. Fix: one of sum",
    ],
    ["no metric", { ...orders, values: { a: {} } }, "values.a: ELS-001 wants exactly one"],
    ["a count that is no column", { ...orders, count: "a b" }, "count: ELS-003 not a name of a column"],
    ["a field that is no column", { ...orders, by: ["_index"] }, "by._index: ELS-003 not a name of a column"],
    ["two metrics", { ...orders, values: { a: { sum: "x", avg: "x" } } }, "values.a: ELS-001 wants exactly one"],
    ["a column count", { ...orders, values: { count: { sum: "x" } } }, "values: ELS-003 two columns count"],
    ["a column twice", { ...orders, by: ["a"], values: { a: { sum: "x" } } }, "values: ELS-003 two columns a"],
    ["a column by the count's name", { ...orders, count: "n", by: { n: "x" } }, "values: ELS-003 two columns n"],
    ["a column twice in a list", { ...orders, by: ["a", "a.keyword"] }, "by: ELS-003 two columns of one name"],
    ["an unknown option", { ...orders, size: 3 }, ': Unrecognized key: "size"'],
    ["an unknown query", query({ percolate: { field: "q" } }), "query.percolate: ELS-001 not among the known queries"],
    [
      "a query in disguise",
      query({ wrapper: { query: "e30=" } }),
      "query.wrapper: ELS-001 not among the known queries",
    ],
    ["two queries", query({ term: { a: 1 }, match_all: {} }), "query: ELS-001 wants exactly one kind of query"],
    [
      "a look-up in another index",
      query({ terms: { a: { index: "people", id: "1", path: "x" } } }),
      "query.terms: ELS-001 wants a list of values",
    ],
    ["a bad word in bool", query({ bool: { musst: [] } }), "query.bool.musst: ELS-001 unknown"],
    [
      "an unknown query deep inside",
      query({ bool: { filter: [{ bool: { should: { pinned: {} } } }] } }),
      "query.bool.filter.0.bool.should.pinned: ELS-001 not among",
    ],
    ["an unknown aggregation", aggs({ top_hits: {} }), "aggs.a.top_hits: ELS-001 not among the known aggregations"],
    ["an aggregation that cuts", aggs({ bucket_sort: { size: 3 } }), "aggs.a.bucket_sort: ELS-001 not among"],
    [
      "a bad query of a filter",
      aggs({ filter: { pinned: {} } }),
      "aggs.a.filter.pinned: ELS-001 not among the known queries",
    ],
    [
      "filters without names",
      aggs({ filters: { filters: [{ match_all: {} }] } }),
      "aggs.a.filters: ELS-003 filters without names",
    ],
    [
      "aggs in a metric",
      aggs({ sum: { field: "x" }, aggs: { b: { sum: { field: "x" } } } }),
      "aggs.a: ELS-001 a metric has no aggs",
    ],
    [
      "two groupings side by side",
      { ...orders, aggs: { a: { terms: { field: "x" } }, b: { terms: { field: "y" } } } },
      "aggs: ELS-003 b stands beside a",
    ],
    [
      "a metric beside a grouping",
      { ...orders, aggs: { a: { terms: { field: "x" } }, s: { sum: { field: "y" } } } },
      "aggs: ELS-003 s stands beside a",
    ],
    [
      "a metric beside a grouping below",
      aggs({ terms: { field: "x" }, aggs: { b: { terms: { field: "y" } }, s: { sum: { field: "z" } } } }),
      "aggs.a.aggs: ELS-003 s stands beside b",
    ],
    [
      "a name that is no column",
      { ...orders, aggs: { "a b": { sum: { field: "x" } } } },
      "aggs.a b: ELS-003 not a name of a column",
    ],
    [
      "a name that is taken above",
      aggs({ terms: { field: "x" }, aggs: { a: { sum: { field: "y" } } } }),
      "aggs.a.aggs: ELS-003 two columns a",
    ],
    ["documents", body({ size: 10 }), "body.size: ELS-001 documents are not read"],
    ["a part of the count", body({ track_total_hits: 100 }), "body.track_total_hits: ELS-001 all are counted"],
    ["a point in time", body({ pit: { id: "x" } }), "body.pit: ELS-001 not known in a body"],
    ["fields of its own", body({ runtime_mappings: {} }), "body.runtime_mappings: ELS-001 not known in a body"],
    [
      "an unknown placeholder",
      body({ query: { range: { t: { gte: ":slot_begin" } } } }),
      "body: ELS-010 unknown placeholder :slot_begin",
    ],
    [
      "a placeholder within a text",
      body({ query: { range: { t: { gte: ":slot_start||-1d" } } } }),
      "body: ELS-010 unknown placeholder :slot_start",
    ],
    [
      "a placeholder outside a body",
      query({ range: { t: { gte: ":slot_start" } } }),
      "query: ELS-010 placeholders are for body",
    ],
    ["a template", query({ term: { a: "\u0024{day}" } }), "query: ELS-010 unknown placeholder \u0024{day}"],
    ["ES|QL without FROM", { esql: "ROW a = 1" }, "esql: ELS-001 starts with something else than FROM"],
    ["ES|QL with another parameter", { esql: "FROM o | WHERE t > ?day" }, "esql: ELS-010 unknown parameter ?day"],
    ["ES|QL with a parameter by place", { esql: "FROM o | WHERE t > ?" }, "esql: ELS-010 unknown parameter ?"],
    ["ES|QL that hides its end", { esql: "FROM o /* " }, "esql: ELS-001 a text or comment has no end"],
    [
      "ES|QL with too many rows",
      { esql: "FROM o", rows_max: 10_000 },
      "rows_max: ELS-001 ES|QL has 10000 rows at most",
    ],
  ];
  test.each(bad)("%s is a fault at its place", (_, options, wanted) => {
    const found = faults(options);
    expect(found.join("\n")).toContain(wanted);
    expect(found).toHaveLength(1);
  });

  test("warns of a search that does not ask for its slot", () => {
    const warnings = (options: object) =>
      (elasticsearch.warnings?.(elasticsearch.options.parse({ connection: "logs", ...options })) ?? []).map(
        ({ code, path, severity }) => ({ code, path, severity }),
      );
    expect(warnings(orders)).toEqual([]);
    expect(warnings(body({ query: { match_all: {} } }))).toEqual([
      { code: "ELS-W11", path: "body", severity: "warning" },
    ]);
    expect(warnings({ esql: "FROM o // ?slot_start" })).toEqual([
      { code: "ELS-W11", path: "esql", severity: "warning" },
    ]);
    expect(warnings({ esql: "FROM o | WHERE t >= ?slot_start" })).toEqual([]);
  });

  test("the example is one", () => {
    const { elasticsearch: options } = parse(elasticsearch.example) as { elasticsearch: object };
    expect(elasticsearch.options.parse(options)).toMatchObject({ index: "payments-*", rows_max: 1000 });
  });
});

describe("a connection's options", () => {
  const schema = elasticsearch.connections?.elasticsearch;
  const bad = (options: object): string[] =>
    (schema?.safeParse(options).error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

  test("one address or several, secrets by reference", () => {
    expect(bad({ url: "https://es:9200" })).toEqual([]);
    expect(bad({ url: ["https://a:9200", "https://b:9200"], auth: { api_key: "env:ES_KEY" } })).toEqual([]);
    expect(bad({ url: "https://es:9200", auth: { basic: { user: "report", password: "file:es.txt" } } })).toEqual([]);
  });
  test.each([
    ["a secret", { auth: { api_key: "abc" } }, "CFG-012 a secret is written out"],
    ["a password in the URL", { url: "https://a:b@es:9200" }, "CFG-012 user or password in a URL"],
    ["another scheme", { url: "ftp://es" }, "NET-001 neither http nor https"],
    [
      "two ways to ask",
      { auth: { api_key: "env:A", basic: { user: "a", password: "env:B" } } },
      "SCH-003 wants either",
    ],
    ["a switch that skips verification", { tls: { rejectUnauthorized: false } }, "Unrecognized key"],
    ["no network", { networks: ["10.1/16"] }, "CFG-019 not a network"],
    ["a limit that is too long", { search_timeout: "1h" }, "SCH-002 not a duration"],
  ])("%s is refused, and not shown", (_, options, wanted) => {
    const found = bad({ url: "https://es:9200", ...options }).join("\n");
    expect(found).toContain(wanted);
    expect(found).not.toContain("abc");
  });

  test("scripts are refused where the connection does not take them, wherever they stand", () => {
    const scripted = [
      query({ bool: { filter: { script: { script: { source: "1" } } } } }),
      aggs({ sum: { script: { source: "1" } } }),
      aggs({ terms: { field: "a", order: { b: "asc" } }, aggs: { b: { max: { script: "1" } } } }),
    ];
    const deps = connectionsTo({
      logs: { url: "http://127.0.0.1:9" },
      open: { url: "http://127.0.0.1:9", scripts: true },
    });
    for (const options of scripted) {
      const made = (connection: string) =>
        elasticsearch.create(elasticsearch.options.parse({ connection, ...options }), deps);
      expect(() => made("logs")).toThrow("connection logs takes no scripts");
      expect(() => made("open")).not.toThrow();
    }
  });

  test("an unknown connection is told with those that there are", () => {
    const deps = connectionsTo({ logs: { url: "http://127.0.0.1:9" } });
    const options = elasticsearch.options.parse({ connection: "log", index: "a" });
    expect(() => elasticsearch.create(options, deps)).toThrow('unknown connection (got "log")');
  });
});

/** Answers of an Elasticsearch 8.19.21; that of several clusters follows its reference. */
describe("only a whole answer counts", () => {
  const whole = { took: 3, timed_out: false, _shards: { total: 2, successful: 2, skipped: 1, failed: 0 } };
  test.each([
    ["a search", whole, null],
    ["ES|QL", { took: 107, is_partial: false, columns: [], values: [] }, null],
    [
      "all clusters",
      { ...whole, _clusters: { total: 2, successful: 2, skipped: 0, running: 0, partial: 0, failed: 0 } },
      null,
    ],
    ["one that ran out of time", { ...whole, timed_out: true }, "the search ran out of time"],
    ["one that was ended", { ...whole, terminated_early: true }, "the search was ended early"],
    [
      "a failed shard",
      { ...whole, _shards: { total: 3, successful: 2, skipped: 0, failed: 1 } },
      "1 of 3 shards failed",
    ],
    [
      "a shard that says nothing",
      { ...whole, _shards: { total: 3, successful: 2, skipped: 0, failed: 0 } },
      "1 of 3 shards failed",
    ],
    [
      "a skipped cluster",
      { ...whole, _clusters: { total: 2, successful: 1, skipped: 1 } },
      "1 of 2 clusters did not answer",
    ],
    [
      "a partial cluster",
      { ...whole, _clusters: { total: 2, successful: 2, skipped: 0, partial: 1 } },
      "1 of 2 clusters did not answer",
    ],
    ["partial ES|QL", { took: 156, is_partial: true, columns: [], values: [[4]] }, "not all data could be read"],
  ])("%s", (_, answer, wanted) => {
    expect(whyPartial(answer)).toBe(wanted);
  });
});

describe("what a server refuses", () => {
  const error = (type: string, reason: string) => ({ error: { root_cause: [{ type, reason }], type, reason } });
  const shards = (type: string, reason: string) => ({
    error: {
      root_cause: [{ type, reason }],
      type: "search_phase_execution_exception",
      reason: "all shards failed",
      failed_shards: [{ shard: 0, reason: { type, reason } }],
    },
  });
  test.each<[string, number, unknown, Partial<Problem>]>([
    [
      "no log-in",
      401,
      error("security_exception", "missing authentication credentials"),
      { code: "NET-011", retryable: false },
    ],
    ["no right", 403, error("security_exception", "action is unauthorized"), { code: "NET-011", retryable: false }],
    ["a proxy's refusal", 403, "<html>no</html>", { code: "NET-011", retryable: false }],
    ["a proxy without its server", 502, "<html>bad gateway</html>", { code: "NET-009", retryable: true }],
    ["another server's page", 404, "<html>not found</html>", { code: "NET-006", retryable: false }],
    [
      "buckets",
      400,
      shards("too_many_buckets_exception", "Trying to create too many buckets."),
      { code: "ELS-009", retryable: false },
    ],
    [
      "no memory",
      429,
      shards("circuit_breaking_exception", "[request] Data too large"),
      { code: "NET-013", retryable: true },
    ],
    [
      "a full queue",
      429,
      error("es_rejected_execution_exception", "rejected execution"),
      { code: "NET-013", retryable: true },
    ],
    ["no time", 504, shards("search_timeout_exception", "Time exceeded"), { code: "NET-007", retryable: true }],
    ["a bad query", 400, error("parsing_exception", "unknown query [termz]"), { code: "ELS-020", retryable: false }],
    [
      "an unknown column",
      400,
      error("verification_exception", "Found 1 problem\nline 1:27: Unknown column [nope]"),
      { code: "ELS-013", message: "unknown field nope" },
    ],
    [
      "an unknown index of ES|QL",
      400,
      error("verification_exception", "Found 1 problem\nline 1:1: Unknown index [nope]"),
      { code: "ELS-013", message: "unknown index nope" },
    ],
    [
      "no ES|QL",
      400,
      { error: "no handler found for uri [/_query?allow_partial_results=false] and method [POST]" },
      { code: "ELS-015", retryable: false },
    ],
    ["no master", 503, error("cluster_block_exception", "no master"), { code: "NET-009", retryable: true }],
  ])("%s", (_, status, answer, wanted) => {
    const { code, message, retryable, fix, where } = answerProblem(status, answer, "connection logs");
    expect({ code, message, retryable, where }).toMatchObject({ ...wanted, where: "connection logs" });
    expect(fix).not.toBe(undefined);
  });

  test("addresses in its words are masked, and its words are cut", () => {
    const { message } = answerProblem(
      400,
      error("parsing_exception", `failed on jane.doe@shop.example ${"x".repeat(500)}`),
      "c",
    );
    expect(message).toContain("j***@shop.example");
    expect(message.length).toBeLessThan(400);
  });

  test("how long it wants to be left alone is kept", () => {
    const busy = error("es_rejected_execution_exception", "rejected");
    expect(answerProblem(429, busy, "c", "7").retryAfterMs).toBe(7_000);
  });
});
