/**
 * The composition root: picks adapters, joins stages, owns start and stop.
 *
 *   define     DefinitionWatcher --- definitions() is asked anew by every stage
 *   schedule   Scheduler -> slot ledger (state) -> Queue -> SlotWorker of whoever holds the sampler's share
 *                                                             |  Pipeline.run(sampler, slot), then Resampler
 *   sample     SamplerRunner -> rows -> toPoints  <-----------+
 *   store      TimeSeriesStore  <- points, verdicts; embedded, or a Mirror: Spool -> Lanes -> InfluxDBs
 *   judge      Judge            -> verdicts
 *   relate     conclude         -> conclusions
 *   alert      Alerting         -> alerts, incidents, outbox (state, one transaction)
 *   notify     Deliverer <- outbox; Composer words the message; notifiers carry it
 *   show       console, API, /metrics
 *
 * What a process does of it is its roles: all of it without REDIS_URL; else any of
 *
 *   scheduler  plans slots, wakes workers, does what only time does          any number, the ledger decides
 *   worker     samples, judges, stores, alerts, delivers                     any number, shares are leases in SQL
 *   console    shows                                                         any number
 *
 * and all of them say to each other through SQL that they live (Peers); one of them tells people what is wrong.
 */
import { createHash, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { Collection } from "./collection.ts";
import type { Definitions } from "./core/definitions.ts";
import { gauge } from "./core/measure.ts";
import type { Measure, Measured, Queue, ReplicaStatus } from "./core/ports.ts";
import { formatProblem, messageOf, Problem } from "./core/problem.ts";
import { formatDuration, secondMs, stopwatch, systemClock } from "./core/time.ts";
import { within } from "./core/within.ts";
import type { Loaded } from "./define/load.ts";
import { Desk, type DeskOptions } from "./desk.ts";
import { roles as everyRole, Peers, type Role } from "./peers.ts";
import { ConsoleRole } from "./role-console.ts";
import { SchedulerRole } from "./role-scheduler.ts";
import { WorkerRole } from "./role-worker.ts";
import { dueMs, slotsEndingIn } from "./schedule/cron.ts";
import { slotJob } from "./schedule/job.ts";
import { checkRedis, queues } from "./schedule/queues/index.ts";
import { shareOf } from "./schedule/share.ts";
import { version } from "./version.ts";

export type AppOptions = DeskOptions & {
  /** What this process does. Default everything. */
  readonly roles?: ReadonlySet<Role> | undefined;
  /** The numbers are a demonstration, and the console says so. Default false. */
  readonly demo?: boolean | undefined;
};

/** While the past is loaded: samplers woken in one look, and real time between two looks. */
const historyWakeMax = 1_000;
const historyLookMs = 200;

/** How long slots that run may take to their end when it is stopped: five seconds by themselves, then to be given back. */
const slotsEndMs = 6 * secondMs;
/** And what follows, which others only miss where it fails. */
const leaveMs = 2 * secondMs;

/** What other processes are told of the copies. */
function copiesOf(copies: readonly ReplicaStatus[]) {
  return {
    lagsMs: Object.fromEntries(copies.map(({ name, lagMs }) => [name, lagMs])),
    soundCopies: copies.filter(({ verifyReason }) => verifyReason === null).map(({ name }) => name),
  };
}

function depthMeasures(queue: Queue): Measure[] {
  const { waiting, running } = queue.depth();
  return [gauge("queue_waiting", "Jobs that wait.", waiting), gauge("queue_running", "Jobs being handled.", running)];
}

/** Leases and slots are told by each process's own clock. */
const clockAheadMsMax = 5 * secondMs;

/** STR-003: what is wrong with this machine's clock, seen from the database of facts. */
export function clockFaults(aheadMs: number): Problem[] {
  if (Math.abs(aheadMs) <= clockAheadMsMax) return [];
  const how = aheadMs > 0 ? "behind" : "ahead of";
  return [
    new Problem(`this machine's clock is ${formatDuration(Math.abs(aheadMs))} ${how} the database's`, {
      code: "STR-003",
      where: "DATABASE_URL",
      fix: "let all machines follow one time server",
    }),
  ];
}

/** The same after a restart. Of one role there may be several on a machine, but not on one data folder. */
function defaultName(roles: ReadonlySet<Role>, dataDir: string): string {
  const folder = createHash("sha256").update(resolve(dataDir)).digest("hex").slice(0, 6);
  return [hostname(), ...everyRole.filter((role) => roles.has(role)), folder].join("-");
}

/** The running system: everything that {@link Desk} has, and what does work by itself. */
export class App implements AsyncDisposable {
  readonly desk: Desk;
  /** Names this process among all that there are or were. */
  readonly owner: string;
  readonly #queue: Queue & Measured;
  readonly #collection: Collection;
  readonly #peers: Peers;
  readonly #scheduler: SchedulerRole | null;
  readonly #worker: WorkerRole | null;
  readonly #console: ConsoleRole;
  readonly #measured: readonly Measured[];
  readonly #stopping = new AbortController();
  #loops: Promise<void>[] = [];
  #known: Definitions | null = null;
  #ready = false;
  readonly #underWay = new Set<string>();

  /** Opens the stores and starts to answer probes; nothing is sampled before {@link run}. */
  static async open(options: AppOptions): Promise<App> {
    const roles = options.roles ?? new Set(everyRole);
    let app: App | undefined;
    const desk = await Desk.open(options, !roles.has("worker"), {
      elsewhere: {
        isBehind: (copy) => (app === undefined ? false : app.#peers.isBehind(copy)),
        isSound: (copy) => (app === undefined ? false : app.#peers.isSound(copy)),
      },
      onOwed: () => app?.wakeDeliverers(),
    });
    try {
      app = new App(options, roles, desk);
    } catch (thrown) {
      await desk[Symbol.asyncDispose]();
      throw thrown;
    }
    try {
      await app.#begin();
      return app;
    } catch (thrown) {
      await app[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  private constructor(options: AppOptions, roles: ReadonlySet<Role>, desk: Desk) {
    const { clock, log, settings, tempo = 1, demo = false } = options;
    const several = settings.redisUrl !== null;
    this.desk = desk;
    this.owner = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    this.#queue = several ? queues.bullmq({ url: settings.redisUrl as string, log }) : queues.memory({ clock, log });
    const definitions = () => desk.definitions;
    this.#collection = new Collection({ clock, slots: desk.state.slots, definitions, tempo });
    this.#peers = this.#peersOf(roles, several);
    const ownShare = (sampler: string): number => this.#shareOf(sampler);
    this.#scheduler = roles.has("scheduler") ? new SchedulerRole(desk, this.#queue, ownShare, tempo) : null;
    this.#worker = roles.has("worker")
      ? new WorkerRole({
          desk,
          queue: this.#queue,
          owner: this.owner,
          shareOf: ownShare,
          workers: several ? async () => this.#peers.workers() : null,
          tempo,
          baseUrl: () => settings.baseUrl ?? this.url,
        })
      : null;
    const { watcher, runner, pipeline, store, judge, alerting, shadows, state } = desk;
    this.#measured = [
      ...[watcher, runner, pipeline, store, judge, alerting, shadows, state, this.#queue, this.#peers],
      { measures: () => depthMeasures(this.#queue) },
      ...(this.#scheduler?.measured ?? []),
      ...(this.#worker?.measured ?? []),
    ];
    this.#console = new ConsoleRole({
      desk,
      peers: this.#peers,
      collection: this.#collection,
      measured: this.#measured,
      ready: () => this.#readiness(),
      demo,
      whole: roles.has("console"),
    });
  }

  /** Where the console answers. */
  get url(): string {
    return this.#console.url;
  }

  /** What a stop waits for, or no longer waits for although it has not ended; in words. */
  get underWay(): readonly string[] {
    return [...this.#underWay];
  }

  /** What is unsafe about the servers that were found, for `start` to warn of or to refuse. */
  async faults(): Promise<readonly Problem[]> {
    const { mirror, state } = this.desk;
    return [...(mirror?.faults() ?? []), ...(await this.redisFaults()), ...clockFaults(await state.clockAheadMs())];
  }

  /** Those of the Redis alone; one is retryable where it does not answer. */
  async redisFaults(): Promise<readonly Problem[]> {
    const { redisUrl } = this.desk.settings;
    return redisUrl === null ? [] : await checkRedis(redisUrl);
  }

  /** Whoever delivers looks at once; where that cannot be told, soon by itself. */
  wakeDeliverers(): void {
    this.#queue.add({ kind: "notify", id: "outbox" }).catch(() => {});
  }

  async #begin(): Promise<void> {
    const { desk } = this;
    const { settings, log, state } = desk;
    if (settings.databaseUrl === null) {
      // The store's own file is open for writing, so no other process works here: what is leased, a crash left behind.
      const left = await state.slots.releaseAll();
      if (left > 0) log.warn({ slots: left }, "slots that a crash interrupted are run again");
    }
    await this.#peers.announce();
    await this.#console.listen();
  }

  /** Begins to schedule, sample, judge, alert and deliver, as its roles are. Returns at once. */
  run(): void {
    const { desk } = this;
    const { signal } = this.#stopping;
    this.#takeDefinitions(desk.watcher.current);
    this.#loops = [
      desk.watcher.run(signal, (loaded) => this.#takeDefinitions(loaded)),
      this.#peers.run(signal),
      ...(this.#worker?.run(signal) ?? []),
      ...(this.#scheduler?.run(signal) ?? []),
    ];
    this.#ready = true;
  }

  /**
   * Runs every slot that ended in `(fromMs, toMs]` for the record: stored and judged, nobody told. Before {@link run};
   * slots that are done are not run again, so that it may be called anew after a crash.
   * @param onProgress told now and then how many slots are left, of how many
   */
  async loadHistory(fromMs: number, toMs: number, onProgress: (left: number, of: number) => void): Promise<void> {
    const { slots } = this.desk.state;
    let of = 0;
    for (const sampler of this.desk.definitions.samplers.values()) {
      const past = slotsEndingIn(sampler, fromMs, toMs, Number.POSITIVE_INFINITY);
      await slots.add(past.map((slot) => ({ ...slot, dueMs: Math.min(dueMs(sampler, slot), toMs), catchUp: true })));
      of += past.length;
    }
    this.#worker?.start();
    for (let busy = true; busy && !this.#stopping.signal.aborted; ) {
      const ready = await slots.ready(this.desk.clock.nowMs(), historyWakeMax);
      for (const slot of ready) await this.#queue.add(slotJob(slot, this.#shareOf(slot.sampler)));
      const { due, leased } = await slots.counts();
      busy = ready.length + leased > 0;
      onProgress(busy ? due + leased : 0, Math.max(of, due + leased));
      if (busy) await systemClock.sleep(historyLookMs, this.#stopping.signal).catch(() => {});
    }
    this.desk.log.info({ slots: of }, "the past is loaded");
  }

  /**
   * Stops: no new slots, those that run are finished or given back, messages in hand are sent, others hear of it. What
   * has not ended 8 s later, as its server is silent, is left to run out; only files and connections are waited for.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const elapsedMs = stopwatch();
    this.#ready = false;
    this.#stopping.abort();
    const queues = [this.#queue[Symbol.asyncDispose](), this.#worker?.close()];
    const [slotsEnded, loopsEnded] = await Promise.all([
      this.#ends("slots that run", slotsEndMs, Promise.all(queues)),
      this.#ends("looks at the database", slotsEndMs, Promise.all(this.#loops)),
    ]);
    const leaving = [this.#ends("saying that this process ends", leaveMs, this.#peers.leave())];
    // A share is nobody else's while one of its slots may still run.
    if (this.#worker !== null && slotsEnded && loopsEnded) {
      // Slots that end at once leave their time to what they stored, which is on its way to the copies.
      const restMs = Math.max(leaveMs, slotsEndMs + leaveMs - elapsedMs());
      leaving.push(this.#ends("giving shares back", restMs, this.#worker.leave(restMs - secondMs)));
    }
    leaving.push(this.#ends("requests of the console", leaveMs, this.#console[Symbol.asyncDispose]()));
    await Promise.all(leaving);
    this.#underWay.add("closing files and connections");
    await this.#worker?.[Symbol.asyncDispose]();
    await this.desk[Symbol.asyncDispose]();
    this.#underWay.delete("closing files and connections");
  }

  /** False where it failed or is late; the end goes on without it. */
  async #ends(what: string, ms: number, work: Promise<unknown>): Promise<boolean> {
    this.#underWay.add(what);
    try {
      const ended = work.finally(() => this.#underWay.delete(what));
      await within(systemClock, ms, "its server", ended);
      return true;
    } catch (thrown) {
      this.desk.log.warn({ err: thrown }, `the end goes on without ${what}: ${messageOf(thrown)}`);
      return false;
    }
  }

  #peersOf(roles: ReadonlySet<Role>, several: boolean): Peers {
    const { clock, log, state, settings, mirror, alerting, watcher } = this.desk;
    const definitions = () => watcher.current.definitions;
    return new Peers({
      clock,
      timer: systemClock,
      log,
      processes: state.processes,
      leases: state.leases,
      name: settings.processName ?? defaultName(roles, settings.dataDir),
      owner: this.owner,
      roles,
      version,
      several,
      own: () => ({
        conditions: mirror?.conditions() ?? [],
        ...copiesOf(mirror?.status().replicas ?? []),
      }),
      collection: () => this.#collection.conditions(),
      goneMs: () => definitions().collection.processGoneMs,
      tell: (conditions, complete) => alerting.tellConditions(conditions, complete),
      tick: () => alerting.tick(),
    });
  }

  #shareOf(name: string): number {
    const sampler = this.desk.definitions.samplers.get(name);
    return shareOf(sampler === undefined ? name : this.desk.runner.shareKey(sampler));
  }

  /**
   * New definitions: slots are planned by them from now on. Of what changed nothing is remembered: sources are made
   * anew when used, history is read again.
   */
  #takeDefinitions({ definitions, problems }: Loaded): void {
    const { log, state, clock } = this.desk;
    for (const problem of problems) log.warn({ where: problem.where }, formatProblem(problem));
    this.#worker?.takeDefinitions(this.#known, definitions);
    this.#known = definitions;
    this.#scheduler?.takeDefinitions(definitions);
    state.people.sync(definitions.people, definitions.groups, clock.nowMs()).catch((thrown: unknown) => {
      log.error({ err: thrown }, `cannot record people and groups: ${messageOf(thrown)}`);
    });
  }

  #readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push("It is being stopped.");
    else if (!this.#ready) reasons.push("It is starting.");
    return { ready: this.#ready, reasons };
  }
}
