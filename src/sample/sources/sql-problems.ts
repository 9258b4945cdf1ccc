/** What every kind of database says in the same words. */
import { Problem } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";

/** SQL-019: nothing was asked, since others had all connections. It says nothing of this sampler, nor of the server. */
export function noPlace(elapsedMs: number, connectionsMax: number, where: string): Problem {
  const seconds = (elapsedMs / secondMs).toFixed(1);
  return new Problem(`waited ${seconds} s in vain for one of ${connectionsMax} connections`, {
    code: "SQL-019",
    where,
    fix: "see which samplers of the connection take long, or raise its pool_max",
    retryable: true,
  });
}

export function cutAt(elapsedMs: number, where: string): Problem {
  return new Problem(`cut at ${(elapsedMs / secondMs).toFixed(1)} s`, {
    code: "SQL-008",
    where,
    fix: "add an index on the time column, ask for less, or raise the sampler's timeout",
    retryable: true,
  });
}

type Place = { readonly host: string; readonly port: number; readonly database: string };

/** What every server can answer in its own words. */
export type Fault =
  | { readonly kind: "unreachable"; readonly why: string }
  | { readonly kind: "lost"; readonly why: string }
  | { readonly kind: "busy"; readonly why: string }
  | { readonly kind: "denied"; readonly why: string }
  | { readonly kind: "tls"; readonly why: string }
  | { readonly kind: "unknown"; readonly what: string; readonly name: string }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "cut" }
  | { readonly kind: "writes"; readonly why: string }
  | { readonly kind: "other"; readonly why: string; readonly retryable: boolean };

/** Four different texts for a name that is not there, a wrong password, a server that is away, and TLS. */
export function serverProblem(fault: Fault, where: string, { host, port, database }: Place): Problem {
  const at = `${host}:${port}`;
  const problem = (what: string, code: string | undefined, fix: string | undefined, retryable = false): Problem =>
    new Problem(what, { code, where, fix, retryable });
  switch (fault.kind) {
    case "unreachable":
      return problem(
        `${at} cannot be reached: ${fault.why}`,
        "SQL-015",
        "check the connection's url, and that the server runs",
        true,
      );
    case "lost":
      return problem(
        `the connection to ${at} broke: ${fault.why}`,
        "SQL-015",
        "see whether the server was restarted",
        true,
      );
    case "busy":
      return problem(
        `${at} takes no more connections: ${fault.why}`,
        "SQL-015",
        "lower pool_max, or let the server take more",
        true,
      );
    case "denied":
      return problem(`${at} refuses: ${fault.why}`, "SQL-014", "check user and password, and what was granted to it");
    case "tls":
      return problem(
        `no trusted encryption with ${at}: ${fault.why}`,
        "SQL-016",
        "set tls and ca as the server wants them",
      );
    case "unknown":
      return problem(
        `unknown ${fault.what} "${fault.name}"`,
        "SQL-013",
        `name a ${fault.what} that ${database} has, with its schema`,
      );
    case "function":
      return problem(`unknown function "${fault.name}"`, "SQL-006", `name a function that ${database} has`);
    case "cut":
      return problem(
        "cut by the server at the limit of its connection",
        "SQL-008",
        "add an index on the time column, ask for less, or raise timeout_max",
        true,
      );
    case "writes":
      return problem(`not a read: ${fault.why}`, "SQL-002", "write one SELECT");
    case "other":
      return problem(
        `the query failed: ${fault.why}`,
        undefined,
        fault.retryable ? undefined : "correct the query",
        fault.retryable,
      );
  }
}

const unreachable = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ECONNABORTED)$/;
const lost = /^(ECONNRESET|EPIPE|ERR_STREAM_\w+|PROTOCOL_CONNECTION_LOST)$/;
const tls =
  /^(ERR_TLS_\w+|ERR_SSL_\w+|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|HANDSHAKE_SSL_ERROR|HANDSHAKE_NO_SSL_SUPPORT|EPROTO)$/;

/** Faults of sockets, names and certificates, which are the same for every driver; null: something else. */
export function networkFault(code: string, why: string): Fault | null {
  if (tls.test(code)) return { kind: "tls", why };
  if (unreachable.test(code)) return { kind: "unreachable", why: why.replace(/ ?\d+\.\d+\.\d+\.\d+:\d+$/, "") || code };
  if (lost.test(code)) return { kind: "lost", why };
  return null;
}
