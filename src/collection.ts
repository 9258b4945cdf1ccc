/** Watches the collection itself by what the ledger says: which samplers are late, fail, are slow or dead. */
import { collectionConditions } from "./collectionconditions.ts";
import type { Definitions } from "./core/definitions.ts";
import type { Condition } from "./core/model.ts";
import type { Clock } from "./core/ports.ts";
import { hourMs, minuteMs, secondMs } from "./core/time.ts";
import type { SlotLedger, SlotUsage } from "./state/slots.ts";

/** What is looked back over. */
const collectionSpanMs = hourMs;
/** How long it is remembered what the last hour's slots took, which is much to read. */
const usageMs = minuteMs;
/** Slots that were due more recently are not asked for: nearly all samplers have one. */
const graceMs = 30 * secondMs;

export type CollectionDeps = {
  readonly clock: Clock;
  readonly slots: Pick<SlotLedger, "usage" | "waiting" | "failing" | "list" | "latestMs">;
  readonly definitions: () => Definitions;
  /** How many times as fast as real time the clock runs. */
  readonly tempo: number;
};

export class Collection {
  readonly #deps: CollectionDeps;
  #usage: { readonly atMs: number; readonly found: Promise<ReadonlyMap<string, SlotUsage>> } | null = null;

  constructor(deps: CollectionDeps) {
    this.#deps = deps;
  }

  /** What slots took within the last hour, by sampler; known for up to a minute. */
  usage(): Promise<ReadonlyMap<string, SlotUsage>> {
    const nowMs = this.#deps.clock.nowMs();
    const known = this.#usage;
    if (known !== null && nowMs >= known.atMs && nowMs - known.atMs < usageMs) return known.found;
    const found = this.#deps.slots.usage(nowMs - collectionSpanMs);
    this.#usage = { atMs: nowMs, found };
    found.catch(() => {
      this.#usage = null;
    });
    return found;
  }

  async conditions(): Promise<Condition[]> {
    const { clock, slots, definitions, tempo } = this.#deps;
    const nowMs = clock.nowMs();
    const usage = await this.usage();
    const facts = {
      usage,
      waitingMs: await slots.waiting(nowMs - graceMs),
      failing: await slots.failing(nowMs - collectionSpanMs),
      emptySlots: await this.#emptySlots(usage),
      plannedMs: await this.#plannedMs(usage),
    };
    return collectionConditions(definitions(), facts, nowMs, tempo);
  }

  async #emptySlots(usage: ReadonlyMap<string, SlotUsage>): Promise<Map<string, number>> {
    const { samplers, collection } = this.#deps.definitions();
    const found = new Map<string, number>();
    if (collection.missingSlots === null) return found;
    const limit = collection.missingSlots;
    for (const { name, empty } of samplers.values()) {
      // One with rows within the hour is asked for only if the rule looks back further.
      if (empty !== "missing" || (usage.get(name)?.rows ?? 0) > 0) continue;
      const newest = await this.#deps.slots.list({ sampler: name, state: "done", limit });
      const filled = newest.findIndex(({ dataState }) => dataState !== "missing");
      found.set(name, filled < 0 ? newest.length : filled);
    }
    return found;
  }

  async #plannedMs(usage: ReadonlyMap<string, SlotUsage>): Promise<Map<string, number>> {
    const { samplers } = this.#deps.definitions();
    const found = new Map<string, number>();
    for (const { name } of samplers.values()) {
      const latestMs = usage.has(name) ? null : await this.#deps.slots.latestMs(name);
      if (latestMs !== null) found.set(name, latestMs);
    }
    return found;
  }
}
