import { describe, expect, test } from "vitest";
import type { LaneStatus, ReplicaStatus, ReplicasStatus } from "../../../src/core/ports.ts";
import { conditionsOf, setUpFaults } from "../../../src/store/conditions.ts";

const nowMs = Date.UTC(2026, 10, 20, 9, 0);
const second = 1_000;

function lane(changes: Partial<LaneStatus> = {}): LaneStatus {
  const quiet = { state: "idle", reason: null, sinceMs: null, mendedMs: null } as const;
  return { bucket: "", ...quiet, requests: 1, points: 1, failures: 0, requestSeconds: 0, ...changes };
}

function replica(changes: Partial<ReplicaStatus> = {}): ReplicaStatus {
  return {
    name: "b",
    place: "http://influx-b:8086/shop",
    well: true,
    reason: null,
    faults: [],
    facts: null,
    lanes: [lane()],
    accounts: [],
    lagMs: 0,
    dirtyWindows: 0,
    shelf: 0,
    verifyReason: null,
    verifiedFromMs: null,
    repairedMs: null,
    ...changes,
  };
}

function status(replicas: ReplicaStatus[], spool: Partial<ReplicasStatus["spool"]> = {}): ReplicasStatus {
  const empty = { bytes: 0, bytesMax: 100, freeBytes: 1e9, gaps: 0, unsealedWindows: 0, differingWindows: 0 };
  return { spool: { ...empty, undecided: [], repairFault: null, repairFaultSinceMs: null, ...spool }, replicas };
}

function told(given: ReplicasStatus): string[] {
  return conditionsOf(given, nowMs).map(
    ({ kind, subject, severity, reason }) => `${severity} ${kind} ${subject}: ${reason}`,
  );
}

const failing = (sinceMs: number, changes: Partial<LaneStatus> = {}) =>
  replica({ lanes: [lane({ state: "failing", reason: "connect ECONNREFUSED", sinceMs, ...changes })] });

describe("what somebody must be told", () => {
  test("nothing, while all is well", () => {
    expect(told(status([replica({ name: "a" }), replica()]))).toEqual([]);
  });

  test("a server that does not answer, once it has not for half a minute", () => {
    expect(told(status([failing(nowMs - 29 * second)]))).toEqual([]);
    expect(told(status([failing(nowMs - 30 * second)]))).toEqual([
      expect.stringMatching(/^critical replica-down b: b takes no writes \(connect ECONNREFUSED\): .*Nothing is lost/),
    ]);
  });

  test("a full disk: exactly what to restart, and that room alone does not help", () => {
    const stuck = failing(nowMs - 30 * second, { state: "stuck", reason: "no space left on device" });
    expect(told(status([stuck]))).toEqual([
      expect.stringMatching(/^critical replica-stuck b: Make room .*restart influxd b: .*until it is restarted/),
    ]);
  });

  test("a server that somebody must mend, and of which bucket", () => {
    const parked = lane({
      bucket: "bellwether_10m",
      state: "parked",
      reason: "retention policy not found",
      sinceMs: nowMs - 60 * second,
    });
    expect(told(status([replica({ lanes: [lane(), parked] })]))).toEqual([
      expect.stringMatching(
        /^critical replica-parked b: b refuses points of bellwether_10m until somebody mends it \(retention/,
      ),
    ]);
  });

  test("one that is slower than points come", () => {
    expect(told(status([replica({ lagMs: 299 * second })]))).toEqual([]);
    expect(told(status([replica({ lagMs: 300 * second })]))).toEqual([
      expect.stringMatching(/^warning replica-behind b: /),
    ]);
  });

  test("one that catches up after a trouble is not called slow", () => {
    const back = (mendedMs: number) => status([replica({ lagMs: 600 * second, lanes: [lane({ mendedMs })] })]);
    expect(told(back(nowMs - 299 * second))).toEqual([]);
    expect(told(back(nowMs - 300 * second))).toEqual([expect.stringMatching(/^warning replica-behind b: /)]);
  });

  test("copies that are not compared for an hour", () => {
    const unchecked = (sinceMs: number) =>
      status([replica()], { repairFault: "a does not answer", repairFaultSinceMs: sinceMs });
    expect(told(unchecked(nowMs - 3_599 * second))).toEqual([]);
    expect(told(unchecked(nowMs - 3_600 * second))).toEqual([
      expect.stringMatching(/^warning replicas-unchecked spool: .*a does not answer/),
    ]);
  });

  test.each<[string, Partial<ReplicasStatus["spool"]>, RegExp]>([
    ["a spool that fills up", { bytes: 70 }, /^warning spool-full spool: The spool fills up \(70 %\)/],
    ["one that refuses points of low priority", { bytes: 85 }, /^critical spool-full spool: /],
    ["points that had no room", { gaps: 3 }, /^critical points-refused spool: The points of 3 slots are lacking/],
    ["copies that differ for good", { differingWindows: 2 }, /^warning replicas-differ spool: .*compare names them/],
  ])("%s", (_, spool, text) => {
    expect(told(status([replica()], spool))).toEqual([expect.stringMatching(text)]);
  });

  test("a shelf that is not empty, and a set-up that is not as it should be", () => {
    expect(told(status([replica({ shelf: 1, faults: ["field x is an integer there"] })]))).toEqual([
      expect.stringMatching(/^warning shelf-grows b: .*requeue/),
      expect.stringMatching(/^warning replica-set-up b: .*field x is an integer there/),
    ]);
  });

  test("the same trouble is told in the same words, so that nothing is written again and again", () => {
    const given = status([failing(nowMs - 40 * second), replica({ name: "c", lagMs: 400 * second })]);
    const reasons = (atMs: number) => conditionsOf(given, atMs).map(({ reason }) => reason);
    expect(reasons(nowMs + 7 * second)).toEqual(reasons(nowMs));
  });
});

describe("servers that do not go together", () => {
  const facts = {
    version: "1.6.7",
    startedMs: 0,
    clockAheadMs: 0,
    identity: "one",
    databaseExists: true,
    buckets: [{ name: "autogen", keepMs: null, shardMs: 604_800_000 }],
    rights: "all",
    diskBytes: 0,
  } as const;
  const a = replica({ name: "a", facts });

  test("somebody is told, and any two are looked at", () => {
    const other = (name: string) => replica({ name, facts: { ...facts, identity: "two" } });
    expect(told(status([a, other("b"), other("c")]))).toEqual([
      expect.stringMatching(/^critical replicas-set-up replicas: .*b and c are one and the same server/),
    ]);
  });

  test("two addresses of one server are one copy", () => {
    expect(setUpFaults(status([a, replica({ facts })]))).toMatchObject([{ code: "TGT-001", where: "INFLUX_URLS" }]);
    expect(setUpFaults(status([a, replica({ facts: { ...facts, identity: "two" } })]))).toEqual([]);
    expect(setUpFaults(status([a, replica({ facts: { ...facts, identity: null } })]))).toEqual([]);
  });

  test.each([
    ["retention", { keepMs: 2_592_000_000 }, /for ever .* and for 30d/],
    ["shards", { shardMs: 86_400_000 }, /shards of 7d and .*shards of 1d/],
  ])("%s must be the same", (_, changes, text) => {
    const other = { ...facts, identity: "two", buckets: [{ ...facts.buckets[0], ...changes }] };
    expect(setUpFaults(status([a, replica({ facts: other })]))).toMatchObject([
      { code: "TGT-002", message: expect.stringMatching(text) },
    ]);
  });
});
