/** How today runs against plan: 8 % above, say. Learnt slowly, within limits, and hardly while something may be wrong. */
import type { JudgeMemory } from "../../core/model.ts";
import { hourMs } from "../../core/time.ts";
import { rounded } from "../math/rounded.ts";

/** Counts that hold the level at 1, how far from it it may go, and the half-life of what it rests on. */
const prior = 400;
const most = 0.12;
const halfLifeMs = 3 * hourMs;
/** Evidence that makes doubt, in nats, and the pace of learning in it: a shift must not be learnt before it is told. */
const doubtNats = 2;
const doubtPace = 0.25;

type Level = NonNullable<JudgeMemory["level"]>;

const noLevel: Level = { observed: 0, expected: 0 };

/** What expectations are to be multiplied with, .88 to 1.12. */
export function levelOf({ observed, expected }: Level = noLevel): number {
  return Math.max(1 - most, Math.min(1 + most, (observed + prior) / (expected + prior)));
}

/**
 * The level after one more slot outside of incidents.
 * @param slot what was counted, and what was planned before the level
 * @param doubt the most evidence that anything is wrong, in nats
 */
export function learnt(level: Level = noLevel, slot: Level, doubt: number, stepMs: number): Level {
  const pace = doubt >= doubtNats ? doubtPace : 1;
  const keep = 0.5 ** ((pace * stepMs) / halfLifeMs);
  return {
    observed: rounded(level.observed * keep + pace * Math.max(0, slot.observed)),
    expected: rounded(level.expected * keep + pace * Math.max(0, slot.expected)),
  };
}
