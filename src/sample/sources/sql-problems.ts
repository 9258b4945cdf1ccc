/** What every kind of database says in the same words. */
import { Problem } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";

/** Whether the signal aborted because time was up, and not because somebody wants to stop. */
export function timedOut(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
}

export function cutAt(elapsedMs: number, where: string): Problem {
  return new Problem(`cut at ${(elapsedMs / secondMs).toFixed(1)} s`, {
    code: "SQL-008",
    where,
    fix: "add an index on the time column, ask for less, or raise the sampler's timeout",
    retryable: true,
  });
}
