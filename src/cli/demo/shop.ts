/** The demo's shop: an SQLite database with a past, and orders that arrive as the demo's clock moves. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Database from "better-sqlite3";
import { Problem } from "../../core/problem.ts";
import { dayMs } from "../../core/time.ts";
import { daysBeforeMs, localDay } from "../../core/zone.ts";
import { drawDay, type Invoice, type ShopEvent, shopZone, wallText } from "./drawing.ts";
import { type RealDay, readRealDays } from "./invoices.ts";

export type ShopOptions = {
  /** Path of the database; its folder is made. */
  readonly file: string;
  /** Whole number; equal seeds grow equal shops. */
  readonly seed: number;
  /** What happens to the shop, past or to come. */
  readonly events: readonly ShopEvent[];
};

const schema = `
  create table invoices (
    invoice_no integer primary key,
    invoiced_at text not null,  -- local time, Europe/London: 2026-06-17 10:04:33
    country text not null,
    amount real not null,       -- pounds; below zero where goods came back
    cancelled integer not null  -- 1: a cancellation, 0: an order
  ) strict;
  create index invoices_by_time on invoices (invoiced_at);`;

/**
 * Grows the shop's past: every calendar day from `historyDays` before the day of `liveFromMs` up to `liveFromMs`
 * itself. One transaction: a process killed on the way leaves an empty database, which grows when called again.
 * A database that has a past is left as it is.
 * @param onProgress told a share from 0 to 1 after each day
 * @returns how many invoices the database holds, and whether this call wrote them
 */
export async function growShop(
  options: ShopOptions & {
    readonly liveFromMs: number;
    readonly historyDays: number;
    readonly onProgress?: (share: number) => void;
  },
): Promise<{ invoices: number; grown: boolean }> {
  mkdirSync(dirname(options.file), { recursive: true });
  const db = open(options.file);
  try {
    const count = () => db.prepare("select count(*) from invoices").pluck().get() as number;
    if (hasTable(db)) return { invoices: count(), grown: false };
    const realDays = readRealDays();
    const until = wallText(options.liveFromMs);
    db.exec("begin immediate");
    db.exec(schema);
    const insert = inserter(db);
    for (let day = options.historyDays; day >= 0; day -= 1) {
      const date = localDay(daysBeforeMs(options.liveFromMs, day, shopZone), shopZone);
      for (const invoice of drawDay(realDays, date, options.seed, options.events)) {
        if (invoice.invoicedAt < until) insert(invoice);
      }
      options.onProgress?.(1 - day / (options.historyDays + 1));
      await new Promise((resolve) => setImmediate(resolve)); // lets a progress bar be drawn
    }
    db.exec("commit");
    return { invoices: count(), grown: true };
  } finally {
    db.close(); // rolls back what was not committed
  }
}

/**
 * Writes what the shop sells as time passes. Its only state is the database: it goes on behind the newest invoice
 * there, so it may be killed at any moment and opened again. It needs no end: each day is drawn when it comes.
 */
export class LiveShop implements Disposable {
  readonly #options: ShopOptions;
  readonly #db: Database.Database;
  readonly #realDays: readonly RealDay[] = readRealDays();
  readonly #insert: (invoice: Invoice) => void;
  /** Everything up to and including this second is written; local time. */
  #writtenTo: string;
  #day: { date: string; invoices: readonly Invoice[] } = { date: "", invoices: [] };

  /** @throws Problem if {@link growShop} has not been called on the file */
  constructor(options: ShopOptions) {
    const unknown = { where: options.file, fix: "grow the shop first, or remove the demo's data folder" };
    if (!existsSync(options.file)) throw new Problem("there is no such shop", unknown);
    this.#options = options;
    this.#db = open(options.file);
    const newest = hasTable(this.#db) ? this.#db.prepare("select max(invoiced_at) from invoices").pluck().get() : null;
    if (typeof newest !== "string") {
      this.#db.close();
      throw new Problem("the shop has no past", unknown);
    }
    this.#writtenTo = newest;
    this.#insert = inserter(this.#db);
  }

  /**
   * Writes every invoice up to `nowMs` that is not there yet; one transaction a calendar day. Going back, or to the
   * same moment again, writes nothing. Slots are sampled a few seconds after their end, which is a moment in a
   * demo's time: call it with a minute or two to spare, for no sampler reads behind its slot.
   * @returns how many invoices were written
   */
  advanceTo(nowMs: number): number {
    const until = wallText(nowMs);
    let written = 0;
    let date = this.#writtenTo.slice(0, 10);
    while (this.#writtenTo < until) {
      const end = date === until.slice(0, 10) ? until : `${date} 23:59:59`;
      const due = this.#drawn(date).filter((row) => row.invoicedAt > this.#writtenTo && row.invoicedAt <= end);
      this.#db.transaction(() => due.forEach(this.#insert))();
      written += due.length;
      this.#writtenTo = end;
      date = new Date(Date.parse(date) + dayMs).toISOString().slice(0, 10);
    }
    return written;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #drawn(date: string): readonly Invoice[] {
    if (this.#day.date !== date) {
      this.#day = { date, invoices: drawDay(this.#realDays, date, this.#options.seed, this.#options.events) };
    }
    return this.#day.invoices;
  }
}

function open(file: string): Database.Database {
  const db = new Database(file);
  db.pragma("journal_mode = wal"); // samplers read while the shop writes
  db.pragma("synchronous = normal");
  return db;
}

function hasTable(db: Database.Database): boolean {
  return db.prepare("select 1 from sqlite_master where name = 'invoices'").get() !== undefined;
}

function inserter(db: Database.Database): (invoice: Invoice) => void {
  const statement = db.prepare("insert into invoices (invoiced_at, country, amount, cancelled) values (?, ?, ?, ?)");
  return ({ invoicedAt, country, amount, cancelled }) => {
    statement.run(invoicedAt, country, amount, cancelled ? 1 : 0);
  };
}
