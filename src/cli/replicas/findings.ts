/** What `doctor` finds of the InfluxDBs that the settings name, and of the spool before them. */
import type { ReplicaFacts, ReplicaStatus } from "../../core/ports.ts";
import { formatProblem } from "../../core/problem.ts";
import { deadline, formatDuration, minuteMs, secondMs } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import type { Desk } from "../../desk.ts";
import type { InfluxTarget } from "../../settings.ts";
import type { Mirror } from "../../store/mirror.ts";
import type { Finding } from "../doctor.ts";
import { bytesText } from "./status.ts";

const askTimeoutMs = 10 * secondMs;
/** By so much clocks may differ: points carry the start of their slot, so only what is "now" to a server is off. */
const clockMs = { warning: 5 * secondMs, fault: minuteMs };
/** Share of the spool's bound from which on writers are held up, and points of low priority refused. */
const spoolShare = { warning: 0.7, fault: 0.85 };

/** Asks each server how it is; writes nothing. */
export async function replicaFindings({ mirror, settings }: Desk): Promise<Finding[]> {
  if (mirror === null) return [];
  await mirror.glance(deadline(askTimeoutMs));
  const { replicas } = mirror.status();
  const own = replicas.flatMap((replica) => {
    const target = settings.influx.find(({ name }) => name === replica.name);
    return target === undefined ? [] : ofReplica(replica, target);
  });
  const together = mirror.faults().map((problem): Finding => {
    return { what: "InfluxDBs together", state: "fault", detail: formatProblem(problem) };
  });
  return [...own, ...together, ofSpool(mirror)];
}

function ofReplica({ name, place, facts, reason }: ReplicaStatus, target: InfluxTarget): Finding[] {
  const what = `InfluxDB ${name}`;
  if (facts === null) return [{ what, state: "fault", detail: reason ?? `${place} does not answer` }];
  const { version, diskBytes, databaseExists } = facts;
  const data = diskBytes === null ? "" : `, ${bytesText(diskBytes)} of data`;
  const there: Finding = databaseExists
    ? { what, state: "ok", detail: `${version} at ${place}${data}` }
    : { what, state: "warning", detail: `${version} at ${place}, without that database: a start makes it, if it may` };
  return [there, ...ofRights(what, facts, target), ...ofClock(what, facts)];
}

function ofRights(what: string, { rights, databaseExists }: ReplicaFacts, target: InfluxTarget): Finding[] {
  const { database, user, token } = target;
  if (rights === "admin") {
    const detail =
      user === undefined && token === undefined
        ? "it takes orders from anybody who reaches it: turn on its authentication"
        : `its user may do everything, also in other databases: once the first start has made what it needs, name one that has all rights on ${database} only`;
    return [{ what, state: "warning", detail }];
  }
  if (rights === "all" || rights === "unknown" || !databaseExists) return [];
  const may = rights === "none" ? "nothing" : `only ${rights}`;
  return [{ what, state: "fault", detail: `its user may do ${may} in ${database}: grant it all rights there` }];
}

function ofClock(what: string, { clockAheadMs }: ReplicaFacts): Finding[] {
  const offMs = Math.abs(clockAheadMs ?? 0);
  if (clockAheadMs === null || offMs <= clockMs.warning) return [];
  const side = clockAheadMs > 0 ? "ahead of" : "behind";
  const detail = `its clock is ${formatDuration(offMs)} ${side} this machine's: set both by NTP`;
  return [{ what, state: offMs > clockMs.fault ? "fault" : "warning", detail }];
}

function ofSpool(mirror: Mirror): Finding {
  const { spool, replicas } = mirror.status();
  const share = spool.bytes / spool.bytesMax;
  const pending = replicas.map(({ name, accounts }) => {
    const points = accounts.reduce((sum, account) => sum + account.pending, 0);
    return `${counted(points, "point")} to come for ${name}`;
  });
  const room = `${bytesText(spool.bytes)} of ${bytesText(spool.bytesMax)} in use, ${bytesText(spool.freeBytes)} free on its disk`;
  const state = share >= spoolShare.fault ? "fault" : share >= spoolShare.warning ? "warning" : "ok";
  return { what: "spool", state, detail: [room, ...pending].join(", ") };
}
