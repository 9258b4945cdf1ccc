/**
 * What went wrong, where, how to fix it, and whether the same call could succeed later.
 *
 * The one error class of the project. Everything a user can cause arrives as a Problem and is printed by
 * {@link formatProblem}; any other error is a defect and keeps its stack trace for the log.
 * Texts never hold secrets or personal data: name the reference (`env:SHOP_DB_PASSWORD`), not its value.
 */
export class Problem extends Error {
  override readonly name = "Problem";
  /** Stable code, `CFG-005`; absent for problems that no table lists. */
  readonly code: string | undefined;
  /** `file:line:column`, a URL without user and password, or the name of the thing at fault. */
  readonly where: string | undefined;
  /** Path inside the file, `source.sql.query`. */
  readonly path: string | undefined;
  /** What the reader can do about it, without the full stop. */
  readonly fix: string | undefined;
  /** True only if the very same call could succeed later. */
  readonly retryable: boolean;
  /** Least wait that the other side asked for before the same call is made again; absent: it said nothing. */
  readonly retryAfterMs: number | undefined;
  /** True if the call may have taken effect although it failed (a connection lost in mid-send). Default false. */
  readonly uncertain: boolean;
  /** `warning` is shown and does not stop anything. Default `error`. */
  readonly severity: "error" | "warning";

  constructor(what: string, options: ProblemOptions = {}) {
    super(what, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.where = options.where;
    this.path = options.path;
    this.fix = options.fix;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.uncertain = options.uncertain ?? false;
    this.severity = options.severity ?? "error";
  }
}

export type ProblemOptions = {
  code?: string | undefined;
  where?: string | undefined;
  path?: string | undefined;
  fix?: string | undefined;
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  uncertain?: boolean | undefined;
  severity?: "error" | "warning" | undefined;
  cause?: unknown;
};

/** Several problems found in one pass; exit code 2 where they come from definitions or usage. */
export class Problems extends Error {
  override readonly name = "Problems";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}

/** `CODE file:line:column path - what. Fix: how.` on one line; parts that are absent leave no gap. */
export function formatProblem(problem: Problem): string {
  const place = [problem.code, problem.where, problem.path].filter(Boolean).join(" ");
  const what = place === "" ? problem.message : `${place} - ${problem.message}`;
  return problem.fix === undefined ? what : `${what}. Fix: ${problem.fix}.`;
}

/** Any thrown value as a Problem; a Problem stays itself. `what` leads the text: `cannot open x: <message>`. */
export function toProblem(thrown: unknown, what: string, options: ProblemOptions = {}): Problem {
  if (thrown instanceof Problem) return thrown;
  return new Problem(`${what}: ${messageOf(thrown)}`, { ...options, cause: thrown });
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
