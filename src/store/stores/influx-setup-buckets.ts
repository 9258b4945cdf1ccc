/**
 * Making what is missing in InfluxDB 2.x, where retention policies are buckets, and a mapping (DBRP) makes a bucket
 * known to `/write` and `/query` by its names of 1.x.
 */
import type { Bucket } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";

/** One call of the HTTP API; null where there is no such thing (404). Throws if it is refused. */
export type Call = (method: "GET" | "POST", path: string, body?: object) => Promise<unknown>;

type Named = { readonly id: string; readonly name: string; readonly orgID?: string };
type Mapping = { readonly database: string; readonly retention_policy: string };

/** @throws what `call` throws, or Problem if the organisation cannot be told */
export async function makeBuckets(database: string, buckets: readonly Bucket[], call: Call): Promise<void> {
  const orgId = await organisation(database, call);
  const listed = await call("GET", `/api/v2/dbrps?${query({ orgID: orgId, db: database })}`);
  const { content: mappings = [] } = (listed ?? {}) as { content?: Mapping[] };
  for (const bucket of buckets) {
    const policy = bucket.name === "" ? "autogen" : bucket.name;
    // A bucket of the database's own name is what the server maps to it without being asked.
    const name = bucket.name === "" ? database : `${database}/${bucket.name}`;
    const id = (await find(name, call))?.id ?? (await make(orgId, name, bucket, call)).id;
    if (mappings.some((mapping) => mapping.retention_policy === policy)) continue;
    const mapping = { orgID: orgId, bucketID: id, database, retention_policy: policy, default: bucket.name === "" };
    await call("POST", "/api/v2/dbrps", mapping);
  }
}

/** That of the database's bucket if it exists, else the only one that the token sees. */
async function organisation(database: string, call: Call): Promise<string> {
  const known = (await find(database, call))?.orgID;
  if (known !== undefined) return known;
  const { orgs = [] } = ((await call("GET", "/api/v2/orgs?limit=2")) ?? {}) as { orgs?: Named[] };
  if (orgs.length !== 1) {
    throw new Problem(`the token sees ${orgs.length === 0 ? "no organisation" : "several organisations"}`, {
      fix: `make the bucket ${database} in the one that it is to be in`,
    });
  }
  return (orgs[0] as Named).id;
}

async function find(name: string, call: Call): Promise<Named | undefined> {
  const { buckets = [] } = ((await call("GET", `/api/v2/buckets?${query({ name })}`)) ?? {}) as { buckets?: Named[] };
  return buckets.find((bucket) => bucket.name === name);
}

async function make(orgID: string, name: string, bucket: Bucket, call: Call): Promise<Named> {
  const rule = {
    type: "expire",
    everySeconds: (bucket.keepMs ?? 0) / secondMs,
    shardGroupDurationSeconds: bucket.shardMs / secondMs,
  };
  return (await call("POST", "/api/v2/buckets", { orgID, name, retentionRules: [rule] })) as Named;
}

function query(parameters: Record<string, string>): string {
  return new URLSearchParams(parameters).toString();
}
