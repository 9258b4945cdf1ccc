/**
 * What is known without asking a server: of each field the kind of its values, and of each series the time of its
 * latest point. The kinds are checked before anything is spooled, so that all servers see one schema.
 */
import { promisify } from "node:util";
import { gunzipSync, gzip } from "node:zlib";
import type { FieldValue, Point, Tags } from "../core/model.ts";
import type { FieldKind, FieldType, KnownSeries, Origin } from "../core/ports.ts";
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
/** Series that are put into words before others get their turn: some five milliseconds. */
const pieceSeries = 5_000;
/** How long a start reads batches that no snapshot holds; the servers are asked for what it did not come to. */
const readMsMax = secondMs;

const pack = promisify(gzip);

export class Catalogue {
  readonly #spool: Spool;
  readonly #kinds = new Map<string, Kind>();
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
      if (kinds.includes(kind)) this.#kinds.set(fieldKey(measurement, field), { kind, sampler, sinceMs });
    }
    this.complete = this.#load();
  }

  get seriesCount(): number {
    return this.#count;
  }

  /** `PNT-008 ...` with field, both kinds and whose it is, if a point's field is of another kind than it has been. */
  conflict(point: Point): string | null {
    for (const name in point.fields) {
      const known = this.#kinds.get(fieldKey(point.measurement, name));
      const kind = kindOf(point.fields[name] as FieldValue);
      if (known === undefined || known.kind === kind) continue;
      const whose = known.sampler === null ? "" : ` (sampler ${known.sampler})`;
      return `PNT-008 field "${name}" is a ${kind}, and a ${known.kind} since ${formatTimeUtc(known.sinceMs)}${whose}`;
    }
    return null;
  }

  /** Takes up fields that are new, durably: from now on they have that kind. */
  claim({ measurement, fields }: Point, origin: Origin | undefined, nowMs: number): void {
    const fresh = Object.keys(fields).filter((field) => !this.#kinds.has(fieldKey(measurement, field)));
    if (fresh.length === 0) return;
    const types = fresh.map((field) => ({ measurement, field, kind: kindOf(fields[field] as FieldValue) }));
    this.#keep(types, origin?.sampler ?? null, nowMs);
  }

  /** Takes up what a server has already; returns the fields whose kind is another there. */
  learn(fields: readonly FieldType[], nowMs: number): { field: FieldType; known: FieldType["kind"] }[] {
    const known = (each: FieldType) => this.#kinds.get(fieldKey(each.measurement, each.field))?.kind;
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
      this.#kinds.set(fieldKey(measurement, field), { kind, sampler, sinceMs: nowMs });
    }
  }

  kindOf(measurement: string, field: string): FieldKind | null {
    const kind = this.#kinds.get(fieldKey(measurement, field))?.kind;
    return kind === undefined || kind === "other" ? null : kind;
  }

  /** Those whose fields are known, sorted. */
  measurements(): string[] {
    return [...new Set([...this.#kinds.keys()].map((key) => key.slice(0, key.indexOf("\n"))))].sort();
  }

  /** @param key of the point, as {@link seriesKey} says it */
  note(key: string, { measurement, tags, fields, timeMs }: Point): void {
    for (const field in fields) {
      const value = fields[field];
      const nonzero = typeof value === "number" && value !== 0;
      this.#note(measurement, key, tags, field, timeMs, nonzero ? timeMs : null);
    }
  }

  merge(known: readonly KnownSeries[]): void {
    for (const { measurement, tags, field, lastMs, lastNonzeroMs } of known) {
      this.#note(measurement, seriesKey({ measurement, tags }), tags, field, lastMs, lastNonzeroMs);
    }
  }

  #note(measurement: string, key: string, tags: Tags, field: string, lastMs: number, nonzeroMs: number | null): void {
    const bySeries = this.#series.get(measurement) ?? new Map<string, SeriesOfTags>();
    if (bySeries.size === 0) this.#series.set(measurement, bySeries);
    const series = bySeries.get(key) ?? { tags: { ...tags }, fields: new Map<string, Latest>() };
    if (series.fields.size === 0) bySeries.set(key, series);
    const known = series.fields.get(field);
    if (known === undefined) {
      series.fields.set(field, { lastMs, lastNonzeroMs: nonzeroMs });
      this.#count += 1;
      return;
    }
    if (known.lastMs < lastMs) known.lastMs = lastMs;
    if (nonzeroMs !== null && (known.lastNonzeroMs === null || known.lastNonzeroMs < nonzeroMs))
      known.lastNonzeroMs = nonzeroMs;
  }

  list(query: { measurement?: string | undefined; sinceMs?: number | undefined }): KnownSeries[] {
    const { measurement: only, sinceMs = Number.NEGATIVE_INFINITY } = query;
    const found: KnownSeries[] = [];
    for (const [measurement, bySeries] of this.#series) {
      if (only !== undefined && only !== measurement) continue;
      for (const { tags, fields } of bySeries.values()) {
        for (const [field, latest] of fields) {
          if (latest.lastMs >= sinceMs) found.push({ measurement, tags, field, ...latest });
        }
      }
    }
    return found;
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
    const known = this.list({});
    const lines: string[] = [];
    for (let start = 0; start < known.length; start += pieceSeries) {
      const piece = known.slice(start, start + pieceSeries);
      lines.push(piece.map((series) => JSON.stringify(series)).join("\n"));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const body = await pack(lines.join("\n"), { level: 1 });
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
      const known = text === "" ? [] : text.split("\n").map((line) => JSON.parse(line) as KnownSeries);
      this.merge(known);
      return row.seq;
    } catch {
      return null;
    }
  }
}

function fieldKey(measurement: string, field: string): string {
  return `${measurement}\n${field}`;
}
