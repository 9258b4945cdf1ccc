/** What is remembered of each target beyond its place in the log. */
import type { Clock } from "../core/ports.ts";
import type { SpoolFile } from "./spool-file.ts";

export type TargetNote = {
  readonly startedMs: number | null;
  readonly canaryMs: number | null;
  /** Why everything that it stores must be compared; null: nothing need be. */
  readonly verifyReason: string | null;
  readonly verifySinceMs: number | null;
  /** All from here on was compared since. */
  readonly verifiedFromMs: number | null;
  /** True: points may be missing from it that were acknowledged, or that it never got. */
  readonly doubted: boolean;
  readonly repairedMs: number | null;
};

type Row = Record<
  "started_ms" | "canary_ms" | "verify_since_ms" | "verified_from_ms" | "repaired_ms",
  number | null
> & {
  verify_reason: string | null;
  doubted: number | null;
};
type Value = number | string | null;

export class Targets {
  readonly #file: SpoolFile;
  readonly #clock: Clock;

  constructor(file: SpoolFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  has(name: string): boolean {
    return this.#file.sql<[string], object>("select 1 from target where name = ?").get(name) !== undefined;
  }

  get(name: string): TargetNote {
    const row = this.#file.sql<[string], Row>("select * from target where name = ?").get(name);
    return {
      startedMs: row?.started_ms ?? null,
      canaryMs: row?.canary_ms ?? null,
      verifyReason: row?.verify_reason ?? null,
      verifySinceMs: row?.verify_since_ms ?? null,
      verifiedFromMs: row?.verified_from_ms ?? null,
      doubted: row?.doubted === 1,
      repairedMs: row?.repaired_ms ?? null,
    };
  }

  note(name: string, changes: Partial<TargetNote>): void {
    const { startedMs, canaryMs, verifyReason, ...rest } = { ...this.get(name), ...changes };
    const { verifySinceMs, verifiedFromMs, doubted, repairedMs } = rest;
    this.#file.durable(() =>
      this.#file
        .sql<[string, Value, Value, Value, Value, Value, number, Value], never>(
          `insert or replace into target (name, started_ms, canary_ms, verify_reason, verify_since_ms, verified_from_ms,
             doubted, repaired_ms)
           values (?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(name, startedMs, canaryMs, verifyReason, verifySinceMs, verifiedFromMs, Number(doubted), repairedMs),
    );
  }

  /** Has everything that a target stores compared. */
  verify(name: string, verifyReason: string, doubted: boolean): void {
    this.note(name, { verifyReason, verifySinceMs: this.#clock.nowMs(), verifiedFromMs: null, doubted });
  }

  /** Forgets a target, with what was kept for it. */
  remove(name: string): void {
    this.#file.durable(() => {
      for (const table of ["cursor", "shelf", "dirty"]) {
        this.#file.sql<[string], never>(`delete from ${table} where target = ?`).run(name);
      }
      this.#file.sql<[string], never>("delete from target where name = ?").run(name);
    });
  }
}
