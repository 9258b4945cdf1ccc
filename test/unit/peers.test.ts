import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Condition } from "../../src/core/model.ts";
import { lossesOf, Peers, type Role } from "../../src/peers.ts";
import type { State } from "../../src/state/database.ts";
import type { ProcessRecord } from "../../src/state/processes.ts";
import { SimulatedClock } from "../support/clock.ts";
import { memoryState, NotedLog } from "./schedule/support.ts";

const nowMs = Date.parse("2026-11-20T09:00:00Z");
const process = (id: string, role: string, secondsAgo: number, detail: object = {}): ProcessRecord => {
  return { id, role, host: "h", pid: 1, version: "1", startedMs: 0, seenMs: nowMs - secondsAgo * 1_000, detail };
};

describe("losses", () => {
  const told = (known: readonly ProcessRecord[]): string[] =>
    lossesOf(known, 30_000, nowMs).map(({ kind, subject, severity }) => `${kind} ${subject} ${severity}`);

  test("nothing is lost while each has been heard of", () => {
    expect(told([process("s", "scheduler", 29), process("w", "worker", 0), process("c", "console", 30)])).toEqual([]);
  });

  test("one of two workers is a warning: the other does its work", () => {
    expect(told([process("w1", "worker", 31), process("w2", "worker", 1)])).toEqual(["process-gone w1 warning"]);
  });

  test("the last scheduler, and the last worker, are critical", () => {
    expect(told([process("s", "scheduler", 31), process("w", "worker", 0)])).toEqual([
      "scheduler-gone scheduler critical",
      "process-gone s warning",
    ]);
    expect(told([process("w1", "worker console", 31), process("w2", "worker", 90)])).toEqual([
      "worker-gone worker critical",
      "process-gone w1 warning",
      "process-gone w2 warning",
    ]);
  });

  test("where nobody ever had a role nobody is missed", () => {
    expect(told([process("c", "console", 0)])).toEqual([]);
  });
});

describe("several processes", () => {
  let clock: SimulatedClock;
  let state: State;
  beforeEach(async () => {
    clock = new SimulatedClock(nowMs);
    state = await memoryState(clock);
  });
  afterEach(() => state[Symbol.asyncDispose]());

  function peer(name: string, roles: Role[], own: { conditions?: Condition[]; lagsMs?: Record<string, number> } = {}) {
    return new Peers({
      clock,
      log: new NotedLog(),
      processes: state.processes,
      leases: state.leases,
      name,
      roles: new Set(roles),
      version: "1",
      several: true,
      own: () => ({ conditions: [], lagsMs: {}, ...own }),
      collection: async () => [],
      goneMs: () => 30_000,
      tell: async () => {},
    });
  }

  test("each knows the others that live, and how many work", async () => {
    const [one, two] = [peer("one", ["worker"]), peer("two", ["scheduler", "worker"])];
    await one.announce();
    await two.announce();
    await one.announce();
    expect(one.list().map(({ id, alive }) => `${id} ${alive}`)).toEqual(["one true", "two true"]);
    expect([one.workers(), two.workers()]).toEqual([2, 2]);
    await clock.advance("13s");
    await one.announce();
    expect(one.list().map(({ id, alive }) => `${id} ${alive}`)).toEqual(["one true", "two false"]);
    expect(one.workers()).toBe(1);
  });

  test("one that ends in order is not missed", async () => {
    const [one, two] = [peer("one", ["worker"]), peer("two", ["worker"])];
    await one.announce();
    await two.announce();
    await two.leave();
    await one.announce();
    expect(one.list().map(({ id }) => id)).toEqual(["one"]);
  });

  test("a copy that another living process cannot write to is behind; one's own trouble is known better elsewhere", async () => {
    const one = peer("one", ["worker"], { lagsMs: { b: 60_000 } });
    const two = peer("two", ["worker"], { lagsMs: { a: 60_000, b: 9_000 } });
    await one.announce();
    await two.announce();
    await one.announce();
    expect([one.isBehind("a"), one.isBehind("b")]).toEqual([true, false]);
    await clock.advance("13s");
    await one.announce();
    expect(one.isBehind("a")).toBe(false);
  });
});
