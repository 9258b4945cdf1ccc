/** The whole application in one process, on a simulated clock, over a shop database that a scenario fills. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { App } from "../../src/app.ts";
import type { Point } from "../../src/core/model.ts";
import type { Log } from "../../src/core/ports.ts";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { Desk } from "../../src/desk.ts";
import { Mailbox } from "../../src/notify/mailbox.ts";
import { readSettings } from "../../src/settings.ts";
import { idle, SimulatedClock } from "./clock.ts";
import { freshCopies } from "./copies.ts";

const people = `
people:
  ana: { name: Ana Silva, email: ana@shop.example }
  ben: { name: Ben Okoro, email: ben@shop.example }
groups:
  shop-team: { title: Shop team, members: [ana] }
  second-line: { title: Second line, members: [ben] }
`;

export const ordersYaml = `
name: shop-orders
title: Orders placed
owner: shop-team
every: 1m
source:
  sql:
    connection: shop
    query: >
      select country, count(*) as orders from orders
      where at_ms >= :slot_start and at_ms < :slot_end group by country
point: { measurement: orders, tags: [country], fields: [orders] }
empty: zero
judge: { orders: { kind: count } }
alert: { pending: 2 of 3, recover: 3 }
`;

const files: Readonly<Record<string, string>> = {
  "samplers/shop/orders.yaml": ordersYaml,
  "rules/connections.yaml": "connections: { shop: { sqlite: { file: shop.db, time: epoch-ms } } }\n",
  "rules/people/shop.yaml": people,
};

/** Lines of the log at warn and above, for scenarios that must see them, or must see none. */
type Line = { readonly level: string; readonly text: string };

/** `BELLWETHER_TEST_STORE=influx`: scenarios run on two InfluxDBs, and not on the embedded store. */
const storedTwice = process.env.BELLWETHER_TEST_STORE === "influx";

const takenMinutesMax = 60;

export class World implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "bellwether-world-"));
  readonly clock: SimulatedClock;
  readonly lines: Line[] = [];
  readonly #shop: Database.Database;
  readonly #settings: Readonly<Record<string, string>>;
  #app: App | null = null;

  /** Opens a shop with a past: `perMinute` orders of each country in every minute of the eight days before `start`. */
  static async open(
    start: string,
    perMinute: Readonly<Record<string, number>>,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<World> {
    // Points lie in the past of the simulated clock, which a server would not keep otherwise.
    const copies = storedTwice ? { INFLUX_URLS: await freshCopies(), BELLWETHER_KEEP_RAW: "forever" } : {};
    const world = new World(start, { ...copies, ...settings });
    await world.#growPast(perMinute);
    await world.start();
    return world;
  }

  private constructor(start: string, settings: Readonly<Record<string, string>>) {
    this.clock = new SimulatedClock(start);
    this.#settings = settings;
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    mkdirSync(this.dataDir, { recursive: true });
    this.#shop = new Database(join(this.dataDir, "shop.db"));
    this.#shop.pragma("journal_mode = wal");
    this.#shop.exec("create table orders (at_ms integer not null, country text not null)");
    this.#shop.exec("create index orders_by_time on orders (at_ms)");
  }

  get dataDir(): string {
    return join(this.dir, "data");
  }

  get app(): App {
    if (this.#app === null) throw new Error("the application is stopped");
    return this.#app;
  }

  /** Starts the application, again if it was stopped. */
  async start(): Promise<void> {
    this.#app = await App.open(this.#options());
    this.#app.run();
    await this.settle();
  }

  #options() {
    const settings = readSettings({
      BELLWETHER_CONFIG: this.dir,
      BELLWETHER_DATA: this.dataDir,
      BELLWETHER_PORT: "0",
      BELLWETHER_LOG: "silent",
      ...this.#settings,
    });
    return { settings, clock: this.clock, log: this.#log(), env: {}, tempo: 25 };
  }

  async stop(): Promise<void> {
    const app = this.app;
    this.#app = null;
    await app[Symbol.asyncDispose]();
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true });
    writeFileSync(join(this.dir, path), text);
  }

  read(path: string): string {
    return readFileSync(join(this.dir, path), "utf8");
  }

  /** The shop team, Ana and Ben, hears again each quarter of an hour, and in a second step after ten minutes. */
  repeatAndEscalate(): void {
    this.write("rules/routes/shop.yaml", "route: { group: shop-team, repeat_interval: 15m }\n");
    const people = "rules/people/shop.yaml";
    const steps = "steps: [ { notifier: email }, { notifier: email, wait: 10m } ]";
    this.write(people, this.read(people).replace("members: [ana] }", `members: [ana, ben], ${steps} }`));
  }

  /** `count` orders in the minute that begins `minutesAgo` minutes before the running one; 0: the running one. */
  order(country: string, count: number, minutesAgo = 0): void {
    const fromMs = Math.floor(this.clock.nowMs() / minuteMs - minutesAgo) * minuteMs;
    const insert = this.#shop.prepare("insert into orders values (?, ?)");
    this.#shop.transaction(() => {
      for (let index = 0; index < count; index += 1) insert.run(fromMs + index, country);
    })();
  }

  /** Lets `minutes` pass; in each of them every country named places so many orders. */
  async minutes(minutes: number, perMinute: Readonly<Record<string, number>>): Promise<void> {
    for (let minute = 0; minute < minutes; minute += 1) {
      for (const [country, count] of Object.entries(perMinute)) this.order(country, count);
      await this.clock.advance(minuteMs, () => this.settle());
    }
  }

  /** Minutes go by until what was written is in force: reading a real disk takes its time, whatever the clock says. */
  async taken(perMinute: Readonly<Record<string, number>>): Promise<void> {
    const { watcher } = this.app.desk;
    const before = watcher.current;
    for (let minute = 0; minute < takenMinutesMax && watcher.current === before; minute += 1) {
      await this.minutes(1, perMinute);
    }
  }

  /** Waits until nothing is being done that was due by now. */
  async settle(): Promise<void> {
    await idle();
    if (this.#app === null) return;
    const { slots, outbox } = this.#app.desk.state;
    for (let round = 0; round < 10_000; round += 1) {
      const [counts, ready, owed] = await Promise.all([
        slots.counts(),
        slots.ready(this.clock.nowMs(), 1),
        outbox.counts(),
      ]);
      const due =
        owed.owed > 0 &&
        (await outbox.list({ state: "owed", limit: 100 })).some((item) => item.dueMs <= this.clock.nowMs());
      if (counts.leased === 0 && ready.length === 0 && owed.sending === 0 && !due) break;
      // Jobs are woken by the scheduler and the deliverer on the simulated clock; here only real work is waited for.
      if (counts.leased === 0 && owed.sending === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await idle();
  }

  /** Subjects of the mails to an address, oldest first. */
  async mails(to: string): Promise<string[]> {
    const all = await new Mailbox(join(this.dataDir, "mailbox")).list(1_000);
    return all
      .filter((mail) => mail.to.includes(to))
      .map((mail) => mail.subject)
      .toReversed();
  }

  async stored(country: string): Promise<number[]> {
    const { series } = await this.app.desk.store.read({
      measurement: "orders",
      fields: ["orders"],
      tags: [{ label: "country", operator: "=", value: country, pattern: null }],
      windows: [{ fromMs: this.clock.nowMs() - dayMs, toMs: this.clock.nowMs() }],
    });
    return (series[0]?.values ?? []) as number[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#app !== null) await this.stop();
    this.#shop.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  async #growPast(perMinute: Readonly<Record<string, number>>): Promise<void> {
    await using desk = await Desk.open(this.#options(), false);
    const untilMs = this.clock.nowMs();
    const points: Point[] = [];
    for (let timeMs = untilMs - 8 * dayMs; timeMs < untilMs; timeMs += minuteMs) {
      for (const [country, count] of Object.entries(perMinute)) {
        points.push({ measurement: "orders", tags: { country }, fields: { orders: count }, timeMs });
      }
    }
    await desk.store.write(points);
  }

  #log(): Log {
    const keep = (level: string) => (_fields: object, text: string) => void this.lines.push({ level, text });
    return { debug: () => {}, info: () => {}, warn: keep("warn"), error: keep("error") };
  }
}
