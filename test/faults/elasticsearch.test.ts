import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener, request } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Row, TimeWindow } from "../../src/core/model.ts";
import type { Source, SourceDeps } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { deadline, stopwatch } from "../../src/core/time.ts";
import { elasticsearch } from "../../src/sample/sources/elasticsearch.ts";
import { connectionsTo, makeIndex, slowQuery } from "../support/elasticsearch.ts";
import { type Elasticsearch, startElasticsearch, whyNoElasticsearch } from "../support/servers/elasticsearch.ts";
import { startProxy } from "../support/servers/proxy.ts";

const missing = await whyNoElasticsearch({ own: true });
const never = new AbortController().signal;
const startMs = Date.parse("2026-11-20T09:00:00Z");
const minute: TimeWindow = { fromMs: startMs, toMs: startMs + 60_000 };
const types = { "@timestamp": "date", country: "keyword", amount: "double", id: "long", note: "text" };
const byCountry = { index: "orders", by: ["country"], values: { amount: { sum: "amount" } } };

let server: Elasticsearch;
let folder = "";

function sourceOf(options: object, connection: object = {}, more: Partial<SourceDeps> = {}): Source {
  const deps = connectionsTo({ shop: { url: server.url, scripts: true, ...connection } }, more);
  return elasticsearch.create(elasticsearch.options.parse({ connection: "shop", ...options }), deps);
}

async function read(options: object, connection: object = {}, more: Partial<SourceDeps> = {}): Promise<readonly Row[]> {
  await using source = sourceOf(options, connection, more);
  return (await source.read(minute, never)).rows;
}

async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const thrown = await work.then(
    (value) => `no Problem but ${JSON.stringify(value)}`,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(Problem);
  return thrown as Problem;
}

/** Holds until it goes out of scope. */
async function setting(name: string, value: unknown): Promise<AsyncDisposable> {
  const put = (to: unknown) => server.call("PUT", "_cluster/settings", { persistent: { [name]: to } });
  await put(value);
  return { [Symbol.asyncDispose]: async () => void (await put(null)) };
}

/** Searches as they were asked for, without the parts that each shard does. */
const asked = async () => (await server.searches()).filter(({ action }) => action === "indices:data/read/search");

const fronts: Server[] = [];

/** What stands before a server in real networks: ends TLS, wants a log-in, shows a page. */
async function front(answer: RequestListener, tls?: { key: string; cert: string }): Promise<number> {
  const made = tls === undefined ? createHttpServer(answer) : createHttpsServer(tls, answer);
  fronts.push(made);
  made.listen(0, "127.0.0.1");
  await once(made, "listening");
  return (made.address() as AddressInfo).port;
}

const passOn: RequestListener = (incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const onward = request(new URL(url ?? "/", server.url), { method: method ?? "GET", headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(outgoing);
  });
  incoming.pipe(onward);
};

function certificate(host: string): { key: string; cert: string; file: string } {
  const [key, cert] = [join(folder, `${host}.key`), join(folder, `${host}.pem`)];
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${host}`, "-addext", `subjectAltName=${/^\d/.test(host) ? "IP" : "DNS"}:${host}`],
    ...["-keyout", key, "-out", cert],
  ]);
  if (made.status !== 0) throw new Error(`openssl: ${made.error?.message ?? made.stderr}`);
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8"), file: cert };
}

describe.skipIf(missing !== null)(`a real Elasticsearch${missing === null ? "" : ` (${missing})`}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "bellwether-elasticsearch-test-"));
    server = await startElasticsearch({ own: true });
    await makeIndex(server, "orders", types, { number_of_shards: 2 });
    await server.add("orders", [
      { "@timestamp": "2026-11-20T09:00:00Z", country: "Germany", amount: 10.5, id: "9007199254740993" },
      { "@timestamp": "2026-11-20T09:00:59.999Z", country: "Germany", amount: 2.25, id: "9007199254740992" },
      { "@timestamp": "2026-11-20T09:00:30Z", country: "France", amount: 7, id: 3 },
      { "@timestamp": "2026-11-20T09:00:31Z", amount: 1, id: 4 },
      { "@timestamp": "2026-11-20T09:01:00Z", country: "Spain", amount: 1, id: 5 },
    ]);
    await makeIndex(server, "slow", types);
    const slow = Array.from({ length: 20_000 }, (_, id) => ({ "@timestamp": "2026-11-20T09:00:30Z", id }));
    await server.add("slow", slow);
  });
  afterEach(() => {
    for (const made of fronts.splice(0)) made.close();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (folder !== "") rmSync(folder, { recursive: true });
  });

  describe("values", () => {
    test("of documents without the field there is a row without a text, or with the one that was wanted", async () => {
      const france = { country: "France", count: 1, amount: 7 };
      const germany = { country: "Germany", count: 2, amount: 12.75 };
      expect(await read(byCountry)).toEqual([{ country: null, count: 1, amount: 1 }, france, germany]);
      const by = { country: { field: "country", missing: "none" } };
      expect(await read({ ...byCountry, by })).toEqual([{ country: "none", count: 1, amount: 1 }, france, germany]);
    });

    test("ids that a JavaScript number would round stay apart", async () => {
      const rows = await read({ index: "orders", by: ["id"], query: { range: { id: { gt: 100 } } } });
      expect(rows).toEqual([
        { id: 9007199254740992n, count: 1 },
        { id: 9007199254740993n, count: 1 },
      ]);
    });

    test("without by there is one row, also where nothing happened", async () => {
      const options = {
        index: "orders",
        count: "orders",
        values: { amount: { sum: "amount" }, p95: { p95: "amount" } },
      };
      expect(await read(options)).toEqual([{ orders: 4, amount: 20.75, p95: expect.closeTo(10, 0) }]);
      await using source = sourceOf(options);
      const before = { fromMs: 0, toMs: 60_000 };
      expect((await source.read(before, never)).rows).toEqual([{ orders: 0, amount: 0, p95: null }]);
    });

    test("documents that come late are there when the same window is read again", async () => {
      const late = { fromMs: startMs + 3_600_000, toMs: startMs + 3_660_000 };
      await using source = sourceOf(byCountry);
      expect((await source.read(late, never)).rows).toEqual([]);
      await server.add("orders", [{ "@timestamp": "2026-11-20T10:00:05Z", country: "Italy", amount: 3 }]);
      expect((await source.read(late, never)).rows).toEqual([{ country: "Italy", count: 1, amount: 3 }]);
    });
  });

  describe("what would read as a value and is none", () => {
    test("a shard that is not there fails the slot, though the others answer", async () => {
      await makeIndex(server, "orders-lost?wait_for_active_shards=0", types, {
        "index.routing.allocation.require.x": "y",
      });
      const problem = await problemOf(read({ ...byCountry, index: "orders,orders-lost" }));
      expect(problem).toMatchObject({ code: "NET-007", retryable: true });
      expect(problem.message).toContain("orders-lost");
      await server.call("DELETE", "orders-lost");
    });

    test("a search that the server ends for want of time fails the slot", async () => {
      const problem = await problemOf(read({ index: "slow", query: slowQuery(server) }, { search_timeout: "1s" }));
      expect(problem).toMatchObject({ code: "NET-007", retryable: true });
      expect(problem.message).toContain("ran out of time");
    });

    test("a circuit breaker fails the slot, and is worth retrying", async () => {
      const options = { index: "orders", aggs: { id: { terms: { field: "id" } } } };
      {
        await using _ = await setting("indices.breaker.request.limit", "1b");
        expect(await problemOf(read(options))).toMatchObject({ code: "NET-013", retryable: true });
      }
      expect(await read(options)).toHaveLength(4);
    });

    test("more buckets than the server allows are a Problem with a fix", async () => {
      await using _ = await setting("search.max_buckets", 2);
      const problem = await problemOf(read({ index: "orders", aggs: { id: { terms: { field: "id" } } } }));
      expect(problem).toMatchObject({ code: "ELS-009", retryable: false });
      expect(problem.fix).toContain("group more coarsely");
    });

    test("buckets that the server keeps to itself fail the slot", async () => {
      const problem = await problemOf(read({ index: "orders", aggs: { id: { terms: { field: "id", size: 1 } } } }));
      expect(problem).toMatchObject({ code: "ELS-008", retryable: false });
      expect(problem.message).toMatch(/^id leaves out 3 documents/);
    });

    test.each<[string, object, string, string]>([
      ["a time that no document has", { index: "orders", time: "when" }, "ELS-012", "when"],
      ["a time that is no date", { index: "orders", time: "id" }, "ELS-012", "id is long"],
      ["a sum over a field that is not there", { index: "orders", values: { a: { sum: "nope" } } }, "ELS-013", "nope"],
      [
        "a condition on a field that is not there",
        { index: "orders", query: { term: { nope: 1 } } },
        "ELS-013",
        "nope",
      ],
      ["groups by running text", { index: "orders", by: ["note"] }, "ELS-014", "note is text"],
      ["a pattern without an index", { index: "nothing-*" }, "ELS-013", "nothing-*"],
      ["a pattern among others", { index: "orders,nothing_here" }, "ELS-013", "nothing_here"],
      ["a condition that is none", { index: "orders", query: { range: { id: { gte: "x" } } } }, "ELS-020", "x"],
    ])("%s", async (_, options, code, text) => {
      const problem = await problemOf(read(options));
      expect(problem).toMatchObject({ code, retryable: false });
      expect(problem.message).toContain(text);
    });

    test("a server without ES|QL says so", async () => {
      expect(await problemOf(read({ esql: "FROM orders | STATS n = COUNT(*)" }))).toMatchObject({ code: "ELS-015" });
    });
  });

  describe("searches", () => {
    test("a search that nobody waits for is gone from the server's task list, where it bore our name", async () => {
      const stopping = new AbortController();
      await using source = sourceOf({ index: "slow", query: slowQuery(server) });
      const reading = source.read(minute, stopping.signal).catch((reason: unknown) => reason);
      await expect.poll(asked, { timeout: 5_000 }).toMatchObject([{ opaqueId: "bellwether", cancelled: false }]);
      const reason = new Error("stopping");
      const sinceMs = stopwatch();
      stopping.abort(reason);
      expect(await reading).toBe(reason);
      expect(sinceMs()).toBeLessThan(1_000);
      await expect.poll(() => server.searches(), { timeout: 8_000 }).toEqual([]);
    });

    test("no more are sent at a time than the connection allows; who waits can go", async () => {
      const stopping = new AbortController();
      const deps = connectionsTo({ shop: { url: server.url, scripts: true, requests_max: 1 } });
      const make = (options: object) =>
        elasticsearch.create(elasticsearch.options.parse({ connection: "shop", ...options }), deps);
      await using slow = make({ index: "slow", query: slowQuery(server) });
      await using fast = make(byCountry);
      const figure = (name: string) =>
        elasticsearch.measures?.(deps).find((each) => each.name === `bellwether_elasticsearch_${name}`)?.value;
      const reading = slow.read(minute, stopping.signal).catch((reason: unknown) => reason);
      await expect.poll(asked, { timeout: 5_000 }).toHaveLength(1);
      const waiting = problemOf(fast.read(minute, deadline(300)));
      await expect.poll(() => [figure("requests_running"), figure("requests_waiting")]).toEqual([1, 1]);
      expect(await waiting).toMatchObject({ code: "NET-005" });
      expect(await asked()).toHaveLength(1);
      const after = fast.read(minute, never);
      stopping.abort();
      await reading;
      expect((await after).rows).toHaveLength(3);
      expect([figure("requests_running"), figure("requests_waiting")]).toEqual([0, 0]);
    });

    test("a server that hangs costs no more than the time that was given", async () => {
      await using source = sourceOf(byCountry);
      await source.read(minute, never);
      server.pause();
      const began = performance.now();
      expect(await problemOf(source.read(minute, deadline(500)))).toMatchObject({ code: "NET-005", retryable: true });
      expect(performance.now() - began).toBeLessThan(2_000);
      server.resume();
      expect((await source.read(minute, deadline(10_000))).rows).toHaveLength(3);
    });

    test("a server that is gone is worth retrying; when it is back the same source reads", async () => {
      await using source = sourceOf(byCountry);
      const before = (await source.read(minute, never)).rows;
      await server.kill();
      expect(await problemOf(source.read(minute, never))).toMatchObject({ code: "NET-010", retryable: true });
      await server.start();
      expect((await source.read(minute, never)).rows).toEqual(before);
    });

    test("an answer that breaks off is worth retrying", async () => {
      await using proxy = await startProxy(Number(new URL(server.url).port));
      await using source = sourceOf(byCountry, { url: proxy.url });
      await source.read(minute, never);
      await proxy.set({ mode: "reset-answer" });
      expect(await problemOf(source.read(minute, never))).toMatchObject({ code: "NET-010", retryable: true });
      await proxy.set({});
      expect((await source.read(minute, never)).rows).toHaveLength(3);
    });
  });

  describe("who answers", () => {
    test("a page in place of JSON is no answer", async () => {
      const port = await front((_, outgoing) => {
        outgoing.writeHead(200, { "content-type": "text/html" }).end("<html>log in</html>");
      });
      const problem = await problemOf(read(byCountry, { url: `http://127.0.0.1:${port}` }));
      expect(problem).toMatchObject({ code: "NET-006", retryable: false });
    });

    test("a redirect is not followed", async () => {
      const asked: string[] = [];
      const port = await front(({ url }, outgoing) => {
        asked.push(url ?? "");
        outgoing.writeHead(302, { location: `${server.url}/orders/_search` }).end();
      });
      expect(await problemOf(read(byCountry, { url: `http://127.0.0.1:${port}` }))).toMatchObject({ code: "NET-006" });
      expect(asked).toHaveLength(1);
    });

    test("credentials go with each request as they are then; refused they are a Problem that does not show them", async () => {
      const seen: (string | undefined)[] = [];
      const port = await front((incoming, outgoing) => {
        seen.push(incoming.headers.authorization);
        if (incoming.headers.authorization === "ApiKey right-canary") return passOn(incoming, outgoing);
        const error = { type: "security_exception", reason: "unable to authenticate user [report]" };
        outgoing.writeHead(401, { "content-type": "application/json", "x-elastic-product": "Elasticsearch" });
        return outgoing.end(JSON.stringify({ error: { root_cause: [error], ...error }, status: 401 }));
      });
      let key = "wrong-canary";
      const connection = { url: `http://127.0.0.1:${port}`, auth: { api_key: "env:ES_KEY" } };
      await using source = sourceOf(byCountry, connection, { secret: () => key });
      const problem = await problemOf(source.read(minute, never));
      expect(problem).toMatchObject({ code: "NET-011", retryable: false });
      expect(JSON.stringify([problem, problem.cause, problem.message, problem.stack])).not.toContain("canary");
      key = "right-canary";
      expect((await source.read(minute, never)).rows).toHaveLength(3);
      expect(seen[0]).toBe("ApiKey wrong-canary");
    });

    test("a certificate is verified, and a named authority trusted", async () => {
      const own = certificate("127.0.0.1");
      const other = certificate("elsewhere.example");
      const url = `https://127.0.0.1:${await front(passOn, own)}`;
      expect(await problemOf(read(byCountry, { url }))).toMatchObject({ code: "NET-008", retryable: false });
      expect(await read(byCountry, { url, ca: own.file })).toHaveLength(3);
      const wrong = `https://127.0.0.1:${await front(passOn, other)}`;
      const problem = await problemOf(read(byCountry, { url: wrong, ca: other.file }));
      expect(problem).toMatchObject({ code: "NET-008", message: expect.stringContaining("is for another host") });
    });

    test("a file of authorities that is not there is told by its name", () => {
      expect(() => sourceOf(byCountry, { url: "https://127.0.0.1:9", ca: "no-ca.pem" })).toThrow(
        "no-ca.pem cannot be read",
      );
    });

    test.each([
      ["this machine, where no network names it", { networks: [] }, /loopback/],
      ["this machine by name", { networks: [], url: "http://localhost:9200" }, /loopback/],
      [
        "what hands out credentials, whatever is named",
        { url: "http://169.254.169.254", networks: ["0.0.0.0/0"] },
        /metadata/,
      ],
      ["the same in disguise", { url: "http://[::ffff:a9fe:a9fe]", networks: ["::/0"] }, /metadata|link-local/],
    ])("%s is not connected to", async (_, connection, text) => {
      const problem = await problemOf(read(byCountry, connection));
      expect(problem).toMatchObject({ code: "NET-002", retryable: false, message: expect.stringMatching(text) });
    });
  });

  describe("what it says of itself", () => {
    test("version, clock, documents of each index, how many a read would look at", async () => {
      await using source = sourceOf(byCountry);
      const facts = await source.inspect(minute, never);
      expect(facts.server).toMatch(/^Elasticsearch \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+$/);
      expect(facts.tables).toEqual([{ name: "orders", rows: expect.any(Number) }]);
      expect(facts.estimate).toEqual({ rows: 4, cost: null });
      expect(Math.abs(facts.clockAheadMs ?? Number.NaN)).toBeLessThan(2_000);
      expect(facts.problems).toEqual([]);
    });

    test("fields that are not there are told, all of them", async () => {
      await using source = sourceOf({ index: "orders", time: "when", by: ["note"], values: { a: { sum: "nope" } } });
      const { problems } = await source.inspect(minute, never);
      expect(problems.map(({ code }) => code).sort()).toEqual(["ELS-012", "ELS-013", "ELS-014"]);
    });

    test("an account that may write is told of", async () => {
      const port = await front((incoming, outgoing) => {
        if (incoming.url !== "/_security/user/_has_privileges") return passOn(incoming, outgoing);
        // As the server's reference has it: this build has no security.
        const index = {
          orders: { create_doc: true, delete: false, delete_index: false, index: true, manage: false, write: false },
        };
        outgoing.writeHead(200, { "content-type": "application/json", "x-elastic-product": "Elasticsearch" });
        return outgoing.end(
          JSON.stringify({ username: "app", has_all_requested: false, cluster: {}, index, application: {} }),
        );
      });
      for (const production of [false, true]) {
        await using source = sourceOf(byCountry, { url: `http://127.0.0.1:${port}` }, { production });
        expect((await source.inspect(minute, never)).problems).toMatchObject([
          {
            code: "ELS-017",
            severity: production ? "error" : "warning",
            message: expect.stringContaining("create_doc, index"),
          },
        ]);
      }
    });
  });
});
