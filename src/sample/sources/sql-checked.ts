/** A query that its dialect's parser has let through: nothing else is sent to a server. */
import { Problem } from "../../core/problem.ts";
import { type Dialect, type ParsedQuery, parseQuery } from "./sql-parse.ts";

/** @throws Problem with the code of the first fault, and the others in its text */
export async function checkedQuery(query: string, dialect: Dialect, where: string): Promise<ParsedQuery> {
  const parsed = await parseQuery(query, dialect);
  const [first, ...others] = parsed.faults;
  if (first === undefined) return parsed;
  const [, code, what = first, fix] = /^(\S+) (.*?)(?:\. Fix: (.*))?$/s.exec(first) ?? [];
  const rest = others.map((fault) => fault.replace(/\. Fix: .*$/s, ""));
  const text = rest.length === 0 ? what : `${what}; also: ${rest.join("; ")}`;
  throw new Problem(text, { code, where, fix });
}
