/** The console: shows everything to people, and takes what they do. Every process answers probes and `/metrics`. */
import { randomUUID } from "node:crypto";
import type { Collection } from "./collection.ts";
import type { Measured } from "./core/ports.ts";
import { messageOf, Problem } from "./core/problem.ts";
import { formatTimeUtc } from "./core/time.ts";
import type { Desk } from "./desk.ts";
import type { Peers } from "./peers.ts";
import { dueMs, nextSlot } from "./schedule/cron.ts";
import type { Facts } from "./show/console/facts.ts";
import { buildConsole } from "./show/console/server.ts";
import { version } from "./version.ts";

export type ConsoleRoleDeps = {
  readonly desk: Desk;
  readonly peers: Peers;
  readonly collection: Collection;
  /** Read at each scrape. */
  readonly measured: readonly Measured[];
  readonly ready: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly demo: boolean;
  /** False: probes and `/metrics` alone. */
  readonly whole: boolean;
};

export class ConsoleRole implements AsyncDisposable {
  readonly #deps: ConsoleRoleDeps;
  #server: Awaited<ReturnType<typeof buildConsole>> | undefined;

  constructor(deps: ConsoleRoleDeps) {
    this.#deps = deps;
  }

  /** Where it answers. */
  get url(): string {
    const { host, port: wanted } = this.#deps.desk.settings;
    const address = this.#server?.server.address();
    const port = typeof address === "object" && address !== null ? address.port : wanted;
    return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  }

  /** @throws Problem STR-001 if the port is taken */
  async listen(): Promise<void> {
    const { desk, whole } = this.#deps;
    const { settings, log } = desk;
    this.#server = await buildConsole({ facts: this.#facts(), log, host: settings.host, whole });
    try {
      await this.#server.listen({ host: settings.host, port: settings.port });
    } catch (thrown) {
      throw new Problem(`cannot listen on ${settings.host}:${settings.port}: ${messageOf(thrown)}`, {
        code: "STR-001",
        where: "BELLWETHER_PORT",
        fix: "end the program that has the port, or choose another with --port",
        cause: thrown,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
  }

  #facts(): Facts {
    const { desk, peers, collection, measured, ready, demo } = this.#deps;
    const { settings, state, store, watcher, clock, alerting, shadows } = desk;
    return {
      definitions: () => watcher.current,
      store,
      state,
      clock,
      zone: settings.zone,
      version,
      next: (name) => this.#next(name),
      explain: (series, timeMs) => desk.explain(series, timeMs),
      mailbox: settings.smtpUrl === null ? desk.mailbox : null,
      ready: async () => ready(),
      processes: () => peers.list(),
      usage: () => collection.usage(),
      shadow: (name) => shadows.of(name),
      measured,
      act: {
        acknowledge: (id, by, seen) => alerting.acknowledge(id, by, seen),
        addSilence: (draft) => alerting.addSilence(draft),
        endSilence: (id, by) => alerting.endSilence(id, by),
        endShadow: (name, by) => shadows.end(name, by),
      },
      demo,
      replicas: replicasOf(desk),
    };
  }

  #next(name: string): ReturnType<Facts["next"]> {
    const { desk } = this.#deps;
    const sampler = desk.definitions.samplers.get(name);
    const slot = sampler === undefined ? null : nextSlot(sampler, desk.clock.nowMs());
    return sampler === undefined || slot === null ? null : { ...slot, dueMs: dueMs(sampler, slot) };
  }
}

/** The copies: what changes them is written down. */
function replicasOf({ mirror, state, clock }: Desk): Facts["replicas"] {
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
