/** What the ledger must hold, given what it holds: pure, so that a stop of any length is a table in a test. */
import { historySlotsMax, type Sampler } from "../core/definitions.ts";
import type { Slot } from "../core/model.ts";
import { dueMs, nextSlot, slotsEndingIn } from "./cron.ts";

/** How much of a stop is made up for. */
export type CatchUp = {
  /** Slots that ended longer ago are left out. Default 24 h. */
  readonly ageMsMax: number;
  /** Slots of one sampler at a time, the newest. Default 1,500. */
  readonly slotsMax: number;
};

/** Slots of the past that are planned at a time: to write down more would hold up all other samplers. */
const portionMax = 2_000;

/** A sampler with a history is caught up as far as that goes. */
export function boundsOf({ historyMs }: Sampler, { ageMsMax, slotsMax }: CatchUp): CatchUp {
  if (historyMs === 0) return { ageMsMax, slotsMax };
  return { ageMsMax: Math.max(ageMsMax, historyMs), slotsMax: Math.max(slotsMax, historySlotsMax) };
}

type PlannedSlot = Slot & { readonly dueMs: number; readonly catchUp: boolean };

export type Plan = {
  readonly slots: readonly PlannedSlot[];
  /** Every slot that ends by then is planned, or was left out; before now where there is more of the past to plan. */
  readonly untilMs: number;
  /** Slots left out because of the bounds; counted up to {@link skippedMax}. */
  readonly skipped: number;
};

/** Left-out slots are counted no further: a second's step and a year's stop would be 31 million. */
export const skippedMax = 100_000;

/**
 * The slots to add.
 *
 * Slots that have ended are caught up within the bounds, or as far back as the sampler's history; only the latest of
 * them still tells people, for no newer one has taken its place. Slots that end within `aheadMs` are planned before they
 * end.
 * @param knownMs end of the newest slot known; null for a sampler without any, which begins with its history, or without
 * one with the slot running now
 */
export function planSlots(
  sampler: Sampler,
  knownMs: number | null,
  nowMs: number,
  aheadMs: number,
  catchUp: CatchUp,
): Plan {
  const horizonMs = nowMs + aheadMs;
  const { historyMs } = sampler;
  const afterMs = knownMs ?? (historyMs > 0 ? nowMs - historyMs : null);
  if (afterMs === null) {
    const first = nextSlot(sampler, nowMs);
    if (first === null) return { slots: [], untilMs: horizonMs, skipped: 0 };
    const slots = [planned(sampler, first, false)];
    return { slots, untilMs: first.startMs + first.stepMs, skipped: 0 };
  }
  const { ageMsMax, slotsMax } = boundsOf(sampler, catchUp);
  const oldestMs = nowMs - ageMsMax;
  const tooOld = afterMs < oldestMs ? slotsEndingIn(sampler, afterMs, oldestMs, skippedMax).length : 0;
  const ended = slotsEndingIn(sampler, Math.max(afterMs, oldestMs), nowMs, Number.POSITIVE_INFINITY);
  const kept = ended.slice(-slotsMax);
  const skipped = tooOld + ended.length - kept.length;
  if (kept.length > portionMax) {
    const portion = kept.slice(0, portionMax);
    const { startMs, stepMs } = portion[portionMax - 1] as Slot;
    return { slots: portion.map((slot) => planned(sampler, slot, true)), untilMs: startMs + stepMs, skipped };
  }
  const coming = slotsEndingIn(sampler, Math.max(afterMs, nowMs), horizonMs, Number.POSITIVE_INFINITY);
  return {
    slots: [
      ...kept.map((slot, index) => planned(sampler, slot, index < kept.length - 1)),
      ...coming.map((slot) => planned(sampler, slot, false)),
    ],
    untilMs: Math.max(afterMs, horizonMs),
    skipped,
  };
}

function planned(sampler: Sampler, slot: Slot, catchUp: boolean): PlannedSlot {
  return { ...slot, dueMs: dueMs(sampler, slot), catchUp };
}
