/** Brings the tables of the database up to date: once, whoever comes first, whatever became of the one before. */
import type { Knex } from "knex";
import type { Clock } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import type { Database } from "./connection.ts";
import type { Engine } from "./engine.ts";
import { type Step, steps } from "./migrations/index.ts";

/** Which steps were made, by name. The name is knex's, whose own runner wrote the first of them. */
const record = "knex_migrations";

/**
 * On SQLite and PostgreSQL all steps are one transaction: a process killed in the middle leaves nothing. On MySQL each
 * statement about tables stands by itself, so a step that is not on record is made again from its beginning. Others that
 * start meanwhile wait; the lock is a session's or a transaction's and ends with the process.
 * @throws Problem SPL-002 for a database that a newer build wrote
 */
export async function migrate(database: Database, clock: Clock): Promise<void> {
  const { engine } = database;
  if ((await database.run((query) => missing(query, engine))).length === 0) return;
  await database.run(() =>
    engine.exclusively(async (query) => {
      await createRecord(query);
      for (const step of await missing(query, engine)) {
        if (!engine.undoesSchema) await clear(query, step, engine);
        await step.up(query);
        await query(record).insert({ name: step.name, batch: 1, migration_time: new Date(clock.nowMs()) });
      }
    }),
  );
}

/** Steps to be made, oldest first. */
async function missing(query: Knex, { where }: Engine): Promise<Step[]> {
  const applied: string[] = (await query.schema.hasTable(record))
    ? await query(record).orderBy("id").pluck("name")
    : [];
  const foreign = applied.filter((name) => !steps.some((step) => step.name === name));
  if (foreign.length > 0) {
    const newest = steps.at(-1)?.name;
    throw new Problem(`written by a newer build: schema ${foreign.at(-1)}, this build reads up to ${newest}`, {
      code: "SPL-002",
      where,
      fix: "start the newer build, or move the file away",
    });
  }
  return steps.filter(({ name }) => !applied.includes(name));
}

async function createRecord(query: Knex): Promise<void> {
  if (await query.schema.hasTable(record)) return;
  await query.schema.createTable(record, (table) => {
    table.increments();
    table.string("name");
    table.integer("batch");
    table.timestamp("migration_time");
  });
}

/** What a process that was killed in the middle of this step left: tables in which nobody can have written yet. */
async function clear(query: Knex, step: Step, { where }: Engine): Promise<void> {
  for (const table of step.tables) {
    if (!(await query.schema.hasTable(table))) continue;
    if ((await query(table).first()) !== undefined) {
      throw new Problem(`step ${step.name} of the tables is not on record, yet ${table} holds rows`, {
        code: "STR-002",
        where,
        fix: `put a backup of the database in its place, or name an empty one`,
      });
    }
    await query.schema.dropTable(table);
  }
}
