/** How long samplers of one connection may keep its system at work within an hour, shared fairly. Pure. */
import { hourMs } from "../core/time.ts";

/** What is looked back over. */
export const budgetSpanMs = hourMs;

export type BudgetDecision = { readonly read: true } | { readonly read: false; readonly reason: string };

/**
 * While the connection's budget lasts, everybody reads. Once it is spent, those who took less than an even part of it
 * still do, so that one greedy sampler stops itself and nobody else.
 * @param usedMs sampler -> how long the system worked for it in the last hour, of all samplers of the connection
 * @param samplers how many read by the connection, >= 1
 */
export function decideBudget(
  usedMs: ReadonlyMap<string, number>,
  budgetMs: number,
  sampler: string,
  samplers: number,
): BudgetDecision {
  const totalMs = [...usedMs.values()].reduce((sum, ms) => sum + ms, 0);
  if (totalMs < budgetMs) return { read: true };
  const ownMs = usedMs.get(sampler) ?? 0;
  const evenMs = budgetMs / Math.max(1, samplers);
  if (ownMs < evenMs) return { read: true };
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  return {
    read: false,
    reason: `the connection's budget of ${seconds(budgetMs)} an hour is spent, ${seconds(ownMs)} of it by this sampler, whose even part is ${seconds(evenMs)}`,
  };
}
