/** Debian's PostgreSQL as a process of its own, to be killed, paused and started again. */
import type { SpawnOptions } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { postgres, whyMissing } from "../debian.ts";
import { copyTemplate, OwnServer, run, serverFolder, unprivileged, versionKey } from "./own.ts";
import { freePort } from "./process.ts";

export type PostgresOptions = {
  /** Parameter -> value. Default: does not wait for the disk, which a killed process does not need either. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True: the test kills or pauses it, so that a server elsewhere will not do. Default false. */
  readonly own?: boolean;
};

/** A server that runs already takes the place of one that is started here, where a test does not end it. */
const elsewhere = process.env.BELLWETHER_TEST_POSTGRES_URL;
const superuser = "postgres";
const password = "only-for-tests";
const quick = { fsync: "off", full_page_writes: "off", max_connections: "200" };
let databases = 0;

/** Null if one can be had, else the reason, for those whose tests are skipped. */
export function whyNoPostgres({ own = false }: Pick<PostgresOptions, "own"> = {}): string | null {
  return elsewhere !== undefined && !own ? null : whyMissing(postgres);
}

/** Starts a server on a free loopback port and waits until it answers. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const isOwn = elsewhere === undefined || options.own === true || options.settings !== undefined;
  const server = new Postgres(await serverFolder("postgres"), await freePort(), options, isOwn ? null : elsewhere);
  await server.start();
  return server;
}

export class Postgres extends OwnServer {
  readonly #options: PostgresOptions;
  readonly #elsewhere: string | null;
  readonly #made: string[] = [];
  #fresh = true;

  constructor(dir: string, port: number, options: PostgresOptions, elsewhereUrl: string | null) {
    super("postgres", dir, port, false);
    this.#options = options;
    this.#elsewhere = elsewhereUrl;
  }

  /** Of the database `postgres`, as the superuser. */
  get url(): string {
    return this.#elsewhere ?? `postgres://${superuser}:${password}@127.0.0.1:${this.port}/postgres`;
  }

  /** @returns the address of a new, empty database, which goes with the server object */
  async database(): Promise<string> {
    databases += 1;
    const name = `test_${process.pid}_${databases}_${Math.floor(Math.random() * 1e6)}`;
    await this.query(`create database ${name} template template0 encoding 'UTF8'`);
    this.#made.push(name);
    const url = new URL(this.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** One statement on a connection of its own. @param url default: {@link Postgres.url} */
  async query(sql: string, url: string = this.url): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** A session that stays, for what is done in several statements. */
  async session(url: string): Promise<{ query(sql: string): Promise<unknown>; end(): Promise<void> }> {
    const client = new Client({ connectionString: url });
    await client.connect();
    return client;
  }

  /** Removes all rows of all tables, but not the record of the schema. */
  async empty(url: string): Promise<void> {
    const tables = await this.query(
      "select tablename from pg_tables where schemaname = 'public' and tablename <> 'knex_migrations'",
      url,
    );
    await this.query(tables.map(({ tablename }) => `delete from ${tablename}`).join("; "), url);
  }

  override async start(): Promise<void> {
    if (this.#elsewhere === null) await super.start();
  }

  protected async launch(): Promise<{ command: string; args: readonly string[]; options: SpawnOptions }> {
    const bin = postgres.find() as string;
    const data = join(this.dir, "data");
    const options: SpawnOptions = { ...unprivileged, cwd: this.dir, env: { PATH: process.env.PATH, LC_ALL: "C" } };
    if (this.#fresh) {
      await copyTemplate(`postgres-${await versionKey(join(bin, "postgres"))}`, data, (folder) => init(bin, folder));
    }
    this.#fresh = false;
    const settings = {
      ...quick,
      ...this.#options.settings,
      listen_addresses: "127.0.0.1",
      port: this.port,
      unix_socket_directories: "",
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    return { command: join(bin, "postgres"), args: ["-D", data, ...args], options };
  }

  protected async answers(): Promise<boolean> {
    return (await this.query("select 1")).length === 1;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#elsewhere !== null) {
      for (const name of this.#made) await this.query(`drop database if exists ${name} with (force)`);
    }
    await super[Symbol.asyncDispose]();
  }
}

async function init(bin: string, folder: string): Promise<void> {
  const file = join(folder, "password");
  await writeFile(file, password, { mode: 0o644 });
  const data = join(folder, "data");
  const env = { PATH: process.env.PATH, LC_ALL: "C" };
  const identity = ["-U", superuser, "-A", "scram-sha-256", "--pwfile", file];
  const options = { ...unprivileged, cwd: folder, env };
  await run(join(bin, "initdb"), ["-D", data, "-E", "UTF8", "--no-sync", ...identity], options);
  // The folder itself is to be the data.
  await run("sh", ["-c", "rm password && mv data/* . && rmdir data && chmod 700 ."], options);
}
