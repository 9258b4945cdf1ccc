/**
 * The processes of one installation. Each says in SQL every few seconds that it lives, and what is wrong with it; one of
 * them, whoever holds a lease for it, tells people of all of it. So a process that dies is noticed by the others, and
 * trouble that several see is one alert.
 */
import { hostname } from "node:os";
import { counter, gauge } from "./core/measure.ts";
import type { Condition } from "./core/model.ts";
import type { Clock, Log, Measure, Measured } from "./core/ports.ts";
import { formatProblem, messageOf, Problem } from "./core/problem.ts";
import { dayMs, floorToStep, formatTimeUtc, hourMs, minuteMs, secondMs } from "./core/time.ts";
import type { Leases } from "./state/leases.ts";
import type { Processes, ProcessRecord } from "./state/processes.ts";

export const roles = ["scheduler", "worker", "console"] as const;
export type Role = (typeof roles)[number];

/** How often a process says that it lives, in real time. */
const beatMs = 3 * secondMs;
/** One that has not for so long is taken for dead: its samplers' shares are dealt to others. */
const aliveMs = 12 * secondMs;
/** A process that lives beats once within it. */
const watchMs = beatMs + 1_500;
const watchLookMs = 500;
/** How long the one that tells people may be silent before another one does. */
const tellerMs = 15 * secondMs;
const tellerLease = "teller";
/** What the ledger says of the collection is asked for no more often: it takes a large one a second to say. */
const collectionMs = 15 * secondMs;
/** One that is gone for so long was taken away on purpose. */
const forgottenMs = hourMs;
/** One that still owes points to a copy is remembered for longer: by then, copies were compared and made good. */
const owingMs = dayMs;
/** Trouble that stood before a start takes so long to be seen again, and is not over meanwhile. */
const firstTellMs = minuteMs;
/** A copy that some process could not write to for so long is behind for all of them. */
const behindMs = 10 * secondMs;

/** What a process says of itself besides that it lives. */
type Detail = {
  readonly conditions: readonly Condition[];
  /** Copy of the series -> age of the oldest batch that it lacks, ms. */
  readonly lagsMs: Readonly<Record<string, number>>;
  /** Copies that it has compared, and of which it doubts nothing. */
  readonly soundCopies: readonly string[];
};

/** What is in a row; one of another version of this program may lack anything. */
type Row = Partial<Detail> & {
  readonly owner?: string;
  /** It ended in order, and what it owed waits for its next start. */
  readonly left?: boolean;
};

export type PeersDeps = {
  readonly clock: Clock;
  /** Real time, in which it beats. */
  readonly timer: Pick<Clock, "sleep">;
  readonly log: Log;
  readonly processes: Pick<Processes, "beat" | "list" | "expire" | "end">;
  readonly leases: Pick<Leases, "take" | "release">;
  /** Names this process among all, the same after a restart. */
  readonly name: string;
  /** Names this very process: no other one has it, not even the same after a restart. */
  readonly owner: string;
  readonly roles: ReadonlySet<Role>;
  readonly version: string;
  /** True: there may be others. */
  readonly several: boolean;
  /** What is wrong as this process sees it. */
  readonly own: () => Detail;
  /** What is wrong with the collection, as the ledger tells. */
  readonly collection: () => Promise<readonly Condition[]>;
  readonly goneMs: () => number;
  /** `complete` false: something could not be looked at, so what is not told is not over. */
  readonly tell: (conditions: readonly Condition[], complete: boolean) => Promise<void>;
  /** What only time changes in alerts; asked for while no scheduler lives, which does it otherwise. */
  readonly tick: () => Promise<void>;
};

export class Peers implements Measured {
  readonly #deps: PeersDeps;
  readonly #startedMs: number;
  #known: readonly ProcessRecord[] = [];
  /** When the others were last asked for, by the clock; null: not yet. */
  #heardMs: number | null = null;
  /** Nobody is taken for lost before: who could not be heard could not say anything either. */
  #lossesFromMs = 0;
  #announced = false;
  #isTwice = false;
  /** What was wrong as the process of this name saw it before this one was started. */
  #former: readonly Condition[] = [];
  #tells = false;
  #collection: readonly Condition[] | null = null;
  #askFromMs = 0;
  #faults = 0;

  constructor(deps: PeersDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.nowMs();
  }

  /**
   * Says that this process lives, once: others count on it from then on. Takes some seconds after a crash, until it is
   * known that the row of its name is a dead one's.
   * @throws Problem STR-004 if another process of its name lives
   */
  async announce(): Promise<void> {
    const { several, clock } = this.#deps;
    const before = await this.#namesake();
    if (before !== null) {
      if (several && isAlive(before, clock.nowMs()) && rowOf(before).left !== true) await this.#watch(before);
      this.#former = rowOf(before).conditions ?? [];
    }
    await this.#beat();
    this.#announced = true;
  }

  /** Beats and, where it falls to this process, tells, until the signal aborts; a slow telling holds up no beat. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#beatOn(signal), this.#tellOn(signal)]);
  }

  /**
   * So that nobody takes an orderly end for a death. The row of one that owes points to a copy stays, without missing
   * anybody: the copy lacks them until the next start.
   */
  async leave(): Promise<void> {
    if (!this.#announced) return;
    const { processes, leases, name, owner, several, clock } = this.#deps;
    const last = this.#record(clock.nowMs(), true);
    if (several && owes(last)) await processes.beat(last);
    else await processes.end(name);
    if (this.#tells) await leases.release([tellerLease], owner);
  }

  /** All that have been heard of lately and have not ended in order, the dead ones among them. */
  list(): readonly (ProcessRecord & { readonly alive: boolean })[] {
    const nowMs = this.#deps.clock.nowMs();
    return this.#known
      .filter((each) => rowOf(each).left !== true)
      .map((each) => ({ ...each, alive: this.#lives(each, nowMs) }));
  }

  /** Workers that live, this process included if it is one. */
  workers(): number {
    return this.list().filter(({ alive, role }) => alive && rolesOf(role).includes("worker")).length;
  }

  /**
   * Whether some other process could not write to a copy for a while: what it lacks, reads of others lack too. A dead one
   * counts by its last beat, until it is back or forgotten: what it owes lies in its spool. Batches in flight, of which
   * nearly every beat tells, do not count. They are in no copy if it was killed just then; but were both copies behind
   * for that, all judging would be `unknown` for the sake of a moment's points.
   */
  isBehind(copy: string): boolean {
    const { several, name } = this.#deps;
    return several && this.#known.some((each) => each.id !== name && (rowOf(each).lagsMs?.[copy] ?? 0) > behindMs);
  }

  /** Whether another living process has compared a copy and doubts nothing of it: one that is new here need not. */
  isSound(copy: string): boolean {
    const { several, name, clock } = this.#deps;
    const nowMs = clock.nowMs();
    return several && this.#known.some((each) => each.id !== name && isVouching(each, nowMs, copy));
  }

  measures(): Measure[] {
    const alive = this.list().filter((each) => each.alive);
    return [
      ...roles.map((role) => {
        const count = alive.filter((each) => rolesOf(each.role).includes(role)).length;
        return gauge("processes", "Processes that live, by role.", count, { role });
      }),
      gauge("processes_teller", "1 where this process tells people what is wrong.", this.#tells ? 1 : 0),
      counter(
        "processes_faults",
        "Times that this process could not say that it lives, or could not tell what is wrong.",
        this.#faults,
      ),
    ];
  }

  async #beatOn(signal: AbortSignal): Promise<void> {
    for (let ms = 0; !signal.aborted; ms += beatMs) {
      if (ms >= firstTellMs) this.#former = [];
      await this.#beat().catch((thrown) => this.#failed("cannot say that this process lives", thrown));
      await this.#deps.timer.sleep(beatMs, signal).catch(() => {});
    }
  }

  async #tellOn(signal: AbortSignal): Promise<void> {
    for (let ms = 0; !signal.aborted; ms += beatMs) {
      if (ms >= firstTellMs && this.#isHeard()) {
        await this.#tellIfMine(ms).catch((thrown) => this.#failed("cannot tell what is wrong", thrown));
      }
      await this.#deps.timer.sleep(beatMs, signal).catch(() => {});
    }
  }

  /** One that cannot beat is dead for the others: it leaves the telling to them. */
  #isHeard(): boolean {
    return !this.#deps.several || this.#deps.clock.nowMs() - (this.#heardMs ?? 0) <= aliveMs;
  }

  #failed(what: string, thrown: unknown): void {
    this.#faults += 1;
    this.#deps.log.warn({ err: thrown }, `${what}: ${messageOf(thrown)}`);
  }

  /** The row of this name that another process wrote; null: there is none. */
  async #namesake(): Promise<ProcessRecord | null> {
    const { clock, processes } = this.#deps;
    const listed = await processes.list(clock.nowMs() - owingMs);
    return listed.find((each) => this.#isNamesake(each)) ?? null;
  }

  #isNamesake(row: ProcessRecord): boolean {
    return row.id === this.#deps.name && rowOf(row).owner !== this.#deps.owner;
  }

  /** Returns once it is clear that a process that was heard of a moment ago is dead. */
  async #watch(before: ProcessRecord): Promise<void> {
    const { timer, log, name } = this.#deps;
    log.info({ name }, "looks whether another process of this name lives, or was killed a moment ago");
    const never = new AbortController().signal;
    for (let waitedMs = 0; waitedMs < watchMs; waitedMs += watchLookMs) {
      await timer.sleep(watchLookMs, never);
      const now = await this.#namesake();
      if (now === null || rowOf(now).left === true) return;
      if (now.seenMs !== before.seenMs || rowOf(now).owner !== rowOf(before).owner) throw nameTaken(now);
    }
  }

  #record(nowMs: number, left: boolean): ProcessRecord {
    const { name, owner, version, own } = this.#deps;
    const { conditions, ...copies } = own();
    const kept = this.#former.filter((one) => !conditions.some((other) => isSame(one, other)));
    const row: Row = { owner, conditions: [...conditions, ...kept], ...copies, ...(left && { left }) };
    return {
      id: name,
      role: [...this.#deps.roles].join(" "),
      host: hostname(),
      pid: process.pid,
      version,
      startedMs: this.#startedMs,
      seenMs: nowMs,
      detail: row,
    };
  }

  async #beat(): Promise<void> {
    const { clock, processes, name, goneMs } = this.#deps;
    const nowMs = clock.nowMs();
    const listed = await processes.list(nowMs - owingMs);
    const namesake = listed.find((each) => this.#isNamesake(each));
    if (this.#announced && namesake !== undefined) this.#noteTwice(namesake);
    const own = this.#record(nowMs, false);
    await processes.beat(own);
    if (this.#heardMs !== null && nowMs - this.#heardMs > aliveMs) this.#lossesFromMs = nowMs + goneMs();
    this.#heardMs = nowMs;
    const others = listed.filter((each) => each.id !== name && (nowMs - each.seenMs <= forgottenMs || owes(each)));
    this.#known = [...others, own].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Two that were started at the same moment could not see each other. */
  #noteTwice(namesake: ProcessRecord): void {
    if (this.#isTwice || !this.#deps.several) return;
    this.#isTwice = true;
    this.#deps.log.error({}, formatProblem(nameTaken(namesake)));
  }

  async #tellIfMine(ms: number): Promise<void> {
    const { clock, leases, owner, log, processes, tell, tick, several } = this.#deps;
    const nowMs = clock.nowMs();
    const won = await leases.take([tellerLease], owner, nowMs, nowMs + tellerMs);
    if (won.length === 1 && !this.#tells) log.info({}, "this process tells people what is wrong");
    this.#tells = won.length === 1;
    if (!this.#tells) return;
    await this.#askCollection(ms);
    // By when they were heard, not by now: after a pause of this process nobody has been heard for long.
    const heardMs = this.#heardMs ?? nowMs;
    const looksAtLosses = several && heardMs >= this.#lossesFromMs;
    const conditions = [
      ...this.#seen(heardMs),
      ...(this.#collection ?? []),
      ...(looksAtLosses ? lossesOf(this.#known, this.#deps.goneMs(), heardMs) : []),
    ];
    await tell(conditions, this.#collection !== null && (looksAtLosses || !several));
    const hasScheduler = this.#known.some(
      (each) => rolesOf(each.role).includes("scheduler") && this.#lives(each, heardMs),
    );
    if (!hasScheduler && looksAtLosses) await tick();
    await processes.expire(nowMs - owingMs);
  }

  /** What is wrong as processes see it. Copies are the same ones for everybody; a spool is one process's own. */
  #seen(nowMs: number): Condition[] {
    const { several } = this.#deps;
    const named = this.#known.map((each) => {
      const conditions = rowOf(each).conditions ?? [];
      return { each, conditions: several ? conditions.map((one) => ofProcess(one, each.id)) : conditions };
    });
    const others = named.filter(({ each }) => !this.#lives(each, nowMs));
    const hasLooker = this.#known.some((each) => {
      const isOld = nowMs - each.startedMs >= firstTellMs;
      return isOld && this.#lives(each, nowMs) && rolesOf(each.role).includes("worker");
    });
    return [
      ...named.filter((one) => !others.includes(one)).flatMap(({ conditions }) => conditions),
      ...others.flatMap(({ each, conditions }) => carriedOn(each, conditions, hasLooker, nowMs)),
    ];
  }

  /** If the ledger cannot say it, what it said before goes on. */
  async #askCollection(ms: number): Promise<void> {
    if (ms < this.#askFromMs) return;
    this.#askFromMs = ms + collectionMs;
    try {
      this.#collection = await this.#deps.collection();
    } catch (thrown) {
      this.#failed("cannot ask how the collection is", thrown);
    }
  }

  #lives(row: ProcessRecord, nowMs: number): boolean {
    return row.id === this.#deps.name || (rowOf(row).left !== true && isAlive(row, nowMs));
  }
}

function rowOf({ detail }: ProcessRecord): Row {
  return detail as Row;
}

function isAlive({ seenMs }: ProcessRecord, nowMs: number): boolean {
  return nowMs - seenMs <= aliveMs;
}

function isVouching(row: ProcessRecord, nowMs: number, copy: string): boolean {
  const { left, soundCopies } = rowOf(row);
  return left !== true && isAlive(row, nowMs) && soundCopies?.includes(copy) === true;
}

/** Whether a copy lacks points that lie in its spool alone, those in flight aside. */
function owes(row: ProcessRecord): boolean {
  return Object.values(rowOf(row).lagsMs ?? {}).some((lagMs) => lagMs > behindMs);
}

function isSame(one: Condition, other: Condition): boolean {
  return one.kind === other.kind && one.subject === other.subject;
}

function nameTaken({ id, host, pid, startedMs }: ProcessRecord): Problem {
  return new Problem(`a process called ${id} lives already (${pid} on ${host}, since ${formatTimeUtc(startedMs)})`, {
    code: "STR-004",
    where: "BELLWETHER_NAME",
    fix: "give each process a name of its own",
  });
}

/**
 * Of what a process saw that does not live, what still holds: its spool is as it was, until its next start or its end in
 * order; how the copies are, others say as soon as somebody has looked at them.
 */
function carriedOn(row: ProcessRecord, conditions: readonly Condition[], hasLooker: boolean, nowMs: number) {
  if (nowMs - row.seenMs <= firstTellMs) return conditions;
  if (rowOf(row).left === true) return [];
  return hasLooker ? conditions.filter(({ subject }) => subject === spoolOf(row.id)) : conditions;
}

function spoolOf(process: string): string {
  return `spool of ${process}`;
}

function rolesOf(text: string): string[] {
  return text.split(" ");
}

function ofProcess(condition: Condition, process: string): Condition {
  if (condition.subject !== "spool") return condition;
  return { ...condition, subject: spoolOf(process) };
}

/** What is lost when processes are not heard of any more: a role as a whole, or one of several. Pure. */
export function lossesOf(all: readonly ProcessRecord[], goneMs: number, nowMs: number): Condition[] {
  const known = all.filter((each) => rowOf(each).left !== true);
  const isGone = ({ seenMs }: ProcessRecord): boolean => nowMs - seenMs > goneMs;
  const found: Condition[] = [];
  for (const role of ["scheduler", "worker"] as const) {
    const those = known.filter((each) => rolesOf(each.role).includes(role));
    const lastMs = Math.max(0, ...those.map(({ seenMs }) => seenMs));
    if (those.some((each) => !isGone(each)) || those.length === 0) continue;
    const effect = role === "scheduler" ? "no new slot is planned" : "nothing is sampled, judged or delivered";
    const reason = `No ${role} has been heard of since ${moment(lastMs)}: ${effect}. Start one: bellwether start --role ${role}. Slots that are missed meanwhile are caught up.`;
    found.push({ kind: `${role}-gone`, subject: role, severity: "critical", reason, sinceMs: lastMs });
  }
  for (const each of known.filter(isGone)) {
    const { id, role, host, seenMs } = each;
    const reason = `${id} (${role} on ${host}) has not been heard of since ${moment(seenMs)}. Others do its work; what waits in its spool is sent when it is started again.`;
    found.push({ kind: "process-gone", subject: id, severity: "warning", reason, sinceMs: seenMs });
  }
  return found;
}

/** Not for how long: every other reason is written down anew. */
function moment(timeMs: number): string {
  return formatTimeUtc(floorToStep(timeMs, secondMs));
}
