/**
 * From what a schema refuses to what a person reads. Schemas carry code and fix inside their message, composed by
 * {@link fault}; whatever they leave unsaid (unknown keys, missing keys, wrong types) is worded here.
 */
import { closest, distance } from "fastest-levenshtein";
import type { z } from "zod";
import { Problem } from "../core/problem.ts";
import { formatPath, type Path, type YamlDocument } from "./document.ts";

export type Issue = z.core.$ZodIssue;
/** The part of a JSON Schema that messages use. */
export type JsonSchema = {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  description?: string;
  $ref?: string;
  definitions?: Record<string, JsonSchema>;
  enum?: unknown[];
  /** A reference that has a description of its own is written this way. */
  allOf?: JsonSchema[];
};

/** The message of a schema that knows its code: `CODE what. Fix: fix`. The value at fault is added by the reader. */
export function fault(code: string, what: string, fix?: string): string {
  return fix === undefined ? `${code} ${what}` : `${code} ${what}. Fix: ${fix}`;
}

const faultText = /^([A-Z]{3}-W?\d{2,3}) (.*?)(?:\. Fix: (.*))?$/s;

/** The names that were likely meant, as `did you mean "x"?`; null if nothing is near. */
export function suggestion(word: string, known: readonly string[]): string | null {
  if (known.length === 0 || word.length > 100) return null;
  const near = closest(
    word.toLowerCase(),
    known.map((each) => each.toLowerCase()),
  );
  const meant = known.find((each) => each.toLowerCase() === near) as string;
  // Two letters that changed places are two edits.
  const far = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  return distance(word.toLowerCase(), near) <= far ? `did you mean "${meant}"?` : null;
}

/** `one of a, b, c (did you mean "b"?)`; long lists are cut. */
export function oneOf(word: string, known: readonly string[]): string {
  if (known.length === 0) return "remove it";
  const shown = known.slice(0, 12).join(", ");
  const rest = known.length > 12 ? ` and ${known.length - 12} more` : "";
  const meant = suggestion(word, known);
  return `one of ${shown}${rest}${meant === null ? "" : ` (${meant})`}`;
}

/** Paths whose values are secrets or personal data: never shown. */
const hidden = /passw|passphrase|pwd|secret|token|credential|api_?key|private_?key|email|phone|^to$/i;
/** User and password inside a URL. */
export const credentials = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/@]*:[^\s/@]+@/i;

/** What stands at `path`, as a message shows it: `"text"`, `5`, `a list`; null if it must not be shown. */
function got(document: YamlDocument, path: Path): string | null {
  if (path.some((step) => hidden.test(String(step)))) return null;
  const value = valueAt(document.value, path);
  if (typeof value === "string") return credentials.test(value) ? null : JSON.stringify(cut(value));
  if (typeof value === "symbol") return value.description as string;
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return value === undefined ? null : cut(document.written(path) ?? String(value));
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

const words: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

const units: Readonly<Record<string, string>> = { array: " entries", string: " characters" };

/** Where issues arose: the document, the path of the value that the schema was given, and the schema of the file. */
export type Scope = { readonly document: YamlDocument; readonly base: Path; readonly schema: JsonSchema };

export function problemsOf(issues: readonly Issue[], scope: Scope): Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, scope));
}

function problemsOfIssue(issue: Issue, scope: Scope): Problem[] {
  const path = [...scope.base, ...(issue.path as (string | number)[])];
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = Object.keys(schemaAt(scope.schema, path)?.properties ?? {});
      return issue.keys.map((key) =>
        problemAt(scope.document, [...path, key], fault("CFG-005", "unknown key", oneOf(key, known)), "key"),
      );
    }
    case "invalid_key":
      return [problemAt(scope.document, path, issue.issues[0]?.message ?? issue.message, "key")];
    case "invalid_union": {
      const meant = branchMeant(issue, valueAt(scope.document.value, path));
      if (meant !== undefined) return problemsOf(meant, { ...scope, base: path });
      return [problemAt(scope.document, path, wording(issue, path, scope))];
    }
    default:
      return [problemAt(scope.document, path, wording(issue, path, scope))];
  }
}

/** Of several shapes, the mapping or list that the value was meant to be: what is wrong inside it says more. */
function branchMeant({ errors }: Extract<Issue, { code: "invalid_union" }>, value: unknown): Issue[] | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return errors.find((issues) => !issues.some(({ code, path }) => code === "invalid_type" && path.length === 0));
}

function wording(issue: Issue, path: Path, scope: Scope): string {
  const { document, schema } = scope;
  const value = valueAt(document.value, path);
  const last = path.at(-1);
  if (value === undefined && last !== undefined) return missingKey(String(last), schemaAt(schema, path));
  if (faultText.test(issue.message)) return issue.message;
  if (issue.code === "invalid_type") return wrongType(issue.expected, got(document, path));
  if (issue.code === "invalid_value") {
    return fault("CFG-019", "unknown value", oneOf(typeof value === "string" ? value : "", issue.values.map(String)));
  }
  if (issue.code === "too_small") return fault("CFG-019", `wants ${issue.minimum} or more${units[issue.origin] ?? ""}`);
  if (issue.code === "too_big") return fault("CFG-019", `wants ${issue.maximum} or fewer${units[issue.origin] ?? ""}`);
  return fault("CFG-019", issue.message);
}

function missingKey(key: string, schema: JsonSchema | undefined): string {
  const values = schema?.enum === undefined ? "" : ` (one of ${schema.enum.join(", ")})`;
  const meaning = schema?.description === undefined ? "" : `: ${schema.description}`;
  return fault("CFG-018", "missing", `add "${key}"${values}${meaning}`);
}

function wrongType(expected: string, shown: string | null): string {
  const what = `wants ${words[expected] ?? expected}`;
  if (/^(number|int)$/.test(expected) && shown !== "nothing") {
    return fault("CFG-008", what, "write a bare number, without quotes or a unit");
  }
  if (expected !== "string" || shown === "a list" || shown === "a mapping") return fault("CFG-008", what);
  if (shown === "nothing") return fault("CFG-008", what, "write it, or remove the key");
  return fault("CFG-008", what, shown === null ? "quote it" : `quote it: "${shown}"`);
}

/** A problem at a place of a document; `text` as {@link fault} composes it. The value there is added to it. */
export function problemAt(document: YamlDocument, path: Path, text: string, part: "key" | "value" = "value"): Problem {
  const [, code, what, fix] = faultText.exec(text) ?? [undefined, undefined, text, undefined];
  const shown = part === "key" ? null : got(document, path);
  const quiet = shown === null || (code !== "CFG-008" && (shown === "a list" || shown === "a mapping"));
  return new Problem(quiet ? (what as string) : `${what} (got ${shown})`, {
    code,
    where: document.where(path, part),
    path: formatPath(path) || undefined,
    fix,
    severity: code?.includes("-W") ? "warning" : "error",
  });
}

/** What a JSON Schema says about the value at `path`. */
function schemaAt(root: JsonSchema, path: Path): JsonSchema | undefined {
  const resolve = (schema: JsonSchema | undefined, step?: string | number): JsonSchema | undefined => {
    if (schema?.allOf?.[0] !== undefined) return resolve(schema.allOf[0], step);
    if (schema?.anyOf !== undefined) {
      const branches = schema.anyOf.map((each) => resolve(each, step));
      return branches.find((each) => (typeof step === "number" ? each?.items : each?.properties) !== undefined);
    }
    if (schema?.$ref === undefined) return schema;
    const name = /^#\/definitions\/(.+)$/.exec(schema.$ref)?.[1];
    return resolve(name === undefined ? root : root.definitions?.[name], step);
  };
  let at = resolve(root, path[0]);
  for (const [index, step] of path.entries()) {
    const rest = typeof at?.additionalProperties === "object" ? at.additionalProperties : undefined;
    at = resolve(typeof step === "number" ? at?.items : (at?.properties?.[step] ?? rest), path[index + 1]);
  }
  return at;
}
