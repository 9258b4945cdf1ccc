import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SlotRecord } from "../../../src/core/model.ts";
import type { Queue } from "../../../src/core/ports.ts";
import { Problem } from "../../../src/core/problem.ts";
import { dueMs } from "../../../src/schedule/cron.ts";
import { MemoryQueue } from "../../../src/schedule/queues/memory.ts";
import { Scheduler } from "../../../src/schedule/scheduler.ts";
import type { State } from "../../../src/state/database.ts";
import { SimulatedClock } from "../../support/clock.ts";
import {
  byName,
  cron,
  type Execute,
  every,
  iso,
  memoryState,
  NotedLog,
  Process,
  type Run,
  SetClock,
  sampler,
  settle,
} from "./support.ts";

const minuteMs = 60_000;
const orders = sampler("orders", every(minuteMs));
const done = { rows: 1, points: 1, dataState: "value" as const, cost: null };

let clock: SimulatedClock;
let state: State;
let runs: Run[];
let processes: Process[];

beforeEach(async () => {
  clock = new SimulatedClock("2026-11-20T09:00:30Z");
  state = await memoryState(clock);
  runs = [];
  processes = [];
});
afterEach(async () => {
  for (const each of processes) await each.stop();
  await state[Symbol.asyncDispose]();
});

type Rig = ConstructorParameters<typeof Process>[0];
const open = (rig: Partial<Rig> = {}, catchUp?: ConstructorParameters<typeof Process>[1]): Process => {
  const opened = new Process({ slots: state.slots, clock, runs, ...rig }, catchUp);
  processes.push(opened);
  return opened;
};
const pass = (duration: string): Promise<void> => clock.advance(duration, settle);
const starts = (of = runs): string[] => iso(of.map(({ startMs }) => startMs)).map((time) => time.slice(11, 16));
const ledger = async (name = "orders"): Promise<string[]> => {
  const slots = await state.slots.list({ sampler: name, limit: 10_000 });
  return slots.toReversed().map(({ startMs, state: became }) => `${iso([startMs])[0]!.slice(11, 16)} ${became}`);
};

describe("in quiet times", () => {
  test("each slot runs once, in order, when it is due; the first is the one that was running at the start", async () => {
    const process = open().start(orders);
    await pass("3m");
    expect(starts()).toEqual(["09:00", "09:01", "09:02"]);
    for (const { startMs, atMs } of runs)
      expect(atMs).toBe(dueMs(orders, { sampler: "orders", startMs, stepMs: minuteMs }));
    expect(await ledger()).toEqual(["09:00 done", "09:01 done", "09:02 done", "09:03 due"]);
    expect(process.measure("slots_run_total", { sampler: "orders", state: "done" })).toBe(3);
    expect(process.measure("slot_lateness_seconds_max", { sampler: "orders" })).toBe(0);
    expect(process.measure("slot_starts_total", { sampler: "orders" })).toBe(3);
  });

  test("what a slot gave is written down", async () => {
    open({ execute: async () => ({ rows: 7, points: 5, dataState: "zero", cost: null }) }).start(orders);
    await pass("1m");
    const slot = await state.slots.get("orders", Date.parse("2026-11-20T09:00:00Z"));
    expect(slot).toMatchObject({ state: "done", rows: 7, points: 5, dataState: "zero", attempts: 1, catchUp: false });
  });

  test("a cron sampler in a zone runs its window", async () => {
    open().start(sampler("daily", cron("0 10 * * *", "Europe/London")));
    await pass("2h");
    expect(starts()).toEqual(["09:00"]);
  });

  test("two processes on one ledger run each slot once", async () => {
    open({ owner: "one" }).start(orders, sampler("refunds", every(minuteMs)));
    open({ owner: "two" }).start(orders, sampler("refunds", every(minuteMs)));
    await pass("10m");
    expect(runs.map((run) => `${run.sampler} ${run.startMs}`).toSorted()).toEqual(
      [...new Set(runs.map((run) => `${run.sampler} ${run.startMs}`))].toSorted(),
    );
    expect(runs).toHaveLength(20);
  });
});

describe("after a stop", () => {
  test("missed slots are caught up in order, for the record; the latest that ended is live", async () => {
    const first = open().start(orders);
    await pass("2m");
    await first.stop();
    clock.jump("4m");
    runs.length = 0;
    const second = open({ owner: "two" }).start(orders);
    await pass("1m");
    expect(starts()).toEqual(["09:02", "09:03", "09:04", "09:05", "09:06"]);
    expect((await ledger()).slice(0, 7)).toEqual([
      "09:00 done",
      "09:01 done",
      // Planned before the stop, to be told of; too old for that by now.
      "09:02 caught-up",
      "09:03 caught-up",
      "09:04 caught-up",
      "09:05 done",
      "09:06 done",
    ]);
    expect(second.measure("slots_planned_catch_up_total")).toBe(2);
  });

  test("after a short one, what was planned before it is still told of", async () => {
    const first = open().start(orders);
    await pass("2m");
    await first.stop();
    clock.jump("1m");
    open({ owner: "two" }).start(orders);
    await pass("1m");
    expect((await ledger()).slice(2, 4)).toEqual(["09:02 done", "09:03 done"]);
  });

  test("what was planned before it is run when it is due, not when somebody next looks", async () => {
    const quick = sampler("quick", every(10_000, 1_000));
    const before = open().start(quick);
    await pass("1s");
    await before.stop();
    open().start(quick);
    await pass("40s");
    expect(runs.length).toBe(3);
    for (const { startMs, atMs } of runs)
      expect(atMs).toBe(dueMs(quick, { sampler: "quick", startMs, stepMs: 10_000 }));
  });

  test("what is beyond the bounds is said and counted", async () => {
    const first = open().start(orders);
    await pass("1m");
    await first.stop();
    clock.jump("30m");
    runs.length = 0;
    const second = open({}, { ageMsMax: 600_000, slotsMax: 5 }).start(orders);
    await pass("10s");
    expect(starts()).toEqual(["09:01", "09:26", "09:27", "09:28", "09:29", "09:30"]);
    expect(second.measure("slots_skipped_total", { sampler: "orders" })).toBe(24);
    expect(second.log.lines).toEqual(["warn: orders: 24 slots left out, older than 10m or beyond 5 slots"]);
  });

  test("a slot that a stop interrupted goes back, and is run by the next process", async () => {
    const first = open({ execute: (_, __, signal) => rejectedBy(signal) }).start(orders);
    await pass("1m");
    expect(first.queue.depth().running).toBe(1);
    await first.stop();
    expect((await ledger())[0]).toBe("09:00 due");
    open({ owner: "two" }).start(orders);
    await pass("1s");
    expect(runs.map(({ by, startMs }) => [by, iso([startMs])[0]])).toEqual([
      ["one", "2026-11-20T09:00:00Z"],
      ["two", "2026-11-20T09:00:00Z"],
    ]);
    expect((await ledger())[0]).toBe("09:00 done");
  });

  test("a slot whose worker died is run again once its lease has run out", async () => {
    const startMs = Date.parse("2026-11-20T09:00:00Z");
    const slot = { sampler: "orders", startMs, stepMs: minuteMs, dueMs: clock.nowMs(), catchUp: false };
    await state.slots.add([slot]);
    await state.slots.lease(slot, "dead", clock.nowMs(), clock.nowMs() + 60_000);
    open().start(orders);
    await pass("59s");
    expect(runs).toEqual([]);
    await pass("16s");
    expect(starts()[0]).toBe("09:00");
    expect(await state.slots.get("orders", startMs)).toMatchObject({ state: "done", attempts: 2 });
  });
});

describe("when the clock is wrong", () => {
  test("back by an hour: nothing runs twice; on again: nothing is missing", async () => {
    const wrong = new SetClock(clock);
    const process = open({ clock: wrong }).start(orders);
    await pass("2m");
    wrong.awayMs = -3_600_000;
    await pass("5m");
    wrong.awayMs = 0;
    await pass("2m");
    expect(new Set(starts()).size).toBe(runs.length);
    expect(starts()).toEqual(["09:00", "09:01", "09:02", "09:03", "09:04", "09:05", "09:06", "09:07", "09:08"]);
    expect(process.measure("scheduler_clock_jumps_total")).toBeGreaterThanOrEqual(1);
    expect(process.log.lines[0]).toMatch(/^warn: the clock went back by (1h|59m|60m)/);
  });

  test("a start on a ledger that is ahead of the clock says until when nothing runs", async () => {
    const first = open().start(orders, sampler("daily", cron("0 10 * * *", "UTC")));
    await pass("2m");
    await first.stop();
    const awayMs = -7_200_000;
    const early = new SetClock(clock);
    early.awayMs = awayMs;
    const second = open({ clock: early }).start(orders, sampler("daily", cron("0 10 * * *", "UTC")));
    await pass("1m");
    expect(second.log.lines).toEqual([
      "warn: orders: the ledger knows slots up to 2026-11-20T09:03:00Z, ahead of the clock; no other runs before that",
    ]);
  });

  test("forward by an hour, as after a suspended machine: the hour is caught up", async () => {
    const wrong = new SetClock(clock);
    open({ clock: wrong }).start(orders);
    await pass("1m");
    wrong.awayMs = 3_600_000;
    await pass("1m");
    expect(new Set(starts()).size).toBe(runs.length);
    expect(runs).toHaveLength(62);
    const counts = await state.slots.counts();
    expect(counts["caught-up"]).toBeGreaterThanOrEqual(57);
  });
});

describe("a slow sampler", () => {
  test("delays none of the others: one hangs, twenty go on", async () => {
    const quick = Array.from({ length: 20 }, (_, index) => sampler(`quick-${index}`, every(minuteMs)));
    const execute: Execute = (each, _, signal) => (each.name === "slow" ? rejectedBy(signal) : Promise.resolve(done));
    const process = open({ execute }).start(sampler("slow", every(minuteMs)), ...quick);
    await pass("10m");
    expect(runs.filter((run) => run.sampler === "slow")).toHaveLength(1);
    for (const { name } of quick) {
      const own = runs.filter((run) => run.sampler === name);
      expect(own).toHaveLength(10);
      expect(process.measure("slot_lateness_seconds_max", { sampler: name })).toBe(0);
    }
    expect(process.measure("slots_running")).toBe(1);
  });

  test("runs one slot at a time, in order, and catches up as it can", async () => {
    let running = 0;
    const execute: Execute = async (_, __, signal) => {
      running += 1;
      expect(running).toBe(1);
      await clock.sleep(90_000, signal);
      running -= 1;
      return done;
    };
    const process = open({ execute }).start(orders);
    await pass("10m");
    expect(starts()).toEqual(["09:00", "09:01", "09:02", "09:03", "09:04", "09:05", "09:06"]);
    expect(process.measure("slot_lateness_seconds_max", { sampler: "orders" })).toBeGreaterThan(100);
  });

  test("its lease is kept while it runs, however long that is", async () => {
    const execute: Execute = (_, __, signal) => clock.sleep(600_000, signal).then(() => done);
    open({ owner: "one", execute }).start(orders);
    open({ owner: "two", execute }).start(orders);
    await pass("11m");
    expect(starts()).toEqual(["09:00", "09:01"]);
  });

  test("a backlog does not hold up others either: samplers take turns", async () => {
    const slots = Array.from({ length: 300 }, (_, index) => {
      const startMs = clock.nowMs() - (301 - index) * minuteMs;
      return { sampler: "orders", startMs, stepMs: minuteMs, dueMs: startMs + minuteMs, catchUp: true };
    });
    await state.slots.add(slots);
    await state.slots.add([{ ...slots[299]!, sampler: "refunds" }]);
    open({ concurrency: 1 }).start(orders, sampler("refunds", every(minuteMs)));
    await pass("1s");
    await expect.poll(() => runs.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(301);
    expect(runs.findIndex((run) => run.sampler === "refunds")).toBeLessThan(3);
  });
});

describe("a slot that fails", () => {
  const failing = (times: number, problem: () => unknown): Execute => {
    let failures = 0;
    return async () => {
      failures += 1;
      if (failures <= times) throw problem();
      return done;
    };
  };
  const busy = () => new Problem("the database is busy", { where: "connection shop", retryable: true });
  const first = (): Promise<SlotRecord | null> => state.slots.get("orders", Date.parse("2026-11-20T09:00:00Z"));

  test("for a reason that may pass is tried again, later each time, and before the next slot", async () => {
    open({ execute: failing(2, busy) }).start(orders);
    await pass("2m");
    expect(starts().slice(0, 4)).toEqual(["09:00", "09:00", "09:00", "09:01"]);
    const waits = [runs[1]!.atMs - runs[0]!.atMs, runs[2]!.atMs - runs[1]!.atMs];
    expect(waits).toEqual([5_000, 10_000]);
    expect(await first()).toMatchObject({ state: "done", attempts: 3 });
  });

  test("three times is given up, with the reason, and the next slot has its own chance", async () => {
    const process = open({ execute: failing(3, busy) }).start(orders);
    await pass("90s");
    expect(await first()).toMatchObject({
      state: "failed",
      attempts: 3,
      dataState: "source-down",
      error: "connection shop - the database is busy (given up: tried 3 times)",
    });
    expect(process.measure("slots_run_total", { state: "failed" })).toBe(1);
    expect(process.measure("slots_run_total", { state: "due" })).toBe(2);
    await pass("30s");
    expect((await ledger())[1]).toBe("09:01 done");
  });

  test("for want of an answer is run again, for the record, once its source answers", async () => {
    const process = open({ execute: failing(3, busy) }).start(orders);
    await pass("2m");
    expect(await first()).toMatchObject({ state: "caught-up", attempts: 1, catchUp: true, error: null });
    expect(process.measure("slots_run_total", { state: "caught-up" })).toBe(1);
  });

  test("again when it is run for the record has failed for good", async () => {
    const never: Execute = async (_, slot) => {
      if (slot.startMs === Date.parse("2026-11-20T09:00:00Z")) throw busy();
      return done;
    };
    open({ execute: never }).start(orders);
    await pass("10m");
    expect(await first()).toMatchObject({ state: "failed", catchUp: true });
    expect(runs.filter(({ startMs }) => startMs === Date.parse("2026-11-20T09:00:00Z"))).toHaveLength(6);
    expect((await ledger()).slice(1, 10).every((line) => line.endsWith("done"))).toBe(true);
  });

  test("because it was held back is late, and run again in lots, with live slots in between", async () => {
    const until = Date.parse("2026-11-20T09:45:00Z");
    const heldBack = () => new Problem("slowed down", { code: "SRC-001", retryable: true, retryAfterMs: 600_000 });
    const execute: Execute = async (_, slot) => {
      if (!slot.catchUp && slot.startMs < until) throw heldBack();
      return done;
    };
    open({ execute }).start(orders);
    await pass("45m30s");
    expect(await first()).toMatchObject({ state: "failed", attempts: 1, dataState: "late" });
    await pass("3m");
    const again = runs.filter(({ startMs }) => startMs < until).slice(45);
    expect(again).toHaveLength(45);
    const lots = Map.groupBy(again, ({ atMs }) => atMs);
    expect([...lots.values()].map(({ length }) => length)).toEqual([30, 15]);
    expect((await ledger()).slice(0, 45).every((line) => line.endsWith("caught-up"))).toBe(true);
  });

  test("what is run for the record and is held back is not tried again and again", async () => {
    const execute: Execute = async (_, slot) => {
      if (slot.startMs > Date.parse("2026-11-20T09:00:00Z")) return done;
      throw new Problem("slowed down", { code: "SRC-001", retryable: true });
    };
    open({ execute }).start(orders);
    await pass("5m");
    expect(await first()).toMatchObject({ state: "failed", catchUp: true, dataState: "late" });
    expect(runs.filter(({ startMs }) => startMs === Date.parse("2026-11-20T09:00:00Z"))).toHaveLength(4);
  });

  test("although its source answers, for what it asks, stays failed", async () => {
    const fix = "name a table that shop.db has";
    open({ execute: failing(1, () => new Problem('unknown table "x"', { code: "SQL-013", fix })) }).start(orders);
    await pass("5m");
    expect(await first()).toMatchObject({ state: "failed", attempts: 1 });
  });

  test("for a reason that stays is failed at once", async () => {
    const fix = "name a table that shop.db has";
    open({ execute: failing(1, () => new Problem('unknown table "x"', { code: "SQL-013", fix })) }).start(orders);
    await pass("1m");
    expect(await first()).toMatchObject({
      state: "failed",
      attempts: 1,
      error: `SQL-013 - unknown table "x". Fix: ${fix}.`,
    });
  });

  test("by a defect is failed, and the stack goes to the log, not to the ledger", async () => {
    const process = open({ execute: failing(1, () => new TypeError("x is not\na function")) }).start(orders);
    await pass("1m");
    expect(await first()).toMatchObject({ state: "failed", error: "defect: x is not a function" });
    expect(process.log.lines).toEqual(["error: a slot failed: defect: x is not a function"]);
  });
});

describe("when definitions change while running", () => {
  test("a new sampler begins at once; one that goes leaves its due slot failed, with the reason", async () => {
    const process = open().start(orders);
    await pass("1m");
    process.define(sampler("refunds", every(minuteMs)));
    await pass("2m");
    expect(runs.filter((run) => run.sampler === "refunds").length).toBe(2);
    const [last] = await state.slots.list({ sampler: "orders", limit: 1 });
    expect(last).toMatchObject({ state: "failed", error: "sampler orders is no longer defined" });
  });

  test("one that stays keeps its place", async () => {
    const process = open().start(orders);
    for (let minute = 0; minute < 5; minute += 1) {
      await pass("1m");
      process.define({ ...orders, title: `Orders ${minute}` });
    }
    expect(starts()).toEqual(["09:00", "09:01", "09:02", "09:03", "09:04"]);
  });
});

describe("when something else fails", () => {
  test("a queue that forgets its jobs is told again", async () => {
    const process = open();
    process.define(orders);
    let forgotten = 0;
    const forgetful: Queue = {
      add: async (job, options) => {
        forgotten += 1;
        if (forgotten > 2) await process.queue.add(job, options);
      },
      work: (...args) => process.queue.work(...args),
      serve: () => {},
      depth: () => process.queue.depth(),
      [Symbol.asyncDispose]: async () => {},
    };
    const stop = new AbortController();
    const catchUp = { ageMsMax: 86_400_000, slotsMax: 1_500 };
    const scheduler = new Scheduler({
      clock,
      slots: state.slots,
      queue: forgetful,
      log: new NotedLog(),
      catchUp,
      shareOf: () => 0,
    });
    scheduler.setSamplers(byName(orders));
    process.worker.start();
    const running = scheduler.run(stop.signal);
    await pass("90s");
    expect(starts()[0]).toBe("09:00");
    stop.abort();
    await running;
  });

  test("a ledger that fails is logged, and asked again", async () => {
    let asked = 0;
    const slots = new Proxy(state.slots, {
      get(target, name) {
        if (name === "latestMs" && ++asked === 1) return () => Promise.reject(new Error("database is locked"));
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const process = open({ slots }).start(orders);
    await pass("2m");
    expect(process.log.lines).toEqual(["error: cannot plan orders: database is locked"]);
    expect(starts()[0]).toBe("09:00");
    expect(process.measure("scheduler_faults_total")).toBe(1);
  });

  describe("a ledger that does not answer", () => {
    const many = byName(...Array.from({ length: 100 }, (_, index) => sampler(`s${index}`, every(minuteMs))));
    const away = () => new Problem("the database cannot be reached", { retryable: true });

    function schedule(latestMs: (sampler: string) => Promise<number | null>) {
      const added: string[] = [];
      const slots = {
        add: async (fresh: readonly { readonly sampler: string }[]) => {
          added.push(...fresh.map((slot) => slot.sampler));
          return fresh.length;
        },
        latestMs,
        ready: async () => [],
        forTheRecord: async () => {},
      };
      const log = new NotedLog();
      const catchUp = { ageMsMax: 86_400_000, slotsMax: 1_500 };
      const queue = new MemoryQueue({ clock, log });
      const scheduler = new Scheduler({ clock, slots, queue, log, catchUp, shareOf: () => 0 });
      scheduler.setSamplers(many);
      const stop = new AbortController();
      return { added, stop, running: scheduler.run(stop.signal) };
    }

    test("is asked once a look, not once a sampler; and about all of them once it does", async () => {
      let asked = 0;
      let isAway = true;
      const { added, stop, running } = schedule(async () => {
        asked += 1;
        if (isAway) throw away();
        return null;
      });
      await pass("4s");
      expect(asked).toBe(1);
      await pass("5s");
      expect(asked).toBe(2);
      isAway = false;
      await pass("5s");
      expect(new Set(added)).toEqual(new Set(many.keys()));
      stop.abort();
      await running;
    });

    test("for some samplers only, holds up none of the others", async () => {
      const { added, stop, running } = schedule(async (name) => {
        if (name === "s0" || name === "s1") throw away();
        return null;
      });
      await pass("11s");
      expect(new Set(added).size).toBe(98);
      stop.abort();
      await running;
    });

    test("does not keep a stop waiting longer than for the answer that is under way", async () => {
      let asked = 0;
      const answer = Promise.withResolvers<null>();
      const { added, stop, running } = schedule(() => {
        asked += 1;
        return answer.promise;
      });
      await settle();
      stop.abort();
      answer.resolve(null);
      await running;
      expect([asked, new Set(added)]).toEqual([1, new Set(["s0"])]);
    });
  });

  test("a lease that another worker took over ends the run, and its outcome is not written", async () => {
    let aborted: unknown;
    const execute: Execute = (_, __, signal) =>
      rejectedBy(signal).catch((reason: unknown) => {
        aborted = reason;
        throw reason;
      });
    const process = open({ execute }).start(orders);
    await pass("40s");
    const [slot] = await state.slots.list({ sampler: "orders", state: "leased", limit: 1 });
    await state.slots.finish(slot!, "one", { state: "due", dueMs: 0 }, clock.nowMs());
    expect(await state.slots.lease(slot!, "two", clock.nowMs(), clock.nowMs() + 600_000)).not.toBeNull();
    await pass("21s");
    expect(aborted).toMatchObject({ message: "the lease was lost" });
    expect(await state.slots.get("orders", slot!.startMs)).toMatchObject({ state: "leased", leaseOwner: "two" });
    expect(process.measure("slots_run_total", { state: "lost" })).toBe(1);
    expect(process.log.lines).toContain("warn: a lease was lost: another worker has the slot");
  });
});

/** Work that ends only when it is told to. */
function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
