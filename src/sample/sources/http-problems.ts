/** What goes wrong with a request, as what the reader can do about it. Texts of answers are masked. */
import { maskAddresses } from "../../core/mask.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { formatDuration, secondMs } from "../../core/time.ts";

export function cutAt(elapsedMs: number, where: string): Problem {
  return new Problem(`cut at ${(elapsedMs / secondMs).toFixed(1)} s`, {
    code: "NET-005",
    where,
    fix: "ask for less, or raise the sampler's timeout",
    retryable: true,
  });
}

/** Statuses of servers that have too much to do, or of what stands before them. */
const busyStatuses = new Set([429, 502, 503, 504]);

export function isBusy(status: number): boolean {
  return busyStatuses.has(status);
}

/**
 * Of an answer whose status is no success.
 * @param what the request as a message names it: `GET /v1/orders`
 * @param said the server's own words, where they are known to speak of the request alone
 */
export function statusProblem(
  status: number,
  { what, where, said, retryAfterMs }: { what: string; where: string; said?: string | null; retryAfterMs?: number },
): Problem {
  const words = said === undefined || said === null ? "" : `: ${ownWords(said)}`;
  const problem = (code: string, fix: string, retryable: boolean): Problem =>
    new Problem(`${what} answered ${status}${words}`, { code, where, fix, retryable, retryAfterMs });
  if (status === 401 || status === 403 || status === 407) {
    return problem("NET-011", "check the connection's auth and headers, and what they may read", false);
  }
  if (status === 404 || status === 410) return problem("NET-012", "correct the sampler's path", false);
  if (isBusy(status)) {
    const wait = retryAfterMs === undefined ? "" : ` (it asks to wait ${formatDuration(retryAfterMs)})`;
    return problem("NET-013", `ask less often${wait}`, true);
  }
  if (status >= 500 || status === 408 || status === 425) return problem("NET-009", "see the server's own log", true);
  return problem("NET-009", "correct the sampler's request", false);
}

const certificateCodes = [
  /^(?:CERT_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)/,
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|ERR_TLS_CERT_ALTNAME_INVALID)/,
];

const certificateFaults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "is signed by an authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "is signed by an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "is signed by an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "is signed by an authority that is not trusted",
  ERR_TLS_CERT_ALTNAME_INVALID: "is for another host",
};

/** Of a request that was not answered, or not to its end. */
export function wireProblem(thrown: unknown, host: string, where: string): Problem {
  if (thrown instanceof Problem) return thrown;
  const code = String((thrown as { code?: unknown }).code ?? "");
  if (certificateCodes.some((codes) => codes.test(code))) {
    const what = certificateFaults[code] ?? `cannot be verified (${code})`;
    const fix =
      code === "CERT_HAS_EXPIRED" || code === "ERR_TLS_CERT_ALTNAME_INVALID"
        ? "have the server's certificate renewed; there is no switch that skips the check"
        : "name the certificate of its authority as ca of the connection; there is no switch that skips the check";
    return new Problem(`the certificate of ${host} ${what}`, { code: "NET-008", where, fix });
  }
  if (code === "UND_ERR_HEADERS_OVERFLOW") {
    return new Problem("the answer has more than 16 KB of headers", { code: "NET-005", where, fix: "see the server" });
  }
  const reason = reasons[code] ?? (code === "" ? messageOf(thrown) : `${code}`);
  return new Problem(`${host} cannot be reached: ${reason}`, {
    code: "NET-010",
    where,
    fix: "check the connection's url, and that this machine may reach it",
    retryable: true,
    cause: thrown,
  });
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name is not known",
  ENODATA: "its name has no address",
  EAI_AGAIN: "no name server answers",
  ETIMEOUT: "no name server answers",
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was reset",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ETIMEDOUT: "it does not answer",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer",
  UND_ERR_SOCKET: "it ended the connection in the middle of an answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
};

export function tooLarge(bytesMax: number, where: string): Problem {
  const mib = bytesMax / 1024 / 1024;
  return new Problem(`the answer is longer than ${mib} MiB`, {
    code: "NET-005",
    where,
    fix: mib < 16 ? "ask for less, or raise body_mib_max" : "ask for less",
  });
}

/**
 * Of an answer that is not what its format promises.
 * @param text shown by the form of its beginning alone
 */
export function unexpected(what: string, where: string, fix: string, text?: string): Problem {
  const shown = text === undefined ? "" : `: ${masked(text)}`;
  return new Problem(`${what}${shown}`, { code: "NET-006", where, fix });
}

/** The form of a text's first 80 characters without what it says, since that may be anybody's name or number. */
export function masked(text: string): string {
  const start = text.slice(0, 400).replace(/\s+/g, " ").trim();
  if (start === "") return "nothing";
  const shape = start
    .replace(/\p{Lu}/gu, "A")
    .replace(/[\p{Ll}\p{Lo}\p{Lt}\p{Lm}]/gu, "a")
    .replace(/\p{N}/gu, "9")
    .replace(/\p{C}/gu, "?");
  return shape.length > 80 ? `${shape.slice(0, 80)}…` : shape;
}

/** A server's own words about a request, on one line. */
export function ownWords(text: string): string {
  // Cut before anything is looked for in it: what a server says may be as long as it likes.
  const line = maskAddresses(
    text
      .slice(0, 1_000)
      .replace(/[\s\p{C}]+/gu, " ")
      .trim(),
  );
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
