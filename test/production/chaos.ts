/** What is done to the processes and their servers, in an order that a seed decides. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { stopwatch } from "../../src/core/time.ts";
import { heldSampler, shopPeople } from "./definitions.ts";
import type { Rig } from "./rig.ts";
import type { Service } from "./service.ts";
import { pidOf } from "./watch.ts";

/** When a server did not work as usual. */
export type Event = {
  readonly kind: "flushall" | "redis killed" | "postgres paused" | "worker stopped";
  readonly fromMs: number;
  readonly toMs: number;
};
export type Kill = {
  readonly name: string;
  readonly pid: number;
  readonly atMs: number;
  /** When its successor was ready; null: not yet. */
  upMs: number | null;
};
/** A worker that was killed, or stood still. */
export type Loss = { readonly name: string; readonly pid: number; readonly atMs: number };
/** A worker whose event loop stood still while it ran a slot. */
export type Freeze = {
  readonly service: Service;
  readonly pid: number;
  readonly startMs: number;
  readonly stoppedMs: number;
  readonly resumedMs: number;
  /** When another worker had done the slot; null: none had. */
  readonly takenMs: number | null;
  /** The slot as it was when the worker went on, and a while after. */
  readonly before: string;
  readonly after: string;
  /** What the worker said since. */
  readonly said: string;
};
export type Outage = {
  readonly channel: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly openedMs: number | null;
  readonly resolvedMs: number | null;
};

/** Between what is done to one server and to the next. */
const restMs = 8_000;
const redisDownMs = 5_000;
const postgresPausedMs = 5_000;
/** A message whose worker was killed with it in hand is owed again after five minutes. */
const messageMsMax = 400_000;

/** A small generator of numbers from 0 to 1, so that a run can be told by its seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Chaos {
  readonly kills: Kill[] = [];
  readonly events: Event[] = [];
  readonly freezes: Freeze[] = [];
  readonly outages: Outage[] = [];
  readonly #rig: Rig;
  readonly #random: () => number;
  readonly #restarts: Promise<void>[] = [];
  /** No worker is to be killed now: another one is to take over from one that stands still. */
  #sparesWorkers = false;

  constructor(rig: Rig, seed: number) {
    this.#rig = rig;
    this.#random = randomFrom(seed);
  }

  /** All of it at once, for so long; returns when what was taken down has been started again. */
  async run(durationMs: number): Promise<void> {
    const rounds = Math.max(1, Math.floor(durationMs / 150_000));
    const work = [this.#killing(durationMs), this.#servers(durationMs, rounds), this.#outages(durationMs)];
    for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
    await Promise.all(this.#restarts);
  }

  /** When the last of what holds samplers up was over that began before `ms`, but not before `fromMs`. */
  calmFrom(fromMs: number, ms: number): number {
    const events = this.events.filter((event) => event.fromMs < ms).map(({ toMs }) => toMs);
    const kills = this.kills.filter(({ name, atMs }) => name === "scheduler" && atMs < ms);
    return Math.max(fromMs, ...[...events, ...kills.map(({ upMs }) => upMs ?? 0)].filter((end) => end <= ms));
  }

  async #killing(durationMs: number): Promise<void> {
    const elapsedMs = stopwatch();
    const { services, workers } = this.#rig;
    for (;;) {
      await sleep(5_000 + this.#random() * 5_000);
      if (elapsedMs() >= durationMs) return;
      const all = [services.get("scheduler") as Service, ...(this.#sparesWorkers ? [] : workers)];
      const those = all.filter((one) => one.isRunning);
      const victim = those[Math.floor(this.#random() * those.length)];
      // The scheduler is not to be down all the while that it alone may be killed.
      if (victim !== undefined && !(this.#sparesWorkers && this.#random() < 0.6)) await this.#kill(victim);
    }
  }

  async #kill(victim: Service): Promise<void> {
    const downMs = 1_000 + this.#random() * 5_000;
    const pid = victim.pid as number;
    const atMs = Date.now();
    await victim.kill();
    const kill: Kill = { name: victim.name, pid, atMs, upMs: null };
    this.kills.push(kill);
    this.#rig.tell(`kill -9 ${victim.name}, for ${(downMs / 1_000).toFixed(1)} s`);
    this.#restarts.push(this.#restart(victim, kill, downMs));
  }

  /** It may be killed again while it starts: then the next one sees to it. */
  async #restart(victim: Service, kill: Kill, downMs: number): Promise<void> {
    await sleep(downMs);
    victim.start();
    const isLatest = (): boolean => this.kills.findLast(({ name }) => name === victim.name) === kill;
    await victim.ready().catch((thrown: unknown) => {
      if (isLatest()) throw thrown;
    });
    if (isLatest()) kill.upMs = Date.now();
  }

  /** One after the other, spread over the time. */
  async #servers(durationMs: number, rounds: number): Promise<void> {
    const elapsedMs = stopwatch();
    const deeds = [() => this.#freeze(), () => this.#flush(), () => this.#killRedis(), () => this.#pausePostgres()];
    const all = Array.from({ length: rounds }, () => deeds).flat();
    // The first one takes half a minute.
    for (const [index, deed] of all.entries()) {
      await sleep(Math.max(index === 0 ? 0 : restMs, (durationMs * (index + 0.4)) / (all.length + 0.5) - elapsedMs()));
      await deed();
    }
  }

  async #flush(): Promise<void> {
    const fromMs = Date.now();
    await this.#rig.withRedis((client) => client.flushall());
    this.#note("flushall", fromMs, "FLUSHALL");
  }

  async #killRedis(): Promise<void> {
    const { redis } = this.#rig.servers;
    const fromMs = Date.now();
    await redis.kill();
    await sleep(redisDownMs);
    await redis.start();
    this.#note("redis killed", fromMs, `kill -9 of Redis, for ${redisDownMs / 1_000} s`);
  }

  async #pausePostgres(): Promise<void> {
    const { postgres } = this.#rig.servers;
    const fromMs = Date.now();
    postgres.pause();
    await sleep(postgresPausedMs);
    postgres.resume();
    this.#note("postgres paused", fromMs, `PostgreSQL stood still for ${postgresPausedMs / 1_000} s`);
  }

  #note(kind: Event["kind"], fromMs: number, told: string): void {
    this.events.push({ kind, fromMs, toMs: Date.now() });
    this.#rig.tell(told);
  }

  /** A worker stands still in the middle of a slot, for as long as another one takes to run it and a little more. */
  async #freeze(): Promise<void> {
    const lock = new Client({ connectionString: this.#rig.shop.url });
    lock.on("error", () => {});
    await lock.connect();
    this.#sparesWorkers = true;
    const { service, startMs } = await this.#heldUp(lock);
    const stoppedMs = Date.now();
    const pid = service.pid as number;
    this.#rig.tell(`SIGSTOP ${service.name}, in the slot of ${new Date(startMs).toISOString()}`);
    await lock.query("rollback");
    await lock.end();
    const takenMs = await this.#taken(startMs);
    await sleep(Math.max(2_000, stoppedMs + 20_000 - Date.now()));
    const before = await this.#slot(startMs);
    const from = service.text.length;
    const resumedMs = Date.now();
    service.resume();
    await sleep(4_000);
    const after = await this.#slot(startMs);
    this.#sparesWorkers = false;
    this.freezes.push({
      ...{ service, pid, startMs, stoppedMs, resumedMs, takenMs, before, after },
      said: service.text.slice(from),
    });
    this.#note(
      "worker stopped",
      stoppedMs,
      `SIGCONT ${service.name} after ${Math.round((resumedMs - stoppedMs) / 1_000)} s`,
    );
  }

  /** Locks what the sampler reads until a worker waits for it in a slot, and stops that worker there. */
  async #heldUp(lock: Client): Promise<{ service: Service; startMs: number }> {
    const elapsedMs = stopwatch();
    await lock.query("begin; lock table floors in access exclusive mode");
    while (elapsedMs() < 40_000) {
      const [row] = await this.#rig.facts(
        `select start_ms::float8 as start_ms, lease_owner from slots where sampler = '${heldSampler}' and state = 'leased'`,
      );
      const service = this.#rig.workers.find(
        (one) => one.isRunning && one.pid === pidOf(String(row?.lease_owner ?? "")),
      );
      if (service !== undefined) {
        service.pause();
        return { service, startMs: Number(row?.start_ms) };
      }
      await sleep(50);
    }
    throw new Error("no worker ran the slot that was to be held up");
  }

  async #taken(startMs: number): Promise<number | null> {
    const elapsedMs = stopwatch();
    while (elapsedMs() < 38_000) {
      if (/"state":"(done|caught-up)"/.test(await this.#slot(startMs))) return Date.now();
      await sleep(200);
    }
    return null;
  }

  async #slot(startMs: number): Promise<string> {
    const [row] = await this.#rig.facts(
      `select row_to_json(s)::text as slot from slots s where sampler = '${heldSampler}' and start_ms = ${startMs}`,
    );
    return String(row?.slot);
  }

  /** Channels close one after the other, each until somebody was told, and open again until that is told too. */
  async #outages(durationMs: number): Promise<void> {
    const elapsedMs = stopwatch();
    await sleep(5_000);
    for (let ordinal = 5; ordinal === 5 || elapsedMs() < durationMs - 90_000; ordinal += 1) {
      await this.#outage(`c${String(ordinal).padStart(2, "0")}`);
      if (ordinal === 15) return;
    }
  }

  async #outage(channel: string): Promise<void> {
    const { shop } = this.#rig;
    const fromMs = shop.close(channel);
    this.#rig.tell(`${channel} takes no more orders`);
    const openedMs = await this.#told(`channel-${channel}`, "opened");
    const toMs = shop.reopen(channel);
    this.#rig.tell(`${channel} takes orders again, ${openedMs === null ? "nobody was told" : "all were told"}`);
    const resolvedMs = await this.#told(`channel-${channel}`, "resolved");
    this.#rig.tell(`${channel}: ${resolvedMs === null ? "nobody heard of the recovery" : "all heard of the recovery"}`);
    this.outages.push({ channel, fromMs, toMs, openedMs, resolvedMs });
  }

  /** When the last of the shop's people had a message of that kind. */
  async #told(sampler: string, kind: "opened" | "resolved"): Promise<number | null> {
    const elapsedMs = stopwatch();
    while (elapsedMs() < messageMsMax) {
      const rows = await this.#rig
        .facts(
          `select o.id from outbox o join alerts a on a.incident_id = o.incident_id
           where a.sampler = '${sampler}' and o.kind = '${kind}'`,
        )
        .catch(() => []);
      const ids = new Set(rows.map(({ id }) => id));
      const mails = this.#rig.servers.mail.mails.filter(({ id }) => ids.has(id));
      if (shopPeople.every((to) => mails.some((mail) => mail.to === to))) return Date.now();
      await sleep(500);
    }
    return null;
  }
}
