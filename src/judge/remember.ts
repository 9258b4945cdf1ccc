/** What a decision leaves for the slots after it. */
import { type Before, type Cells, latchMsMax, markIncident, memorySlots, type Place } from "./cells.ts";
import type { Decision } from "./decision.ts";

/** Of what is remembered, what still holds at `timeMs`. @param latestMs the newest slot before it that had a value */
export function still(before: Before, timeMs: number, latestMs: number, stepMs: number): Before {
  const pauseMs = timeMs - latestMs;
  const ongoing = pauseMs > latchMsMax ? null : before.ongoing;
  const memory = pauseMs > memorySlots * stepMs ? {} : before.memory;
  return { ...before, ongoing, memory };
}

/** Notes in the cells what was expected of the slot and what is no reference any more. */
export function remember(cells: Cells, place: Place, before: Before, decision: Decision): Before {
  const { ongoing, range, memory, accepted } = decision;
  const { now, timeMs, stepMs } = place;
  if (range !== null) {
    cells.least[now] = range.least;
    cells.most[now] = range.most;
  }
  if (ongoing !== null) markIncident(cells, now, Math.floor((timeMs - ongoing.sinceMs) / stepMs));
  if (accepted !== null) {
    const slots = Math.floor((timeMs - accepted.sinceMs) / stepMs);
    cells.inIncident.fill(0, Math.max(0, now - slots), now + 1);
  }
  const ends = before.ongoing !== null && ongoing === null;
  return { ongoing, endedMs: ends ? timeMs : before.endedMs, memory };
}
