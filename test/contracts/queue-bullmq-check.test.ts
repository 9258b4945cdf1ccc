/** What a Redis is held against before it is trusted with waking workers: real servers, each with one thing wrong. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Redis as Client } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { formatProblem } from "../../src/core/problem.ts";
import { redisProblems } from "../../src/schedule/queues/bullmq-check.ts";
import { checkRedis } from "../../src/schedule/queues/index.ts";
import { serverFolder } from "../support/servers/own.ts";
import { freePort } from "../support/servers/process.ts";
import { type Redis, type RedisConfig, startRedis, whyNoRedis } from "../support/servers/redis.ts";

const missing = whyNoRedis({ own: true });

describe.skipIf(missing !== null)(`checks of Redis${missing === null ? "" : ` (${missing})`}`, () => {
  const servers: Redis[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]())));

  const start = async (config: RedisConfig = {}): Promise<Redis> => {
    const server = await startRedis({ own: true, config });
    servers.push(server);
    return server;
  };
  const texts = async (url: string): Promise<string[]> => (await checkRedis(url)).map(formatProblem);

  test("a safe one", async () => {
    const { url } = await start();
    expect(await checkRedis(url)).toEqual([]);
  });

  test("RDS-001 and RDS-002: one that drops and forgets, as it comes out of the box", async () => {
    const { url, port } = await start({ "maxmemory-policy": "allkeys-lru", appendonly: "no" });
    const place = `REDIS_URL 127.0.0.1:${port}`;
    expect(await texts(url)).toEqual([
      `RDS-001 ${place} - drops jobs when its memory is full (maxmemory-policy allkeys-lru). Fix: CONFIG SET maxmemory-policy noeviction, and the same line in redis.conf.`,
      `RDS-002 ${place} - forgets jobs when it is restarted (appendonly no). Fix: CONFIG SET appendonly yes, and the same line in redis.conf.`,
    ]);
    expect((await checkRedis(url)).map(({ severity }) => severity)).toEqual(["error", "error"]);
  });

  test("one that mends itself by the fixes it was told", async () => {
    const { url } = await start({ "maxmemory-policy": "volatile-ttl", appendonly: "no" });
    const client = new Client(url);
    await client.config("SET", "maxmemory-policy", "noeviction");
    await client.config("SET", "appendonly", "yes");
    client.disconnect();
    await expect.poll(() => texts(url)).toEqual([]);
  });

  test("a user who may not ask for CONFIG is told the same", async () => {
    const server = await start({
      "maxmemory-policy": "allkeys-lfu",
      user: "bellwether on >secret ~bellwether:* +@all -config",
    });
    const url = `redis://bellwether:secret@127.0.0.1:${server.port}`;
    expect((await checkRedis(url)).map(({ code }) => code)).toEqual(["RDS-001"]);
  });

  test("a user who may not ask for anything", async () => {
    const server = await start({ user: "bellwether on >secret ~bellwether:* +ping" });
    const found = await texts(`redis://bellwether:secret@127.0.0.1:${server.port}`);
    expect(found.join()).toContain("does not tell its settings to this user");
  });

  test("no password, and a wrong one, which is not repeated", async () => {
    const { port, url } = await start({ requirepass: "correct-horse" });
    const place = `REDIS_URL 127.0.0.1:${port}`;
    expect(await checkRedis(url)).toEqual([]);
    expect(await texts(`redis://127.0.0.1:${port}`)).toEqual([
      `${place} - wants a password. Fix: put user and password into REDIS_URL.`,
    ]);
    for (const userInfo of [":battery-staple", "somebody:battery-staple"]) {
      const problems = await checkRedis(`redis://${userInfo}@127.0.0.1:${port}`);
      expect(problems.map(formatProblem)).toEqual([
        `${place} - refuses the user or the password. Fix: correct user and password in REDIS_URL.`,
      ]);
      expect(JSON.stringify(problems, Object.getOwnPropertyNames(Error.prototype))).not.toContain("battery-staple");
    }
  });

  test("a replica takes no jobs, and says whose it is", async () => {
    const primary = await start();
    const replica = await start({ replicaof: `127.0.0.1 ${primary.port}` });
    expect((await texts(replica.url)).join()).toContain(`is a replica of 127.0.0.1:${primary.port}`);
  });

  test("nobody there, and somebody who says nothing", async () => {
    const port = await freePort();
    const [problem] = await checkRedis(`redis://:battery-staple@127.0.0.1:${port}/2`);
    expect(problem).toMatchObject({ where: `REDIS_URL 127.0.0.1:${port}`, retryable: true, severity: "error" });
    expect(problem?.message).toMatch(/^does not answer: connect ECONNREFUSED/);
    const server = await start();
    server.pause();
    const begunMs = performance.now();
    expect((await texts(server.url)).join()).toContain("does not answer");
    expect(performance.now() - begunMs).toBeLessThan(7_000);
    server.resume();
  });

  test("TLS: a certificate that nobody vouches for is refused", async () => {
    const dir = await serverFolder("redis-tls");
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
    execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
    const port = await freePort();
    await start({ "tls-port": String(port), "tls-cert-file": cert, "tls-key-file": key, "tls-ca-cert-file": cert });
    expect((await texts(`rediss://127.0.0.1:${port}`)).join()).toMatch(/does not answer: .*self.signed certificate/);
  });
});

describe("what INFO says", () => {
  const safe = ["redis_version:7.0.15", "maxmemory_policy:noeviction", "aof_enabled:1", "aof_last_write_status:ok"];
  const codes = (...lines: readonly string[]): (string | undefined)[] => {
    const known = new Map([...safe, "role:master", ...lines].map((line) => line.split(":", 2) as [string, string]));
    const info = [...known].map(([name, value]) => `${name}:${value}`).join("\r\n");
    return redisProblems(`# Server\r\n${info}\r\n`, "REDIS_URL h:1").map(({ code, message }) => code ?? message);
  };
  test.each([
    ["6.0.16", ["RDS-003"]],
    ["5.0.14", ["RDS-003"]],
    ["6.2.0", []],
    ["6.10.1", []],
    ["7.4.2", []],
    ["8.0.0", []],
    ["", ["RDS-003"]],
  ])("RDS-003: version %s", (version, wanted) => expect(codes(`redis_version:${version}`)).toEqual(wanted));
  test("RDS-002: an append-only file that cannot be written", () =>
    expect(codes("aof_last_write_status:err")).toEqual(["RDS-002"]));
  test("a replica that has lost its primary", () =>
    expect(codes("role:slave", "master_host:db", "master_port:6379", "master_link_status:down")).toEqual([
      "is a replica of db:6379, and has lost touch with it: it takes no jobs",
    ]));
});

test.each(["http://h", "redis://", "redis://h:1/x", "h:6379", "redis://u:battery-staple@h:99999"])(
  "not the address of a Redis: %s",
  async (url) => {
    const thrown = await checkRedis(url).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ name: "Problem", message: "not the address of a Redis", where: "REDIS_URL" });
    expect(String(thrown)).not.toContain("battery-staple");
  },
);
