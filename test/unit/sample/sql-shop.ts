/** A shop's database on a real server, with an account that reads, one that may write, and sources over both. */
import type { Connection } from "../../../src/core/definitions.ts";
import type { Log, Source, SourceDeps } from "../../../src/core/ports.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import { Mysql, mysql } from "../../../src/sample/sources/sql-mysql.ts";
import { Postgres, postgres } from "../../../src/sample/sources/sql-postgres.ts";
import { Sessions } from "../../../src/sample/sources/sql-sessions.ts";
import { type Mariadb, type MariadbOptions, startMariadb } from "../../support/servers/mariadb.ts";
import {
  type PostgresOptions,
  type Postgres as PostgresServer,
  startPostgres,
} from "../../support/servers/postgres.ts";

export const never = new AbortController().signal;
/** 09:00 to 09:01 of a day in November. */
export const slot = { fromMs: Date.parse("2026-11-20T09:00:00Z"), toMs: Date.parse("2026-11-20T09:01:00Z") };

export type Account = "reader" | "app" | "nobody";
const passwords: Readonly<Record<string, string>> = { "env:READER": "re4der", "env:APP": "4pp", "env:NOBODY": "wrong" };

export class Shop<Server extends PostgresServer | Mariadb> implements AsyncDisposable {
  readonly kind: "postgres" | "mysql";
  readonly server: Server;
  /** As the administrator, in the shop's database. */
  readonly url: string;
  readonly database: string;
  /** What was logged as a warning. */
  readonly warned: string[] = [];
  readonly #rid: () => Promise<void>;

  constructor(kind: "postgres" | "mysql", server: Server, url: string, rid: () => Promise<void>) {
    this.kind = kind;
    this.server = server;
    this.url = url;
    this.database = new URL(url).pathname.slice(1);
    this.#rid = rid;
  }

  /** One statement each, as the administrator. */
  async query(...statements: readonly string[]): Promise<Record<string, unknown>[]> {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = await this.server.query(statement, this.url);
    return rows;
  }

  user(account: Account): string {
    return account === "nobody" ? this.user("reader") : `${account}_${this.database}`;
  }

  options(account: Account = "reader", more: object = {}): Record<string, unknown> {
    const { hostname, port } = new URL(this.url);
    const password = `env:${account.toUpperCase()}`;
    return { url: `${this.kind}://${hostname}:${port}/${this.database}`, user: this.user(account), password, ...more };
  }

  /** Sources made with the same object share the connection `shop`. */
  deps(account: Account = "reader", more: object = {}, changes: Partial<SourceDeps> = {}): SourceDeps {
    const options = this.options(account, more);
    const shop: Connection = { name: "shop", kind: this.kind, options, budgetMs: 3_600_000, place: "c:1:1" };
    const quiet = (): void => {};
    const log: Log = { debug: quiet, info: quiet, error: quiet, warn: (_, text) => this.warned.push(text) };
    const secret = (reference: string): string => passwords[reference] ?? "";
    return { connections: new Map([["shop", shop]]), dataDir: "/", secret, production: true, log, ...changes };
  }

  /** What runs statements below the parser and the guard. */
  sessions(account: Account = "reader", more: object = {}) {
    const deps = this.deps(account, more);
    const options = this.options(account, more);
    return this.kind === "postgres"
      ? new Sessions("shop", 2, new Postgres(postgres.parse(options), deps, "connection shop"))
      : new Sessions("shop", 2, new Mysql(mysql.parse(options), deps, "connection shop"));
  }

  /** What the reader's connections are doing right now. */
  async working(): Promise<string[]> {
    if (this.kind === "postgres") {
      const rows = await this.query(
        `select query as q from pg_stat_activity where usename = '${this.user("reader")}' and state = 'active'`,
      );
      return rows.map(({ q }) => String(q));
    }
    const rows = await this.query(
      `select info as q from information_schema.processlist where user = '${this.user("reader")}' and info is not null`,
    );
    return rows.map(({ q }) => String(q));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.server.isRunning) this.server.resume();
    await this.#rid().catch(() => {});
    await this.server[Symbol.asyncDispose]();
  }
}

export function sqlSource(deps: SourceDeps, query: string, more: object = {}): Source {
  return sources.sql!.create(sources.sql!.options.parse({ connection: "shop", query, ...more }), deps);
}

const shared = [
  "create table invoices (id bigint, invoiced_at WHEN, country varchar(100), amount decimal(12, 2))",
  "create index invoices_at on invoices (invoiced_at)",
  "create table loans (n bigint)",
  "insert into loans values (1)",
];

export async function postgresShop(options: PostgresOptions = {}): Promise<Shop<PostgresServer>> {
  const server = await startPostgres(options);
  const url = await server.database();
  const [reader, app] = ["reader", "app"].map((name) => `${name}_${new URL(url).pathname.slice(1)}`);
  const shop = new Shop("postgres", server, url, async () => {
    await shop.query(`drop owned by ${reader}, ${app}`, `drop role ${reader}, ${app}`);
  });
  await shop.query(
    ...shared.map((statement) => statement.replace("WHEN", "timestamptz")),
    "create view slow as select pg_sleep(3600)::text as s",
    `create function wipe() returns int language plpgsql security definer as
     'begin insert into loans values (2); return 1; end'`,
    `create role ${reader} login password '${passwords["env:READER"]}'`,
    `create role ${app} login password '${passwords["env:APP"]}'`,
    `grant select on all tables in schema public to ${reader}`,
    `grant all on all tables in schema public to ${app}`,
    `grant create on schema public to ${app}`,
  );
  return shop;
}

export async function mysqlShop(options: MariadbOptions = {}): Promise<Shop<Mariadb>> {
  const server = await startMariadb(options);
  const url = await server.database();
  const database = new URL(url).pathname.slice(1);
  const [reader, app] = ["reader", "app"].map((name) => `${name}_${database}`);
  const shop = new Shop("mysql", server, url, async () => {
    await shop.query(`drop user ${reader}`, `drop user ${app}`);
  });
  await shop.query(
    ...shared.map((statement) => statement.replace("WHEN", "datetime")),
    "create view slow as select sleep(3600) as s",
    `create function wipe() returns int not deterministic modifies sql data sql security definer
     begin insert into loans values (2); return 1; end`,
    `create user ${reader} identified by '${passwords["env:READER"]}'`,
    `create user ${app} identified by '${passwords["env:APP"]}'`,
    `grant select, execute on ${database}.* to ${reader}`,
    `grant all on ${database}.* to ${app}`,
  );
  return shop;
}
