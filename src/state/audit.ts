import type { Knex } from "knex";
import type { AuditEntry } from "../core/model.ts";
import type { Database } from "./connection.ts";
import { Codec, pieces } from "./rows.ts";

const codec = new Codec<AuditEntry>({
  id: "text",
  atMs: "number",
  actor: "text",
  action: "text",
  subject: "text",
  detail: "text",
});

/** Who did what, when. Written in the transaction of the deed itself, never changed, never expired. */
export class AuditLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(entries: readonly AuditEntry[]): Promise<void> {
    return this.#database.transaction(
      (query) => insertAudit(query, entries),
      async (query) => ((await isAudited(query, entries)) ? undefined : null),
    );
  }

  /** Newest first; `beforeMs` pages on: entries of that very millisecond are not among them. */
  async list(filter: { limit: number; beforeMs?: number | undefined }): Promise<AuditEntry[]> {
    const rows = await this.#database.run((query) => {
      const found = query("audit").orderBy([
        { column: "at_ms", order: "desc" },
        { column: "seq", order: "desc" },
      ]);
      if (filter.beforeMs !== undefined) found.where("at_ms", "<", filter.beforeMs);
      return found.limit(filter.limit);
    });
    return rows.map((row) => codec.fromRow(row));
  }
}

/** Whether these entries, and so the transaction that wrote them, are there: ids are unique. */
export async function isAudited(query: Knex, entries: readonly AuditEntry[]): Promise<boolean> {
  const [first] = entries;
  return first !== undefined && (await query("audit").where({ id: first.id }).first()) !== undefined;
}

/** For those who write a deed and its entry in one transaction. */
export async function insertAudit(query: Knex, entries: readonly AuditEntry[]): Promise<void> {
  for (const piece of pieces(entries)) await query("audit").insert(piece.map((entry) => codec.toRow(entry)));
}
