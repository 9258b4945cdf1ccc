/**
 * YAML text to a plain value, with the position of everything in it, and the bounds that keep a hostile or broken
 * file from costing more than its size. YAML 1.2 core schema; no tags, no directives, one document a file.
 */
import {
  Composer,
  CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
} from "yaml";
import { Problem } from "../core/problem.ts";

export const fileBytesMax = 1_000_000;
const depthMax = 32;
const aliasesMax = 50;
/** Nodes that aliases may add to a file; fifty aliases are enough to multiply into millions. */
const aliasedNodesMax = 10_000;
/** Beyond these a file is broken rather than faulty, and more of the same helps nobody. */
const faultsPerFileMax = 100;

export type Path = readonly (string | number)[];

/** Words that JavaScript's objects carry already: as names they would find something else than was defined. */
export const reservedNames: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  "prototype",
]);

/** What YAML 1.1 readers take for a boolean or a base-60 number, and 1.2 for text: nobody knows what was meant. */
const ambiguous = /^(?:yes|no|on|off)$|^[-+]?[0-9]+(?::[0-5]?[0-9])+$/i;

/** A file that could be read as YAML: its value, and where each part of it stands. */
export class YamlDocument {
  /** Relative to the config folder, with `/`. */
  readonly file: string;
  /**
   * Maps as objects without reserved keys, lists as arrays. A plain scalar that YAML 1.1 and 1.2 read differently
   * (`no`, `12:30`) is a symbol described by its text, so that no schema takes it for either.
   */
  readonly value: unknown;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, value: unknown, document: Document, lines: LineCounter) {
    this.file = file;
    this.value = value;
    this.#document = document;
    this.#lines = lines;
  }

  /** `file:line:column` of the value at `path`, of its key, or of the closest thing around it that exists. */
  where(path: Path, part: "key" | "value" = "value"): string {
    let node: Node | null = this.#document.contents;
    let key: Node | null = null;
    for (const step of path) {
      const next = child(this.#document, node, step);
      if (next === undefined) return this.#place(key ?? node);
      key = next.key;
      node = next.value;
    }
    return this.#place(part === "key" ? (key ?? node) : (node ?? key));
  }

  /** The scalar at `path` as it is written; undefined for anything else. */
  written(path: Path): string | undefined {
    let node: Node | null = this.#document.contents;
    for (const step of path) node = child(this.#document, node, step)?.value ?? null;
    return isScalar(node) && typeof node.value !== "string" ? node.source : undefined;
  }

  #place(node: Node | null): string {
    return place(this.file, this.#lines, node?.range?.[0] ?? 0);
  }
}

type Child = { key: Node | null; value: Node | null };

function child(document: Document, node: Node | null, step: string | number): Child | undefined {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(target)) {
    const item = target.items[Number(step)] as Node | undefined;
    return item === undefined ? undefined : { key: null, value: item };
  }
  if (!isMap(target)) return undefined;
  const pair = target.items.find((each) => isScalar(each.key) && keyText(each.key) === String(step));
  return pair && { key: pair.key as Node, value: pair.value as Node | null };
}

function keyText(key: { value: unknown; source?: string }): string {
  return typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
}

function place(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
}

/**
 * @returns the document, null if it cannot be trusted to say what its author meant; and every fault found.
 * A document that comes with problems is still worth looking through for more faults.
 */
export function readDocument(file: string, bytes: Uint8Array): { document: YamlDocument | null; problems: Problem[] } {
  const text = decode(file, bytes);
  if (text instanceof Problem) return { document: null, problems: [text] };
  const lines = new LineCounter();
  const parsed = parse(file, text, lines);
  if (parsed.document === null || parsed.problems.some((problem) => problem.code !== "CFG-007")) {
    return { document: null, problems: parsed.problems };
  }
  const reading = new Reading(file, lines);
  const value = reading.read(parsed.document.contents as Node | null, []);
  const problems = [...parsed.problems, ...reading.problems];
  if (problems.some((problem) => problem.code === "CFG-001")) return { document: null, problems };
  if (value === null || (typeof value === "object" && Object.keys(value).length === 0 && problems.length === 0)) {
    const fix = "write a definition into it, or delete it";
    return {
      document: null,
      problems: [new Problem("defines nothing", { code: "CFG-014", where: `${file}:1:1`, fix })],
    };
  }
  return { document: new YamlDocument(file, value, parsed.document, lines), problems };
}

export function tooLarge(where: string, sizeBytes: number): Problem {
  return new Problem(`larger than ${fileBytesMax} bytes (got ${sizeBytes})`, {
    code: "CFG-003",
    where,
    fix: "split the file",
  });
}

/** Bytes to text; a Problem for what editors leave behind by mistake. */
function decode(file: string, bytes: Uint8Array): string | Problem {
  if (bytes.byteLength > fileBytesMax) return tooLarge(file, bytes.byteLength);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const bad = (what: string, index: number, fix: string): Problem => {
    const before = text.slice(0, index);
    const line = before.split("\n").length;
    const column = index - before.lastIndexOf("\n");
    const byte = Buffer.byteLength(before);
    return new Problem(`${what} at byte ${byte}`, { code: "CFG-006", where: `${file}:${line}:${column}`, fix });
  };
  if (text.startsWith("\ufeff")) return bad("byte order mark", 0, "save the file as UTF-8 without a byte order mark");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const control = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(2, "0");
    return bad(`control character 0x${code}`, control.index, "save the file as UTF-8 and remove the character");
  }
  if (!Buffer.from(text).equals(bytes)) {
    const encoded = Buffer.from(text);
    const byte = encoded.findIndex((each, index) => each !== bytes[index]);
    return bad("not UTF-8", encoded.subarray(0, byte).toString().length, "save the file as UTF-8");
  }
  return text;
}

type Parsed = { document: Document | null; problems: Problem[] };

/** Tokens are counted on the way, before anything is composed: a bomb is refused before it is built. */
function parse(file: string, text: string, lines: LineCounter): Parsed {
  const problems: Problem[] = [];
  const at = (offset: number): string => place(file, lines, offset);
  const parser = new Parser(lines.addNewLine);
  const tokens: CST.Token[] = [];
  let aliases = 0;
  let errors = 0;
  let documents = 0;
  let scalarNext = false;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    const type: CST.TokenType | null = scalarNext ? null : CST.tokenType(lexeme);
    const where = parser.offset;
    scalarNext = type === "scalar";
    if (type === "alias") aliases += 1;
    // Cron expressions begin like aliases; the parser's own words would not lead anybody to the quotes.
    if (type === "alias" && /^\*(?:$|[/,])/.test(lexeme)) {
      const what = "text that begins with * must be quoted";
      return refuse(notYaml(at(where), what, 'write it in quotes: "*/5 * * * *"'));
    }
    if (aliases > aliasesMax) {
      const fix = "write the values out";
      return refuse(new Problem(`more than ${aliasesMax} alias uses`, { code: "CFG-001", where: at(where), fix }));
    }
    if (problems.length < faultsPerFileMax) {
      if (type === "tag") problems.push(tagProblem(at(where), lexeme));
      if (type === "directive-line") problems.push(notYaml(at(where), "directives are not allowed"));
    }
    for (const token of parser.next(lexeme)) {
      tokens.push(token);
      if (token.type === "error") errors += 1;
      if (token.type === "document") documents += 1;
    }
    // A second document is a fault, and so many errors are enough: a megabyte of them would take seconds to compose.
    if (documents > 1 || errors + problems.length >= faultsPerFileMax) break;
    // The stack holds the document and the scalar at hand besides the collections.
    if (parser.stack.length > depthMax + 2) {
      const fix = "flatten it";
      return refuse(new Problem(`nested deeper than ${depthMax}`, { code: "CFG-002", where: at(where), fix }));
    }
  }
  for (const token of parser.end()) tokens.push(token);
  const composer = new Composer({ uniqueKeys: false, logLevel: "silent", version: "1.2" });
  const composed = [...composer.compose(tokens, true, text.length)];
  const [document, second] = composed;
  for (const error of composed.flatMap((each) => each.errors).slice(0, faultsPerFileMax)) {
    problems.push(syntaxProblem(at(error.pos[0]), error.code, error.message));
  }
  if (second !== undefined)
    problems.push(notYaml(at(second.range[0]), "a second document", "put it into its own file"));
  return { document: document ?? null, problems };
}

function refuse(problem: Problem): Parsed {
  return { document: null, problems: [problem] };
}

function tagProblem(where: string, tag: string): Problem {
  return new Problem(`tags are not allowed (got ${JSON.stringify(tag.slice(0, 60))})`, {
    code: "CFG-007",
    where,
    fix: "remove the tag",
  });
}

function notYaml(where: string, what: string, fix = "remove it"): Problem {
  return new Problem(what, { code: "CFG-017", where, fix });
}

function syntaxProblem(where: string, code: string, message: string): Problem {
  if (code === "TAB_AS_INDENT") {
    return new Problem("tab used as indentation", { code: "CFG-006", where, fix: "indent with spaces" });
  }
  const what = message.replace(/\s+/g, " ");
  return notYaml(
    where,
    `not YAML: ${what.charAt(0).toLowerCase()}${what.slice(1)}`,
    "correct the syntax on this line or the one before",
  );
}

/** Walks the composed nodes once: value, duplicate and reserved keys, aliases. */
class Reading {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #lines: LineCounter;
  /** Finished anchors: their value, and how many nodes it stands for. */
  readonly #anchors = new Map<string, { value: unknown; nodes: number }>();
  #nodes = 0;
  #aliasedNodes = 0;

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  read(node: Node | null, path: Path): unknown {
    const before = this.#nodes;
    this.#nodes += 1;
    if (isAlias(node)) return this.#alias(node.source, node, path);
    let value: unknown = null;
    if (isScalar(node)) value = scalarValue(node);
    else if (isMap(node)) value = this.#map(node.items as { key: Node; value: Node | null }[], path);
    else if (isSeq(node)) value = node.items.map((item, index) => this.read(item as Node, [...path, index]));
    const anchor = (node as { anchor?: string } | null)?.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, { value, nodes: this.#nodes - before });
    return value;
  }

  #alias(name: string, node: Node, path: Path): unknown {
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) {
      this.#add("CFG-001", node, path, `no finished anchor "${name}" above this alias`, "write the value out");
      return null;
    }
    this.#nodes += anchor.nodes;
    this.#aliasedNodes += anchor.nodes;
    if (this.#aliasedNodes > aliasedNodesMax && this.#aliasedNodes - anchor.nodes <= aliasedNodesMax) {
      this.#add("CFG-001", node, path, `aliases stand for more than ${aliasedNodesMax} values`, "write the values out");
    }
    return anchor.value;
  }

  #map(pairs: readonly { key: Node; value: Node | null }[], path: Path): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    const seen = new Map<string, Node>();
    for (const { key, value } of pairs) {
      if (!isScalar(key)) {
        this.#add("CFG-017", key, path, "a key must be text", "write the key as one word, or quote it");
        continue;
      }
      const name = keyText(key);
      const first = seen.get(name);
      const inside = [...path, name];
      if (first !== undefined) {
        const { line } = this.#lines.linePos(first.range?.[0] ?? 0);
        this.#add("CFG-004", key, inside, `key "${name}" again (first at line ${line})`, "keep one of the two");
      } else if (reservedNames.has(name)) {
        this.#add("CFG-009", key, inside, `reserved name "${name}"`, "choose another name");
      } else map[name] = this.read(value, inside);
      seen.set(name, key);
    }
    return map;
  }

  #add(code: string, node: Node, path: Path, what: string, fix: string): void {
    if (this.problems.length >= faultsPerFileMax) return;
    const where = place(this.#file, this.#lines, node.range?.[0] ?? 0);
    this.problems.push(new Problem(what, { code, where, path: formatPath(path) || undefined, fix }));
  }
}

function scalarValue(scalar: { value: unknown; source?: string; type?: string }): unknown {
  const text = scalar.value;
  return scalar.type === "PLAIN" && typeof text === "string" && ambiguous.test(text) ? Symbol(text) : text;
}

/** `routes[0].match[1]`; a key that is no plain word is quoted. Long keys are cut. */
export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      const word = /^[\w-]{1,60}$/.test(step) ? step : JSON.stringify(step.slice(0, 60));
      return index === 0 ? word : `.${word}`;
    })
    .join("");
}
