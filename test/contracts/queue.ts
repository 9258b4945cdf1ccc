import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Job, JobOf, Queue } from "../../src/core/ports.ts";

export type QueueCase = {
  name: string;
  /** An empty queue. */
  open(): Promise<Queue>;
  /** Lets time pass for delayed jobs, and whatever is ready run. */
  pass(ms: number): Promise<void>;
};

export const sample = (id: string, share = 0): JobOf<"sample"> => ({
  kind: "sample",
  id,
  sampler: "orders",
  startMs: 1_764_000_000_000,
  share,
});

/** A handler that a test holds back and lets go, job by job. */
export class Gate {
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
      queue.serve(new Set([0, 1]));
    });
    afterEach(() => queue[Symbol.asyncDispose]());
    const settled = (check: () => void): Promise<void> =>
      vi.waitFor(() => subject.pass(0).then(check), { timeout: 5_000, interval: 5 });

    test("jobs are handled, those added before a worker came too", async () => {
      const seen: string[] = [];
      await queue.add(sample("early"));
      queue.work("sample", 2, async (job) => void seen.push(job.id));
      await queue.add(sample("late"));
      await settled(() => expect(seen.toSorted()).toEqual(["early", "late"]));
    });

    test("a job arrives equal, and as a copy", async () => {
      const seen: Job[] = [];
      queue.work("sample", 1, async (job) => void seen.push(job));
      const job = { ...sample("a"), sampler: "Größe – 订单" };
      await queue.add(job);
      await settled(() => expect(seen).toEqual([job]));
      expect(seen[0]).not.toBe(job);
    });

    test("kinds do not mix, nor wait for each other", async () => {
      const gate = new Gate();
      const delivered: string[] = [];
      queue.work("sample", 1, gate.handle);
      queue.work("notify", 1, async (job) => void delivered.push(job.id));
      await queue.add(sample("a"));
      await queue.add({ kind: "notify", id: "m" });
      await settled(() => expect([gate.started, delivered]).toEqual([["a"], ["m"]]));
      gate.letGo();
    });

    test("at most so many at a time; the next begins when one ends", async () => {
      const gate = new Gate();
      queue.work("sample", 2, gate.handle);
      for (const id of ["a", "b", "c", "d", "e"]) await queue.add(sample(id));
      await settled(() => expect(gate.started).toHaveLength(2));
      await settled(() => expect(queue.depth()).toEqual({ waiting: 3, running: 2 }));
      gate.letGo();
      await settled(() => expect(gate.started).toHaveLength(4));
      gate.letGo();
      await settled(() => expect(gate.started).toHaveLength(5));
      gate.letGo();
      await settled(() => expect(queue.depth()).toEqual({ waiting: 0, running: 0 }));
    });

    test("an id that waits or runs is ignored; once done it is welcome again", async () => {
      const gate = new Gate();
      queue.work("sample", 1, gate.handle);
      for (const id of ["a", "a", "b", "b", "a"]) await queue.add(sample(id));
      await settled(() => expect(gate.started).toEqual(["a"]));
      gate.letGo();
      await settled(() => expect(gate.started).toEqual(["a", "b"]));
      gate.letGo();
      await settled(() => expect(queue.depth()).toEqual({ waiting: 0, running: 0 }));
      await queue.add(sample("a"));
      await settled(() => expect(gate.started).toEqual(["a", "b", "a"]));
      gate.letGo();
    });

    test("a delayed job waits, and counts as waiting", async () => {
      const seen: string[] = [];
      queue.work("sample", 1, async (job) => void seen.push(job.id));
      await queue.add(sample("later"), { delayMs: 1_000 });
      await queue.add(sample("later"), { delayMs: 1_000 });
      await subject.pass(100);
      expect(seen).toEqual([]);
      await settled(() => expect(queue.depth().waiting).toBe(1));
      expect(seen).toEqual([]);
      await subject.pass(1_000);
      await settled(() => expect(seen).toEqual(["later"]));
    });

    test("jobs of a higher priority go first, in any share; equal ones in their order", async () => {
      const gate = new Gate();
      queue.work("sample", 1, gate.handle);
      await queue.add(sample("running"));
      await settled(() => expect(gate.started).toEqual(["running"]));
      await queue.add(sample("low-1"), { priority: "low" });
      await queue.add(sample("low-2"), { priority: "low" });
      await queue.add(sample("medium", 1));
      await queue.add(sample("high", 1), { priority: "high" });
      await queue.add(sample("high-0"), { priority: "high", delayMs: 1 });
      await subject.pass(50);
      for (let job = 1; job <= 6; job += 1) {
        await settled(() => expect(gate.started).toHaveLength(job));
        gate.letGo();
      }
      expect(gate.started.slice(1, 3).toSorted()).toEqual(["high", "high-0"]);
      expect(gate.started.slice(3)).toEqual(["medium", "low-1", "low-2"]);
    });

    test("before shares are served their jobs wait, and messages do not", async () => {
      await queue[Symbol.asyncDispose]();
      queue = await subject.open();
      const seen: string[] = [];
      queue.work("sample", 2, async (job) => void seen.push(job.id));
      queue.work("notify", 2, async (job) => void seen.push(job.id));
      for (const share of [0, 7, 31]) await queue.add(sample(`share-${share}`, share));
      await queue.add({ kind: "notify", id: "message" });
      await settled(() => expect(seen).toEqual(["message"]));
      await subject.pass(100);
      queue.serve(new Set([7]));
      await settled(() => expect(seen).toEqual(["message", "share-7"]));
      await subject.pass(100);
      expect(seen).toEqual(["message", "share-7"]);
      queue.serve(new Set([0, 31]));
      await settled(() => expect(seen.toSorted()).toEqual(["message", "share-0", "share-31", "share-7"]));
    });

    test("what runs goes on when its share is no longer served; what waits there is kept", async () => {
      const gate = new Gate();
      queue.work("sample", 1, gate.handle);
      for (const id of ["a", "b"]) await queue.add(sample(id));
      await settled(() => expect(gate.started).toEqual(["a"]));
      queue.serve(new Set([1]));
      await subject.pass(50);
      expect(gate.signals[0]?.aborted).toBe(false);
      gate.letGo();
      await queue.add(sample("c", 1));
      await settled(() => expect(gate.started).toEqual(["a", "c"]));
      gate.letGo();
      await subject.pass(50);
      expect(gate.started).toEqual(["a", "c"]);
      queue.serve(new Set([0]));
      await settled(() => expect(gate.started).toEqual(["a", "c", "b"]));
      gate.letGo();
    });

    test("a handler that throws ends its own job only", async () => {
      const seen: string[] = [];
      queue.work("sample", 1, async (job) => {
        seen.push(job.id);
        if (job.id === "bad") throw new Error("no");
      });
      for (const id of ["bad", "good"]) await queue.add(sample(id));
      await settled(() => expect(seen).toEqual(["bad", "good"]));
      await subject.pass(60_000);
      expect(seen).toEqual(["bad", "good"]);
    });

    test("closing aborts what runs on, waits for its end, and starts nothing more", async () => {
      const gate = new Gate();
      queue.work("sample", 1, gate.handle);
      for (const id of ["a", "b"]) await queue.add(sample(id));
      await queue.add(sample("c"), { delayMs: 1_000 });
      await settled(() => expect(gate.started).toEqual(["a"]));
      await queue[Symbol.asyncDispose]();
      expect(gate.signals[0]?.aborted).toBe(true);
      await subject.pass(10_000);
      expect(gate.started).toEqual(["a"]);
      await expect(queue.add(sample("d"))).rejects.toMatchObject({ retryable: true });
    });
  });
}
