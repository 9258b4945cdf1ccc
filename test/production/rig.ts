/**
 * The production shape without containers: a scheduler, three workers and a console as docker-compose.yml has them, with
 * the environment that it gives them, over a real Redis, PostgreSQL and two InfluxDBs, a mail server and a shop.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis as RedisClient } from "ioredis";
import { stopwatch } from "../../src/core/time.ts";
import { type BellwetherService, composeServices, projectDir, someSecrets } from "../support/compose.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";
import { type Postgres, startPostgres } from "../support/servers/postgres.ts";
import { freePort } from "../support/servers/process.ts";
import { type Redis, startRedis } from "../support/servers/redis.ts";
import { steps, writeDefinitions } from "./definitions.ts";
import { MailServer } from "./mailbox.ts";
import { Service } from "./service.ts";
import { history, Shop } from "./shop.ts";
import { ShareWatch } from "./watch.ts";

/** Every password of the environment; none of them may be seen anywhere. */
export const secrets: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.keys(someSecrets).map((name) => [name, `canary${name.toLowerCase().replaceAll("_", "")}7d1f`]),
  ),
  WEBHOOK_SECRET: `whsec_${Buffer.from("canary-webhook-secret-of-32-byte").toString("base64")}`,
  SHOP_DB_PASSWORD: "canaryshopreader7d1f",
};

const database = "bellwether";
const collectingMsMax = 60_000;

type Servers = {
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly a: Influx;
  readonly b: Influx;
  readonly mail: MailServer;
};

export class Rig implements AsyncDisposable {
  readonly servers: Servers;
  readonly shop: Shop;
  readonly services: ReadonlyMap<string, Service>;
  readonly shares: ShareWatch;
  /** What was done to whom, for people. */
  readonly story: string[] = [];
  readonly #dir: string;
  readonly #startMs = Date.now();

  /** All servers and all processes run, and every sampler has had its first slot. */
  static async open(options: { readonly historyMs: number }): Promise<Rig> {
    const dir = mkdtempSync(join(tmpdir(), "bellwether-production-"));
    const servers = await startServers();
    const shop = await Shop.open(servers.postgres, secrets.SHOP_DB_PASSWORD as string);
    await prepare(servers, options.historyMs);
    writeDefinitions(join(dir, "config"), shop.address);
    const rig = new Rig(dir, servers, shop, await servicesOf(dir, servers));
    try {
      shop.begin();
      for (const service of rig.services.values()) service.start();
      await Promise.all([...rig.services.values()].map((service) => service.ready()));
      await rig.shares.begin();
      await rig.#collecting();
      return rig;
    } catch (thrown) {
      const text = [...rig.services.values()].map((each) => `--- ${each.name}\n${each.text.slice(-3_000)}`).join("\n");
      await rig[Symbol.asyncDispose]();
      throw new Error(`${thrown instanceof Error ? thrown.stack : thrown}\n${text}`);
    }
  }

  private constructor(dir: string, servers: Servers, shop: Shop, services: ReadonlyMap<string, Service>) {
    this.#dir = dir;
    this.servers = servers;
    this.shop = shop;
    this.services = services;
    this.shares = new ShareWatch(this.factsUrl);
  }

  /** The facts, as the server's superuser. */
  get factsUrl(): string {
    const url = new URL(this.servers.postgres.url);
    url.pathname = `/${database}`;
    return url.href;
  }

  facts(sql: string): Promise<Record<string, unknown>[]> {
    return this.servers.postgres.query(sql, this.factsUrl);
  }

  get workers(): readonly Service[] {
    return [...this.services.values()].filter(({ name }) => name.startsWith("worker"));
  }

  /** Where the length was chosen, somebody looks on. */
  tell(what: string): void {
    const line = `${((Date.now() - this.#startMs) / 1_000).toFixed(1).padStart(6)} s  ${what}`;
    this.story.push(line);
    if (process.env.BELLWETHER_TEST_PRODUCTION_MINUTES !== undefined) console.log(line);
  }

  /** A connection to Redis of the test's own. */
  async withRedis<T>(work: (client: RedisClient) => Promise<T>): Promise<T> {
    const client = new RedisClient(this.servers.redis.url, { maxRetriesPerRequest: 2 });
    client.on("error", () => {});
    try {
      return await work(client);
    } finally {
      client.disconnect();
    }
  }

  async #collecting(): Promise<void> {
    const elapsedMs = stopwatch();
    while (elapsedMs() < collectingMsMax) {
      const rows = await this.facts("select distinct sampler from slots where state = 'done'");
      if (rows.length === steps.size) return this.tell("all samplers have had a slot");
      await sleep(250);
    }
    throw new Error("some samplers have had no slot");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.shares.end();
    await Promise.all([...this.services.values()].map((service) => service.kill()));
    await this.shop[Symbol.asyncDispose]();
    const { postgres, redis, a, b, mail } = this.servers;
    for (const server of [postgres, redis, a, b, mail]) await server[Symbol.asyncDispose]();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

async function startServers(): Promise<Servers> {
  const influx = {
    databases: [database],
    admin: { name: "admin", password: secrets.INFLUX_ADMIN_PASSWORD as string },
    users: [
      { name: "bellwether", password: secrets.INFLUX_PASSWORD as string, rights: { [database]: "all" } },
      { name: "grafana", password: secrets.INFLUX_READ_PASSWORD as string, rights: { [database]: "read" } },
    ],
  } as const;
  const [postgres, redis, a, b, mail] = await Promise.all([
    startPostgres({ own: true }),
    startRedis({ own: true, config: { requirepass: secrets.REDIS_PASSWORD as string } }),
    startInflux(influx),
    startInflux(influx),
    MailServer.start("bellwether", secrets.MAILBOX_PASSWORD as string),
  ]);
  return { postgres, redis, a, b, mail };
}

/** Accounts and buckets as the images make them, and a week that both copies remember. */
async function prepare({ postgres, a, b }: Servers, historyMs: number): Promise<void> {
  await postgres.query(`create role bellwether login password '${secrets.POSTGRES_PASSWORD}'`);
  await postgres.query(`create database ${database} owner bellwether template template0 encoding 'UTF8'`);
  const policies = readFileSync(join(projectDir, "deploy/influxdb/policies.iql"), "utf8");
  for (const server of [a, b]) {
    await server.query(policies);
    for (const lines of history(Date.now(), historyMs)) {
      const { status } = await server.write(database, lines);
      if (status !== 204) throw new Error(`the history was not taken: ${status}`);
    }
  }
}

/** The services of docker-compose.yml, and a third worker as docs/deploy.md says it is made. */
async function servicesOf(dir: string, { postgres, redis, a, b, mail }: Servers): Promise<Map<string, Service>> {
  const addresses = {
    "postgres:5432": `127.0.0.1:${postgres.port}`,
    "redis:6379": `127.0.0.1:${redis.port}`,
    "influx-a:8086": `127.0.0.1:${a.port}`,
    "influx-b:8086": `127.0.0.1:${b.port}`,
    "mailbox:1025": `127.0.0.1:${mail.port}`,
  };
  const composed = new Map<string, BellwetherService>(composeServices(addresses, secrets));
  const second = composed.get("worker-2") as BellwetherService;
  composed.set("worker-3", { ...second, environment: { ...second.environment, BELLWETHER_NAME: "worker-3" } });
  const services = new Map<string, Service>();
  for (const [name, { args, environment }] of composed) {
    const data = join(dir, name);
    mkdirSync(data, { recursive: true });
    const own = {
      BELLWETHER_CONFIG: join(dir, "config"),
      BELLWETHER_DATA: data,
      BELLWETHER_HOST: "127.0.0.1",
      BELLWETHER_PORT: String(await freePort()),
      // What connections.env holds.
      SHOP_DB_PASSWORD: secrets.SHOP_DB_PASSWORD as string,
    };
    services.set(name, new Service(name, { args, environment: { ...environment, ...own } }, dir));
  }
  return services;
}
