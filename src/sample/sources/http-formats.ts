/** What answers are, as JSON that an expression can be asked of. Pure. */
import parseMetrics from "parse-prometheus-text-format";
import { Problem } from "../../core/problem.ts";
import { parseJson } from "./http-json.ts";
import { masked, ownWords, unexpected } from "./http-problems.ts";

export type Format = "json" | "prometheus" | "prometheus-query" | "influxql";

type Answer = { readonly body: string; readonly metrics: readonly string[]; readonly where: string };

type Json = Readonly<Record<string, unknown>>;

/** Format -> what its answers are asked for as, and what they become. */
export const formats: Readonly<Record<Format, { accept: string; read: (answer: Answer) => unknown }>> = {
  json: { accept: "application/json", read: ({ body, where }) => parseJson(body, where) },
  prometheus: { accept: "text/plain;version=0.0.4", read: readMetrics },
  "prometheus-query": { accept: "application/json", read: readPrometheus },
  influxql: { accept: "application/json", read: readInflux },
};

/** What the server says of a request that it refuses; null where its words may be about anybody. */
export function refusalOf(format: Format, body: string): string | null {
  if (format !== "prometheus-query" && format !== "influxql") return null;
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : null;
  } catch {
    return null;
  }
}

// ---- parts -----------------------------------------------------------------------------------------------------

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

// ---- Prometheus -------------------------------------------------------------------------------------------------

/** As Prometheus writes numbers: `NaN`, `+Inf` and `-Inf` are such. Undefined: none. */
function prometheusNumber(text: unknown): number | undefined {
  if (text === "NaN") return Number.NaN;
  const infinite = /^([+-]?)Inf$/.exec(String(text));
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  const value = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  return Number.isNaN(value) ? undefined : value;
}

/** Labels as columns; one called as a column of ours is given `exported_`, as Prometheus does. */
function labelled(labels: Json, own: Json): Json {
  const renamed = Object.entries(labels).map(([name, value]) => [
    Object.hasOwn(own, name) ? `exported_${name}` : name,
    value,
  ]);
  return { ...Object.fromEntries(renamed), ...own };
}

const metricLine = /^[A-Za-z_:][\w:]*(?:\s*\{.*\})?\s+\S+(?:\s+-?\d+)?$/;

/**
 * The samples of the metrics asked for, as rows of their labels, `metric` and `value`.
 *
 * The library gathers histograms and summaries by their bounds and loses their other labels in doing so. It is given
 * the lines without their types, and so leaves each sample as it is.
 */
function readMetrics({ body, metrics, where }: Answer): Json[] {
  const wanted = new Set(metrics);
  const lines = body.split("\n").map((line) => line.replace(/\s#\s\{.*$/, "").trim());
  const broken = lines.find((line) => line !== "" && !line.startsWith("#") && !metricLine.test(line));
  if (broken !== undefined) {
    throw unexpected("the answer is no metrics text", where, "give the path of a Prometheus endpoint", broken);
  }
  const samples = lines.filter((line) => wanted.has(/^[\w:]*/.exec(line)?.[0] ?? ""));
  const rows = parseMetrics(`${samples.join("\n")}\n`).flatMap(({ name, metrics: found }) =>
    found.map(({ labels = {}, value }) => {
      const number = prometheusNumber(value);
      if (number === undefined) throw unexpected(`${name} is no number`, where, "see the server", value);
      return labelled(labels, { metric: name, value: number });
    }),
  );
  if (rows.length === samples.length) return rows;
  throw unexpected("the answer has a series twice", where, "see the server: each series is there once");
}

/** Vectors, matrices and scalars as rows of labels, `value` and `at`, epoch seconds. */
function readPrometheus({ body, where }: Answer): Json[] {
  const answer = parseJson(body, where);
  if (!isObject(answer) || answer.status === undefined) {
    throw unexpected("the answer is none of Prometheus' query API", where, "use /api/v1/query", body);
  }
  if (answer.status !== "success") throw refused(String(answer.error), where);
  // Notes on how a query is written come among the warnings of some versions, and do not make its answer partial.
  const warnings = listOf(answer.warnings).filter((text) => !String(text).startsWith("PromQL info"));
  if (answer.isPartial === true || warnings.length > 0) throw partial(String(warnings[0] ?? "isPartial"), where);
  const { resultType, result } = isObject(answer.data) ? answer.data : {};
  if (resultType === "scalar") return [sample({}, result, where)];
  if (resultType !== "vector" && resultType !== "matrix") {
    throw unexpected(`the answer is no vector, matrix or scalar`, where, "write a query that gives numbers");
  }
  return listOf(result).flatMap((series) => {
    if (!isObject(series) || !isObject(series.metric))
      throw unexpected("a series has no labels", where, "see the server");
    if (series.histogram !== undefined || series.histograms !== undefined) {
      throw unexpected("the answer has native histograms", where, "write histogram_count(...) or histogram_sum(...)");
    }
    const { __name__: metric, ...labels } = series.metric;
    const named = metric === undefined ? labels : labelled(labels, { metric });
    const values = resultType === "vector" ? [series.value] : listOf(series.values);
    return values.map((value) => sample(named, value, where));
  });
}

function sample(labels: Json, pair: unknown, where: string): Json {
  const [at, text] = listOf(pair);
  const value = prometheusNumber(text);
  if (value === undefined) throw unexpected("a value is no number", where, "write a query that gives numbers");
  return labelled(labels, { value, at });
}

// ---- InfluxDB 1.x -----------------------------------------------------------------------------------------------

/** Rows of all series: tags, columns, and `measurement` where no column is called so. */
function readInflux({ body, where }: Answer): Json[] {
  const answer = parseJson(body, where);
  if (isObject(answer) && typeof answer.error === "string") throw refused(answer.error, where);
  if (!isObject(answer) || !Array.isArray(answer.results)) {
    throw unexpected("the answer is none of InfluxDB's query API", where, "use /query", body);
  }
  return answer.results.filter(isObject).flatMap((result) => {
    if (typeof result.error === "string") throw refused(result.error, where);
    const all = listOf(result.series).filter(isObject);
    if (result.partial === true || all.some((series) => series.partial === true)) {
      throw partial("the server cut it at its row limit", where);
    }
    return all.flatMap((series) => {
      const columns = listOf(series.columns).map(String);
      return listOf(series.values).map((values) => ({
        measurement: series.name,
        ...(isObject(series.tags) ? series.tags : {}),
        ...Object.fromEntries(columns.map((column, index) => [column, listOf(values)[index] ?? null])),
      }));
    });
  });
}

function refused(said: string, where: string): Problem {
  return new Problem(`the server refused the query: ${ownWords(said)}`, {
    code: "NET-009",
    where,
    fix: "correct the query",
  });
}

/** What is there is right as far as it goes, and a sum of it is not. */
function partial(said: string, where: string): Problem {
  return new Problem(`the answer is partial: ${ownWords(said)}`, {
    code: "NET-007",
    where,
    fix: "see what the server lacks, or ask for less",
    retryable: true,
  });
}

// ---- rows -------------------------------------------------------------------------------------------------------

/** @throws Problem NET-006 unless the expression found a list of objects, or one object */
export function rowsOf(found: unknown, expression: string, where: string): Json[] {
  const fix = "write a JMESPath to a list of objects, or to an object: {orders: length(orders)}";
  const named = expression === "@" ? "the answer" : `rows: ${expression.slice(0, 100)}`;
  if (found === null || found === undefined) throw unexpected(`${named} finds nothing`, where, fix);
  const list = Array.isArray(found) ? found : [found];
  const odd = list.find((each) => !isObject(each));
  if (odd === undefined) return (list as Json[]).map((row) => bounded(row, where));
  const kind = Array.isArray(odd) ? "a list" : odd === null ? "null" : typeof odd;
  const what = Array.isArray(found) ? `a list that holds ${kind}` : kind;
  throw unexpected(`${named} is ${what}, and not rows (${masked(JSON.stringify(odd) ?? "")})`, where, fix);
}

const cellCharsMax = 65_536;

/** No tag or number is that long, and what is done with one later takes its time. */
function bounded(row: Json, where: string): Json {
  for (const [column, cell] of Object.entries(row)) {
    if (typeof cell !== "string" || cell.length <= cellCharsMax) continue;
    const fix = "have rows choose columns: orders[].{country: country, amount: total}";
    throw unexpected(`a cell of column "${column.slice(0, 64)}" has more than 64 KiB`, where, fix);
  }
  return row;
}
