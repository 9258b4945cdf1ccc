import { describe, test } from "vitest";
import type { Connection } from "../../src/core/definitions.ts";
import type { Source, SourceDeps } from "../../src/core/ports.ts";
import { type Mariadb, whyNoMariadb } from "../support/servers/mariadb.ts";
import { type Postgres, whyNoPostgres } from "../support/servers/postgres.ts";
import { freePort } from "../support/servers/process.ts";
import { mysqlShop, postgresShop, type Shop, sqlSource } from "../unit/sample/sql-shop.ts";
import { invoices, type SourceCase, sourceContract } from "./source.ts";

function overServer(name: string, start: () => Promise<Shop<Postgres | Mariadb>>): SourceCase {
  let shop: Shop<Postgres | Mariadb>;
  let deps: SourceDeps;
  const source = (query: string, more: object = {}): Source => sqlSource(deps, query, more);
  return {
    name,
    countsRows: true,
    async setUp() {
      shop = await start();
      for (const { invoiced_at, country, amount } of invoices) {
        const at = shop.kind === "postgres" ? invoiced_at : invoiced_at.replace("T", " ").replace("Z", "");
        await shop.query(`insert into invoices values (0, '${at}', '${country}', ${amount})`);
      }
      deps = shop.deps();
      const url = `${shop.kind}://127.0.0.1:${await freePort()}/shop`;
      const gone: Connection = {
        name: "gone",
        kind: shop.kind,
        options: { url, user: "x" },
        budgetMs: 1,
        place: "c:1:1",
      };
      deps = { ...deps, connections: new Map([...deps.connections, ["gone", gone]]) };
    },
    tearDown: () => shop[Symbol.asyncDispose](),
    byCountry: (rowsMax = 1000) =>
      source(
        `select country, count(*) as orders, sum(amount) as amount from invoices
         where invoiced_at >= :slot_start and invoiced_at < :slot_end group by country order by country`,
        { rows_max: rowsMax },
      ),
    unknownTable: () => source("select count(*) as n from nothing_here where t >= :slot_start"),
    hanging: () => source("select s from slow"),
    unreachable: () => source("select 1 as n", { connection: "gone" }),
    isWorking: async () => (await shop.working()).length > 0,
  };
}

const servers = [
  ["PostgreSQL", postgresShop, whyNoPostgres()],
  ["MariaDB", mysqlShop, whyNoMariadb()],
] as const;

for (const [name, start, why] of servers) {
  if (why === null) sourceContract(overServer(`sql over ${name}`, start));
  else describe.skip(`source contract: sql over ${name}`, () => test(why, () => {}));
}
