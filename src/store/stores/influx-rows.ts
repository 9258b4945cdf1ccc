/** Answers of `/query`, read as they arrive: JSON, a line a chunk. */
import { stopwatch } from "../../core/time.ts";
import type { Part } from "./influx-rows-collect.ts";

/** The server's own words in an answer of status 200. `statement` null: about all of them. */
export class BodyError extends Error {
  readonly statement: number | null;
  constructor(text: string, statement: number | null) {
    super(text);
    this.statement = statement;
  }
}

/** How long reading may go on before others get their turn. */
const turnMs = 10;
/** Bytes of one chunk of an answer, which has to be parsed as a whole. */
const lineBytesMax = 64 * 1024 * 1024;

/**
 * Hands each part to `each`, in the order of the statements.
 * @throws BodyError if a statement failed, or the answer ends before all of them were answered in full
 */
export async function readAnswer(
  bytes: AsyncIterable<Uint8Array>,
  statements: number,
  each: (statement: number, part: Part) => void,
): Promise<void> {
  const open = new Set(Array.from({ length: statements }, (_, index) => index));
  let elapsedMs = stopwatch();
  for await (const line of linesOf(bytes)) {
    readLine(line, open, each);
    if (elapsedMs() < turnMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    elapsedMs = stopwatch();
  }
  for (const statement of open) throw new BodyError("the answer ended early", statement);
}

type Line = {
  readonly error?: string;
  readonly results?: readonly {
    readonly statement_id?: number;
    readonly error?: string;
    /** More of this statement is to come. */
    readonly partial?: boolean;
    readonly series?: readonly Part[];
  }[];
};

function readLine(text: string, open: Set<number>, each: (statement: number, part: Part) => void): void {
  let line: Line;
  try {
    line = JSON.parse(text);
  } catch {
    throw new BodyError(`the answer is not JSON: ${text}`, null);
  }
  if (line.error !== undefined) throw new BodyError(line.error, null);
  for (const { statement_id: statement = 0, error, partial, series = [] } of line.results ?? []) {
    if (error !== undefined) throw new BodyError(error, statement);
    for (const part of series) each(statement, part);
    if (partial !== true) open.delete(statement);
  }
}

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    let start = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, start)) {
      pieces.push(piece.subarray(start, end));
      const line = Buffer.concat(pieces).toString();
      if (line.trim() !== "") yield line;
      pieces = [];
      size = 0;
      start = end + 1;
    }
    pieces.push(piece.subarray(start));
    size += piece.length - start;
    if (size > lineBytesMax) throw new BodyError("a piece of the answer is too long", null);
  }
  const rest = Buffer.concat(pieces).toString();
  if (rest.trim() !== "") yield rest;
}
