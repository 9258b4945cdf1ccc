import type { Knex } from "knex";
import type { Alert, AuditEntry, Incident, IncidentState, OutboxItem, Transition } from "../core/model.ts";
import type { Clock, Measure } from "../core/ports.ts";
import { insertAudit, isAudited } from "./audit.ts";
import { type Database, isDuplicate } from "./connection.ts";
import { cancelOutbox, insertOutbox, outboxOf } from "./outbox.ts";
import { Codec, digest, pieces, type Row } from "./rows.ts";

const alertCodec = new Codec<Alert>({
  id: "text",
  fingerprint: "text",
  rule: "text",
  sampler: "text",
  series: "text",
  labels: "json",
  severity: "text",
  state: "text",
  recent: "text",
  sinceMs: "number",
  lastSlotMs: "number",
  stepMs: "number",
  firedMs: "number",
  resolvedMs: "number",
  incidentId: "text",
  observed: "number",
  expected: "number",
  worstObserved: "number",
  worstExpected: "number",
  lossSoFar: "number",
  reason: "text",
  explained: "json",
  version: "number",
});

const incidentCodec = new Codec<Incident>(
  {
    id: "text",
    groupKey: "text",
    groupLabels: "json",
    route: "text",
    group: "text",
    title: "text",
    severity: "text",
    state: "text",
    openedMs: "number",
    resolvedMs: "number",
    acknowledgedBy: "text",
    acknowledgedMs: "number",
    notices: "number",
    lastNoticeMs: "number",
    mutedReason: "text",
    version: "number",
  },
  { group: "people_group" },
);

const transitionCodec = new Codec<Transition>(
  {
    id: "text",
    subject: "text",
    subjectId: "text",
    from: "text",
    to: "text",
    atMs: "number",
    slotMs: "number",
    reason: "text",
  },
  { from: "from_state", to: "to_state" },
);

/** A new value, and the one it was decided upon; `before` is null for what begins to be. */
type Change<T> = { readonly before: T | null; readonly after: T };

/** All that one decision changes, written together or not at all. */
export type AlertChanges = {
  /** A changed alert's version becomes that of `before` plus one, whatever `after` says; a new one keeps its own. */
  readonly alerts: readonly Change<Alert>[];
  /** Versions as with alerts. */
  readonly incidents: readonly Change<Incident>[];
  readonly transitions: readonly Transition[];
  /** A second item of the same notice key, notifier and recipient is ignored. */
  readonly outbox: readonly OutboxItem[];
  /**
   * Items of these incidents that are owed, due later than now and were never tried are cancelled; those in `outbox`
   * are not.
   */
  readonly cancel: readonly { readonly incidentId: string; readonly reason: string }[];
  readonly audit: readonly AuditEntry[];
};

export type IncidentStory = {
  readonly incident: Incident;
  readonly alerts: readonly Alert[];
  /** Of the incident and of its alerts, in the order they were written. */
  readonly transitions: readonly Transition[];
  readonly outbox: readonly OutboxItem[];
};

/** Alerts and incidents, standing and past, with every change of state they went through. */
export class AlertBook {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Alerts that are not resolved. */
  async standing(filter: { sampler?: string | undefined } = {}): Promise<Alert[]> {
    const rows = await this.#database.run((query) => {
      const found = standing(query, "alerts").orderBy(["since_ms", "id"]);
      return filter.sampler === undefined ? found : found.where("sampler", filter.sampler);
    });
    return rows.map((row: Row) => alertCodec.fromRow(row));
  }

  /** Incidents that are not resolved. */
  async standingIncidents(): Promise<Incident[]> {
    const rows = await this.#database.run((query) => standing(query, "incidents").orderBy(["opened_ms", "id"]));
    return rows.map((row: Row) => incidentCodec.fromRow(row));
  }

  /**
   * Writes all of it in one transaction, if every alert and incident still is as `before` says and no other process
   * has begun one with the same fingerprint or group key, or written a transition with the same id.
   * @returns false if somebody was faster: nothing is written; read again and decide again
   */
  async apply(changes: AlertChanges): Promise<boolean> {
    try {
      return await this.#database.transaction(
        async (query) => {
          await this.#write(query, changes);
          return true;
        },
        async (query) => ((await isWritten(query, changes)) ? true : null),
      );
    } catch (thrown) {
      if (thrown instanceof Overtaken || isDuplicate(thrown)) return false;
      throw thrown;
    }
  }

  async #write(query: Knex, changes: AlertChanges): Promise<void> {
    await save(query, "alerts", changes.alerts, alertRow);
    await save(query, "incidents", changes.incidents, incidentRow);
    for (const { incidentId, reason } of changes.cancel) {
      await cancelOutbox(query, incidentId, reason, this.#clock.nowMs());
    }
    for (const piece of pieces(changes.transitions)) {
      await query("transitions").insert(piece.map((transition) => transitionCodec.toRow(transition)));
    }
    await insertOutbox(query, changes.outbox);
    await insertAudit(query, changes.audit);
  }

  /** Newest first; `beforeMs` pages on by the time of opening. */
  async incidents(filter: {
    state?: IncidentState | undefined;
    limit: number;
    beforeMs?: number | undefined;
  }): Promise<Incident[]> {
    const rows = await this.#database.run((query) => {
      const found = query("incidents").orderBy("opened_ms", "desc").orderBy("id");
      if (filter.state !== undefined) found.where("state", filter.state);
      if (filter.beforeMs !== undefined) found.where("opened_ms", "<", filter.beforeMs);
      return found.limit(filter.limit);
    });
    return rows.map((row) => incidentCodec.fromRow(row));
  }

  /** An incident with its story; null if it is not known. */
  async incident(id: string): Promise<IncidentStory | null> {
    return this.#database.run(async (query) => {
      const row = await query("incidents").where({ id }).first();
      if (row === undefined) return null;
      const alertRows: Row[] = await query("alerts").where({ incident_id: id }).orderBy(["since_ms", "id"]);
      const alerts = alertRows.map((each) => alertCodec.fromRow(each));
      return {
        incident: incidentCodec.fromRow(row),
        alerts,
        transitions: await transitionsOf(query, [id, ...alerts.map((alert) => alert.id)]),
        outbox: await outboxOf(query, id),
      };
    });
  }

  /** Alerts of a series (as `formatSeries` writes it) that stood at that time, resolved since or not. */
  async alertsAt(series: string, timeMs: number): Promise<Alert[]> {
    const rows = await this.#database.run((query) =>
      query("alerts")
        .where({ series_key: digest(series) })
        .where("since_ms", "<=", timeMs)
        .where((where) => where.whereNull("resolved_ms").orWhere("resolved_ms", ">", timeMs))
        .orderBy(["since_ms", "id"]),
    );
    return rows.map((row) => alertCodec.fromRow(row));
  }

  /** What alerts, incidents or samplers went through, in the order it was written. */
  transitions(...subjectIds: readonly string[]): Promise<Transition[]> {
    return this.#database.run((query) => transitionsOf(query, subjectIds));
  }

  /**
   * Forgets incidents that were resolved before `beforeMs`, with their alerts, transitions and messages; alerts that
   * never came to an incident, and messages of none, as old as that. Standing ones stay, and so does the audit.
   * @returns how many alerts and incidents went
   */
  async expire(beforeMs: number): Promise<number> {
    const gone = (await this.#expireIncidents(beforeMs)) + (await this.#expireAlerts(beforeMs));
    await this.#database.transaction((query) =>
      query("outbox")
        .whereNull("incident_id")
        .where("created_ms", "<", beforeMs)
        .whereNotIn("state", ["owed", "sending"])
        .delete(),
    );
    return gone;
  }

  async #expireIncidents(beforeMs: number): Promise<number> {
    for (let gone = 0; ; ) {
      const ids = await this.#database.run((query) =>
        query("incidents").where("resolved_ms", "<", beforeMs).limit(expirePieceRows).pluck("id"),
      );
      if (ids.length === 0) return gone;
      gone += await this.#database.transaction(async (query) => {
        await query("outbox").whereIn("incident_id", ids).delete();
        await query("transitions").whereIn("subject_id", ids).delete();
        return query("incidents").whereIn("id", ids).delete();
      });
    }
  }

  /** Those whose incident is still there wait for it. */
  async #expireAlerts(beforeMs: number): Promise<number> {
    for (let gone = 0; ; ) {
      const ids = await this.#database.run((query) =>
        query("alerts")
          .leftJoin("incidents", "incidents.id", "alerts.incident_id")
          .whereNull("incidents.id")
          .where("alerts.resolved_ms", "<", beforeMs)
          .limit(expirePieceRows)
          .pluck("alerts.id"),
      );
      if (ids.length === 0) return gone;
      gone += await this.#database.transaction(async (query) => {
        await query("transitions").whereIn("subject_id", ids).delete();
        return query("alerts").whereIn("id", ids).delete();
      });
    }
  }

  async measures(): Promise<Measure[]> {
    const counts = await this.#database.run(async (query) => ({
      alerts: await standing(query, "alerts").count("* as n").first(),
      incidents: await standing(query, "incidents").count("* as n").first(),
    }));
    return [
      {
        name: "bellwether_alerts_standing",
        help: "Alerts that are not resolved.",
        kind: "gauge",
        value: Number(counts.alerts.n),
      },
      {
        name: "bellwether_incidents_standing",
        help: "Incidents that are not resolved.",
        kind: "gauge",
        value: Number(counts.incidents.n),
      },
    ];
  }
}

/** Incidents or alerts that one transaction of expiring takes. */
const expirePieceRows = 100;

/** Ends the transaction: an alert or incident is no longer as it was when the decision was taken. */
class Overtaken extends Error {}

/** Standing rows have a key, which is never empty; a comparison uses the index where "is not null" may not. */
function standing(query: Knex, table: string): Knex.QueryBuilder {
  return query(table).where("standing_key", ">", "");
}

function alertRow(alert: Alert): Row {
  return {
    ...alertCodec.toRow(alert),
    series_key: digest(alert.series),
    standing_key: alert.state === "resolved" ? null : alert.fingerprint,
  };
}

function incidentRow(incident: Incident): Row {
  return {
    ...incidentCodec.toRow(incident),
    standing_key: incident.state === "resolved" ? null : digest(incident.groupKey),
  };
}

/**
 * First counts up the versions, which finds out whether all are as expected and locks the rows against everybody
 * else; then writes the values in bulk. New ones come last, so that one may take a key that a changed one frees.
 */
async function save<T extends { readonly id: string; readonly version: number }>(
  query: Knex,
  table: string,
  changes: readonly Change<T>[],
  toRow: (value: T) => Row,
): Promise<void> {
  const changed = changes.flatMap(({ before, after }) => (before === null ? [] : [{ before, after }]));
  // Two transactions that change some of the same rows lock them in the same order, so that one waits for the other.
  changed.sort((one, other) => (one.before.id < other.before.id ? -1 : 1));
  for (const piece of pieces(changed)) {
    const expected = piece.map(({ before }) => [before.id, before.version]);
    const version = query.raw("version + 1");
    const found = await query(table).whereIn(["id", "version"], expected).update({ version });
    if (found !== piece.length) throw new Overtaken();
  }
  const old = changed.map(({ before, after }) => toRow({ ...after, id: before.id, version: before.version + 1 }));
  const fresh = changes.filter(({ before }) => before === null).map(({ after }) => toRow(after));
  for (const piece of pieces(old)) await query(table).insert(piece).onConflict("id").merge();
  for (const piece of pieces(fresh)) await query(table).insert(piece);
}

/**
 * Whether these changes were committed, as far as their ids tell; that of an audit entry nobody else writes. Changes
 * without transition and audit are applied again: either they are refused, as versions and keys are no longer as they
 * were, or they had not been written.
 */
async function isWritten(query: Knex, { transitions, audit }: AlertChanges): Promise<boolean> {
  const [first] = transitions;
  if (first === undefined || audit.length > 0) return isAudited(query, audit);
  return (await query("transitions").where({ id: first.id }).first()) !== undefined;
}

async function transitionsOf(query: Knex, subjectIds: readonly string[]): Promise<Transition[]> {
  const found: Row[] = [];
  for (const piece of pieces(subjectIds)) found.push(...(await query("transitions").whereIn("subject_id", piece)));
  return found.sort((a, b) => Number(a.seq) - Number(b.seq)).map((row) => transitionCodec.fromRow(row));
}
