/** Rows of an answer's aggregations. What they are is told from what was asked, never guessed from the answer. Pure. */
import type { Row } from "../../core/model.ts";
import {
  type Aggregation,
  aggregationsOf,
  compositeSources,
  groupingOf,
  percentColumn,
  rankColumn,
} from "./elasticsearch-aggregations.ts";
import { isMap, type JsonMap } from "./elasticsearch-queries.ts";

/** `cut`: what the server kept to itself. `odd`: where the answer is not what was asked for. */
export type Flattened = { readonly rows: Row[]; readonly cut: string | null; readonly odd: string | null };

/**
 * A level without grouping is one row: `count`, and a column for each metric. A grouping gives the rows of its buckets,
 * each with the bucket's key in the column of the grouping's name.
 * @param countColumn what `count` is called
 * @param count documents that were found, the `count` of an answer without grouping
 */
export function rowsOf(aggs: JsonMap, answer: unknown, count: number, countColumn = "count"): Flattened {
  const state: State = { countColumn, rows: [], cut: null, odd: null };
  addLevel(aggs, isMap(answer) ? answer : {}, count, [], state);
  return state;
}

type State = { readonly countColumn: string; rows: Row[]; cut: string | null; odd: string | null };
type Cells = readonly (readonly [string, unknown])[];

function addLevel(aggs: JsonMap, bucket: JsonMap, count: unknown, keys: Cells, state: State): void {
  const level = aggregationsOf(aggs);
  const grouping = groupingOf(level);
  if (grouping === undefined) {
    state.rows.push(Object.fromEntries([...keys, [state.countColumn, count], ...columnCells(level, bucket, state)]));
    return;
  }
  const answer = bucket[grouping.name];
  if (!isMap(answer)) {
    state.odd ??= `no aggregation ${grouping.name} in it`;
    return;
  }
  if (grouping.kind === "single") {
    addLevel(grouping.inner, answer, answer.doc_count, keys, state);
    return;
  }
  state.cut ??= cutOf(grouping, answer);
  for (const each of bucketsOf(answer.buckets)) {
    addLevel(grouping.inner, each, each.doc_count, [...keys, ...keyCells(grouping, each)], state);
  }
}

/** Named buckets come as a map, others as a list. */
function bucketsOf(buckets: unknown): JsonMap[] {
  if (Array.isArray(buckets)) return buckets.filter(isMap);
  if (!isMap(buckets)) return [];
  return Object.entries(buckets).flatMap(([key, bucket]) => (isMap(bucket) ? [{ ...bucket, key }] : []));
}

function keyCells(grouping: Aggregation, bucket: JsonMap): Cells {
  if (grouping.kind === "composite") {
    const key = isMap(bucket.key) ? bucket.key : {};
    return compositeSources(grouping).map((source) => [source, key[source] ?? null]);
  }
  return [[grouping.name, bucket.key_as_string ?? bucket.key ?? null]];
}

/** Whether there are buckets that did not come along. */
function cutOf({ name, kind, parameters }: Aggregation, answer: JsonMap): string | null {
  const others = Number(answer.sum_other_doc_count ?? 0);
  if (others > 0) return `${name} leaves out ${others.toLocaleString("en")} documents of further values`;
  const error = Number(answer.doc_count_error_upper_bound ?? 0);
  if (error > 0) return `counts of ${name} are wrong by up to ${error.toLocaleString("en")} documents`;
  if (kind !== "composite") return null;
  const size = Number(parameters.size ?? 10);
  return bucketsOf(answer.buckets).length >= size ? `${name} has ${size} buckets or more` : null;
}

function columnCells(level: readonly Aggregation[], bucket: JsonMap, state: State): Cells {
  return level.flatMap((aggregation): Cells => {
    const { name, type, kind, inner } = aggregation;
    const answer = bucket[name];
    if (!isMap(answer)) {
      state.odd ??= `no aggregation ${name} in it`;
      return [];
    }
    if (kind === "single") {
      const within = columnCells(aggregationsOf(inner), answer, state);
      return [[name, answer.doc_count], ...within.map(([column, cell]) => [`${name}_${column}`, cell] as const)];
    }
    if (type === "stats") return ["count", "min", "max", "avg", "sum"].map((each) => [`${name}_${each}`, answer[each]]);
    const column = type === "percentiles" ? percentColumn : type === "percentile_ranks" ? rankColumn : null;
    if (column === null) return [[name, answer.value]];
    return steps(answer.values).map(([at, value]) => [column(name, at), value]);
  });
}

/** `{ "95.0": 12 }`, or with `keyed: false` `[{ key: 95, value: 12 }]`. */
function steps(values: unknown): (readonly [number, unknown])[] {
  if (Array.isArray(values)) return values.filter(isMap).map(({ key, value }) => [Number(key), value]);
  if (!isMap(values)) return [];
  return Object.entries(values).flatMap(([key, value]) => (key.endsWith("_as_string") ? [] : [[Number(key), value]]));
}
