/**
 * Rows of aggregations over the documents of a slot, or of an ES|QL query. Nothing but searches is sent, and only a
 * whole answer counts: what ran out of time, lacks a shard or a bucket is a failed slot, never a value.
 */
import type { Connection } from "../../core/definitions.ts";
import type { Row, TimeWindow } from "../../core/model.ts";
import type { Plugin, Source, SourceAnswer, SourceDeps, SourceFacts } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { type Share, Shares } from "../../core/shares.ts";
import { minuteMs, parseDurationMs, stopwatch, timedOut, timeLeftMs } from "../../core/time.ts";
import { bound, esqlBody, esqlIndices, shortRows, sized, withinSlot } from "./elasticsearch-ask.ts";
import { ElasticsearchClient } from "./elasticsearch-client.ts";
import { connectionOptions, type ElasticsearchConnection } from "./elasticsearch-connection.ts";
import { factsOf, fieldsRequest, strict } from "./elasticsearch-facts.ts";
import { type Fields, fieldProblems, namesOf } from "./elasticsearch-fields.ts";
import {
  aggregationsAsked,
  asksForSlot,
  columnsBy,
  countColumn,
  findingsOf,
  type SamplerOptions,
  samplerOptions,
} from "./elasticsearch-options.ts";
import { cutAt, notElasticsearch, partial, whyPartial } from "./elasticsearch-problems.ts";
import { isMap, type Json, type JsonMap } from "./elasticsearch-queries.ts";
import { rowsOf } from "./elasticsearch-rows.ts";

/** How long it is taken for granted that the fields are there. */
const fieldsMs = 10 * minuteMs;

const clients = new Shares<ElasticsearchClient>();

class ElasticsearchSource implements Source {
  readonly #options: SamplerOptions;
  readonly #connection: ElasticsearchConnection;
  readonly #deps: SourceDeps;
  readonly #where: string;
  readonly #share: Share<ElasticsearchClient>;
  readonly #aggs: JsonMap;
  readonly #fields: Fields;
  readonly #scripted: boolean;
  #fieldsAgeMs: (() => number) | null = null;

  constructor(options: SamplerOptions, connection: Connection, deps: SourceDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#connection = connectionOptions.parse(connection.options);
    this.#where = `connection ${connection.name}`;
    const { scripts, searched, aggregated } = findingsOf(options);
    if (scripts.length > 0 && !this.#connection.scripts) throw noScripts(connection, scripts[0]?.path ?? []);
    this.#scripted = scripts.length > 0;
    const time = options.body === undefined && options.esql === undefined ? (options.time ?? "@timestamp") : null;
    this.#fields = { time, searched: [...searched], aggregated: [...aggregated] };
    this.#aggs = sized(aggregationsAsked(options), options.rows_max);
    const key = JSON.stringify([connection.name, this.#connection]);
    this.#share = clients.share(deps, key, () => new ElasticsearchClient(connection, this.#connection, deps));
  }

  async read(window: TimeWindow, signal: AbortSignal): Promise<SourceAnswer> {
    return this.#held(signal, async (client) => {
      const elapsedMs = stopwatch();
      const { esql, index } = this.#options;
      if (esql !== undefined) return this.#table(await client.ask(this.#query(esql, window), signal), elapsedMs);
      await this.#checkFields(client, index as string, signal);
      return this.#flat(await client.ask(this.#search(window, signal), signal), elapsedMs);
    });
  }

  async inspect(window: TimeWindow, signal: AbortSignal): Promise<SourceFacts> {
    const { esql, index } = this.#options;
    return this.#held(signal, (client) =>
      factsOf(
        client,
        {
          index: esql === undefined ? (index as string) : esqlIndices(esql),
          fields: this.#fields,
          query: this.#scripted || esql !== undefined ? null : this.#documents(window),
          where: this.#where,
          production: this.#deps.production,
        },
        signal,
      ),
    );
  }

  /** Searches under way finish first; the last source of a connection closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#share.giveBack();
  }

  async #held<T>(signal: AbortSignal, work: (client: ElasticsearchClient) => Promise<T>): Promise<T> {
    const elapsedMs = stopwatch();
    const held = this.#share.another();
    try {
      return await work(held.thing);
    } catch (thrown) {
      throw timedOut(signal) ? cutAt(elapsedMs(), this.#where) : thrown;
    } finally {
      await held.giveBack();
    }
  }

  /** Which documents, as a query with the slot's bounds in it. */
  #documents(window: TimeWindow): JsonMap {
    const { body, query } = this.#options;
    if (this.#fields.time !== null) return withinSlot(query as Json | undefined, this.#fields.time, window);
    return bound((body?.query ?? { match_all: {} }) as Json, window) as JsonMap;
  }

  #search(window: TimeWindow, signal: AbortSignal) {
    const aggs = bound(this.#aggs, window) as JsonMap;
    // Should the server not hear that we gave up.
    const limitMs = parseDurationMs(this.#connection.search_timeout) as number;
    const timeout = `${Math.max(1, Math.ceil(Math.min(limitMs, timeLeftMs(signal))))}ms`;
    return {
      method: "POST",
      path: `/${this.#options.index}/_search`,
      query: { ...strict, allow_partial_search_results: false },
      body: { size: 0, track_total_hits: true, timeout, query: this.#documents(window), aggs },
    } as const;
  }

  #query(esql: string, window: TimeWindow) {
    const body = esqlBody(esql, this.#options.rows_max, window);
    return { method: "POST", path: "/_query", query: { allow_partial_results: false }, body } as const;
  }

  /** A sum over a field that is not there would be 0, and so would be every count by a time that is not there. */
  async #checkFields(client: ElasticsearchClient, index: string, signal: AbortSignal): Promise<void> {
    if (this.#fieldsAgeMs !== null && this.#fieldsAgeMs() < fieldsMs) return;
    const names = namesOf(this.#fields);
    if (names.length > 0) {
      const [problem] = fieldProblems(
        this.#fields,
        await client.ask(fieldsRequest(index, names), signal),
        index,
        this.#where,
      );
      if (problem !== undefined) throw problem;
    }
    this.#fieldsAgeMs = stopwatch();
  }

  #flat(answer: JsonMap, elapsedMs: () => number): SourceAnswer {
    const total = isMap(answer.hits) && isMap(answer.hits.total) ? answer.hits.total.value : undefined;
    this.#whole(answer);
    if (typeof total !== "number") throw notElasticsearch("no number of documents in it", this.#where);
    const { by, values } = this.#options;
    const { rows, cut, odd } = rowsOf(this.#aggs, answer.aggregations, total, countColumn(this.#options));
    if (odd !== null) throw notElasticsearch(odd, this.#where);
    this.#bounded(rows);
    if (cut !== null) {
      throw new Problem(`${cut}: a part is never taken for the whole`, {
        code: "ELS-008",
        where: this.#where,
        fix: "raise the size of the aggregation, filter by query, or use by, which knows no order and leaves nothing out",
      });
    }
    const named = by === undefined && values === undefined ? rows : shortRows(rows, columnsBy({ by }), values ?? {});
    return { rows: named, cost: costOf(answer, total, elapsedMs) };
  }

  #table(answer: JsonMap, elapsedMs: () => number): SourceAnswer {
    this.#whole(answer);
    const { columns, values } = answer;
    if (!Array.isArray(columns) || !Array.isArray(values)) throw notElasticsearch("no columns in it", this.#where);
    const names = columns.map((column) => (isMap(column) ? String(column.name) : ""));
    const rows = values.map((cells) =>
      Object.fromEntries(names.map((name, at) => [name, (cells as Json[])[at] ?? null])),
    );
    this.#bounded(rows);
    const found = answer.documents_found;
    return { rows, cost: costOf(answer, typeof found === "number" ? found : null, elapsedMs) };
  }

  #whole(answer: JsonMap): void {
    const why = whyPartial(answer);
    if (why !== null) throw partial(why, this.#where);
  }

  #bounded(rows: readonly Row[]): void {
    const { rows_max } = this.#options;
    if (rows.length <= rows_max) return;
    throw new Problem(`stopped at more than ${rows_max} rows`, {
      code: "ELS-007",
      where: this.#where,
      fix: "group more coarsely, or raise rows_max",
    });
  }
}

/** The server counts whole milliseconds; below one we know better how long it took. */
function costOf({ took }: JsonMap, rowsRead: number | null, elapsedMs: () => number): SourceAnswer["cost"] {
  return { serverMs: typeof took === "number" && took > 0 ? took : elapsedMs(), rowsRead };
}

function noScripts({ name, place }: Connection, path: readonly string[]): Problem {
  return new Problem(`connection ${name} takes no scripts`, {
    code: "ELS-002",
    where: place,
    path: path.join("."),
    fix: "write it without a script, or have whoever answers for the server set scripts: true",
  });
}

export const elasticsearch: Plugin<Source, SamplerOptions, SourceDeps> = {
  kind: "elasticsearch",
  summary: "Counts, sums and percentiles of documents in Elasticsearch, by its aggregations or ES|QL.",
  example: `elasticsearch:
  connection: logs
  index: payments-*
  time: "@timestamp"
  query: { term: { status: settled } }
  by: { country: country.keyword, channel: { field: channel, missing: none } }
  values:
    amount: { sum: amount }
    latency_p95: { p95: duration_ms }
`,
  options: samplerOptions,
  connections: { elasticsearch: connectionOptions },
  create: (options, deps) => new ElasticsearchSource(options, connectionOf(options.connection, deps.connections), deps),
  isRepeatable: asksForSlot,
  warnings: (options) => {
    if (asksForSlot(options)) return [];
    return [
      new Problem("not repeatable: gaps cannot be sampled again", {
        code: "ELS-W11",
        path: options.esql === undefined ? "body" : "esql",
        fix:
          options.esql === undefined
            ? 'put a range over the time field into the query, from ":slot_start" to ":slot_end"'
            : "compare the time field with ?slot_start and ?slot_end",
        severity: "warning",
      }),
    ];
  },
  measures: (deps) => clients.measures(deps),
};

function connectionOf(name: string, connections: ReadonlyMap<string, Connection>): Connection {
  const connection = connections.get(name);
  if (connection?.kind === "elasticsearch") return connection;
  const what = connection === undefined ? "unknown connection" : `cannot read connections of kind ${connection.kind}`;
  const known = [...connections.values()].filter(({ kind }) => kind === "elasticsearch").map((each) => each.name);
  throw new Problem(`${what} (got ${JSON.stringify(name)})`, {
    where: connection?.place ?? "rules/connections.yaml",
    fix: `name one of ${known.join(", ") || "the connections of kind elasticsearch in rules/connections.yaml"}`,
  });
}
