/** A server's databases, buckets and rights: looked at, made where they are missing, and emptied of what is old. */
import type { Bucket, ReplicaFacts } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";
import { makeBuckets } from "./influx-setup-buckets.ts";
import { factsOfMetrics, factsOfVars, nothingTold, rightsOf, type ServerFacts } from "./influx-setup-facts.ts";
import * as influxql from "./influx-setup-statements.ts";

type Cell = number | string | boolean | null;
type Row = Readonly<Record<string, Cell>>;
type Generation = 1 | 2 | 3;
type Reply = {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
};

/** The server as it is asked. What it refuses, and silence, is thrown as Problem; silence is retryable. */
export type Server = {
  readonly database: string;
  quote(name: string): string;
  generation(signal: AbortSignal): Promise<Generation>;
  /** Rows of one statement; with a name, of the series that is called so. */
  rows(statement: string, signal: AbortSignal, series?: string): Promise<readonly Row[]>;
  /** Statements whose answers nobody wants. */
  carryOut(statements: readonly string[], signal: AbortSignal): Promise<void>;
  /** A status that is an error is returned, not thrown. */
  call(method: "GET" | "POST", path: string, body: object | null, signal: AbortSignal): Promise<Reply>;
  ping(signal: AbortSignal): Promise<Reply & { readonly version: string | null }>;
  /** Writes no points at all. */
  writeNothing(signal: AbortSignal): Promise<Reply>;
  refusal(reply: Reply): Problem;
  nowMs(): number;
};

// ---- making what is missing ------------------------------------------------------------------------------------------

/** @returns whether the server sums up by itself. @throws Problem naming what somebody else has to do */
export async function prepare(server: Server, buckets: readonly Bucket[], signal: AbortSignal): Promise<boolean> {
  const ways: Readonly<Record<Generation, () => Promise<boolean>>> = {
    1: () => prepareByStatements(server, buckets, signal),
    2: () => prepareByCalls(server, buckets, signal),
    // Makes databases by itself, keeps each as it was told elsewhere, and sums up nothing.
    3: async () => false,
  };
  return ways[await server.generation(signal)]();
}

async function prepareByStatements(server: Server, buckets: readonly Bucket[], signal: AbortSignal): Promise<boolean> {
  const database = server.quote(server.database);
  const coarser = buckets.filter((bucket): bucket is Bucket & { everyMs: number } => bucket.everyMs !== null);
  const databases = await server.rows("SHOW DATABASES", signal);
  if (!databases.some(({ name }) => name === server.database)) {
    const raw = buckets.find(({ everyMs }) => everyMs === null);
    await make(server, [influxql.createDatabase(database, raw)], signal);
  }
  const policies = await policiesOf(server, signal);
  for (const bucket of coarser) {
    if (policies.some(({ name }) => name === bucket.name)) continue;
    await make(server, [influxql.createPolicy(database, server.quote(bucket.name), bucket)], signal);
  }
  if (!(await serverFacts(server, 1, signal)).rollsUp) return false;
  const known = await server.rows("SHOW CONTINUOUS QUERIES", signal, server.database);
  const from = server.quote(policies[0]?.name ?? "");
  for (const { name, everyMs } of coarser) {
    const into = server.quote(name);
    const wanted = influxql.createRollUp(database, from, into, everyMs);
    const there = known.find((query) => query.name === name);
    if (there === undefined) await make(server, [wanted], signal);
    else if (!influxql.isSameStatement(String(there.query), wanted)) {
      await make(server, [influxql.dropRollUp(database, into), wanted], signal);
    }
  }
  return true;
}

async function make(server: Server, statements: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await server.carryOut(statements, signal);
  } catch (thrown) {
    if (!(thrown instanceof Problem) || thrown.retryable) throw thrown;
    const fix = `have an administrator say: ${statements.join("; ")}`;
    throw new Problem(thrown.message, { where: thrown.where, fix, cause: thrown });
  }
}

async function prepareByCalls(server: Server, buckets: readonly Bucket[], signal: AbortSignal): Promise<boolean> {
  await makeBuckets(server.database, buckets, async (method, path, body) => {
    const reply = await server.call(method, path, body ?? null, signal);
    if (reply.status === 404 && method === "GET") return null;
    if (reply.status >= 300) throw server.refusal(reply);
    return JSON.parse(reply.body);
  });
  return false;
}

// ---- looking -----------------------------------------------------------------------------------------------------------

/** Where a server of each generation tells of itself. */
const factPages: Readonly<Record<Generation, { path: string; read: (body: string) => ServerFacts }>> = {
  1: { path: "/debug/vars", read: factsOfVars },
  2: { path: "/metrics", read: factsOfMetrics },
  3: { path: "/metrics", read: factsOfMetrics },
};

export async function inspect(server: Server, signal: AbortSignal): Promise<ReplicaFacts> {
  const beforeMs = server.nowMs();
  const ping = await server.ping(signal);
  const pingedMs = (beforeMs + server.nowMs()) / 2;
  const generation = await server.generation(signal);
  const askedMs = server.nowMs();
  const { startedMs, identity, diskBytes, nowMs } = await serverFacts(server, generation, signal);
  const answeredMs = (askedMs + server.nowMs()) / 2;
  // The header is cut to whole seconds.
  const headerMs = Date.parse(ping.headers.date ?? "") + secondMs / 2;
  const aheadMs = nowMs === null ? headerMs - pingedMs : nowMs - answeredMs;
  return {
    version: ping.version ?? `${generation}`,
    startedMs,
    identity,
    diskBytes,
    clockAheadMs: Number.isNaN(aheadMs) ? null : Math.round(aheadMs),
    ...(await standing(server, generation, signal)),
  };
}

/** Nothing, where it does not tell. */
async function serverFacts(server: Server, generation: Generation, signal: AbortSignal): Promise<ServerFacts> {
  const { path, read } = factPages[generation];
  const { status, body } = await server.call("GET", path, null, signal);
  try {
    return status === 200 ? read(body) : nothingTold;
  } catch {
    // Something between us and it may answer in its place.
    return nothingTold;
  }
}

/** What there is for us, and what we may do there, by trying what changes nothing. */
async function standing(
  server: Server,
  generation: Generation,
  signal: AbortSignal,
): Promise<Pick<ReplicaFacts, "databaseExists" | "buckets" | "rights">> {
  const nothing = await server.writeNothing(signal);
  if (nothing.status === 401 || nothing.status >= 500) throw server.refusal(nothing);
  const databaseExists = nothing.status !== 404;
  const policies = databaseExists ? await unlessRefused(policiesOf(server, signal)) : [];
  const admin = generation === 1 && (await unlessRefused(server.rows("SHOW USERS", signal))) !== null;
  const buckets = (policies ?? []).map(({ name, duration, shardDuration }) => ({
    name,
    keepMs: influxql.parseDuration(duration) || null,
    shardMs: influxql.parseDuration(shardDuration) || null,
  }));
  const rights = databaseExists || admin ? rightsOf(admin, policies !== null, nothing.status !== 403) : "unknown";
  return { databaseExists, buckets, rights };
}

async function unlessRefused<T>(asking: Promise<T>): Promise<T | null> {
  try {
    return await asking;
  } catch (thrown) {
    if (thrown instanceof Problem && !thrown.retryable) return null;
    throw thrown;
  }
}

type Policy = { readonly name: string; readonly duration: string; readonly shardDuration: string };

/** Of the database, the one of raw points first: that is its default one. */
async function policiesOf(server: Server, signal: AbortSignal): Promise<Policy[]> {
  const rows = await server.rows(`SHOW RETENTION POLICIES ON ${server.quote(server.database)}`, signal);
  const ordered = rows.toSorted((a, b) => Number(b.default) - Number(a.default));
  return ordered.map(({ name, duration, shardGroupDuration }) => ({
    name: String(name),
    duration: String(duration),
    shardDuration: String(shardGroupDuration),
  }));
}

/** How long a bucket keeps points; null: for ever, or there is no such bucket. */
export async function keepMsOf(server: Server, bucket: string, signal: AbortSignal): Promise<number | null> {
  const policies = await policiesOf(server, signal);
  const policy = bucket === "" ? policies[0] : policies.find(({ name }) => name === bucket);
  return influxql.parseDuration(policy?.duration ?? "") || null;
}

// ---- forgetting --------------------------------------------------------------------------------------------------------

/**
 * `DELETE` cannot be told a retention policy, and would take the coarser buckets along. So where these hold points as
 * old, only whole shards of the raw bucket go.
 * @param count field values of one retention policy before a time
 */
export async function expire(
  server: Server,
  beforeMs: number,
  count: (statement: string) => Promise<number>,
  signal: AbortSignal,
): Promise<number> {
  const [raw, ...others] = await policiesOf(server, signal);
  if (raw === undefined) return 0;
  const countOf = ({ name }: Policy, endMs: number) => count(influxql.countStatement(server.quote(name), endMs));
  let held = 0;
  for (const policy of others) held += await countOf(policy, beforeMs);
  if (held > 0) return dropShards(server, raw, beforeMs, (endMs) => countOf(raw, endMs), signal);
  const gone = await countOf(raw, beforeMs);
  await server.carryOut([influxql.deleteStatement(beforeMs)], signal);
  return gone;
}

async function dropShards(
  server: Server,
  raw: Policy,
  beforeMs: number,
  count: (endMs: number) => Promise<number>,
  signal: AbortSignal,
): Promise<number> {
  const shards = (await server.rows("SHOW SHARDS", signal, server.database))
    .filter((shard) => shard.retention_policy === raw.name)
    .map(({ id, end_time: end }) => ({ id: Number(id), endMs: Date.parse(String(end)) }))
    .filter(({ endMs }) => endMs <= beforeMs);
  if (shards.length === 0) return 0;
  const gone = await count(Math.max(...shards.map(({ endMs }) => endMs)));
  await server.carryOut(
    shards.map(({ id }) => `DROP SHARD ${id}`),
    signal,
  );
  return gone;
}
