/** Reads that several samplers share: whoever asks first reads, the others get the same rows. */
import { counter } from "../core/measure.ts";
import type { Measure, SourceAnswer } from "../core/ports.ts";
import { deadline, stopwatch } from "../core/time.ts";

const batchesMax = 200;

type Batch = {
  readonly answer: Promise<SourceAnswer>;
  readonly keptMs: number;
  readonly ageMs: () => number;
};

export class Batches implements AsyncDisposable {
  /** Oldest first. */
  readonly #batches = new Map<string, Batch>();
  readonly #closing = new AbortController();
  #shared = 0;

  /**
   * The answer to `key`, from `ask` if nobody has asked yet. A read goes on although the one who began it has stopped
   * waiting; one that failed is not kept. What it cost is told to the first alone.
   * @param bounds of the read, and how long its answer serves those who ask later; `signal` bounds the waiting
   */
  async read(
    key: string,
    { timeoutMs, keptMs }: { readonly timeoutMs: number; readonly keptMs: number },
    ask: (signal: AbortSignal) => Promise<SourceAnswer>,
    signal: AbortSignal,
  ): Promise<SourceAnswer> {
    this.#forgetOld();
    const known = this.#batches.get(key);
    if (known !== undefined) {
      this.#shared += 1;
      const { rows } = await orAborted(known.answer, signal);
      return { rows, cost: { serverMs: 0, rowsRead: null } };
    }
    const answer = ask(deadline(timeoutMs, this.#closing.signal));
    const batch = { answer, keptMs, ageMs: stopwatch() };
    this.#batches.set(key, batch);
    answer.catch(() => {
      if (this.#batches.get(key) === batch) this.#batches.delete(key);
    });
    return orAborted(answer, signal);
  }

  measures(): Measure[] {
    return [counter("sample_reads_shared", "Reads spared because another sampler's answer served.", this.#shared)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#batches.values()].map(({ answer }) => answer));
  }

  #forgetOld(): void {
    for (const [key, { ageMs, keptMs }] of this.#batches) {
      if (ageMs() >= keptMs || this.#batches.size >= batchesMax) this.#batches.delete(key);
    }
  }
}

/** The promise's outcome, or the signal's reason once it aborts. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
