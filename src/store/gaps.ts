/** Points that there was no room for, or that a damage took: by the slots that can be run again. */
import type { Log, Origin } from "../core/ports.ts";
import { messageOf } from "../core/problem.ts";
import type { SpoolFile } from "./spool-file.ts";

export type Gap = {
  readonly sampler: string;
  readonly slotMs: number;
  /** There was no room for the points; or they were stored, the slot was done, and a damage took them. */
  readonly kind: "refused" | "lost";
  readonly points: number;
  readonly reason: string;
  readonly atMs: number;
};

export type Slot = Pick<Gap, "sampler" | "slotMs">;
type Row = { sampler: string; slot_ms: number; points: number; reason: string; at_ms: number; kind: Gap["kind"] };

/** Before all others. */
const first: Slot = { sampler: "", slotMs: Number.MIN_SAFE_INTEGER };

/** Whose gaps of points are that came without an origin: all of them are one, and nobody runs its slot again. */
const nobody: Slot = { sampler: "(nobody)", slotMs: 0 };

export class Gaps {
  readonly #file: SpoolFile;
  readonly #log: Log;
  readonly #keys = new Set<string>();
  /** Those that could not be written down yet. */
  readonly #unwritten = new Map<string, Gap>();

  constructor(file: SpoolFile, log: Log) {
    this.#file = file;
    this.#log = log;
  }

  load(): void {
    this.#keys.clear();
    for (const row of this.#file.sql<[], Row>("select * from gap").all()) this.#keys.add(keyOf(toGap(row)));
    for (const key of this.#unwritten.keys()) this.#keys.add(key);
  }

  get size(): number {
    return this.#keys.size;
  }

  get unwritten(): number {
    return this.#unwritten.size;
  }

  /** Oldest first. @param after only those of later slots, in their order; default: all */
  list(limit: number, after: Slot = first): Gap[] {
    const rows = this.#file
      .sql<[number, string, number], Row>(
        "select * from gap where (slot_ms, sampler) > (?, ?) order by slot_ms, sampler limit ?",
      )
      .all(after.slotMs, after.sampler, limit);
    const unwritten = [...this.#unwritten.values()].filter((gap) => inOrder(after, gap) < 0);
    const all = new Map([...rows.map(toGap), ...unwritten].map((gap) => [keyOf(gap), gap]));
    return [...all.values()].sort(inOrder).slice(0, limit);
  }

  /** Notes gaps, the newest of a slot in the place of an older one. Never throws. */
  note(gaps: readonly (Omit<Gap, keyof Slot> & { readonly origin: Slot | undefined })[]): void {
    for (const { origin = nobody, kind, points, reason, atMs } of gaps) {
      const { sampler, slotMs } = origin;
      const key = keyOf(origin);
      // Points of a slot that is run again are the same points, others are not.
      const before = origin === nobody ? (this.#unwritten.get(key)?.points ?? 0) : 0;
      this.#unwritten.set(key, { sampler, slotMs, kind, points: points + before, reason, atMs });
      this.#keys.add(key);
    }
    this.writeDown();
  }

  /** Writes down what could not be before. Never throws. */
  writeDown(): void {
    if (this.#unwritten.size === 0) return;
    try {
      this.#file.durable(() => this.#write());
      this.#unwritten.clear();
    } catch (thrown) {
      this.#log.error({ gaps: [...this.#unwritten.values()] }, `gaps are not written down yet: ${messageOf(thrown)}`);
    }
  }

  #write(): void {
    const insert = this.#file.sql<[string, number, number, string, number, string, number], never>(
      `insert into gap values (?, ?, ?, ?, ?, ?) on conflict do update
       set points = excluded.points + iif(?, points, 0), reason = excluded.reason, at_ms = excluded.at_ms,
         kind = excluded.kind`,
    );
    for (const { sampler, slotMs, kind, points, reason, atMs } of this.#unwritten.values()) {
      insert.run(sampler, slotMs, points, reason, atMs, kind, Number(sampler === nobody.sampler));
    }
  }

  /** A slot that was stored after all; in the transaction that stores it, {@link filled} once that is through. */
  fill(slot: Slot): void {
    if (!this.#keys.has(keyOf(slot))) return;
    this.#file
      .sql<[string, number], never>("delete from gap where sampler = ? and slot_ms = ?")
      .run(slot.sampler, slot.slotMs);
  }

  filled(slot: Slot): void {
    this.#keys.delete(keyOf(slot));
    this.#unwritten.delete(keyOf(slot));
  }

  /** Gives up a slot that will never be sampled again. */
  drop(slot: Slot): void {
    this.#file.durable(() => this.fill(slot));
    this.filled(slot);
  }
}

function toGap({ slot_ms: slotMs, at_ms: atMs, ...rest }: Row): Gap {
  return { ...rest, slotMs, atMs };
}

function inOrder(a: Slot, b: Slot): number {
  if (a.slotMs !== b.slotMs) return a.slotMs - b.slotMs;
  return a.sampler === b.sampler ? 0 : a.sampler < b.sampler ? -1 : 1;
}

function keyOf({ sampler, slotMs }: Slot | Origin): string {
  return `${slotMs} ${sampler}`;
}
