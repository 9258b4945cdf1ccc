/** One circuit breaker a connection: a source that does not answer is asked by one sampler now and then, not by all. */
import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
} from "cockatiel";
import { gauge } from "../core/measure.ts";
import type { Measure } from "../core/ports.ts";
import { formatProblem, Problem, toProblem } from "../core/problem.ts";
import { minuteMs, secondMs } from "../core/time.ts";

/** Failures in a row that open a circuit. */
const failuresMax = 5;
/** How long it stays open at first, and at most: twice as long after each try that failed. */
const openMs = 10 * secondMs;
const openMsMax = 10 * minuteMs;

/**
 * Whether a failure says that the whole connection is in trouble.
 * @param trying whether it is the one read that tries a connection again: a cut tells of it too, then
 */
export type IsConnectionFault = (fault: unknown, trying: boolean) => boolean;

export class Breakers {
  readonly #policies = new Map<string, ReturnType<typeof circuitBreaker>>();
  /** Connections that one read tries again just now. */
  readonly #trying = new Set<string>();
  /** Why a connection's latest read failed. */
  readonly #reasons = new Map<string, string>();
  readonly #isFault: IsConnectionFault;
  readonly #openMs: number;

  /** @param tempo how many times as fast as real time the caller's clock runs: circuits close as much sooner */
  constructor(isFault: IsConnectionFault, tempo: number) {
    this.#isFault = isFault;
    this.#openMs = openMs / tempo;
  }

  /** @throws Problem SRC-002, retryable, while the circuit is open; else whatever `work` throws */
  async run<T>(connection: string, work: () => Promise<T>): Promise<T> {
    const policy = this.#policies.get(connection) ?? this.#make(connection);
    // The library would let others wait for what becomes of a try, however long that takes.
    if (this.#trying.has(connection)) throw this.#notAsked(connection);
    const tries = policy.state !== CircuitState.Closed;
    if (tries) this.#trying.add(connection);
    try {
      return await policy.execute(work);
    } catch (thrown) {
      if (thrown instanceof BrokenCircuitError) throw this.#notAsked(connection);
      if (this.#isFault(thrown, tries)) this.#reasons.set(connection, formatProblem(toProblem(thrown, connection)));
      throw thrown;
    } finally {
      if (tries) this.#trying.delete(connection);
    }
  }

  #notAsked(connection: string): Problem {
    return new Problem(`not asked, since ${failuresMax} reads in a row have failed: ${this.#reasons.get(connection)}`, {
      code: "SRC-002",
      where: `connection ${connection}`,
      retryable: true,
    });
  }

  /** After the connection's definition changed. */
  forget(connection: string): void {
    this.#policies.delete(connection);
    this.#reasons.delete(connection);
  }

  measures(): Measure[] {
    return [...this.#policies].map(([connection, { state }]) =>
      gauge("source_circuit_open", "1 while a connection is not asked because it failed.", isOpen(state) ? 1 : 0, {
        connection,
      }),
    );
  }

  #make(connection: string): ReturnType<typeof circuitBreaker> {
    const halfOpenAfter = new ExponentialBackoff({ initialDelay: this.#openMs, maxDelay: openMsMax, exponent: 2 });
    const breaker = new ConsecutiveBreaker(failuresMax);
    const made = circuitBreaker(
      handleWhen((fault) => this.#isFault(fault, this.#trying.has(connection))),
      { halfOpenAfter, breaker },
    );
    this.#policies.set(connection, made);
    return made;
  }
}

function isOpen(state: CircuitState): boolean {
  return state === CircuitState.Open || state === CircuitState.Isolated;
}
