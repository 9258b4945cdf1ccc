/** What PostgreSQL and its driver say, as what the reader can do about it. Pure. */
import type { Problem } from "../../core/problem.ts";
import type { Address } from "./sql-address.ts";
import { type Fault, networkFault, serverProblem } from "./sql-problems.ts";
import { wordsOf } from "./sql-sessions.ts";

export function postgresProblem(thrown: unknown, where: string, address: Address): Problem {
  const code = String((thrown as { code?: unknown }).code ?? "");
  return serverProblem(faultOf(code, wordsOf(thrown)), where, address);
}

/** @param code a SQLSTATE, or the system's name of a fault */
function faultOf(code: string, text: string): Fault {
  const network = networkFault(code, text);
  if (network !== null) return network;
  const quoted = /"([^"]*)"/.exec(text)?.[1] ?? "";
  if (/SSL|TLS|certificate|no encryption/i.test(text)) return { kind: "tls", why: text };
  if (code === "42P01" || code === "3F000")
    return { kind: "unknown", what: code === "3F000" ? "schema" : "table", name: quoted };
  if (code === "42703")
    return { kind: "unknown", what: "column", name: /column "?([^" ]+)"?/.exec(text)?.[1] ?? quoted };
  if (code === "3D000") return { kind: "unknown", what: "database", name: quoted };
  if (code === "42883" && /^function /.test(text)) {
    return { kind: "function", name: /^function ([^(]+)/.exec(text)?.[1] ?? "" };
  }
  if (code === "57014" || code === "55P03" || code === "25P03") return { kind: "cut" };
  if (code === "53300" || code === "57P03") return { kind: "busy", why: text };
  if (code.startsWith("28") || code === "42501") return { kind: "denied", why: text };
  if (code === "25006" || text.startsWith("DECLARE CURSOR must not") || text.startsWith("SELECT ... INTO")) {
    return { kind: "writes", why: text };
  }
  if (code.startsWith("57P") || code.startsWith("08")) return { kind: "lost", why: text };
  if (/timeout expired|timeout exceeded when trying to connect/.test(text))
    return { kind: "unreachable", why: "no answer" };
  if (/^Connection terminated|not queryable|Client was closed/.test(text)) return { kind: "lost", why: text };
  // Resources that were short, a copy that fell behind, transactions in each other's way.
  const retryable = code.startsWith("53") || code.startsWith("40");
  return { kind: "other", why: text, retryable };
}
