/** What an Elasticsearch answers that is no value, as what the reader can do about it. Pure. */
import { maskAddresses } from "../../core/mask.ts";
import { Problem, type ProblemOptions } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";
import { isMap } from "./elasticsearch-queries.ts";

export function cutAt(elapsedMs: number, where: string): Problem {
  return new Problem(`cut at ${(elapsedMs / secondMs).toFixed(1)} s`, {
    code: "NET-005",
    where,
    fix: "search fewer documents, ask for less, or raise the sampler's timeout",
    retryable: true,
  });
}

export function tooLong(bytesMax: number, where: string): Problem {
  return new Problem(`the answer is longer than ${bytesMax / 1_048_576} MiB`, {
    code: "NET-005",
    where,
    fix: "group more coarsely",
  });
}

export function notElasticsearch(what: string, where: string): Problem {
  const fix = "check the connection's url: something else answers there, a log-in page or another product";
  return new Problem(`not an answer of Elasticsearch: ${what}`, { code: "NET-006", where, fix });
}

/** Null if the answer tells of every document that was asked for; else why it is only part of one. */
export function whyPartial(answer: unknown): string | null {
  if (!isMap(answer)) return "it is empty";
  const { _shards: shards, _clusters: clusters } = answer;
  if (answer.timed_out === true) return "the search ran out of time";
  if (answer.terminated_early === true) return "the search was ended early";
  if (answer.is_partial === true) return "not all data could be read";
  if (isMap(shards)) {
    const failed = Number(shards.failed ?? 0);
    const missing = Number(shards.total ?? 0) - Number(shards.successful ?? 0);
    if (failed > 0 || missing > 0) return `${Math.max(failed, missing)} of ${shards.total} shards failed`;
  }
  if (isMap(clusters) && clusters.total !== undefined) {
    const missing = Number(clusters.total) - Number(clusters.successful ?? 0);
    const partial = Number(clusters.partial ?? 0);
    if (missing > 0 || partial > 0) return `${Math.max(missing, partial)} of ${clusters.total} clusters did not answer`;
  }
  return null;
}

export function partial(reason: string, where: string): Problem {
  return new Problem(`only part of an answer: ${reason}`, {
    code: "NET-007",
    where,
    fix: "see the cluster's health; a part is never taken for the whole",
    retryable: true,
  });
}

type Rule = {
  readonly found: (fault: Fault) => boolean;
  readonly what: (fault: Fault) => string;
  readonly rest: ProblemOptions;
};

type Fault = { readonly status: number; readonly types: ReadonlySet<string>; readonly reason: string };

const has =
  (...types: readonly string[]) =>
  (fault: Fault): boolean =>
    types.some((type) => fault.types.has(type));

/** The first that is found decides. */
const rules: readonly Rule[] = [
  {
    found: ({ status, types }) => status === 401 || status === 403 || types.has("security_exception"),
    what: ({ status, reason }) => `refused (${status}): ${reason}`,
    rest: { code: "NET-011", fix: "check the connection's auth; its account needs the privilege read on the index" },
  },
  {
    found: has("too_many_buckets_exception"),
    what: ({ reason }) => `more buckets than the server allows: ${reason}`,
    rest: { code: "ELS-009", fix: "group more coarsely, or lower rows_max; the server's limit protects it" },
  },
  {
    found: (fault) =>
      fault.status === 429 || has("circuit_breaking_exception", "es_rejected_execution_exception")(fault),
    what: ({ reason }) => `the server has no room for it: ${reason}`,
    rest: { code: "NET-013", fix: "ask for less or less often; see the server's memory", retryable: true },
  },
  {
    found: ({ types, reason }) => types.has("index_not_found_exception") || /Unknown index \[/.test(reason),
    what: ({ reason }) => `unknown index ${/\[([^\]]+)\]/.exec(reason)?.[1] ?? ""}`,
    rest: { code: "ELS-013", fix: "correct the sampler's index, or what its account may see" },
  },
  {
    found: has("index_closed_exception"),
    what: () => "an index of it is closed",
    rest: { code: "ELS-013", fix: "open it, or name the others" },
  },
  {
    found: ({ types, reason }) => types.has("verification_exception") && /Unknown column \[/.test(reason),
    what: ({ reason }) => `unknown field ${/Unknown column \[([^\]]+)\]/.exec(reason)?.[1] ?? ""}`,
    rest: { code: "ELS-013", fix: "name a field that the index has" },
  },
  {
    found: ({ status, reason }) => (status === 400 || status === 405) && /uri \[\/_query\b/.test(reason),
    what: () => "this server has no ES|QL",
    rest: { code: "ELS-015", fix: "write aggs in place of esql, or upgrade the server" },
  },
  {
    found: has("search_timeout_exception"),
    what: () => "only part of an answer: the search ran out of time",
    rest: {
      code: "NET-007",
      fix: "search fewer documents, or raise the connection's search_timeout",
      retryable: true,
    },
  },
  {
    found: ({ status, types, reason }) =>
      types.has("no_shard_available_action_exception") ||
      /missing shards/.test(reason) ||
      (status >= 500 && types.has("search_phase_execution_exception")),
    what: ({ reason }) => `not all shards answer: ${reason}`,
    rest: { code: "NET-007", fix: "see the cluster's health; a part is never taken for the whole", retryable: true },
  },
  {
    found: ({ status }) => status >= 500 || status === 408,
    what: ({ status, reason }) => `the server failed (${status}): ${reason}`,
    rest: { code: "NET-009", fix: "see the server's own log", retryable: true },
  },
  {
    found: () => true,
    what: ({ status, reason }) => `the server refuses it (${status}): ${reason}`,
    rest: { code: "ELS-020", fix: "correct the sampler's source" },
  },
];

/** Of an answer with a status of 400 or more. */
export function answerProblem(status: number, body: unknown, where: string, retryAfter?: string): Problem {
  if (!isMap(body) || body.error === undefined) {
    if (status === 401 || status === 403 || status === 429 || status >= 500) {
      return ruled({ status, types: new Set(), reason: "no reason was given" }, where, retryAfter);
    }
    return notElasticsearch(`status ${status} without an error in JSON`, where);
  }
  return ruled({ status, types: typesOf(body.error), reason: ownWords(reasonOf(body.error)) }, where, retryAfter);
}

function ruled(fault: Fault, where: string, retryAfter: string | undefined): Problem {
  const { what, rest } = rules.find(({ found }) => found(fault)) as Rule;
  const seconds = /^\d{1,5}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
  return new Problem(what(fault), {
    ...rest,
    where,
    ...(seconds === undefined ? {} : { retryAfterMs: seconds * secondMs }),
  });
}

/** Kinds of errors, wherever they stand: those of shards and causes are the telling ones. */
function typesOf(error: unknown, depth = 0): Set<string> {
  if (depth > 8) return new Set();
  if (Array.isArray(error)) return new Set(error.slice(0, 20).flatMap((each) => [...typesOf(each, depth + 1)]));
  if (!isMap(error)) return new Set();
  const own = typeof error.type === "string" ? [error.type] : [];
  const inner = [error.root_cause, error.caused_by, error.failed_shards, error.reason];
  return new Set([...own, ...inner.flatMap((each) => [...typesOf(each, depth + 1)])]);
}

function reasonOf(error: unknown): string {
  if (!isMap(error)) return String(error);
  const roots = Array.isArray(error.root_cause) ? error.root_cause : [];
  for (const each of [...roots, error.caused_by, error]) {
    if (isMap(each) && typeof each.reason === "string" && each.reason !== "") return each.reason;
  }
  return String(error.type ?? "no reason was given");
}

/** A server's own words, on one line. */
function ownWords(text: string): string {
  const line = maskAddresses(text.replace(/[\s\p{C}]+/gu, " ").trim());
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}

// ---- requests without an answer -----------------------------------------------------------------------------------

const certificateCode =
  /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS_CERT|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)/;

const certificateFaults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is self-signed",
  ERR_TLS_CERT_ALTNAME_INVALID: "is for another host",
};

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "no name server answers",
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ETIMEDOUT: "it does not answer",
  UND_ERR_CONNECT_TIMEOUT: "it does not answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
};

/** Of a connection that did not come about. */
export function connectProblem(code: string, text: string, host: string, where: string): Problem {
  if (certificateCode.test(code)) {
    const what = certificateFaults[code] ?? "is signed by an authority that is not trusted";
    const fix = /EXPIRED|ALTNAME|NOT_YET/.test(code)
      ? "have the server's certificate renewed; there is no switch that skips the check"
      : "name the certificate of its authority as ca of the connection; there is no switch that skips the check";
    return new Problem(`the certificate of ${host} ${what}`, { code: "NET-008", where, fix });
  }
  return unreachable(`${host} cannot be reached: ${reasons[code] ?? (code === "" ? text : code)}`, where);
}

export function unreachable(what: string, where: string): Problem {
  return new Problem(what, {
    code: "NET-010",
    where,
    fix: "check the connection's url, and that this machine may reach it",
    retryable: true,
  });
}
