import type { Knex } from "knex";
import type { DataState, Slot, SlotRecord, SlotState } from "../core/model.ts";
import type { Measure } from "../core/ports.ts";
import { secondMs, stopwatch } from "../core/time.ts";
import { type Database, isDuplicate } from "./connection.ts";
import { Codec, insertNew, pieces, type Row } from "./rows.ts";

const codec = new Codec<SlotRecord>(
  {
    sampler: "text",
    startMs: "number",
    stepMs: "number",
    state: "text",
    dueMs: "number",
    catchUp: "flag",
    attempts: "number",
    leaseOwner: "text",
    leaseUntilMs: "number",
    startedMs: "number",
    finishedMs: "number",
    rows: "number",
    points: "number",
    dataState: "text",
    serverMs: "number",
    rowsRead: "number",
    error: "text",
  },
  { rows: "row_count", points: "point_count" },
);

/** Sampler and start: a slot's identity. */
export type SlotKey = Pick<Slot, "sampler" | "startMs">;

export type NewSlot = Slot & { readonly dueMs: number; readonly catchUp: boolean };

/** What became of a run. With state `due` the slot is run again, at `dueMs` (absent: when it was due before). */
export type SlotOutcome = {
  state: "done" | "caught-up" | "failed" | "due";
  rows?: number | undefined;
  points?: number | undefined;
  dataState?: DataState | undefined;
  /** What the read cost the system that was asked. */
  serverMs?: number | undefined;
  rowsRead?: number | null | undefined;
  /** One line, redacted. */
  error?: string | undefined;
  dueMs?: number | undefined;
};

/** What the slots of one sampler took. Times are of the latest attempt of each; null where none is known. */
export type SlotUsage = {
  readonly runs: number;
  readonly failed: number;
  readonly caughtUp: number;
  /** Start after the due time, of live slots. */
  readonly latenessMsAvg: number | null;
  readonly latenessMsMax: number | null;
  readonly durationMsAvg: number | null;
  readonly durationMsMax: number | null;
  readonly rows: number;
  readonly rowsRead: number;
  /** How long the systems that were asked worked. */
  readonly serverMs: number;
};

/** A sampler whose newest slots have failed. */
export type Failing = {
  /** How many in a row, counted up to {@link failingMax} for all samplers together. */
  readonly slots: number;
  /** Start of the first of them. */
  readonly sinceMs: number;
  /** Of the newest. */
  readonly dataState: DataState | null;
  readonly error: string | null;
};

/** Failed slots that are looked at; more are counted no further. */
const failingMax = 20_000;

/** How long a count of all slots does for `/metrics`, in real time. */
const countMs = 15 * secondMs;

/** Which slots there are and what became of each: the truth that queues and workers are checked against. */
export class SlotLedger {
  readonly #database: Database;
  /** Of the latest count for {@link SlotLedger.measures}, which may be under way. */
  #counted: { readonly counts: Promise<Record<SlotState, number>>; readonly ageMs: () => number } | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Slots that the ledger knows are left as they are.
   * @returns how many were new; two processes that add the same slot in the same instant may both count it
   */
  async add(slots: readonly NewSlot[]): Promise<number> {
    let added = 0;
    for (const piece of pieces(slots)) {
      const known = await this.#known(piece);
      const fresh = piece.filter((slot) => !known.has(keyText(slot)));
      if (fresh.length === 0) continue;
      await this.#database.run((query) => insertNew(query, "slots", "sampler", fresh.map(toNewRow)));
      added += new Set(fresh.map(keyText)).size;
    }
    return added;
  }

  async #known(slots: readonly SlotKey[]): Promise<Set<string>> {
    const keys = slots.map((slot) => [slot.sampler, slot.startMs]);
    const rows = await this.#database.run((query) =>
      query("slots").select("sampler", "start_ms").whereIn(["sampler", "start_ms"], keys),
    );
    return new Set(rows.map((row) => keyText({ sampler: row.sampler, startMs: Number(row.start_ms) })));
  }

  /**
   * The oldest unfinished slot of each sampler, where it may run now; so slots of a sampler run in order of their start,
   * and a slot that waits to be tried again holds back its sampler's later ones. Oldest due first.
   */
  async ready(nowMs: number, limit: number): Promise<SlotRecord[]> {
    const rows: Row[] = await this.#database.run((query) => {
      const first = query("slots")
        .select("sampler")
        .min("start_ms as start_ms")
        .whereIn("state", unfinished)
        .groupBy("sampler");
      const own = { "slots.sampler": "first.sampler", "slots.start_ms": "first.start_ms" };
      return query.select("slots.*").from(first.as("first")).join("slots", own);
    });
    const records = rows.map((row) => codec.fromRow(row)).filter((slot) => isLeasable(slot, nowMs));
    return records.sort((a, b) => a.dueMs - b.dueMs || a.startMs - b.startMs).slice(0, limit);
  }

  /** The oldest unfinished slot of one sampler; null if there is none, or it may not run now. */
  async readyOf(sampler: string, nowMs: number): Promise<SlotRecord | null> {
    const rows: Row[] = await this.#database.run((query) => {
      // One limit for each state: the index holds them one after the other.
      const [due, leased] = unfinished.map((state) => {
        return query.select("*").from(query("slots").where({ state, sampler }).orderBy("start_ms").limit(1).as(state));
      }) as [Knex.QueryBuilder, Knex.QueryBuilder];
      return due.unionAll([leased]);
    });
    const [oldest] = rows.map((row) => codec.fromRow(row)).sort((a, b) => a.startMs - b.startMs);
    return oldest !== undefined && isLeasable(oldest, nowMs) ? oldest : null;
  }

  /**
   * Takes the slot for `owner` until `untilMs`, and counts one attempt.
   * @returns null if it may not run now (done, not yet due, or leased), or another slot of its sampler is running
   */
  async lease(slot: SlotKey, owner: string, nowMs: number, untilMs: number): Promise<SlotRecord | null> {
    const lease = { state: "leased", lease_owner: owner, lease_until_ms: untilMs, started_ms: nowMs };
    const take = (): Promise<number> =>
      this.#database.run(async (query, again) => {
        const won = await leasable(query, nowMs)
          .where(key(slot))
          .update({ ...lease, running_key: slot.sampler, attempts: query.raw("attempts + 1") });
        return won === 0 && again ? this.#holds(query, slot, lease) : won;
      });
    try {
      const won = await take().catch(async (thrown: unknown) => {
        if (!isDuplicate(thrown)) throw thrown;
        // Whoever runs another slot of the sampler may be dead.
        await this.#endExpired(slot.sampler, nowMs);
        return take();
      });
      return won === 0 ? null : this.get(slot.sampler, slot.startMs);
    } catch (thrown) {
      if (isDuplicate(thrown)) return null;
      throw thrown;
    }
  }

  /** How many rows (0 or 1) are so already: where the answer to a first try was lost, it was the first that did it. */
  async #holds(query: Knex, slot: SlotKey, columns: Row): Promise<number> {
    return (await query("slots").where(key(slot)).where(columns).pluck("sampler")).length;
  }

  /** A slot whose lease has run out no longer counts as running. */
  async #endExpired(sampler: string, nowMs: number): Promise<void> {
    await this.#database.run((query) =>
      query("slots").where("running_key", sampler).where("lease_until_ms", "<=", nowMs).update({ running_key: null }),
    );
  }

  /** False if the lease was lost: another worker has the slot, or another slot of its sampler is running. */
  async renew(slot: SlotKey, owner: string, untilMs: number): Promise<boolean> {
    const renewed = await this.#database.run((query) =>
      query("slots")
        .where({ ...key(slot), state: "leased", lease_owner: owner, running_key: slot.sampler })
        .update({ lease_until_ms: untilMs }),
    );
    return renewed === 1;
  }

  /** False, and nothing written, if another worker has taken the slot meanwhile. */
  async finish(slot: SlotKey, owner: string, outcome: SlotOutcome, nowMs: number): Promise<boolean> {
    const ending = {
      state: outcome.state,
      lease_owner: null,
      finished_ms: outcome.state === "due" ? null : nowMs,
      ...(outcome.dueMs === undefined ? {} : { due_ms: outcome.dueMs }),
    };
    const finished = await this.#database.run(async (query, again) => {
      const found = await query("slots")
        .where({ ...key(slot), state: "leased", lease_owner: owner })
        .update({
          ...ending,
          lease_until_ms: null,
          running_key: null,
          row_count: outcome.rows ?? null,
          point_count: outcome.points ?? null,
          data_state: outcome.dataState ?? null,
          server_ms: outcome.serverMs ?? null,
          rows_read: outcome.rowsRead ?? null,
          error: outcome.error ?? null,
        });
      return found === 0 && again ? this.#holds(query, slot, ending) : found;
    });
    return finished === 1;
  }

  /**
   * Gives back every lease. Only for a process that knows that no other one works on this ledger: the slots that a
   * crash left behind then need not wait for their leases to run out.
   * @returns how many there were
   */
  releaseAll(): Promise<number> {
    return this.#database.run((query) =>
      query("slots")
        .where({ state: "leased" })
        .update({ state: "due", lease_owner: null, lease_until_ms: null, running_key: null }),
    );
  }

  /**
   * Slots that ended, whichever way, are due once more, at `dueMs` and for the record only, as if never tried; why they
   * failed is kept until they have run. Others, and slots that the ledger does not know, are left as they are.
   * @returns how many there were
   */
  async reopen(slots: readonly SlotKey[], dueMs: number): Promise<number> {
    let reopened = 0;
    for (const piece of pieces(slots)) {
      const keys = piece.map((slot) => [slot.sampler, slot.startMs]);
      reopened += await this.#database.run((query) =>
        query("slots")
          .whereIn(["sampler", "start_ms"], keys)
          .whereIn("state", ended)
          .update({ state: "due", due_ms: dueMs, catch_up: true, attempts: 0, finished_ms: null }),
      );
    }
    return reopened;
  }

  /** Slots of a sampler that ended without rows and may yet get some, of those that begin since then, oldest first. */
  async late(sampler: string, sinceMs: number, limit: number): Promise<SlotRecord[]> {
    const rows = await this.#database.run((query) =>
      query("slots")
        .where({ sampler, data_state: "late" })
        .where("start_ms", ">=", sinceMs)
        .whereIn("state", ["done", "caught-up"])
        .orderBy("start_ms")
        .limit(limit),
    );
    return rows.map((row) => codec.fromRow(row));
  }

  /** What a slot that ended has turned out to hold since. */
  async amend(
    slot: SlotKey,
    { rows, points, dataState }: Pick<SlotRecord, "rows" | "points" | "dataState">,
  ): Promise<void> {
    await this.#database.run((query) =>
      query("slots")
        .where(key(slot))
        .whereIn("state", ended)
        .update({ row_count: rows, point_count: points, data_state: dataState }),
    );
  }

  /**
   * Slots of a sampler that failed because its source did not answer are run again, for the record; the oldest `limit`
   * that begin at or after `sinceMs`. One that failed when it was run for the record has failed for good, and one that
   * its connection's budget had no room for has none now.
   * @returns how many there were
   */
  async reopenFailed(sampler: string, sinceMs: number, limit: number, nowMs: number): Promise<number> {
    const starts: number[] = await this.#database.run((query) =>
      query("slots")
        .where({ sampler, state: "failed", catch_up: false })
        .whereIn("data_state", ["source-down", "late"])
        .where("start_ms", ">=", sinceMs)
        .where((why) => why.whereNull("error").orWhereNot("error", "like", "SRC-003%"))
        .orderBy("start_ms")
        .limit(limit)
        .pluck("start_ms"),
    );
    return this.reopen(
      starts.map((startMs) => ({ sampler, startMs: Number(startMs) })),
      nowMs,
    );
  }

  /** Slots of a sampler that begin before `beforeMs` and wait to be run are run for the record only. */
  async forTheRecord(sampler: string, beforeMs: number): Promise<void> {
    await this.#database.run((query) =>
      query("slots").where({ sampler, state: "due" }).where("start_ms", "<", beforeMs).update({ catch_up: true }),
    );
  }

  /** Start of the newest slot known of a sampler; null if there is none. */
  async latestMs(sampler: string): Promise<number | null> {
    const row = await this.#database.run((query) => query("slots").where({ sampler }).max("start_ms as ms").first());
    return row?.ms == null ? null : Number(row.ms);
  }

  async get(sampler: string, startMs: number): Promise<SlotRecord | null> {
    const row = await this.#database.run((query) => query("slots").where(key({ sampler, startMs })).first());
    return row === undefined ? null : codec.fromRow(row);
  }

  /** Newest first. Starts lie in `[fromMs, toMs)`; `beforeMs` pages on by the start. */
  async list(filter: {
    sampler?: string | undefined;
    state?: SlotState | undefined;
    fromMs?: number | undefined;
    toMs?: number | undefined;
    limit: number;
    beforeMs?: number | undefined;
  }): Promise<SlotRecord[]> {
    const rows = await this.#database.run(async (query) => {
      const found = query("slots").orderBy("start_ms", "desc");
      if (filter.sampler !== undefined) found.where("sampler", filter.sampler);
      if (filter.state !== undefined) found.where("state", filter.state);
      if (filter.fromMs !== undefined) found.where("start_ms", ">=", filter.fromMs);
      if (filter.toMs !== undefined) found.where("start_ms", "<", filter.toMs);
      if (filter.beforeMs !== undefined) found.where("start_ms", "<", filter.beforeMs);
      if (filter.sampler === undefined) {
        // No index holds both orders, one down and one up: MariaDB would sort the whole table for a page of it.
        const [last] = await found
          .clone()
          .offset(Math.max(0, filter.limit - 1))
          .limit(1)
          .pluck("start_ms");
        if (last !== undefined) found.where("start_ms", ">=", last);
      }
      return found.orderBy("sampler").limit(filter.limit);
    });
    return rows.map((row) => codec.fromRow(row));
  }

  /** What slots that were started since then took, by sampler. Reads all of them: not to be asked every second. */
  async usage(sinceMs: number): Promise<Map<string, SlotUsage>> {
    const rows: Row[] = await this.#database.run((query) => {
      const live = "case when catch_up then null else started_ms - due_ms end";
      const took = "finished_ms - started_ms";
      return query("slots")
        .select("sampler")
        .count("* as runs")
        .sum({ rows_sum: "row_count", rows_read_sum: "rows_read", server_ms_sum: "server_ms" })
        .select({
          failed: query.raw("sum(case when state = 'failed' then 1 else 0 end)"),
          caught_up: query.raw("sum(case when state = 'caught-up' then 1 else 0 end)"),
          lateness_avg: query.raw(`avg(${live})`),
          lateness_max: query.raw(`max(${live})`),
          duration_avg: query.raw(`avg(${took})`),
          duration_max: query.raw(`max(${took})`),
        })
        .where("started_ms", ">=", sinceMs)
        .groupBy("sampler");
    });
    const orNull = (cell: unknown): number | null => (cell === null ? null : Number(cell));
    return new Map(
      rows.map((row) => [
        row.sampler as string,
        {
          runs: Number(row.runs),
          failed: Number(row.failed),
          caughtUp: Number(row.caught_up),
          latenessMsAvg: orNull(row.lateness_avg),
          latenessMsMax: orNull(row.lateness_max),
          durationMsAvg: orNull(row.duration_avg),
          durationMsMax: orNull(row.duration_max),
          rows: Number(row.rows_sum ?? 0),
          rowsRead: Number(row.rows_read_sum ?? 0),
          serverMs: Number(row.server_ms_sum ?? 0),
        },
      ]),
    );
  }

  /** Samplers with a slot that was due by then and has not ended: when the oldest of them was due. */
  async overdue(dueByMs: number): Promise<Map<string, number>> {
    const rows = await this.#overdue(dueByMs);
    return new Map(rows.map((row) => [row.sampler as string, Number(row.due_ms)]));
  }

  /**
   * The same, and since when they wait. Where slots are run for the record, live ones wait behind them: that is no waiting
   * as long as slots end, and none of which a live one knows.
   */
  async waiting(dueByMs: number): Promise<Map<string, number | null>> {
    const rows = await this.#overdue(dueByMs);
    const endedMs = await this.#lastEndedMs(rows.filter(isBehind).map((row) => row.sampler as string));
    return new Map(
      rows.map((row): [string, number | null] => {
        const sampler = row.sampler as string;
        if (!isBehind(row)) return [sampler, Number(row.due_ms)];
        const sinceMs = Math.max(endedMs.get(sampler) ?? 0, row.live_ms === null ? 0 : Number(row.live_ms));
        return [sampler, sinceMs === 0 ? null : sinceMs];
      }),
    );
  }

  #overdue(dueByMs: number): Promise<Row[]> {
    return this.#database.run((query) =>
      query("slots")
        .select("sampler", query.raw("max(case when catch_up then 1 else 0 end) as behind"))
        .min("due_ms as due_ms")
        .select(query.raw("min(case when catch_up then null else due_ms end) as live_ms"))
        .whereIn("state", unfinished)
        .where("due_ms", "<=", dueByMs)
        .groupBy("sampler"),
    );
  }

  async #lastEndedMs(samplers: readonly string[]): Promise<Map<string, number>> {
    if (samplers.length === 0) return new Map();
    const rows: Row[] = await this.#database.run((query) =>
      query("slots").select("sampler").max("finished_ms as ms").whereIn("sampler", samplers).groupBy("sampler"),
    );
    return new Map(rows.flatMap((row) => (row.ms === null ? [] : [[row.sampler as string, Number(row.ms)]])));
  }

  /** Samplers whose newest live slots have failed, of those that began since then. */
  async failing(sinceMs: number): Promise<Map<string, Failing>> {
    const failed: Row[] = await this.#database.run((query) =>
      query("slots")
        .select("sampler", "start_ms", "data_state", "error")
        .where({ state: "failed", catch_up: false })
        .where("start_ms", ">=", sinceMs)
        .orderBy("start_ms", "desc")
        .limit(failingMax),
    );
    const bySampler = Map.groupBy(failed, (row) => row.sampler as string);
    const found = new Map<string, Failing>();
    for (const names of pieces([...bySampler.keys()])) {
      const sound: Row[] = await this.#database.run((query) =>
        query("slots")
          .select("sampler")
          .max("start_ms as start_ms")
          .whereIn("sampler", names)
          .whereIn("state", ["done", "caught-up"])
          .where("start_ms", ">=", sinceMs)
          .groupBy("sampler"),
      );
      const soundMs = new Map(sound.map((row) => [row.sampler as string, Number(row.start_ms)]));
      for (const name of names) {
        const rows = bySampler.get(name) ?? [];
        const inRow = rows.filter((row) => Number(row.start_ms) > (soundMs.get(name) ?? 0));
        const [newest, oldest] = [inRow[0], inRow.at(-1)];
        if (newest === undefined || oldest === undefined) continue;
        const dataState = newest.data_state as DataState | null;
        const error = newest.error as string | null;
        found.set(name, { slots: inRow.length, sinceMs: Number(oldest.start_ms), dataState, error });
      }
    }
    return found;
  }

  /** How many slots are in each state. */
  async counts(): Promise<Record<SlotState, number>> {
    const counts = { due: 0, leased: 0, done: 0, failed: 0, "caught-up": 0 };
    const rows = await this.#database.run((query) => query("slots").select("state").count("* as n").groupBy("state"));
    for (const row of rows) counts[row.state as SlotState] = Number(row.n);
    return counts;
  }

  /** Forgets slots that ended (done, caught up, failed) and began before `beforeMs`; returns how many. */
  async expire(beforeMs: number): Promise<number> {
    for (let gone = 0; ; ) {
      const old = (query: Knex) => query("slots").where("start_ms", "<", beforeMs).whereIn("state", ended);
      // By the time up to which they are few, as a list of so many keys is slow to plan, or on MariaDB a whole scan.
      const [last]: unknown[] = await this.#database.run((query) =>
        old(query)
          .orderBy("start_ms")
          .offset(expirePieceRows - 1)
          .limit(1)
          .pluck("start_ms"),
      );
      gone += await this.#database.run((query) =>
        last === undefined ? old(query).delete() : old(query).where("start_ms", "<=", Number(last)).delete(),
      );
      if (last === undefined) return gone;
    }
  }

  /** As of up to 15 s ago: counting reads the whole table. */
  async measures(): Promise<Measure[]> {
    if (this.#counted === null || this.#counted.ageMs() >= countMs) {
      const counted = { counts: this.counts(), ageMs: stopwatch() };
      this.#counted = counted;
      // Asked again by the next scrape.
      counted.counts.catch(() => {
        if (this.#counted === counted) this.#counted = null;
      });
    }
    return Object.entries(await this.#counted.counts).map(([state, value]) => ({
      name: "bellwether_slots",
      help: "Slots in the ledger, by state.",
      kind: "gauge",
      value,
      labels: { state },
    }));
  }
}

/** Rows that one statement of expiring takes, and those of the same start beyond: some ten milliseconds on SQLite. */
const expirePieceRows = 1_000;

function key(slot: SlotKey): { sampler: string; start_ms: number } {
  return { sampler: slot.sampler, start_ms: slot.startMs };
}

function keyText(slot: SlotKey): string {
  return `${slot.startMs} ${slot.sampler}`;
}

function toNewRow(slot: NewSlot): Row {
  const { sampler, startMs, stepMs, dueMs, catchUp } = slot;
  return { sampler, start_ms: startMs, step_ms: stepMs, state: "due", due_ms: dueMs, catch_up: catchUp, attempts: 0 };
}

const unfinished: readonly SlotState[] = ["due", "leased"];
const ended: readonly SlotState[] = ["done", "caught-up", "failed"];

/** As {@link leasable}, of a record at hand. */
function isLeasable(slot: SlotRecord, nowMs: number): boolean {
  return slot.state === "due" ? slot.dueMs <= nowMs : slot.leaseUntilMs !== null && slot.leaseUntilMs <= nowMs;
}

function leasable(query: Knex, nowMs: number): Knex.QueryBuilder {
  return query("slots").where((where) =>
    where
      .where((due) => due.where("state", "due").where("due_ms", "<=", nowMs))
      .orWhere((leased) => leased.where("state", "leased").where("lease_until_ms", "<=", nowMs)),
  );
}

function isBehind(row: Row): boolean {
  return Number(row.behind) === 1;
}
