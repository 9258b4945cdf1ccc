/**
 * Which documents may be asked for: an allow-list of the queries of Elasticsearch's language that look at a document and
 * nothing else. Scripts are told of apart, since a connection may allow them. Pure.
 */

export type Json = string | number | boolean | null | readonly Json[] | JsonMap;
export type JsonMap = { readonly [key: string]: Json };

/** `path` leads from what was given to the part at fault. */
export type Finding = { readonly path: readonly string[]; readonly message: string };

export type Findings = {
  readonly faults: Finding[];
  /** Where scripts run on the server. */
  readonly scripts: Finding[];
  /** Fields that are searched, and those that are grouped by or summed up. */
  readonly searched: Set<string>;
  readonly aggregated: Set<string>;
};

export type Path = readonly string[];

/** Keys on the way to a part, twice as many as maps within one another. */
export const depthMax = 40;

export function isMap(value: unknown): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function noFindings(): Findings {
  return { faults: [], scripts: [], searched: new Set(), aggregated: new Set() };
}

export function report(found: Findings, path: Path, message: string): void {
  found.faults.push({ path, message });
}

type Check = (value: Json, path: Path, found: Findings) => void;

/** `{ field: value }` or `{ field: { value: ..., boost: ... } }`, without anything that looks a value up elsewhere. */
const leaf: Check = (value, path, found) => {
  const [field, ...more] = isMap(value) ? Object.keys(value).filter((key) => key !== "boost") : [];
  if (field === undefined || more.length > 0) {
    return report(found, path, "ELS-001 wants exactly one field. Fix: write { field: value }");
  }
  found.searched.add(field);
  plain((value as JsonMap)[field] as Json, [...path, field], found, isMap((value as JsonMap)[field]) ? 2 : 1);
};

/** Parameters that are texts, numbers and lists of them. */
const parameters: Check = (value, path, found) => plain(value, path, found, 2);

function plain(value: Json, path: Path, found: Findings, depth: number): void {
  if (!isMap(value) && !Array.isArray(value)) return;
  if (depth === 0) {
    report(found, path, "ELS-001 wants a value. Fix: write it here; a look-up is not possible");
    return;
  }
  for (const [key, each] of Object.entries(value)) plain(each, [...path, key], found, depth - 1);
}

/** `terms` takes a list; a map would look its values up in another index. */
const termsLeaf: Check = (value, path, found) => {
  const odd = isMap(value)
    ? Object.entries(value).find(([key, each]) => key !== "boost" && !Array.isArray(each))
    : null;
  if (odd === undefined) return leaf(value, path, found);
  report(found, path, "ELS-001 wants a list of values. Fix: write { field: [a, b] }; a look-up is not possible");
};

const bool: Check = (value, path, found) => {
  if (!isMap(value))
    return report(found, path, "ELS-001 wants a map. Fix: write must, filter, should or must_not in it");
  for (const [key, each] of Object.entries(value)) {
    if (key === "minimum_should_match" || key === "boost") plain(each, [...path, key], found, 0);
    else if (!["must", "filter", "should", "must_not"].includes(key)) {
      report(
        found,
        [...path, key],
        "ELS-001 unknown. Fix: one of must, filter, should, must_not, minimum_should_match",
      );
    } else {
      if (!Array.isArray(each)) checkQuery(each, [...path, key], found);
      else for (const [index, query] of each.entries()) checkQuery(query, [...path, key, String(index)], found);
    }
  }
};

/** A query inside another one, beside parameters. */
const inner =
  (name: string): Check =>
  (value, path, found) => {
    if (!isMap(value)) return report(found, path, `ELS-001 wants a map. Fix: write ${name} in it`);
    const { [name]: query, ...rest } = value;
    plain(rest, path, found, 1);
    checkQuery(query ?? null, [...path, name], found);
  };

const queries: Readonly<Record<string, Check>> = {
  bool,
  constant_score: inner("filter"),
  exists: (value, path, found) => {
    parameters(value, path, found);
    if (isMap(value) && typeof value.field === "string") found.searched.add(value.field);
  },
  fuzzy: leaf,
  ids: parameters,
  match: leaf,
  match_all: parameters,
  match_none: parameters,
  match_phrase: leaf,
  match_phrase_prefix: leaf,
  multi_match: parameters,
  nested: inner("query"),
  prefix: leaf,
  query_string: parameters,
  range: leaf,
  regexp: leaf,
  script: (_value, path, found) => {
    found.scripts.push({ path, message: "ELS-002 a script" });
  },
  simple_query_string: parameters,
  term: leaf,
  terms: termsLeaf,
  wildcard: leaf,
};

export function checkQuery(query: Json, path: Path, found: Findings): void {
  const [kind, ...more] = isMap(query) ? Object.keys(query) : [];
  if (kind === undefined || more.length > 0) {
    report(found, path, "ELS-001 wants exactly one kind of query. Fix: put several into bool: { filter: [...] }");
    return;
  }
  const check = Object.hasOwn(queries, kind) ? queries[kind] : undefined;
  if (path.length > depthMax) {
    report(found, path, "ELS-001 is nested too deeply. Fix: write it flatter");
    return;
  }
  if (check !== undefined) {
    check((query as JsonMap)[kind] as Json, [...path, kind], found);
    return;
  }
  report(found, [...path, kind], `ELS-001 not among the known queries. Fix: one of ${Object.keys(queries).join(", ")}`);
}
