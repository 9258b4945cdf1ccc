/** `rules/collection.yaml`: from when on trouble with the collection itself is told. */
import { z } from "zod";
import type { CollectionRules } from "../core/definitions.ts";
import { dayMs, secondMs } from "../core/time.ts";
import { count, duration } from "./scalars.ts";

const patience = { minMs: 10 * secondMs, maxMs: dayMs };

/** What `rules/collection.yaml` holds below `collection:`. */
export const collectionSchema = z.strictObject({
  late: duration(patience).prefault("2m").describe("a slot waits so long, and two steps, after it was due: warning"),
  very_late: duration(patience).prefault("10m").describe("as late, and ten steps: critical"),
  failing: count(1, 1000).prefault(3).describe("live slots in a row that failed"),
  missing: count(0, 10_000).prefault(0).describe("slots in a row without a row, where empty is missing; 0: never told"),
  slow_percent: count(1, 100).prefault(50).describe("a read takes so much of its time limit, on average over an hour"),
  process_gone: duration(patience).prefault("30s").describe("a process, or all of a role, has not been heard of"),
});

/** What is told where no file says otherwise. */
export const defaultCollection: CollectionRules = toCollection(collectionSchema.parse({}));

export function toCollection(written: z.output<typeof collectionSchema>): CollectionRules {
  return {
    lateMs: written.late,
    veryLateMs: written.very_late,
    failingSlots: written.failing,
    missingSlots: written.missing === 0 ? null : written.missing,
    slowShare: written.slow_percent / 100,
    processGoneMs: written.process_gone,
  };
}
