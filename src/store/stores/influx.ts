/** One InfluxDB: 1.x, 2.x or 3.x, by the two doors that they have in common, `/write` and InfluxQL on `/query`. */
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";
import { HttpError, Point as LinePoint } from "@influxdata/influxdb-client";
import { z } from "zod";
import type { Point, TimeWindow } from "../../core/model.ts";
import type {
  Answer,
  Bucket,
  Clock,
  FieldType,
  KnownSeries,
  Log,
  Measure,
  Measured,
  PieceSummary,
  Plugin,
  ReadQuery,
  Replica,
  ReplicaFacts,
  Series,
} from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { deadline, hourMs, secondMs, stopwatch } from "../../core/time.ts";
import { answerOf, cut, faultOf, fieldKinds, isNotImplemented, textOf } from "./influx-answers.ts";
import * as influxql from "./influx-query.ts";
import { BodyError, readAnswer } from "./influx-rows.ts";
import {
  type Cell,
  LatestCollector,
  type Part,
  PointCollector,
  pointsOf,
  recordsOf,
  SeriesCollector,
} from "./influx-rows-collect.ts";
import * as setup from "./influx-setup.ts";
import { versionOf, Wire, type WireReply } from "./influx-wire.ts";

export const influx: Plugin<Replica & Measured, InfluxOptions, InfluxDeps> = {
  kind: "influx",
  summary: "Series in an InfluxDB 1.x, 2.x or 3.x server, one of several that hold the same",
  example: "influx: { name: a, url: http://influx-a:8086, database: bellwether }",
  options: z.strictObject({
    name: z.string().regex(/^[A-Za-z0-9-]+$/),
    url: z.url({ protocol: /^https?$/ }),
    database: z.string().min(1),
    user: z.string().min(1).optional(),
    password: z.string().optional(),
    token: z.string().min(1).optional(),
    writeTimeoutMs: z.int().min(1).optional(),
    readTimeoutMs: z.int().min(1).optional(),
    surveyTimeoutMs: z.int().min(1).optional(),
    valuesMax: z.int().min(1).optional(),
    socketsMax: z.int().min(1).optional(),
  }),
  create: (options, deps) => new Influx(options, deps),
};

export type InfluxOptions = {
  /** Short name, for messages and as tag of its canary points. */
  name: string;
  /** `http://host:port`, without user and password. */
  url: string;
  database: string;
  /** Basic authentication: 1.x. */
  user?: string | undefined;
  password?: string | undefined;
  /** 2.x and 3.x; goes before a user. */
  token?: string | undefined;
  /** All of a request to write. Default 5,000 ms. */
  writeTimeoutMs?: number | undefined;
  /** All of a read, and of each question about the server. Default 10,000 ms. */
  readTimeoutMs?: number | undefined;
  /** Of what goes over much that is stored: listing, comparing, summing up, expiring. Default an hour. */
  surveyTimeoutMs?: number | undefined;
  /** Values that one read may return. Default 2,000,000. */
  valuesMax?: number | undefined;
  /** Connections at a time. Default 4. */
  socketsMax?: number | undefined;
};

export type InfluxDeps = { readonly clock: Clock; readonly log: Log };

/** Measurement of the canary points; nobody else's concern, so it is neither listed nor summed. */
const canaryMeasurement = "bellwether_canary";

/** Cells of one chunk of an answer: some milliseconds of parsing. Texts are longer than numbers. */
const chunkCells = 30_000;
const chunkTextCells = 3_000;

/** Fields that one request asks for, each with a statement of its own. */
const fieldsAtOnce = 10;

type Each = (statement: number, part: Part) => void;

class Influx implements Replica, Measured {
  readonly name: string;
  readonly place: string;
  readonly #database: string;
  readonly #writeTimeoutMs: number;
  readonly #readTimeoutMs: number;
  readonly #surveyTimeoutMs: number;
  readonly #valuesMax: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #wire: Wire;
  readonly #server: setup.Server;
  /** What was last known of each measurement; each read asks again in passing. */
  readonly #schemas = new Map<string, influxql.Schema>();
  #valuesPeak = 0;
  #counts = { reads: 0, readSeconds: 0 };

  constructor(options: InfluxOptions, { clock, log }: InfluxDeps) {
    this.name = options.name;
    const { origin } = new URL(options.url);
    this.place = `${origin}/${options.database}`;
    this.#database = options.database;
    this.#writeTimeoutMs = options.writeTimeoutMs ?? 5 * secondMs;
    this.#readTimeoutMs = options.readTimeoutMs ?? 10 * secondMs;
    this.#surveyTimeoutMs = options.surveyTimeoutMs ?? hourMs;
    this.#valuesMax = options.valuesMax ?? 2_000_000;
    this.#clock = clock;
    this.#log = log;
    this.#wire = new Wire({ ...options, url: origin, socketsMax: options.socketsMax ?? 4 });
    this.#server = this.#asServer();
  }

  // ---- writing -------------------------------------------------------------------------------------------------------

  async send(bucket: string, body: Uint8Array, signal: AbortSignal): Promise<Answer> {
    const headers = { "content-type": "text/plain; charset=utf-8", "content-encoding": "gzip" };
    try {
      const reply = await this.#write(bucket, body, headers, signal);
      const answer = answerOf(reply);
      if (answer.kind === "stored") return answer;
      const told = { ...answer, reason: this.#wire.redacted(answer.reason) };
      if (told.kind !== "expired" || told.beforeMs !== null) return told;
      return { ...told, beforeMs: await this.#boundMs(bucket, reply, signal) };
    } catch (thrown) {
      return { kind: "unknown", reason: this.#noAnswer(thrown) };
    }
  }

  /** From when on points are kept, which 1.x does not say: by its own clock and the retention policy. */
  async #boundMs(bucket: string, { headers }: WireReply, signal: AbortSignal): Promise<number | null> {
    try {
      const keepMs = await setup.keepMsOf(this.#server, bucket, deadline(this.#readTimeoutMs, signal));
      const boundMs = Date.parse(headers.date ?? "") - (keepMs ?? Number.NaN);
      return Number.isNaN(boundMs) ? null : boundMs;
    } catch {
      // Who may only write is not told.
      return null;
    }
  }

  #write(
    bucket: string,
    body: Uint8Array | string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<WireReply> {
    const policy = bucket === "" ? {} : { rp: bucket };
    const parameters = new URLSearchParams({ db: this.#database, ...policy, precision: "ms" });
    return this.#wire.request("POST", `/write?${parameters}`, body, deadline(this.#writeTimeoutMs, signal), headers);
  }

  async probe(timeMs: number, signal: AbortSignal): Promise<Answer> {
    const point = new LinePoint(canaryMeasurement).tag("by", this.name).floatField("n", timeMs).timestamp(timeMs);
    const answer = await this.send("", gzipSync(`${point.toLineProtocol()}\n`), signal);
    if (answer.kind !== "stored") return answer;
    try {
      if (await this.holdsCanary(timeMs, signal)) return answer;
      return { kind: "unknown", reason: "it took a canary point, and did not give it back" };
    } catch (thrown) {
      const kind = thrown instanceof Problem && !thrown.retryable ? "operator" : "unknown";
      return { kind, reason: `it took a canary point, and could not be read: ${messageOf(thrown)}` };
    }
  }

  async holdsCanary(timeMs: number, signal: AbortSignal): Promise<boolean> {
    const until = deadline(this.#readTimeoutMs, signal);
    const [rows] = await this.#ask([influxql.canaryStatement(canaryMeasurement, this.name, timeMs)], until);
    return recordsOf(rows ?? [])[0]?.n === timeMs;
  }

  // ---- reading -------------------------------------------------------------------------------------------------------

  async read({ measurement, fields, tags = [], windows }: ReadQuery, signal: AbortSignal): Promise<readonly Series[]> {
    if (fields.length === 0 || windows.length === 0) return [];
    const elapsedMs = stopwatch();
    const until = deadline(this.#readTimeoutMs, signal);
    const place = { bucket: "", measurement };
    const collector = await this.#collect(place, fields, tags, windows, until, (columns, names) => {
      return new SeriesCollector(measurement, columns, names, tags);
    });
    this.#counts.reads += 1;
    this.#counts.readSeconds += elapsedMs() / secondMs;
    this.#valuesPeak = Math.max(this.#valuesPeak, collector?.count ?? 0);
    return collector?.series() ?? [];
  }

  async points(measurement: string, window: TimeWindow, signal: AbortSignal, bucket = ""): Promise<readonly Point[]> {
    const until = this.#surveyDeadline(signal);
    const collector = await this.#collect({ bucket, measurement }, null, [], [window], until, (columns, names) => {
      return new PointCollector(measurement, columns, names);
    });
    return collector?.points ?? [];
  }

  /**
   * Tags and fields have to be known before they can be selected. So each request ends by asking for them: if they are
   * others than thought, because a tag or a field is new, rows of two series may have been taken for one, and it is
   * made again.
   * @param fields null: all
   * @returns null if there is nothing of these fields
   */
  async #collect<T extends { readonly count: number; add(part: Part): void }>(
    place: influxql.Place,
    fields: readonly string[] | null,
    matchers: NonNullable<ReadQuery["tags"]>,
    windows: ReadQuery["windows"],
    signal: AbortSignal,
    make: (columns: readonly string[], tags: readonly string[]) => T,
  ): Promise<T | null> {
    const { measurement } = place;
    const known = this.#schemas.get(placeKey(place));
    let schema = known ?? (await this.#schema(place, signal));
    let columns = columnsOf(schema, fields);
    if (columns.length === 0 && known !== undefined) {
      schema = await this.#schema(place, signal);
      columns = columnsOf(schema, fields);
    }
    while (columns.length > 0) {
      const names = columns.map(({ name }) => name);
      const collector = make(names, schema.tags);
      const asked = { tags: schema.tags, fields: columns };
      const selects = influxql.readStatements(place, asked, matchers, windows);
      const after: [Part[], Part[]] = [[], []];
      await this.#stream(
        [...selects, ...influxql.schemaStatements(place)],
        chunkRows(columns, schema.tags.length),
        (statement, part) => {
          const extra = statement - selects.length;
          if (extra >= 0) after[extra as 0 | 1].push(part);
          else collector.add(part);
          if (collector.count > this.#valuesMax) throw this.#tooMuch(measurement);
        },
        signal,
      );
      schema = this.#learn(place, ...after);
      columns = columnsOf(schema, fields);
      if (isDeepStrictEqual({ tags: schema.tags, fields: columns }, asked)) return collector;
      this.#log.debug({ replica: this.name, measurement }, "read again: a tag or a field is new, or gone");
    }
    return null;
  }

  async #schema(place: influxql.Place, signal: AbortSignal): Promise<influxql.Schema> {
    const [tags = [], fields = []] = await this.#ask(influxql.schemaStatements(place), signal);
    return this.#learn(place, tags, fields);
  }

  #learn(place: influxql.Place, tags: readonly Part[], fields: readonly Part[]): influxql.Schema {
    const schema = {
      tags: recordsOf(tags).map(({ tagKey }) => String(tagKey)),
      fields: recordsOf(fields).map(fieldColumn),
    };
    // Nobody can fill the memory with names that are asked for and do not exist.
    if (schema.fields.length === 0) this.#schemas.delete(placeKey(place));
    else this.#schemas.set(placeKey(place), schema);
    return schema;
  }

  async list(
    { measurement, sinceMs }: { measurement?: string | undefined; sinceMs?: number | undefined },
    signal: AbortSignal,
  ): Promise<readonly KnownSeries[]> {
    const until = this.#surveyDeadline(signal);
    const found: KnownSeries[][] = [];
    for (const [name, fields] of await this.#fieldsOf(until)) {
      if (measurement !== undefined && name !== measurement) continue;
      for (let start = 0; start < fields.length; start += fieldsAtOnce) {
        found.push(await this.#listFields(name, fields.slice(start, start + fieldsAtOnce), sinceMs, until));
      }
    }
    return found.flat();
  }

  async #listFields(
    measurement: string,
    fields: readonly influxql.FieldColumn[],
    sinceMs: number | undefined,
    signal: AbortSignal,
  ): Promise<KnownSeries[]> {
    const numbers = fields.filter(({ type }) => influxql.isNumber(type));
    const collector = new LatestCollector(measurement);
    await this.#stream(
      [
        ...fields.map((field) => influxql.lastStatement(measurement, field, sinceMs)),
        ...numbers.map((field) => influxql.lastNonzeroStatement(measurement, field)),
      ],
      chunkCells,
      (statement, part) => {
        const number = numbers[statement - fields.length];
        if (number === undefined) collector.addLast((fields[statement] as influxql.FieldColumn).name, part);
        else collector.addNonzero(number.name, part);
      },
      signal,
    );
    return collector.series();
  }

  async fields(signal: AbortSignal): Promise<readonly FieldType[]> {
    const all = await this.#fieldsOf(deadline(this.#readTimeoutMs, signal));
    return [...all].flatMap(([measurement, fields]) =>
      fields.map(({ name, type }): FieldType => ({ measurement, field: name, kind: fieldKinds[type] ?? "other" })),
    );
  }

  /** By measurement. */
  async #fieldsOf(signal: AbortSignal): Promise<Map<string, influxql.FieldColumn[]>> {
    const found = new Map<string, influxql.FieldColumn[]>();
    const [parts = []] = await this.#ask(["SHOW FIELD KEYS"], signal);
    for (const part of parts) {
      if (part.name === undefined || part.name === canaryMeasurement) continue;
      found.set(part.name, [...(found.get(part.name) ?? []), ...recordsOf([part]).map(fieldColumn)]);
    }
    return found;
  }

  async summarize(
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
    bucket = "",
  ): Promise<readonly PieceSummary[]> {
    const until = this.#surveyDeadline(signal);
    const place = { bucket, measurement };
    const { fields } = await this.#schema(place, until);
    if (fields.length === 0) return [];
    const [parts = []] = await this.#ask([influxql.summaryStatement(place, fields, window, everyMs)], until);
    return parts.flatMap(({ values = [] }) =>
      values.map((row) => ({ startMs: row[0] as number, fields: summaries(fields, row) })),
    );
  }

  // ---- down-sampling and forgetting ----------------------------------------------------------------------------------

  async rollUp(
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
  ): Promise<readonly Point[]> {
    const until = this.#surveyDeadline(signal);
    const numbers = (await this.#schema({ bucket: "", measurement }, until)).fields.filter(({ type }) =>
      influxql.isNumber(type),
    );
    if (numbers.length === 0) return [];
    const columns = numbers.flatMap(({ name }) => [`sum_${name}`, `mean_${name}`]);
    const points: Point[] = [];
    await this.#stream(
      [influxql.rollUpStatement(measurement, numbers, window, everyMs)],
      chunkCells,
      (_, part) => points.push(...pointsOf(measurement, columns, part)),
      until,
    );
    return points;
  }

  async rollUpInto(
    bucket: string,
    measurement: string,
    window: TimeWindow,
    everyMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const statement = influxql.rollUpIntoStatement(this.#database, bucket, measurement, window, everyMs);
    try {
      await this.#ask([statement], this.#surveyDeadline(signal));
      return true;
    } catch (thrown) {
      if (isNotImplemented(messageOf(thrown))) return false;
      throw thrown;
    }
  }

  async expire(beforeMs: number, signal: AbortSignal): Promise<number> {
    const until = this.#surveyDeadline(signal);
    return setup.expire(
      this.#server,
      beforeMs,
      async (statement) => countsOf((await this.#ask([statement], until)).flat()),
      until,
    );
  }

  // ---- setting up ----------------------------------------------------------------------------------------------------

  async prepare(buckets: readonly Bucket[], signal: AbortSignal): Promise<{ readonly rollsUp: boolean }> {
    return { rollsUp: await setup.prepare(this.#server, buckets, deadline(this.#readTimeoutMs, signal)) };
  }

  inspect(signal: AbortSignal): Promise<ReplicaFacts> {
    return setup.inspect(this.#server, deadline(this.#readTimeoutMs, signal));
  }

  /** This server as {@link setup} asks it. */
  #asServer(): setup.Server {
    return {
      database: this.#database,
      quote: influxql.quoteName,
      nowMs: () => this.#clock.nowMs(),
      generation: (signal) => this.#answered(this.#wire.generation(signal)),
      rows: async (statement, signal, series) => {
        const [parts = []] = await this.#ask([statement], signal);
        return recordsOf(series === undefined ? parts : parts.filter(({ name }) => name === series));
      },
      carryOut: async (statements, signal) => {
        await this.#ask(statements, signal);
      },
      call: (method, path, body, signal) => {
        const text = body === null ? "" : JSON.stringify(body);
        return this.#answered(this.#wire.request(method, path, text, signal, { "content-type": "application/json" }));
      },
      ping: async (signal) => {
        const reply = await this.#answered(this.#wire.ping(signal));
        return { ...reply, version: versionOf(reply) };
      },
      writeNothing: (signal) => this.#answered(this.#write("", "", {}, signal)),
      refusal: ({ status, body }) => this.#refused(status, textOf(body)),
    };
  }

  // ---- asking --------------------------------------------------------------------------------------------------------

  #surveyDeadline(signal: AbortSignal): AbortSignal {
    return deadline(this.#surveyTimeoutMs, signal);
  }

  /** The answers of some statements, as a whole. @throws Problem */
  async #ask(statements: readonly string[], signal: AbortSignal): Promise<Part[][]> {
    const answers = statements.map((): Part[] => []);
    await this.#stream(statements, chunkCells, (statement, part) => answers[statement]?.push(part), signal);
    return answers;
  }

  /** @throws Problem, or what `each` throws */
  async #stream(statements: readonly string[], chunkSize: number, each: Each, signal: AbortSignal): Promise<void> {
    const body = new URLSearchParams({
      db: this.#database,
      epoch: "ms",
      chunked: "true",
      chunk_size: `${chunkSize}`,
      q: statements.join(";"),
    });
    try {
      await readAnswer(this.#wire.stream("/query", body.toString(), signal), statements.length, each);
    } catch (thrown) {
      if (thrown instanceof Problem) throw thrown;
      if (thrown instanceof HttpError) throw this.#refused(thrown.statusCode, textOf(thrown.body ?? ""));
      if (!(thrown instanceof BodyError)) throw this.#unanswered(thrown);
      // Of a statement that is not the first, a server may only say that it was not carried out.
      const alone =
        thrown.message === "not executed" && statements.length > 1 ? statements[thrown.statement ?? 0] : undefined;
      if (alone !== undefined) await this.#ask([alone], signal);
      throw this.#refused(200, thrown.message);
    }
  }

  async #answered<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply;
    } catch (thrown) {
      throw this.#unanswered(thrown);
    }
  }

  #refused(status: number, text: string): Problem {
    const what = this.#wire.redacted(text === "" ? `HTTP ${status}` : text);
    return new Problem(cut(`${this.name} refuses: ${what}`), { where: this.place, ...faultOf(status, text) });
  }

  #unanswered(thrown: unknown): Problem {
    return new Problem(`${this.name} does not answer: ${this.#noAnswer(thrown)}`, {
      where: this.place,
      fix: "see whether the server runs and can be reached",
      retryable: true,
      cause: thrown,
    });
  }

  #noAnswer(thrown: unknown): string {
    if (thrown instanceof DOMException && thrown.name === "TimeoutError") return "no answer in time";
    return cut(this.#wire.redacted(messageOf(thrown) || String((thrown as { code?: unknown }).code)));
  }

  #tooMuch(measurement: string): Problem {
    return new Problem(`more than ${this.#valuesMax} values of ${measurement} were asked for at once`, {
      code: "QRY-001",
      where: this.place,
      fix: "ask for shorter windows, or for fewer series",
    });
  }

  measures(): Measure[] {
    const labels = { replica: this.name };
    const { reads, readSeconds } = this.#counts;
    return [
      { name: "bellwether_replica_reads_total", help: "Reads of series.", kind: "counter", value: reads, labels },
      {
        name: "bellwether_replica_read_seconds_total",
        help: "Time spent reading series.",
        kind: "counter",
        value: readSeconds,
        labels,
      },
      {
        name: "bellwether_replica_read_values_peak",
        help: "Values that the largest read returned.",
        kind: "gauge",
        value: this.#valuesPeak,
        labels,
      },
      {
        name: "bellwether_replica_read_values_limit",
        help: "Values that one read may return.",
        kind: "gauge",
        value: this.#valuesMax,
        labels,
      },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#wire[Symbol.dispose]();
  }
}

function fieldColumn({ fieldKey, fieldType }: Record<string, Cell>): influxql.FieldColumn {
  return { name: String(fieldKey), type: String(fieldType) };
}

function chunkRows(fields: readonly influxql.FieldColumn[], tags: number): number {
  const cells = fields.some(({ type }) => type === "string") ? chunkTextCells : chunkCells;
  return Math.max(100, Math.floor(cells / (1 + fields.length + tags)));
}

/** Those that were asked for, in that order; null: all. */
function columnsOf(schema: influxql.Schema, fields: readonly string[] | null): readonly influxql.FieldColumn[] {
  if (fields === null) return schema.fields;
  return [...new Set(fields)].flatMap((field) => schema.fields.filter(({ name }) => name === field));
}

/** A row of `time`, then the calls of each field. A field that has two types is counted once. */
function summaries(fields: readonly influxql.FieldColumn[], row: readonly Cell[]): PieceSummary["fields"] {
  const found = new Map<string, PieceSummary["fields"][number]>();
  let place = 1;
  for (const field of fields) {
    const width = influxql.summaryCalls(field).length;
    const [count, sum = null, min = null, max = null] = row.slice(place, place + width) as (number | null)[];
    place += width;
    if (count === null || count === undefined || count === 0) continue;
    const before = found.get(field.name);
    found.set(field.name, {
      field: field.name,
      count: count + (before?.count ?? 0),
      sum: sum ?? before?.sum ?? null,
      min: min ?? before?.min ?? null,
      max: max ?? before?.max ?? null,
    });
  }
  return [...found.values()];
}

/** Field values of all measurements but the canary. */
function countsOf(parts: readonly Part[]): number {
  const counted = parts.filter(({ name }) => name !== canaryMeasurement);
  return counted
    .flatMap(({ values = [] }) => values.flatMap((row) => row.slice(1)))
    .reduce<number>((sum, count) => sum + Number(count ?? 0), 0);
}

function placeKey({ bucket, measurement }: influxql.Place): string {
  return `${bucket}\n${measurement}`;
}
