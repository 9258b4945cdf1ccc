/** S1: statements that must never run, sent below the parser and the guard by two accounts. */
import { existsSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deadline } from "../../../src/core/time.ts";
import type { Session, Sessions } from "../../../src/sample/sources/sql-sessions.ts";
import { hostileStatements } from "../../support/hostile.ts";
import { type Mariadb, whyNoMariadb } from "../../support/servers/mariadb.ts";
import { type Postgres, whyNoPostgres } from "../../support/servers/postgres.ts";
import { type Account, mysqlShop, never, postgresShop, type Shop } from "./sql-shop.ts";

/** Longer than the server's limit. */
const patienceMs = 1_500;

const evilFile = "/tmp/bellwether-evil";

/** What the corpus is about, besides what every shop has. */
const tables = [
  "create table customers (id bigint primary key, name varchar(100))",
  "create table orders (id bigint primary key, customer_id bigint, country varchar(100), amount decimal(12, 2), created_at timestamp)",
  "insert into customers values (1, 'Ana')",
  "insert into orders values (1, 1, 'GB', 10, '2026-11-20 09:00:00'), (2, 1, 'DE', 20, '2026-11-20 09:00:30')",
  "create view report as select country, sum(amount) as amount from orders group by country",
];

/** Everything that a statement could have changed, in one value. */
const traces = {
  postgres: [
    "select * from orders order by id",
    "select * from loans",
    "select * from customers",
    "select oid::text from pg_largeobject_metadata",
    "select relname, relkind::text, relpersistence::text from pg_class where relnamespace::regnamespace::text !~ '^(pg_|information)' order by 1",
    "select proname from pg_proc where pronamespace = 'public'::regnamespace order by 1",
    "select rolname, rolconfig::text, rolsuper from pg_roles order by 1",
    "select datname, datacl::text from pg_database order by 1",
    "select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by 1",
    "select last_value, is_called from orders_id_seq",
    "select count(*) as n from pg_prepared_xacts",
    "select count(*) as n from pg_description where objoid = 'orders'::regclass",
  ],
  mysql: [
    "select * from orders order by id",
    "select * from loans",
    "select * from customers",
    "select table_name, table_type, table_comment from information_schema.tables where table_schema = database() order by 1",
    "select column_name, table_name from information_schema.columns where table_schema = database() order by 2, 1",
    "select routine_name from information_schema.routines where routine_schema = database() order by 1",
    "select event_name from information_schema.events order by 1",
    "select grantee, privilege_type from information_schema.user_privileges order by 1, 2",
    "select @@global.read_only, @@global.general_log, @@global.max_connections",
  ],
} as const;

/** What a session would still hold of statements that came before. */
const leaks = {
  postgres: `select current_setting('statement_timeout') || current_setting('work_mem') || current_setting('search_path')
      || current_setting('transaction_read_only') || current_setting('role') as settings,
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())::int as locks,
    (select count(*) from pg_prepared_statements)::int as prepared, (select count(*) from pg_listening_channels())::int as heard`,
  mysql: `select concat(@@max_statement_time, @@sql_mode, @@character_set_client, @@tx_read_only) as settings,
    is_used_lock('evil') <=> connection_id() as locks, @a as variable, database() as db, last_insert_id() as id`,
};

const servers = [
  ["PostgreSQL", postgresShop, whyNoPostgres()],
  ["MariaDB", mysqlShop, whyNoMariadb()],
] as const;

for (const [name, start, why] of servers) {
  describe.skipIf(why !== null)(`${name}, with the parser off`, () => {
    let shop: Shop<Postgres | Mariadb>;
    beforeAll(async () => {
      rmSync(evilFile, { force: true });
      shop = await start();
      const sequence = shop.kind === "postgres" ? "orders_id_seq" : "orders_seq";
      await shop.query(...tables, `create sequence ${sequence}`);
      if (shop.kind === "mysql") return;
      for (const [account, right] of [
        ["reader", "select"],
        ["app", "all"],
      ] as const) {
        await shop.query(
          `grant ${right} on all tables in schema public to ${shop.user(account)}`,
          `grant ${right} on all sequences in schema public to ${shop.user(account)}`,
        );
      }
    });
    afterAll(async () => {
      await shop[Symbol.asyncDispose]();
      rmSync(evilFile, { force: true });
    });

    const state = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (const statement of traces[shop.kind]) found.push(await shop.query(statement));
      return found;
    };
    const run = async (sessions: Sessions<never>, text: string): Promise<unknown> => {
      const select = (session: Session) => session.select({ text, values: [] }, 1_000);
      return (await sessions.session(deadline(patienceMs, never), select)).rows;
    };
    /** On a busy machine even the question for what is left may be cut. */
    const held = async (sessions: Sessions<never>): Promise<unknown> => {
      for (let tries = 0; ; tries += 1) {
        const found = await run(sessions, leaks[shop.kind]).catch((reason: unknown) => reason);
        if (!(found instanceof Error) || tries === 5) return found;
      }
    };

    test.each<Account>(["reader", "app"])(
      "%s: no statement changes a row, a table, a file, a large object or a session",
      async (account) => {
        await using sessions = shop.sessions(account, { timeout_max: "250ms" }) as unknown as Sessions<never>;
        const before = await state();
        const fresh = await held(sessions);
        const statements = hostileStatements(shop.kind);
        expect(statements.length).toBeGreaterThan(120);
        for (const { sql } of statements) {
          const thrown = await run(sessions, sql).catch((reason: unknown) => reason);
          // The server's own limit cuts most; what takes no notice of it, our deadline does.
          if (thrown instanceof Error) expect(["Problem", "TimeoutError"], sql).toContain(thrown.name);
          expect(existsSync(evilFile), sql).toBe(false);
          expect(await held(sessions), sql).toEqual(fresh);
        }
        expect(await state()).toEqual(before);
        // A text of a gigabyte is made without a look at what is asked of the server meanwhile: it ends by itself.
        await expect.poll(() => shop.working(), { timeout: 60_000 }).toEqual([]);
      },
      180_000,
    );
  });
}
