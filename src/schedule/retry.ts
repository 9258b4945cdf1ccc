/** Whether a slot that failed is tried again. Pure. */
import type { SlotRecord } from "../core/model.ts";
import { minuteMs } from "../core/time.ts";

/** The first retry waits this part of the step, and each one after it twice as long as the one before. */
const backOffShare = 1 / 12;
const backOffMsMax = 5 * minuteMs;

/** A slot is worth retrying until two steps after its end: by then a newer one has told more. */
const usefulSteps = 2;

export type RetryDecision =
  | { readonly retry: true; readonly atMs: number }
  | { readonly retry: false; readonly reason: string };

/**
 * @param record as leased: `attempts` counts the one that just failed
 * @param attemptsMax how often a slot is started at most, >= 1
 * @param leastWaitMs what the source asked for, if it did
 */
export function decideRetry(record: SlotRecord, nowMs: number, attemptsMax: number, leastWaitMs = 0): RetryDecision {
  if (record.attempts >= attemptsMax) return { retry: false, reason: `tried ${record.attempts} times` };
  const backOffMs = Math.min(record.stepMs * backOffShare, backOffMsMax) * 2 ** (record.attempts - 1);
  const atMs = nowMs + Math.round(Math.max(backOffMs, leastWaitMs));
  // A slot that is caught up is for the record: it does not age.
  if (record.catchUp || atMs <= record.startMs + (1 + usefulSteps) * record.stepMs) return { retry: true, atMs };
  return { retry: false, reason: "too late to be useful" };
}
