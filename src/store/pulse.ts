/**
 * How one target is, asked every half minute: whether a canary goes in and comes out again, whether it was restarted,
 * emptied or put back to an older state, and whether it is set up as the others are.
 *
 * A server that was restarted may have shown points that it then lost (a full disk), and one restored from a backup has
 * lost some that it had acknowledged: everything in it is compared again.
 */
import type { Answer, Bucket, Clock, Log, Replica, ReplicaFacts } from "../core/ports.ts";
import { messageOf } from "../core/problem.ts";
import { deadline, formatDuration, formatTimeUtc, secondMs } from "../core/time.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Pace } from "./lane.ts";
import type { Spool } from "./spool.ts";
import type { Windows } from "./windows.ts";

/** Clocks of a server's start may be told with rounding. */
const startedToleranceMs = 2 * secondMs;
/** Fields of another kind that are named; there may be thousands. */
const namedMax = 3;

export type PulseDeps = {
  readonly target: Replica;
  readonly buckets: readonly Bucket[];
  readonly spool: Spool;
  readonly windows: Windows;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly timer: Clock;
  readonly pace: Pace;
  readonly log: Log;
  /** Something has changed at the target: lanes that wait for that go on. */
  readonly onMended: () => void;
};

export type Health = {
  /** Null: never asked. */
  readonly well: boolean | null;
  /** Why not. */
  readonly reason: string | null;
  /** Since when it is as it is, epoch ms by the application's clock. */
  readonly sinceMs: number;
  readonly facts: ReplicaFacts | null;
  /** What is wrong with its set-up: fields of another kind, buckets that it may not make. */
  readonly faults: readonly string[];
  /** False: our own job fills its coarser buckets. */
  readonly rollsUp: boolean;
};

export class Pulse {
  readonly #deps: PulseDeps;
  #health: Health;
  #schemaKnown = false;
  #beating: Promise<Answer> | null = null;

  constructor(deps: PulseDeps) {
    this.#deps = deps;
    this.#health = { well: null, reason: null, sinceMs: deps.clock.nowMs(), facts: null, faults: [], rollsUp: false };
  }

  get health(): Health {
    return this.#health;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { timer, pace } = this.#deps;
    while (!signal.aborted) {
      await timer.sleep(pace.pulseMs, signal).catch(() => {});
      if (!signal.aborted) await this.beat(signal);
    }
  }

  /**
   * One look, which several may wait for; never throws.
   * @returns what became of the canary
   */
  beat(signal: AbortSignal): Promise<Answer> {
    this.#beating ??= this.#look(signal)
      .catch((thrown: unknown): Answer => {
        const reason = messageOf(thrown);
        if (!signal.aborted) this.#become(false, reason);
        return { kind: "unknown", reason };
      })
      .finally(() => {
        this.#beating = null;
      });
    return this.#beating;
  }

  /** Only asks the server how it is, writes nothing, and never throws: for one who looks on. */
  async glance(signal: AbortSignal): Promise<void> {
    try {
      const facts = await this.#deps.target.inspect(deadline(this.#deps.pace.writeTimeoutMs, signal));
      this.#health = { ...this.#health, facts };
    } catch (thrown) {
      this.#health = { ...this.#health, well: false, reason: messageOf(thrown) };
    }
  }

  /** Losses first: what is mended afterwards would hide them. */
  async #look(signal: AbortSignal): Promise<Answer> {
    const { target, timer, pace, spool } = this.#deps;
    const soon = () => deadline(pace.writeTimeoutMs * 2, signal);
    const found = await target.inspect(soon());
    await this.#noticeLoss(found, soon());
    const { facts, rollsUp, faults } = await this.#setUp(found, soon());
    await this.#learnSchema(faults, soon());
    const atMs = timer.nowMs();
    const answer = await target.probe(atMs, soon());
    signal.throwIfAborted();
    this.#health = { ...this.#health, facts, faults, rollsUp };
    if (answer.kind === "stored") {
      spool.noteTarget(target.name, { canaryMs: atMs, startedMs: facts.startedMs });
      this.#become(true, null);
    } else this.#become(false, answer.reason);
    return answer;
  }

  /** Makes the database and buckets that are lacking, and says what is not as the settings want it. */
  async #setUp(
    found: ReplicaFacts,
    signal: AbortSignal,
  ): Promise<Pick<Health, "rollsUp"> & { facts: ReplicaFacts; faults: string[] }> {
    const { target, buckets, onMended } = this.#deps;
    const lacks = buckets.some(({ name }) => !found.buckets.some((there) => there.name === bucketName(name, found)));
    if (found.databaseExists && !lacks && this.#health.facts !== null) {
      return { facts: found, rollsUp: this.#health.rollsUp, faults: retentionFaults(buckets, found) };
    }
    try {
      const { rollsUp } = await target.prepare(buckets, signal);
      const facts = await target.inspect(signal);
      onMended();
      return { facts, rollsUp, faults: retentionFaults(buckets, facts) };
    } catch (thrown) {
      return { facts: found, rollsUp: false, faults: [messageOf(thrown)] };
    }
  }

  /** What it stores already has its kinds; those that are others than ours make points land on the shelf. */
  async #learnSchema(faults: string[], signal: AbortSignal): Promise<void> {
    if (this.#schemaKnown) {
      faults.push(...this.#health.faults.filter((fault) => fault.startsWith("field")));
      return;
    }
    const { target, catalogue, clock } = this.#deps;
    const others = catalogue.learn(await target.fields(signal), clock.nowMs());
    this.#schemaKnown = true;
    for (const { field, known } of others.slice(0, namedMax)) {
      const there =
        field.kind === "other" ? "of a kind that is never written (an integer, perhaps)" : `a ${field.kind}`;
      const here = known === null ? "is" : `is a ${known}, and`;
      faults.push(`field "${field.field}" of ${field.measurement} ${here} in ${target.name} ${there}`);
    }
  }

  /** Asks for the very canary that was last seen: a later one may have been written since the loss. */
  async #noticeLoss(facts: ReplicaFacts, signal: AbortSignal): Promise<void> {
    const { spool, target, log, timer, buckets } = this.#deps;
    const { startedMs, canaryMs } = spool.target(target.name);
    const restarted =
      startedMs !== null && facts.startedMs !== null && Math.abs(facts.startedMs - startedMs) > startedToleranceMs;
    const keepMs = buckets[0]?.keepMs ?? Number.POSITIVE_INFINITY;
    const known = canaryMs !== null && timer.nowMs() - canaryMs < keepMs / 2;
    const lost = known && (!facts.databaseExists || !(await target.holdsCanary(canaryMs, signal)));
    if (!restarted && !lost) return;
    const reason = !lost
      ? `it was restarted at ${formatTimeUtc(facts.startedMs ?? 0)}`
      : facts.databaseExists
        ? "it has lost points that it had acknowledged"
        : "its database was gone";
    log.warn({ target: target.name, reason }, `everything in ${target.name} is compared again`);
    if (lost) this.#deps.windows.markLost(target.name, this.#deps.clock.nowMs());
    spool.doubt(target.name, reason, { trusted: !lost });
    spool.noteTarget(target.name, { startedMs: facts.startedMs, canaryMs: null });
    this.#schemaKnown = false;
    this.#deps.onMended();
  }

  #become(well: boolean, reason: string | null): void {
    const { clock, log, target } = this.#deps;
    const before = this.#health;
    this.#health = { ...before, well, reason, sinceMs: before.well === well ? before.sinceMs : clock.nowMs() };
    if (before.well === well) return;
    if (well) {
      log.info({ target: target.name, version: this.#health.facts?.version }, `${target.name} is well`);
      this.#deps.onMended();
    } else log.warn({ target: target.name, reason }, `${target.name} is not well`);
  }
}

/** Buckets that were there before us are left as they are; it is said where that is not what the settings want. */
function retentionFaults(buckets: readonly Bucket[], facts: ReplicaFacts): string[] {
  return buckets.flatMap(({ name, keepMs }) => {
    const there = facts.buckets.find((bucket) => bucket.name === bucketName(name, facts));
    if (there === undefined || there.keepMs === keepMs) return [];
    const what = name === "" ? "raw points" : `points of ${name}`;
    return [`keeps ${what} ${keptText(there.keepMs)}, the settings say ${keptText(keepMs)}`];
  });
}

function keptText(keepMs: number | null): string {
  return keepMs === null ? "for ever" : `for ${formatDuration(keepMs)}`;
}

/** The raw bucket has no name of ours: it is the database's default one. */
function bucketName(name: string, facts: ReplicaFacts): string | undefined {
  return name === "" ? facts.buckets[0]?.name : name;
}
