/**
 * How one target is, asked every half minute: whether a canary goes in and comes out again, whether it was restarted,
 * emptied or put back to an older state, and whether it is set up as the others are.
 *
 * A server that was restarted may have shown points that it then lost (a full disk), and one restored from a backup has
 * lost some that it had acknowledged: everything in it is compared again.
 */
import type { Bucket, Clock, Log, Replica, ReplicaFacts } from "../core/ports.ts";
import { messageOf } from "../core/problem.ts";
import { deadline, formatDuration, formatTimeUtc, secondMs } from "../core/time.ts";
import type { Catalogue } from "./catalogue.ts";
import type { Pace } from "./lane.ts";
import type { Spool } from "./spool.ts";

/** Clocks of a server's start may be told with rounding. */
const startedToleranceMs = 2 * secondMs;
/** Fields of another kind that are named; there may be thousands. */
const namedMax = 3;

export type PulseDeps = {
  readonly target: Replica;
  readonly buckets: readonly Bucket[];
  readonly spool: Spool;
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

  /** One look; never throws. */
  async beat(signal: AbortSignal): Promise<void> {
    try {
      await this.#look(signal);
    } catch (thrown) {
      if (signal.aborted) return;
      this.#become(false, messageOf(thrown));
    }
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

  async #look(signal: AbortSignal): Promise<void> {
    const { target, timer, pace, spool } = this.#deps;
    const soon = () => deadline(pace.writeTimeoutMs * 2, signal);
    let facts = await target.inspect(soon());
    const faults: string[] = [];
    const emptied = !facts.databaseExists;
    const lacking = this.#deps.buckets.filter(
      ({ name }) => !facts.buckets.some((bucket) => bucket.name === bucketName(name, facts)),
    );
    let { rollsUp } = this.#health;
    if (emptied || lacking.length > 0 || this.#health.facts === null) {
      try {
        rollsUp = (await target.prepare(this.#deps.buckets, soon())).rollsUp;
        facts = await target.inspect(soon());
        this.#deps.onMended();
      } catch (thrown) {
        faults.push(messageOf(thrown));
      }
    }
    faults.push(...retentionFaults(this.#deps.buckets, facts));
    await this.#learnSchema(faults, soon());
    await this.#noticeLoss(facts, emptied, soon());
    const atMs = timer.nowMs();
    const answer = await target.probe(atMs, soon());
    signal.throwIfAborted();
    this.#health = { ...this.#health, facts, faults, rollsUp };
    if (answer.kind === "stored") {
      spool.noteTarget(target.name, { canaryMs: atMs, startedMs: facts.startedMs });
      this.#become(true, null);
    } else this.#become(false, answer.reason);
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
      const there = field.kind === "other" ? "kind that is never written (an integer, perhaps)" : field.kind;
      faults.push(`field "${field.field}" of ${field.measurement} is a ${known}, and in ${target.name} a ${there}`);
    }
  }

  async #noticeLoss(facts: ReplicaFacts, emptied: boolean, signal: AbortSignal): Promise<void> {
    const { spool, target, clock, log } = this.#deps;
    const { startedMs, canaryMs } = spool.target(target.name);
    const restarted =
      startedMs !== null && facts.startedMs !== null && Math.abs(facts.startedMs - startedMs) > startedToleranceMs;
    const stored = canaryMs === null || emptied ? null : await target.latestCanaryMs(signal);
    const lost = canaryMs !== null && (stored === null || stored < canaryMs);
    if (!restarted && !lost) return;
    const reason = emptied
      ? "its database was gone"
      : lost
        ? "it has lost points that it had acknowledged"
        : `it was restarted at ${formatTimeUtc(facts.startedMs ?? 0)}`;
    log.warn({ target: target.name, reason }, `everything in ${target.name} is compared again`);
    spool.noteTarget(target.name, {
      verifyReason: reason,
      verifySinceMs: clock.nowMs(),
      verifiedFromMs: null,
      doubted: lost || spool.target(target.name).doubted,
      startedMs: facts.startedMs,
      canaryMs: null,
    });
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
