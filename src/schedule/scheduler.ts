/** One loop: plans slots ahead of time into the ledger, and wakes workers for those that may run. */
import type { Sampler } from "../core/definitions.ts";
import type { Clock, Log, Measure, Measured, Queue } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { formatDuration, formatTimeUtc, minuteMs, secondMs } from "../core/time.ts";
import type { SlotLedger } from "../state/slots.ts";
import { dueMs, jitterMsMax, nextSlot, slotsEndingIn } from "./cron.ts";
import { slotJob } from "./job.ts";
import { boundsOf, type CatchUp, planSlots, skippedMax } from "./plan.ts";

/** Slots are written this long before they end, so that the writing delays nobody. */
const aheadMs = minuteMs;

/** The longest rest between two looks at the ledger: what a lost job or a dead worker's slot waits at most. */
const sweepMs = 5 * secondMs;

/** A clock found further away than this from where it should be has jumped. */
const jumpMs = 5 * minuteMs;

/** Slots woken in one look; each is another sampler's oldest. */
const wakeMax = 10_000;

export type SchedulerDeps = {
  readonly clock: Clock;
  readonly slots: Pick<SlotLedger, "add" | "forTheRecord" | "ready" | "latestMs">;
  readonly queue: Queue;
  readonly log: Log;
  readonly catchUp: CatchUp;
  /** The share that a sampler belongs to, whether it is defined or not. */
  readonly shareOf: (sampler: string) => number;
};

/**
 * Any number of schedulers may run on one ledger: a slot is added once, and leased by one worker at a time. Nothing
 * but the ledger is remembered over a restart; what is kept here is how far each sampler is planned.
 */
export class Scheduler implements Measured {
  readonly #deps: SchedulerDeps;
  #samplers: ReadonlyMap<string, Sampler> = new Map();
  /** Sampler to the moment up to which its slots are in the ledger. */
  readonly #plannedMs = new Map<string, number>();
  /** When planned slots become due, unsorted; the loop wakes for the earliest. */
  #comingMs: number[] = [];
  /** Ends the rest between two looks. */
  #rest = new AbortController();
  #wakeMs: number | null = null;
  /** The sampler at which the ledger did not answer; the next look begins behind it. */
  #unanswered: string | null = null;
  readonly #skipped = new Map<string, number>();
  #added = 0;
  #catchUps = 0;
  #jumps = 0;
  #faults = 0;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  /** Takes effect at once; samplers that stay keep their place, slots of those that go are left to the workers. */
  setSamplers(samplers: ReadonlyMap<string, Sampler>): void {
    this.#samplers = samplers;
    for (const name of this.#plannedMs.keys()) if (!samplers.has(name)) this.#plannedMs.delete(name);
    for (const name of this.#skipped.keys()) if (!samplers.has(name)) this.#skipped.delete(name);
    this.#rest.abort();
  }

  /**
   * Runs until `signal` aborts, then returns, once what it last asked has answered. A ledger or queue that fails is
   * logged and asked again.
   */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#rest = new AbortController();
      await this.#plan(signal);
      await this.#wake(signal);
      await this.#sleep(signal);
    }
  }

  measures(): Measure[] {
    const counter = (name: string, help: string, value: number, sampler?: string): Measure => ({
      name: `bellwether_${name}_total`,
      help,
      kind: "counter",
      value,
      labels: sampler === undefined ? undefined : { sampler },
    });
    return [
      { name: "bellwether_samplers", help: "Samplers scheduled.", kind: "gauge", value: this.#samplers.size },
      counter("slots_planned", "Slots added to the ledger by this process.", this.#added),
      counter(
        "slots_planned_catch_up",
        "Slots added for the record only: after a stop, and of a new sampler's history.",
        this.#catchUps,
      ),
      counter("scheduler_clock_jumps", "Times the clock was not where it should have been.", this.#jumps),
      counter("scheduler_faults", "Looks at the ledger or the queue that failed.", this.#faults),
      ...[...this.#skipped].map(([sampler, value]) =>
        counter("slots_skipped", "Slots beyond the bounds of catching up, never run.", value, sampler),
      ),
    ];
  }

  /** A ledger that does not answer for one sampler would not for the next: each would cost its patience again. */
  async #plan(signal: AbortSignal): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    this.#noticeJump(nowMs);
    for (const sampler of this.#inTurn()) {
      if (signal.aborted) return;
      const plannedMs = this.#plannedMs.get(sampler.name);
      if (plannedMs !== undefined && plannedMs >= nowMs + aheadMs / 2) continue;
      try {
        await this.#planSampler(sampler, plannedMs ?? (await this.#knownUntilMs(sampler)), nowMs);
      } catch (thrown) {
        this.#fault(thrown, `cannot plan ${sampler.name}`);
        if (!(thrown instanceof Problem && thrown.retryable)) continue;
        this.#unanswered = sampler.name;
        return;
      }
    }
    this.#unanswered = null;
  }

  /** All samplers, from the one behind {@link #unanswered} on: one that always fails holds up no other. */
  #inTurn(): Sampler[] {
    const all = [...this.#samplers.values()];
    const first = all.findIndex(({ name }) => name === this.#unanswered) + 1;
    return [...all.slice(first), ...all.slice(0, first)];
  }

  async #planSampler(sampler: Sampler, afterMs: number | null, nowMs: number): Promise<void> {
    if (!this.#plannedMs.has(sampler.name)) {
      this.#noticeAhead(sampler, afterMs, nowMs);
      if (afterMs !== null) this.#comingMs.push(...plannedBefore(sampler, afterMs, nowMs));
    }
    const plan = planSlots(sampler, afterMs, nowMs, aheadMs, this.#deps.catchUp);
    const added = plan.slots.length === 0 ? 0 : await this.#deps.slots.add(plan.slots);
    // What was planned before the stop and not run is older still: nobody is told of that either.
    const oldest = plan.slots.find((slot) => slot.catchUp);
    if (oldest !== undefined) await this.#deps.slots.forTheRecord(sampler.name, oldest.startMs);
    // A reload may have taken the sampler away, or changed it, while the ledger was written.
    if (this.#samplers.get(sampler.name) === sampler) this.#plannedMs.set(sampler.name, plan.untilMs);
    this.#added += added;
    this.#catchUps += added > 0 ? plan.slots.filter((slot) => slot.catchUp).length : 0;
    this.#comingMs.push(...plan.slots.map((slot) => slot.dueMs).filter((dueMs) => dueMs > nowMs));
    if (afterMs === null && oldest !== undefined) {
      const { name, historyMs } = sampler;
      this.#deps.log.info({ sampler: name }, `${name}: ${formatDuration(historyMs)} of its past are read first`);
    }
    if (plan.skipped === 0) return;
    this.#skipped.set(sampler.name, (this.#skipped.get(sampler.name) ?? 0) + plan.skipped);
    const { ageMsMax, slotsMax } = boundsOf(sampler, this.#deps.catchUp);
    const count = plan.skipped >= skippedMax ? `${skippedMax} or more` : plan.skipped;
    this.#deps.log.warn(
      { sampler: sampler.name, skipped: plan.skipped, since: afterMs === null ? null : formatTimeUtc(afterMs) },
      `${sampler.name}: ${count} slots left out, older than ${formatDuration(ageMsMax)} or beyond ${slotsMax} slots`,
    );
  }

  async #knownUntilMs(sampler: Sampler): Promise<number | null> {
    const latestMs = await this.#deps.slots.latestMs(sampler.name);
    return latestMs === null ? null : latestMs + sampler.schedule.stepMs;
  }

  /** One job for each sampler that has a slot to run and runs none; the queue ignores those it knows. */
  async #wake(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const nowMs = this.#deps.clock.nowMs();
    this.#comingMs = this.#comingMs.filter((dueMs) => dueMs > nowMs);
    try {
      for (const slot of await this.#deps.slots.ready(nowMs, wakeMax)) {
        if (signal.aborted) return;
        const priority = this.#samplers.get(slot.sampler)?.priority ?? "low";
        await this.#deps.queue.add(slotJob(slot, this.#deps.shareOf(slot.sampler)), { priority });
      }
    } catch (thrown) {
      this.#fault(thrown, "cannot wake workers");
    }
  }

  async #sleep(signal: AbortSignal): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    this.#wakeMs = this.#comingMs.reduce((earliest, dueMs) => Math.min(earliest, dueMs), nowMs + sweepMs);
    const ended = AbortSignal.any([signal, this.#rest.signal]);
    await this.#deps.clock.sleep(Math.max(0, this.#wakeMs - nowMs), ended).catch((thrown) => {
      if (!ended.aborted) throw thrown;
      this.#wakeMs = null;
    });
  }

  /** What ran while the clock was wrong stays in the ledger: a start long after that would be silent about it. */
  #noticeAhead(sampler: Sampler, afterMs: number | null, nowMs: number): void {
    const next = nextSlot(sampler, nowMs + aheadMs);
    if (afterMs === null || next === null || afterMs <= next.startMs + next.stepMs) return;
    this.#deps.log.warn(
      { sampler: sampler.name, aheadMs: afterMs - nowMs },
      `${sampler.name}: the ledger knows slots up to ${formatTimeUtc(afterMs)}, ahead of the clock; no other runs before that`,
    );
  }

  #noticeJump(nowMs: number): void {
    if (this.#wakeMs === null) return;
    const awayMs = nowMs - this.#wakeMs;
    if (awayMs > -secondMs && awayMs < jumpMs) return;
    this.#jumps += 1;
    const how = awayMs < 0 ? "back" : "forward";
    this.#deps.log.warn(
      { awayMs },
      `the clock went ${how} by ${formatDuration(Math.abs(awayMs))}: no slot runs twice, missed ones are caught up`,
    );
  }

  #fault(thrown: unknown, what: string): void {
    this.#faults += 1;
    this.#deps.log.error({ err: thrown }, `${what}: ${messageOf(thrown)}`);
  }
}

/** When slots become due that the ledger holds already: whoever planned them, before a restart, may wake nobody now. */
function plannedBefore(sampler: Sampler, afterMs: number, nowMs: number): number[] {
  const fromMs = nowMs - sampler.schedule.delayMs - jitterMsMax;
  const slots = slotsEndingIn(sampler, fromMs, Math.min(afterMs, nowMs + aheadMs), Number.POSITIVE_INFINITY);
  return slots.map((slot) => dueMs(sampler, slot)).filter((ms) => ms > nowMs);
}
