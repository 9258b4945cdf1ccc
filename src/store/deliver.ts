/** Brings lines to a server of which it may refuse some: in parts, until those at fault stand alone. */
import type { Answer } from "../core/ports.ts";
import { pack } from "./batch.ts";
import { kindOf, type Line } from "./line.ts";
import type { Refused } from "./spool.ts";

/** Answers after which the rest of a group cannot go on before something has changed. */
export type Halt = Extract<Answer, { kind: "unknown" | "stuck" | "operator" }>;
export type Refusal = Extract<Answer, { kind: "refused" | "expired" | "size" }>;

export class Halted extends Error {
  readonly answer: Halt;

  constructor(answer: Halt) {
    super(answer.reason);
    this.answer = answer;
  }
}

export type Outcome = { readonly acknowledged: number; readonly refused: readonly Refused[] };

/** Sends one body of so many points. */
export type Send = (body: Uint8Array, points: number) => Promise<Answer>;

/** @throws Halted if the server takes nothing at all for now; what was taken until then may be sent again */
export async function deliver(lines: readonly Line[], send: Send): Promise<Outcome> {
  if (lines.length === 0) return { acknowledged: 0, refused: [] };
  const answer = await send(await pack(`${lines.map(({ text }) => text).join("\n")}\n`), lines.length);
  if (answer.kind === "stored") return { acknowledged: lines.length, refused: [] };
  if (isRefusal(answer)) return deliverParts(lines, answer, send);
  throw new Halted(answer);
}

/**
 * What the server names is set apart at once; without a name halves are sent, which finds one point of n in
 * 2 log2(n) requests. The others are sent again in any case: an answer that names some says nothing of the rest.
 * @param answer to all of them together
 */
export async function deliverParts(lines: readonly Line[], answer: Refusal, send: Send): Promise<Outcome> {
  const named = lines.filter((line) => isNamed(answer, line));
  const guilty = named.length > 0 || lines.length > 1 ? named : lines;
  if (guilty.length > 0) {
    const apart = new Set(guilty);
    const rest = await deliver(
      lines.filter((line) => !apart.has(line)),
      send,
    );
    const expired = answer.kind === "expired";
    const refused = guilty.map(({ text }) => ({ line: text, reason: answer.reason, expired }));
    return { acknowledged: rest.acknowledged, refused: [...refused, ...rest.refused] };
  }
  const middle = lines.length >> 1;
  const first = await deliver(lines.slice(0, middle), send);
  const second = await deliver(lines.slice(middle), send);
  return { acknowledged: first.acknowledged + second.acknowledged, refused: [...first.refused, ...second.refused] };
}

export function isRefusal(answer: Answer): answer is Refusal {
  return answer.kind === "refused" || answer.kind === "expired" || answer.kind === "size";
}

/** Whether an answer means this very line. */
function isNamed(answer: Refusal, { point: { measurement, fields, timeMs }, text }: Line): boolean {
  if (answer.kind === "expired") return answer.beforeMs !== null && timeMs < answer.beforeMs;
  if (answer.kind !== "refused" || answer.culprit === null) return false;
  const { culprit } = answer;
  if (culprit.kind === "line") return culprit.text === text;
  const value = measurement === culprit.measurement ? fields[culprit.field] : undefined;
  return value !== undefined && culprit.given !== null && kindOf(value) === culprit.given;
}
