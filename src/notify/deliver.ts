/**
 * The outbox worker: claims messages owed, has them composed, hands them to notifiers and writes down what became of
 * them. Nothing is lost: a message stays owed until a notifier took it or said that it never will.
 */
import { maskAddresses } from "../core/mask.ts";
import type { Message, OutboxItem } from "../core/model.ts";
import type { Clock, Log, Measure, Measured, Notifier } from "../core/ports.ts";
import { Problem, toProblem } from "../core/problem.ts";
import { deadline, hourMs, minuteMs, secondMs } from "../core/time.ts";
import type { AuditLog } from "../state/audit.ts";
import type { Outbox } from "../state/outbox.ts";
import { markRepeat } from "./render.ts";

/** How often a message is handed over at most: five times within ten minutes. */
export const attemptsMax = 5;
/** Wait before the second attempt; each later one doubles it: 40, 80, 160, 320 s. */
const backOffMs = 40 * secondMs;
const retryAfterMsMax = hourMs;
/** How long a claim holds; far longer than any send, so that only a crash lets it run out. */
const leaseMs = 5 * minuteMs;
/** The end of a send that its notifier did not end itself. */
const sendTimeoutMs = 30 * secondMs;
/** How long what is in hand may take to its end once the worker is stopped. */
const drainMs = 5 * secondMs;

/** Begins the error of an attempt that may have arrived; the next attempt is then marked as a repeat. */
const uncertainText = "may have arrived: ";

export type DelivererOptions = {
  readonly clock: Clock;
  readonly state: { readonly outbox: Pick<Outbox, "claim" | "settle">; readonly audit: Pick<AuditLog, "add"> };
  readonly notifiers: ReadonlyMap<string, Notifier>;
  readonly log: Log;
  /** Name of this process among those that share the outbox. */
  readonly owner: string;
  /** The message for an item, or why it is not sent after all. */
  readonly compose: (item: OutboxItem) => Promise<Message | { readonly cancel: string }>;
  /** Messages handed over at the same time. Default 8. */
  readonly concurrency?: number | undefined;
  /** How often the outbox is looked at. Default 1 s. */
  readonly pollMs?: number | undefined;
  /** What a recipient that is a reference (`env:NAME`, `file:PATH`) stands for. */
  readonly secret?: ((reference: string) => string) | undefined;
  readonly newId: () => string;
};

export class Deliverer implements Measured {
  readonly #options: DelivererOptions;
  readonly #concurrency: number;
  /** Ids in this process' hands: a lease that ran out while a send hangs is not sent a second time from here. */
  readonly #sending = new Set<string>();
  /** Ends the sends that a stop does not wait for any longer. */
  readonly #stopped = new AbortController();
  readonly #totals = { sent: 0, retried: 0, failed: 0, unknown: 0, cancelled: 0, repeated: 0 };

  constructor(options: DelivererOptions) {
    this.#options = options;
    this.#concurrency = options.concurrency ?? 8;
  }

  /**
   * Delivers until the signal aborts; what is in hand then is brought to its end, if that comes within 5 s. Else it
   * stays owed, as a message that may have arrived.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, pollMs = secondMs } = this.#options;
    const stop = (): void => {
      const patience = deadline(drainMs);
      patience.addEventListener("abort", () => this.#stopped.abort(patience.reason), { once: true });
    };
    signal.addEventListener("abort", stop, { once: true });
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await this.deliverDue()) === this.#concurrency);
      } catch (thrown) {
        log.error({ error: toProblem(thrown, "outbox").message }, "the outbox could not be read, it is tried again");
      }
      await clock.sleep(pollMs, signal).catch(() => {});
    }
  }

  /** Claims what is due, as many as may be sent at the same time, and sends it. @returns how many were claimed */
  async deliverDue(): Promise<number> {
    const { clock, state, owner } = this.#options;
    const items = await state.outbox.claim(owner, clock.nowMs(), leaseMs, this.#concurrency);
    const settled = await Promise.allSettled(items.map((item) => this.#deliver(item)));
    const failed = settled.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return items.length;
  }

  async #deliver(item: OutboxItem): Promise<void> {
    if (this.#sending.has(item.id)) return;
    this.#sending.add(item.id);
    try {
      await this.#attempt(item);
    } finally {
      this.#sending.delete(item.id);
    }
  }

  async #attempt(item: OutboxItem): Promise<void> {
    const { compose, notifiers } = this.#options;
    try {
      const notifier = notifiers.get(item.notifier);
      if (notifier === undefined) {
        throw new Problem(`there is no notifier ${item.notifier}`, {
          fix: `use one of ${[...notifiers.keys()].join(", ")}`,
        });
      }
      if (item.attempts > attemptsMax) throw new Problem(`gave up after ${attemptsMax} attempts that never ended`);
      const message = await compose(item);
      if ("cancel" in message) return await this.#settle(item, "cancelled", { error: message.cancel });
      const to = this.#addressOf(item);
      const repeat = !notifier.idempotent && mayHaveArrived(item);
      if (repeat) this.#totals.repeated += 1;
      const signal = deadline(sendTimeoutMs, this.#stopped.signal);
      const sending = notifier.send({ ...(repeat ? markRepeat(message) : message), to }, signal);
      const receipt = await orAborted(sending, signal);
      await this.#settle(item, "sent", { receipt: `${receipt.id} ${receipt.detail}` });
    } catch (thrown) {
      // A defect in composing or sending must not lose the message: it is tried again like a failure in passing.
      await this.#failed(item, toProblem(thrown, "delivery failed", { retryable: true }));
    }
  }

  #addressOf(item: OutboxItem): string {
    const { secret } = this.#options;
    return secret !== undefined && /^(env|file):/.test(item.recipient) ? secret(item.recipient) : item.recipient;
  }

  async #failed(item: OutboxItem, problem: Problem): Promise<void> {
    const { clock, state, log, newId } = this.#options;
    const error = maskAddresses(problem.uncertain ? uncertainText + problem.message : problem.message);
    const facts = { id: item.id, notifier: item.notifier, attempt: item.attempts, error };
    if (problem.retryable && item.attempts < attemptsMax) {
      const waitMs = Math.max(retryWaitMs(item.attempts), Math.min(problem.retryAfterMs ?? 0, retryAfterMsMax));
      log.warn(facts, "a message was not delivered, it is tried again");
      return this.#settle(item, "owed", { error, dueMs: clock.nowMs() + waitMs });
    }
    log.error(facts, "a message was not delivered and is given up");
    await this.#settle(item, problem.uncertain ? "unknown" : "failed", { error });
    await state.audit.add([
      {
        id: newId(),
        atMs: clock.nowMs(),
        actor: "system",
        action: "delivery.failed",
        subject: item.incidentId ?? item.id,
        detail: `${item.kind} to ${item.recipientName} by ${item.notifier}, attempt ${item.attempts}: ${error}`,
      },
    ]);
  }

  async #settle(
    item: OutboxItem,
    outcome: "sent" | "failed" | "unknown" | "cancelled" | "owed",
    facts: { receipt?: string; error?: string; dueMs?: number },
  ): Promise<void> {
    const { state, owner, clock, log } = this.#options;
    const kept = await state.outbox.settle(item.id, owner, { state: outcome, ...facts }, clock.nowMs());
    if (!kept) return log.warn({ id: item.id, outcome }, "another process took this message over meanwhile");
    this.#totals[outcome === "owed" ? "retried" : outcome] += 1;
  }

  measures(): Measure[] {
    const total = ([outcome, value]: [string, number]): Measure => ({
      name: "bellwether_deliveries_total",
      help: "Attempts to deliver a message, by what became of them.",
      kind: "counter",
      value,
      labels: { outcome },
    });
    return [
      ...Object.entries(this.#totals).map(total),
      {
        name: "bellwether_deliveries_running",
        help: "Messages being handed over now.",
        kind: "gauge",
        value: this.#sending.size,
      },
      {
        name: "bellwether_deliveries_running_max",
        help: "Most messages handed over at the same time.",
        kind: "gauge",
        value: this.#concurrency,
      },
    ];
  }
}

/** Wait after that attempt, 1 the first. */
export function retryWaitMs(attempt: number): number {
  return backOffMs * 2 ** (attempt - 1);
}

/** An attempt that was not settled ended in a crash; one that was, says so in its error. */
function mayHaveArrived(item: OutboxItem): boolean {
  return item.attempts > 1 && (item.error === null || item.error.startsWith(uncertainText));
}

/** A notifier that ignores its signal must not hold the outbox up. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void =>
    reject(new Problem("the notifier did not end in time", { retryable: true, uncertain: true, cause: signal.reason }));
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", abort));
}
