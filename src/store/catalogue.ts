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

type Field = {
  readonly measurement: string;
  readonly field: string;
  readonly kind: FieldKind;
  readonly sampler: string | null;
  readonly sinceMs: number;
  /** False: it is known for as long as a write that has it is under way, and longer only if one succeeds. */
  written: boolean;
  /** Writes under way that have it. */
  writes: number;
};
type Latest = { lastMs: number; lastNonzeroMs: number | null };
type SeriesOfTags = { readonly tags: Tags; readonly fields: Map<string, Latest> };
type FieldRow = {
  measurement: string;
  field: string;
  kind: FieldType["kind"];
  sampler: string | null;
  since_ms: number;
};

const kinds: readonly FieldType["kind"][] = ["number", "text", "boolean"];
/** Of the snapshot that are written before others get their turn: some two thousand series, a few milliseconds. */
const pieceChars = 262_144;
/** How long a start reads batches that no snapshot holds; the servers are asked for what it did not come to. */
const readMsMax = secondMs;

const pack = promisify(gzip);

/** The fields of one write; to be disposed of when that has succeeded or failed. */
export type Claim = Disposable & {
  /** Takes up the fields of a point; null, or why it cannot be stored: see {@link Catalogue.conflict}. */
  readonly take: (point: Point) => string | null;
  /** In the transaction that stores the points: what is new is stored with them. */
  readonly write: () => void;
  /** That transaction is through. Without it, what was new is forgotten. */
  readonly keep: () => void;
};

export class Catalogue {
  readonly #spool: Spool;
  /** By measurement, then by field. */
  readonly #fields = new Map<string, Map<string, Field>>();
  /** By measurement, then by what a line of the series begins with. */
  readonly #series = new Map<string, Map<string, SeriesOfTags>>();
  /** False: the servers have not been asked, and what is known was only learnt from this process's own writes. */
  complete: boolean;
  #count = 0;

  constructor(spool: Spool) {
    this.#spool = spool;
    for (const row of spool.file.sql<[], FieldRow>("select * from field").all()) {
      const { kind, since_ms: sinceMs, ...rest } = row;
      // A damaged one is learnt anew.
      if (isOurs(kind)) this.#know({ ...rest, kind, sinceMs, written: true, writes: 0 });
    }
    this.complete = this.#load();
  }

  get seriesCount(): number {
    return this.#count;
  }

  /** `PNT-008 ...` with field, both kinds and whose it is, if a point's field is of another kind than it has been. */
  conflict(point: Point): string | null {
    const fields = this.#fields.get(point.measurement);
    for (const name in point.fields) {
      const known = fields?.get(name);
      const kind = kindOf(point.fields[name] as FieldValue);
      if (known === undefined || known.kind === kind) continue;
      const whose = known.sampler === null ? "" : ` (sampler ${known.sampler})`;
      return `PNT-008 field "${name}" is a ${kind}, and a ${known.kind} since ${formatTimeUtc(known.sinceMs)}${whose}`;
    }
    return null;
  }

  /** For the points of one write: fields that are new have their kind from then on, for good once it is stored. */
  claim(origin: Origin | undefined, nowMs: number): Claim {
    const held = new Set<Field>();
    const keep = (): void => {
      for (const field of held) field.written = true;
    };
    return {
      take: (point) => {
        const conflict = this.conflict(point);
        if (conflict === null) this.#hold(point, held, origin?.sampler ?? null, nowMs);
        return conflict;
      },
      write: () => this.#write([...held].filter(({ written }) => !written)),
      keep,
      [Symbol.dispose]: () => {
        for (const field of held) {
          field.writes -= 1;
          if (!field.written && field.writes === 0) this.#forget(field);
        }
      },
    };
  }

  #hold({ measurement, fields }: Point, held: Set<Field>, sampler: string | null, sinceMs: number): void {
    const known = this.#fields.get(measurement);
    for (const field in fields) {
      const kind = kindOf(fields[field] as FieldValue);
      const found =
        known?.get(field) ?? this.#know({ measurement, field, kind, sampler, sinceMs, written: false, writes: 0 });
      if (held.has(found)) continue;
      held.add(found);
      found.writes += 1;
    }
  }

  /**
   * Takes up what a server has already; returns the fields whose kind is another there. One that we never write, as an
   * integer, is such a field whether we know it or not, and never taken up: the other servers take what this one
   * refuses.
   * @returns `known`: the kind that we write; null: we do not have that field
   */
  learn(fields: readonly FieldType[], nowMs: number): { field: FieldType; known: FieldKind | null }[] {
    const fresh: Field[] = [];
    const others: { field: FieldType; known: FieldKind | null }[] = [];
    for (const field of fields) {
      const known = this.#fields.get(field.measurement)?.get(field.field);
      if (known !== undefined && known.kind !== field.kind) others.push({ field, known: known.kind });
      else if (!isOurs(field.kind)) others.push({ field, known: null });
      else if (known === undefined) {
        fresh.push(
          this.#know({ ...field, kind: field.kind, sampler: null, sinceMs: nowMs, written: false, writes: 0 }),
        );
      } else if (!known.written) fresh.push(known);
    }
    if (fresh.length === 0) return others;
    this.#spool.file.durable(() => this.#write(fresh));
    for (const field of fresh) field.written = true;
    return others;
  }

  /**
   * The way back from a wrong kind: forgets fields that no server has any more with the kind that we know, as after
   * their measurement was dropped everywhere.
   * @param fieldsByServer of every server: what one that was not asked has would be forgotten
   * @param upToSeq what {@link Spool.handedOver} said before the first was asked: a later batch may hold such a field
   * @returns those that were forgotten
   */
  relearn(
    fieldsByServer: readonly (readonly FieldType[])[],
    upToSeq: number,
  ): Pick<FieldType, "measurement" | "field">[] {
    const stored = new Set(
      fieldsByServer.flat().map(({ measurement, field, kind }) => `${kind} ${field} ${measurement}`),
    );
    const gone: Field[] = [];
    for (const [measurement, fields] of this.#fields) {
      const lacking = [...fields.values()].filter(({ field, kind, writes, written }) => {
        return written && writes === 0 && !stored.has(`${kind} ${field} ${measurement}`);
      });
      if (lacking.length > 0 && !this.#spool.touchedSince(measurement, upToSeq)) gone.push(...lacking);
    }
    if (gone.length === 0) return [];
    this.#spool.file.durable(() => {
      const remove = this.#spool.file.sql<[string, string], never>(
        "delete from field where measurement = ? and field = ?",
      );
      for (const { measurement, field } of gone) remove.run(measurement, field);
    });
    for (const field of gone) this.#forget(field);
    return gone.map(({ measurement, field }) => ({ measurement, field }));
  }

  /** In a transaction. */
  #write(fields: readonly Field[]): void {
    const insert = this.#spool.file.sql<[string, string, string, string | null, number], never>(
      "insert or replace into field values (?, ?, ?, ?, ?)",
    );
    for (const { measurement, field, kind, sampler, sinceMs } of fields) {
      insert.run(measurement, field, kind, sampler, sinceMs);
    }
  }

  #know(field: Field): Field {
    let fields = this.#fields.get(field.measurement);
    if (fields === undefined) {
      fields = new Map();
      this.#fields.set(field.measurement, fields);
    }
    fields.set(field.field, field);
    return field;
  }

  #forget({ measurement, field }: Field): void {
    const fields = this.#fields.get(measurement);
    fields?.delete(field);
    if (fields?.size === 0) this.#fields.delete(measurement);
  }

  /** Those whose fields are known, sorted. */
  measurements(): string[] {
    return [...this.#fields.keys()].sort();
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

function isOurs(kind: FieldType["kind"]): kind is FieldKind {
  return kinds.includes(kind);
}
