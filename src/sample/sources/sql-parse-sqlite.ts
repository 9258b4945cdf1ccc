/**
 * A query of SQLite as PostgreSQL's parser can read it, each character at its place: SQLite took its SELECT from
 * PostgreSQL, and the few signs that differ have others of the same shape and length. Pure.
 */
import { called, lower, type Token } from "./sql-text.ts";

/** What follows IS in both. */
const afterIs = new Set(["null", "not", "true", "false", "distinct", ""]);

/** @param all tokens of the query, which have passed the check of its words */
export function sqliteShadow(all: readonly Token[]): string {
  const meaning = all.filter(({ kind }) => kind !== "comment" && kind !== "space");
  const place = new Map(meaning.map((token, at) => [token, at]));
  return all
    .map((token) => {
      const at = place.get(token);
      if (at === undefined) return token.text.replace(/[^\n]/g, " ");
      return (shadowOf(meaning, at) ?? token.text).padEnd(token.text.length);
    })
    .join("");
}

/** What stands for a token; null: itself. */
function shadowOf(tokens: readonly Token[], at: number): string | null {
  const token = tokens[at] as Token;
  const [word, next] = [lower(token), lower(tokens[at + 1])];
  if (token.kind === "parameter") return token.text === ":slot_start" ? "$1" : "$2";
  if (token.kind === "quoted" && /^[`[]/.test(token.text)) return `"${token.text.slice(1, -1)}"`;
  if (token.kind === "symbol" && token.text === "=" && follows(tokens, at)) return " ";
  if (token.kind !== "word") return null;
  if (word === "glob" || word === "regexp") return "like";
  // The name of a type before parentheses is a type there, a function here.
  if (word === "time" && called(tokens, at)) return "date";
  if (word === "is" && (!afterIs.has(next) || (next === "not" && !afterIs.has(lower(tokens[at + 2]))))) return "=";
  if (word === "not" && lower(tokens[at - 1]) === "is" && !afterIs.has(next)) return "-";
  return null;
}

/** Whether the sign is the second one of `==`. */
function follows(tokens: readonly Token[], at: number): boolean {
  const [before, token] = [tokens[at - 1], tokens[at] as Token];
  return before?.text === "=" && before.at === token.at - 1;
}
