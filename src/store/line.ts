/**
 * Line protocol: how a point is written in the spool and sent to a server, and read back.
 *
 * Servers accept much that they then store otherwise, or not at all (a field called `time`, a line break in a tag), so
 * what they would not give back as it was is refused here, with its reason.
 */
import { escape as escaped } from "@influxdata/influxdb-client";
import type { FieldValue, Point } from "../core/model.ts";
import type { FieldKind } from "../core/ports.ts";

/** Bytes of a key (measurement, tags and one field); the servers' own bound. */
const keyBytesMax = 65_535;
/** Characters of a text value; InfluxDB takes 64 KB. */
const textCharsMax = 65_535;
/** Times that an InfluxDB can hold, epoch ms: nanoseconds in 64 bits. */
const timeMsMax = 9_223_372_036_854;

/** Why a point can never be stored; null if it can. */
export function refusal(point: Point): string | null {
  const { measurement, tags, fields, timeMs } = point;
  if (!Number.isSafeInteger(timeMs) || Math.abs(timeMs) > timeMsMax) {
    return `PNT-009 time ${timeMs} is not in milliseconds since 1970`;
  }
  const names = Object.keys(fields);
  if (names.length === 0) return "the point has no fields";
  let keyBytes = measurement.length;
  let fault = nameFault("measurement", measurement);
  for (const name in tags) {
    const value = tags[name] as string;
    fault ??= nameFault("tag", name) ?? tagFault(name, value);
    keyBytes += name.length + value.length;
  }
  for (const name of names) fault ??= nameFault("field", name) ?? valueFault(name, fields[name]);
  if (fault !== null) return fault;
  // Characters are counted first: only long keys are worth the exact count.
  const longest = Math.max(...names.map((name) => name.length));
  if ((keyBytes + longest) * 3 <= keyBytesMax) return null;
  const bytes = Buffer.byteLength(`${seriesKey(point)}${names.find((name) => name.length === longest)}`);
  return bytes <= keyBytesMax ? null : `PNT-011 its names and tags take ${bytes} bytes, at most ${keyBytesMax}`;
}

function nameFault(what: string, name: string): string | null {
  const fault = textFault(`the ${what} name`, name);
  if (fault !== null) return fault;
  if (name === "") return `PNT-011 the ${what} name is empty`;
  // Servers take the backslash away in these two, and keep it in tags.
  if (what !== "tag" && name.includes('\\"')) return `PNT-002 backslash before a quote in the ${what} name`;
  if (what === "measurement") return name.startsWith("#") ? `PNT-011 the measurement name begins with "#"` : null;
  return name === "time" || name.startsWith("_") ? `PNT-007 the ${what} name "${name}" is reserved` : null;
}

function tagFault(name: string, value: string): string | null {
  if (value === "") return `PNT-003 tag "${name}" is empty`;
  return textFault(`tag "${name}"`, value);
}

/** What may stand in a name or in a tag, where nothing but `,`, `=` and blanks can be escaped. */
function textFault(what: string, text: string): string | null {
  if (plainText.test(text)) return null;
  if (/[\n\r]/.test(text)) return `PNT-001 line break in ${what}`;
  if (/\p{Cc}/u.test(text)) return `PNT-011 control character in ${what}`;
  if (/\\(?:[,= ]|$)/.test(text)) return `PNT-002 backslash at the end of ${what}, or before a comma, "=" or blank`;
  return text.isWellFormed() ? null : `PNT-013 ${what} is not well-formed Unicode`;
}

/** Nearly all names and tags; the others are looked at closely. */
const plainText = /^[\w .:/@+,=-]*$/;

function valueFault(name: string, value: FieldValue | undefined): string | null {
  if (typeof value === "boolean") return null;
  if (typeof value === "number") {
    return Number.isFinite(value) ? null : `PNT-004 field "${name}" is not a finite number (got ${value})`;
  }
  if (typeof value !== "string") return `PNT-005 field "${name}" is neither a number, a text nor a boolean`;
  if (value.length > textCharsMax) return `PNT-011 field "${name}" is longer than ${textCharsMax} characters`;
  // A server that refuses the line would repeat it in a header, and break its own answer.
  if (controls.test(value)) return `PNT-011 control character in field "${name}"`;
  return value.isWellFormed() ? null : `PNT-013 field "${name}" is not well-formed Unicode`;
}

/** All but tab and line breaks. */
const controls = /[^\t\n\r\P{Cc}]/u;

export function kindOf(value: FieldValue): FieldKind {
  return typeof value === "string" ? "text" : (typeof value as "number" | "boolean");
}

/** Measurement and tags as a line begins: equal series, equal text, whatever the order of their tags. */
export function seriesKey({ measurement, tags }: Pick<Point, "measurement" | "tags">): string {
  const names = Object.keys(tags);
  if (names.length > 1) names.sort();
  let key = bare.test(measurement) ? measurement : escaped.measurement(measurement);
  for (const name of names) key += `,${tagText(name)}=${tagText(tags[name] as string)}`;
  return key;
}

/** What needs no escaping, as nearly everything does; the library's own functions look at each letter. */
const bare = /^[\w.:/@+-]*$/;

function tagText(text: string): string {
  return bare.test(text) ? text : escaped.tag(text);
}

/**
 * One line without its end.
 * @param key what {@link seriesKey} says of it
 */
export function lineOf(key: string, { fields, timeMs }: Pick<Point, "fields" | "timeMs">): string {
  let line = key;
  let separator = " ";
  for (const name in fields) {
    const value = fields[name] as FieldValue;
    line += `${separator}${tagText(name)}=${typeof value === "string" ? escaped.quoted(value) : String(value)}`;
    separator = ",";
  }
  return `${line} ${timeMs}`;
}

/** One line of a body: what it says, and its text without the end. */
export type Line = { readonly point: Point; readonly text: string };

/** The points of a body, in its order. @throws Error if {@link lineOf} did not write it */
export function parseLines(body: string): Point[] {
  const points: Point[] = [];
  eachLine(body, (point) => points.push(point));
  return points;
}

/** As {@link parseLines}, with the text of each. */
export function linesOf(body: string): Line[] {
  const lines: Line[] = [];
  eachLine(body, (point, from, to) => lines.push({ point, text: body.slice(from, to) }));
  return lines;
}

/** Points of one series share their measurement and tags, so that a body of many takes little room. */
function eachLine(body: string, use: (point: Point, from: number, to: number) => void): void {
  const series = new Map<string, Pick<Point, "measurement" | "tags">>();
  for (let at = 0; at < body.length; ) {
    const keyEnd = endOf(body, at, blank);
    const key = body.slice(at, keyEnd);
    let known = series.get(key);
    if (known === undefined) {
      known = parseKey(key);
      series.set(key, known);
    }
    const fields: Record<string, FieldValue> = {};
    let next = keyEnd;
    do next = parseField(body, next + 1, fields);
    while (body.charCodeAt(next) === comma);
    const lineEnd = body.indexOf("\n", next);
    const end = lineEnd < 0 ? body.length : lineEnd;
    const time = body.slice(next + 1, end);
    if (!/^-?\d+$/.test(time)) throw new Error(`not a time at the end of a line: ${time.slice(0, 40)}`);
    use({ measurement: known.measurement, tags: known.tags, fields, timeMs: Number(time) }, at, end);
    at = end + 1;
  }
}

const [blank, comma, equals, quote, backslash] = [32, 44, 61, 34, 92] as const;

/** Where the next `stop` stands that no backslash escapes; throws if there is none. */
function endOf(text: string, from: number, stop: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === backslash) at += 1;
    else if (code === stop) return at;
  }
  throw new Error(`a line ends too early: ${text.slice(from, from + 80)}`);
}

function parseKey(key: string): Pick<Point, "measurement" | "tags"> {
  const [measurement = "", ...pairs] = key.match(/(?:\\.|[^,\\])+/gs) ?? [];
  const tags: Record<string, string> = {};
  for (const pair of pairs) {
    const middle = endOf(pair, 0, equals);
    tags[unescaped(pair.slice(0, middle))] = unescaped(pair.slice(middle + 1));
  }
  return { measurement: unescaped(measurement), tags };
}

function unescaped(text: string): string {
  return text.includes("\\") ? text.replace(/\\([,= ])/g, "$1") : text;
}

/** Reads `name=value` at `from`; returns where it ends. */
function parseField(text: string, from: number, fields: Record<string, FieldValue>): number {
  const middle = endOf(text, from, equals);
  const name = unescaped(text.slice(from, middle));
  const start = middle + 1;
  if (text.charCodeAt(start) === quote) {
    const end = endOf(text, start + 1, quote);
    fields[name] = text.slice(start + 1, end).replace(/\\(["\\])/g, "$1");
    return end + 1;
  }
  let end = start;
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (code === comma || code === blank) break;
  }
  const value = text.slice(start, end);
  if (value === "true" || value === "false") fields[name] = value === "true";
  else {
    const number = Number(value);
    if (value === "" || Number.isNaN(number)) throw new Error(`not a value of field "${name}": ${value.slice(0, 40)}`);
    fields[name] = number;
  }
  return end;
}
