/** The body of an answer, unpacked and as text, within bounds of size and time. */
import type { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { Problem } from "../../core/problem.ts";
import { deadline, timedOut } from "../../core/time.ts";
import { tooLarge, unexpected } from "./http-problems.ts";

/** The longest that a body may take, whatever the caller grants: who sends a byte a second holds a place for ever. */
const bodyMsMax = 10_000;

const unpackers: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

export type BodyOptions = {
  /** Headers `content-encoding` and `content-type`. */
  readonly encoding: string | undefined;
  readonly type: string | undefined;
  /** Of the packed body as well as of the unpacked one. */
  readonly bytesMax: number;
  readonly where: string;
};

/**
 * @throws Problem NET-005 if it is too long or takes too long, NET-006 if it cannot be unpacked or is no text; what the
 * stream throws if it breaks off; the signal's reason
 */
export async function readBody(body: Readable, options: BodyOptions, signal: AbortSignal): Promise<string> {
  const { bytesMax, where } = options;
  const unpack = unpackerOf(options.encoding, where);
  const pieces: Uint8Array[] = [];
  const bounded = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const piece of source) {
      bytes += piece.length;
      if (bytes > bytesMax) throw tooLarge(bytesMax, where);
      yield piece;
    }
  };
  const collect = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const piece of bounded(source)) pieces.push(piece);
  };
  const limit = deadline(bodyMsMax, signal);
  try {
    if (unpack === null) await pipeline(body, collect, { signal: limit });
    else await pipeline(body, bounded, unpack, collect, { signal: limit });
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown;
    signal.throwIfAborted();
    if (timedOut(limit)) throw tooSlow(where);
    const code = (thrown as { code?: unknown }).code;
    if (!/^(?:Z_|ERR_BROTLI|ERR__?ERROR)/.test(String(code))) throw thrown;
    throw unexpected("the answer cannot be unpacked", where, "see the server's compression");
  }
  return textOf(Buffer.concat(pieces), options.type, where);
}

function tooSlow(where: string): Problem {
  return new Problem(`the answer was not there ${bodyMsMax / 1000} s after its beginning`, {
    code: "NET-005",
    where,
    fix: "ask for less, or see what slows the server down",
    retryable: true,
  });
}

function unpackerOf(encoding: string | undefined, where: string): Transform | null {
  const name = (encoding ?? "").trim().toLowerCase();
  if (name === "" || name === "identity") return null;
  const make = Object.hasOwn(unpackers, name) ? unpackers[name] : undefined;
  if (make === undefined) throw unexpected("the answer is packed in an unknown way", where, "have it sent as gzip");
  return make();
}

function textOf(bytes: Uint8Array, type: string | undefined, where: string): string {
  const charset = /charset="?([\w.:-]+)"?/i.exec(type ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch {
    throw unexpected(`the answer is no ${charset.slice(0, 20)} text`, where, "have it sent as UTF-8");
  }
}
