import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { shareCount } from "../../../src/core/ports.ts";
import { shareOf } from "../../../src/schedule/share.ts";
import { dealShares, ShareKeeper } from "../../../src/schedule/shares.ts";
import type { State } from "../../../src/state/database.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { memoryState, NotedLog, settle } from "./support.ts";

/** The second four bytes of sha256 by another tool, modulo 32: no build may ever deal differently. */
test("a share is the same in every process and build", () => {
  expect(["shop-orders", "shop-payments", "Größe", ""].map(shareOf)).toEqual([18, 2, 6, 20]);
});

describe("dealing", () => {
  test("however many workers there are, nobody holds more than an even part, and all shares find somebody", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 2 ** 30 }), (workers, seed) => {
        const held = Array.from({ length: workers }, () => new Set<number>());
        for (let share = 0; share < shareCount; share += 1) held[(seed >> (share % 20)) % workers]?.add(share);
        for (let round = 0; round < 3; round += 1) {
          for (const [index, own] of held.entries()) {
            const others = new Set(held.flatMap((other) => (other === own ? [] : [...other])));
            const { take, leave } = dealShares(own, others, workers, `worker-${index}`);
            for (const share of take) {
              expect(others.has(share)).toBe(false);
              own.add(share);
            }
            for (const share of leave) own.delete(share);
          }
        }
        expect(held.reduce((sum, { size }) => sum + size, 0)).toBe(shareCount);
        expect(Math.max(...held.map(({ size }) => size))).toBeLessThanOrEqual(Math.ceil(shareCount / workers));
      }),
    );
  });
});

describe("leases", () => {
  let clock: SimulatedClock;
  let state: State;
  let alive: string[];
  beforeEach(async () => {
    clock = new SimulatedClock("2026-11-20T09:00:00Z");
    state = await memoryState(clock);
    alive = [];
  });
  afterEach(() => state[Symbol.asyncDispose]());

  function worker(
    owner: string,
    busy: () => ReadonlySet<number> = () => new Set(),
    arrived: () => Promise<boolean> = async () => true,
  ) {
    const changes: { gained: readonly number[]; lost: readonly number[] }[] = [];
    const keeper = new ShareKeeper({
      clock,
      leases: state.leases,
      owner,
      workers: async () => alive.length,
      log: new NotedLog(),
      onChange: (gained, lost) => void changes.push({ gained, lost }),
      busy,
      arrived,
    });
    const stop = new AbortController();
    alive.push(owner);
    const running = keeper.run(stop.signal);
    const die = async () => {
      alive = alive.filter((other) => other !== owner);
      stop.abort();
      await running;
    };
    return { keeper, changes, die, size: () => keeper.held().size };
  }
  const pass = (duration: string) => clock.advance(duration, settle);

  test("one worker has them all; a second one gets half within seconds, and no share has two", async () => {
    const one = worker("one");
    await pass("1s");
    expect(one.size()).toBe(shareCount);
    const two = worker("two");
    await pass("6s");
    expect([one.size(), two.size()]).toEqual([shareCount / 2, shareCount / 2]);
    expect([...one.keeper.held()].some((share) => two.keeper.holds(share))).toBe(false);
    await Promise.all([one.die(), two.die()]);
  });

  test("a dead worker's shares are with the others within 15 s; one that ends in order gives them at once", async () => {
    const one = worker("one");
    const two = worker("two");
    await pass("6s");
    await one.die();
    await pass("9s");
    expect(two.size()).toBeLessThan(shareCount);
    await pass("6s");
    expect(two.size()).toBe(shareCount);
    const three = worker("three");
    await pass("6s");
    await two.die();
    await two.keeper.release(1_000);
    await pass("2s");
    expect(three.size()).toBe(shareCount);
    await three.die();
  });

  test("a share is not given away while one of its slots runs", async () => {
    let busy = new Set(Array.from({ length: shareCount }, (_, share) => share));
    const one = worker("one", () => busy);
    await pass("1s");
    const two = worker("two");
    await pass("20s");
    expect([one.size(), two.size()]).toEqual([shareCount / 2, 0]);
    busy = new Set();
    await pass("6s");
    expect(two.size()).toBe(shareCount / 2);
    await Promise.all([one.die(), two.die()]);
  });

  test("a share is not given away before others can read what its slots left, or know that a copy is behind", async () => {
    let arrived = false;
    const one = worker("one", undefined, async () => arrived);
    await pass("1s");
    const two = worker("two");
    await pass("10s");
    expect([one.size(), two.size()]).toEqual([shareCount / 2, 0]);
    arrived = true;
    await pass("6s");
    expect(two.size()).toBe(shareCount / 2);
    arrived = false;
    const three = worker("three");
    await pass("10s");
    expect(one.size() + two.size() + three.size()).toBeLessThan(shareCount);
    await pass("12s");
    expect(one.size() + two.size() + three.size()).toBe(shareCount);
    await Promise.all([one.die(), two.die(), three.die()]);
  });

  test("at its end a worker waits until others can read what it left, and then lets go", async () => {
    const held = async () => {
      const rows = await state.leases.list("share-");
      return rows.filter(({ owner, untilMs }) => owner === "one" && untilMs > clock.nowMs()).length;
    };
    const whileItWaits: number[] = [];
    const one = worker("one", undefined, async () => {
      whileItWaits.push(await held());
      return false;
    });
    await pass("1s");
    await one.die();
    await one.keeper.release(1_000);
    expect(whileItWaits).toEqual([shareCount]);
    expect(await held()).toBe(0);
  });

  test("while the database does not answer, shares are no longer worked on before others may have them", async () => {
    const one = worker("one");
    await pass("1s");
    const { renew, list } = state.leases;
    const away = () => Promise.reject(new Error("away"));
    Object.assign(state.leases, { renew: away, list: away });
    await pass("6s");
    expect(one.size()).toBe(shareCount);
    await pass("4s");
    expect(one.size()).toBe(0);
    expect(one.changes.at(-1)?.lost).toHaveLength(shareCount);
    Object.assign(state.leases, { renew, list });
    await pass("6s");
    expect(one.size()).toBe(shareCount);
    await one.die();
  });

  test("a lease ends by the clock: a process that was paused works on nothing before it has asked", async () => {
    const one = worker("one");
    await pass("1s");
    expect(one.keeper.holds(0)).toBe(true);
    clock.jump("8s");
    expect([one.keeper.holds(0), one.size()]).toEqual([false, 0]);
    await pass("2s");
    expect([one.keeper.holds(0), one.size()]).toEqual([true, shareCount]);
    expect(one.changes.flatMap(({ lost }) => lost)).toEqual([]);
    await one.die();
  });

  test("a renewal that hangs is given up for another, in time; its late answer changes nothing", async () => {
    const one = worker("one");
    await pass("1s");
    const { renew } = state.leases;
    const late = Promise.withResolvers<string[]>();
    Object.assign(state.leases, { renew: () => late.promise });
    await pass("2s");
    Object.assign(state.leases, { renew });
    // Looked at 2 s, given up and renewed at 6 s; the lease of 0 s ends at 10 s.
    for (let second = 3; second < 12; second += 1) {
      await pass("1s");
      expect(one.size()).toBe(shareCount);
    }
    late.resolve([]);
    await pass("1s");
    expect(one.size()).toBe(shareCount);
    expect(one.changes.flatMap(({ lost }) => lost)).toEqual([]);
    await one.die();
  });

  test("while every renewal hangs, shares are no longer worked on before others may have them", async () => {
    const one = worker("one");
    await pass("1s");
    Object.assign(state.leases, { renew: () => new Promise(() => {}) });
    await pass("6s");
    expect(one.size()).toBe(shareCount);
    await pass("2s");
    expect(one.size()).toBe(0);
    await pass("6s");
    expect(one.changes.map(({ lost }) => lost.length)).toContain(shareCount);
    void one.die();
    await pass("4s");
  });
});
