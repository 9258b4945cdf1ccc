import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Connection } from "../../src/core/definitions.ts";
import type { Source, SourceDeps } from "../../src/core/ports.ts";
import { sources } from "../../src/sample/sources/index.ts";
import { invoices, type SourceCase, sourceContract } from "./source.ts";

const { sql } = sources;
const quiet = (): void => {};

/** Processes started from here that have `file` among their arguments and are using a processor. */
function busyReaders(file: string): number[] {
  const self = `/proc/${process.pid}/task`;
  const children = readdirSync(self).flatMap((thread) =>
    readFileSync(`${self}/${thread}/children`, "utf8").split(" ").filter(Boolean),
  );
  return children.map(Number).filter((pid) => {
    try {
      const working = / R /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
      return working && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(file);
    } catch {
      return false; // gone meanwhile
    }
  });
}

/** Every way to choose seven of 64 rows: days of work. */
const endless =
  "select count(*) as n from many a, many b, many c, many d, many e, many f, many g where a.i + b.i + c.i < d.i * e.i * f.i * g.i";

function sqlite(): SourceCase {
  const folder = mkdtempSync(join(tmpdir(), "bellwether-source-"));
  const connection = (name: string, file: string): [string, Connection] => [
    name,
    { name, kind: "sqlite", options: { file }, budgetMs: 3_600_000, place: "rules/connections.yaml:1:1" },
  ];
  const deps: SourceDeps = {
    connections: new Map([connection("shop", "shop.db"), connection("gone", "gone.db")]),
    dataDir: folder,
    secret: () => "",
    production: false,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  };
  const source = (query: string, more: object = {}): Source =>
    sql!.create(sql!.options.parse({ connection: "shop", query, ...more }), deps);
  const byCountry = `
    select country, count(*) as orders, sum(amount) as amount from invoices
    where invoiced_at >= :slot_start and invoiced_at < :slot_end group by country order by country`;
  return {
    name: "sql over SQLite",
    async setUp() {
      const database = new Database(join(folder, "shop.db"));
      database.exec(`create table invoices (invoiced_at text, country text, amount real); create table many (i);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 64) insert into many select i from n`);
      const insert = database.prepare("insert into invoices values (?, ?, ?)");
      for (const row of invoices) {
        insert.run(row.invoiced_at.replace("T", " ").replace("Z", ""), row.country, row.amount);
      }
      database.close();
    },
    async tearDown() {
      rmSync(folder, { recursive: true });
    },
    byCountry: (rowsMax = 1000) => source(byCountry, { rows_max: rowsMax }),
    unknownTable: () => source("select count(*) as n from nothing_here where t >= :slot_start"),
    hanging: () => source(endless),
    unreachable: () => source("select 1 as n", { connection: "gone" }),
    isWorking: async () => busyReaders(join(folder, "shop.db")).length > 0,
  };
}

sourceContract(sqlite());
