import type { Database } from "./connection.ts";
import { Codec } from "./rows.ts";

/** A process of this installation, as it last said of itself. */
export type ProcessRecord = {
  /** Its name among all, the same after a restart. */
  readonly id: string;
  /** What it does, blank-separated: `worker console`. */
  readonly role: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly startedMs: number;
  readonly seenMs: number;
  /** Whatever it has to tell the others. */
  readonly detail: object;
};

const codec = new Codec<ProcessRecord>({
  id: "text",
  role: "text",
  host: "text",
  pid: "number",
  version: "text",
  startedMs: "number",
  seenMs: "number",
  detail: "json",
});

/** Who lives: each process says so now and then. */
export class Processes {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Takes the place of what a process of the same name said before. */
  async beat(process: ProcessRecord): Promise<void> {
    await this.#database.run((query) => query("processes").insert(codec.toRow(process)).onConflict("id").merge());
  }

  /** Those heard of since then, by name. */
  async list(sinceMs: number): Promise<ProcessRecord[]> {
    const rows = await this.#database.run((query) => query("processes").where("seen_ms", ">=", sinceMs).orderBy("id"));
    return rows.map((row) => codec.fromRow(row));
  }

  /** One that ends in order is not missed. */
  async end(id: string): Promise<void> {
    await this.#database.run((query) => query("processes").where({ id }).delete());
  }

  /** Forgets those not heard of since then; returns how many. */
  expire(beforeMs: number): Promise<number> {
    return this.#database.run((query) => query("processes").where("seen_ms", "<", beforeMs).delete());
  }
}
