import type { Clock } from "../../src/core/ports.ts";
import { parseDurationMs } from "../../src/core/time.ts";

type Sleeper = { wakeMs: number; order: number; wake: () => void };

/** A clock that moves only when a test moves it. Sleepers wake in order of time, each at its own moment. */
export class SimulatedClock implements Clock {
  #nowMs: number;
  #order = 0;
  #sleepers: Sleeper[] = [];

  constructor(start: string | number) {
    this.#nowMs = typeof start === "number" ? start : Date.parse(start);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal.reason);
      };
      const wake = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const sleeper: Sleeper = { wakeMs: this.#nowMs + ms, order: this.#order++, wake };
      this.#sleepers.push(sleeper);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  /**
   * Moves time forward (`30s`, `1h`), waking sleepers on the way. After each waking it lets everything that is ready
   * run: promises, and a few turns of the event loop for files and sockets. `settle` may wait for more than that.
   */
  async advance(duration: string | number, settle: () => Promise<void> = idle): Promise<void> {
    const ms = typeof duration === "number" ? duration : parseDurationMs(duration);
    if (ms === undefined) throw new Error(`not a duration: ${duration}`);
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const [next] = this.#sleepers
        .filter((sleeper) => sleeper.wakeMs <= endMs)
        .sort((a, b) => a.wakeMs - b.wakeMs || a.order - b.order);
      if (next === undefined) break;
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next);
      this.#nowMs = Math.max(this.#nowMs, next.wakeMs);
      next.wake();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }

  /** Jumps without waking anybody, as a machine does that was suspended. */
  jump(duration: string): void {
    this.#nowMs += parseDurationMs(duration) ?? 0;
  }
}

/** Lets what is ready run. */
export async function idle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
