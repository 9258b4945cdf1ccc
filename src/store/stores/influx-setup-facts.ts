/** What a server tells of itself, in the shapes that the generations have for it. Pure. */
import type { ReplicaFacts } from "../../core/ports.ts";
import { secondMs } from "../../core/time.ts";

export type ServerFacts = Pick<ReplicaFacts, "startedMs" | "identity" | "diskBytes"> & {
  readonly nowMs: number | null;
  /** Whether it runs continuous queries. */
  readonly rollsUp: boolean;
};

export const nothingTold: ServerFacts = {
  startedMs: null,
  identity: null,
  diskBytes: null,
  nowMs: null,
  rollsUp: false,
};

/** `/debug/vars` of 1.x, which needs no right. */
export function factsOfVars(body: string): ServerFacts {
  const vars = JSON.parse(body) as Record<string, { values?: Record<string, unknown> } | undefined>;
  const system = (vars.system ?? {}) as { started?: string; currentTime?: string };
  const startedMs = timeMs(system.started);
  const shards = Object.entries(vars).filter(([key]) => key.startsWith("shard:"));
  return {
    startedMs,
    nowMs: timeMs(system.currentTime),
    // Told to the nanosecond, so two servers that were started by one command still differ.
    identity: startedMs === null ? null : `${system.started} ${JSON.stringify(vars.cmdline)}`,
    diskBytes: shards.reduce((sum, [, shard]) => sum + Number(shard?.values?.diskBytes ?? 0), 0),
    rollsUp: vars.cq !== undefined,
  };
}

/** `/metrics` of 2.x and 3.x. */
export function factsOfMetrics(body: string): ServerFacts {
  const started = /^process_start_time_seconds ([\d.e+]+)$/m.exec(body)?.[1];
  const disks = [...body.matchAll(/^storage_shard_disk_size\{[^}]*\} ([\d.e+]+)$/gm)];
  return {
    ...nothingTold,
    startedMs: started === undefined ? null : Math.round(Number(started) * secondMs),
    identity: /^influxdb_uptime_seconds\{id="([^"]+)"\}/m.exec(body)?.[1] ?? null,
    diskBytes: disks.length === 0 ? null : disks.reduce((sum, [, size]) => sum + Number(size), 0),
  };
}

function timeMs(text: string | undefined): number | null {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? null : ms;
}

/** @param admin whether it may do what only an administrator may */
export function rightsOf(admin: boolean, reads: boolean, writes: boolean): ReplicaFacts["rights"] {
  if (admin) return "admin";
  if (reads && writes) return "all";
  return reads ? "read" : writes ? "write" : "none";
}
