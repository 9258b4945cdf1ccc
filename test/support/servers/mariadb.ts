/** Debian's MariaDB as a process of its own, to be killed, paused and started again. */
import type { SpawnOptions } from "node:child_process";
import { join } from "node:path";
import { createConnection } from "mysql2/promise";
import { mariadb, whyMissing } from "../debian.ts";
import { copyTemplate, OwnServer, run, serverFolder, unprivileged, versionKey } from "./own.ts";
import { freePort } from "./process.ts";

export type MariadbOptions = {
  /** Server variable -> value. Default: does not wait for the disk, which a killed process does not need either. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True: the test kills or pauses it, so that a server elsewhere will not do. Default false. */
  readonly own?: boolean;
};

/** A server that runs already (MariaDB or MySQL) takes the place of one that is started here. */
const elsewhere = process.env.BELLWETHER_TEST_MYSQL_URL;
const password = "only-for-tests";
const quick = {
  innodb_flush_log_at_trx_commit: "2",
  sync_binlog: "0",
  innodb_log_file_size: "16M",
  innodb_buffer_pool_size: "64M",
  innodb_flush_method: "nosync",
  innodb_doublewrite: "OFF",
  performance_schema: "OFF",
};
let databases = 0;

/** Null if one can be had, else the reason, for those whose tests are skipped. */
export function whyNoMariadb({ own = false }: Pick<MariadbOptions, "own"> = {}): string | null {
  return elsewhere !== undefined && !own ? null : whyMissing(mariadb);
}

/** Starts a server on a free loopback port and waits until it answers. */
export async function startMariadb(options: MariadbOptions = {}): Promise<Mariadb> {
  const isOwn = elsewhere === undefined || options.own === true || options.settings !== undefined;
  const server = new Mariadb(await serverFolder("mariadb"), await freePort(), options, isOwn ? null : elsewhere);
  await server.start();
  return server;
}

export class Mariadb extends OwnServer {
  readonly #options: MariadbOptions;
  readonly #elsewhere: string | null;
  readonly #made: string[] = [];
  #fresh = true;

  constructor(dir: string, port: number, options: MariadbOptions, elsewhereUrl: string | null) {
    super("mariadbd", dir, port, false);
    this.#options = options;
    this.#elsewhere = elsewhereUrl;
  }

  /** Of the database `test`, as root. */
  get url(): string {
    return this.#elsewhere ?? `mysql://root:${password}@127.0.0.1:${this.port}/test`;
  }

  /** @returns the address of a new, empty database, which goes with the server object */
  async database(): Promise<string> {
    databases += 1;
    const name = `test_${process.pid}_${databases}_${Math.floor(Math.random() * 1e6)}`;
    await this.query(`create database ${name}`);
    this.#made.push(name);
    const url = new URL(this.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  /** One statement on a connection of its own. @param url default: {@link Mariadb.url} */
  async query(sql: string, url: string = this.url): Promise<Record<string, unknown>[]> {
    const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
    connection.on("error", () => undefined);
    try {
      const [rows] = await connection.query(sql);
      return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
    } finally {
      connection.destroy();
    }
  }

  /** A session that stays, for what is done in several statements. */
  session(url: string): Promise<{ query(sql: string): Promise<unknown>; end(): Promise<void> }> {
    return createConnection({ uri: url });
  }

  /** Removes all rows of all tables, but not the record of the schema. */
  async empty(url: string): Promise<void> {
    const tables = await this.query(
      "select table_name as name from information_schema.tables where table_schema = database() and table_name <> 'knex_migrations'",
      url,
    );
    for (const { name } of tables) await this.query(`delete from ${name}`, url);
  }

  override async start(): Promise<void> {
    if (this.#elsewhere === null) await super.start();
  }

  protected async launch(): Promise<{ command: string; args: readonly string[]; options: SpawnOptions }> {
    const program = mariadb.find() as string;
    const data = join(this.dir, "data");
    if (this.#fresh) await copyTemplate(`mariadb-${await versionKey(program)}`, data, init);
    this.#fresh = false;
    const settings = {
      ...quick,
      ...this.#options.settings,
      datadir: data,
      port: this.port,
      "bind-address": "127.0.0.1",
      socket: join(this.dir, "socket"),
      "pid-file": join(this.dir, "pid"),
      "skip-name-resolve": "ON",
    };
    const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    return { command: program, args: ["--no-defaults", ...args], options: { ...unprivileged, cwd: this.dir } };
  }

  protected async answers(): Promise<boolean> {
    return (await this.query("select 1")).length === 1;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#elsewhere !== null) for (const name of this.#made) await this.query(`drop database if exists ${name}`);
    await super[Symbol.asyncDispose]();
  }
}

/** System tables, the database `test`, and a root that needs its password over TCP. */
async function init(folder: string): Promise<void> {
  const options = { ...unprivileged, cwd: folder };
  await run(
    "mariadb-install-db",
    ["--no-defaults", `--datadir=${folder}`, "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
    options,
  );
  const sql = [
    "delete from mysql.global_priv where user = '' or host not in ('localhost', '127.0.0.1');",
    "flush privileges;",
    `set password for 'root'@'localhost' = password('${password}');`,
    `create or replace user 'root'@'127.0.0.1' identified by '${password}';`,
    "grant all on *.* to 'root'@'127.0.0.1' with grant option;",
  ].join("\n");
  const script = `${mariadb.find()} --no-defaults --datadir="$0" --innodb-log-file-size=16M --bootstrap`;
  await run("sh", ["-c", `printf '%s\\n' "$1" | ${script}`, folder, sql], options);
}
