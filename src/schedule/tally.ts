import type { SlotRecord, SlotState } from "../core/model.ts";
import type { Measure } from "../core/ports.ts";
import { secondMs } from "../core/time.ts";

/** `due`: given back, to be tried again or because the process stops. `lost`: another worker took the lease over. */
type End = SlotState | "lost";

type SamplerTally = {
  readonly ends: Map<End, number>;
  durationMs: number;
  /** Live slots on their first attempt; how long after their due time they were started. */
  starts: number;
  latenessMs: number;
  latenessMsMax: number;
};

/** What became of slots, for each sampler. */
export class Tally {
  readonly #samplers = new Map<string, SamplerTally>();

  count(record: SlotRecord, end: End, startedMs: number, nowMs: number): void {
    const tally = this.#of(record.sampler);
    tally.ends.set(end, (tally.ends.get(end) ?? 0) + 1);
    tally.durationMs += Math.max(0, nowMs - startedMs);
    if (record.catchUp || record.attempts > 1) return;
    const latenessMs = Math.max(0, startedMs - record.dueMs);
    tally.starts += 1;
    tally.latenessMs += latenessMs;
    tally.latenessMsMax = Math.max(tally.latenessMsMax, latenessMs);
  }

  /** @param defined whether a sampler still is; the figures of others are forgotten */
  measures(defined: (sampler: string) => boolean): Measure[] {
    for (const sampler of this.#samplers.keys()) if (!defined(sampler)) this.#samplers.delete(sampler);
    return [...this.#samplers].flatMap(([sampler, tally]) => {
      const measure = (kind: Measure["kind"], name: string, help: string, value: number, state?: End): Measure => {
        const labels = state === undefined ? { sampler } : { sampler, state };
        return { name: `bellwether_slot${name}`, help, kind, value, labels };
      };
      return [
        ...[...tally.ends].map(([state, count]) =>
          measure("counter", "s_run_total", "Slots run, by what became of them.", count, state),
        ),
        measure("counter", "_duration_seconds_total", "Time that slots ran.", tally.durationMs / secondMs),
        measure("counter", "_lateness_seconds_total", "Start after the due time.", tally.latenessMs / secondMs),
        measure("counter", "_starts_total", "Live slots started for the first time.", tally.starts),
        measure("gauge", "_lateness_seconds_max", "Latest start of a live slot.", tally.latenessMsMax / secondMs),
      ];
    });
  }

  #of(sampler: string): SamplerTally {
    const known = this.#samplers.get(sampler);
    if (known !== undefined) return known;
    const fresh = { ends: new Map(), durationMs: 0, starts: 0, latenessMs: 0, latenessMsMax: 0 };
    this.#samplers.set(sampler, fresh);
    return fresh;
  }
}
