/** How statements and transactions run on the SQL database, whichever it is, and run again. */
import type { Knex } from "knex";
import { counter } from "../core/measure.ts";
import type { Clock, Measure } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { stopwatch } from "../core/time.ts";
import { driverText, type Engine } from "./engine.ts";

export { isDuplicate } from "./engine.ts";

/**
 * One database. Statements that lose against another process, or whose server cannot be reached, are run again, here
 * and nowhere else. What still fails then is a Problem, retryable.
 */
export class Database {
  readonly #engine: Engine;
  #retries = 0;
  #lost = 0;
  #unsettled = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get engine(): Engine {
    return this.#engine;
  }

  /**
   * Runs `work` with every statement on its own, and again from its beginning if it failed for reasons that may be
   * over: write at most once in it, and such that a second time does no harm.
   * @param work `again` true: an earlier try may have taken effect, as the connection was lost before the answer came
   * @throws Problem, retryable; `uncertain` if it may have taken effect
   */
  async run<T>(work: (query: Knex, again: boolean) => Promise<T>): Promise<T> {
    const elapsedMs = stopwatch();
    let again = false;
    for (let [busy, lost] = [0, 0]; ; ) {
      try {
        return await work(this.#engine.knex, again);
      } catch (thrown) {
        const fault = this.#engine.faultOf(thrown);
        if (fault === null || fault === "duplicate") throw thrown;
        if (fault === "busy") busy += 1;
        if (fault === "unreachable") {
          lost += 1;
          again = true;
          this.#lost += 1;
        }
        const isGivenUp =
          fault === "refused" ||
          !(await (fault === "busy" ? this.#engine.waitBusy(busy) : this.#engine.waitUnreachable(lost, elapsedMs())));
        if (isGivenUp) throw this.problem(thrown, again);
        this.#retries += 1;
      }
    }
  }

  /**
   * Runs `work` in one transaction: all of it or, if it throws, nothing; on the disk when the promise resolves. Begin
   * it with a write: on SQLite, a transaction that has read first cannot wait for another writer and has to start over.
   * @param settled where the connection was lost at the commit, finds out whether it took effect: what `work` returned
   * then, null if it did not. Absent: `work` is run again, so a second time must do no harm.
   */
  transaction<T>(
    work: (query: Knex) => Promise<T>,
    settled: (query: Knex) => Promise<T | null> = async () => null,
  ): Promise<T> {
    let unsettled = false;
    return this.run(async (query) => {
      if (unsettled) {
        const found = await settled(query);
        if (found !== null) return found;
      }
      let committing = false;
      try {
        const result = await this.#engine.transaction(async (trx) => {
          const done = await work(trx);
          committing = true;
          return done;
        });
        // A commit that was still on its way when it was looked for left nothing to do, which is not what came of it.
        return unsettled ? ((await settled(query)) ?? result) : result;
      } catch (thrown) {
        const isLost = this.#engine.faultOf(thrown) === "unreachable";
        // Or it made what was done again fail.
        const found = unsettled && !isLost ? await settled(query) : null;
        if (found !== null) return found;
        if (isLost && committing) {
          unsettled = true;
          this.#unsettled += 1;
        }
        throw thrown;
      }
    });
  }

  /** The server's clock less ours, ms, to half of what the fastest of three answers took. SQLite: 0, it is ours. */
  async clockAheadMs(clock: Clock): Promise<number> {
    const { clockMs } = this.#engine;
    if (clockMs === null) return 0;
    let best = { tookMs: Number.POSITIVE_INFINITY, aheadMs: 0 };
    for (let look = 0; look < 3; look += 1) {
      const { tookMs, aheadMs } = await this.run(async (query) => {
        const elapsedMs = stopwatch();
        const theirsMs = await clockMs(query);
        const tookMs = elapsedMs();
        return { tookMs, aheadMs: theirsMs - (clock.nowMs() - tookMs / 2) };
      });
      if (tookMs < best.tookMs) best = { tookMs, aheadMs };
    }
    return Math.round(best.aheadMs);
  }

  /** An error of the driver for people; the driver's own text names no password. */
  problem(thrown: unknown, uncertain = false): Problem {
    const isReachable = this.#engine.faultOf(thrown) !== "unreachable";
    const what = isReachable ? "the database did not do it" : "the database cannot be reached";
    return new Problem(`${what}: ${driverText(thrown)}`, {
      where: this.#engine.where,
      fix: isReachable
        ? "if it goes on, look at the server's load, locks and disk"
        : "start the server, or correct DATABASE_URL",
      retryable: true,
      uncertain,
      cause: thrown,
    });
  }

  measures(): Measure[] {
    return [
      ...this.#engine.measures(),
      counter(
        "state_retries",
        "Statements run again, as others were in the way or the server was away.",
        this.#retries,
      ),
      counter("state_lost", "Statements whose connection to the server failed.", this.#lost),
      counter("state_unsettled", "Commits that were looked up, as the connection was lost.", this.#unsettled),
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#engine.dispose();
  }
}
