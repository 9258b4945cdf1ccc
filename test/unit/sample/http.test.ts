import fc from "fast-check";
import { parse } from "lossless-json";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import type { Problem } from "../../../src/core/problem.ts";
import { http } from "../../../src/sample/sources/http.ts";
import { type Format, formats, rowsOf } from "../../../src/sample/sources/http-formats.ts";
import { connectionOptions, type Pages, requestOptions } from "../../../src/sample/sources/http-options.ts";
import { firstPage, nextPage } from "../../../src/sample/sources/http-pages.ts";
import { masked, statusProblem } from "../../../src/sample/sources/http-problems.ts";
import { expressionFault, select } from "../../../src/sample/sources/http-select.ts";
import { bodyOf, boundsOf, urlOf } from "../../../src/sample/sources/http-slot.ts";
import { growthOf, nearlyLinear } from "../../support/cost.ts";
import { nineOClock } from "../../support/http.ts";

const where = "connection api";

/** By the library alone: what a double would round stays text. */
const exact = (text: string): number | string => {
  const value = Number(text);
  return (/^-?\d+$/.test(text) ? Number.isSafeInteger(value) : Number.isFinite(value)) ? value : text;
};

function problemOf(work: () => unknown): Problem {
  try {
    work();
  } catch (thrown) {
    return thrown as Problem;
  }
  throw new Error("no problem");
}

const faultsOf = (schema: typeof connectionOptions | typeof requestOptions, options: object): string[] =>
  schema.safeParse(options).error?.issues.map(({ message }) => message) ?? [];

describe("a connection", () => {
  const url = "https://api.shop.example";
  const faults = (options: object): string[] => faultsOf(connectionOptions, { url, ...options });

  test("needs no more than a url", () => {
    expect(connectionOptions.parse({ url })).toEqual({ url, headers: {}, networks: [], hosts: [], requests_max: 4 });
  });

  test.each([
    [{ headers: { Authorization: "Bearer abc" } }, "Authorization"],
    [{ headers: { authorization: "x" } }, "authorization"],
    [{ headers: { "X-Api-Key": "x" } }, "X-Api-Key"],
    [{ headers: { Cookie: "x" } }, "Cookie"],
    [{ headers: { "X-Auth-Token": "x" } }, "X-Auth-Token"],
    [{ headers: { "Ocp-Apim-Subscription-Key": "x" } }, "Ocp-Apim-Subscription-Key"],
    [{ headers: { "X-Anything": "Bearer abc" } }, "X-Anything"],
    [{ headers: { "X-Anything": "0123456789abcdef0123456789abcdef" } }, "X-Anything"],
  ])("%j is refused, and the value is not in the message", (options, name) => {
    const found = faults(options);
    expect(found).toEqual([
      `CFG-012 header ${name}: a secret is written out. Fix: write a reference instead: env:NAME or file:PATH`,
    ]);
  });

  test.each([
    [{ auth: { bearer: "abc" } }, "CFG-012"],
    [{ auth: { basic: { user: "u", password: "abc" } } }, "CFG-012"],
    [{ auth: {} }, "SCH-003"],
    [{ auth: { bearer: "env:A", basic: { user: "u", password: "env:B" } } }, "SCH-003"],
    [{ url: "https://user:pw@api.shop.example" }, "CFG-012"],
    [{ url: "ftp://api.shop.example" }, "NET-001"],
    [{ url: "https://api.shop.example/?a=1" }, "CFG-019"],
    [{ headers: { Host: "other" } }, "CFG-019"],
    [{ headers: { "Transfer-Encoding": "chunked" } }, "CFG-019"],
    [{ headers: { "X-Team": "a\r\nX-Evil: 1" } }, "CFG-019"],
    [{ networks: ["10.1.0.0"] }, "CFG-019"],
    [{ hosts: ["https://x"] }, "CFG-019"],
    [{ dns: ["ns.example"] }, "CFG-019"],
    [{ dns: ["10.0.0.999"] }, "CFG-019"],
  ])("%j is refused with %s", (options, code) => {
    const found = faults(options);
    expect(found.map((text) => text.split(" ")[0])).toContain(code);
    expect(found.join()).not.toMatch(/abc|:pw/);
  });

  test("references, plain headers and lists are taken", () => {
    const options = {
      headers: { "X-Api-Key": "env:KEY", "X-Team": "shop", Accept: "application/vnd.shop.v2+json" },
      auth: { basic: { user: "reader", password: "file:/run/secrets/api" } },
      networks: ["10.1.0.0/16", "fd12::/16"],
      hosts: ["cdn.shop.example", "10.1.2.3:8080", "[fd12::1]:80"],
      dns: ["127.0.0.1:5353", "[::1]:53", "fd12::53"],
    };
    expect(faults(options)).toEqual([]);
  });
});

describe("a request", () => {
  const faults = (options: object): string[] =>
    faultsOf(requestOptions, { connection: "api", path: "/x", ...options }).map((text) => text.split(" ")[0] as string);

  test.each([
    [{ path: "x" }, "CFG-019"],
    [{ path: "https://other/" }, "CFG-019"],
    [{ path: "/x#y" }, "CFG-019"],
    [{ path: "/x?q=a b" }, "CFG-019"],
    [{ path: "/x?from={slot_begin}" }, "NET-018"],
    [{ path: "/x?from=:slot_start" }, "NET-018"],
    [{ params: { from: "$" + "{from}" } }, "NET-018"],
    [{ body: {} }, "SCH-003"],
    [{ format: "prometheus" }, "SCH-003"],
    [{ metric: "up" }, "SCH-003"],
    [{ rows: "a[" }, "NET-016"],
    [{ rows: `a${".a".repeat(1000)}` }, "CFG-003"],
  ])("%j is refused with %s", (options, code) => expect(faults(options)).toEqual([code]));

  test.each([
    { method: "PUT" },
    { method: "DELETE" },
    { rows_max: 0 },
    { body_mib_max: 17 },
    { pages: { next: "link", max: 101 } },
  ])("%j is refused", (options) => expect(faults(options).length).toBeGreaterThan(0));

  test("braces of PromQL are no placeholders", () => {
    const query = 'sum by (slot) (increase(orders_total{slot="3", shop=~"a.*"}[1m]))';
    expect(faults({ params: { query, time: "{slot_end}" }, format: "prometheus-query" })).toEqual([]);
  });

  test("the example is valid, and repeatable", () => {
    const chosen = http.options.parse(parseYaml(http.example).http);
    expect(http.warnings?.(chosen)).toEqual([]);
  });

  test("a request that is the same for each slot is warned of; metrics as text cannot be another", () => {
    const codes = (more: object): (string | undefined)[] =>
      (http.warnings?.(http.options.parse({ connection: "api", path: "/x", ...more })) ?? []).map(({ code }) => code);
    expect(codes({})).toEqual(["NET-W11"]);
    expect(codes({ path: "/x?to={slot_end}" })).toEqual([]);
    expect(codes({ method: "POST", body: { range: [":slot_start"] } })).toEqual([]);
    expect(codes({ format: "prometheus", metric: "up" })).toEqual([]);
  });

  test("samplers that ask the same share a read, others do not", () => {
    const batch = (more: object) => http.batch?.(http.options.parse({ connection: "api", path: "/x", ...more }));
    expect(batch({ rows: "@" })).toBe(batch({}));
    expect(batch({ rows: "a" })).not.toBe(batch({}));
  });
});

describe("the slot", () => {
  const template = { path: "/v1/orders?from={slot_start}", params: { to: "{slot_end}", q: "a&b=c d+{slot_start}" } };

  test.each([
    [
      "iso",
      "/api/v1/orders?from=2026-11-20T09%3A00%3A00Z&to=2026-11-20T09%3A01%3A00Z&q=a%26b%3Dc+d%2B2026-11-20T09%3A00%3A00Z",
    ],
    ["epoch-s", "/api/v1/orders?from=1795165200&to=1795165260&q=a%26b%3Dc+d%2B1795165200"],
    ["epoch-ms", "/api/v1/orders?from=1795165200000&to=1795165260000&q=a%26b%3Dc+d%2B1795165200000"],
  ] as const)("is written as %s, encoded", (time, wanted) => {
    const url = urlOf("https://api.shop.example:8443/api/", template, boundsOf(nineOClock, time));
    expect(url.href).toBe(`https://api.shop.example:8443${wanted}`);
  });

  test("stands in a body as a number or a text, and nowhere by accident", () => {
    const body = { range: { from: ":slot_start", to: ":slot_end" }, list: [":slot_start", "x:slot_start", 1, null] };
    expect(bodyOf(body, boundsOf(nineOClock, "epoch-s"))).toEqual({
      range: { from: 1795165200, to: 1795165260 },
      list: [1795165200, "x:slot_start", 1, null],
    });
    expect(body.range.from).toBe(":slot_start");
  });

  test("a path cannot lead to another host", () => {
    for (const path of ["//evil.example/x", "/@evil.example/", "/..//evil.example", "/\u0000"]) {
      expect(urlOf("https://api.shop.example", { path, params: {} }, boundsOf(nineOClock, "iso")).host).toBe(
        "api.shop.example",
      );
    }
  });
});

describe("JSON", () => {
  const read = (body: string): unknown => formats.json.read({ body, metrics: [], where });

  test("keeps what a double would round", () => {
    const body =
      '{"id": 9007199254740993, "safe": 9007199254740991, "small": -9007199254740993, "huge": 1e999, "n": 0.1}';
    expect(read(body)).toEqual({
      id: "9007199254740993",
      safe: 9007199254740991,
      small: "-9007199254740993",
      huge: "1e999",
      n: 0.1,
    });
  });

  test.each([
    ["<html><title>Sign in</title>Ana 42</html>", "the answer is not JSON: <aaaa><aaaaa>Aaaa aa</aaaaa>Aaa 99</aaaa>"],
    ["", "the answer is not JSON: nothing"],
    ['{"a": 1', 'the answer is not JSON (from character 7 on): {"a": 9'],
    ['{"ana@shop.example": 1, "ana@shop.example": 2}', "the answer has a key twice in one object, at character 25"],
    ["[".repeat(300_000), `the answer is not JSON: ${"[".repeat(80)}…`],
  ])("%.40j is NET-006", (body, message) => {
    expect(problemOf(() => read(body))).toMatchObject({ code: "NET-006", message, where, retryable: false });
  });

  test("is the same by the quick way and by the exact one", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const body = JSON.stringify(value);
        expect(read(body)).toEqual(parse(body, null, exact));
      }),
      { numRuns: 300 },
    );
    for (const body of [
      '{"a\\\\": {"a:b": ":", "\\"": 1}, "": [{"x": 1}, {"x": 2}]}',
      "[12345678901234567.25, 1e5, 1E400, -0, 0.1, 123456789012345678]",
      '{"__proto__": 1}',
      '"9007199254740993"',
    ]) {
      expect(read(body), body).toEqual(parse(body, null, exact));
    }
  });

  test.each([
    '{"a": 1, "a": 2}',
    '[{"a": {"b": 1, "c": {}, "b": 2}}]',
    '{"a": 1, "\\u0061": 2}',
    '{"x": ":", "x": {"y": 1}}',
  ])("a key twice is found in %s", (body) => {
    expect(problemOf(() => read(body)).message).toContain("a key twice");
  });

  test("of a megabyte costs little more than eight of an eighth", async () => {
    const answer = (length: number): void => {
      const orders = Array.from({ length }, (_, id) => ({ id, country: "Germany", amount: id / 3, note: 'a "b" c' }));
      expect(read(JSON.stringify(orders))).toHaveLength(length);
    };
    expect(await growthOf(answer, 1_250)).toBeLessThan(nearlyLinear);
  });

  test("no key reaches a prototype", () => {
    const [row] = rowsOf(read('[{"__proto__": {"amount": 1}, "constructor": 2}]'), "@", where);
    expect(({} as { amount?: number }).amount).toBeUndefined();
    expect(Object.hasOwn(row as object, "amount")).toBe(false);
  });

  test.each([
    [null, "orders", "rows: orders finds nothing"],
    [3, "total", "rows: total is number, and not rows (9)"],
    ["Ana", "name", 'rows: name is string, and not rows ("Aaa")'],
    [[{ n: 1 }, 2], "@", "the answer is a list that holds number, and not rows (9)"],
    [[[1, 2]], "@", "the answer is a list that holds a list, and not rows ([9,9])"],
    [[null], "@", "the answer is a list that holds null, and not rows (aaaa)"],
  ])("%j is no list of rows", (found, expression, message) => {
    expect(problemOf(() => rowsOf(found, expression, where))).toMatchObject({ code: "NET-006", message });
  });

  test("an object is one row, an empty list none", () => {
    expect(rowsOf({ n: 1 }, "@", where)).toEqual([{ n: 1 }]);
    expect(rowsOf([], "@", where)).toEqual([]);
  });
});

describe("metrics as text", () => {
  const text = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000
# TYPE wait_seconds histogram
wait_seconds_bucket{shop="a",le="0.1"} 5
wait_seconds_bucket{shop="a",le="+Inf"} 9 # {trace_id="KOO5S4vxi0o"} 0.67
wait_seconds_sum{shop="a"} 1.5
wait_seconds_count{shop="a"} 9
escaped{path="C:\\\\DIR\\\\",said="\\"x\\", {y}\\n"} 1.458255915e9
metric{metric="own",value="mine"} NaN
up 1`;
  const read = (metrics: string[], body = text): unknown => formats.prometheus.read({ body, metrics, where });

  test("gives the samples asked for, with all their labels", () => {
    expect(read(["http_requests_total"])).toEqual([
      { metric: "http_requests_total", method: "post", code: "200", value: 1027 },
      { metric: "http_requests_total", method: "post", code: "400", value: 3 },
    ]);
    expect(read(["wait_seconds_bucket", "wait_seconds_count"])).toEqual([
      { metric: "wait_seconds_bucket", shop: "a", le: "0.1", value: 5 },
      { metric: "wait_seconds_bucket", shop: "a", le: "+Inf", value: 9 },
      { metric: "wait_seconds_count", shop: "a", value: 9 },
    ]);
    expect(read(["escaped"])).toEqual([
      { metric: "escaped", path: "C:\\DIR\\", said: '"x", {y}\n', value: 1458255915 },
    ]);
    expect(read(["metric", "up"])).toEqual([
      { metric: "metric", exported_metric: "own", exported_value: "mine", value: Number.NaN },
      { metric: "up", value: 1 },
    ]);
    expect(read(["absent"])).toEqual([]);
  });

  test.each(["<html>\n<p>hello</p>", "up\n", '{"up": 1}', "up one"])("%j is none, or no number", (body) => {
    expect(problemOf(() => read(["up"], body))).toMatchObject({ code: "NET-006" });
  });

  test("a series that is there twice is none that can be right", () => {
    expect(problemOf(() => read(["up"], "up 1\nup 2\n"))).toMatchObject({ code: "NET-006" });
  });
});

describe("answers of query APIs", () => {
  const read = (format: Format, body: unknown): unknown =>
    formats[format].read({ body: JSON.stringify(body), metrics: [], where });
  const prometheus = (more: object, data: object = { resultType: "vector", result: [] }) =>
    read("prometheus-query", { status: "success", data, ...more });

  test("a vector, a matrix and a scalar are rows", () => {
    const metric = { __name__: "up", job: "a", value: "mine" };
    expect(prometheus({}, { resultType: "vector", result: [{ metric, value: [1435781451.781, "1"] }] })).toEqual([
      { metric: "up", job: "a", exported_value: "mine", value: 1, at: 1435781451.781 },
    ]);
    const values = [
      [1, "1"],
      [2, "+Inf"],
    ];
    expect(prometheus({}, { resultType: "matrix", result: [{ metric: {}, values }] })).toEqual([
      { value: 1, at: 1 },
      { value: Infinity, at: 2 },
    ]);
    expect(prometheus({}, { resultType: "scalar", result: [1, "2.5"] })).toEqual([{ value: 2.5, at: 1 }]);
    expect(prometheus({})).toEqual([]);
  });

  test.each([
    [{ warnings: ["remote read failed"] }, "NET-007", true],
    [{ isPartial: true }, "NET-007", true],
    [{ status: "error", errorType: "execution", error: "query timed out" }, "NET-009", false],
  ])("%j is a problem", (more, code, retryable) => {
    expect(problemOf(() => prometheus(more))).toMatchObject({ code, retryable });
  });

  test("a note on a query is no warning", () => {
    const note = "PromQL info: metric might not be a counter, name does not end in _total";
    expect(prometheus({ warnings: [note], infos: [note] })).toEqual([]);
  });

  test.each([
    { resultType: "string", result: [1, "x"] },
    { resultType: "vector", result: [{ metric: {}, histogram: [1, {}] }] },
    { resultType: "vector", result: [{ metric: {}, value: [1, "x"] }] },
    {},
  ])("%j gives no numbers", (data) => expect(problemOf(() => prometheus({}, data))).toMatchObject({ code: "NET-006" }));

  const series = {
    name: "invoices",
    tags: { country: "Spain" },
    columns: ["time", "orders"],
    values: [
      [0, 3],
      [60, null],
    ],
  };

  test("InfluxQL's series are rows", () => {
    expect(read("influxql", { results: [{ statement_id: 0, series: [series] }, { statement_id: 1 }] })).toEqual([
      { measurement: "invoices", country: "Spain", time: 0, orders: 3 },
      { measurement: "invoices", country: "Spain", time: 60, orders: null },
    ]);
  });

  test.each([
    [{ error: "unable to parse" }, "NET-009"],
    [{ results: [{ error: "database not found: shop" }] }, "NET-009"],
    [{ results: [{ series: [{ ...series, partial: true }] }] }, "NET-007"],
    [{ results: [{ series: [series], partial: true }] }, "NET-007"],
    [{ message: "hello" }, "NET-006"],
  ])("%j, with status 200, is a problem", (body, code) => {
    expect(problemOf(() => read("influxql", body))).toMatchObject({ code });
  });
});

describe("an expression", () => {
  test("finds", () => {
    expect(select({ a: [{ b: 1 }, { b: 2 }] }, "a[?b > `1`].{n: b}")).toEqual([{ n: 2 }]);
    expect(expressionFault("a[*].b | [0]")).toBeNull();
  });

  test("that fails, or is never done, is a problem and not a stop", () => {
    expect(problemOf(() => select({ a: "x" }, "sum(a)"))).toMatchObject({ code: "NET-016", retryable: false });
    expect(problemOf(() => select({}, "nothing(@)"))).toMatchObject({ code: "NET-016" });
    const many = Array.from({ length: 20_000 }, (_, index) => ({ index }));
    const startMs = performance.now();
    expect(problemOf(() => select(many, "map(&length($[*].index), [*])"))).toMatchObject({
      code: "NET-016",
      message: expect.stringContaining("takes longer than 1000 ms"),
    });
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });
});

describe("pages", () => {
  const url = new URL("https://api.shop.example/v1/orders?page=1");
  const next = (pages: object, page: object): string | null => {
    const options = requestOptions.parse({ connection: "api", path: "/x", pages }).pages as Pages;
    return nextPage({ url, index: 0, answer: null, rows: 10, link: undefined, ...page }, options, where)?.href ?? null;
  };

  test.each([
    ['<https://api.shop.example/v1/orders?page=2>; rel="next"', "https://api.shop.example/v1/orders?page=2"],
    ['</v1/orders?page=9>; rel="last", </v1/orders?page=2>; rel=next', "https://api.shop.example/v1/orders?page=2"],
    ['<?page=2>; title="a, b; rel=prev"; rel="prev next"', "https://api.shop.example/v1/orders?page=2"],
    ['<https://x.example/>; rel="prev"', null],
    ['<https://x.example/>; rel="nextish"', null],
    [undefined, null],
  ])("by the header %j", (link, wanted) => expect(next({ next: "link" }, { link })).toBe(wanted));

  test.each([
    [{ next: "paging.next" }, { paging: { next: "/v1/orders?after=7" } }, "https://api.shop.example/v1/orders?after=7"],
    [{ next: "paging.next" }, { paging: { next: null } }, null],
    [{ next: "paging.next" }, {}, null],
    [
      { cursor: "cursor", param: "after" },
      { cursor: "a&b=c" },
      "https://api.shop.example/v1/orders?page=1&after=a%26b%3Dc",
    ],
    [{ cursor: "cursor", param: "after" }, { cursor: 7 }, "https://api.shop.example/v1/orders?page=1&after=7"],
    [{ cursor: "cursor", param: "after" }, { cursor: "" }, null],
  ])("%j of %j", (pages, answer, wanted) => expect(next(pages, { answer })).toBe(wanted));

  test("by counting rows, until a page is not full", () => {
    const pages = { offset: "offset", by: 10, size: 10 };
    expect(next(pages, { rows: 10 })).toBe("https://api.shop.example/v1/orders?page=1&offset=10");
    expect(next(pages, { rows: 9 })).toBeNull();
    const numbered = { offset: "page", from: 1, by: 1, max: 10 };
    expect(firstPage(url, numbered).search).toBe("?page=1");
    expect(next(numbered, { rows: 3 })).toBe("https://api.shop.example/v1/orders?page=2");
    expect(next(numbered, { rows: 0 })).toBeNull();
  });

  test("what leads nowhere is a problem", () => {
    expect(problemOf(() => next({ next: "n" }, { answer: { n: "http://[" } }))).toMatchObject({ code: "NET-006" });
    expect(problemOf(() => next({ next: "n" }, { answer: { n: { href: 1 } } }))).toMatchObject({ code: "NET-006" });
  });
});

test.each([
  [401, "NET-011", false],
  [403, "NET-011", false],
  [404, "NET-012", false],
  [410, "NET-012", false],
  [429, "NET-013", true],
  [503, "NET-013", true],
  [500, "NET-009", true],
  [408, "NET-009", true],
  [400, "NET-009", false],
  [304, "NET-009", false],
])("status %i is %s", (status, code, retryable) => {
  expect(statusProblem(status, { what: "GET /x", where })).toMatchObject({ code, retryable });
});

test("what a server says of a request is shown without addresses", async () => {
  const said = "no user ana@shop.example\nwith +441234567890";
  expect(statusProblem(400, { what: "GET /x", where, said }).message).toBe(
    "GET /x answered 400: no user a***@shop.example with +44*******890",
  );
  const long = (said: string) => statusProblem(400, { what: "GET /x", where, said }).message.length;
  expect(long("x".repeat(10_000_000))).toBeLessThan(250);
  expect(await growthOf((length) => long("x".repeat(length)), 1_000_000)).toBeLessThan(nearlyLinear);
});

test("what is shown of an answer is its form, 80 characters at most", () => {
  expect(masked("Ana Müller, 42\n\t王 \u0007")).toBe("Aaa Aaaaaa, 99 a ?");
  expect(masked("x".repeat(200))).toBe(`${"a".repeat(80)}…`);
});
