import { type Database, isDuplicate } from "./connection.ts";

/** A name that one owner has for a while. Whoever wants it takes it once it has run out. */
export type Lease = { readonly name: string; readonly owner: string; readonly untilMs: number };

/** Who does what only one at a time may do. Times are the callers' clocks, which must not differ by more than seconds. */
export class Leases {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Takes those that are free, have run out, or are the owner's own, until `untilMs`.
   * @returns the names won, in the order given
   */
  async take(names: readonly string[], owner: string, nowMs: number, untilMs: number): Promise<string[]> {
    if (names.length === 0) return [];
    const known: string[] = await this.#database.run((query) => query("leases").whereIn("name", names).pluck("name"));
    for (const name of names.filter((each) => !known.includes(each))) await this.#begin({ name, owner, untilMs });
    await this.#database.run((query) =>
      query("leases")
        .whereIn("name", names)
        .where((free) => free.where("until_ms", "<=", nowMs).orWhere({ owner }))
        .update({ owner, until_ms: untilMs }),
    );
    return this.#owned(names, owner, untilMs);
  }

  /** @returns the names still held; others have run out and were taken */
  async renew(names: readonly string[], owner: string, untilMs: number): Promise<string[]> {
    if (names.length === 0) return [];
    await this.#database.run((query) =>
      query("leases").whereIn("name", names).where({ owner }).update({ until_ms: untilMs }),
    );
    return this.#owned(names, owner, untilMs);
  }

  /** Those that the owner has are free at once. */
  async release(names: readonly string[], owner: string): Promise<void> {
    if (names.length === 0) return;
    await this.#database.run((query) =>
      query("leases").whereIn("name", names).where({ owner }).update({ until_ms: 0 }),
    );
  }

  /** Those whose name begins so, run out or not, by name. @param prefix letters, digits and `-` */
  async list(prefix: string): Promise<Lease[]> {
    const rows = await this.#database.run((query) =>
      query("leases").where("name", "like", `${prefix}%`).orderBy("name"),
    );
    return rows.map((row) => ({ name: row.name, owner: row.owner, untilMs: Number(row.until_ms) }));
  }

  async #begin({ name, owner, untilMs }: Lease): Promise<void> {
    try {
      await this.#database.run((query) => query("leases").insert({ name, owner, until_ms: untilMs }));
    } catch (thrown) {
      // Somebody was faster.
      if (!isDuplicate(thrown)) throw thrown;
    }
  }

  async #owned(names: readonly string[], owner: string, untilMs: number): Promise<string[]> {
    const found: string[] = await this.#database.run((query) =>
      query("leases").whereIn("name", names).where({ owner, until_ms: untilMs }).pluck("name"),
    );
    return names.filter((name) => found.includes(name));
  }
}
