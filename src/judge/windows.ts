/** Windows of time to read: pure. */
import type { TimeWindow } from "../core/model.ts";

/** What a slot is judged by lies before it, even if the store holds more. */
export function until(endMs: number, windows: readonly TimeWindow[]): TimeWindow[] {
  return windows
    .map(({ fromMs, toMs }) => ({ fromMs, toMs: Math.min(toMs, endMs) }))
    .filter(({ fromMs, toMs }) => fromMs < toMs);
}

/** Ascending and not overlapping, as the store wants them. */
export function merged(windows: readonly TimeWindow[]): TimeWindow[] {
  const found: { fromMs: number; toMs: number }[] = [];
  for (const window of [...windows].sort((one, other) => one.fromMs - other.fromMs)) {
    const last = found.at(-1);
    if (last !== undefined && window.fromMs <= last.toMs) last.toMs = Math.max(last.toMs, window.toMs);
    else found.push({ ...window });
  }
  return found;
}

/** The windows cut into groups that are at most `pieceMs` long in all. */
export function* pieces(windows: readonly TimeWindow[], pieceMs: number): Generator<TimeWindow[]> {
  let group: TimeWindow[] = [];
  let leftMs = pieceMs;
  for (const { fromMs, toMs } of windows) {
    for (let startMs = fromMs; startMs < toMs; ) {
      const endMs = Math.min(toMs, startMs + leftMs);
      group.push({ fromMs: startMs, toMs: endMs });
      leftMs -= endMs - startMs;
      startMs = endMs;
      if (leftMs > 0) continue;
      yield group;
      group = [];
      leftMs = pieceMs;
    }
  }
  if (group.length > 0) yield group;
}
