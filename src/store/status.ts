/** How the copies are, gathered from those who know it, and as numbers for `/metrics`. */
import { counter, gauge } from "../core/measure.ts";
import type { LaneStatus, Measure, Replica, ReplicaStatus, ReplicasStatus } from "../core/ports.ts";
import { secondMs } from "../core/time.ts";
import type { Lane } from "./lane.ts";
import type { Pulse } from "./pulse.ts";
import type { Spool } from "./spool.ts";
import type { Windows } from "./windows.ts";

/** Undecided windows that are told in full. */
const undecidedMax = 20;

export type StatusSources = {
  readonly replicas: readonly Replica[];
  readonly spool: Spool;
  readonly windows: Windows;
  readonly lanes: readonly Lane[];
  readonly pulses: ReadonlyMap<string, Pulse>;
  /** Why the latest comparison was not made, and since when none is. */
  readonly repairFault: { readonly reason: string; readonly sinceMs: number } | null;
  readonly nowMs: number;
};

export function statusOf(sources: StatusSources): ReplicasStatus {
  const { replicas, spool, windows, repairFault } = sources;
  const { unsealed, differing, dirty } = windows.counts();
  return {
    spool: {
      bytes: spool.usedBytes(),
      bytesMax: spool.bytesMax,
      freeBytes: spool.freeBytes(),
      gaps: spool.gapCount,
      unsealedWindows: unsealed,
      differingWindows: differing,
      undecided: windows.differing(undecidedMax).map(({ differs }) => differs ?? ""),
      repairFault: repairFault?.reason ?? null,
      repairFaultSinceMs: repairFault?.sinceMs ?? null,
    },
    replicas: replicas.map((replica) => replicaStatus(replica, sources, dirty.get(replica.name) ?? 0)),
  };
}

function replicaStatus({ name, place }: Replica, sources: StatusSources, dirtyWindows: number): ReplicaStatus {
  const { spool, lanes, pulses, nowMs } = sources;
  const { well = null, reason = null, faults = [], facts = null } = pulses.get(name)?.health ?? {};
  const { verifyReason, verifiedFromMs, repairedMs } = spool.target(name);
  const accounts = spool.accounts().filter(({ target }) => target === name);
  const oldestMs = accounts.find(({ bucket }) => bucket === "")?.oldestMs ?? nowMs;
  return {
    ...{ name, place, well, reason, faults, facts, accounts, dirtyWindows, verifyReason, verifiedFromMs, repairedMs },
    lanes: lanes.filter(({ target }) => target === name).map(laneStatus),
    lagMs: Math.max(0, nowMs - oldestMs),
    shelf: spool.shelfRows(name),
  };
}

function laneStatus({ bucket, state, mendedMs, counts }: Lane): LaneStatus {
  const trouble = "reason" in state ? state : { reason: null, sinceMs: null };
  return { bucket, ...counts, state: state.kind, reason: trouble.reason, sinceMs: trouble.sinceMs, mendedMs };
}

export function statusMeasures({ spool, replicas }: ReplicasStatus): Measure[] {
  return [
    gauge("replica_windows_unsealed", "Windows of five minutes yet to be compared.", spool.unsealedWindows),
    gauge(
      "replica_windows_undecided",
      "Windows that differ, and nothing tells which copy is right.",
      spool.differingWindows,
    ),
    ...replicas.flatMap((replica): Measure[] => {
      const labels = { target: replica.name };
      return [
        gauge("replica_up", "1: a canary went in and came out again.", Number(replica.well === true), labels),
        gauge("replica_lag_seconds", "Age of the oldest batch that it lacks.", replica.lagMs / secondMs, labels),
        gauge("replica_shelf_points", "Different points that it refused.", replica.shelf, labels),
        gauge("replica_windows_dirty", "Windows in which its answers were unclear.", replica.dirtyWindows, labels),
        gauge(
          "replica_in_doubt",
          "1: all that it stores is being compared.",
          Number(replica.verifyReason !== null),
          labels,
        ),
        ...replica.lanes.flatMap((lane) => laneMeasures(replica.name, lane)),
      ];
    }),
  ];
}

function laneMeasures(target: string, { bucket, requests, failures, requestSeconds, state }: LaneStatus): Measure[] {
  const labels = { target, bucket: bucket === "" ? "raw" : bucket };
  return [
    counter("lane_requests", "Requests to write.", requests, labels),
    counter("lane_failures", "Of them, those that were not stored.", failures, labels),
    counter("lane_request_seconds", "Time spent on them.", requestSeconds, labels),
    gauge("lane_parked", "1: somebody has to mend the server first.", Number(state === "parked"), labels),
  ];
}
