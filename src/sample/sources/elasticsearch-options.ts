/** What users write of samplers that read from Elasticsearch, with every fault at its place. */
import { z } from "zod";
import { checkAggregations, columnName } from "./elasticsearch-aggregations.ts";
import {
  type By,
  bindsSlot,
  esqlBindsSlot,
  esqlFault,
  metricWord,
  shortForm,
  strayPlaceholder,
} from "./elasticsearch-ask.ts";
import {
  checkQuery,
  type Finding,
  type Findings,
  isMap,
  type Json,
  type JsonMap,
  noFindings,
} from "./elasticsearch-queries.ts";

/** Buckets are asked for at once, and the server's own limit is 65,536. */
const rowsMaxMax = 50_000;
/** ES|QL gives 10,000 rows at most, and one more is asked for. */
const esqlRowsMax = 9_999;

const indexName = z
  .string()
  .max(1_000)
  .regex(/^[^\s"\\<>|?#/_+-][^\s"\\<>|?#/]*$/, {
    error: "ELS-001 not a name of indices. Fix: write orders, orders-*, or several with commas",
  })
  .refine((name) => !name.split(",").some((one) => /^\*+$|^$/.test(one)), {
    error: "ELS-001 means every index. Fix: name those that are meant, orders-*",
  });

const field = z.string().min(1).max(500);

const by = z
  .union([
    z.array(field).min(1).max(10),
    z.record(
      z.string(),
      z.union([
        field,
        z.strictObject({
          field,
          missing: z.string().min(1).optional().describe("text of documents without the field"),
        }),
      ]),
    ),
  ])
  .describe("fields to group by; a list, whose columns are called like the fields, or column: field");

const metric = z.record(z.string(), field);

const json = z.record(z.string(), z.json());

export const samplerOptions = z
  .strictObject({
    connection: z.string().min(1).describe("a name in rules/connections.yaml"),
    index: indexName.optional().describe("index, alias or pattern: orders-*; several with commas"),
    time: field.optional().describe("field of a document's time, of type date; default @timestamp"),
    query: json.optional().describe("which documents of the slot, in Elasticsearch's query language; default all"),
    by: by.optional(),
    values: z
      .record(z.string(), metric)
      .optional()
      .describe("columns: { sum: field }, avg, min, max, count, unique, p95"),
    count: z.string().optional().describe("name of the column with the number of documents; default count"),
    aggs: json.optional().describe("aggregations in place of by and values, where those do not do"),
    body: json
      .optional()
      .describe('a whole search; the texts ":slot_start" and ":slot_end" in it become the slot\'s bounds'),
    esql: z.string().min(1).max(20_000).optional().describe("an ES|QL query with ?slot_start and ?slot_end"),
    rows_max: z.int().min(1).max(rowsMaxMax).default(1000).describe("rows of a slot at most; one more is a fault"),
  })
  .superRefine((options, context) => {
    const report = (path: readonly string[], message: string): void =>
      context.addIssue({ code: "custom", path: [...path], message });
    for (const message of shapeFaults(options)) report([], message);
    for (const part of ["query", "aggs", "body"] as const) {
      const stray = strayPlaceholder(options[part] ?? null);
      const fix =
        part === "body"
          ? '":slot_start" or ":slot_end" as a whole text'
          : "time and the slot's bounds are added for you";
      if (stray !== null) report([part], `ELS-010 unknown placeholder ${stray}. Fix: ${fix}`);
      else if (part !== "body" && bindsSlot(options[part] ?? null))
        report([part], `ELS-010 placeholders are for body. Fix: ${fix}`);
    }
    if (options.esql !== undefined) {
      const fault = esqlFault(options.esql);
      if (fault !== null) report(["esql"], fault);
      if (options.rows_max > esqlRowsMax)
        report(["rows_max"], `ELS-001 ES|QL has ${esqlRowsMax + 1} rows at most. Fix: lower it`);
    }
    const short = options.body === undefined && options.aggs === undefined;
    const odd = nameFaults(options);
    for (const { path, message } of odd) report(path, message);
    // Their names are all that the rest would find fault with.
    if (odd.length > 0) return;
    for (const { path, message } of findingsOf(options).faults) {
      report(short && path[0] === "values" ? ["values"] : path, message);
    }
    if (Array.isArray(options.by) && Object.keys(columnsBy(options)).length < options.by.length) {
      report(["by"], "ELS-003 two columns of one name. Fix: write column: field");
    }
  });
export type SamplerOptions = z.infer<typeof samplerOptions>;

type Shape = { readonly [Name in keyof SamplerOptions]?: unknown };

/** Words that the schema takes for any text: names of columns, and what `values` ask for. */
function nameFaults({ by, values, count }: Pick<SamplerOptions, "by" | "values" | "count">): Finding[] {
  const unnamed = "ELS-003 not a name of a column. Fix: start with a letter; then letters, digits, _ . -";
  const named = (path: readonly string[], name: string): Finding[] =>
    columnName.test(name) ? [] : [{ path, message: unnamed }];
  const asked = Object.entries(values ?? {}).flatMap(([name, metric]): Finding[] => {
    const words = Object.keys(metric);
    const stray = words.find((word) => !metricWord.test(word));
    if (stray !== undefined)
      return [{ path: ["values", name, stray], message: `ELS-001 unknown. Fix: ${metricWords}` }];
    const one = "ELS-001 wants exactly one. Fix: write { sum: field }";
    return words.length === 1 ? [] : [{ path: ["values", name], message: one }];
  });
  return [
    ...Object.keys(columnsBy({ by })).flatMap((name) => named(["by", name], name)),
    ...Object.keys(values ?? {}).flatMap((name) => named(["values", name], name)),
    ...(count === undefined ? [] : named(["count"], count)),
    ...asked,
  ];
}

const metricWords = "one of sum, avg, min, max, count, unique, p50, p95, p99.9";

/** Which options go together. */
function shapeFaults(options: Shape): string[] {
  const given = (names: readonly (keyof SamplerOptions)[]): string =>
    names.filter((name) => options[name] !== undefined).join(", ");
  const only = (names: readonly (keyof SamplerOptions)[], one: string): string[] => {
    const stray = given(names);
    return stray === "" ? [] : [`SCH-003 ${stray} cannot stand beside ${one}. Fix: remove one or the other`];
  };
  if (options.esql !== undefined)
    return only(["index", "time", "query", "by", "values", "count", "aggs", "body"], "esql");
  const nameless = options.index === undefined ? ["SCH-003 wants index. Fix: name the indices to search"] : [];
  if (options.body !== undefined) return [...nameless, ...only(["time", "query", "by", "values", "aggs"], "body")];
  if (options.aggs !== undefined) return [...nameless, ...only(["by", "values"], "aggs")];
  return nameless;
}

export function countColumn({ count }: Pick<SamplerOptions, "count">): string {
  return count ?? "count";
}

/** What `by` says, whichever way it was written. */
export function columnsBy(options: Pick<SamplerOptions, "by">): By {
  if (options.by === undefined) return {};
  if (Array.isArray(options.by)) {
    return Object.fromEntries(options.by.map((name) => [name.replace(/\.keyword$/, ""), { field: name }]));
  }
  return Object.fromEntries(
    Object.entries(options.by).map(([name, from]) => [name, typeof from === "string" ? { field: from } : from]),
  );
}

/** The aggregations that are asked for, without what {@link rowsMaxMax} adds to them. */
export function aggregationsAsked(options: SamplerOptions): JsonMap {
  if (options.body !== undefined) {
    const { aggs, aggregations } = options.body;
    const asked = (aggs ?? aggregations ?? {}) as Json;
    return isMap(asked) ? asked : {};
  }
  return (options.aggs as JsonMap | undefined) ?? shortForm(columnsBy(options), options.values ?? {}, options.rows_max);
}

const bodyKeys = ["query", "aggs", "aggregations", "size", "track_total_hits"];

/** Everything about the query and the aggregations that the text alone tells. */
export function findingsOf(options: SamplerOptions): Findings {
  const found = noFindings();
  if (options.esql !== undefined) return found;
  const { body } = options;
  if (body !== undefined) {
    for (const key of Object.keys(body)) {
      const message = `ELS-001 not known in a body. Fix: write ${bodyKeys.join(", ")} alone`;
      if (key === "runtime_mappings" || key === "script_fields")
        found.scripts.push({ path: ["body", key], message: "ELS-002 a script" });
      if (!bodyKeys.includes(key)) found.faults.push({ path: ["body", key], message });
    }
    if ((body.size ?? 0) !== 0)
      found.faults.push({ path: ["body", "size"], message: "ELS-001 documents are not read. Fix: remove size" });
    if ((body.track_total_hits ?? true) !== true) {
      found.faults.push({ path: ["body", "track_total_hits"], message: "ELS-001 all are counted. Fix: remove it" });
    }
  }
  const query = body === undefined ? options.query : body.query;
  const at = body === undefined ? [] : ["body"];
  if (query !== undefined) checkQuery(query as Json, [...at, "query"], found);
  const path = [...at, body?.aggregations === undefined ? "aggs" : "aggregations"];
  const short = body === undefined && options.aggs === undefined;
  checkAggregations(aggregationsAsked(options), short ? ["values"] : path, found, new Set([countColumn(options)]));
  return found;
}

/** Whether the search asks for its slot; without that a gap cannot be sampled again. */
export function asksForSlot(options: SamplerOptions): boolean {
  if (options.esql !== undefined) return esqlBindsSlot(options.esql);
  return options.body === undefined || bindsSlot(options.body as JsonMap);
}
