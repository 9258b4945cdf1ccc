/** One installation as whole processes: schedulers and workers over Redis, PostgreSQL and two InfluxDBs, all of them real. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { secondMs, stopwatch, systemClock } from "../../src/core/time.ts";
import { influxd, whyMissing } from "../../test/support/debian.ts";
import { type Influx, startInflux } from "../../test/support/servers/influx.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../../test/support/servers/postgres.ts";
import { type Redis, startRedis, whyNoRedis } from "../../test/support/servers/redis.ts";
import { benchFolder } from "../support.ts";

const main = join(import.meta.dirname, "../../src/main.ts");
const readyMsMax = 120 * secondMs;
/** Of the kernel's clock for processes; a constant on Linux. */
const ticksPerSecond = 100;
const pageBytes = 4_096;

export type Crowd = {
  readonly samplers: number;
  readonly seriesEach: number;
  readonly step: string;
  /** Of the nth sampler, after the end of its window. Default: none, so that all slots become due at once. */
  readonly delay?: (sampler: number) => string;
  /** Whether series are judged. */
  readonly judged: boolean;
};

/** Null if all servers can be had here, else why not. */
export function whyNoSite(): string | null {
  return whyNoPostgres() ?? whyNoRedis() ?? whyMissing(influxd);
}

export class Site implements AsyncDisposable {
  readonly redis: Redis;
  readonly postgres: Postgres;
  readonly influxes: readonly Influx[];
  readonly #shopUrl: string;
  readonly #folder = benchFolder();
  #runs = 0;

  static async start(): Promise<Site> {
    const options = { databases: [] };
    const [redis, postgres, one, other] = await Promise.all([
      startRedis({ own: true }),
      startPostgres(),
      startInflux(options),
      startInflux(options),
    ]);
    return new Site(redis, postgres, [one, other], await shopOf(postgres));
  }

  private constructor(redis: Redis, postgres: Postgres, influxes: readonly Influx[], shopUrl: string) {
    this.redis = redis;
    this.postgres = postgres;
    this.influxes = influxes;
    this.#shopUrl = shopUrl;
  }

  /** Starts one scheduler and so many workers on new databases, and waits until all of them work. */
  async run(crowd: Crowd, workers: number): Promise<Run> {
    this.#runs += 1;
    const dir = join(this.#folder, `run-${this.#runs}`);
    writeDefinitions(dir, this.#shopUrl, crowd);
    const facts = await this.postgres.database();
    for (const influx of this.influxes) await influx.query(`create database run${this.#runs}`);
    await this.redis.restart();
    const env = {
      BELLWETHER_CONFIG: dir,
      BELLWETHER_LOG: "warn",
      REDIS_URL: this.redis.url,
      DATABASE_URL: facts,
      INFLUX_URLS: this.influxes.map(({ url }, at) => `${at === 0 ? "a" : "b"}=${url}/run${this.#runs}`).join(" "),
      BELLWETHER_SHOP_PASSWORD: reader.password,
    };
    const names = ["scheduler", ...Array.from({ length: workers }, (_, at) => `worker-${at + 1}`)];
    const processes = names.map((name) => new Service(name, dir, env));
    const run = new Run(this.postgres, facts, processes);
    for (const process of processes) await process.ready();
    return run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.redis, this.postgres, ...this.influxes].map((server) => server[Symbol.asyncDispose]()));
  }
}

/** A process of Bellwether's, and what the kernel knows of it. */
class Service {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #url: Promise<string>;
  text = "";

  constructor(name: string, dir: string, env: Readonly<Record<string, string>>) {
    this.name = name;
    const { PATH = "", HOME = "" } = process.env;
    const role = name.replace(/-\d+$/, "");
    this.#child = spawn(process.execPath, [main, "start", "--role", role], {
      cwd: dir,
      env: { PATH, HOME, ...env, BELLWETHER_DATA: join(dir, name), BELLWETHER_NAME: name, BELLWETHER_PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#url = new Promise((resolve, reject) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        stream?.setEncoding("utf8").on("data", (piece: string) => {
          this.text += piece;
          const url = /(?:Console|Probes): (\S+)/.exec(this.text)?.[1];
          if (url !== undefined) resolve(url);
        });
      }
      this.#child.once("exit", (code) => reject(new Error(`${name} ended with ${code}: ${this.text.slice(-2_000)}`)));
    });
    this.#url.catch(() => {});
  }

  async ready(): Promise<void> {
    const elapsedMs = stopwatch();
    const url = await this.#url;
    while (elapsedMs() < readyMsMax) {
      if ((await fetch(`${url}/readyz`).catch(() => null))?.status === 200) return;
      await systemClock.sleep(100, new AbortController().signal);
    }
    throw new Error(`${this.name} does not become ready: ${this.text.slice(-2_000)}`);
  }

  /** The value of a figure on `/metrics`, all its series added up. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${await this.#url}/metrics`)).text();
    const values = text
      .split("\n")
      .flatMap((line) => (/^[a-z_]+/.exec(line)?.[0] === name ? [Number(line.split(" ").at(-1))] : []));
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** With those of its children that have ended. */
  cpuMs(): number {
    return cpuMsOf(this.#child.pid as number);
  }

  rssBytes(): number {
    const [, resident = "0"] = readFileSync(`/proc/${this.#child.pid}/statm`, "utf8").split(" ");
    return Number(resident) * pageBytes;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 20 * secondMs);
    await gone;
    clearTimeout(timer);
  }
}

export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1_000;
}

export type Slot = {
  readonly latenessMs: number;
  readonly durationMs: number;
  readonly points: number;
  readonly dueMs: number;
};

export class Run implements AsyncDisposable {
  readonly processes: readonly Service[];
  readonly #postgres: Postgres;
  readonly #facts: string;
  readonly #faults = new Set<string>();

  constructor(postgres: Postgres, facts: string, processes: readonly Service[]) {
    this.#postgres = postgres;
    this.#facts = facts;
    this.processes = processes;
  }

  /** Slots that became due within `[fromMs, toMs)`, as the ledger has them; `lost`: those that are not done. */
  async slots(fromMs: number, toMs: number): Promise<{ done: Slot[]; lost: number }> {
    // A slot that is tried again becomes due anew; its lateness counts from the end of its window then.
    const rows = await this.#postgres.query(
      `select state, case when attempts > 1 then start_ms + step_ms else due_ms end as due, started_ms as started,
         finished_ms as finished, point_count as points, error
       from slots where start_ms + step_ms >= ${fromMs} and due_ms < ${toMs}`,
      this.#facts,
    );
    const faults = new Set(rows.flatMap(({ error }) => (error === null ? [] : [String(error)])));
    for (const fault of faults) this.#faults.add(fault);
    const done = rows.filter(({ state }) => state === "done" || state === "caught-up");
    return {
      done: done.map(({ due, started, finished, points }) => ({
        dueMs: Number(due),
        latenessMs: Number(started) - Number(due),
        durationMs: Number(finished) - Number(started),
        points: Number(points),
      })),
      lost: rows.length - done.length,
    };
  }

  /** What slots have failed for, each thing once. */
  get faults(): readonly string[] {
    return [...this.#faults];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.processes.map((process) => process.end()));
  }
}

const reader = { name: "bench_reader", password: "re4der" };

async function shopOf(postgres: Postgres): Promise<string> {
  const url = await postgres.database();
  await postgres.query(
    `create table shops (id int primary key);
     insert into shops select generate_series(1, 100000);
     create role ${reader.name} login password '${reader.password}';
     grant select on shops to ${reader.name}`,
    url,
  );
  return url;
}

/** Each series has a number of its own every minute: the server makes it, so that nothing needs to be written. */
function writeDefinitions(dir: string, shopUrl: string, { samplers, seriesEach, step, judged, delay }: Crowd): void {
  const put = (path: string, text: string): void => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  const { hostname, port, pathname } = new URL(shopUrl);
  put(
    "rules/connections.yaml",
    `connections:
  shop:
    postgres: { url: "postgres://${hostname}:${port}${pathname}", user: ${reader.name}, password: "env:BELLWETHER_SHOP_PASSWORD", pool_max: 6, time: epoch-ms }
`,
  );
  put(
    "rules/people/shop.yaml",
    `people:
  ana: { name: Ana Silva, email: ana@shop.example }
groups:
  shop-team: { title: Shop team, members: [ana] }
`,
  );
  put("rules/routes/shop.yaml", "route: { group: shop-team, group_by: [sampler] }\n");
  for (let sampler = 0; sampler < samplers; sampler += 1) {
    put(
      `samplers/orders-${sampler}.yaml`,
      `name: orders-${sampler}
title: Orders ${sampler}
owner: shop-team
every: ${step}
${delay === undefined ? "" : `delay: ${delay(sampler)}\n`}source:
  sql:
    connection: shop
    query: >
      select 'shop-' || id % 100 as shop, 'product-' || id / 100 as product, (50 + (id * 7919 + cast(:slot_start as bigint) / 1000) % 23) as orders
      from shops where id <= ${seriesEach} and cast(:slot_end as bigint) > 0
    rows_max: ${Math.max(1, seriesEach)}
point: { measurement: orders_${sampler}, tags: [shop, product], fields: [orders] }
empty: missing
alerts: false
${judged ? "judge:\n  orders: { kind: count }\n" : ""}`,
    );
  }
}
