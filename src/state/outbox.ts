import type { Knex } from "knex";
import type { OutboxItem, OutboxState } from "../core/model.ts";
import type { Measure } from "../core/ports.ts";
import type { Database } from "./connection.ts";
import { Codec, digest, insertNew, pieces } from "./rows.ts";

const codec = new Codec<OutboxItem>({
  id: "text",
  noticeKey: "text",
  incidentId: "text",
  kind: "text",
  notifier: "text",
  recipient: "text",
  recipientName: "text",
  state: "text",
  dueMs: "number",
  attempts: "number",
  leaseOwner: "text",
  leaseUntilMs: "number",
  createdMs: "number",
  sentMs: "number",
  receipt: "text",
  error: "text",
});

/** What became of an attempt. With state `owed` it is tried again at `dueMs` (absent: when it was due before). */
export type DeliveryOutcome = {
  state: "sent" | "failed" | "unknown" | "cancelled" | "owed";
  receipt?: string | undefined;
  /** One line, redacted. */
  error?: string | undefined;
  dueMs?: number | undefined;
};

/** The group and the step of its escalation that an item is for, as its key says; null for a test or a recovery. */
export function stepOf({ noticeKey }: Pick<OutboxItem, "noticeKey">): { group: string; index: number } | null {
  const found = /:(?:\d+):(.*)\.(\d+)$/.exec(noticeKey);
  return found === null ? null : { group: found[1] as string, index: Number(found[2]) };
}

/** Messages owed. Each is written in the transaction of the transition that it tells of, and claimed by one worker. */
export class Outbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A second item of the same notice key, notifier and recipient is ignored. */
  add(items: readonly OutboxItem[]): Promise<void> {
    return this.#database.transaction((query) => insertOutbox(query, items));
  }

  /**
   * Takes up to `limit` items that are owed and due, or whose sender's lease ran out, oldest due first; each claim
   * counts one attempt. An item with a second attempt may have been sent by the first.
   */
  async claim(owner: string, nowMs: number, leaseMs: number, limit: number): Promise<OutboxItem[]> {
    const rows = await this.#database.run((query) =>
      query("outbox").where(claimable(nowMs)).orderBy(["due_ms", "id"]).limit(limit),
    );
    if (rows.length === 0) return [];
    const lease = { state: "sending", lease_owner: owner, lease_until_ms: nowMs + leaseMs } as const;
    const items = rows.map((row) => codec.fromRow(row));
    return this.#database.transaction(
      async (query) => {
        const claimed: OutboxItem[] = [];
        for (const item of items) {
          const won = await query("outbox")
            .where({ id: item.id, attempts: item.attempts })
            .where(claimable(nowMs))
            .update({ ...lease, attempts: item.attempts + 1 });
          if (won === 0) continue;
          const { state, lease_owner: leaseOwner, lease_until_ms: leaseUntilMs } = lease;
          claimed.push({ ...item, state, leaseOwner, leaseUntilMs, attempts: item.attempts + 1 });
        }
        return claimed;
      },
      async (query) => {
        const ids = items.map(({ id }) => id);
        const found = await query("outbox").whereIn("id", ids).where(lease).orderBy(["due_ms", "id"]);
        return found.length === 0 ? null : found.map((row) => codec.fromRow(row));
      },
    );
  }

  /** False if the lease was lost: whoever has it now says what became of the message. */
  async settle(id: string, owner: string, outcome: DeliveryOutcome, nowMs: number): Promise<boolean> {
    const ending = {
      state: outcome.state,
      lease_owner: null,
      ...(outcome.state === "sent" ? { sent_ms: nowMs } : {}),
      ...(outcome.dueMs === undefined ? {} : { due_ms: outcome.dueMs }),
    };
    const settled = await this.#database.transaction(
      (query) =>
        query("outbox")
          .where({ id, state: "sending", lease_owner: owner })
          .update({
            ...ending,
            lease_until_ms: null,
            error: outcome.error ?? null,
            ...(outcome.receipt === undefined ? {} : { receipt: outcome.receipt }),
          }),
      async (query) => ((await query("outbox").where({ id }).where(ending).first()) === undefined ? null : 1),
    );
    return settled === 1;
  }

  async get(id: string): Promise<OutboxItem | null> {
    const row = await this.#database.run((query) => query("outbox").where({ id }).first());
    return row === undefined ? null : codec.fromRow(row);
  }

  /** Newest first; `beforeMs` pages on by the time of creation. */
  async list(filter: {
    incidentId?: string | undefined;
    state?: OutboxState | undefined;
    limit: number;
    beforeMs?: number | undefined;
  }): Promise<OutboxItem[]> {
    const rows = await this.#database.run((query) => {
      const found = query("outbox").orderBy("created_ms", "desc").orderBy("id");
      if (filter.incidentId !== undefined) found.where("incident_id", filter.incidentId);
      if (filter.state !== undefined) found.where("state", filter.state);
      if (filter.beforeMs !== undefined) found.where("created_ms", "<", filter.beforeMs);
      return found.limit(filter.limit);
    });
    return rows.map((row) => codec.fromRow(row));
  }

  /** How many items are in each state. */
  async counts(): Promise<Record<OutboxState, number>> {
    const counts = { owed: 0, sending: 0, sent: 0, failed: 0, unknown: 0, cancelled: 0 };
    const rows = await this.#database.run((query) => query("outbox").select("state").count("* as n").groupBy("state"));
    for (const row of rows) counts[row.state as OutboxState] = Number(row.n);
    return counts;
  }

  async measures(): Promise<Measure[]> {
    return Object.entries(await this.counts()).map(([state, value]) => ({
      name: "bellwether_outbox_items",
      help: "Messages in the outbox, by state.",
      kind: "gauge",
      value,
      labels: { state },
    }));
  }
}

function claimable(nowMs: number): Knex.QueryCallback {
  return (where) =>
    where
      .where((owed) => owed.where("state", "owed").where("due_ms", "<=", nowMs))
      .orWhere((sending) => sending.where("state", "sending").where("lease_until_ms", "<=", nowMs));
}

/** For those who write a transition and its messages in one transaction. */
export async function insertOutbox(query: Knex, items: readonly OutboxItem[]): Promise<void> {
  for (const piece of pieces(items)) {
    const rows = piece.map((item) => ({
      ...codec.toRow(item),
      once_key: digest(item.noticeKey, item.notifier, item.recipient),
    }));
    await insertNew(query, "outbox", "id", rows);
  }
}

/**
 * Owed items of an incident that are due later than `nowMs` and that nobody has claimed will not be sent. One that was
 * claimed and waits for its next attempt stays owed: who was to hear of the incident still does.
 */
export async function cancelOutbox(query: Knex, incidentId: string, reason: string, nowMs: number): Promise<void> {
  await query("outbox")
    .where({ incident_id: incidentId, state: "owed", attempts: 0 })
    .where("due_ms", ">", nowMs)
    .update({ state: "cancelled", error: reason });
}

/** Everything written for an incident, in the order it was due. */
export async function outboxOf(query: Knex, incidentId: string): Promise<OutboxItem[]> {
  const rows = await query("outbox").where({ incident_id: incidentId }).orderBy(["due_ms", "created_ms", "id"]);
  return rows.map((row) => codec.fromRow(row));
}
