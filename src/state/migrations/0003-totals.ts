/** Which series explain what is wrong with their total, as JSON. */
import type { Knex } from "knex";
import { text } from "./0001-facts.ts";

export const tables: readonly string[] = [];

export async function up(knex: Knex): Promise<void> {
  if (await knex.schema.hasColumn("alerts", "explained")) return;
  await knex.schema.alterTable("alerts", (table) => {
    text(table, "explained");
  });
}
