/** What a sampler asks, as requests: short forms spelled out, the slot's bounds put in. Pure. */
import type { Row, TimeWindow } from "../../core/model.ts";
import { formatTimeUtc } from "../../core/time.ts";
import { isMap, type Json, type JsonMap } from "./elasticsearch-queries.ts";

/** Bounds as a body may name them: ISO 8601 in UTC, or whole milliseconds since 1970. */
const placeholders: Readonly<Record<string, (window: TimeWindow) => string | number>> = {
  ":slot_start": ({ fromMs }) => formatTimeUtc(fromMs),
  ":slot_end": ({ toMs }) => formatTimeUtc(toMs),
  ":slot_start_ms": ({ fromMs }) => fromMs,
  ":slot_end_ms": ({ toMs }) => toMs,
};

/** Texts that are a placeholder as a whole become the bound. */
export function bound(value: Json, window: TimeWindow): Json {
  if (typeof value === "string") return Object.hasOwn(placeholders, value) ? placeholders[value]!(window) : value;
  if (Array.isArray(value)) return value.map((each) => bound(each as Json, window));
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, bound(each, window)]));
}

export function bindsSlot(value: Json): boolean {
  if (typeof value === "string") return Object.hasOwn(placeholders, value);
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some((each) => bindsSlot(each as Json));
}

/** A text that looks meant as a placeholder and is none: `:slot_begin`, `x :slot_start`, `${x}`. */
export function strayPlaceholder(value: Json): string | null {
  if (typeof value === "string") {
    return Object.hasOwn(placeholders, value) ? null : (/:slot_\w*|\$\{[^}]*\}?/.exec(value)?.[0] ?? null);
  }
  if (typeof value !== "object" || value === null) return null;
  for (const each of Object.values(value)) {
    const stray = strayPlaceholder(each as Json);
    if (stray !== null) return stray;
  }
  return null;
}

// ---- the short form -----------------------------------------------------------------------------------------------

/** Column -> where its text comes from. `missing`: of documents without the field. */
export type By = Readonly<Record<string, { readonly field: string; readonly missing?: string | undefined }>>;
/** Column -> `{ sum: field }`. */
export type Values = Readonly<Record<string, Readonly<Record<string, string>>>>;

const byName = "by";

const metrics: Readonly<Record<string, string>> = {
  sum: "sum",
  avg: "avg",
  min: "min",
  max: "max",
  count: "value_count",
  unique: "cardinality",
};

/** What `values` may ask of a field: one of {@link metrics}, or a percentile such as `p95`. */
export const metricWord = /^(?:sum|avg|min|max|count|unique|p(?:(?:0|[1-9]\d?)(?:\.\d{0,2}[1-9])?|100))$/;

/**
 * Groups by all values together (`composite`): exact, and without an order by which some would be left out.
 * @param rowsMax one more bucket is asked for, so that too many are seen
 */
export function shortForm(by: By, values: Values, rowsMax: number): JsonMap {
  const columns = Object.fromEntries(
    Object.entries(values).map(([column, asked]) => {
      const [word, field] = Object.entries(asked)[0] as [string, string];
      if (!word.startsWith("p")) return [column, { [metrics[word] as string]: { field } }];
      return [column, { percentiles: { field, percents: [Number(word.slice(1))] } }];
    }),
  );
  const sources = Object.entries(by).map(([column, { field }]) => ({
    [column]: { terms: { field, missing_bucket: true } },
  }));
  if (sources.length === 0) return columns;
  return { [byName]: { composite: { size: rowsMax + 1, sources }, aggs: columns } };
}

/** Columns under the names that the short form gives them, texts for what is missing filled in. */
export function shortRows(rows: readonly Row[], by: By, values: Values): Row[] {
  const renamed = new Map<string, string>(
    Object.entries(values).flatMap(([column, asked]) => {
      const word = Object.keys(asked)[0] as string;
      return /^p\d/.test(word) ? [[`${column}_${word.replace(".", "_")}`, column] as const] : [];
    }),
  );
  return rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, cell]) => {
        const missing = Object.hasOwn(by, column) ? by[column]?.missing : undefined;
        return [renamed.get(column) ?? column, cell === null && missing !== undefined ? missing : cell];
      }),
    ),
  );
}

/** Groupings without a size of their own ask for one bucket more than there may be rows, so that too many are seen. */
export function sized(aggs: JsonMap, rowsMax: number): JsonMap {
  return Object.fromEntries(
    Object.entries(aggs).map(([name, value]) => {
      if (!isMap(value)) return [name, value];
      const terms = isMap(value.terms) ? { terms: { size: rowsMax + 1, ...value.terms } } : {};
      const composite = isMap(value.composite) ? { composite: { size: rowsMax + 1, ...value.composite } } : {};
      const inner = value.aggs ?? value.aggregations;
      const { aggregations: _, ...rest } = value;
      return [name, { ...rest, ...terms, ...composite, ...(isMap(inner) ? { aggs: sized(inner, rowsMax) } : {}) }];
    }),
  );
}

/** The query, within the slot by the time field. */
export function withinSlot(query: Json | undefined, time: string, { fromMs, toMs }: TimeWindow): JsonMap {
  const bounds = { gte: formatTimeUtc(fromMs), lt: formatTimeUtc(toMs), format: "strict_date_optional_time" };
  return { bool: { filter: [{ range: { [time]: bounds } }, ...(query === undefined ? [] : [query])] } };
}

// ---- ES|QL --------------------------------------------------------------------------------------------------------

/** The query's own words, without comments and texts. */
function bareEsql(query: string): string {
  return query.replace(/"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|`[^`]*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, " ");
}

/** What is wrong with the text of a query, or null. */
export function esqlFault(query: string): string | null {
  const bare = bareEsql(query);
  if (!/^\s*from\s/i.test(bare)) return "ELS-001 starts with something else than FROM. Fix: write FROM index | ...";
  if (/"""|\/\*/.test(bare) || bare.includes('"')) return "ELS-001 a text or comment has no end. Fix: close it";
  const stray = [...bare.matchAll(/\?\??\w*/g)]
    .map(([text]) => text)
    .find((text) => !/^\?slot_(start|end)$/.test(text));
  if (stray !== undefined) return `ELS-010 unknown parameter ${stray}. Fix: use ?slot_start and ?slot_end`;
  if (/\$\{|:slot_/.test(query)) return "ELS-010 text is not put into a query. Fix: use ?slot_start and ?slot_end";
  return null;
}

/** What it reads from, as an index pattern. */
export function esqlIndices(query: string): string {
  const bare = query.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, " ");
  const [, names = ""] = /^\s*from\s+([^|]*?)\s*(?:\bmetadata\b|\||$)/i.exec(bare) ?? [];
  return names.replace(/["\s]+/g, "");
}

export function esqlBindsSlot(query: string): boolean {
  return /\?slot_(start|end)\b/.test(bareEsql(query));
}

/**
 * Without a LIMIT of its own the server would silently stop at 1,000 rows. One line is added behind whatever comment may
 * end the query.
 */
export function esqlBody(query: string, rowsMax: number, { fromMs, toMs }: TimeWindow): JsonMap {
  const all = { slot_start: formatTimeUtc(fromMs), slot_end: formatTimeUtc(toMs) };
  const bare = bareEsql(query);
  const params = Object.entries(all).flatMap(([name, value]) => (bare.includes(`?${name}`) ? [{ [name]: value }] : []));
  return { query: `${query}\n| LIMIT ${rowsMax + 1}`, params };
}
