/** Rows that come late: the slots before a slot that has just run are read once more, where the definition says so. */
import type { Sampler } from "./core/definitions.ts";
import type { SlotRecord } from "./core/model.ts";
import type { Clock, Log } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import type { Pipeline } from "./pipeline.ts";
import type { SlotLedger } from "./state/slots.ts";

/** Late slots looked for, at most. */
const lateMax = 200;

export type ResamplerDeps = {
  readonly clock: Clock;
  readonly slots: Pick<SlotLedger, "list" | "amend">;
  readonly pipeline: Pick<Pipeline, "runAgain">;
  readonly log: Log;
};

export class Resampler {
  readonly #deps: ResamplerDeps;

  constructor(deps: ResamplerDeps) {
    this.#deps = deps;
  }

  /**
   * After a live slot: the `resample` slots before it, and those that were empty and whose grace may not be over, oldest
   * first. One that fails is read again with the next slot; the slot that has just run does not suffer from it.
   */
  async after(sampler: Sampler, slot: Pick<SlotRecord, "startMs" | "catchUp">, signal: AbortSignal): Promise<void> {
    if (slot.catchUp || (sampler.resample === 0 && sampler.graceMs === 0)) return;
    for (const earlier of await this.#earlier(sampler, slot.startMs)) {
      if (signal.aborted) return;
      try {
        const result = await this.#deps.pipeline.runAgain(sampler, earlier, signal);
        if (result !== null) await this.#deps.slots.amend(earlier, result);
      } catch (thrown) {
        if (signal.aborted) return;
        this.#deps.log.warn(
          { sampler: sampler.name, startMs: earlier.startMs },
          `an earlier slot could not be read again: ${messageOf(thrown)}`,
        );
        return;
      }
    }
  }

  async #earlier(sampler: Sampler, startMs: number): Promise<SlotRecord[]> {
    const { resample, graceMs, schedule, name } = sampler;
    // One step more than the grace, so that a slot is seen once after its end and becomes missing.
    const backMs = Math.max(resample * schedule.stepMs, graceMs === 0 ? 0 : graceMs + 2 * schedule.stepMs);
    const window = { fromMs: startMs - backMs, toMs: startMs };
    const found = await this.#deps.slots.list({ sampler: name, ...window, limit: Math.max(lateMax, resample) });
    const ended = found.filter(({ state }) => state === "done" || state === "caught-up");
    return ended.filter((earlier, index) => index < resample || earlier.dataState === "late").reverse();
  }
}
