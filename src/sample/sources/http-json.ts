/** JSON without loss: no number is rounded, no key is there twice. Pure. */
import { parse } from "lossless-json";
import { unexpected } from "./http-problems.ts";

/**
 * Whole numbers beyond 2^53, and numbers beyond a double, stay the text that they are: `"9007199254740993"`.
 *
 * The library takes some ten times as long as the engine's own parser, and the process stands still meanwhile. So it is
 * asked only where the two could differ.
 * @throws Problem NET-006, also if one key is there twice with different values
 */
export function parseJson(text: string, where: string): unknown {
  const plain = parsePlain(text);
  if (plain !== undefined) return plain;
  try {
    return parse(text, null, { parseNumber: exactNumber, onDuplicateKey });
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    if (thrown instanceof DuplicateKey) {
      const fix = "have the server write each key once: which value is right cannot be known";
      throw unexpected(`the answer has a key twice in one object, at character ${thrown.position}`, where, fix);
    }
    const at = /position (\d+)/.exec(thrown.message)?.[1];
    const place = at === undefined || at === "0" ? "" : ` (from character ${at} on)`;
    throw unexpected(`the answer is not JSON${place}`, where, "check the path, and that the server lets us in", text);
  }
}

class DuplicateKey extends Error {
  readonly position: number;

  constructor(position: number) {
    super();
    this.position = position;
  }
}

function onDuplicateKey({ position }: { position: number }): never {
  throw new DuplicateKey(position);
}

function exactNumber(text: string): number | string {
  const value = Number(text);
  const exact = /^-?\d+$/.test(text) ? Number.isSafeInteger(value) : Number.isFinite(value);
  return exact ? value : text;
}

/** What the engine makes of it; undefined if that is not all there is, or not JSON. */
function parsePlain(text: string): unknown {
  const { keys, isRounded } = survey(text);
  if (isRounded) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return keysOf(value) === keys ? value : undefined;
  } catch {
    return undefined;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

/** How many keys are written in JSON, and whether a number in it may lose digits. For other texts, anything. */
function survey(text: string): { keys: number; isRounded: boolean } {
  let keys = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfText(text, at);
    else if (code === colon) keys += 1;
    else if (code >= 0x30 && code <= 0x39) {
      const start = at;
      while (isNumeric(text.charCodeAt(at + 1))) at += 1;
      // 15 digits, with or without a point, are a double's; a short exponent may still lead beyond one.
      const isLong = at - start >= 15 || /e/i.test(text.slice(start, at + 1));
      if (isLong && typeof exactNumber(text.slice(start, at + 1)) === "string") return { keys, isRounded: true };
    }
  }
  return { keys, isRounded: false };
}

/** The place of the quote that ends the text which begins at `start`. */
function endOfText(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let before = at - 1;
    while (text.charCodeAt(before) === backslash) before -= 1;
    if ((at - before) % 2 === 1) return at;
  }
}

/** Digits, `.`, `e`, `E`, `+` and `-`. */
function isNumeric(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === 0x2d
  );
}

/** Keys of all objects in a value that was parsed. @throws RangeError if it is nested too deep */
function keysOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  if (Array.isArray(value)) return value.reduce((sum: number, each) => sum + keysOf(each), 0);
  return Object.values(value).reduce((sum: number, each) => sum + 1 + keysOf(each), 0);
}
