/** What MySQL, MariaDB and their driver say, as what the reader can do about it. Pure. */
import type { Problem } from "../../core/problem.ts";
import type { Address } from "./sql-address.ts";
import { type Fault, networkFault, serverProblem } from "./sql-problems.ts";
import { wordsOf } from "./sql-sessions.ts";

export function mysqlProblem(thrown: unknown, where: string, address: Address): Problem {
  const { code, errno } = thrown as { code?: unknown; errno?: unknown };
  return serverProblem(faultOf(String(code ?? ""), Number(errno ?? 0), wordsOf(thrown)), where, address);
}

const denied = new Set([1044, 1045, 1142, 1143, 1227, 1370, 1698]);
const cut = new Set([1205, 1317, 1969, 3024]);
const writes = new Set([1792, 1290, 1836]);

/** @param errno the server's own number of a fault; the system's for those of sockets */
function faultOf(code: string, errno: number, text: string): Fault {
  const network = networkFault(code, text);
  if (network !== null) return network;
  const quoted = /'([^']*)'/.exec(text)?.[1] ?? "";
  if (errno === 1146 || errno === 1109) return { kind: "unknown", what: "table", name: quoted };
  if (errno === 1049) return { kind: "unknown", what: "database", name: quoted };
  if (errno === 1054) return { kind: "unknown", what: "column", name: quoted };
  if (errno === 1305) return { kind: "function", name: /FUNCTION (\S+)/.exec(text)?.[1] ?? "" };
  if (errno === 3159 || /SSL|TLS/.test(text)) return { kind: "tls", why: text };
  if (denied.has(errno)) return { kind: "denied", why: deniedWords(text) };
  if (cut.has(errno)) return { kind: "cut" };
  if (writes.has(errno)) return { kind: "writes", why: text };
  if (errno === 1040 || errno === 1203 || errno === 1226) return { kind: "busy", why: text };
  if (errno === 1053 || errno === 1927) return { kind: "lost", why: text };
  if (/closed state|Connection lost/.test(text)) return { kind: "lost", why: text };
  const retryable = errno === 1213 || errno === 1021 || errno === 1037 || errno === 1041;
  return { kind: "other", why: withoutValues(text), retryable };
}

/** Where we come from is of no use to the reader. */
function deniedWords(text: string): string {
  return text.replace(/'@'[^']*'/, "'");
}

/** The server repeats what it could not read: `Incorrect DATETIME value: 'Ana'`, `near 'select ...'`. */
function withoutValues(text: string): string {
  return text.replace(/(: | near )'.*$/, "$1...");
}
