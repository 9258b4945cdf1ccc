/** Child processes that answer one question at a time, and that can be killed in the middle of it. */
import { type ChildProcess, fork } from "node:child_process";
import type { Readable } from "node:stream";
import type { Log } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { systemClock } from "../../core/time.ts";

/** How long the first in line waits for a busy child before another one is started. */
const patienceMs = 100;

/** What is kept of a child's last words, in characters. */
const lastWordsMax = 2_000;

export type ChildPoolOptions = {
  /** File that a child runs; it answers each message with one message. */
  readonly entry: URL;
  readonly args: readonly string[];
  /** What the children stand for, in messages. */
  readonly what: string;
  /** Children at a time, >= 1. */
  readonly childrenMax: number;
  readonly log: Log;
};

type Child = {
  readonly process: ChildProcess;
  /** Who waits for the answer to the question under way. */
  asker: { answer: (message: unknown) => void; fail: (reason: unknown) => void } | null;
  /** Killed by us: its end is no surprise. */
  killed: boolean;
  lastWords: string;
};

/**
 * Starts the first child with the first question, and more only while questions wait. A question whose signal aborts
 * takes its child with it: that is the only way to stop a computation inside a library.
 */
export class ChildPool<Question extends object, Answer> implements AsyncDisposable {
  readonly #options: ChildPoolOptions;
  readonly #children = new Set<Child>();
  #idle: Child[] = [];
  #line: ((child: Child) => void)[] = [];
  #growing = false;
  #killed = 0;
  readonly #closing = new AbortController();

  constructor(options: ChildPoolOptions) {
    this.#options = options;
  }

  /** @throws the signal's reason if it aborts; Problem (retryable) if the child ends without an answer */
  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const child = this.#idle.pop() ?? (await this.#standInLine(signal));
    return new Promise<Answer>((resolve, reject) => {
      const settle = (): void => {
        child.asker = null;
        signal.removeEventListener("abort", stop);
      };
      const stop = (): void => {
        settle();
        this.#kill(child);
        reject(signal.reason);
      };
      child.asker = {
        answer: (message) => {
          settle();
          this.#free(child);
          resolve(message as Answer);
        },
        fail: (reason) => {
          settle();
          reject(reason);
        },
      };
      if (signal.aborted) return stop();
      signal.addEventListener("abort", stop, { once: true });
      child.process.send(question, (fault) => {
        if (fault !== null) this.#kill(child);
      });
    });
  }

  /** `killed` counts children that were stopped in the middle of a question. */
  state(): { running: number; waiting: number; killed: number; pids: readonly number[] } {
    const pids = [...this.#children].map(({ process }) => process.pid ?? 0);
    return { running: this.#children.size, waiting: this.#line.length, killed: this.#killed, pids };
  }

  /** Kills all children, and returns when they are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const gone = [...this.#children].map(({ process }) => new Promise((resolve) => process.once("exit", resolve)));
    for (const child of this.#children) {
      child.killed = true;
      child.process.kill("SIGKILL");
    }
    await Promise.all(gone);
  }

  #standInLine(signal: AbortSignal): Promise<Child> {
    if (this.#children.size === 0) return Promise.resolve(this.#start());
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line = this.#line.filter((other) => other !== serve);
        reject(signal.reason);
      };
      const serve = (child: Child): void => {
        signal.removeEventListener("abort", leave);
        resolve(child);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#line.push(serve);
      void this.#growWhileWaiting();
    });
  }

  async #growWhileWaiting(): Promise<void> {
    if (this.#growing) return;
    this.#growing = true;
    while (this.#line.length > 0 && !this.#closing.signal.aborted) {
      const [first] = this.#line;
      await systemClock.sleep(patienceMs, this.#closing.signal).catch(() => {});
      const waitsStill = first !== undefined && this.#line[0] === first && !this.#closing.signal.aborted;
      if (waitsStill && this.#children.size < this.#options.childrenMax) this.#free(this.#start());
    }
    this.#growing = false;
  }

  #free(child: Child): void {
    const next = this.#line.shift();
    if (next === undefined) this.#idle.push(child);
    else next(child);
  }

  #start(): Child {
    const { entry, args } = this.#options;
    // No environment: a child has no use for our secrets. The fifth stream ends when this process does.
    const process = fork(entry, args, {
      serialization: "advanced",
      env: {},
      execArgv: [],
      stdio: ["ignore", "ignore", "pipe", "ipc", "pipe"],
    });
    const child: Child = { process, asker: null, killed: false, lastWords: "" };
    this.#children.add(child);
    process.on("message", (message) => child.asker?.answer(message));
    process.on("error", (fault) => this.#gone(child, messageOf(fault)));
    process.on("exit", (code, signal) => this.#gone(child, signal ?? `exit code ${code}`));
    const stderr = process.stderr as Readable;
    stderr.on("data", (chunk) => {
      child.lastWords = `${child.lastWords}${chunk}`.slice(-lastWordsMax);
    });
    return child;
  }

  #kill(child: Child): void {
    child.killed = true;
    this.#killed += 1;
    child.process.kill("SIGKILL");
  }

  #gone(child: Child, how: string): void {
    if (!this.#children.delete(child)) return;
    this.#idle = this.#idle.filter((other) => other !== child);
    if (!child.killed) {
      this.#options.log.warn(
        { pid: child.process.pid, lastWords: child.lastWords },
        `a reader of ${this.#options.what} ended: ${how}`,
      );
    }
    child.asker?.fail(
      new Problem(`the process that reads ended before its answer (${how})`, {
        where: this.#options.what,
        retryable: true,
      }),
    );
    if (this.#line.length > 0 && !this.#closing.signal.aborted) this.#free(this.#start());
  }
}
