/** `check --connect`, `try` and `doctor` over every kind of source, as a business team meets them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeIndex } from "../support/elasticsearch.ts";
import { type Elasticsearch, startElasticsearch, whyNoElasticsearch } from "../support/servers/elasticsearch.ts";
import { whyNoPostgres } from "../support/servers/postgres.ts";
import { postgresShop } from "../unit/sample/sql-shop.ts";
import { run } from "./run.ts";

const missing = whyNoPostgres() ?? (await whyNoElasticsearch());
const at = ["--at", "2026-11-20T09:00:30Z"];
const passwords = { READER: "re4der", APP: "4pp", API_TOKEN: "t0ken-c4nary" };

const sampler = (name: string, source: string): string => `
name: ${name}
title: ${name}
owner: team
every: 1m
source:
${source.replace(/^/gm, "  ")}
point: { measurement: ${name.replaceAll("-", "_")}, tags: [country], fields: [orders] }
empty: zero
`;

describe.skipIf(missing !== null)("sources on the command line", () => {
  const config = mkdtempSync(join(tmpdir(), "bellwether-cli-sources-"));
  const place = { config, data: join(config, "var") };
  const closing: (() => Promise<unknown>)[] = [];
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(config, path)), { recursive: true });
    writeFileSync(join(config, path), text);
  };

  beforeAll(async () => {
    const shop = await postgresShop();
    closing.push(() => shop[Symbol.asyncDispose]());
    await shop.query(
      "insert into invoices select n, '2026-11-20 00:00+00'::timestamptz + n * interval '3 s', 'Germany', 1 from generate_series(1, 40000) n",
      "create table unkept (at timestamptz, country text)",
      "insert into unkept select '2026-11-20 00:00+00'::timestamptz + n * interval '3 s', 'Germany' from generate_series(1, 150000) n",
      `grant select on unkept to ${shop.user("reader")}`,
      "analyze",
    );
    const elasticsearch: Elasticsearch = await startElasticsearch();
    closing.push(() => elasticsearch[Symbol.asyncDispose]());
    await makeIndex(elasticsearch, "orders", { at: "date", country: "keyword" });
    for (const country of ["Germany", "Germany", "France"]) {
      await elasticsearch.call("POST", "orders/_doc?refresh=true", { at: "2026-11-20T09:00:10Z", country });
    }
    const api = createServer((request, response) => {
      response.setHeader("content-type", "application/json");
      if (request.headers.authorization !== `Bearer ${passwords.API_TOKEN}`) response.writeHead(401).end("{}");
      else response.end(JSON.stringify({ found: [{ c: "Germany", n: 7 }] }));
    });
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    closing.push(async () => api.close());

    const { user, url } = shop.options("reader") as { user: string; url: string };
    const { user: app } = shop.options("app") as { user: string };
    const port = (api.address() as AddressInfo).port;
    write(
      "rules/connections.yaml",
      `
connections:
  shop: { postgres: { url: "${url}", user: ${user}, password: env:READER } }
  wide: { postgres: { url: "${url}", user: ${app}, password: env:APP } }
  api: { http: { url: "http://127.0.0.1:${port}", networks: [127.0.0.0/8], auth: { bearer: env:API_TOKEN } } }
  logs: { elasticsearch: { url: "${elasticsearch.url}", networks: [127.0.0.0/8] } }
`,
    );
    write(
      "rules/people/team.yaml",
      "people: { ana: { name: Ana, email: ana@shop.example } }\ngroups: { team: { title: Team, members: [ana] } }\n",
    );
    const count = (table: string, time: string): string =>
      `select country, count(*) as orders from ${table} where ${time} >= :slot_start and ${time} < :slot_end group by country`;
    write(
      "samplers/pg.yaml",
      sampler("pg-orders", `sql:\n  connection: shop\n  query: ${count("invoices", "invoiced_at")}`),
    );
    write("samplers/scan.yaml", sampler("pg-scan", `sql:\n  connection: shop\n  query: ${count("unkept", "at")}`));
    write(
      "samplers/wide.yaml",
      sampler("pg-wide", `sql:\n  connection: wide\n  query: ${count("invoices", "invoiced_at")}`),
    );
    write(
      "samplers/api.yaml",
      sampler(
        "api-orders",
        `http:\n  connection: api\n  path: /orders\n  params: { from: "{slot_start}", to: "{slot_end}" }\n  rows: "found[].{country: c, orders: n}"`,
      ),
    );
    write(
      "samplers/logs.yaml",
      sampler(
        "log-orders",
        `elasticsearch:\n  connection: logs\n  index: orders\n  time: at\n  by: { country: country }\n  count: orders`,
      ),
    );
  });
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
    rmSync(config, { recursive: true, force: true });
  });

  test("check --connect asks each system what a read would take, and names what is unwise with the table's size", async () => {
    const { code, out, err } = await run(place, ["check", "--connect"], passwords);
    expect(err).toBe("");
    expect(out).toMatch(
      /^pg-orders:\n {2}PostgreSQL 15\S* at 127\.0\.0\.1:\d+\/\S+\n {2}\S*invoices: about 40,000 rows\n {2}one read goes through about \d+ rows, at a cost of \d+\n(?! {2})/m,
    );
    expect(out).toMatch(/^pg-scan:\n(.+\n)*.*SQL-W12.*150,000/m);
    expect(out).toMatch(/^pg-wide:\n(.+\n)*.*SQL-017.*(INSERT|UPDATE|DELETE)/m);
    expect(out).toMatch(/^api-orders:\n/m);
    expect(out).toMatch(/^log-orders:\n {2}Elasticsearch 8\S* .*\n {2}orders: about 3 rows\n/m);
    expect(code).toBe(0);
    for (const secret of Object.values(passwords)) expect(out).not.toContain(secret);
  });

  test("in production an account that may write is a fault", async () => {
    const env = { ...passwords, BELLWETHER_ENV: "production" };
    const { code, out } = await run(place, ["check", "--connect", "samplers/wide.yaml"], env);
    expect(code).toBe(1);
    expect(out).toMatch(/^ {2}SQL-017 samplers\/wide\.yaml:\d+:\d+ - .*Fix: /m);
    expect(out).not.toContain("pg-orders:");
  });

  test.each([
    [
      "pg-orders",
      /1 row in \d+ ms; its system worked \d+ ms, \d+ rows gone through/,
      'pg_orders{country="Germany"}.orders = 20',
    ],
    ["api-orders", /1 row in \d+ ms; its system worked \d+ ms\n/, 'api_orders{country="Germany"}.orders = 7'],
    [
      "log-orders",
      /2 rows in \d+ ms; its system worked \d+ ms, 3 rows gone through/,
      'log_orders{country="Germany"}.orders = 2',
    ],
  ])("try %s prints rows, points and what they cost", async (name, cost, point) => {
    const { code, out } = await run(place, ["try", name, ...at], passwords);
    expect(out).toMatch(cost);
    expect(out).toContain(point);
    expect(code).toBe(0);
  });

  test("try says why a read fails, and exits with 1", async () => {
    const { code, err } = await run(place, ["try", "api-orders", ...at], { ...passwords, API_TOKEN: "wr0ng" });
    expect(code).toBe(1);
    expect(err).toMatch(/NET-\d{3}.*401/);
    expect(err).not.toContain("wr0ng");
  });

  test("doctor has a line for each connection", async () => {
    const { out } = await run(place, ["doctor"], passwords);
    expect(out).toMatch(/^ok +connection shop \(postgres\): PostgreSQL 15/m);
    expect(out).toMatch(/^warning +connection wide \(postgres\): .*SQL-017/m);
    expect(out).toMatch(/^ok +connection logs \(elasticsearch\): Elasticsearch 8/m);
    expect(out).toMatch(/connection api \(http\): /);
  });
});
