/** A number of places, and a queue before them: how many requests go to one system at a time. */

export class Places {
  readonly #max: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number) {
    this.#max = max;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Does the work once there is a place, first come first served. @throws the signal's reason while it waits */
  async within<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#taken < this.#max) this.#taken += 1;
    else await this.#handedOver(signal);
    try {
      return await work();
    } finally {
      const [next] = this.#waiting;
      if (next === undefined) this.#taken -= 1;
      else next();
    }
  }

  /** A place goes from hand to hand, so that nobody who comes later gets in between. */
  #handedOver(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting.delete(enter);
      reject(signal.reason);
    };
    const enter = (): void => {
      this.#waiting.delete(enter);
      signal.removeEventListener("abort", abort);
      resolve();
    };
    this.#waiting.add(enter);
    signal.addEventListener("abort", abort, { once: true });
    return promise;
  }
}
