/**
 * Finds batches in the pages of a file that SQLite cannot read any more, or not all of.
 *
 * A row of `batch` lies in a leaf page of its table and, where it is long, in a chain of overflow pages
 * (https://www.sqlite.org/fileformat2.html, sections 1.5, 1.6, 2.1 and 4.1). Every page of the file and of its log is
 * looked at, however they hang together; what looks like a row is one if its checksum says so. So a batch is lost only
 * where one of its own pages is.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { type BatchRow, isSound } from "./spool-format.ts";

/** SQLite's default, which this build of it was made with. */
const pageBytes = 4_096;
const tableLeaf = 0x0d;
/** Before the pages of the log, and before each of them. */
const [logHeadBytes, frameHeadBytes] = [32, 24];
const frameBytes = frameHeadBytes + pageBytes;
/** Where the log says which of its pages are of this round. */
const saltAt = 16;
const chunkBytes = 1_048_576;
/** No batch is larger: a damaged length must not make one read the whole file. */
const rowBytesMax = 64 * 1_024 * 1_024;

/** A copy of a page: in the file, or in its log. */
type Place = { readonly source: "file" | "log"; readonly offset: number };
/** What looks like a row: where its cell begins on its page. */
type Cell = Place & { readonly at: number };

/** What a row that is not sound says of itself: it may be true. */
export type Trace = Pick<BatchRow, "seq" | "sampler" | "slot_ms" | "points">;

export class SpoolPages implements Disposable {
  readonly #handles: Record<Place["source"], number | null>;
  /** Where in the log the newest copy of a page is. */
  readonly #logged = new Map<number, number>();
  readonly #cells = new Map<number, Cell[]>();
  /** Pages of the log up to the end of each of its last two transactions. */
  #commits: [number, number] = [0, 0];

  /** Looks through a file, which may be absent, and through its log, or through the log alone. */
  constructor(file: string, only?: "log") {
    const open = (path: string) => (existsSync(path) ? openSync(path, "r") : null);
    this.#handles = { file: open(file), log: open(`${file}-wal`) };
    if (only !== "log") this.#look("file", 0, 0);
    this.#look("log", logHeadBytes, frameHeadBytes);
  }

  [Symbol.dispose](): void {
    for (const handle of Object.values(this.#handles)) if (handle !== null) closeSync(handle);
  }

  /** Pages of the log up to the end of its last transaction, as far as its own first bytes say that they belong to it. */
  get committedPages(): number {
    return this.#commits[1];
  }

  /**
   * After its first `soundPages` pages, the log has but one transaction, of which all was written but its last page.
   * A process killed there leaves the page's head, and below it what an earlier round had in that place: batches that
   * are in the file (`lastSeq`), whereas a page that was damaged later has new ones.
   */
  endsCutOff(soundPages: number, lastSeq: number): boolean {
    const [before, last] = this.#commits;
    if (before > soundPages || last <= soundPages) return false;
    const frameAt = (page: number) => logHeadBytes + (page - 1) * frameBytes;
    const lastAt = frameAt(last) + frameHeadBytes;
    const isNew = ([seq, cells]: [number, Cell[]]) =>
      seq > lastSeq && cells.some(({ source, offset }) => source === "log" && offset === lastAt);
    if ([...this.#cells].some(isNew)) return false;
    const head = this.#bytes("log", 0, logHeadBytes);
    const isBigEndian = (head.readUInt32BE(0) & 1) === 1;
    const sumOf = (frame: Buffer): Sum => [frame.readUInt32BE(16), frame.readUInt32BE(20)];
    const frameOf = (page: number) => this.#bytes("log", frameAt(page), frameBytes);
    let sum: Sum = soundPages === 0 ? [head.readUInt32BE(24), head.readUInt32BE(28)] : sumOf(frameOf(soundPages));
    for (let page = soundPages + 1; page < last; page += 1) {
      const frame = frameOf(page);
      sum = checksum(checksum(sum, frame.subarray(0, 8), isBigEndian), frame.subarray(frameHeadBytes), isBigEndian);
      const [one, two] = sumOf(frame);
      if (sum[0] !== one || sum[1] !== two) return false;
    }
    return true;
  }

  /** Of the file and its log. */
  get bytes(): number {
    const sizes = Object.values(this.#handles).map((handle) => (handle === null ? 0 : fstatSync(handle).size));
    return sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Numbers of all that look like batches, ascending. */
  get seqs(): number[] {
    return [...this.#cells.keys()].sort((a, b) => a - b);
  }

  /** The batch of this number; if no copy of it is whole, what one that is not says of itself; null: nothing is left. */
  read(seq: number): { readonly row: BatchRow } | { readonly row: null; readonly trace: Trace | null } {
    let trace: Trace | null = null;
    // Newest copies last, as they were found.
    for (const cell of (this.#cells.get(seq) ?? []).toReversed()) {
      const page = this.#page(cell);
      // A page that was changed after its row's other pages were, or one whose newest copy in the log is torn.
      for (const preferred of ["log", "file"] as const) {
        const row = page === null ? null : this.#row(page, cell.at, preferred);
        if (row === null) continue;
        if (isSound(row)) return { row };
        const { sampler, slot_ms, points } = row;
        trace ??= { seq, sampler, slot_ms, points };
      }
    }
    return { row: null, trace };
  }

  #look(source: Place["source"], headBytes: number, frameBytes: number): void {
    const handle = this.#handles[source];
    if (handle === null) return;
    const stepBytes = frameBytes + pageBytes;
    const salt = Buffer.alloc(8);
    readSync(handle, salt, 0, salt.length, saltAt);
    const chunk = Buffer.alloc(Math.floor(chunkBytes / stepBytes) * stepBytes);
    for (let from = headBytes; ; from += chunk.length) {
      const bytes = readSync(handle, chunk, 0, chunk.length, from);
      for (let at = 0; at + stepBytes <= bytes; at += stepBytes) {
        if (source === "log") {
          this.#logged.set(chunk.readUInt32BE(at), from + at + frameBytes);
          const ends = chunk.readUInt32BE(at + 4) !== 0 && salt.equals(chunk.subarray(at + 8, at + 16));
          if (ends) this.#commits = [this.#commits[1], (from + at - headBytes) / stepBytes + 1];
        }
        const page = chunk.subarray(at + frameBytes, at + stepBytes);
        if (page[0] === tableLeaf) this.#note(page, { source, offset: from + at + frameBytes });
      }
      if (bytes < chunk.length) return;
    }
  }

  #note(page: Buffer, place: Place): void {
    const count = Math.min(page.readUInt16BE(3), pageBytes / 4);
    for (let index = 0; index < count; index += 1) {
      const pointer = 8 + 2 * index;
      if (pointer + 2 > pageBytes) return;
      const at = page.readUInt16BE(pointer);
      const head = at < pageBytes ? cellHead(page, at) : null;
      if (head === null) continue;
      const cells = this.#cells.get(head.seq);
      if (cells === undefined) this.#cells.set(head.seq, [{ ...place, at }]);
      else cells.push({ ...place, at });
    }
  }

  #page({ source, offset }: Place): Buffer | null {
    const page = this.#bytes(source, offset, pageBytes);
    return page.length === pageBytes ? page : null;
  }

  #bytes(source: Place["source"], offset: number, length: number): Buffer {
    const handle = this.#handles[source];
    const bytes = Buffer.alloc(length);
    return handle === null ? bytes.subarray(0, 0) : bytes.subarray(0, readSync(handle, bytes, 0, length, offset));
  }

  #row(page: Buffer, at: number, preferred: Place["source"]): BatchRow | null {
    const head = cellHead(page, at);
    if (head === null) return null;
    const payload = Buffer.alloc(head.payloadBytes);
    let filled = page.copy(payload, 0, head.payloadAt, head.payloadAt + head.localBytes);
    let next = filled < payload.length ? page.readUInt32BE(head.payloadAt + head.localBytes) : 0;
    while (filled < payload.length && next !== 0) {
      const logged = preferred === "log" ? this.#logged.get(next) : undefined;
      const overflow = this.#page(
        logged === undefined ? { source: "file", offset: (next - 1) * pageBytes } : { source: "log", offset: logged },
      );
      // What is missing stays zero: the head of the row may still tell whose it was.
      if (overflow === null) break;
      filled += overflow.copy(payload, filled, 4);
      next = overflow.readUInt32BE(0);
    }
    return decode(head.seq, payload);
  }
}

type Sum = readonly [number, number];

/** Of a log's pages, each from that of the one before (https://www.sqlite.org/fileformat2.html, section 4.2). */
function checksum([one, two]: Sum, bytes: Buffer, isBigEndian: boolean): Sum {
  const read = (at: number) => (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  for (let at = 0; at < bytes.length; at += 8) {
    one = (one + read(at) + two) >>> 0;
    two = (two + read(at + 4) + one) >>> 0;
  }
  return [one, two];
}

type CellHead = { seq: number; payloadBytes: number; payloadAt: number; localBytes: number };

/** The start of a cell of a table's leaf page; null if it cannot be that of a batch. */
function cellHead(page: Buffer, at: number): CellHead | null {
  const length = varint(page, at);
  const rowid = length === null ? null : varint(page, length.end);
  if (length === null || rowid === null || length.value > rowBytesMax || rowid.value < 1) return null;
  const payloadBytes = length.value;
  const [localMax, localMin] = [pageBytes - 35, Math.floor(((pageBytes - 12) * 32) / 255) - 23];
  const rest = localMin + ((payloadBytes - localMin) % (pageBytes - 4));
  const localBytes = payloadBytes <= localMax ? payloadBytes : rest <= localMax ? rest : localMin;
  const end = rowid.end + localBytes + (localBytes < payloadBytes ? 4 : 0);
  if (end > pageBytes || typesOf(page.subarray(rowid.end, rowid.end + localBytes)) === null) return null;
  return { seq: rowid.value, payloadBytes, payloadAt: rowid.end, localBytes };
}

/** Big-endian, seven bits a byte, the ninth whole. Null if it runs over the end, or is more than a number can hold. */
function varint(bytes: Buffer, at: number): { value: number; end: number } | null {
  let value = 0;
  for (let index = 0; index < 8; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) return null;
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? { value, end: at + index + 1 } : null;
  }
  return null;
}

const columns = 9;

/** Serial types of the columns, and where the first value begins; null if these are not the columns of a batch. */
function typesOf(payload: Buffer): { types: number[]; end: number } | null {
  const size = varint(payload, 0);
  if (size === null) return null;
  const types: number[] = [];
  for (let at = size.end; at < size.value; ) {
    const type = varint(payload, at);
    if (type === null || types.length === columns) return null;
    types.push(type.value);
    at = type.end;
  }
  return /^ntiti[nt][ni]ib$/.test(types.map(kindOf).join("")) ? { types, end: size.value } : null;
}

/** Null, integer, text, blob; 7 would be a float, 10 and 11 stand for nothing. */
function kindOf(type: number): "n" | "i" | "t" | "b" | "?" {
  if (type === 0) return "n";
  if (type >= 12) return type % 2 === 1 ? "t" : "b";
  return type === 7 || type >= 10 ? "?" : "i";
}

function decode(seq: number, payload: Buffer): BatchRow | null {
  const found = typesOf(payload);
  if (found === null) return null;
  let at = found.end;
  const values = found.types.map((type) => {
    const bytes = type >= 12 ? (type - 12) >> 1 : (integerBytes[type] ?? 0);
    const value = payload.subarray(at, at + bytes);
    at += bytes;
    if (type === 0 || value.length < bytes) return null;
    if (type >= 12) return type % 2 === 1 ? value.toString() : value;
    return type >= 8 ? type - 8 : bytes <= 6 ? value.readIntBE(0, bytes) : Number(value.readBigInt64BE());
  });
  if (at > payload.length) return null;
  const [, bucket, points, windows, at_ms, sampler, slot_ms, crc, body] = values;
  return { seq, bucket, points, windows, at_ms, sampler, slot_ms, crc, body } as BatchRow;
}

/** By serial type. */
const integerBytes: Readonly<Record<number, number>> = { 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8 };
