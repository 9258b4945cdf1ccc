/** Real systems as sources over HTTP: a Prometheus, an InfluxDB, a JVM through Jolokia. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Row, TimeWindow } from "../../src/core/model.ts";
import { deadline } from "../../src/core/time.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { Answers, httpSource, nineOClock, problemFrom, problemOf, rowsFrom } from "../support/http.ts";
import { prometheus } from "../support/prometheus.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";
import { startJolokia, whyNoJolokia } from "../support/servers/jolokia.ts";
import { freePort } from "../support/servers/process.ts";
import { startPrometheus } from "../support/servers/prometheus.ts";

const noPrometheus = whyMissing(prometheus);
describe.skipIf(noPrometheus !== null)(`Prometheus${noPrometheus === null ? "" : `: ${noPrometheus}`}`, () => {
  let shop: Answers;
  let server: Awaited<ReturnType<typeof startPrometheus>>;
  let window: TimeWindow;

  beforeAll(async () => {
    const metrics = [
      "# TYPE orders_total counter",
      'orders_total{country="Germany"} 12',
      'orders_total{country="France"} 7',
      'odd{kind="nan"} NaN',
    ];
    shop = await Answers.start({ "/metrics": (_, response) => response.end(`${metrics.join("\n")}\n`) });
    server = await startPrometheus({
      global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
      scrape_configs: [{ job_name: "shop", static_configs: [{ targets: [`127.0.0.1:${shop.port}`] }] }],
    });
    await vi.waitFor(async () => expect(await ask({ query: "orders_total" })).toHaveLength(2), { timeout: 20_000 });
    const now = Math.ceil(Date.now() / 1000) * 1000;
    window = { fromMs: now - 60_000, toMs: now };
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await shop?.[Symbol.asyncDispose]();
  });

  const options = (params: object, path = "/api/v1/query"): object => {
    return { path, params, format: "prometheus-query", time: "epoch-s" };
  };
  const ask = async (params: object, more: object = {}): Promise<readonly Row[]> =>
    rowsFrom(server.url, { options: { ...options(params), ...more } });

  test("a query at the end of the slot is a row for each series", async () => {
    await using source = httpSource(server.url, {
      options: options({ query: "sum by (country) (orders_total)", time: "{slot_end}" }),
    });
    const { rows } = await source.read(window, deadline(5_000));
    expect(rows.toSorted((a, b) => String(a.country).localeCompare(String(b.country)))).toEqual([
      { country: "France", value: 7, at: window.toMs / 1000 },
      { country: "Germany", value: 12, at: window.toMs / 1000 },
    ]);
  });

  test("a range is a row for each step, which an expression can choose from", async () => {
    const params = { query: 'orders_total{country="France"}', start: "{slot_start}", end: "{slot_end}", step: "1" };
    await using source = httpSource(server.url, {
      options: { ...options(params, "/api/v1/query_range"), rows: "[-1].{country: country, orders: value}" },
    });
    expect((await source.read(window, deadline(5_000))).rows).toEqual([{ country: "France", orders: 7 }]);
  });

  test("a scalar is one row, and nothing is none", async () => {
    expect(await ask({ query: "scalar(sum(orders_total))" })).toEqual([{ value: 19, at: expect.any(Number) }]);
    expect(await ask({ query: "nothing_here" })).toEqual([]);
    expect((await ask({ query: "odd" }))[0]?.value).toBeNaN();
  });

  test("a query that it does not understand is told of in its own words", async () => {
    const problem = await problemFrom(server.url, { options: options({ query: "sum by (orders_total" }) });
    expect(problem).toMatchObject({ code: "NET-009", retryable: false });
    expect(problem.message).toContain("parse error");
  });

  test("its own metrics as text", async () => {
    const asking = { options: { path: "/metrics", format: "prometheus", metric: "prometheus_http_requests_total" } };
    const rows = await rowsFrom(server.url, asking);
    expect(rows).toContainEqual({
      metric: "prometheus_http_requests_total",
      code: "200",
      handler: "/api/v1/query",
      value: expect.any(Number),
    });
  });

  test("an answer without what another server should have added is no answer", async () => {
    await using partial = await startPrometheus({
      remote_read: [{ url: `http://127.0.0.1:${await freePort()}/read`, read_recent: true }],
    });
    const problem = await problemFrom(partial.url, { options: options({ query: "orders_total" }) });
    expect(problem).toMatchObject({ code: "NET-007", retryable: true });
  });
});

const noInflux = whyMissing(influxd);
describe.skipIf(noInflux !== null)(`InfluxDB 1.x${noInflux === null ? "" : `: ${noInflux}`}`, () => {
  let server: Influx;
  const admin = { name: "admin", password: "of-the-test" };
  const auth = { basic: { user: "admin", password: "env:INFLUX" } };
  const deps = { secret: () => admin.password };
  const q = `select count(amount) as orders, sum(amount) as amount from invoices
    where time >= '{slot_start}' and time < '{slot_end}' group by country`;
  const options = (params: object): object => ({ path: "/query", params, format: "influxql" });

  beforeAll(async () => {
    server = await startInflux({ databases: ["shop"], admin, overrides: { "http.max-row-limit": 5 } });
    const lines = [
      ["Germany", 10.5, 0],
      ["Germany", 2.25, 59_000],
      ["France", 7, 60_000],
    ].map(([country, amount, at]) => `invoices,country=${country} amount=${amount} ${nineOClock.fromMs + Number(at)}`);
    const many = Array.from({ length: 9 }, (_, at) => `many n=${at} ${nineOClock.fromMs + at}`);
    expect((await server.write("shop", [...lines, ...many].join("\n"))).status).toBe(204);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test("a query of the slot is a row for each series", async () => {
    const rows = await rowsFrom(server.url, {
      connection: { auth },
      deps,
      options: options({ db: "shop", q, epoch: "s" }),
    });
    const time = nineOClock.fromMs / 1000;
    expect(rows).toEqual([{ measurement: "invoices", time, country: "Germany", orders: 2, amount: 12.75 }]);
  });

  test("an error inside an answer of 200, a cut answer and a closed door are problems", async () => {
    const from = (params: object, connection: object = { auth }) =>
      problemFrom(server.url, { connection, deps, options: options(params) });
    const unknown = await from({ db: "nothing_here", q });
    expect(unknown).toMatchObject({ code: "NET-009", retryable: false });
    expect(unknown.message).toContain("database not found: nothing_here");
    expect(await from({ db: "shop", q: "selekt" })).toMatchObject({ code: "NET-009" });
    expect(await from({ db: "shop", q: "select n from many" })).toMatchObject({ code: "NET-007" });
    const closed = await from({ db: "shop", q }, {});
    expect(closed).toMatchObject({ code: "NET-011" });
    expect(closed.message).not.toContain("of-the-test");
  });

  test("tells its version when it is inspected", async () => {
    await using source = httpSource(server.url, { connection: { auth }, deps, options: options({ db: "shop", q }) });
    const facts = await source.inspect(nineOClock, deadline(5_000));
    expect(facts.tables).toEqual([{ name: "/query", rows: null }]);
    expect(Math.abs(facts.clockAheadMs ?? 0)).toBeLessThan(5_000);
  });
});

const noJolokia = await whyNoJolokia();
describe.skipIf(noJolokia !== null)(`a JVM through Jolokia${noJolokia === null ? "" : `: ${noJolokia}`}`, () => {
  let server: Awaited<ReturnType<typeof startJolokia>>;
  beforeAll(async () => {
    server = await startJolokia();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const options = (body: object, rows: string): object => ({ path: "/", method: "POST", body, rows });

  test("gives an attribute as one row", async () => {
    const body = { type: "read", mbean: "java.lang:type=Memory", attribute: "HeapMemoryUsage" };
    const [row] = await rowsFrom(server.url, { options: options(body, "value") });
    expect(row).toMatchObject({ used: expect.any(Number), max: expect.any(Number) });
    expect(row?.used).toBeGreaterThan(1_000_000);
  });

  test("gives many beans as many rows", async () => {
    const body = { type: "read", mbean: "java.lang:type=MemoryPool,name=*", attribute: "Usage" };
    const rows = await rowsFrom(server.url, {
      options: options(body, "items(value)[*].{pool: [0], used: [1].Usage.used}"),
    });
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows)
      expect(row).toEqual({ pool: expect.stringContaining("MemoryPool"), used: expect.any(Number) });
  });

  test("an error inside an answer of 200 is a problem", async () => {
    const body = { type: "read", mbean: "java.lang:type=NothingHere" };
    await using source = httpSource(server.url, { options: options(body, "value") });
    const problem = await problemOf(source.read(nineOClock, deadline(5_000)));
    expect(problem).toMatchObject({ code: "NET-006", message: "rows: value finds nothing" });
  });
});
