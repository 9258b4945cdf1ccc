/**
 * Reads a query just far enough to refuse what is not one SELECT, and to bind the slot's bounds. Pure. This is what a
 * definition is checked by, when the dialect is not known yet; `sql-parse.ts` then reads it as the server would.
 */
import { z } from "zod";

/** What may be bound, by name. */
const slotParameters = ["slot_start", "slot_end"] as const;
/** One bound of the slot. */
export type SlotBound = (typeof slotParameters)[number];

const pattern = new RegExp(
  [
    /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))/,
    /(?<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[A-Za-z_][\w ]*\])/,
    /(?<template>\$\{[^}]*\}?)/,
    // The cast of PostgreSQL, and its slice of an array, are no parameters.
    /(?<cast>::)/,
    /(?<parameter>[:@$]\w+|\?\d*)/,
    /(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\w*)/,
    /(?<word>[A-Za-z_]\w*)/,
    /(?<space>\s+)/,
    /(?<symbol>[\s\S])/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);

type TokenKind = "comment" | "quoted" | "template" | "cast" | "parameter" | "number" | "word" | "space" | "symbol";
/** A piece of a query: its first character as a place in the text, and the depth of parentheses around it. */
export type Token = { readonly kind: TokenKind; readonly text: string; readonly at: number; readonly depth: number };

/** All of the text as tokens, in order. */
export function tokensOf(query: string): Token[] {
  let depth = 0;
  const tokens: Token[] = [];
  for (const { groups = {}, index } of query.matchAll(pattern)) {
    const [kind, text] = Object.entries(groups).find(([, found]) => found !== undefined) as [TokenKind, string];
    if (text === ")") depth -= 1;
    tokens.push({ kind, text, at: index, depth });
    if (text === "(") depth += 1;
  }
  return tokens;
}

/** Tokens that mean something, without the closing semicolon. */
export function meaningOf(tokens: readonly Token[]): Token[] {
  const meaning = tokens.filter(({ kind }) => kind !== "comment" && kind !== "space");
  while (meaning.at(-1)?.text === ";") meaning.pop();
  return meaning;
}

const writing = new Set(["insert", "update", "delete", "replace", "merge"]);

/**
 * Everything that is wrong with a query as text, each as `CODE what. Fix: fix`; empty if it is one SELECT that binds
 * nothing but the slot's bounds. What only the dialect or the database can tell is left to them.
 */
export function queryFaults(query: string): string[] {
  return tokenFaults(tokensOf(query));
}

/** The same of a query that has been cut into tokens already. */
export function tokenFaults(all: readonly Token[]): string[] {
  const tokens = meaningOf(all);
  const faults = [...verbFaults(tokens), ...clauseFaults(tokens), ...bindingFaults(tokens)];
  for (const { kind, text } of all) {
    if (kind !== "comment") continue;
    if (/^\/\*M?!/i.test(text)) faults.push("SQL-005 executable comment. Fix: remove /*! ... */");
    if (text.startsWith("/*+")) faults.push("SQL-005 a hint can change limits. Fix: remove /*+ ... */");
  }
  return [...new Set(faults)];
}

function verbFaults(tokens: readonly Token[]): string[] {
  if (tokens.some(({ text }) => text === ";")) return ["SQL-001 more than one statement. Fix: write one SELECT"];
  const words = tokens.filter(({ kind }) => kind === "word").map((token) => ({ ...token, text: lower(token) }));
  const [first] = tokens;
  const verb = first === undefined ? "" : lower(first);
  const select = "Fix: write SELECT, or WITH ... SELECT";
  if (verb !== "select" && verb !== "with") return [`SQL-002 only SELECT is allowed. ${select}`];
  const main = words.find(({ text, depth }) => depth === 0 && (text === "select" || writing.has(text)));
  const inside = tokens.some(
    (token, at) => writing.has(lower(token)) && tokens[at - 1]?.text === "(" && !called(tokens, at),
  );
  return main?.text === "select" && !inside ? [] : [`SQL-002 only SELECT is allowed. ${select}`];
}

function clauseFaults(tokens: readonly Token[]): string[] {
  const faults: string[] = [];
  tokens.forEach((token, at) => {
    if (token.kind !== "word") return;
    const [word, next] = [lower(token), lower(tokens[at + 1])];
    const locks = word === "for" && ["update", "share", "no", "key"].includes(next);
    if (locks || (word === "lock" && next === "in")) {
      faults.push("SQL-003 takes locks. Fix: remove FOR UPDATE, FOR SHARE or LOCK IN SHARE MODE");
    }
    if (word === "into" && tokens[at - 1]?.text !== ".") faults.push("SQL-004 writes. Fix: remove INTO");
    if (word === "load_extension") faults.push("SQL-006 function load_extension is not allowed. Fix: remove it");
  });
  return faults;
}

function bindingFaults(tokens: readonly Token[]): string[] {
  const use = "Fix: use :slot_start and :slot_end";
  const bound = (text: string): boolean => slotParameters.some((name) => text === `:${name}`);
  const faults: string[] = [];
  for (const { kind, text } of tokens) {
    if (kind === "template" || text.includes("${")) faults.push(`SQL-010 text is not put into a query. ${use}`);
    else if (kind === "parameter" && !bound(text)) faults.push(`SQL-010 unknown parameter ${text}. ${use}`);
    else if (kind === "quoted" && slotParameters.some((name) => text.includes(`:${name}`))) {
      faults.push("SQL-010 a quoted parameter is mere text. Fix: remove the quotes around it");
    }
  }
  return faults;
}

/** Whether the word is a function's name: `replace(`. */
export function called(tokens: readonly Token[], at: number): boolean {
  return tokens[at + 1]?.text === "(";
}

/** A token in lower case; `""` for none. */
export function lower(token: Token | undefined): string {
  return token?.text.toLowerCase() ?? "";
}

/** Whether the query asks for its slot; without it a gap cannot be sampled again. */
export function bindsSlot(query: string): boolean {
  return tokensOf(query).some(({ kind, text }) => kind === "parameter" && text.startsWith(":slot_"));
}

/** A query in a definition or a connection. */
export const queryText = z
  .string()
  .max(100_000)
  .superRefine((query, context) => {
    for (const message of queryFaults(query)) context.addIssue({ code: "custom", message });
  });

/** Queries that several samplers read, by name. */
export const namedQueries = z
  .record(z.string().min(1), queryText)
  .default({})
  .describe("queries that samplers name as `batch`; those that name the same one share its reads");

/**
 * The query as servers take it: a mark where a slot's bound stood, and which bounds to bind, in the order of marks.
 * @param mark `numbered`: `$1`, once for each bound; `plain`: `?`, once for each place
 */
export function boundQuery(query: string, mark: "numbered" | "plain"): { text: string; names: SlotBound[] } {
  const names: SlotBound[] = [];
  const parts = tokensOf(query).map(({ kind, text }) => {
    const name = kind === "parameter" ? slotParameters.find((known) => text === `:${known}`) : undefined;
    if (name === undefined) return text;
    if (mark === "plain") {
      names.push(name);
      return "?";
    }
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return { text: parts.join("").replace(/[\s;]+$/, ""), names };
}
