/**
 * Reads a query as its server would and says whether it is one SELECT over known functions: an allow-list, not a list of
 * what is bad. PostgreSQL is read by PostgreSQL's own parser, SQLite by the same one (its SELECT was modelled on it),
 * MySQL and MariaDB by node-sql-parser, and each only after a strict reading of the words, so that nothing that two
 * readers could take in two ways gets as far. Nothing here asks a server.
 */
import { type Dialect, Findings, type ParsedQuery } from "./sql-parse-findings.ts";
import { loadMysql } from "./sql-parse-mysql.ts";
import { loadPostgres } from "./sql-parse-postgres.ts";
import { sqliteShadow } from "./sql-parse-sqlite.ts";
import { checkWords } from "./sql-parse-words.ts";
import { bindsSlot, meaningOf, type Token, tokenFaults, tokensOf } from "./sql-text.ts";

export type { Dialect, ParsedQuery } from "./sql-parse-findings.ts";
export { functionGroups } from "./sql-parse-functions.ts";

/** Characters of a query at most. */
const lengthMax = 100_000;

/** Reads one tree and adds what it finds. @param shadow the query's text, offsets kept, as the parser can read it */
type TreeReader = (shadow: string, findings: Findings) => void;

/** Parses; all faults in one pass. Never throws for what stands in the query. */
export async function parseQuery(query: string, dialect: Dialect): Promise<ParsedQuery> {
  return (await loadParser(dialect))(query);
}

/** Loads the dialect's library, once a process, and gives a parser that does not wait. */
export async function loadParser(dialect: Dialect): Promise<(query: string) => ParsedQuery> {
  const read = dialect === "mysql" ? await loadMysql() : await loadPostgres();
  return (query) => parseWith(read, query, dialect);
}

function parseWith(read: TreeReader, query: string, dialect: Dialect): ParsedQuery {
  if (query.length > lengthMax) {
    const findings = new Findings(dialect, "", []);
    findings.add(
      "SQL-033",
      `more than ${lengthMax} characters`,
      "write a shorter query, or have a view do a part of it",
    );
    return findings.result("", false);
  }
  const tokens = tokensOf(query);
  const findings = new Findings(dialect, query, tokenFaults(tokens));
  checkWords(query, tokens, findings);
  const text = bare(tokens);
  // What two readers could read in two ways, or is too large, is not worth the opinion of one of them.
  if (!findings.faults.some((fault) => /^SQL-0(01|31|33)/.test(fault))) readTree(read, tokens, text, findings);
  return findings.result(text.trim(), bindsSlot(query));
}

function readTree(read: TreeReader, tokens: readonly Token[], text: string, findings: Findings): void {
  const shadow = findings.dialect === "sqlite" ? sqliteShadow(tokens).slice(0, text.length) : text;
  try {
    read(shadow, findings);
  } catch (thrown) {
    // Thousands of operators in a row: a tree too deep to walk.
    if (!(thrown instanceof RangeError) && !(thrown instanceof WebAssembly.RuntimeError)) throw thrown;
    findings.add("SQL-033", "too much inside each other", "write a shorter query, or have a view do a part of it");
  }
}

/** The query with spaces in place of its comments, as long as it was, and cut before the closing semicolon. */
function bare(tokens: readonly Token[]): string {
  const last = meaningOf(tokens).at(-1);
  const end = last === undefined ? 0 : last.at + last.text.length;
  const blank = ({ kind, text }: Token): string => (kind === "comment" ? text.replace(/[^\n]/g, " ") : text);
  return tokens.map(blank).join("").slice(0, end);
}
