/**
 * The composition root: picks adapters, joins stages, owns start and stop.
 *
 *   define     DefinitionWatcher --- definitions() is asked anew by every stage
 *   schedule   Scheduler -> slot ledger (state) -> Queue -> SlotWorker
 *                                                             |  Pipeline.run(sampler, slot)
 *   sample     SamplerRunner -> rows -> toPoints  <-----------+
 *   store      TimeSeriesStore  <- points, verdicts; embedded, or a Mirror: Spool -> Lanes -> InfluxDBs
 *   judge      Judge            -> verdicts
 *   relate     conclude         -> conclusions
 *   alert      Alerting         -> alerts, incidents, outbox (state, one transaction)
 *   notify     Deliverer <- outbox; Composer words the message; notifiers carry it
 *   show       console, API, /metrics
 */
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { Alerting } from "./alerting.ts";
import type { Definitions } from "./core/definitions.ts";
import type { Clock, Log, Measured, Notifier, Queue, TimeSeriesStore } from "./core/ports.ts";
import { formatProblem, messageOf, Problem } from "./core/problem.ts";
import { formatTimeUtc, minuteMs, secondMs, systemClock } from "./core/time.ts";
import type { Loaded, LoadOptions } from "./define/load.ts";
import { resolveSecret } from "./define/secret.ts";
import { DefinitionWatcher } from "./define/watch.ts";
import { explain } from "./explain.ts";
import { every, keepHouse } from "./housekeeping.ts";
import { Judge } from "./judge/judge.ts";
import { Composer } from "./notify/compose.ts";
import { Deliverer } from "./notify/deliver.ts";
import { Mailbox } from "./notify/mailbox.ts";
import { notifiers as notifierKinds } from "./notify/notifiers/index.ts";
import { Pipeline } from "./pipeline.ts";
import { SamplerRunner } from "./sample/sample.ts";
import { sources } from "./sample/sources/index.ts";
import { dueMs, nextSlot, slotsEndingIn } from "./schedule/cron.ts";
import { slotJob } from "./schedule/job.ts";
import { queues } from "./schedule/queues/index.ts";
import { Scheduler } from "./schedule/scheduler.ts";
import { SlotWorker } from "./schedule/worker.ts";
import type { Settings } from "./settings.ts";
import type { Facts } from "./show/console/facts.ts";
import { buildConsole } from "./show/console/server.ts";
import { openState, type State } from "./state/database.ts";
import { Mirror } from "./store/mirror.ts";
import { replicas, stores } from "./store/stores/index.ts";
import { version } from "./version.ts";

export type AppOptions = {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  /** What `env:` references and nothing else read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * How many times as fast as real time the clock runs. Work does not run faster on a fast clock, so leases and looks
   * at the alerts are stretched by it. Default 1.
   */
  readonly tempo?: number | undefined;
  /** The numbers are a demonstration, and the console says so. Default false. */
  readonly demo?: boolean | undefined;
};

/** How often it is looked at how the copies are, in real time; and slots that are sampled again at one look. */
const conditionsMs = 5 * secondMs;
const firstConditionsMs = minuteMs;
const gapsMax = 100;
/** How long a slot that ended rests before it is sampled again for its gap. */
const reopenMs = minuteMs;
/** How often alerts are looked at for what only time changes. */
const tickMs = 5 * secondMs;
/** The longest that the first look waits for slots that are caught up. */
const catchUpMsMax = 5 * minuteMs;

/** While the past is loaded: samplers woken in one look, and real time between two looks. */
const historyWakeMax = 1_000;
const historyLookMs = 200;

/** What this build can read from and send through. */
export const kinds: LoadOptions["kinds"] = { sources, notifiers: Object.keys(notifierKinds) };

export function loadOptions(settings: Settings, env: AppOptions["env"], clock: Clock): LoadOptions & { clock: Clock } {
  return { dir: settings.configDir, zone: settings.zone, kinds, env, clock };
}

type OpenedStore = Pick<Desk, "store" | "mirror" | "broken">;

function openEmbedded({ settings, clock, log }: AppOptions, readOnly: boolean): TimeSeriesStore & Measured {
  const path = join(settings.dataDir, "series.db");
  // Before the first start there is nothing to look on at.
  const file = readOnly && !existsSync(path) ? ":memory:" : path;
  return stores.sqlite.create({ file, readOnly: readOnly && file === path }, { clock, log });
}

/** The copies alone: {@link Desk} opens them among all else, and so does a command that carries points. */
export function openMirror(
  { settings, clock, log }: Pick<AppOptions, "settings" | "clock" | "log">,
  readOnly: boolean,
  onBroken: (problem: Problem) => void,
): Promise<Mirror> {
  const options = {
    file: join(settings.dataDir, "spool.db"),
    replicas: settings.influx.map((target) => replicas.influx.create(target, { clock: systemClock, log })),
    keepRawMs: settings.keepRawMs,
    keepMs: settings.keepPointsMs,
    spoolBytesMax: settings.spoolBytesMax,
    repairPointsPerSecond: settings.repairPointsPerSecond,
    readOnly,
  };
  return Mirror.open(options, { clock, timer: systemClock, log, onBroken });
}

/** What reads and explains, and changes nothing by itself: commands open it, and {@link App} builds on it. */
export class Desk implements AsyncDisposable {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  readonly watcher: DefinitionWatcher;
  readonly store: TimeSeriesStore & Measured;
  /** The store, where it is one of several copies; null: it is the embedded one. */
  readonly mirror: Mirror | null;
  /** Comes true when this machine's disk fails: the process had better end. */
  readonly broken: Promise<Problem>;
  readonly state: State;
  readonly runner: SamplerRunner;
  readonly judge: Judge;
  readonly alerting: Alerting;
  readonly pipeline: Pipeline;
  readonly mailboxDir: string;
  readonly mailbox: Mailbox;
  readonly secret: (reference: string) => string;

  /**
   * @param readOnly open the series for looking on while another process writes them
   * @throws Problem if a file cannot be opened, or another process holds it
   */
  static async open(options: AppOptions, readOnly: boolean): Promise<Desk> {
    const { settings, clock, log, env } = options;
    makeFolder(settings.dataDir);
    const watcher = new DefinitionWatcher({ ...loadOptions(settings, env, clock), log });
    await watcher.reload();
    const broken = Promise.withResolvers<Problem>();
    const mirror = settings.influx.length === 0 ? null : await openMirror(options, readOnly, broken.resolve);
    const store = mirror ?? openEmbedded(options, readOnly);
    try {
      const state = await openState({ file: join(settings.dataDir, "state.db"), clock, log });
      return new Desk(options, watcher, { store, mirror, broken: broken.promise }, state);
    } catch (thrown) {
      await store[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  private constructor(options: AppOptions, watcher: DefinitionWatcher, opened: OpenedStore, state: State) {
    const { settings, clock, log, env } = options;
    const { store, mirror, broken } = opened;
    const secret = (reference: string) => resolveSecret(reference, { dir: settings.configDir, env });
    const definitions = () => watcher.current.definitions;
    this.settings = settings;
    this.clock = clock;
    this.log = log;
    this.watcher = watcher;
    this.store = store;
    this.mirror = mirror;
    this.broken = broken;
    this.state = state;
    this.secret = secret;
    this.mailboxDir = join(settings.dataDir, "mailbox");
    this.mailbox = new Mailbox(this.mailboxDir);
    this.runner = new SamplerRunner({
      get connections() {
        return definitions().connections;
      },
      dataDir: settings.dataDir,
      secret,
      log,
    });
    this.judge = new Judge({ store, log });
    this.alerting = new Alerting({ clock, state, definitions, log });
    this.pipeline = new Pipeline({ runner: this.runner, store, judge: this.judge, alerting: this.alerting, log });
  }

  get definitions(): Definitions {
    return this.watcher.current.definitions;
  }

  explain(series: string, timeMs: number) {
    return explain({ ...this, definitions: () => this.definitions }, series, timeMs);
  }

  /** Notifiers by name, to be disposed of by the caller. */
  openNotifiers(): Map<string, Notifier> {
    const { settings, clock, log, mailboxDir } = this;
    const smtpUrl = settings.smtpUrl ?? undefined;
    const secrets = settings.webhookSecrets.length === 0 ? undefined : settings.webhookSecrets;
    return new Map([
      ["email", notifierKinds.email.create({ smtpUrl, mailboxDir, from: settings.mailFrom }, { clock, log })],
      ["webhook", notifierKinds.webhook.create({ secrets }, { clock, log })],
    ]);
  }

  composer(baseUrl: string): Composer {
    const { store, clock, log, settings } = this;
    const { alerts } = this.state;
    return new Composer({
      alerts,
      store,
      definitions: () => this.definitions,
      baseUrl,
      zone: settings.zone,
      clock,
      log,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runner[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
    await this.state[Symbol.asyncDispose]();
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw new Problem(`cannot make the data folder: ${messageOf(thrown)}`, {
      code: "STR-002",
      where: path,
      fix: "name a folder that can be written with --data or BELLWETHER_DATA",
      cause: thrown,
    });
  }
}

/** The running system: everything that {@link Desk} has, and what does work by itself. */
export class App implements AsyncDisposable {
  readonly desk: Desk;
  readonly owner: string;
  readonly #options: AppOptions;
  readonly #queue: Queue;
  readonly #scheduler: Scheduler;
  readonly #worker: SlotWorker;
  readonly #notifiers: Map<string, Notifier>;
  #console: Awaited<ReturnType<typeof buildConsole>> | undefined;
  #loops: Promise<void>[] = [];
  readonly #stopping = new AbortController();
  #ready = false;

  private constructor(options: AppOptions, desk: Desk) {
    const { clock, log, settings, tempo = 1 } = options;
    const { slots } = desk.state;
    this.desk = desk;
    this.owner = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
    this.#options = options;
    this.#queue = queues.memory({ clock, log });
    this.#notifiers = desk.openNotifiers();
    this.#scheduler = new Scheduler({ clock, slots, queue: this.#queue, log, catchUp: settings.catchUp });
    this.#worker = new SlotWorker({
      clock,
      slots,
      queue: this.#queue,
      log,
      owner: this.owner,
      concurrency: settings.concurrency,
      leaseMs: minuteMs * tempo,
      sampler: (name) => desk.definitions.samplers.get(name),
      execute: (sampler, slot, signal) => desk.pipeline.run(sampler, slot, signal),
    });
  }

  /** Opens the stores and starts the console; nothing is sampled before {@link run}. */
  static async open(options: AppOptions): Promise<App> {
    const desk = await Desk.open(options, false);
    const app = new App(options, desk);
    try {
      // The store's own file is open for writing, so no other process works here: what is leased, a crash left behind.
      const left = await desk.state.slots.releaseAll();
      if (left > 0) options.log.warn({ slots: left }, "slots that a crash interrupted are run again");
      await app.#listen();
      return app;
    } catch (thrown) {
      await app[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** Where the console answers. */
  get url(): string {
    const address = this.#console?.server.address();
    const port = typeof address === "object" && address !== null ? address.port : this.desk.settings.port;
    const { host } = this.desk.settings;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** Begins to schedule, sample, judge, alert and deliver. Returns at once. */
  run(): void {
    const { desk } = this;
    const { signal } = this.#stopping;
    const { tempo = 1, clock, log } = this.#options;
    const deliverer = new Deliverer({
      clock,
      state: desk.state,
      notifiers: this.#notifiers,
      log,
      owner: this.owner,
      compose: (
        (composer) => (item) =>
          composer.compose(item)
      )(desk.composer(this.#baseUrl())),
      secret: desk.secret,
      newId: randomUUID,
    });
    this.#measured.push(deliverer);
    this.#takeDefinitions(desk.watcher.current);
    this.#startWorker();
    this.#loops = [
      desk.watcher.run(signal, (loaded) => this.#takeDefinitions(loaded)),
      this.#scheduler.run(signal),
      deliverer.run(signal),
      this.#tickAlerts(tickMs * Math.sqrt(tempo), signal),
      keepHouse(desk, signal),
      this.#watchSelf(signal),
      every(conditionsMs, systemClock, signal, log, "gaps", () => this.#fillGaps()),
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
    const { log } = this.#options;
    let of = 0;
    for (const sampler of this.desk.definitions.samplers.values()) {
      const past = slotsEndingIn(sampler, fromMs, toMs, Number.POSITIVE_INFINITY);
      await slots.add(past.map((slot) => ({ ...slot, dueMs: Math.min(dueMs(sampler, slot), toMs), catchUp: true })));
      of += past.length;
    }
    this.#startWorker();
    for (let busy = true; busy && !this.#stopping.signal.aborted; ) {
      const ready = await slots.ready(this.desk.clock.nowMs(), historyWakeMax);
      for (const slot of ready) await this.#queue.add(slotJob(slot));
      const { due, leased } = await slots.counts();
      busy = ready.length + leased > 0;
      onProgress(busy ? due + leased : 0, Math.max(of, due + leased));
      if (busy) await systemClock.sleep(historyLookMs, this.#stopping.signal).catch(() => {});
    }
    log.info({ slots: of }, "the past is loaded");
  }

  /** Not right after a start: a trouble that stood before it takes a while to be seen again, and is not over. */
  async #watchSelf(signal: AbortSignal): Promise<void> {
    const { alerting, mirror, log } = this.desk;
    await systemClock.sleep(firstConditionsMs, signal).catch(() => {});
    await every(conditionsMs, systemClock, signal, log, "own conditions", () =>
      alerting.tellConditions(mirror?.conditions() ?? []),
    );
  }

  /** Slots whose points had no room, or were lost with a damaged spool, are run again for the record. */
  async #fillGaps(): Promise<void> {
    const { mirror, state, definitions, clock, log } = this.desk;
    if (mirror === null || !mirror.hasRoom) return;
    for (let page = mirror.gaps(gapsMax); page.length > 0; page = mirror.gaps(gapsMax, page.at(-1))) {
      for (const gap of page) {
        const key = { sampler: gap.sampler, startMs: gap.slotMs };
        const slot = definitions.samplers.has(gap.sampler) ? await state.slots.get(key.sampler, key.startMs) : null;
        const nowMs = clock.nowMs();
        // A source that fails is not asked again and again.
        if (slot !== null && nowMs - (slot.finishedMs ?? 0) >= reopenMs) await state.slots.reopen([key], nowMs);
        if (slot === null) {
          log.warn({ ...gap }, "points without room, or lost, are of no slot that could be sampled again");
          mirror.dropGap(gap);
        }
      }
      if (page.length < gapsMax) return;
    }
  }

  #startWorker(): void {
    if (this.#working) return;
    this.#working = true;
    this.#worker.start();
  }

  #working = false;

  /** After a start, what slots have to say goes before what only time does: no "still" from before a long stop. */
  async #tickAlerts(ms: number, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const { slots } = this.desk.state;
    for (let waitedMs = 0; waitedMs < catchUpMsMax && !signal.aborted; waitedMs += ms) {
      await clock.sleep(ms, signal).catch(() => {});
      const ready = await slots.ready(clock.nowMs(), 1).catch(() => []);
      if (ready.length === 0) break;
    }
    await every(ms, clock, signal, log, "alerts", () => this.desk.alerting.tick());
  }

  /** Stops within ten seconds: no new slots, those that run are finished or given back, messages in hand are sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ready = false;
    this.#stopping.abort();
    await this.#queue[Symbol.asyncDispose]();
    await Promise.all(this.#loops);
    await this.#console?.close();
    for (const notifier of this.#notifiers.values()) await notifier[Symbol.asyncDispose]();
    await this.desk[Symbol.asyncDispose]();
  }

  readonly #measured: Measured[] = [];

  async #listen(): Promise<void> {
    const { desk } = this;
    const { settings, log, state, store, watcher, clock, alerting } = desk;
    this.#measured.push(
      watcher,
      this.#scheduler,
      this.#worker,
      desk.runner,
      desk.pipeline,
      store,
      desk.judge,
      alerting,
    );
    this.#measured.push(state, { measures: () => this.#queueMeasures() });
    const mailbox = settings.smtpUrl === null ? desk.mailbox : null;
    const facts: Facts = {
      definitions: () => watcher.current,
      store,
      state,
      clock,
      zone: settings.zone,
      version,
      next: (name) => this.#next(name),
      explain: (series, timeMs) => desk.explain(series, timeMs),
      mailbox,
      ready: async () => this.#readiness(),
      measured: this.#measured,
      act: {
        acknowledge: (id, by, seen) => alerting.acknowledge(id, by, seen),
        addSilence: (draft) => alerting.addSilence(draft),
        endSilence: (id, by) => alerting.endSilence(id, by),
      },
      demo: this.#options.demo ?? false,
      replicas: this.#replicas(),
    };
    this.#console = await buildConsole({ facts, log, host: settings.host });
    try {
      await this.#console.listen({ host: settings.host, port: settings.port });
    } catch (thrown) {
      throw new Problem(`cannot listen on ${settings.host}:${settings.port}: ${messageOf(thrown)}`, {
        code: "STR-001",
        where: "BELLWETHER_PORT",
        fix: "end the program that has the port, or choose another with --port",
        cause: thrown,
      });
    }
  }

  /** The copies, for the console: what changes them is written down. */
  #replicas(): Facts["replicas"] {
    const { mirror, state, clock } = this.desk;
    if (mirror === null) return null;
    const note = (action: string, subject: string, detail: string) =>
      state.audit.add([{ id: randomUUID(), atMs: clock.nowMs(), actor: "console", action, subject, detail }]);
    return {
      status: () => mirror.status(),
      compare: (window, deep, signal) => mirror.compare(window, deep, signal),
      shelf: (filter) => mirror.shelf(filter),
      repair: async (window, deep, signal) => {
        const found = await mirror.repair(window, deep, signal);
        const span = `${formatTimeUtc(window.fromMs)} to ${formatTimeUtc(window.toMs)}`;
        await note("replicas.repair", span, `${found.repaired} points written`);
        return found;
      },
      requeue: async (target, signal) => {
        const done = await mirror.requeue(target, signal);
        await note("replicas.requeue", target ?? "all", `${done.taken} points taken, ${done.left} left`);
        return done;
      },
    };
  }

  #baseUrl(): string {
    return this.desk.settings.baseUrl ?? this.url;
  }

  /**
   * New definitions: slots are planned by them from now on. Of what changed nothing is remembered: sources are made
   * anew when used, history is read again.
   */
  #takeDefinitions({ definitions, problems }: Loaded): void {
    const { desk } = this;
    for (const problem of problems) desk.log.warn({ where: problem.where }, formatProblem(problem));
    const before = this.#known;
    const sameConnections = isSame(before?.connections ?? definitions.connections, definitions.connections);
    for (const [name, sampler] of before?.samplers ?? []) {
      const same = definitions.samplers.get(name) === sampler;
      if (!same || !sameConnections) void desk.runner.forget(name);
      if (!same) desk.judge.forget(name);
    }
    this.#known = definitions;
    this.#scheduler.setSamplers(definitions.samplers);
    desk.state.people.sync(definitions.people, definitions.groups, desk.clock.nowMs()).catch((thrown: unknown) => {
      desk.log.error({ err: thrown }, `cannot record people and groups: ${messageOf(thrown)}`);
    });
  }

  #known: Definitions | null = null;

  #next(name: string): ReturnType<Facts["next"]> {
    const sampler = this.desk.definitions.samplers.get(name);
    const slot = sampler === undefined ? null : nextSlot(sampler, this.desk.clock.nowMs());
    return sampler === undefined || slot === null ? null : { ...slot, dueMs: dueMs(sampler, slot) };
  }

  #readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push("It is being stopped.");
    else if (!this.#ready) reasons.push("It is starting.");
    return { ready: this.#ready, reasons };
  }

  #queueMeasures() {
    const { waiting, running } = this.#queue.depth();
    const gauge = (name: string, help: string, value: number) => ({ name, help, kind: "gauge" as const, value });
    return [
      gauge("bellwether_queue_waiting", "Jobs that wait.", waiting),
      gauge("bellwether_queue_running", "Jobs being handled.", running),
    ];
  }
}

/** Equal keys with the very same values, as after a reload that left their files alone. */
function isSame<T>(one: ReadonlyMap<string, T>, other: ReadonlyMap<string, T>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}
