import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../src/core/time.ts";
import { replicas } from "../../../src/store/stores/index.ts";
import { makeBuckets } from "../../../src/store/stores/influx-setup-buckets.ts";
import { silent } from "./support.ts";

/** Speaks as generations of InfluxDB do that cannot be had here, and as any of them does only when it breaks. */
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

type Handle = (request: IncomingMessage, response: ServerResponse, body: string) => void;

async function serve(handle: Handle): Promise<string> {
  const made = createServer(async (request, response) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of request) pieces.push(piece);
    handle(request, response, Buffer.concat(pieces).toString());
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}

const calm = new AbortController().signal;
const query = {
  measurement: "m",
  fields: ["n"],
  windows: [
    { fromMs: 0, toMs: 10 },
    { fromMs: 20, toMs: 30 },
  ],
};
const schemaLines = [
  { results: [{ statement_id: 0, series: [{ columns: ["tagKey"], values: [["t"]] }] }] },
  { results: [{ statement_id: 1, series: [{ columns: ["fieldKey", "fieldType"], values: [["n", "float"]] }] }] },
];
const statementsOf = (body: string): string[] => (new URLSearchParams(body).get("q") ?? "").split(";");
const lines = (values: readonly object[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");

test.each([
  [{ "x-influxdb-version": "v2.8.0" }, "", "Token abc"],
  [{}, '{"version":"3.0.1","revision":"x"}', "Bearer abc"],
  [{ "x-influxdb-version": "1.8.10" }, "", "Token abc"],
])("a token is shown as the generation wants it: %j %s", async (headers, body, wanted) => {
  const seen: string[] = [];
  const url = await serve((request, response) => {
    seen.push(`${request.url?.replace(/\?.*/, "")} ${request.headers.authorization}`);
    const ping = request.url === "/ping";
    response.writeHead(ping ? 200 : 204, ping ? headers : {}).end(ping ? body : "");
  });
  await using replica = replicas.influx.create(
    { name: "a", url, database: "x", token: "abc" },
    { clock: systemClock, log: silent },
  );
  for (let count = 0; count < 2; count += 1) {
    expect(await replica.send("", Buffer.from(""), calm)).toEqual({ kind: "stored" });
  }
  expect(seen, "what it is, is asked once").toEqual(["/ping Bearer abc", `/write ${wanted}`, `/write ${wanted}`]);
});

test("what it is, is asked again after it failed", async () => {
  let pings = 0;
  let status = 503;
  const url = await serve((request, response) => {
    if (request.url === "/ping") pings += 1;
    response.writeHead(request.url === "/ping" ? 204 : status, { "x-influxdb-version": "v2.8.0" }).end();
  });
  await using replica = replicas.influx.create(
    { name: "a", url, database: "x", token: "abc" },
    { clock: systemClock, log: silent },
  );
  expect(await replica.send("", Buffer.from(""), calm)).toMatchObject({ kind: "unknown" });
  status = 204;
  expect(await replica.send("", Buffer.from(""), calm)).toEqual({ kind: "stored" });
  expect(pings).toBe(2);
});

test("a secret that a server repeats is not passed on", async () => {
  const url = await serve((request, response) => {
    const body = JSON.stringify({ error: `bad header ${request.headers.authorization} for s3cret` });
    response.writeHead(403, { "content-type": "application/json" }).end(body);
  });
  const options = { name: "a", url, database: "x", user: "u", password: "s3cret" };
  await using replica = replicas.influx.create(options, { clock: systemClock, log: silent });
  const answer = await replica.send("", Buffer.from(""), calm);
  expect(JSON.stringify(answer)).not.toContain("s3cret");
  const failed = await replica.read(query, calm).catch((thrown: unknown) => thrown);
  expect(String(failed)).toContain("bad header");
  expect(String(failed)).not.toContain("s3cret");
});

test("of a statement that was not carried out, the reason is asked for", async () => {
  const url = await serve((_, response, body) => {
    const statements = statementsOf(body);
    if (statements.length === 1)
      return response.end(lines([{ results: [{ statement_id: 0, error: "max-select-point limit exceeded" }] }]));
    if (statements.length === 2) return response.end(lines(schemaLines));
    return response.end(
      lines([{ results: [{ statement_id: 0 }] }, { results: [{ statement_id: 1, error: "not executed" }] }]),
    );
  });
  await using replica = replicas.influx.create({ name: "a", url, database: "x" }, { clock: systemClock, log: silent });
  await expect(replica.read(query, calm)).rejects.toThrow("a refuses: max-select-point limit exceeded");
});

test.each<[string, object[]]>([
  ["the last statements are missing", [{ results: [{ statement_id: 0 }] }]],
  [
    "more was to come",
    [{ results: [{ statement_id: 0, partial: true }, { statement_id: 1 }, { statement_id: 2 }, { statement_id: 3 }] }],
  ],
])("an answer is not taken for whole where %s", async (_, answer) => {
  const url = await serve((__, response, body) => {
    response.end(lines(statementsOf(body).length === 2 ? schemaLines : answer));
  });
  await using replica = replicas.influx.create({ name: "a", url, database: "x" }, { clock: systemClock, log: silent });
  await expect(replica.read(query, calm)).rejects.toMatchObject({
    message: "a refuses: the answer ended early",
    retryable: true,
  });
});

test("a connection that breaks in the middle of an answer is no answer", async () => {
  const url = await serve((_, response, body) => {
    if (statementsOf(body).length === 2) return void response.end(lines(schemaLines));
    response.write(
      lines([{ results: [{ statement_id: 0, series: [{ columns: ["time", "n", "t"], values: [[1, 1, null]] }] }] }]),
      () => response.destroy(),
    );
  });
  await using replica = replicas.influx.create({ name: "a", url, database: "x" }, { clock: systemClock, log: silent });
  await expect(replica.read(query, calm)).rejects.toMatchObject({
    retryable: true,
    message: expect.stringMatching(/^a does not answer/),
  });
});

test("in 2.x what is missing is made as buckets, with names that 1.x has for them", async () => {
  const buckets = [
    { name: "", keepMs: null, shardMs: 86_400_000, everyMs: null },
    { name: "tens", keepMs: 86_400_000, shardMs: 3_600_000, everyMs: 600_000 },
    { name: "there", keepMs: null, shardMs: 3_600_000, everyMs: 600_000 },
  ];
  const answers: Record<string, unknown> = {
    "GET /api/v2/buckets?name=db": { buckets: [] },
    "GET /api/v2/orgs?limit=2": { orgs: [{ id: "o1", name: "org" }] },
    "GET /api/v2/dbrps?orgID=o1&db=db": { content: [{ database: "db", retention_policy: "there" }] },
    "GET /api/v2/buckets?name=db%2Ftens": null,
    "GET /api/v2/buckets?name=db%2Fthere": { buckets: [{ id: "b9", name: "db/there", orgID: "o1" }] },
    "POST /api/v2/buckets": { id: "b1", name: "made" },
    "POST /api/v2/dbrps": {},
  };
  const made: unknown[] = [];
  await makeBuckets("db", buckets, async (method, path, body) => {
    if (method === "POST") made.push([path, body]);
    expect(answers, `${method} ${path}`).toHaveProperty([`${method} ${path}`]);
    return answers[`${method} ${path}`];
  });
  const rule = (everySeconds: number, shardGroupDurationSeconds: number) => [
    { type: "expire", everySeconds, shardGroupDurationSeconds },
  ];
  expect(made).toEqual([
    ["/api/v2/buckets", { orgID: "o1", name: "db", retentionRules: rule(0, 86_400) }],
    ["/api/v2/dbrps", { orgID: "o1", bucketID: "b1", database: "db", retention_policy: "autogen", default: true }],
    ["/api/v2/buckets", { orgID: "o1", name: "db/tens", retentionRules: rule(86_400, 3_600) }],
    ["/api/v2/dbrps", { orgID: "o1", bucketID: "b1", database: "db", retention_policy: "tens", default: false }],
  ]);
});
