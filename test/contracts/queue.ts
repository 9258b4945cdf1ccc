import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Job, JobOf, Queue } from "../../src/core/ports.ts";

export type QueueCase = {
  name: string;
  /** An empty queue. */
  open(): Promise<Queue>;
  /** Lets time pass for delayed jobs, and whatever is ready run. */
  pass(ms: number): Promise<void>;
};

const slot = (id: string, sampler = "orders"): JobOf<"slot"> => ({
  kind: "slot",
  id,
  sampler,
  startMs: 1_764_000_000_000,
});

/** A handler that a test holds back and lets go, job by job. */
class Gate {
  readonly started: string[] = [];
  readonly signals: AbortSignal[] = [];
  #open: (() => void)[] = [];
  readonly handle = (job: Job, signal: AbortSignal): Promise<void> => {
    this.started.push(job.id);
    this.signals.push(signal);
    return new Promise((resolve) => {
      this.#open.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  };
  letGo(): void {
    for (const open of this.#open) open();
    this.#open = [];
  }
}

/** What every queue promises: at least once, never more than `concurrency` at a time, known ids ignored. */
export function queueContract(subject: QueueCase): void {
  describe(`queue contract: ${subject.name}`, () => {
    let queue: Queue;
    beforeEach(async () => {
      queue = await subject.open();
    });
    afterEach(() => queue[Symbol.asyncDispose]());
    const settled = (check: () => void): Promise<void> =>
      vi.waitFor(() => subject.pass(0).then(check), { timeout: 5_000, interval: 5 });

    test("jobs are handled, those added before a worker came too", async () => {
      const seen: string[] = [];
      await queue.add(slot("early"));
      queue.work("slot", 2, async (job) => void seen.push(job.id));
      await queue.add(slot("late"));
      await settled(() => expect(seen.toSorted()).toEqual(["early", "late"]));
    });

    test("a job arrives equal, and as a copy", async () => {
      const seen: Job[] = [];
      queue.work("slot", 1, async (job) => void seen.push(job));
      const job = { ...slot("a"), sampler: "Größe – 订单" };
      await queue.add(job);
      await settled(() => expect(seen).toEqual([job]));
      expect(seen[0]).not.toBe(job);
    });

    test("kinds do not mix, nor wait for each other", async () => {
      const gate = new Gate();
      const delivered: string[] = [];
      queue.work("slot", 1, gate.handle);
      queue.work("deliver", 1, async (job) => void delivered.push(job.id));
      await queue.add(slot("a"));
      await queue.add({ kind: "deliver", id: "m" });
      await settled(() => expect([gate.started, delivered]).toEqual([["a"], ["m"]]));
      gate.letGo();
    });

    test("at most so many at a time; the next begins when one ends", async () => {
      const gate = new Gate();
      queue.work("slot", 2, gate.handle);
      for (const id of ["a", "b", "c", "d", "e"]) await queue.add(slot(id));
      await settled(() => expect(gate.started).toHaveLength(2));
      expect(queue.depth()).toEqual({ waiting: 3, running: 2 });
      gate.letGo();
      await settled(() => expect(gate.started).toHaveLength(4));
      gate.letGo();
      await settled(() => expect(gate.started).toHaveLength(5));
      gate.letGo();
      await settled(() => expect(queue.depth()).toEqual({ waiting: 0, running: 0 }));
    });

    test("an id that waits or runs is ignored; once done it is welcome again", async () => {
      const gate = new Gate();
      queue.work("slot", 1, gate.handle);
      for (const id of ["a", "a", "b", "b", "a"]) await queue.add(slot(id));
      await settled(() => expect(gate.started).toEqual(["a"]));
      gate.letGo();
      await settled(() => expect(gate.started).toEqual(["a", "b"]));
      gate.letGo();
      await settled(() => expect(queue.depth()).toEqual({ waiting: 0, running: 0 }));
      await queue.add(slot("a"));
      await settled(() => expect(gate.started).toEqual(["a", "b", "a"]));
      gate.letGo();
    });

    test("a delayed job waits, and counts as waiting", async () => {
      const seen: string[] = [];
      queue.work("slot", 1, async (job) => void seen.push(job.id));
      await queue.add(slot("later"), { delayMs: 1_000 });
      await queue.add(slot("later"), { delayMs: 1_000 });
      await subject.pass(100);
      expect(seen).toEqual([]);
      expect(queue.depth().waiting).toBe(1);
      await subject.pass(1_000);
      await settled(() => expect(seen).toEqual(["later"]));
    });

    test("a handler that throws ends its own job only", async () => {
      const seen: string[] = [];
      queue.work("slot", 1, async (job) => {
        seen.push(job.id);
        if (job.id === "bad") throw new Error("no");
      });
      for (const id of ["bad", "good"]) await queue.add(slot(id));
      await settled(() => expect(seen).toEqual(["bad", "good"]));
      await subject.pass(60_000);
      expect(seen).toEqual(["bad", "good"]);
    });

    test("closing aborts what runs on, waits for its end, and starts nothing more", async () => {
      const gate = new Gate();
      queue.work("slot", 1, gate.handle);
      for (const id of ["a", "b"]) await queue.add(slot(id));
      await queue.add(slot("c"), { delayMs: 1_000 });
      await settled(() => expect(gate.started).toEqual(["a"]));
      await queue[Symbol.asyncDispose]();
      expect(gate.signals[0]?.aborted).toBe(true);
      await subject.pass(10_000);
      expect(gate.started).toEqual(["a"]);
      await expect(queue.add(slot("d"))).rejects.toMatchObject({ retryable: true });
    });
  });
}
