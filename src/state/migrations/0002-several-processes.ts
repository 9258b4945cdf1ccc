/** What several processes need of each other: leases by name, who lives, and what each read of a source cost. */
import type { Knex } from "knex";
import { createTable, nameChars } from "./0001-facts.ts";

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
    table.text("detail").notNullable();
    table.index(["seen_ms"]);
  });
  await knex.schema.alterTable("slots", (table) => {
    table.double("server_ms");
    table.bigInteger("rows_read");
    table.index(["started_ms"]);
  });
}
