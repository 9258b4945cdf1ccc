/** Rows that come late: slots before a slot that has just run are read once more, where the definition says so. */
import type { Sampler } from "./core/definitions.ts";
import type { SlotRecord } from "./core/model.ts";
import type { Log } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { dayMs } from "./core/time.ts";
import type { Pipeline } from "./pipeline.ts";
import type { SlotLedger } from "./state/slots.ts";

/** Late slots looked at with one slot; others are with the next one. */
const lateMax = 50;
/** A late slot that nobody came to look at again for so long stays what it is. */
const forgottenMs = 7 * dayMs;

export type ResamplerDeps = {
  readonly slots: Pick<SlotLedger, "list" | "late" | "amend">;
  readonly pipeline: Pick<Pipeline, "runAgain">;
  readonly log: Log;
};

export class Resampler {
  readonly #deps: ResamplerDeps;

  constructor(deps: ResamplerDeps) {
    this.#deps = deps;
  }

  /**
   * After a live slot: the `resample` slots before it, however long ago, and those that were empty and late, oldest
   * first. One that fails is read again with the next slot; the slot that has just run does not suffer from it.
   * @returns how long the system that was asked worked for those that have changed, ms
   */
  async after(sampler: Sampler, slot: Pick<SlotRecord, "startMs" | "catchUp">, signal: AbortSignal): Promise<number> {
    let serverMs = 0;
    if (slot.catchUp || (sampler.resample === 0 && sampler.graceMs === 0)) return serverMs;
    try {
      for (const earlier of await this.#earlier(sampler, slot.startMs)) {
        if (signal.aborted) return serverMs;
        const result = await this.#deps.pipeline.runAgain(sampler, earlier, signal);
        if (result === null) continue;
        serverMs += result.cost.serverMs;
        await this.#deps.slots.amend(earlier, result);
      }
    } catch (thrown) {
      if (signal.aborted) return serverMs;
      const what = `earlier slots could not be read again: ${messageOf(thrown)}`;
      this.#deps.log.warn({ sampler: sampler.name, startMs: slot.startMs }, what);
    }
    return serverMs;
  }

  async #earlier(sampler: Sampler, startMs: number): Promise<SlotRecord[]> {
    const { resample, graceMs, name } = sampler;
    const { slots } = this.#deps;
    const newest = resample === 0 ? [] : await slots.list({ sampler: name, toMs: startMs, limit: resample });
    const ended = newest.filter(({ state }) => state === "done" || state === "caught-up");
    const late = graceMs === 0 ? [] : await slots.late(name, startMs - graceMs - forgottenMs, lateMax);
    const all = new Map([...late, ...ended].map((slot) => [slot.startMs, slot]));
    return [...all.values()].filter((slot) => slot.startMs < startMs).sort((a, b) => a.startMs - b.startMs);
  }
}
