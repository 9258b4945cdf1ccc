import type { SlotRecord } from "../core/model.ts";
import type { JobOf } from "../core/ports.ts";

/**
 * The job that wakes a worker for a slot. Its id names the slot and the attempt, so that a slot that is wanted again
 * is not taken for the job that is just ending.
 * @param share of the slot's sampler
 */
export function slotJob(slot: SlotRecord, share: number): JobOf<"sample"> {
  const name = slot.sampler.replace(/[^A-Za-z0-9-]/g, (letter) => `_${letter.codePointAt(0)?.toString(16)}_`);
  return {
    kind: "sample",
    id: `${name}-${slot.startMs}-${slot.attempts}`,
    sampler: slot.sampler,
    startMs: slot.startMs,
    share,
  };
}
