/** Runs slots: leases one, has it executed, writes down what became of it. */
import type { Sampler } from "../core/definitions.ts";
import type { DataState, SlotRecord } from "../core/model.ts";
import type { Clock, JobOf, Log, Measure, Measured, Queue, SourceCost } from "../core/ports.ts";
import { formatProblem, messageOf, Problem } from "../core/problem.ts";
import { dayMs, minuteMs } from "../core/time.ts";
import type { SlotLedger, SlotOutcome } from "../state/slots.ts";
import { slotJob } from "./job.ts";
import type { CatchUp } from "./plan.ts";
import { decideRetry } from "./retry.ts";
import { Tally } from "./tally.ts";

/** The longest error text that the ledger keeps, in characters. */
const errorLengthMax = 1_000;

/** Failed slots of a sampler that are run again between two of its live ones. */
const reopenedMax = 30;

type SlotResult = {
  readonly rows: number;
  readonly points: number;
  readonly dataState: DataState;
  readonly cost: SourceCost | null;
};

export type SlotWorkerDeps = {
  readonly clock: Clock;
  readonly slots: Pick<SlotLedger, "readyOf" | "lease" | "renew" | "finish" | "reopenFailed">;
  readonly queue: Queue;
  readonly log: Log;
  /** Names this worker in leases; different for each process. */
  readonly owner: string;
  /** Slots run at a time, each of another sampler; nearly all of them wait for a source. Default 32. */
  readonly concurrency?: number;
  /** How often a slot is started at most. Default 3. */
  readonly attemptsMax?: number;
  /** A lease that is not renewed for so long is taken over. Renewed three times as often. Default 1 min. */
  readonly leaseMs?: number;
  readonly sampler: (name: string) => Sampler | undefined;
  /** The share that a sampler belongs to, whether it is defined or not. */
  readonly shareOf: (sampler: string) => number;
  /** Whether this process works on a share now. Default: on all. */
  readonly holds?: (share: number) => boolean;
  /** Everything that a slot needs; run again after a crash. Throws Problem; a retryable one is tried again. */
  readonly execute: (sampler: Sampler, slot: SlotRecord, signal: AbortSignal) => Promise<SlotResult>;
  /** Told of a slot that nobody will try again for now; before that is written down. */
  readonly failed?: (sampler: Sampler, slot: SlotRecord, state: DataState, reason: string) => Promise<void>;
  /** Told of what became of a slot, after it was written down. */
  readonly ended?: (end: SlotEnd) => void;
  /** How far back, and how many, failed slots of a sampler are run again once its source answers. */
  readonly catchUp?: CatchUp;
};

export type SlotEnd = {
  readonly record: SlotRecord;
  readonly outcome: SlotOutcome;
  readonly startedMs: number;
  readonly endedMs: number;
};

/** A read that was not made because the sampler is held back: its slot is late, its source is not down. */
const heldBackCodes: ReadonlySet<string | undefined> = new Set(["SRC-001", "SRC-003"]);

/**
 * A job is a wake-up only: the worker asks the ledger for the sampler's oldest slot, so that slots of a sampler run one
 * at a time and in order of their start, whatever order jobs arrive in. After a slot it wakes itself for the sampler's
 * next one, at the end of the queue: many slots of one sampler do not hold up another.
 */
export class SlotWorker implements Measured {
  readonly #deps: SlotWorkerDeps &
    Required<Pick<SlotWorkerDeps, "concurrency" | "attemptsMax" | "leaseMs" | "catchUp">>;
  /** Samplers that this worker runs a slot of. */
  readonly #busy = new Set<string>();
  /** The oldest slots of samplers as found after their last run, to spare asking twice; a lease decides anyway. */
  readonly #next = new Map<string, SlotRecord>();
  /** Samplers whose slots have succeeded since a failure, or since this process began: nothing of theirs is to be run again. */
  readonly #sound = new Set<string>();
  readonly #tally = new Tally();

  constructor(deps: SlotWorkerDeps) {
    const catchUp = { ageMsMax: dayMs, slotsMax: 1_500 };
    this.#deps = { concurrency: 32, attemptsMax: 3, leaseMs: minuteMs, catchUp, ...deps };
  }

  /** Begins to take jobs; the queue's end is the worker's end. @param queue default: the one it was made with */
  start(queue: Queue = this.#deps.queue): void {
    queue.work("sample", this.#deps.concurrency, (job, signal) => this.#handle(queue, job, signal));
  }

  /** Shares of which a slot is being run. */
  busy(): ReadonlySet<number> {
    return new Set([...this.#busy].map((sampler) => this.#deps.shareOf(sampler)));
  }

  /** What is remembered of samplers whose share another worker has now is out of date. */
  forget(isLost: (sampler: string) => boolean): void {
    for (const sampler of this.#next.keys()) if (isLost(sampler)) this.#next.delete(sampler);
    for (const sampler of this.#sound) if (isLost(sampler)) this.#sound.delete(sampler);
  }

  measures(): Measure[] {
    return [
      { name: "bellwether_slots_running", help: "Slots being run.", kind: "gauge", value: this.#busy.size },
      {
        name: "bellwether_slots_concurrency_max",
        help: "Slots that may run at a time.",
        kind: "gauge",
        value: this.#deps.concurrency,
      },
      ...this.#tally.measures((sampler) => this.#deps.sampler(sampler) !== undefined),
    ];
  }

  async #handle(queue: Queue, job: JobOf<"sample">, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#busy.has(job.sampler) || !this.#holds(job.sampler)) return;
    this.#busy.add(job.sampler);
    let retry: { record: SlotRecord; atMs: number } | null = null;
    try {
      const record = await this.#leaseOldest(job.sampler);
      if (record === null) return;
      const { state, dueMs } = await this.#run(record, signal);
      if (state === "due" && dueMs !== undefined) retry = { record, atMs: dueMs };
    } finally {
      this.#busy.delete(job.sampler);
    }
    if (signal.aborted || !this.#holds(job.sampler)) return;
    const nowMs = this.#deps.clock.nowMs();
    const next = retry?.record ?? (await this.#deps.slots.readyOf(job.sampler, nowMs));
    if (next === null) return;
    if (retry === null) this.#next.set(job.sampler, next);
    const delayMs = retry === null ? 0 : Math.max(0, retry.atMs - nowMs);
    // A queue that is closing takes nothing more; the slot stays due.
    const priority = this.#deps.sampler(job.sampler)?.priority ?? "low";
    await queue.add(slotJob(next, job.share), { delayMs, priority }).catch(() => {});
  }

  #holds(sampler: string): boolean {
    return this.#deps.holds?.(this.#deps.shareOf(sampler)) ?? true;
  }

  async #leaseOldest(sampler: string): Promise<SlotRecord | null> {
    const { clock, slots, owner, leaseMs } = this.#deps;
    const nowMs = clock.nowMs();
    const oldest = this.#next.get(sampler) ?? (await slots.readyOf(sampler, nowMs));
    this.#next.delete(sampler);
    return oldest === null ? null : await slots.lease(oldest, owner, nowMs, nowMs + leaseMs);
  }

  async #run(record: SlotRecord, signal: AbortSignal): Promise<SlotOutcome> {
    const { clock, slots, owner, log } = this.#deps;
    const startedMs = clock.nowMs();
    const ended = new AbortController();
    const lost = new AbortController();
    const running = AbortSignal.any([signal, lost.signal]);
    const renewing = this.#renew(record, lost, ended.signal);
    const outcome = await this.#outcome(record, running, signal);
    ended.abort();
    await renewing;
    const nowMs = clock.nowMs();
    const kept = !lost.signal.aborted && (await slots.finish(record, owner, outcome, nowMs));
    this.#tally.count(record, kept ? outcome.state : "lost", startedMs, nowMs);
    if (kept) {
      await this.#reopenFailed(record, outcome, nowMs);
      this.#deps.ended?.({ record, outcome, startedMs, endedMs: nowMs });
    } else
      log.warn({ sampler: record.sampler, startMs: record.startMs }, "a lease was lost: another worker has the slot");
    return outcome;
  }

  async #outcome(record: SlotRecord, running: AbortSignal, stopping: AbortSignal): Promise<SlotOutcome> {
    const sampler = this.#deps.sampler(record.sampler);
    if (sampler === undefined) return { state: "failed", error: `sampler ${record.sampler} is no longer defined` };
    try {
      const { cost, ...result } = await this.#deps.execute(sampler, record, running);
      const { serverMs, rowsRead } = cost ?? {};
      return { state: record.catchUp ? "caught-up" : "done", ...result, serverMs, rowsRead };
    } catch (thrown) {
      if (stopping.aborted) return { state: "due", error: "stopped before its end" };
      // Whoever has the slot now says what became of it.
      if (running.aborted) return { state: "due" };
      const outcome = this.#failure(record, thrown);
      if (outcome.state === "failed") await this.#tellFailed(sampler, record, outcome);
      return outcome;
    }
  }

  async #tellFailed(sampler: Sampler, record: SlotRecord, { dataState, error }: SlotOutcome): Promise<void> {
    try {
      await this.#deps.failed?.(sampler, record, dataState ?? "missing", error ?? "");
    } catch (thrown) {
      this.#deps.log.warn(
        { err: thrown, sampler: record.sampler },
        `a failed slot is not judged: ${messageOf(thrown)}`,
      );
    }
  }

  /**
   * Once its source answers, slots of the sampler that failed for want of an answer are run again, for the record: some
   * after each live slot, so that live ones are late by no more than those. One that fails again then has failed for good:
   * a source is not asked for ever for what it cannot give.
   */
  async #reopenFailed({ sampler, catchUp }: SlotRecord, { state }: SlotOutcome, nowMs: number): Promise<void> {
    if (state === "failed" || state === "due") this.#sound.delete(sampler);
    if (state !== "done" || catchUp || this.#sound.has(sampler)) return;
    const { ageMsMax, slotsMax } = this.#deps.catchUp;
    const lot = Math.min(reopenedMax, slotsMax);
    try {
      const reopened = await this.#deps.slots.reopenFailed(sampler, nowMs - ageMsMax, lot, nowMs);
      if (reopened < lot || lot === 0) this.#sound.add(sampler);
    } catch (thrown) {
      this.#deps.log.warn({ err: thrown, sampler }, `failed slots are not run again: ${messageOf(thrown)}`);
    }
  }

  #failure(record: SlotRecord, thrown: unknown): SlotOutcome {
    const { clock, attemptsMax, log } = this.#deps;
    const error = errorText(thrown);
    if (!(thrown instanceof Problem)) log.error({ err: thrown, sampler: record.sampler }, `a slot failed: ${error}`);
    if (!(thrown instanceof Problem) || !thrown.retryable) return { state: "failed", dataState: "missing", error };
    const heldBack = heldBackCodes.has(thrown.code);
    const dataState = heldBack ? "late" : "source-down";
    // What is run for the record does not age: it would wait for its turn, and with it all that come after it.
    if (heldBack && record.catchUp) return { state: "failed", dataState, error };
    const decision = decideRetry(record, clock.nowMs(), attemptsMax, thrown.retryAfterMs);
    if (decision.retry) return { state: "due", dueMs: decision.atMs, dataState, error };
    return { state: "failed", dataState, error: `${error} (given up: ${decision.reason})` };
  }

  /** Keeps the lease alive until `ended`; aborts `lost` once another worker has it. */
  async #renew(record: SlotRecord, lost: AbortController, ended: AbortSignal): Promise<void> {
    const { clock, slots, owner, leaseMs, log } = this.#deps;
    while (!ended.aborted) {
      await clock.sleep(leaseMs / 3, ended).catch(() => {});
      if (ended.aborted) return;
      try {
        if (await slots.renew(record, owner, clock.nowMs() + leaseMs)) continue;
        lost.abort(new Problem("the lease was lost", { where: record.sampler, retryable: true }));
        return;
      } catch (thrown) {
        log.warn({ err: thrown, sampler: record.sampler }, `cannot renew a lease: ${messageOf(thrown)}`);
      }
    }
  }
}

/** One line for the ledger. Problems hold no secrets; of a defect only the message is kept, its stack is in the log. */
function errorText(thrown: unknown): string {
  const text = thrown instanceof Problem ? formatProblem(thrown) : `defect: ${messageOf(thrown)}`;
  return text.replace(/\s+/g, " ").slice(0, errorLengthMax);
}
