import type { AuditEntry, Silence } from "../core/model.ts";
import { insertAudit, isAudited } from "./audit.ts";
import type { Database } from "./connection.ts";
import { Codec } from "./rows.ts";

const codec = new Codec<Silence>({
  id: "text",
  matchers: "json",
  reason: "text",
  author: "text",
  createdMs: "number",
  startsMs: "number",
  endsMs: "number",
});

/** Promises of people not to want to hear. Never deleted: what was silenced must be explicable later. */
export class SilenceBook {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(silence: Silence, audit: AuditEntry): Promise<void> {
    return this.#database.transaction(
      async (query) => {
        await query("silences").insert(codec.toRow(silence));
        await insertAudit(query, [audit]);
      },
      async (query) => ((await isAudited(query, [audit])) ? undefined : null),
    );
  }

  /** Ends it now. False, and no audit entry, if it is not known or has ended already. */
  end(id: string, nowMs: number, audit: AuditEntry): Promise<boolean> {
    return this.#database.transaction(
      async (query) => {
        const ended = await query("silences").where({ id }).where("ends_ms", ">", nowMs).update({ ends_ms: nowMs });
        if (ended === 0) return false;
        await insertAudit(query, [audit]);
        return true;
      },
      async (query) => ((await isAudited(query, [audit])) ? true : null),
    );
  }

  /** Those that hold at `nowMs`: started, and not yet ended. */
  async active(nowMs: number): Promise<Silence[]> {
    const rows = await this.#database.run((query) =>
      query("silences").where("starts_ms", "<=", nowMs).where("ends_ms", ">", nowMs).orderBy(["starts_ms", "id"]),
    );
    return rows.map((row) => codec.fromRow(row));
  }

  /** Newest first, ended ones too. */
  async list(filter: { limit: number }): Promise<Silence[]> {
    const rows = await this.#database.run((query) =>
      query("silences").orderBy("created_ms", "desc").orderBy("id").limit(filter.limit),
    );
    return rows.map((row) => codec.fromRow(row));
  }
}
