/** From how the copies are to what somebody must be told, each in one sentence that says what to do. Pure. */
import type { Condition } from "../core/model.ts";
import type { ReplicaStatus, ReplicasStatus } from "../core/ports.ts";
import { formatProblem, Problem } from "../core/problem.ts";
import { formatDuration, hourMs, minuteMs, secondMs } from "../core/time.ts";

/** Trouble that passes by itself is not told: a restart takes seconds. */
const patienceMs = 30 * secondMs;
/** A copy that lacks points for so long is behind, whatever the reason. */
const behindMs = 5 * minuteMs;
const uncheckedMs = hourMs;
const fullShare = 0.7;
const refusingShare = 0.85;

export function conditionsOf(status: ReplicasStatus, nowMs: number): Condition[] {
  return [
    ...spoolConditions(status, nowMs),
    ...setUpConditions(status, nowMs),
    ...status.replicas.flatMap((replica) => replicaConditions(replica, nowMs)),
  ];
}

function spoolConditions({ spool }: ReplicasStatus, nowMs: number): Condition[] {
  const share = spool.bytes / spool.bytesMax;
  const about = { subject: "spool", sinceMs: nowMs } as const;
  const found: Condition[] = [];
  if (share >= fullShare) {
    const severity = share >= refusingShare ? "critical" : "warning";
    const reason = `The spool fills up (${Math.round(share * 100)} %): bring back the InfluxDB that is behind, or give it more room (BELLWETHER_SPOOL_MAX). Points of low priority are refused first.`;
    found.push({ ...about, kind: "spool-full", severity, reason });
  }
  if (spool.gaps > 0) {
    const reason = `The points of ${spool.gaps} slots are lacking: there was no room for them, or they were lost with a damaged spool. They are sampled again by themselves; see bellwether replicas status.`;
    found.push({ ...about, kind: "points-refused", severity: "critical", reason });
  }
  if (spool.differingWindows > 0) {
    const reason = `The copies differ in ${spool.differingWindows} windows of five minutes, and nothing tells which is right: bellwether replicas compare names them.`;
    found.push({ ...about, kind: "replicas-differ", severity: "warning", reason });
  }
  if (spool.repairFault !== null && nowMs - (spool.repairFaultSinceMs ?? nowMs) >= uncheckedMs) {
    const reason = `The copies have not been compared for ${formatDuration(uncheckedMs)} or more: ${spool.repairFault}. They are written to all the same.`;
    found.push({ ...about, kind: "replicas-unchecked", severity: "warning", reason });
  }
  return found;
}

function setUpConditions(status: ReplicasStatus, sinceMs: number): Condition[] {
  const problems = setUpFaults(status);
  if (problems.length === 0) return [];
  const reason = problems.map(formatProblem).join(" ");
  return [{ kind: "replicas-set-up", subject: "replicas", severity: "critical", reason, sinceMs }];
}

function replicaConditions(replica: ReplicaStatus, nowMs: number): Condition[] {
  const { name: subject, lanes, faults, shelf, lagMs } = replica;
  const found: Condition[] = [];
  const raw = lanes.find(({ bucket }) => bucket === "");
  const parked = lanes.find(({ state }) => state === "parked");
  const sinceMs = raw?.sinceMs ?? parked?.sinceMs ?? nowMs;
  const lasts = nowMs - sinceMs >= patienceMs;
  if (raw?.state === "stuck" && lasts) {
    const reason = `Make room on the disk of ${subject}, then restart influxd ${subject}: it goes on refusing writes until it is restarted (${raw.reason}). Nothing is lost.`;
    found.push({ kind: "replica-stuck", subject, severity: "critical", reason, sinceMs });
  } else if (raw?.state === "failing" && lasts) {
    const reason = `${subject} takes no writes (${raw.reason}): look whether it runs and can be reached. Nothing is lost: it is sent everything when it answers.`;
    found.push({ kind: "replica-down", subject, severity: "critical", reason, sinceMs });
  } else if (parked !== undefined && nowMs - (parked.sinceMs ?? nowMs) >= patienceMs) {
    const what = parked.bucket === "" ? "its points" : `points of ${parked.bucket}`;
    const reason = `${subject} refuses ${what} until somebody mends it (${parked.reason}). It is tried again every half minute; nothing is lost.`;
    found.push({ kind: "replica-parked", subject, severity: "critical", reason, sinceMs: parked.sinceMs ?? nowMs });
  } else if (lagMs >= behindMs && nowMs - (raw?.mendedMs ?? 0) >= behindMs) {
    const reason = `${subject} is behind by more than ${formatDuration(behindMs)}: it takes points more slowly than they come.`;
    found.push({ kind: "replica-behind", subject, severity: "warning", reason, sinceMs: nowMs - lagMs });
  }
  if (shelf > 0) {
    const reason = `${subject} refused points, which are on its shelf: bellwether replicas shelf shows them and why; after mending it, bellwether replicas requeue.`;
    found.push({ kind: "shelf-grows", subject, severity: "warning", reason, sinceMs: nowMs });
  }
  if (faults.length > 0) {
    const reason = `${subject} is not set up as it should be: ${faults.join("; ")}.`;
    found.push({ kind: "replica-set-up", subject, severity: "warning", reason, sinceMs: nowMs });
  }
  return found;
}

/**
 * What is wrong with the servers together: two addresses of one server (TGT-001), retention or shards that differ
 * (TGT-002). `start` warns of it, and refuses in production.
 */
export function setUpFaults({ replicas }: ReplicasStatus): Problem[] {
  const problems: Problem[] = [];
  const told = replicas.filter(({ facts }) => facts !== null);
  for (const [first, other] of told.flatMap((one, index) => told.slice(index + 1).map((two) => [one, two] as const))) {
    const names = `${first.name} and ${other.name}`;
    const [one, two] = [first.facts, other.facts];
    if (one?.identity != null && one.identity === two?.identity) {
      problems.push(
        new Problem(`${names} are one and the same server: there is one copy only`, {
          code: "TGT-001",
          where: "INFLUX_URLS",
          fix: "name two servers, best on two machines",
        }),
      );
    }
    for (const bucket of one?.buckets ?? []) {
      const same = two?.buckets.find(({ name }) => name === bucket.name);
      if (same === undefined || (same.keepMs === bucket.keepMs && same.shardMs === bucket.shardMs)) continue;
      const label = bucket.name === "" ? "raw points" : bucket.name;
      problems.push(
        new Problem(`${names} keep ${label} differently: ${kept(bucket)} and ${kept(same)}`, {
          code: "TGT-002",
          where: "INFLUX_URLS",
          fix: "alter the retention policy of one of them: docs/replication.md",
        }),
      );
    }
  }
  return problems;
}

function kept({ keepMs, shardMs }: { keepMs: number | null; shardMs: number | null }): string {
  const shards = shardMs === null ? "" : ` in shards of ${formatDuration(shardMs)}`;
  return `${keepMs === null ? "for ever" : `for ${formatDuration(keepMs)}`}${shards}`;
}
