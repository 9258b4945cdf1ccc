/** What must be so at the end, asked of those who know: the ledger, the shop, both InfluxDBs, the mail server. */
import type { Chaos, Event, Loss } from "./chaos.ts";
import { steps, watched } from "./definitions.ts";
import type { Rig } from "./rig.ts";
import { secrets } from "./rig.ts";

export type SlotsFound = {
  readonly slots: number;
  readonly caughtUp: number;
  /** Slots that were started more than once, and were nevertheless one. */
  readonly again: number;
  /** Start after the due time of slots that were run live, ascending. */
  readonly latenessMs: readonly number[];
  /** What is not as it should be, as sentences. */
  readonly faults: readonly string[];
};

/** Every slot that began in `[fromMs, toMs)`, and nothing else, has been done. */
export async function slotsFound(rig: Rig, fromMs: number, toMs: number): Promise<SlotsFound> {
  const rows = await rig.facts(
    `select sampler, start_ms::float8 as start_ms, state, attempts, catch_up, error,
       (started_ms - due_ms)::float8 as late_ms from slots where start_ms >= ${fromMs} and start_ms < ${toMs}`,
  );
  const faults: string[] = [];
  const found = new Map(rows.map((row) => [`${row.sampler} ${row.start_ms}`, row]));
  if (found.size !== rows.length) faults.push(`${rows.length - found.size} slots are there twice`);
  let expected = 0;
  for (const [sampler, stepMs] of steps) {
    for (let startMs = Math.ceil(fromMs / stepMs) * stepMs; startMs < toMs; startMs += stepMs) {
      expected += 1;
      const row = found.get(`${sampler} ${startMs}`);
      if (row === undefined) faults.push(`${sampler} ${new Date(startMs).toISOString()} is not there`);
      else if (row.state !== "done" && row.state !== "caught-up") {
        faults.push(`${sampler} ${new Date(startMs).toISOString()} is ${row.state}: ${row.error}`);
      }
    }
  }
  if (rows.length !== expected) faults.push(`${rows.length} slots where ${expected} belong`);
  const live = rows.filter(({ catch_up }) => catch_up === false).map(({ late_ms }) => Number(late_ms));
  return {
    slots: rows.length,
    caughtUp: rows.filter(({ state }) => state === "caught-up").length,
    again: rows.filter(({ attempts }) => Number(attempts) > 1).length,
    latenessMs: live.sort((one, other) => one - other),
    faults,
  };
}

/** How many slots that ended by then are not done yet. */
export async function unfinished(rig: Rig, toMs: number): Promise<number> {
  const [row] = await rig.facts(
    `select count(*)::int as n from slots where start_ms + step_ms <= ${toMs} and state in ('due', 'leased')`,
  );
  return Number(row?.n);
}

/** Points that some worker has not handed over to some InfluxDB; null: one of them does not say. */
export async function pendingPoints(rig: Rig): Promise<number | null> {
  let sum = 0;
  for (const { url } of rig.workers) {
    const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
    if (answer?.status !== 200) return null;
    const lines = (await answer.text()).match(/^bellwether_replica_points_pending\b.* (\S+)$/gm);
    if (lines === null) return null;
    sum += lines.reduce((part, line) => part + Number(line.split(" ").at(-1)), 0);
  }
  return sum;
}

/** From the end of an event on: until a sampler had a slot done that was due after it. */
export type Recovery = {
  readonly event: Event;
  /** Of the slowest sampler; where more was done to it meanwhile, from the end of that on. */
  readonly tookMs: number;
  readonly slowest: string;
};

export async function recoveryFrom(rig: Rig, chaos: Chaos, event: Event, losses: readonly Loss[]): Promise<Recovery> {
  const rows = await rig.facts(
    `select sampler, min(finished_ms)::float8 as ms from slots
     where due_ms >= ${event.toMs} and state in ('done', 'caught-up') group by sampler`,
  );
  const ends = new Map(rows.map(({ sampler, ms }) => [String(sampler), Number(ms)]));
  const took = (sampler: string): number => {
    const endMs = ends.get(sampler) ?? Number.POSITIVE_INFINITY;
    const lost = losses.filter(({ pid, atMs }) => atMs < endMs && rig.shares.holderOf(sampler, atMs) === pid);
    return endMs - Math.max(chaos.calmFrom(event.toMs, endMs), ...lost.map(({ atMs }) => atMs));
  };
  const [slowest = ""] = [...steps.keys()].sort((one, other) => took(other) - took(one));
  return { event, tookMs: took(slowest), slowest };
}

export type PointsFound = { readonly points: number; readonly faults: readonly string[] };

/** Each copy holds one point for each slot of each series, with what the shop's own table says. */
export async function pointsFound(rig: Rig, fromMs: number, toMs: number): Promise<PointsFound> {
  const faults: string[] = [];
  let points = 0;
  for (const each of watched) {
    const truth = await shopsTruth(rig, each, fromMs, toMs);
    for (const [name, server] of [
      ["a", rig.servers.a],
      ["b", rig.servers.b],
    ] as const) {
      const held = new Map<string, string>();
      const q = `select orders, amount from "${each.measurement}" where time >= ${fromMs}ms and time < ${toMs}ms group by *`;
      const { results } = await server.query(q, "bellwether");
      for (const { tags = {}, values } of results[0]?.series ?? []) {
        for (const [time, orders, amount] of values) {
          const key = `${tags.country ?? ""} ${time}`;
          if (held.has(key)) faults.push(`${each.name} ${key} is twice on ${name}`);
          held.set(key, `${orders} ${amount}`);
        }
      }
      points += held.size;
      for (const [key, value] of truth) {
        if (held.get(key) !== value)
          faults.push(`${each.name} ${key} is ${held.get(key)} on ${name}, and was ${value}`);
      }
      for (const key of held.keys()) if (!truth.has(key)) faults.push(`${each.name} ${key} on ${name} is of no slot`);
    }
  }
  return { points, faults };
}

/** Series and slot -> orders and their worth; 0 for those without any. */
async function shopsTruth(
  rig: Rig,
  { stepMs, channel, tagged }: (typeof watched)[number],
  fromMs: number,
  toMs: number,
): Promise<Map<string, string>> {
  const only = channel === null ? "" : `where channel = '${channel}'`;
  const rows = await rig.servers.postgres.query(
    `with series as (select distinct ${tagged ? "country" : "''::text as country"} from orders),
       slots as (select generate_series(${Math.ceil(fromMs / stepMs) * stepMs}::bigint, ${toMs - 1}::bigint, ${stepMs}) as ms),
       counted as (
         select ${tagged ? "country" : "''::text as country"},
           floor(extract(epoch from placed_at) * 1000 / ${stepMs})::bigint * ${stepMs} as ms,
           count(*) as orders, sum(amount) as amount
         from orders ${only} group by 1, 2)
     select country, ms::float8 as ms, coalesce(orders, 0)::float8 as orders, coalesce(amount, 0)::float8 as amount
     from slots cross join series left join counted using (country, ms)`,
    rig.shop.url,
  );
  return new Map(rows.map(({ country, ms, orders, amount }) => [`${country} ${ms}`, `${orders} ${amount}`]));
}

/** By how much the shop was ahead of its own orders at least, ms: were it ever behind, slots could not know. */
export async function aheadMs(rig: Rig, fromMs: number): Promise<number> {
  const [row] = await rig.servers.postgres.query(
    `select min(extract(epoch from placed_at - written_at))::float8 * 1000 as ms from orders
     where placed_at >= to_timestamp(${fromMs / 1_000})`,
    rig.shop.url,
  );
  return Number(row?.ms);
}

export type Told = {
  readonly sampler: string;
  readonly kind: string;
  readonly to: string;
  readonly incident: string;
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  /** How often the mail server had it. */
  readonly received: number;
};

/** Every message owed, and what the mail server had of it. */
export async function messagesTold(rig: Rig): Promise<Told[]> {
  const rows = await rig.facts(
    `select distinct o.id, o.kind, o.recipient, o.incident_id, o.state, o.attempts,
       (select min(a.sampler) from alerts a where a.incident_id = o.incident_id) as sampler from outbox o`,
  );
  const { mails } = rig.servers.mail;
  return rows.map(({ id, kind, recipient, incident_id, state, attempts, sampler }) => ({
    sampler: String(sampler),
    kind: String(kind),
    to: String(recipient),
    incident: String(incident_id),
    id: String(id),
    state: String(state),
    attempts: Number(attempts),
    received: mails.filter((mail) => mail.id === id).length,
  }));
}

/** Where a password can be read: in what processes say, in Redis, in the facts. */
export async function secretsSeen(rig: Rig): Promise<string[]> {
  const texts = new Map<string, string>();
  for (const { name, text } of rig.services.values()) texts.set(`what ${name} said`, text);
  texts.set("a mail", rig.servers.mail.mails.map(({ subject, text }) => `${subject}\n${text}`).join("\n"));
  texts.set("Redis", await redisText(rig));
  const tables = await rig.facts("select tablename from pg_tables where schemaname = 'public'");
  for (const { tablename } of tables) {
    const rows = await rig.facts(`select row_to_json(t)::text as row from "${tablename}" t`);
    texts.set(`table ${tablename}`, rows.map(({ row }) => row).join("\n"));
  }
  return [...texts].flatMap(([where, text]) =>
    Object.entries(secrets)
      .filter(([, secret]) => text.includes(secret))
      .map(([name]) => `${name} in ${where}`),
  );
}

/** All keys of Redis with all that they hold. */
function redisText(rig: Rig): Promise<string> {
  return rig.withRedis(async (client) => {
    const texts: string[] = [];
    const readers: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
      hash: (key) => client.hgetall(key),
      list: (key) => client.lrange(key, 0, -1),
      zset: (key) => client.zrange(key, 0, "-1"),
      set: (key) => client.smembers(key),
      stream: (key) => client.xrange(key, "-", "+"),
      string: (key) => client.get(key),
    };
    for await (const keys of client.scanStream({ count: 500 }) as AsyncIterable<string[]>) {
      for (const key of keys) texts.push(`${key} ${JSON.stringify(await readers[await client.type(key)]?.(key))}`);
    }
    return texts.join("\n");
  });
}

/** Lines that are no log entries, and entries of defects: neither belongs into what a sound process says. */
export function badLines(rig: Rig): string[] {
  const found: string[] = [];
  for (const { name, text } of rig.services.values()) {
    for (const line of text.split("\n")) {
      const isBad = /^\s+at |Error: |Warning: |defect: |"level":60/.test(line) && !line.startsWith("{");
      if (isBad || /defect: |TypeError|RangeError|ReferenceError/.test(line))
        found.push(`${name}: ${line.slice(0, 400)}`);
    }
  }
  return found;
}
