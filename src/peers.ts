/**
 * The processes of one installation. Each says in SQL every few seconds that it lives, and what is wrong with it; one of
 * them, whoever holds a lease for it, tells people of all of it. So a process that dies is noticed by the others, and
 * trouble that several see is one alert.
 */
import { hostname } from "node:os";
import { counter, gauge } from "./core/measure.ts";
import type { Condition } from "./core/model.ts";
import type { Clock, Log, Measure, Measured } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { formatDuration, hourMs, minuteMs, secondMs, stopwatch, systemClock } from "./core/time.ts";
import type { Leases } from "./state/leases.ts";
import type { Processes, ProcessRecord } from "./state/processes.ts";

export const roles = ["scheduler", "worker", "console"] as const;
export type Role = (typeof roles)[number];

/** How often a process says that it lives, in real time. */
const beatMs = 3 * secondMs;
/** One that has not for so long is taken for dead: its samplers' shares are dealt to others. */
const aliveMs = 12 * secondMs;
/** How long the one that tells people may be silent before another one does. */
const tellerMs = 15 * secondMs;
const tellerLease = "teller";
/** What the ledger says of the collection is asked for no more often: it takes a large one a second to say. */
const collectionMs = 15 * secondMs;
/** One that is gone for so long was taken away on purpose. */
const forgottenMs = hourMs;
/** Trouble that stood before a start takes so long to be seen again, and is not over meanwhile. */
const firstTellMs = minuteMs;
/** A copy that some process could not write to for so long is behind for all of them. */
const behindMs = 10 * secondMs;

/** What a process says of itself besides that it lives. */
type Detail = {
  readonly conditions: readonly Condition[];
  /** Copy of the series -> age of the oldest batch that it lacks, ms. */
  readonly lagsMs: Readonly<Record<string, number>>;
};

export type PeersDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly processes: Pick<Processes, "beat" | "list" | "expire" | "end">;
  readonly leases: Pick<Leases, "take" | "release">;
  /** Names this process among all, the same after a restart. */
  readonly name: string;
  readonly roles: ReadonlySet<Role>;
  readonly version: string;
  /** True: there may be others. */
  readonly several: boolean;
  /** What is wrong as this process sees it. */
  readonly own: () => Detail;
  /** What is wrong with the collection, as the ledger tells. */
  readonly collection: () => Promise<readonly Condition[]>;
  readonly goneMs: () => number;
  readonly tell: (conditions: readonly Condition[]) => Promise<void>;
};

export class Peers implements Measured {
  readonly #deps: PeersDeps;
  readonly #startedMs: number;
  #known: readonly ProcessRecord[] = [];
  #tells = false;
  #collection: { readonly conditions: readonly Condition[]; readonly ageMs: () => number } | null = null;
  #faults = 0;

  constructor(deps: PeersDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.nowMs();
  }

  /** Says that this process lives, once: others count on it from then on. */
  async announce(): Promise<void> {
    await this.#beat();
  }

  /** Beats and, where it falls to this process, tells, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    let tellFromMs = firstTellMs;
    for (let ms = 0; !signal.aborted; ms += beatMs) {
      try {
        await this.#beat();
        if (ms >= tellFromMs) await this.#tellIfMine();
      } catch (thrown) {
        this.#faults += 1;
        if (ms < tellFromMs) tellFromMs = Math.max(tellFromMs, ms + beatMs);
        log.warn({ err: thrown }, `cannot say that this process lives: ${messageOf(thrown)}`);
      }
      await systemClock.sleep(beatMs, signal).catch(() => {});
    }
  }

  /** So that nobody takes an orderly end for a death. */
  async leave(): Promise<void> {
    const { processes, leases, name } = this.#deps;
    await processes.end(name);
    if (this.#tells) await leases.release([tellerLease], name);
  }

  /** All that have been heard of lately, the dead ones among them. */
  list(): readonly (ProcessRecord & { readonly alive: boolean })[] {
    const nowMs = this.#deps.clock.nowMs();
    return this.#known.map((each) => ({ ...each, alive: this.#isAlive(each, nowMs) }));
  }

  /** Workers that live, this process included if it is one. */
  workers(): number {
    return this.list().filter(({ alive, role }) => alive && rolesOf(role).includes("worker")).length;
  }

  /** Whether some process that lives could not write to a copy for a while: what it lacks, reads of others lack too. */
  isBehind(copy: string): boolean {
    if (!this.#deps.several) return false;
    return this.list().some(({ alive, id, detail }) => {
      return alive && id !== this.#deps.name && ((detail as Detail).lagsMs?.[copy] ?? 0) > behindMs;
    });
  }

  measures(): Measure[] {
    const alive = this.list().filter((each) => each.alive);
    return [
      ...roles.map((role) => {
        const count = alive.filter((each) => rolesOf(each.role).includes(role)).length;
        return gauge("processes", "Processes that live, by role.", count, { role });
      }),
      gauge("processes_teller", "1 where this process tells people what is wrong.", this.#tells ? 1 : 0),
      counter("processes_faults", "Times that this process could not say that it lives.", this.#faults),
    ];
  }

  async #beat(): Promise<void> {
    const { clock, processes, name, version, own } = this.#deps;
    const nowMs = clock.nowMs();
    await processes.beat({
      id: name,
      role: [...this.#deps.roles].join(" "),
      host: hostname(),
      pid: process.pid,
      version,
      startedMs: this.#startedMs,
      seenMs: nowMs,
      detail: own(),
    });
    this.#known = await processes.list(nowMs - forgottenMs);
  }

  async #tellIfMine(): Promise<void> {
    const { clock, leases, name, log, processes, tell } = this.#deps;
    const nowMs = clock.nowMs();
    const won = await leases.take([tellerLease], name, nowMs, nowMs + tellerMs);
    if (won.length === 1 && !this.#tells) log.info({}, "this process tells people what is wrong");
    this.#tells = won.length === 1;
    if (!this.#tells) return;
    await tell(await this.#conditions(nowMs));
    await processes.expire(nowMs - forgottenMs);
  }

  async #conditions(nowMs: number): Promise<Condition[]> {
    const alive = this.#known.filter((each) => this.#isAlive(each, nowMs));
    const theirs = alive.flatMap(({ id, detail }) => {
      const { conditions = [] } = detail as Detail;
      // Copies are the same ones for everybody; a spool is one process's own.
      const named = this.#deps.several ? conditions.map((each) => ofProcess(each, id)) : conditions;
      return named;
    });
    if (this.#collection === null || this.#collection.ageMs() >= collectionMs) {
      this.#collection = { conditions: await this.#deps.collection(), ageMs: stopwatch() };
    }
    const { conditions: collection } = this.#collection;
    return [...theirs, ...collection, ...(this.#deps.several ? lossesOf(this.#known, this.#deps.goneMs(), nowMs) : [])];
  }

  #isAlive({ seenMs, id }: ProcessRecord, nowMs: number): boolean {
    return id === this.#deps.name || nowMs - seenMs <= aliveMs;
  }
}

function rolesOf(text: string): string[] {
  return text.split(" ");
}

function ofProcess(condition: Condition, process: string): Condition {
  if (condition.subject !== "spool") return condition;
  return { ...condition, subject: `spool of ${process}` };
}

/** What is lost when processes are not heard of any more: a role as a whole, or one of several. Pure. */
export function lossesOf(known: readonly ProcessRecord[], goneMs: number, nowMs: number): Condition[] {
  const isGone = ({ seenMs }: ProcessRecord): boolean => nowMs - seenMs > goneMs;
  const found: Condition[] = [];
  for (const role of ["scheduler", "worker"] as const) {
    const those = known.filter((each) => rolesOf(each.role).includes(role));
    const lastMs = Math.max(0, ...those.map(({ seenMs }) => seenMs));
    if (those.some((each) => !isGone(each)) || those.length === 0) continue;
    const since = formatDuration(nowMs - lastMs);
    const effect = role === "scheduler" ? "no new slot is planned" : "nothing is sampled, judged or delivered";
    const reason = `No ${role} has been heard of for ${since}: ${effect}. Start one: bellwether start --role ${role}. Slots that are missed meanwhile are caught up.`;
    found.push({ kind: `${role}-gone`, subject: role, severity: "critical", reason, sinceMs: lastMs });
  }
  for (const each of known.filter(isGone)) {
    const { id, role, host, seenMs } = each;
    const reason = `${id} (${role} on ${host}) has not been heard of for ${formatDuration(nowMs - seenMs)}. Others do its work; what waits in its spool is sent when it is started again.`;
    found.push({ kind: "process-gone", subject: id, severity: "warning", reason, sinceMs: seenMs });
  }
  return found;
}
