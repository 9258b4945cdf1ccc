/** What every process and command opens: definitions, series, facts, and what reads and explains them. */
import { existsSync, mkdirSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { Alerting } from "./alerting.ts";
import { calendarOf } from "./core/calendar.ts";
import type { Definitions } from "./core/definitions.ts";
import type { Clock, Log, Measured, Notifier, TimeSeriesStore } from "./core/ports.ts";
import { messageOf, Problem } from "./core/problem.ts";
import { systemClock } from "./core/time.ts";
import type { LoadOptions } from "./define/load.ts";
import { resolveSecret } from "./define/secret.ts";
import { DefinitionWatcher } from "./define/watch.ts";
import { explain } from "./explain.ts";
import { historyCellsIn } from "./judge/history.ts";
import { Judge } from "./judge/judge.ts";
import { Composer } from "./notify/compose.ts";
import { Mailbox } from "./notify/mailbox.ts";
import { notifiers as notifierKinds } from "./notify/notifiers/index.ts";
import { Pipeline } from "./pipeline.ts";
import { connectionOf, SamplerRunner } from "./sample/sample.ts";
import { sources } from "./sample/sources/index.ts";
import type { Settings } from "./settings.ts";
import { Shadows } from "./shadow.ts";
import { openState, type State } from "./state/database.ts";
import { Mirror } from "./store/mirror.ts";
import type { Elsewhere } from "./store/router.ts";
import { replicas, stores } from "./store/stores/index.ts";

export type DeskOptions = {
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
};

/** What this build can read from and send through. */
export const kinds: LoadOptions["kinds"] = { sources, notifiers: Object.keys(notifierKinds) };

export function loadOptions(settings: Settings, env: DeskOptions["env"], clock: Clock): LoadOptions & { clock: Clock } {
  return { dir: settings.configDir, zone: settings.zone, kinds, env, clock, keepPointsMs: settings.keepPointsMs };
}

type OpenedStore = Pick<Desk, "store" | "mirror" | "broken">;

function openEmbedded({ settings, clock, log }: DeskOptions, readOnly: boolean): TimeSeriesStore & Measured {
  const path = join(settings.dataDir, "series.db");
  // Before the first start there is nothing to look on at.
  const file = readOnly && !existsSync(path) ? ":memory:" : path;
  return stores.sqlite.create({ file, readOnly: readOnly && file === path }, { clock, log });
}

/** The copies alone: {@link Desk} opens them among all else, and so does a command that carries points. */
export function openMirror(
  { settings, clock, log }: Pick<DeskOptions, "settings" | "clock" | "log">,
  readOnly: boolean,
  onBroken: (problem: Problem) => void,
  elsewhere?: Elsewhere,
): Promise<Mirror> {
  const options = {
    file: join(settings.dataDir, "spool.db"),
    replicas: settings.influx.map((target) => replicas.influx.create(target, { clock: systemClock, log })),
    keepRawMs: settings.keepRawMs,
    keepMs: settings.keepPointsMs,
    spoolBytesMax: settings.spoolBytesMax,
    repairPointsPerSecond: settings.repairPointsPerSecond,
    readOnly,
    shared: settings.redisUrl !== null,
    elsewhere,
  };
  return Mirror.open(options, { clock, timer: systemClock, log, onBroken });
}

/** What the application hears of, and answers, while the desk works. */
export type DeskHooks = {
  /** What other processes know of the copies. */
  readonly elsewhere?: Elsewhere;
  /** Messages have just been written. */
  readonly onOwed?: () => void;
};

/** What reads sources. Without `state` no budgets are kept. */
export function openRunner(
  { settings, env, clock, log, tempo = 1 }: DeskOptions,
  definitions: () => Definitions,
  state?: State,
): SamplerRunner {
  const used = async (sinceMs: number): Promise<ReadonlyMap<string, number>> => {
    const usage = await (state as State).slots.usage(sinceMs);
    return new Map([...usage].map(([sampler, { serverMs }]) => [sampler, serverMs]));
  };
  return new SamplerRunner({
    get connections() {
      return definitions().connections;
    },
    dataDir: settings.dataDir,
    secret: (reference) => resolveSecret(reference, { dir: settings.configDir, env }),
    production: settings.environment === "production",
    clock,
    log,
    tempo,
    samplersOf: (connection) =>
      [...definitions().samplers.values()]
        .filter(({ source }) => connectionOf(source) === connection)
        .map(({ name }) => name),
    ...(state === undefined ? {} : { usageMs: used }),
  });
}

/** What reads and explains, and changes nothing by itself: commands open it, and the application builds on it. */
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
  readonly shadows: Shadows;
  readonly pipeline: Pipeline;
  readonly mailboxDir: string;
  readonly mailbox: Mailbox;
  readonly secret: (reference: string) => string;

  /**
   * @param readOnly open the series for looking on while another process writes them
   * @throws Problem if a file cannot be opened, or another process holds it
   */
  static async open(options: DeskOptions, readOnly: boolean, hooks: DeskHooks = {}): Promise<Desk> {
    const { settings, clock, log, env } = options;
    makeFolder(settings.dataDir);
    const watcher = new DefinitionWatcher({ ...loadOptions(settings, env, clock), log });
    await watcher.reload();
    const broken = Promise.withResolvers<Problem>();
    const mirror =
      settings.influx.length === 0 ? null : await openMirror(options, readOnly, broken.resolve, hooks.elsewhere);
    const store = mirror ?? openEmbedded(options, readOnly);
    try {
      const { databaseUrl: url, dataDir } = settings;
      const state = await openState({ ...(url === null ? { file: join(dataDir, "state.db") } : { url }), clock, log });
      return new Desk(options, watcher, { store, mirror, broken: broken.promise }, state, hooks);
    } catch (thrown) {
      await store[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  private constructor(
    options: DeskOptions,
    watcher: DefinitionWatcher,
    opened: OpenedStore,
    state: State,
    hooks: DeskHooks,
  ) {
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
    this.runner = openRunner(options, definitions, state);
    this.judge = new Judge({
      store,
      log,
      calendarOf: (sampler) => calendarOf(definitions(), sampler),
      // Where no limit is set, or none is known, the machine is the limit.
      historyCellsMax: historyCellsIn(Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)),
    });
    this.shadows = new Shadows({ clock, state, definitions });
    this.alerting = new Alerting({
      clock,
      state,
      definitions,
      shadows: this.shadows,
      store,
      log,
      onOwed: hooks.onOwed,
    });
    const { runner, judge, alerting } = this;
    this.pipeline = new Pipeline({ clock, runner, store, judge, alerting, log });
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
