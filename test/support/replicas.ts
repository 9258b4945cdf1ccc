/**
 * Two copies as they stand on Friday 20 November 2026, 14:30: `a` is well; `b` was restarted at 13:58 and has not
 * answered since 14:21, lacks a bucket, and gave unclear answers meanwhile. Both have refused points. Repairing writes
 * what `b` lacks, and sending once more rids `a` of its shelf.
 */
import type { TimeWindow } from "../../src/core/model.ts";
import type {
  Bucket,
  Clock,
  ComparisonFound,
  LaneStatus,
  PointAccount,
  ReplicaFacts,
  ReplicaStatus,
  ReplicasStatus,
  ShelfEntry,
} from "../../src/core/ports.ts";
import { dayMs, hourMs, minuteMs } from "../../src/core/time.ts";
import type { Facts } from "../../src/show/console/facts.ts";

const windowMs = 5 * minuteMs;
const measurements = 6;
const raw: Bucket = { name: "", keepMs: 30 * dayMs, shardMs: dayMs, everyMs: null };
const tenMinutes: Bucket = { name: "bellwether_10m", keepMs: 400 * dayMs, shardMs: 7 * dayMs, everyMs: 10 * minuteMs };
const hours: Bucket = { name: "bellwether_1h", keepMs: 400 * dayMs, shardMs: 7 * dayMs, everyMs: hourMs };

function at(time: string): number {
  return Date.parse(`2026-11-20T${time}:00Z`);
}

const lackedStarts = [at("14:20"), at("14:15"), at("13:55")];
const undecided = [
  "orders,country=France amount at 2026-11-20T13:56:00Z: a has 513.6, b has 492.2; nothing tells which is right",
  'payments,provider=adyen note at 2026-11-20T13:57:00Z: a has "paid twice by customer Maria Oliveira, told by phone", b has "paid"; nothing tells which is right',
];

export class SeededReplicas implements NonNullable<Facts["replicas"]> {
  readonly #clock: Clock;
  #shelf: readonly ShelfEntry[] = shelved;
  #repairedMs: number | null = at("14:06");
  #lacked = lackedStarts;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  status(): ReplicasStatus {
    return {
      spool: {
        bytes: 312_400_000,
        bytesMax: 4_000_000_000,
        freeBytes: 61_800_000_000,
        gaps: 2,
        unsealedWindows: 41,
        differingWindows: undecided.length,
        undecided,
        repairFault: "b: no answer within 10s",
        repairFaultSinceMs: at("14:20"),
      },
      replicas: [this.#a(), this.#b()],
    };
  }

  async compare(window: TimeWindow): Promise<ComparisonFound> {
    return { ...this.#look(window), repaired: 0, undecided: [] };
  }

  async repair(window: TimeWindow): Promise<ComparisonFound> {
    const found = this.#look(window);
    const repaired = found.differing.length * 137;
    this.#lacked = this.#lacked.filter((startMs) => startMs < window.fromMs || startMs >= window.toMs);
    this.#repairedMs = repaired > 0 ? this.#clock.nowMs() : this.#repairedMs;
    return { ...found, repaired, undecided };
  }

  shelf({ target, limit }: { target?: string | undefined; limit: number }): readonly ShelfEntry[] {
    return this.#of(target).slice(0, limit);
  }

  async requeue(target: string | undefined): Promise<{ taken: number; left: number }> {
    const sent = this.#of(target).filter(({ expired }) => !expired);
    const taken = sent.filter((entry) => entry.target === "a");
    this.#shelf = this.#shelf.filter((entry) => !taken.includes(entry));
    return { taken: taken.length, left: sent.length - taken.length };
  }

  #of(target: string | undefined): readonly ShelfEntry[] {
    return this.#shelf.filter((entry) => target === undefined || entry.target === target);
  }

  #look(window: TimeWindow) {
    const differing = this.#lacked
      .filter((startMs) => startMs >= window.fromMs && startMs < window.toMs)
      .map((startMs) => ({ measurement: "orders", startMs }));
    return { windows: measurements * Math.ceil((window.toMs - window.fromMs) / windowMs), differing };
  }

  #a(): ReplicaStatus {
    const shelf = this.#of("a").length;
    return {
      name: "a",
      place: "http://influx-a:8086/bellwether",
      well: true,
      reason: null,
      faults: [],
      facts: factsOf(Date.parse("2026-11-02T06:11:00Z"), [raw, tenMinutes, hours], 4_812_000_000),
      lanes: [
        laneOf("", { requests: 41_211, points: 19_204_310, requestSeconds: 618 }),
        laneOf("bellwether_10m", { requests: 4_032, points: 1_920_400, requestSeconds: 71 }),
        laneOf("bellwether_1h", { requests: 672, points: 320_060, requestSeconds: 12 }),
      ],
      accounts: [
        accountOf("a", "", { spooled: 19_204_310, shelved: shelf }),
        accountOf("a", "bellwether_10m", { spooled: 1_920_400 }),
        accountOf("a", "bellwether_1h", { spooled: 320_060 }),
      ],
      lagMs: 0,
      dirtyWindows: 0,
      shelf,
      verifyReason: null,
      verifiedFromMs: null,
      repairedMs: at("02:10"),
    };
  }

  #b(): ReplicaStatus {
    const oldestMs = at("14:21");
    return {
      name: "b",
      place: "http://influx-b:8086/bellwether",
      well: false,
      reason: "no answer within 10s",
      faults: ["it has no retention policy bellwether_1h", "its clock is 4s behind ours"],
      facts: { ...factsOf(at("13:58"), [raw, tenMinutes], 4_798_000_000), clockAheadMs: -4_000 },
      lanes: [
        laneOf("", {
          state: "failing",
          reason: "no answer within 10s",
          sinceMs: oldestMs,
          requests: 41_190,
          points: 19_156_100,
          failures: 212,
          requestSeconds: 2_840,
        }),
        laneOf("bellwether_10m", { requests: 4_031, points: 1_920_400, requestSeconds: 74 }),
        laneOf("bellwether_1h", {
          state: "parked",
          reason: "retention policy not found: bellwether_1h",
          sinceMs: at("13:58"),
          requests: 671,
          points: 319_200,
          failures: 64,
          requestSeconds: 12,
        }),
      ],
      accounts: [
        accountOf("b", "", { spooled: 19_204_310, pending: 48_210, shelved: 2, expired: 38, oldestMs }),
        accountOf("b", "bellwether_10m", { spooled: 1_920_400 }),
        accountOf("b", "bellwether_1h", { spooled: 320_060, pending: 860, oldestMs: at("14:00") }),
      ],
      lagMs: this.#clock.nowMs() - oldestMs,
      dirtyWindows: 14,
      shelf: this.#of("b").length,
      verifyReason: "it was restarted at 2026-11-20T13:58:00Z",
      verifiedFromMs: at("11:00"),
      repairedMs: this.#repairedMs,
    };
  }
}

function factsOf(startedMs: number, buckets: readonly Bucket[], diskBytes: number): ReplicaFacts {
  const facts = { version: "1.6.7", identity: null, databaseExists: true, rights: "all" as const, clockAheadMs: 12 };
  return { ...facts, startedMs, diskBytes, buckets };
}

function laneOf(bucket: string, given: Partial<LaneStatus>): LaneStatus {
  const counts = { requests: 0, points: 0, failures: 0, requestSeconds: 0 };
  return { bucket, state: "idle", reason: null, sinceMs: null, mendedMs: null, ...counts, ...given };
}

function accountOf(
  target: string,
  bucket: string,
  given: Partial<PointAccount> & Pick<PointAccount, "spooled">,
): PointAccount {
  const { pending = 0, shelved = 0, expired = 0 } = given;
  const acknowledged = given.spooled - pending - shelved - expired;
  return { target, bucket, acknowledged, pending, shelved, expired, inLog: pending, oldestMs: null, ...given };
}

const shelved: readonly ShelfEntry[] = [
  {
    id: 11,
    target: "a",
    bucket: "",
    line: 'payments,provider=adyen note="paid twice by customer Maria Oliveira, told by phone",success_rate=0.97 1795183020000',
    expired: false,
    reason:
      'field type conflict: input field "note" on measurement "payments" is type string, already exists as type float',
    firstMs: at("13:57"),
    lastMs: at("13:57"),
    count: 1,
  },
  {
    id: 12,
    target: "b",
    bucket: "",
    line: "orders,country=United\\ Kingdom amount=1969.2,orders=92 1792533600000",
    expired: true,
    reason: "points beyond retention policy",
    firstMs: at("14:02"),
    lastMs: at("14:12"),
    count: 38,
  },
  {
    id: 13,
    target: "b",
    bucket: "",
    line: "cancelled orders=7 1795179600000",
    expired: false,
    reason:
      'field type conflict: input field "orders" on measurement "cancelled" is type float, already exists as type integer',
    firstMs: at("14:01"),
    lastMs: at("14:18"),
    count: 2,
  },
];
