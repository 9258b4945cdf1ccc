/** InfluxQL texts that set up a server and look at it. Names come in quoted already. Pure. */
import type { Bucket } from "../../core/ports.ts";
import { dayMs, hourMs, minuteMs, secondMs } from "../../core/time.ts";

/** Quoted as InfluxQL wants names. */
export type Quoted = string;

export function createDatabase(database: Quoted, raw: Bucket | undefined): string {
  if (raw === undefined) return `CREATE DATABASE ${database}`;
  return `CREATE DATABASE ${database} WITH DURATION ${keep(raw)} SHARD DURATION ${duration(raw.shardMs)} NAME "autogen"`;
}

export function createPolicy(database: Quoted, policy: Quoted, bucket: Bucket): string {
  const times = `DURATION ${keep(bucket)} REPLICATION 1 SHARD DURATION ${duration(bucket.shardMs)}`;
  return `CREATE RETENTION POLICY ${policy} ON ${database} ${times}`;
}

function keep({ keepMs }: Bucket): string {
  return keepMs === null ? "INF" : duration(keepMs);
}

/** How late a point may come and still be summed by the server itself. */
const resampleMs = 2 * hourMs;

/** The server's own down-sampling of all numbers of all measurements; it has the name of the bucket that it fills. */
export function createRollUp(database: Quoted, from: Quoted, into: Quoted, everyMs: number): string {
  const span = duration(Math.max(resampleMs, 2 * everyMs));
  const select = `SELECT sum(*), mean(*) INTO ${database}.${into}.:MEASUREMENT FROM ${database}.${from}./.*/`;
  const resample = `CREATE CONTINUOUS QUERY ${into} ON ${database} RESAMPLE FOR ${span}`;
  return `${resample} BEGIN ${select} GROUP BY time(${duration(everyMs)}), * END`;
}

export function dropRollUp(database: Quoted, bucket: Quoted): string {
  return `DROP CONTINUOUS QUERY ${bucket} ON ${database}`;
}

/** Field values of each measurement, before a time. */
export function countStatement(policy: Quoted, beforeMs: number): string {
  return `SELECT count(*) FROM ${policy}./.*/ WHERE time < ${Math.ceil(beforeMs)}ms`;
}

export function deleteStatement(beforeMs: number): string {
  return `DELETE WHERE time < ${Math.ceil(beforeMs)}ms`;
}

/** Servers show a statement without the quotes that it does not need. */
export function isSameStatement(one: string, other: string): boolean {
  return one.replaceAll('"', "") === other.replaceAll('"', "");
}

const units: readonly (readonly [string, number])[] = [
  ["w", 7 * dayMs],
  ["d", dayMs],
  ["h", hourMs],
  ["m", minuteMs],
  ["s", secondMs],
];

/** In the largest unit that divides it, as the server writes it. */
function duration(ms: number): string {
  const [unit, unitMs] = units.find(([, sizeMs]) => ms % sizeMs === 0) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}

/** `2160h0m0s` as ms; `0s` is for ever and gives 0. */
export function parseDuration(text: string): number {
  const sizes: Readonly<Record<string, number>> = { ms: 1, s: secondMs, m: minuteMs, h: hourMs };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[hms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (sizes[unit as string] as number), 0);
}
