/**
 * What is known without asking a server: of each field the kind of its values, and of each series the time of its
 * latest point. The kinds are checked before anything is spooled, so that all servers see one schema.
 */
import { promisify } from "node:util";
import { gunzipSync, gzip } from "node:zlib";
import type { FieldValue, Point, Tags } from "../core/model.ts";
import type { FieldType, KnownSeries, Origin } from "../core/ports.ts";
import { formatTimeUtc, secondMs, stopwatch } from "../core/time.ts";
import { kindOf, parseLines, seriesKey } from "./line.ts";
import type { Spool } from "./spool.ts";

type Kind = { readonly kind: FieldType["kind"]; readonly sampler: string | null; readonly sinceMs: number };
type Latest = { lastMs: number; lastNonzeroMs: number | null };
type SeriesOfTags = { readonly tags: Tags; readonly fields: Map<string, Latest> };
type FieldRow = {
  measurement: string;
  field: string;
  kind: FieldType["kind"];
  sampler: string | null;
  since_ms: number;
};

const kinds: readonly FieldType["kind"][] = ["number", "text", "boolean", "other"];
/** Of the snapshot that are written before others get their turn: some two thousand series, a few milliseconds. */
const pieceChars = 262_144;
/** How long a start reads batches that no snapshot holds; the servers are asked for what it did not come to. */
const readMsMax = secondMs;

const pack = promisify(gzip);

export class Catalogue {
  readonly #spool: Spool;
  /** By measurement, then by field. */
  readonly #kinds = new Map<string, Map<string, Kind>>();
  /** By measurement, then by what a line of the series begins with. */
  readonly #series = new Map<string, Map<string, SeriesOfTags>>();
  /** False: the servers have not been asked, and what is known was only learnt from this process's own writes. */
  complete: boolean;
  #count = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
    for (const row of spool.file.sql<[], FieldRow>("select * from field").all()) {
      const { measurement, field, kind, sampler, since_ms: sinceMs } = row;
      // A damaged one is learnt anew.
      if (kinds.includes(kind)) this.#learnKind(measurement, field, { kind, sampler, sinceMs });
    }
    this.complete = this.#load();
  }

  get seriesCount(): number {
    return this.#count;
  }

  /** `PNT-008 ...` with field, both kinds and whose it is, if a point's field is of another kind than it has been. */
  conflict(point: Point): string | null {
    const kinds = this.#kinds.get(point.measurement);
    for (const name in point.fields) {
      const known = kinds?.get(name);
      const kind = kindOf(point.fields[name] as FieldValue);
      if (known === undefined || known.kind === kind) continue;
      const whose = known.sampler === null ? "" : ` (sampler ${known.sampler})`;
      return `PNT-008 field "${name}" is a ${kind}, and a ${known.kind} since ${formatTimeUtc(known.sinceMs)}${whose}`;
    }
    return null;
  }

  /** Takes up fields that are new, durably: from now on they have that kind. */
  claim({ measurement, fields }: Point, origin: Origin | undefined, nowMs: number): void {
    const kinds = this.#kinds.get(measurement);
    for (const field in fields) {
      if (kinds?.has(field) === true) continue;
      const type = { measurement, field, kind: kindOf(fields[field] as FieldValue) };
      this.#keep([type], origin?.sampler ?? null, nowMs);
    }
  }

  /** Takes up what a server has already; returns the fields whose kind is another there. */
  learn(fields: readonly FieldType[], nowMs: number): { field: FieldType; known: FieldType["kind"] }[] {
    const known = (each: FieldType) => this.#kinds.get(each.measurement)?.get(each.field)?.kind;
    this.#keep(
      fields.filter((each) => known(each) === undefined),
      null,
      nowMs,
    );
    return fields.flatMap((field) =>
      known(field) === field.kind ? [] : [{ field, known: known(field) ?? field.kind }],
    );
  }

  #keep(fields: readonly FieldType[], sampler: string | null, nowMs: number): void {
    if (fields.length === 0) return;
    this.#spool.file.durable(() => {
      for (const { measurement, field, kind } of fields) {
        this.#spool.file
          .sql<[string, string, string, string | null, number], never>(
            "insert or replace into field values (?, ?, ?, ?, ?)",
          )
          .run(measurement, field, kind, sampler, nowMs);
      }
    });
    for (const { measurement, field, kind } of fields) {
      this.#learnKind(measurement, field, { kind, sampler, sinceMs: nowMs });
    }
  }

  #learnKind(measurement: string, field: string, kind: Kind): void {
    const kinds = this.#kinds.get(measurement) ?? new Map<string, Kind>();
    kinds.set(field, kind);
    this.#kinds.set(measurement, kinds);
  }

  /** Those whose fields are known, sorted. */
  measurements(): string[] {
    return [...this.#kinds.keys()].sort();
  }

  /** @param key of the point, as {@link seriesKey} says it */
  note(key: string, { measurement, tags, fields, timeMs }: Point): void {
    const series = this.#seriesOf(measurement, key, tags);
    for (const field in fields) {
      const value = fields[field];
      this.#note(series, field, timeMs, typeof value === "number" && value !== 0 ? timeMs : null);
    }
  }

  merge(known: readonly KnownSeries[]): void {
    for (const { measurement, tags, field, lastMs, lastNonzeroMs } of known) {
      this.#note(this.#seriesOf(measurement, seriesKey({ measurement, tags }), tags), field, lastMs, lastNonzeroMs);
    }
  }

  #seriesOf(measurement: string, key: string, tags: Tags): SeriesOfTags {
    let bySeries = this.#series.get(measurement);
    if (bySeries === undefined) {
      bySeries = new Map();
      this.#series.set(measurement, bySeries);
    }
    let series = bySeries.get(key);
    if (series === undefined) {
      series = { tags: { ...tags }, fields: new Map() };
      bySeries.set(key, series);
    }
    return series;
  }

  #note({ fields }: SeriesOfTags, field: string, lastMs: number, nonzeroMs: number | null): void {
    const known = fields.get(field);
    if (known === undefined) {
      fields.set(field, { lastMs, lastNonzeroMs: nonzeroMs });
      this.#count += 1;
      return;
    }
    if (known.lastMs < lastMs) known.lastMs = lastMs;
    if (nonzeroMs !== null && (known.lastNonzeroMs === null || known.lastNonzeroMs < nonzeroMs)) {
      known.lastNonzeroMs = nonzeroMs;
    }
  }

  list(query: { measurement?: string | undefined; sinceMs?: number | undefined }): KnownSeries[] {
    const { measurement: only, sinceMs = Number.NEGATIVE_INFINITY } = query;
    const found: KnownSeries[] = [];
    for (const series of this.#each(only)) if (series.lastMs >= sinceMs) found.push(series);
    return found;
  }

  *#each(only?: string): Generator<KnownSeries> {
    for (const [measurement, bySeries] of this.#series) {
      if (only !== undefined && only !== measurement) continue;
      for (const { tags, fields } of bySeries.values()) {
        for (const [field, latest] of fields) yield { measurement, tags, field, ...latest };
      }
    }
  }

  /** Forgets series whose latest point is older, and of the others nonzero numbers that are. */
  expire(beforeMs: number): void {
    for (const bySeries of this.#series.values()) {
      for (const [key, { fields }] of bySeries) {
        for (const [field, latest] of fields) {
          if (latest.lastMs < beforeMs) {
            fields.delete(field);
            this.#count -= 1;
          } else if (latest.lastNonzeroMs !== null && latest.lastNonzeroMs < beforeMs) latest.lastNonzeroMs = null;
        }
        if (fields.size === 0) bySeries.delete(key);
      }
    }
  }

  /** Keeps what is known, so that the next start need not ask the servers. Batches after it are read again then. */
  async save(): Promise<void> {
    if (!this.complete) return;
    const seq = this.#spool.lastSeq;
    const pieces: Buffer[] = [];
    let text = "";
    for (const series of this.#each()) {
      text += `${JSON.stringify(series)}\n`;
      if (text.length < pieceChars) continue;
      pieces.push(Buffer.from(text));
      text = "";
      await new Promise((resolve) => setImmediate(resolve));
    }
    pieces.push(Buffer.from(text));
    const body = await pack(Buffer.concat(pieces), { level: 1 });
    this.#spool.file.relaxed(() =>
      this.#spool.file
        .sql<[number, Uint8Array], never>("insert or replace into catalogue values (1, ?, ?)")
        .run(seq, body),
    );
  }

  /** @returns whether nothing is missing: all batches since the snapshot are still there */
  #load(): boolean {
    const elapsedMs = stopwatch();
    const seq = this.#loadSnapshot();
    const { whole, batches } = this.#spool.since(seq ?? this.#spool.handedOver());
    for (const { body } of batches) {
      for (const point of parseLines(gunzipSync(body).toString())) this.note(seriesKey(point), point);
      if (elapsedMs() > readMsMax) return false;
    }
    return seq !== null && whole;
  }

  /** @returns the batch that it was taken at; null if there is none that can be read */
  #loadSnapshot(): number | null {
    const row = this.#spool.file.sql<[], { seq: number; body: Buffer }>("select seq, body from catalogue").get();
    if (row === undefined || row.body.length === 0) return null;
    try {
      const text = gunzipSync(row.body).toString();
      const lines = text.split("\n").slice(0, -1);
      this.merge(lines.map((line) => JSON.parse(line) as KnownSeries));
      return row.seq;
    } catch {
      return null;
    }
  }
}
