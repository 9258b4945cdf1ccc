/** What an Elasticsearch says of itself, asked in passing: what an account may not ask is left out. */
import type { SourceFacts } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { systemClock } from "../../core/time.ts";
import type { ElasticsearchClient, Request } from "./elasticsearch-client.ts";
import { type Fields, fieldProblems, namesOf } from "./elasticsearch-fields.ts";
import { isMap, type JsonMap } from "./elasticsearch-queries.ts";

const indicesMax = 1_000;

/** Index privileges that reading does not need. */
const excessive = ["create_doc", "delete", "delete_index", "index", "manage", "write"];

export type Inspected = {
  readonly index: string;
  readonly fields: Fields;
  /** The query alone, with bounds; null: what it would find is not counted. */
  readonly query: JsonMap | null;
  readonly where: string;
  readonly production: boolean;
};

export async function factsOf(
  client: ElasticsearchClient,
  { index, fields, query, where, production }: Inspected,
  signal: AbortSignal,
): Promise<SourceFacts> {
  const known = async (request: Request): Promise<JsonMap> => {
    try {
      return await client.ask(request, signal);
    } catch (thrown) {
      if (thrown instanceof Problem && !thrown.retryable) return {};
      throw thrown;
    }
  };
  const about = await known({ method: "GET", path: "/" });
  const version = isMap(about.version) ? ` ${about.version.number}` : "";
  const clockAheadMs = await clockAhead(known);
  const server = `Elasticsearch${version} at ${client.place}`;
  const caps = await client.ask(fieldsRequest(index, namesOf(fields)), signal);
  const problems = fieldProblems(fields, caps, index, where);
  const counted =
    query === null ? {} : await known({ method: "POST", path: `/${index}/_count`, query: strict, body: { query } });
  const excess = await excessOf(known, index);
  if (excess.length > 0) problems.push(tooWide(excess, where, production));
  return {
    server,
    clockAheadMs,
    tables: await tablesOf(known, index, caps),
    estimate: typeof counted.count === "number" ? { rows: counted.count, cost: null } : null,
    problems,
  };
}

/** An index that is not there, or a pattern without any, is an error and not an empty answer. */
export const strict = { ignore_unavailable: false, allow_no_indices: false };

export function fieldsRequest(index: string, names: readonly string[]): Request {
  // Without a name all fields would come.
  const fields = names.length === 0 ? "_index" : names.join(",");
  return { method: "GET", path: `/${index}/_field_caps`, query: { fields, ...strict } };
}

async function clockAhead(known: (request: Request) => Promise<JsonMap>): Promise<number | null> {
  const beforeMs = systemClock.nowMs();
  const stats = await known({
    method: "GET",
    path: "/_nodes/_local/stats/process",
    query: { filter_path: "nodes.*.timestamp" },
  });
  const node = isMap(stats.nodes) ? Object.values(stats.nodes)[0] : undefined;
  const timeMs = isMap(node) ? node.timestamp : undefined;
  return typeof timeMs === "number" ? timeMs - Math.round((beforeMs + systemClock.nowMs()) / 2) : null;
}

/** Documents by index, as a search counts them. */
async function tablesOf(
  known: (request: Request) => Promise<JsonMap>,
  index: string,
  caps: JsonMap,
): Promise<SourceFacts["tables"]> {
  const names = Array.isArray(caps.indices) ? caps.indices.map(String) : [index];
  const aggs = { by: { terms: { field: "_index", size: indicesMax } } };
  const body = { size: 0, track_total_hits: false, aggs };
  const answer = await known({ method: "POST", path: `/${index}/_search`, query: strict, body });
  const by = isMap(answer.aggregations) ? answer.aggregations.by : undefined;
  const buckets = isMap(by) && Array.isArray(by.buckets) ? by.buckets.filter(isMap) : null;
  const counts = new Map(buckets?.map(({ key, doc_count }) => [String(key), Number(doc_count)]));
  return names.map((name) => ({ name, rows: buckets === null ? null : (counts.get(name) ?? 0) }));
}

/** What the account may besides reading; none where the server keeps no rights. */
async function excessOf(known: (request: Request) => Promise<JsonMap>, index: string): Promise<string[]> {
  const answer = await known({
    method: "POST",
    path: "/_security/user/_has_privileges",
    body: { index: [{ names: index.split(","), privileges: excessive }] },
  });
  const indices = isMap(answer.index) ? Object.values(answer.index).filter(isMap) : [];
  return excessive.filter((privilege) => indices.some((rights) => rights[privilege] === true));
}

function tooWide(excess: readonly string[], where: string, production: boolean): Problem {
  return new Problem(`its account may do more than read: ${excess.join(", ")}`, {
    code: "ELS-017",
    where,
    fix: "give Bellwether an account of its own that has the privilege read on these indices and nothing else",
    severity: production ? "error" : "warning",
  });
}
