/** What could not be asked at the start is asked later. */
import type { Clock } from "../core/ports.ts";
import type { Problem } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";

/** How often a server that did not answer is asked again. */
const againMs = 30 * secondMs;

/**
 * Where something did not answer at the start (its Problem is retryable), asks every 30 s until it does.
 * @param refusedOf what of the answer is not to be worked with; called once, with the answer
 * @returns that, once there is some; never, where there is none, everything answered at the start, or `signal` aborts
 */
export async function onceAnswered(
  atStart: readonly Problem[],
  ask: () => Promise<readonly Problem[]>,
  refusedOf: (problems: readonly Problem[]) => readonly Problem[],
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly Problem[]> {
  let found = atStart;
  while (found.some(({ retryable }) => retryable) && !signal.aborted) {
    await clock.sleep(againMs, signal).catch(() => {});
    if (!signal.aborted) found = await ask();
  }
  const refused = found === atStart || signal.aborted ? [] : refusedOf(found);
  return refused.length > 0 ? refused : await new Promise<never>(() => {});
}
