/** InfluxQL texts. Names and values reach a statement only through {@link quoteName} and {@link quoteText}. Pure. */
import type { Matcher } from "../../core/labels.ts";
import type { TimeWindow } from "../../core/model.ts";
import type { ReadQuery } from "../../core/ports.ts";

/** A field of a measurement with the type that the server says; a name comes twice where shards differ in its type. */
export type FieldColumn = { readonly name: string; readonly type: string };
export type Schema = { readonly tags: readonly string[]; readonly fields: readonly FieldColumn[] };

/** Times that an InfluxDB can hold, epoch ms: nanoseconds in 64 bits. */
const timeMsMax = 9_223_372_036_854;

export function quoteName(name: string): string {
  return `"${escaped(name).replaceAll('"', '\\"')}"`;
}

export function quoteText(text: string): string {
  return `'${escaped(text).replaceAll("'", "\\'")}'`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function within({ fromMs, toMs }: TimeWindow): string {
  return `time >= ${inMs(fromMs)} AND time < ${inMs(toMs)}`;
}

function inMs(timeMs: number): string {
  return `${Math.min(timeMsMax, Math.max(-timeMsMax, Math.ceil(timeMs)))}ms`;
}

/** A field by its type: asked for without, one that has two types shows the values of one of them only. */
function column({ name, type }: FieldColumn): string {
  return `${quoteName(name)}::${type}`;
}

/** A measurement in a bucket; `""` is that of raw points, the database's default. */
export type Place = { readonly bucket: string; readonly measurement: string };

function placeName({ bucket, measurement }: Place): string {
  return bucket === "" ? quoteName(measurement) : `${quoteName(bucket)}.${quoteName(measurement)}`;
}

export function schemaStatements(place: Place): [string, string] {
  const from = placeName(place);
  return [`SHOW TAG KEYS FROM ${from}`, `SHOW FIELD KEYS FROM ${from}`];
}

/**
 * One statement a window; rows are the time, the fields, then the tags. Tags are selected as columns: grouping by them
 * costs two to three times as much where there are thousands of series.
 */
export function readStatements(
  place: Place,
  { fields, tags }: Schema,
  matchers: readonly Matcher[],
  windows: ReadQuery["windows"],
): string[] {
  const columns = [...fields.map(column), ...tags.map((tag) => `${quoteName(tag)}::tag`)].join(", ");
  const conditions = matchers.filter((matcher) => isExact(matcher, tags)).map(condition);
  return windows.map(
    (window) => `SELECT ${columns} FROM ${placeName(place)} WHERE ${[within(window), ...conditions].join(" AND ")}`,
  );
}

/** Whether the server takes a matcher as we mean it; the others are looked at in what comes back. */
function isExact({ label, operator, value }: Matcher, tags: readonly string[]): boolean {
  return (operator === "=" || operator === "!=") && value !== "" && tags.includes(label);
}

function condition({ label, operator, value }: Matcher): string {
  return `${quoteName(label)}::tag ${operator} ${quoteText(value)}`;
}

export function lastStatement(measurement: string, field: FieldColumn, sinceMs: number | undefined): string {
  const since = sinceMs === undefined ? "" : ` WHERE time >= ${inMs(sinceMs)}`;
  return `SELECT last(${column(field)}) FROM ${quoteName(measurement)}${since} GROUP BY *`;
}

export function lastNonzeroStatement(measurement: string, field: FieldColumn): string {
  return `SELECT last(${column(field)}) FROM ${quoteName(measurement)} WHERE ${column(field)} != 0 GROUP BY *`;
}

/** Count of each field over all series, and of numbers the sum, the least and the greatest. */
export function summaryStatement(
  place: Place,
  fields: readonly FieldColumn[],
  window: TimeWindow,
  everyMs: number,
): string {
  const columns = fields.flatMap((field) => summaryCalls(field).map((call) => `${call}(${column(field)})`));
  const from = `FROM ${placeName(place)} WHERE ${within(window)}`;
  return `SELECT ${columns.join(", ")} ${from} GROUP BY time(${everyMs}ms) fill(none)`;
}

export function summaryCalls({ type }: FieldColumn): readonly string[] {
  return isNumber(type) ? ["count", "sum", "min", "max"] : ["count"];
}

export function isNumber(type: string): boolean {
  return type === "float" || type === "integer" || type === "unsigned";
}

/** Rows are the time, then sum and mean of each field. */
export function rollUpStatement(
  measurement: string,
  fields: readonly FieldColumn[],
  window: TimeWindow,
  everyMs: number,
): string {
  const columns = fields.flatMap((field) => ["sum", "mean"].map((call) => `${call}(${column(field)})`)).join(", ");
  const from = `FROM ${quoteName(measurement)} WHERE ${within(window)}`;
  return `SELECT ${columns} ${from} GROUP BY time(${everyMs}ms), * fill(none)`;
}

export function rollUpIntoStatement(
  database: string,
  bucket: string,
  measurement: string,
  window: TimeWindow,
  everyMs: number,
): string {
  const into = [database, bucket, measurement].map(quoteName).join(".");
  const from = `FROM ${quoteName(measurement)} WHERE ${within(window)}`;
  return `SELECT sum(*), mean(*) INTO ${into} ${from} GROUP BY time(${everyMs}ms), * fill(none)`;
}

export function canaryStatement(measurement: string, by: string, atMs: number): string {
  const where = `time = ${inMs(atMs)} AND "by"::tag = ${quoteText(by)}`;
  return `SELECT "n"::float FROM ${quoteName(measurement)} WHERE ${where}`;
}
