/** How documents may be summed up: an allow-list of aggregations, and which columns they become. Pure. */
import {
  checkQuery,
  depthMax,
  type Findings,
  isMap,
  type Json,
  type JsonMap,
  type Path,
  report,
} from "./elasticsearch-queries.ts";

type AggregationKind = "group" | "composite" | "single" | "metric";

/** Groups make rows, of a `single` bucket there is one, metrics are columns. */
const aggregations: Readonly<Record<string, AggregationKind>> = {
  terms: "group",
  composite: "composite",
  date_histogram: "group",
  histogram: "group",
  range: "group",
  date_range: "group",
  filters: "group",
  filter: "single",
  missing: "single",
  nested: "single",
  sum: "metric",
  avg: "metric",
  min: "metric",
  max: "metric",
  value_count: "metric",
  cardinality: "metric",
  median_absolute_deviation: "metric",
  weighted_avg: "metric",
  stats: "metric",
  percentiles: "metric",
  percentile_ranks: "metric",
};

export type Aggregation = {
  readonly name: string;
  /** `terms`, `sum`. */
  readonly type: string;
  readonly kind: AggregationKind;
  readonly parameters: JsonMap;
  readonly inner: JsonMap;
};

/** The aggregations of one level, in the order they are written; what {@link checkAggregations} refuses is left out. */
export function aggregationsOf(aggs: JsonMap): Aggregation[] {
  return Object.entries(aggs).flatMap(([name, value]) => {
    if (!isMap(value)) return [];
    const { aggs: inner, aggregations: innerToo, ...rest } = value;
    const type = Object.keys(rest)[0] ?? "";
    const kind = Object.hasOwn(aggregations, type) ? aggregations[type] : undefined;
    const parameters = rest[type];
    if (kind === undefined || !isMap(parameters)) return [];
    const within = inner ?? innerToo;
    return [{ name, type, kind, parameters, inner: isMap(within) ? within : {} }];
  });
}

/** The one that makes this level's rows; undefined if there is none, and the level is one row. */
export function groupingOf(level: readonly Aggregation[]): Aggregation | undefined {
  return level.find(({ kind, inner }) => {
    if (kind === "metric") return false;
    return kind !== "single" || groupingOf(aggregationsOf(inner)) !== undefined;
  });
}

/** Names of composite's sources: the columns that its buckets' keys become. */
export function compositeSources({ parameters }: Aggregation): string[] {
  const sources = Array.isArray(parameters.sources) ? parameters.sources : [];
  return sources.flatMap((source) => (isMap(source) ? Object.keys(source).slice(0, 1) : []));
}

export const columnName = /^\p{L}[\p{L}\p{N}_.-]*$/u;

/** @param columns that are taken already: that of the count, and those of the levels above */
export function checkAggregations(aggs: Json, path: Path, found: Findings, columns: ReadonlySet<string>): void {
  if (!isMap(aggs)) {
    report(found, path, "ELS-001 wants a map of aggregations. Fix: write { name: { sum: ... } }");
    return;
  }
  for (const [name, value] of Object.entries(aggs)) checkAggregation(name, value, [...path, name], found);
  const level = aggregationsOf(aggs);
  const grouping = groupingOf(level);
  const beside = level.filter((each) => each !== grouping);
  if (grouping !== undefined && beside.length > 0) {
    const names = beside.map(({ name }) => name).join(", ");
    const message = `ELS-003 ${names} stands beside ${grouping.name}, which makes the rows. Fix: move it into ${grouping.name}'s aggs, or write two samplers`;
    report(found, path, message);
    return;
  }
  const keys =
    grouping === undefined ? [] : grouping.kind === "composite" ? compositeSources(grouping) : [grouping.name];
  const own = grouping === undefined ? columnsOf(level) : grouping.kind === "single" ? [] : keys;
  const taken = new Set(columns);
  for (const column of own) {
    if (taken.has(column)) report(found, path, `ELS-003 two columns ${column}. Fix: give one another name`);
    taken.add(column);
  }
  if (grouping !== undefined && Object.keys(grouping.inner).length > 0) {
    checkAggregations(grouping.inner, [...path, grouping.name, "aggs"], found, taken);
  }
}

function checkAggregation(name: string, value: Json, path: Path, found: Findings): void {
  if (!columnName.test(name)) {
    report(found, path, "ELS-003 not a name of a column. Fix: start with a letter; then letters, digits, _ . -");
  }
  if (path.length > depthMax) {
    report(found, path, "ELS-001 is nested too deeply. Fix: write it flatter");
    return;
  }
  const types = isMap(value) ? Object.keys(value).filter((key) => key !== "aggs" && key !== "aggregations") : [];
  const [type] = types;
  if (type === undefined || types.length > 1 || !isMap(value)) {
    report(found, path, "ELS-001 wants exactly one kind of aggregation, and aggs inside it. Fix: write { sum: ... }");
    return;
  }
  const one = aggregationsOf({ [name]: value })[0];
  if (one === undefined) {
    const known = Object.keys(aggregations).join(", ");
    report(found, [...path, type], `ELS-001 not among the known aggregations. Fix: one of ${known}`);
    return;
  }
  checkParameters(one, [...path, type], found);
  if (one.kind === "metric" && Object.keys(one.inner).length > 0) {
    report(found, path, "ELS-001 a metric has no aggs. Fix: remove them");
  }
  // Of a grouping they are looked at with the columns that it fills.
  if (one.kind === "single" && groupingOf([one]) === undefined) {
    for (const [inside, each] of Object.entries(one.inner))
      checkAggregation(inside, each, [...path, "aggs", inside], found);
  }
}

function checkParameters({ type, parameters }: Aggregation, path: Path, found: Findings): void {
  if (type === "filter") {
    checkQuery(parameters, path, found);
    return;
  }
  if (type === "filters") {
    const { filters } = parameters;
    if (!isMap(filters)) {
      report(found, path, "ELS-003 filters without names. Fix: write filters: { name: query }");
      return;
    }
    for (const [name, query] of Object.entries(filters)) checkQuery(query, [...path, "filters", name], found);
    return;
  }
  if ((type === "range" || type === "date_range") && parameters.keyed === true) {
    report(found, [...path, "keyed"], "ELS-001 not known here. Fix: remove it; each range becomes a row either way");
  }
  collect(parameters, path, found);
}

/** Fields and scripts, wherever they stand in an aggregation's parameters. */
function collect(value: Json, path: Path, found: Findings): void {
  if (Array.isArray(value)) for (const [index, each] of value.entries()) collect(each, [...path, String(index)], found);
  if (!isMap(value)) return;
  for (const [key, each] of Object.entries(value)) {
    if (key === "script") found.scripts.push({ path: [...path, key], message: "ELS-002 a script" });
    else if (key === "field" && typeof each === "string") found.aggregated.add(each);
    else collect(each, [...path, key], found);
  }
}

/** The columns that a level without grouping fills. */
function columnsOf(level: readonly Aggregation[]): string[] {
  return level.flatMap(({ name, type, kind, parameters, inner }) => {
    if (kind === "single") return [name, ...columnsOf(aggregationsOf(inner)).map((column) => `${name}_${column}`)];
    if (type === "stats") return ["count", "min", "max", "avg", "sum"].map((each) => `${name}_${each}`);
    if (type === "percentiles") return numbers(parameters.percents, usualPercents).map((at) => percentColumn(name, at));
    if (type === "percentile_ranks") return numbers(parameters.values, []).map((at) => rankColumn(name, at));
    return [name];
  });
}

const usualPercents = [1, 5, 25, 50, 75, 95, 99];

function numbers(value: Json | undefined, byDefault: readonly number[]): readonly number[] {
  return Array.isArray(value) ? value.map(Number) : byDefault;
}

/** 95 of `latency` is `latency_p95`, 99.9 is `latency_p99_9`. */
export function percentColumn(name: string, percent: number): string {
  return `${name}_p${String(percent).replace(".", "_")}`;
}

/** The percent at or below 250 of `latency` is `latency_le_250`. */
export function rankColumn(name: string, value: number): string {
  return `${name}_le_${String(value).replace(".", "_")}`;
}
