import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Measured } from "../../../src/core/ports.ts";
import { hourMs } from "../../../src/core/time.ts";
import { buildConsole } from "../../../src/show/console/server.ts";
import { measuresText } from "../../../src/show/metrics.ts";
import { openShop, quiet, type Shop } from "../../support/console.ts";

/** How the server behaves whatever is asked: errors, caching, protection, metrics, the app's files. */

let shop: Shop;
let webDir: string;
let app: Awaited<ReturnType<typeof buildConsole>>;

beforeAll(async () => {
  shop = await openShop(2 * hourMs);
  webDir = await mkdtemp(join(tmpdir(), "bellwether-web-"));
  await mkdir(join(webDir, "assets"));
  await writeFile(join(webDir, "index.html"), "<!doctype html><title>Bellwether</title>");
  await writeFile(join(webDir, "assets", "index-abc123.js"), "export {};");
  app = await buildConsole({ facts: shop.facts, log: quiet, webDir });
});
afterAll(async () => {
  await app.close();
  await shop[Symbol.asyncDispose]();
  await rm(webDir, { recursive: true });
});

const json = { "content-type": "application/json" };

describe("errors are problem documents", () => {
  test.each([
    ["GET", "/api/v1/nothing", {}, undefined, 404],
    ["POST", "/api/v1/nothing", json, "{}", 404],
    ["DELETE", "/api/v1/overview", {}, undefined, 405],
    ["POST", "/api/v1/overview", json, "{}", 405],
    ["GET", "/api/v1/incidents/x/acknowledge", {}, undefined, 405],
    ["POST", "/api/v1/silences", { "content-type": "text/plain" }, "hello", 415],
    ["POST", "/api/v1/silences", { "content-type": "application/x-www-form-urlencoded" }, "a=b", 415],
    ["POST", "/api/v1/silences", json, "{not json", 400],
    ["POST", "/api/v1/silences", json, '{"__proto__": {"x": 1}}', 400],
    ["POST", "/api/v1/silences", json, JSON.stringify({ reason: "x".repeat(1_100_000) }), 413],
    ["GET", "/api/v1/overview?limit=0", {}, undefined, 400],
    ["GET", "/api/v1/overview?cursor=!!", {}, undefined, 400],
  ] as const)("%s %s gives a problem", async (method, url, headers, payload, status) => {
    const response = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
    expect(response.statusCode).toBe(status);
    expect(response.headers["content-type"]).toContain("application/problem+json");
    expect(response.json()).toMatchObject({
      type: "about:blank",
      status,
      title: expect.any(String),
      detail: expect.not.stringContaining("[object"),
    });
    if (status === 405) expect(response.headers.allow).toMatch(/GET|POST/);
  });

  test("a defect is logged and not told", async () => {
    const logged: object[] = [];
    const log = { ...quiet, error: (fields: object) => logged.push(fields) };
    const next = () => {
      throw new TypeError("secret detail");
    };
    const broken = await buildConsole({ facts: { ...shop.facts, next }, log, webDir });
    const response = await broken.inject("/api/v1/samplers");
    await broken.close();
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain("secret detail");
    expect(logged).toHaveLength(1);
  });
});

test("what is polled carries an ETag; unchanged, the answer is 304 without a body", async () => {
  for (const url of [
    "/overview",
    "/incidents",
    "/samplers",
    "/processes",
    "/silences",
    "/mailbox",
    "/slots",
    "/replicas",
    "/health",
  ]) {
    const first = await app.inject(`/api/v1${url}`);
    const tag = first.headers.etag as string;
    expect(first.headers["cache-control"]).toBe("no-cache");
    const again = await app.inject({ url: `/api/v1${url}`, headers: { "if-none-match": `W/${tag}, "other"` } });
    expect([url, again.statusCode, again.body]).toEqual([url, 304, ""]);
    expect(again.headers.etag).toBe(tag);
  }
  const tag = (await app.inject("/api/v1/health")).headers.etag as string;
  await shop.clock.advance("1s");
  const changed = await app.inject({ url: "/api/v1/health", headers: { "if-none-match": tag } });
  expect(changed.statusCode).toBe(200);
});

test("the OpenAPI document describes every path, its parameters and answers", async () => {
  const { openapi, paths } = (await app.inject("/api/v1/openapi.json")).json();
  expect(openapi).toBe("3.1.0");
  expect(Object.keys(paths).sort()).toEqual([
    "/api/v1/definitions/problems",
    "/api/v1/health",
    "/api/v1/incidents",
    "/api/v1/incidents/{id}",
    "/api/v1/incidents/{id}/acknowledge",
    "/api/v1/mailbox",
    "/api/v1/mailbox/{id}",
    "/api/v1/mailbox/{id}/html",
    "/api/v1/overview",
    "/api/v1/processes",
    "/api/v1/replicas",
    "/api/v1/replicas/compare",
    "/api/v1/replicas/repair",
    "/api/v1/replicas/requeue",
    "/api/v1/replicas/shelf",
    "/api/v1/samplers",
    "/api/v1/samplers/{name}/shadow/end",
    "/api/v1/series/explain",
    "/api/v1/series/points",
    "/api/v1/silences",
    "/api/v1/silences/{id}/end",
    "/api/v1/slots",
  ]);
  const { get } = paths["/api/v1/overview"];
  expect(get.parameters.map((one: { name: string }) => one.name)).toContain("level");
  expect(get.responses["200"].content["application/json"].schema.properties).toHaveProperty("items");
  expect(Object.keys(paths["/api/v1/overview"])).toEqual(["get"]);
});

describe("protection", () => {
  const order = { method: "POST" as const, url: "/api/v1/incidents/none/acknowledge", payload: '{"by":"Ana"}' };

  test.each([
    [{ origin: "http://localhost" }, 404],
    [{}, 404],
    [{ origin: "http://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "http://localhost:9999" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ host: "evil.example", origin: "http://evil.example" }, 421],
  ])("an order from %j is answered with %i", async (headers, status) => {
    const response = await app.inject({ ...order, headers: { host: "localhost", ...json, ...headers } });
    expect(response.statusCode).toBe(status);
  });

  test("reading by another name is refused while bound to loopback, and not otherwise", async () => {
    const headers = { host: "console.shop.example" };
    expect((await app.inject({ url: "/api/v1/health", headers })).statusCode).toBe(421);
    for (const host of ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"]) {
      expect((await app.inject({ url: "/api/v1/health", headers: { host } })).statusCode).toBe(200);
    }
    const open = await buildConsole({ facts: shop.facts, log: quiet, webDir, host: "0.0.0.0" });
    expect((await open.inject({ url: "/api/v1/health", headers })).statusCode).toBe(200);
    await open.close();
  });

  test("pages run no inline script and stand in no frame", async () => {
    const response = await app.inject({ url: "/", headers: { accept: "text/html" } });
    const policy = response.headers["content-security-policy"] as string;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(response.headers["x-content-type-options"]).toBe("nosniff");
  });
});

describe("the app's files", () => {
  test("any page's address gives the app; hashed files may be kept for ever", async () => {
    for (const url of ["/", "/incidents/0198-de", "/series?s=x"]) {
      const page = await app.inject({ url, headers: { accept: "text/html,*/*" } });
      expect([url, page.statusCode, page.headers["cache-control"]]).toEqual([url, 200, "no-cache"]);
      expect(page.body).toContain("Bellwether");
    }
    const asset = await app.inject("/assets/index-abc123.js");
    expect(asset.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    expect((await app.inject({ url: "/assets/gone.js", headers: { accept: "*/*" } })).statusCode).toBe(404);
    expect((await app.inject({ url: "/../package.json", headers: { accept: "*/*" } })).statusCode).toBe(404);
  });

  test("without a build the reader is told how to get one", async () => {
    const bare = await buildConsole({ facts: shop.facts, log: quiet, webDir: "/nowhere" });
    const response = await bare.inject({ url: "/", headers: { accept: "text/html" } });
    await bare.close();
    expect(response.statusCode).toBe(404);
    expect(response.json().fix).toContain("npm run demo");
  });
});

describe("probes and metrics", () => {
  test("alive always; ready with its reasons", async () => {
    expect((await app.inject("/healthz")).body).toBe("alive\n");
    expect((await app.inject("/readyz")).statusCode).toBe(200);
    shop.unready = "history is being loaded";
    const response = await app.inject("/readyz");
    shop.unready = null;
    expect(response.statusCode).toBe(503);
    expect(response.json()).toEqual({ ready: false, reasons: ["history is being loaded"] });
  });

  test("components, the process and the requests are measured", async () => {
    await app.inject("/api/v1/health");
    const response = await app.inject("/metrics");
    expect(response.headers["content-type"]).toContain("text/plain; version=0.0.4");
    expect(response.body).toMatch(/^bellwether_slots\{state="failed"\} 1$/m);
    expect(response.body).toMatch(/^# TYPE bellwether_slots gauge$/m);
    expect(response.body).toMatch(/^process_resident_memory_bytes \d+/m);
    expect(response.body).toMatch(
      /^bellwether_http_request_duration_seconds_count\{method="GET",route="\/api\/v1\/health",status="200"\} \d+$/m,
    );
    expect(response.body).toMatch(/^bellwether_unmeasured 0$/m);
  });

  test("a component that is silent, or fails, costs its own numbers only, and no scrape its patience", async () => {
    const help = "Anything.";
    const sound: Measured = { measures: () => [{ name: "sound", help, kind: "gauge", value: 7 }] };
    const silent: Measured = { measures: () => new Promise(() => {}) };
    const failing: Measured = {
      measures: () => {
        throw new Error("no numbers");
      },
    };
    const fromMs = performance.now();
    const text = await measuresText([silent, sound, failing], quiet);
    expect(performance.now() - fromMs).toBeLessThan(5_000);
    expect(text).toMatch(/^sound 7$/m);
    expect(text).toMatch(/^bellwether_unmeasured 2$/m);
  });
});
