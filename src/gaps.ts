/** Slots whose points had no room in the spool, or were lost with a damaged one, are run again for the record. */
import { minuteMs } from "./core/time.ts";
import type { Desk } from "./desk.ts";

/** Slots that are looked at together. */
const pageMax = 100;
/** How long a slot that ended rests before it is run again for its gap: a source that fails is not asked again and again. */
const restMs = minuteMs;

/**
 * @param holds whether a sampler is run by this process. What others run they write to a spool of their own, so once such
 *   a slot is due again nothing is left to do here
 */
export async function fillGaps(desk: Desk, holds: (sampler: string) => boolean): Promise<void> {
  const { mirror, state, definitions, clock, log } = desk;
  if (mirror === null || !mirror.hasRoom) return;
  for (let page = mirror.gaps(pageMax); page.length > 0; page = mirror.gaps(pageMax, page.at(-1))) {
    for (const gap of page) {
      const key = { sampler: gap.sampler, startMs: gap.slotMs };
      const slot = definitions.samplers.has(gap.sampler) ? await state.slots.get(key.sampler, key.startMs) : null;
      const nowMs = clock.nowMs();
      if (slot === null) {
        log.warn({ ...gap }, "points without room, or lost, are of no slot that could be sampled again");
        mirror.dropGap(gap);
      } else if (nowMs - (slot.finishedMs ?? 0) >= restMs) {
        await state.slots.reopen([key], nowMs);
        if (!holds(gap.sampler)) mirror.dropGap(gap);
      }
    }
    if (page.length < pageMax) return;
  }
}
