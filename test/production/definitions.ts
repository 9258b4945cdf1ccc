/** What the scenario watches: twenty samplers over one table of orders, and who hears of them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Part of the shop that orders come from. */
export type Channel = { readonly name: string; readonly ordinal: number };

export type Watched = {
  readonly name: string;
  readonly measurement: string;
  readonly stepMs: number;
  /** Null: orders of all channels. */
  readonly channel: string | null;
  /** By country; else one series. */
  readonly tagged: boolean;
};

export const countries = ["United Kingdom", "Germany"] as const;
export const channels: readonly Channel[] = Array.from({ length: 18 }, (_, index) => ({
  name: `c${String(index + 1).padStart(2, "0")}`,
  ordinal: index + 1,
}));
/** Reads a table that no other does, which the scenario locks to hold up a slot that is being run. */
export const heldSampler = "tills";
const everyTenSeconds = 16;

/** Those whose points are compared with the table of orders, one by one. */
export const watched: readonly Watched[] = [
  { name: "orders", measurement: "orders", stepMs: 5_000, channel: null, tagged: true },
  ...channels.map(({ name, ordinal }) => ({
    name: `channel-${name}`,
    measurement: `orders_${name}`,
    stepMs: ordinal < everyTenSeconds ? 5_000 : 10_000,
    channel: name,
    tagged: ordinal <= 3,
  })),
];

/** Name -> step of all samplers. */
export const steps: ReadonlyMap<string, number> = new Map([
  ...watched.map(({ name, stepMs }) => [name, stepMs] as const),
  [heldSampler, 10_000],
]);

/** Orders that a channel has in a second; `second` counts from 1970. About ten, in a pattern that a test can repeat. */
function ordersIn(second: number, { ordinal }: Channel): number {
  return 9 + ((second * 7 + ordinal) % 3);
}

/** Of the orders of a second the first goes to the first country, and so on in turn. */
export function ordersOf(second: number, channel: Channel, country: number): number {
  return Math.ceil((ordersIn(second, channel) - country) / countries.length);
}

export const shopPeople = ["ana@shop.example", "bob@shop.example"] as const;
export const operator = "olga@shop.example";

/** Writes samplers/ and rules/ into a folder. @param address `postgres://host:port/database` of the shop */
export function writeDefinitions(dir: string, address: string): void {
  const put = (path: string, text: string): void => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  put(
    "rules/connections.yaml",
    `connections:
  shop:
    postgres: { url: "${address}", user: shop_reader, password: "env:SHOP_DB_PASSWORD", pool_max: 6 }
`,
  );
  // Trouble with the servers is what the scenario is made of: the operator hears of it, the shop's people do not.
  put(
    "rules/routes/shop.yaml",
    `route:
  group: shop-team
  group_by: [sampler]
  group_wait: 1s
  repeat_interval: 4h
  routes:
    - { match: ['sampler="bellwether"'], group: operators }
`,
  );
  put(
    "rules/people/shop.yaml",
    `people:
  ana: { name: Ana Silva, email: ${shopPeople[0]} }
  bob: { name: Bob Okoro, email: ${shopPeople[1]} }
  olga: { name: Olga Petrova, email: ${operator} }
groups:
  shop-team: { title: Shop team, members: [ana, bob] }
  operators: { title: Operators, members: [olga] }
`,
  );
  for (const each of watched) put(`samplers/${each.name}.yaml`, samplerText(each));
  put(
    `samplers/${heldSampler}.yaml`,
    `name: ${heldSampler}
title: Tills
owner: shop-team
every: 10s
delay: 1s
source:
  sql:
    connection: shop
    query: >
      select count(*) as readings from tills join floors on floors.name = tills.floor where read_at >= :slot_start and read_at < :slot_end
point: { measurement: tills, fields: [readings] }
empty: zero
alerts: false
`,
  );
}

function samplerText({ name, measurement, stepMs, channel, tagged }: Watched): string {
  const country = tagged ? "country, " : "";
  const only = channel === null ? "" : ` and channel = '${channel}'`;
  return `name: ${name}
title: Orders of ${channel ?? "all channels"}
owner: shop-team
every: ${stepMs / 1_000}s
delay: 1s
source:
  sql:
    connection: shop
    query: >
      select ${country}count(*) as orders, coalesce(sum(amount), 0) as amount from orders
      where placed_at >= :slot_start and placed_at < :slot_end${only}${tagged ? " group by country" : ""}
point: { measurement: ${measurement}, ${tagged ? "tags: [country], " : ""}fields: [orders, amount] }
empty: zero
judge:
  orders: { kind: count }
`;
}
