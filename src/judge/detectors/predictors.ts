import { dayMs } from "../../core/time.ts";

/** Values before a gauge's point whose median predicts it, at most a third of a day; fewer than the least predict nothing. */
export const predictorsMax = 20;
export const predictorsMin = 3;
/** Slots back in which they lie: a gap does not hide what comes after it. */
export const predictorReach = 40;

/** How many values just before predict a slot. */
export function predictors(stepMs: number): number {
  return Math.max(predictorsMin, Math.min(predictorsMax, Math.floor(dayMs / stepMs / 3)));
}
