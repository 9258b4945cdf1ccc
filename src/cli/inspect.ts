/** What the systems that samplers read say of themselves and of one read: for `check --connect`, `try` and `doctor`. */
import type { Sampler } from "../core/definitions.ts";
import type { Slot } from "../core/model.ts";
import type { SourceFacts } from "../core/ports.ts";
import { formatProblem, Problem, toProblem } from "../core/problem.ts";
import { deadline, formatDuration, secondMs } from "../core/time.ts";
import type { SamplerRunner } from "../sample/sample.ts";
import { definitionProblemView } from "../show/console/views.ts";

/** Samplers may have minutes; whoever looks for a fault does not. */
const askTimeoutMs = 10 * secondMs;
/** A difference of clocks that moves rows into another slot. */
const clockMsMax = 2 * secondMs;

export type Inspection = {
  readonly sampler: string;
  /** Null: it could not be asked, and `problems` says why. */
  readonly facts: SourceFacts | null;
  readonly problems: readonly Problem[];
};

/** Asks for what one read of a slot would take; nothing is read. Never throws a Problem: it is among the problems. */
export async function inspectSampler(
  runner: Pick<SamplerRunner, "inspect">,
  sampler: Sampler,
  slot: Slot,
): Promise<Inspection> {
  const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
  try {
    const facts = await runner.inspect(sampler, window, deadline(askTimeoutMs));
    const problems = [...facts.problems, ...clockProblems(facts)].map((problem) => at(problem, sampler));
    return { sampler: sampler.name, facts, problems };
  } catch (thrown) {
    const problem = toProblem(thrown, "cannot be asked", { where: sampler.place });
    return { sampler: sampler.name, facts: null, problems: [at(problem, sampler)] };
  }
}

/** Plain lines, the facts first. */
export function inspectionLines({ facts, problems }: Inspection): string[] {
  const lines: string[] = [];
  if (facts !== null) {
    lines.push(facts.server);
    for (const { name, rows } of facts.tables)
      lines.push(`${name}${rows === null ? "" : `: about ${grouped(rows)} rows`}`);
    if (facts.estimate !== null) {
      const { rows, cost } = facts.estimate;
      lines.push(
        `one read goes through about ${grouped(rows)} rows${cost === null ? "" : `, at a cost of ${grouped(cost)}`}`,
      );
    }
  }
  return [
    ...lines,
    ...problems.map((problem) => `${problem.severity === "warning" ? "warning " : ""}${formatProblem(problem)}`),
  ];
}

export function inspectionView({ sampler, facts, problems }: Inspection): object {
  const { server = null, clockAheadMs = null, tables = [], estimate = null } = facts ?? {};
  return { sampler, server, clockAheadMs, tables, estimate, problems: problems.map(definitionProblemView) };
}

export function isFaulty({ problems }: Inspection): boolean {
  return problems.some(({ severity }) => severity === "error");
}

function clockProblems({ clockAheadMs }: SourceFacts): Problem[] {
  if (clockAheadMs === null || Math.abs(clockAheadMs) <= clockMsMax) return [];
  const how = clockAheadMs > 0 ? "ahead of" : "behind";
  return [
    new Problem(`its clock is ${formatDuration(Math.abs(clockAheadMs))} ${how} ours: rows fall into other slots`, {
      code: "STR-003",
      fix: "let both machines follow one time server, or give the sampler a delay",
      severity: "warning",
    }),
  ];
}

/** Sources know their connection; who reads wants to know the sampler. */
function at(problem: Problem, sampler: Sampler): Problem {
  const { code, path, fix, retryable, severity, where } = problem;
  const what = where === undefined || where === sampler.place ? problem.message : `${where}: ${problem.message}`;
  return new Problem(what, { code, where: sampler.place, path, fix, retryable, severity, cause: problem });
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en");
}
