/**
 * What a query's characters and words give away before any parser sees them: whatever a server could read in another
 * way than we do (escapes, odd quotes, invisible characters), and calls of functions. Pure.
 */

import type { Findings } from "./sql-parse-findings.ts";
import { callFix, mayCall } from "./sql-parse-functions.ts";
import { called, lower, meaningOf, type Token } from "./sql-text.ts";

/** Deeper parentheses, or more words and signs, are a fault: no query of a sampler comes near. */
const depthMax = 60;
const tokensMax = 20_000;

/** Adds every fault of the words to `findings`. @param all tokens of the whole text, comments and spaces among them */
export function checkWords(query: string, all: readonly Token[], findings: Findings): void {
  const tokens = meaningOf(all);
  // The rest looks around each word, which takes long where there is no end of them.
  if (tooLarge(tokens, findings)) return;
  const hidden = /[^\P{C}\t\n\r]|[\p{Zl}\p{Zp}]/u.exec(query);
  if (hidden !== null) {
    const point = (hidden[0].codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0");
    findings.add("SQL-031", `invisible character U+${point}`, "remove it", hidden.index);
  }
  let before: Token | undefined;
  all.forEach((token, at) => {
    checkCharacters(token, all[at - 1], findings);
    if (token.kind === "comment") checkComment(token, findings);
    if (token.kind === "quoted") {
      checkQuotes(token, all.slice(Math.max(0, at - 2), at), findings);
      if (findings.dialect === "mysql" && token.text.startsWith("'")) checkMysqlText(token, before, findings);
    }
    if (token.kind !== "comment" && token.kind !== "space") before = token;
  });
  if (findings.dialect === "mysql") checkMysqlWords(tokens, findings);
  // PostgreSQL's own grammar tells calls from the rest; of the others every name before "(" is looked at as well.
  if (findings.dialect !== "postgres") checkCalls(tokens, findings);
}

function tooLarge(tokens: readonly Token[], findings: Findings): boolean {
  const fix = "write a shorter query, or have a view do a part of it";
  const deep = tokens.find(({ depth }) => depth > depthMax);
  if (deep !== undefined) findings.add("SQL-033", `more than ${depthMax} parentheses inside each other`, fix, deep.at);
  else if (tokens.length > tokensMax) findings.add("SQL-033", `more than ${tokensMax} words and signs`, fix);
  else return false;
  return true;
}

function checkCharacters({ kind, text, at }: Token, before: Token | undefined, findings: Findings): void {
  const { dialect } = findings;
  const twoWays = (what: string, fix: string): void =>
    findings.add("SQL-031", `${what} can be read in two ways`, fix, at);
  if (kind === "space" && /[^ \t\r\n]/.test(text)) twoWays("an unusual space", "write a plain space");
  if (kind === "number" && !/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    twoWays(`the number ${text.slice(0, 20)}`, "write it with decimal digits");
  }
  if (kind === "cast" && dialect !== "postgres") findings.unknown("::", "write CAST(... AS ...)", at);
  if (kind !== "symbol") return;
  // The second half of a pair of surrogates was told of with its first.
  if (text > "~" && !/[\uDC00-\uDFFF]/.test(text)) twoWays("a character outside quotes", "put quotes around the name");
  else if (text === "\\" || text === "{" || text === "}" || text === "$") twoWays(text, "remove it");
  else if (text === "#" && dialect !== "postgres") twoWays("#", "write comments as -- text");
  else if (text === "'" || text === '"' || text === "`") twoWays(text, "close the quotes");
  else if (text === ":" || (text === "@" && dialect !== "postgres")) {
    findings.add("SQL-010", `${text} names a variable`, "use :slot_start and :slot_end", at);
  } else if (text === "[" && dialect === "mysql") twoWays("[", "remove it");
  else if (text === "*" && before?.text === "/" && before.kind === "symbol") twoWays("/*", "close the comment");
}

function checkComment({ text, at }: Token, findings: Findings): void {
  const twoWays = (what: string, fix: string): void =>
    findings.add("SQL-031", `${what} can be read in two ways`, fix, at);
  if (text.startsWith("--")) {
    if (/\r./.test(text)) twoWays("a comment over a carriage return", "end lines with a line feed");
    if (findings.dialect === "mysql" && !/^--(\s|$)/.test(text)) twoWays("--", "write a space after --");
    return;
  }
  if (!/^\/\*[\s\S]*\*\/$/.test(text) || text.length < 4) twoWays("a comment without end", "close it with */");
  if (text.indexOf("/*", 2) !== -1) twoWays("a comment within a comment", "remove the inner one");
}

/** @param before the two tokens ahead of it, spaces too */
function checkQuotes({ text, at }: Token, before: readonly Token[], findings: Findings): void {
  const { dialect } = findings;
  const twoWays = (what: string, fix: string): void =>
    findings.add("SQL-031", `${what} can be read in two ways`, fix, at);
  const quote = text[0] as string;
  const last = before.at(-1);
  const closed =
    quote === "[" ||
    (text.length > 1 &&
      text
        .replaceAll(quote + quote, "")
        .replace(quote, "")
        .endsWith(quote));
  if (!closed && !/^(''|""|``)+$/.test(text)) twoWays(`${quote} without its other`, "close the quotes");
  if (quote === "'") {
    if (last?.kind === "word" || last?.kind === "number")
      twoWays(`${last.text.slice(0, 20)}'...'`, "write plain '...'");
    if (last?.text === "&" && before.at(-2)?.kind === "word") twoWays("U&'...'", "write plain '...'");
    if (dialect === "postgres" && /\\'/.test(text)) twoWays("\\ before a quote", "leave it out");
    return;
  }
  if (quote === '"' && dialect === "mysql") twoWays('"..."', "write '...' for text, `...` for names");
  if (quote === '"' && (last?.kind === "word" || last?.text === "&"))
    twoWays('a letter before "', "put a space between them");
  if (quote === "`" && dialect === "postgres") twoWays("`", 'write "..." for names');
  if (quote === "[" && dialect === "mysql") twoWays("[", "remove it");
  if (quote !== "[" && /["`\\[\]]/.test(text.slice(1, -1)))
    twoWays("a name with quotes in it", "have a view name it otherwise");
}

/** @param before the token ahead of it, spaces and comments left out */
function checkMysqlText({ text, at }: Token, before: Token | undefined, findings: Findings): void {
  const twoWays = (what: string, fix: string): void =>
    findings.add("SQL-031", `${what} can be read in two ways`, fix, at);
  if (text.includes("\\")) twoWays("\\ in a text", "leave it out; write '' for a quote");
  if (before?.kind === "quoted" && before.text.startsWith("'")) twoWays("a text right after a text", "use concat");
  const introduces = before?.kind === "word" && /^(_|n$|x$|b$)/i.test(before.text);
  if (introduces) twoWays(`${before?.text} '...'`, "write plain '...'");
}

/** Words of MySQL and MariaDB that call or write without parentheses; none of them can be a bare name. */
const mysqlWords = new Map([
  ["current_user", "SQL-006"],
  ["current_role", "SQL-006"],
  ["session_user", "SQL-006"],
  ["system_user", "SQL-006"],
  ["procedure", "SQL-032"],
  ["outfile", "SQL-004"],
  ["dumpfile", "SQL-004"],
  ["sql_calc_found_rows", "SQL-032"],
  ["high_priority", "SQL-032"],
  ["nextval", "SQL-006"],
  ["currval", "SQL-006"],
  ["lastval", "SQL-006"],
]);

function checkMysqlWords(tokens: readonly Token[], findings: Findings): void {
  tokens.forEach((token, at) => {
    if (token.kind !== "word") return;
    const [word, next, after] = [lower(token), lower(tokens[at + 1]), lower(tokens[at + 2])];
    if ((word === "next" || word === "previous") && next === "value" && after === "for") {
      findings.add("SQL-006", `${word} value for is not allowed`, "read a table", token.at);
    }
    const code = mysqlWords.get(word);
    if (code === "SQL-006") findings.add(code, `${word} is not allowed`, callFix("mysql", word), token.at);
    else if (code === "SQL-004") findings.add(code, "writes", "remove INTO", token.at);
    else if (code !== undefined) findings.unknown(word, "remove it", token.at);
  });
}

/** Words of the language that may stand before "(" and call nothing. */
const beforeParenthesis = new Set(
  `all and any as between binary by case distinct div else except exists filter force from glob having ignore in index
  intersect is join key lateral like limit materialized mod not offset on or over regexp rlike select some
  straight_join then union using values when where xor`.split(/\s+/),
);

function checkCalls(tokens: readonly Token[], findings: Findings): void {
  tokens.forEach((token, at) => {
    if (!called(tokens, at) || (token.kind !== "word" && token.kind !== "quoted")) return;
    if (token.kind === "quoted" && token.text.startsWith("'")) return;
    const name = lower(token);
    const before = lower(tokens[at - 1]);
    // A type, an alias with columns, or a name of WITH with columns.
    if (before === "as" || namesColumns(tokens, at + 1)) return;
    if (token.kind === "word" && before !== "." && beforeParenthesis.has(name)) return;
    checkCall(name, before === ".", token, findings);
  });
}

function checkCall(name: string, qualified: boolean, token: Token, findings: Findings): void {
  const { dialect } = findings;
  const shown = token.text.slice(0, 60);
  if (token.kind === "word" && !qualified && mayCall(dialect, name)) findings.functions.add(name);
  else findings.add("SQL-006", `function ${shown} is not allowed`, callFix(dialect, name), token.at);
}

/** Whether the parentheses that open at this token hold the columns of a name of WITH: `x (a, b) as (`. */
function namesColumns(tokens: readonly Token[], open: number): boolean {
  const depth = (tokens[open] as Token).depth;
  const close = tokens.findIndex((token, at) => at > open && token.text === ")" && token.depth === depth);
  if (close === -1 || lower(tokens[close + 1]) !== "as") return false;
  const body = tokens.slice(close + 2, close + 5).map(lower);
  return body[0] === "(" || body.indexOf("materialized") !== -1;
}
