/** Errors as RFC 9457 problem details. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import type { z } from "zod";
import type { Log } from "../../core/ports.ts";
import { Problem, type ProblemOptions, Problems } from "../../core/problem.ts";
import type { problem } from "./api.ts";

type Details = z.infer<typeof problem>;
type Extra = Partial<Pick<Details, "acknowledgedBy" | "acknowledgedAt" | "errors">>;

const titles: Readonly<Record<number, string>> = {
  400: "The request is not valid",
  403: "Not from here",
  404: "Not found",
  405: "Method not allowed",
  409: "Somebody was faster",
  413: "The request is too large",
  415: "Only JSON is read",
  421: "Not this host",
  422: "The request cannot be carried out",
  500: "Something is wrong inside",
  503: "Not now",
};

/** A request that is refused, with the status that says so. */
export class Refusal extends Problem {
  readonly status: number;
  readonly extra: Extra;

  constructor(status: number, what: string, options: ProblemOptions = {}, extra: Extra = {}) {
    super(what, options);
    this.status = status;
    this.extra = extra;
  }
}

/** Runs what reads the caller's own words; a Problem in it is the caller's (400), not ours. */
export function asked<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Refusal(400, error.message, { code: error.code, fix: error.fix, path, cause: error });
  }
}

/** Makes every error of `app` a problem document; what is a defect is logged and not told. */
export function tellProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const details = { ...detailsOf(error, request), instance: request.url.split("?")[0] };
    if (details.status === 500) log.error({ err: error, method: request.method, url: request.url }, "a request failed");
    return sendProblem(reply, details);
  });
}

export function sendProblem(reply: FastifyReply, details: Details): FastifyReply {
  return reply
    .code(details.status)
    .type("application/problem+json")
    .header("cache-control", "no-store")
    .serializer(JSON.stringify)
    .send(details);
}

function detailsOf(error: FastifyError, request: FastifyRequest): Details {
  if (error instanceof Refusal) {
    const errors = error.path === undefined ? undefined : [{ path: error.path, detail: error.message }];
    return { ...about(error.status, error.message, error), ...(errors && { errors }), ...error.extra };
  }
  // Several faults at once are of a draft that the caller sent.
  if ((error as unknown) instanceof Problems) {
    const { problems } = error as unknown as Problems;
    const errors = problems.map(({ path, message }) => ({ path: path ?? "body", detail: message }));
    const fix = problems.map((each) => each.fix).filter((each) => each !== undefined);
    return { ...about(400, problems.map(({ message }) => message).join("; "), { fix: fix.join("; ") }), errors };
  }
  // Problems hold no secrets: what the store or the state database could not do may be told.
  if ((error as unknown) instanceof Problem) {
    const inner = error as unknown as Problem;
    return about(inner.retryable ? 503 : 500, inner.message, inner);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map((issue) => ({
      path: issue.instancePath.slice(1).replaceAll("/", ".") || (error.validationContext ?? "request"),
      detail: isMissing(issue, partOf(request, error)) ? "is missing" : (issue.message ?? "not valid"),
    }));
    const what = errors.map(({ path, detail }) => `${path}: ${detail}`).join("; ");
    return { ...about(400, what, { fix: "see /api/v1/openapi.json for what is expected" }), errors };
  }
  const status = error.statusCode ?? 500;
  if (status === 413) return about(413, error.message, { fix: "send at most 1 MB" });
  if (status === 415) return about(415, error.message, { fix: "send JSON with content-type: application/json" });
  if (status === 503) return about(503, "the process is busy with other work", { fix: "ask again in a few seconds" });
  if (status < 500) return about(status, error.message, {});
  return about(500, "an error that nobody expected; the log has it", { fix: "look into the log of the process" });
}

/** What of a request was found not to be valid. */
function partOf({ body, query, params }: FastifyRequest, { validationContext }: FastifyError): unknown {
  return validationContext === "body" ? body : validationContext === "params" ? params : query;
}

/** Whether nothing was sent where something is wanted. Rules of our own have words of their own for it. */
function isMissing({ keyword, instancePath }: { keyword: string; instancePath: string }, part: unknown): boolean {
  const names = instancePath.split("/").filter((name) => name !== "");
  const sent = names.reduce<unknown>((found, name) => (found as Record<string, unknown> | null)?.[name], part);
  return keyword !== "custom" && (sent === undefined || (names.length === 0 && sent === null));
}

function about(status: number, detail: string, { fix, code }: { fix?: string | undefined; code?: string | undefined }) {
  const title = titles[status] ?? "The request was refused";
  return { type: "about:blank", title, status, detail, ...(fix && { fix }), ...(code && { code }) };
}
