import { isAbsolute } from "node:path";
import { describe, expect, test } from "vitest";
import { Problems } from "../../src/core/problem.ts";
import { describeSettings, readSettings, type Settings } from "../../src/settings.ts";

function problemsOf(env: Record<string, string>) {
  try {
    readSettings(env);
  } catch (thrown) {
    if (thrown instanceof Problems) return thrown.problems;
    throw thrown;
  }
  throw new Error("the settings were taken");
}

const day = 86_400_000;

describe("settings", () => {
  test("nothing set is the one-process shape, listening on loopback, with everything in ./var", () => {
    const { configDir, dataDir, ...rest } = readSettings({});
    expect([configDir, dataDir].every(isAbsolute)).toBe(true);
    expect(dataDir).toMatch(/\/var$/);
    expect(rest).toEqual({
      host: "127.0.0.1",
      port: 8080,
      baseUrl: null,
      zone: "UTC",
      environment: "development",
      logLevel: "info",
      concurrency: 32,
      redisUrl: null,
      databaseUrl: null,
      processName: null,
      behindProxy: false,
      catchUp: { ageMsMax: day, slotsMax: 1500 },
      influx: [],
      keepPointsMs: 400 * day,
      keepRawMs: 30 * day,
      spoolBytesMax: 4e9,
      repairPointsPerSecond: 20_000,
      keepFactsMs: 90 * day,
      smtpUrl: null,
      mailFrom: "Bellwether <bellwether@localhost>",
      webhookSecrets: [],
    });
  });

  test("a name that is set to nothing counts as not set", () => {
    expect(readSettings({ BELLWETHER_PORT: "", SMTP_URL: "", BELLWETHER_ZONE: "" })).toEqual(readSettings({}));
  });

  const secret = `whsec_${Buffer.from("twenty-four bytes of key").toString("base64")}`;
  const taken: [string, string, Partial<Settings>][] = [
    ["BELLWETHER_PORT", "0", { port: 0 }],
    ["BELLWETHER_PORT", "65535", { port: 65_535 }],
    ["BELLWETHER_URL", "https://watch.shop.example/", { baseUrl: "https://watch.shop.example" }],
    ["BELLWETHER_ZONE", "Asia/Shanghai", { zone: "Asia/Shanghai" }],
    ["BELLWETHER_ENV", "production", { environment: "production" }],
    ["BELLWETHER_LOG", "silent", { logLevel: "silent" }],
    ["BELLWETHER_CATCH_UP", "2h 10", { catchUp: { ageMsMax: 7_200_000, slotsMax: 10 } }],
    ["BELLWETHER_CATCH_UP", "0s 0", { catchUp: { ageMsMax: 0, slotsMax: 0 } }],
    ["BELLWETHER_KEEP_POINTS", "60d", { keepPointsMs: 60 * day }],
    ["BELLWETHER_KEEP_FACTS", "1d", { keepFactsMs: day }],
    ["BELLWETHER_KEEP_RAW", "forever", { keepRawMs: null }],
    ["BELLWETHER_KEEP_RAW", "8d", { keepRawMs: 8 * day }],
    ["BELLWETHER_SPOOL_MAX", "1.5GB", { spoolBytesMax: 1.5e9 }],
    ["BELLWETHER_REPAIR_RATE", "5000", { repairPointsPerSecond: 5_000 }],
    [
      "INFLUX_URLS",
      "a=http://li:p%40ss@one.example:8086/shop  b=https://two.example/shop",
      {
        influx: [
          { name: "a", url: "http://one.example:8086", database: "shop", user: "li", password: "p@ss" },
          { name: "b", url: "https://two.example", database: "shop" },
        ],
      },
    ],
    ["SMTP_URL", "smtps://user:pass@mail.example:465", { smtpUrl: "smtps://user:pass@mail.example:465" }],
    ["WEBHOOK_SECRET", `${secret}  ${secret}`, { webhookSecrets: [secret, secret] }],
  ];
  test.each(taken)("%s=%s is taken", (name, value, expected) => {
    expect(readSettings({ [name]: value })).toMatchObject(expected);
  });

  test("an InfluxDB takes its token from a setting of its own", () => {
    const INFLUX_URLS = "copy-1=http://one.example:8086/shop b=http://two.example:8086/shop";
    const { influx } = readSettings({ INFLUX_URLS, INFLUX_TOKEN_COPY_1: "t0ken" });
    expect(influx.map(({ token }) => token)).toEqual(["t0ken", undefined]);
  });

  test.each([
    ["BELLWETHER_PORT", "65536"],
    ["BELLWETHER_PORT", "-1"],
    ["BELLWETHER_PORT", "80.5"],
    ["BELLWETHER_PORT", "1e3"],
    ["BELLWETHER_URL", "watch.shop.example"],
    ["BELLWETHER_URL", "ftp://shop.example"],
    ["BELLWETHER_ZONE", "Beijing"],
    ["BELLWETHER_ENV", "prod"],
    ["BELLWETHER_LOG", "verbose"],
    ["BELLWETHER_CONCURRENCY", "0"],
    ["BELLWETHER_CATCH_UP", "24h"],
    ["BELLWETHER_CATCH_UP", "1500 24h"],
    ["BELLWETHER_CATCH_UP", "24h 1500 7"],
    ["BELLWETHER_KEEP_POINTS", "7d"],
    ["BELLWETHER_KEEP_FACTS", "90"],
    ["BELLWETHER_KEEP_RAW", "never"],
    ["BELLWETHER_SPOOL_MAX", "4"],
    ["BELLWETHER_SPOOL_MAX", "1MB"],
    ["BELLWETHER_REPAIR_RATE", "0"],
  ])("%s=%s is refused, with its value and a fix", (name, value) => {
    const [problem, ...others] = problemsOf({ [name]: value });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ where: name, fix: expect.stringMatching(/./) });
    expect(problem?.message).toContain(`(got ${JSON.stringify(value)})`);
  });

  test.each([
    ["SMTP_URL", "mail.example:c4nary"],
    ["SMTP_URL", "http://user:c4nary@mail.example"],
    ["WEBHOOK_SECRET", "c4nary"],
    ["INFLUX_URLS", "http://li:c4nary@one.example:8086/shop"],
    ["INFLUX_URLS", "a=http://li:c4nary@one.example:8086"],
    ["INFLUX_URLS", "a=ftp://li:c4nary@one.example/shop"],
    ["INFLUX_URLS", "a=http://li:c4nary@one.example/shop A=http://two.example/shop"],
    ["INFLUX_URLS", "a=http://li:c4nary@one.example/shop a=http://two.example/shop"],
    ["INFLUX_URLS", "a=http://li:c4nary@one.example/shop b=http://li@one.example/shop"],
    ["REDIS_URL", "http://:c4nary@queue.example"],
    ["REDIS_URL", "c4nary"],
    ["DATABASE_URL", "sqlite://c4nary"],
    ["DATABASE_URL", "postgres://"],
    ["WEBHOOK_SECRET", "whsec_c4nary"],
    ["WEBHOOK_SECRET", `${secret} ${secret} ${secret}`],
  ])("%s is refused without its value being shown", (name, value) => {
    const [problem] = problemsOf({ [name]: value });
    expect(problem?.where).toBe(name);
    expect(`${problem?.message} ${problem?.fix}`).not.toMatch(/c4nary|dHdlbnR5/);
  });

  test("several processes need a queue, and facts that they can share", () => {
    const database = "postgres://facts.example/bellwether";
    const queue = "rediss://:c4nary@queue.example:6380/1";
    expect(readSettings({ REDIS_URL: queue, DATABASE_URL: database })).toMatchObject({
      redisUrl: queue,
      databaseUrl: database,
    });
    expect(readSettings({ DATABASE_URL: "mysql://facts.example/bellwether" }).redisUrl).toBeNull();
    expect(problemsOf({ REDIS_URL: queue })).toMatchObject([{ where: "DATABASE_URL" }]);
  });

  test("every fault is found in one pass", () => {
    const env = { BELLWETHER_PORT: "x", BELLWETHER_ZONE: "x", BELLWETHER_LOG: "x" };
    expect(problemsOf(env).map(({ where }) => where)).toEqual(Object.keys(env));
  });

  test("help describes each one with its default, within 120 columns", () => {
    const lines = describeSettings().split("\n");
    expect(lines).toHaveLength(Object.keys(readSettings({})).length);
    for (const line of lines) expect(line).toMatch(/^ {2}[A-Z_]+ +\S.* \[.+\]$/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(120);
  });
});
