/**
 * The first schema. Written for SQLite, PostgreSQL and MySQL alike: what an index holds is a bounded varchar, times
 * are bigint, lists and maps are JSON in text.
 *
 * "At most one" is everywhere the same device: a unique column that holds the key while the row stands and null when
 * it no longer does, since unique indexes take any number of nulls.
 */
import type { Knex } from "knex";

const idChars = 64;
export const nameChars = 200;
const digestChars = 64;
const wordChars = 16;

export const tables = ["slots", "alerts", "incidents", "transitions", "outbox", "silences", "people", "audit"];

export async function up(knex: Knex): Promise<void> {
  await slots(knex);
  await alerts(knex);
  await incidents(knex);
  await transitions(knex);
  await outbox(knex);
  await silences(knex);
  await people(knex);
  await audit(knex);
}

/** Text of any length: of MySQL's plain kind, 65,535 bytes, a group's people may need more. */
export function text(table: Knex.CreateTableBuilder, name: string): Knex.ColumnBuilder {
  return table.text(name, "mediumtext");
}

/** A table of ours. */
export async function createTable(
  knex: Knex,
  name: string,
  columns: (table: Knex.CreateTableBuilder) => void,
): Promise<void> {
  await knex.schema.createTable(name, (table) => {
    // MySQL compares text without regard to case unless told otherwise; "DE" and "de" are two names.
    if (knex.client.driverName === "mysql2") {
      table.charset("utf8mb4");
      table.collate("utf8mb4_bin");
    }
    columns(table);
  });
}

function slots(knex: Knex): Promise<void> {
  return createTable(knex, "slots", (table) => {
    table.string("sampler", nameChars).notNullable();
    table.bigInteger("start_ms").notNullable();
    table.bigInteger("step_ms").notNullable();
    table.string("state", wordChars).notNullable();
    table.bigInteger("due_ms").notNullable();
    table.boolean("catch_up").notNullable();
    table.integer("attempts").notNullable();
    table.string("lease_owner", nameChars);
    table.bigInteger("lease_until_ms");
    table.bigInteger("started_ms");
    table.bigInteger("finished_ms");
    table.integer("row_count");
    table.integer("point_count");
    table.string("data_state", wordChars);
    text(table, "error");
    // The sampler while one of its slots is running: one at a time.
    table.string("running_key", nameChars).unique();
    table.primary(["sampler", "start_ms"]);
    table.index(["state", "due_ms"]);
    table.index(["state", "sampler", "start_ms"]);
    table.index(["start_ms"]);
  });
}

function alerts(knex: Knex): Promise<void> {
  return createTable(knex, "alerts", (table) => {
    table.string("id", idChars).primary();
    table.string("fingerprint", digestChars).notNullable();
    table.string("rule", nameChars).notNullable();
    table.string("sampler", nameChars).notNullable();
    text(table, "series").notNullable();
    table.string("series_key", digestChars).notNullable();
    text(table, "labels").notNullable();
    table.string("severity", wordChars).notNullable();
    table.string("state", wordChars).notNullable();
    text(table, "recent").notNullable();
    table.bigInteger("since_ms").notNullable();
    table.bigInteger("last_slot_ms").notNullable();
    table.bigInteger("step_ms").notNullable();
    table.bigInteger("fired_ms");
    table.bigInteger("resolved_ms");
    table.string("incident_id", idChars);
    table.double("observed");
    table.double("expected");
    table.double("worst_observed");
    table.double("worst_expected");
    table.double("loss_so_far");
    text(table, "reason").notNullable();
    table.bigInteger("version").notNullable();
    // The fingerprint while it is not resolved.
    table.string("standing_key", digestChars).unique();
    table.index(["sampler", "standing_key"]);
    table.index(["series_key", "since_ms"]);
    table.index(["incident_id"]);
    table.index(["resolved_ms"]);
  });
}

function incidents(knex: Knex): Promise<void> {
  return createTable(knex, "incidents", (table) => {
    table.string("id", idChars).primary();
    text(table, "group_key").notNullable();
    text(table, "group_labels").notNullable();
    table.string("route", nameChars).notNullable();
    table.string("people_group", nameChars).notNullable();
    text(table, "title").notNullable();
    table.string("severity", wordChars).notNullable();
    table.string("state", wordChars).notNullable();
    table.bigInteger("opened_ms").notNullable();
    table.bigInteger("resolved_ms");
    table.string("acknowledged_by", nameChars);
    table.bigInteger("acknowledged_ms");
    table.integer("notices").notNullable();
    table.bigInteger("last_notice_ms");
    text(table, "muted_reason");
    table.bigInteger("version").notNullable();
    // Digest of the group key while it is not resolved.
    table.string("standing_key", digestChars).unique();
    table.index(["opened_ms"]);
    table.index(["state", "opened_ms"]);
    table.index(["resolved_ms"]);
  });
}

function transitions(knex: Knex): Promise<void> {
  return createTable(knex, "transitions", (table) => {
    // The order in which they were written, where times are equal.
    table.bigIncrements("seq");
    table.string("id", idChars).notNullable().unique();
    table.string("subject", wordChars).notNullable();
    table.string("subject_id", idChars).notNullable();
    table.string("from_state", wordChars);
    table.string("to_state", wordChars).notNullable();
    table.bigInteger("at_ms").notNullable();
    table.bigInteger("slot_ms");
    text(table, "reason").notNullable();
    table.index(["subject_id", "seq"]);
  });
}

function outbox(knex: Knex): Promise<void> {
  return createTable(knex, "outbox", (table) => {
    table.string("id", idChars).primary();
    table.string("notice_key", nameChars).notNullable();
    table.string("incident_id", idChars);
    table.string("kind", wordChars).notNullable();
    table.string("notifier", nameChars).notNullable();
    text(table, "recipient").notNullable();
    text(table, "recipient_name").notNullable();
    table.string("state", wordChars).notNullable();
    table.bigInteger("due_ms").notNullable();
    table.integer("attempts").notNullable();
    table.string("lease_owner", nameChars);
    table.bigInteger("lease_until_ms");
    table.bigInteger("created_ms").notNullable();
    table.bigInteger("sent_ms");
    text(table, "receipt");
    text(table, "error");
    // Digest of notice key, notifier and recipient: one notice, one message.
    table.string("once_key", digestChars).notNullable().unique();
    table.index(["state", "due_ms"]);
    table.index(["incident_id"]);
    table.index(["created_ms"]);
  });
}

function silences(knex: Knex): Promise<void> {
  return createTable(knex, "silences", (table) => {
    table.string("id", idChars).primary();
    text(table, "matchers").notNullable();
    text(table, "reason").notNullable();
    table.string("author", nameChars).notNullable();
    table.bigInteger("created_ms").notNullable();
    table.bigInteger("starts_ms").notNullable();
    table.bigInteger("ends_ms").notNullable();
    table.index(["ends_ms"]);
    table.index(["created_ms"]);
  });
}

function people(knex: Knex): Promise<void> {
  return createTable(knex, "people", (table) => {
    table.bigIncrements("seq");
    table.string("subject", wordChars).notNullable();
    table.string("subject_id", nameChars).notNullable();
    text(table, "detail").notNullable();
    table.bigInteger("from_ms").notNullable();
    table.bigInteger("until_ms");
    // Digest of subject and id while it holds.
    table.string("standing_key", digestChars).unique();
    table.index(["from_ms"]);
  });
}

function audit(knex: Knex): Promise<void> {
  return createTable(knex, "audit", (table) => {
    table.bigIncrements("seq");
    table.string("id", idChars).notNullable().unique();
    table.bigInteger("at_ms").notNullable();
    table.string("actor", nameChars).notNullable();
    table.string("action", nameChars).notNullable();
    text(table, "subject").notNullable();
    text(table, "detail").notNullable();
    table.index(["at_ms"]);
  });
}
