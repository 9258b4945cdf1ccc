/** Waiting that has an end. */
import type { Clock } from "./ports.ts";
import { Problem } from "./problem.ts";
import { formatDuration } from "./time.ts";

/**
 * What `work` gives, if it does so within `ms` of the clock. What becomes of work that is late, nobody hears.
 * @param what leads the Problem of work that is late: `the database`
 * @throws Problem, retryable and uncertain, if it is late; else whatever `work` throws
 */
export async function within<T>(clock: Clock, ms: number, what: string, work: Promise<T>): Promise<T> {
  const ended = new AbortController();
  const tooLate = clock.sleep(ms, ended.signal).then(
    () => {
      throw new Problem(`${what}: no answer within ${formatDuration(ms)}`, { retryable: true, uncertain: true });
    },
    () => work,
  );
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    ended.abort();
  }
}
