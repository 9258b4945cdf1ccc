/** What is remembered of each target beyond its place in the log. */
import type { SpoolFile } from "./spool-file.ts";

/** Why a target is compared that this spool has never seen; a process that has may vouch for it meanwhile. */
export const newHere = "it is new here";

export type TargetNote = {
  readonly startedMs: number | null;
  readonly canaryMs: number | null;
  /** Why everything that it stores must be compared; null: nothing need be. */
  readonly verifyReason: string | null;
  /** Number of the latest such reason, for one arises while another is looked into; 0: there never was one. */
  readonly doubt: number;
  /** All from here on was compared since. */
  readonly verifiedFromMs: number | null;
  /** True: points may be missing from it that were acknowledged, or that it never got. */
  readonly doubted: boolean;
  readonly repairedMs: number | null;
};

/** What may be noted without more ado. */
export type TargetFacts = Pick<TargetNote, "startedMs" | "canaryMs" | "repairedMs">;

type Row = Record<"started_ms" | "canary_ms" | "verified_from_ms" | "repaired_ms" | "doubted", number | null> & {
  verify_reason: string | null;
  doubt: number;
};
type Value = number | string | null;

export class Targets {
  readonly #file: SpoolFile;
  /** The highest number of a doubt so far: a damage may take it from the file. */
  #newest = 0;

  constructor(file: SpoolFile) {
    this.#file = file;
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
      doubt: row?.doubt ?? 0,
      verifiedFromMs: row?.verified_from_ms ?? null,
      doubted: row?.doubted === 1,
      repairedMs: row?.repaired_ms ?? null,
    };
  }

  note(name: string, changes: Partial<TargetFacts>): void {
    this.#change(name, () => changes);
  }

  /**
   * Has everything that a target stores compared.
   * @param trusted true: what it has is read meanwhile, unless it was in doubt before
   */
  doubt(name: string, verifyReason: string, trusted: boolean): void {
    this.#change(name, ({ doubt, doubted }) => {
      this.#newest = Math.max(this.#newest, doubt) + 1;
      return { verifyReason, verifiedFromMs: null, doubt: this.#newest, doubted: doubted || !trusted };
    });
  }

  /** How far back it has been compared for a doubt. @returns false, changing nothing, if that is not the latest one */
  progress(name: string, doubt: number, verifiedFromMs: number): boolean {
    return this.#change(name, (now) => (now.doubt === doubt ? { verifiedFromMs } : null));
  }

  /** All that it stores was compared for a doubt. @returns false, changing nothing, if that is not the latest one */
  endDoubt(name: string, doubt: number): boolean {
    const none = { verifyReason: null, verifiedFromMs: null, doubted: false };
    return this.#change(name, (now) => (now.doubt === doubt ? none : null));
  }

  /** Looks and writes in one: if the file is replaced in between, which raises doubts, both are done again. */
  #change(name: string, changes: (now: TargetNote) => Partial<TargetNote> | null): boolean {
    return this.#file.durable(() => {
      const now = this.get(name);
      const changed = changes(now);
      if (changed !== null) this.#write(name, { ...now, ...changed });
      return changed !== null;
    });
  }

  #write(name: string, note: TargetNote): void {
    const { startedMs, canaryMs, verifyReason, doubt, verifiedFromMs, doubted, repairedMs } = note;
    this.#file
      .sql<[string, Value, Value, Value, number, Value, number, Value], never>(
        `insert or replace into target (name, started_ms, canary_ms, verify_reason, doubt, verified_from_ms, doubted,
           repaired_ms)
         values (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(name, startedMs, canaryMs, verifyReason, doubt, verifiedFromMs, Number(doubted), repairedMs);
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
