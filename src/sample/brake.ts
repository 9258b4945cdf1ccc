/** Slows a sampler down whose reads are cut: one that overloads its source must not do so every minute. Pure. */
import { minuteMs } from "../core/time.ts";

/** The longest wait between two reads of a sampler that is slowed down. */
const brakeMsMax = 10 * minuteMs;

export type Brake = {
  /** Reads in a row that were cut or refused as too costly. */
  readonly cuts: number;
  /** No read before this time. */
  readonly untilMs: number;
};

/**
 * After one more read was cut: the wait doubles each time, from the sampler's step (at least its time limit) to
 * {@link brakeMsMax}, less a twentieth so that the slot at its end is not missed.
 * @param before null: the latest read was not cut
 */
export function brakeAfterCut(before: Brake | null, stepMs: number, timeoutMs: number, nowMs: number): Brake {
  const cuts = (before?.cuts ?? 0) + 1;
  const waitMs = Math.min(brakeMsMax, Math.max(stepMs, timeoutMs) * 2 ** (cuts - 1));
  return { cuts, untilMs: nowMs + Math.round(waitMs * 0.95) };
}
