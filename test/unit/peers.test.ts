import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import type { Condition } from "../../src/core/model.ts";
import { lossesOf, Peers, type PeersDeps, type Role } from "../../src/peers.ts";
import type { State } from "../../src/state/database.ts";
import type { ProcessRecord } from "../../src/state/processes.ts";
import { SimulatedClock } from "../support/clock.ts";
import { definitions, group, route } from "./alert/builders.ts";
import { memoryState, NotedLog, settle } from "./schedule/support.ts";

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

  test("one that ended in order is not missed, though its row is kept for what it owes", () => {
    expect(told([process("w1", "worker", 90, { left: true }), process("w2", "worker", 0)])).toEqual([]);
  });

  test("the words stay the same while it lasts", () => {
    const known = [process("s", "scheduler", 31)];
    const reasons = (laterMs: number) => lossesOf(known, 30_000, nowMs + laterMs).map(({ reason }) => reason);
    expect(reasons(60_000)).toEqual(reasons(0));
    expect(reasons(0)[1]).toMatch(/^s \(scheduler on h\) has not been heard of since 2026-11-20T08:59:29Z\./);
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

  type Own = { conditions?: Condition[]; lagsMs?: Record<string, number>; soundCopies?: string[] };
  let owners = 0;
  const log = new NotedLog();

  function peer(name: string, roles: Role[], own: Own = {}, changes: Partial<PeersDeps> = {}) {
    owners += 1;
    return new Peers({
      clock,
      timer: clock,
      log,
      processes: state.processes,
      leases: state.leases,
      name,
      owner: `owner-${owners}`,
      roles: new Set(roles),
      version: "1",
      several: true,
      own: () => ({ conditions: [], lagsMs: {}, soundCopies: [], ...own }),
      collection: async () => [],
      goneMs: () => 30_000,
      tell: async () => {},
      tick: async () => {},
      ...changes,
    });
  }

  /** Runs them for so long; who is stopped then is as dead as one that was killed. */
  async function runFor(duration: string, ...peers: Peers[]): Promise<void> {
    const stop = new AbortController();
    const running = Promise.all(peers.map((each) => each.run(stop.signal)));
    await clock.advance(duration, settle);
    stop.abort();
    await running;
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
    // What it owes lies in its spool, dead or alive, until it has been forgotten for good.
    for (const [pause, isBehind] of [
      ["13s", true],
      ["23h", true],
      ["1h", false],
    ] as const) {
      await clock.advance(pause);
      await one.announce();
      expect([pause, one.isBehind("a"), one.isBehind("b")]).toEqual([pause, isBehind, false]);
    }
  });

  test("a copy that another living process has compared is sound; one's own word, and that of the dead, does not count", async () => {
    const one = peer("one", ["worker"], { soundCopies: ["b"] });
    const two = peer("two", ["worker"], { soundCopies: ["a"] });
    await one.announce();
    await two.announce();
    await one.announce();
    expect([one.isSound("a"), one.isSound("b")]).toEqual([true, false]);
    await clock.advance("13s");
    await one.announce();
    expect(one.isSound("a")).toBe(false);
    await two.announce();
    await two.leave();
    await one.announce();
    expect(one.isSound("a")).toBe(false);
  });

  test("one that is back, and owes nothing more, holds no copy back; one that leaves and owes does", async () => {
    const one = peer("one", ["worker"]);
    await one.announce();
    await peer("two", ["worker"], { lagsMs: { a: 60_000 } }).announce();
    await clock.advance("13s");
    await peer("two", ["worker"]).announce();
    await one.announce();
    expect(one.isBehind("a")).toBe(false);
    const three = peer("three", ["worker"], { lagsMs: { a: 60_000 } });
    await three.announce();
    await three.leave();
    await one.announce();
    expect(one.isBehind("a")).toBe(true);
    expect(one.list().map(({ id }) => id)).toEqual(["one", "two"]);
  });

  describe("names", () => {
    async function announced(starting: Peers, beating?: Peers): Promise<unknown> {
      const stop = new AbortController();
      const beats = beating?.run(stop.signal);
      let outcome: unknown = "waits";
      const start = starting.announce().then(
        () => (outcome = "lives"),
        (thrown: unknown) => (outcome = thrown),
      );
      await clock.advance("5s", settle);
      await start;
      stop.abort();
      await beats;
      return outcome;
    }

    test("a second process of the name of one that lives is refused, and leaves the other's row alone", async () => {
      const first = peer("one", ["worker"]);
      await first.announce();
      const second = peer("one", ["worker"]);
      expect(await announced(second, first)).toMatchObject({
        code: "STR-004",
        where: "BELLWETHER_NAME",
        retryable: false,
        message: expect.stringMatching(
          /^a process called one lives already \(\d+ on .+, since 2026-11-20T09:00:00Z\)$/,
        ),
      });
      await second.leave();
      expect(await state.processes.list(0)).toHaveLength(1);
    });

    test("one that was killed a moment ago is replaced within five seconds, one that is long gone at once", async () => {
      await peer("one", ["worker"]).announce();
      await clock.advance("1s");
      expect(await announced(peer("one", ["worker"]))).toBe("lives");
      await clock.advance("13s");
      const atMs = clock.nowMs();
      await peer("one", ["worker"]).announce();
      expect(clock.nowMs()).toBe(atMs);
    });

    test("two that start at the same moment say so", async () => {
      const both = [peer("same", ["worker"]), peer("same", ["worker"])];
      await Promise.all(both.map((each) => each.announce()));
      await runFor("9s", ...both);
      expect(log.lines.filter((line) => line.includes("STR-004"))).not.toEqual([]);
    });
  });

  describe("telling", () => {
    const full: Condition = { kind: "spool-full", subject: "spool", severity: "critical", reason: "full", sinceMs: 0 };
    const away: Condition = { kind: "replica-down", subject: "b", severity: "critical", reason: "away", sinceMs: 0 };
    let told: { readonly words: readonly string[]; readonly complete: boolean }[];
    const tell: PeersDeps["tell"] = async (conditions, complete) => {
      told.push({ words: conditions.map(({ kind, subject }) => `${kind} ${subject}`), complete });
    };
    beforeEach(() => {
      told = [];
    });

    test("a dead scheduler: ana is written to without any scheduler, and once more when it is back", async () => {
      const known = definitions({ route: route({ groupWaitMs: 10_000 }), groups: [group("shop-team", ["ana"])] });
      const alerting = new Alerting({ clock, state, definitions: () => known, log });
      const heard = async () =>
        (await state.outbox.list({ limit: 9 })).map(({ kind, recipient }) => `${kind} to ${recipient}`).toReversed();
      const scheduler = peer("s", ["scheduler"]);
      await scheduler.announce();
      const worker = peer(
        "w",
        ["worker"],
        {},
        { tell: (...given) => alerting.tellConditions(...given), tick: () => alerting.tick() },
      );
      await worker.announce();
      await runFor("63s", worker, scheduler);
      expect(await heard()).toEqual([]);
      const alone = new AbortController();
      const working = worker.run(alone.signal);
      await clock.advance("3m", settle);
      expect(await heard()).toEqual(["opened to ana@shop.example"]);
      const versions = (await state.alerts.standing()).map(({ version }) => version);
      await clock.advance("1m", settle);
      expect((await state.alerts.standing()).map(({ version }) => version)).toEqual(versions);
      const back = peer("s", ["scheduler"]);
      await back.announce();
      const beating = back.run(alone.signal);
      await clock.advance("1m", settle);
      expect(await heard()).toEqual(["opened to ana@shop.example", "resolved to ana@shop.example"]);
      alone.abort();
      await Promise.all([working, beating]);
    });

    test("only without a scheduler does it do what time does", async () => {
      let ticks = 0;
      const tick = async () => {
        ticks += 1;
      };
      const [worker, scheduler] = [peer("w", ["worker"], {}, { tick }), peer("s", ["scheduler"])];
      await worker.announce();
      await scheduler.announce();
      await runFor("75s", worker, scheduler);
      expect(ticks).toBe(0);
      await runFor("90s", worker);
      expect(ticks).toBeGreaterThan(0);
    });

    test("what a dead process saw is told on: of its spool, and of copies until others have looked", async () => {
      await peer("w2", ["worker"], { conditions: [full, away] }).announce();
      const worker = peer("w1", ["worker"], {}, { tell });
      await worker.announce();
      await runFor("61s", worker);
      expect(told[0]?.words.slice(0, 2)).toEqual(["spool-full spool of w2", "replica-down b"]);
      await runFor("90s", worker);
      expect(told.at(-1)?.words).toEqual(["spool-full spool of w2", "process-gone w2"]);
    });

    test("a restart takes nothing back before it has looked, and then does", async () => {
      const worker = peer("w1", ["worker"], {}, { tell });
      await worker.announce();
      await runFor("57s", worker);
      await peer("w2", ["worker"], { conditions: [full] }).announce();
      await clock.advance("13s");
      const again = peer("w2", ["worker"]);
      await again.announce();
      const stop = new AbortController();
      const running = Promise.all([worker.run(stop.signal), again.run(stop.signal)]);
      await clock.advance("59s", settle);
      await clock.advance("7s", settle);
      const words = told.map((each) => each.words.join());
      expect(words[0]).toBe("spool-full spool of w2");
      expect(words.at(-1)).toBe("");
      stop.abort();
      await running;
    });

    test("a slow telling holds up no beat", async () => {
      const worker = peer("w1", ["worker"], {}, { tell: () => clock.sleep(40_000, new AbortController().signal) });
      await worker.announce();
      const stop = new AbortController();
      const running = worker.run(stop.signal);
      await clock.advance("90s", settle);
      expect(clock.nowMs() - ((await state.processes.list(0))[0]?.seenMs ?? 0)).toBeLessThanOrEqual(3_000);
      stop.abort();
      await clock.advance("40s", settle);
      await running;
    });

    test("if the ledger does not answer the rest is told, what it said before stands, and it is not asked each time", async () => {
      let asked = 0;
      let answers = false;
      const late: Condition = { ...away, kind: "sampler-late", subject: "orders" };
      const collection = async () => {
        asked += 1;
        if (!answers) throw new Error("too slow");
        return [late];
      };
      const worker = peer("w1", ["worker"], { conditions: [away] }, { tell, collection });
      await worker.announce();
      const stop = new AbortController();
      const running = worker.run(stop.signal);
      await clock.advance("74s", settle);
      expect(asked).toBe(1);
      expect(told.at(-1)).toEqual({ words: ["replica-down b"], complete: false });
      answers = true;
      await clock.advance("15s", settle);
      answers = false;
      await clock.advance("30s", settle);
      expect(told.at(-1)).toEqual({ words: ["replica-down b", "sampler-late orders"], complete: true });
      expect(asked).toBeLessThanOrEqual(4);
      stop.abort();
      await running;
    });

    test("after an outage of SQL nobody is missed before each had time to be heard, and nothing is over", async () => {
      let isAway = false;
      const beat: typeof state.processes.beat = (row) => {
        return isAway ? Promise.reject(new Error("no connection")) : state.processes.beat(row);
      };
      const processes = {
        beat,
        list: state.processes.list.bind(state.processes),
        expire: state.processes.expire.bind(state.processes),
        end: state.processes.end.bind(state.processes),
      };
      const worker = peer("w1", ["worker"], {}, { tell, processes });
      await worker.announce();
      await peer("s", ["scheduler"]).announce();
      const stop = new AbortController();
      const running = worker.run(stop.signal);
      isAway = true;
      await clock.advance("5m", settle);
      told = [];
      isAway = false;
      await clock.advance("30s", settle);
      expect(told.length).toBeGreaterThan(5);
      expect(told.every(({ words, complete }) => words.length === 0 && !complete)).toBe(true);
      await clock.advance("9s", settle);
      expect(told.at(-1)).toEqual({ words: ["scheduler-gone scheduler", "process-gone s"], complete: true });
      stop.abort();
      await running;
    });
  });
});
