/** The shop that is watched: a database of its own, an account that only reads, and orders that come in all the time. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { messageOf } from "../../src/core/problem.ts";
import type { Postgres } from "../support/servers/postgres.ts";
import { channels, countries, ordersOf, watched } from "./definitions.ts";

/** Orders are written so long before they count, so that a slot never ends before its orders are there. */
const aheadSeconds = 12;
const tickMs = 500;
const reader = "shop_reader";

const schema = `
  create table orders (
    placed_at timestamptz not null, channel text not null, country text not null, amount numeric(10, 2) not null,
    written_at timestamptz not null default clock_timestamp());
  create index on orders (placed_at);
  create table floors (name text primary key);
  insert into floors values ('ground');
  create table tills (read_at timestamptz not null, floor text not null default 'ground', written_at timestamptz not null default clock_timestamp());
  create index on tills (read_at);`;

const placeOrders = `
  insert into orders (placed_at, channel, country, amount)
  select to_timestamp(second) + n * interval '80 milliseconds', channel,
    (array['${countries.join("', '")}'])[1 + (n % ${countries.length})::int], 0.25 * (1 + n)
  from generate_series($1::bigint, $2::bigint - 1) second,
    unnest($3::text[], $4::bigint[]) as open (channel, ordinal),
    generate_series(0, 8 + (second * 7 + ordinal) % 3) n`;

export class Shop implements AsyncDisposable {
  /** `postgres://host:port/database`, as connections.yaml has it. */
  readonly address: string;
  readonly url: string;
  readonly #client: Client;
  readonly #stopping = new AbortController();
  readonly #closed = new Set<string>();
  #filling: Promise<void> = Promise.resolve();
  #untilSecond = 0;
  /** Whether orders could not be written, and why. */
  fault: string | null = null;

  static async open(server: Postgres, readerPassword: string): Promise<Shop> {
    const url = await server.database();
    const database = new URL(url).pathname.slice(1);
    await server.query(`create role ${reader} login password '${readerPassword}' connection limit 40`);
    await server.query(schema, url);
    await server.query(
      `grant connect on database ${database} to ${reader}; revoke temporary on database ${database} from public`,
    );
    await server.query(
      `grant select on orders, tills, floors to ${reader}; revoke create on schema public from public`,
      url,
    );
    const client = new Client({ connectionString: url });
    client.on("error", () => {});
    await client.connect();
    return new Shop(url, client);
  }

  private constructor(url: string, client: Client) {
    const { host, pathname } = new URL(url);
    this.url = url;
    this.address = `postgres://${host}${pathname}`;
    this.#client = client;
  }

  /** Orders come in from now on. */
  begin(): void {
    this.#untilSecond = Math.floor(Date.now() / 1_000) - 60;
    this.#filling = this.#fill();
  }

  /** A channel takes no more orders. @returns from when on, epoch ms */
  close(channel: string): number {
    this.#closed.add(channel);
    return this.#untilSecond * 1_000;
  }

  reopen(channel: string): number {
    this.#closed.delete(channel);
    return this.#untilSecond * 1_000;
  }

  async #fill(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#tick(Math.floor(Date.now() / 1_000) + aheadSeconds);
      } catch (thrown) {
        this.fault = messageOf(thrown);
        return;
      }
      await sleep(tickMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
  }

  async #tick(untilSecond: number): Promise<void> {
    const fromSecond = this.#untilSecond;
    if (untilSecond <= fromSecond) return;
    // From here on what is closed or opened counts for the seconds after these.
    this.#untilSecond = untilSecond;
    const open = channels.filter(({ name }) => !this.#closed.has(name));
    const lists = [open.map(({ name }) => name), open.map(({ ordinal }) => ordinal)];
    await this.#client.query(placeOrders, [fromSecond, untilSecond, ...lists]);
    const readings =
      "insert into tills (read_at) select to_timestamp(s) from generate_series($1::bigint, $2::bigint - 1) s";
    await this.#client.query(readings, [fromSecond, untilSecond]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.race([this.#filling, sleep(5_000)]);
    await Promise.race([this.#client.end(), sleep(1_000)]);
  }
}

/**
 * What InfluxDB would hold of seven such days, in line protocol with times in ms, piece by piece.
 * @param aroundMs only slots so near to the time of day of now
 */
export function* history(nowMs: number, aroundMs: number): Generator<string> {
  for (const { measurement, stepMs, channel, tagged } of watched) {
    const lines: string[] = [];
    const those = channels.filter(({ name }) => channel === null || name === channel);
    for (let day = 7; day >= 1; day -= 1) {
      const middleMs = Math.floor((nowMs - day * 86_400_000) / stepMs) * stepMs;
      for (let timeMs = middleMs - aroundMs; timeMs < middleMs + aroundMs; timeMs += stepMs) {
        const seconds = Array.from({ length: stepMs / 1_000 }, (_, second) => timeMs / 1_000 + second);
        const count = (country: number): number =>
          seconds.reduce(
            (sum, second) => sum + those.reduce((part, each) => part + ordersOf(second, each, country), 0),
            0,
          );
        const counts = countries.map((_, country) => count(country));
        const series = tagged
          ? countries.map((name, at) => [`,country=${name.replaceAll(" ", "\\ ")}`, counts[at] as number] as const)
          : [["", counts.reduce((sum, one) => sum + one, 0)] as const];
        for (const [tags, orders] of series)
          lines.push(`${measurement}${tags} orders=${orders},amount=${orders} ${timeMs}`);
      }
    }
    for (let at = 0; at < lines.length; at += 5_000) yield lines.slice(at, at + 5_000).join("\n");
  }
}
