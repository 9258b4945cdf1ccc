/** What several processes need of each other: leases by name, who lives, and what each read of a source cost. */
import type { Knex } from "knex";
import { createTable, nameChars, text } from "./0001-facts.ts";

export const tables = ["leases", "processes"];

export async function up(knex: Knex): Promise<void> {
  await createTable(knex, "leases", (table) => {
    table.string("name", nameChars).primary();
    table.string("owner", nameChars).notNullable();
    table.bigInteger("until_ms").notNullable();
  });
  await createTable(knex, "processes", (table) => {
    table.string("id", nameChars).primary();
    table.string("role", nameChars).notNullable();
    table.string("host", nameChars).notNullable();
    table.integer("pid").notNullable();
    table.string("version", nameChars).notNullable();
    table.bigInteger("started_ms").notNullable();
    table.bigInteger("seen_ms").notNullable();
    text(table, "detail").notNullable();
    table.index(["seen_ms"]);
  });
  if (!(await knex.schema.hasColumn("slots", "rows_read"))) {
    await knex.schema.alterTable("slots", (table) => {
      table.double("server_ms");
      table.bigInteger("rows_read");
    });
  }
  await knex.schema
    .alterTable("slots", (table) => table.index(["started_ms"]))
    .catch((thrown: { code?: unknown }) => {
      // On MySQL, and made before this step was interrupted.
      if (thrown.code !== "ER_DUP_KEYNAME") throw thrown;
    });
}
