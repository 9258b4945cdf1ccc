import type { Knex } from "knex";
import * as facts from "./0001-facts.ts";
import * as severalProcesses from "./0002-several-processes.ts";

type Step = { readonly name: string; up(knex: Knex): Promise<void> };

/** Every step of the schema, oldest first; a step that was released is never changed. */
const steps: readonly Step[] = [
  { name: "0001-facts", up: facts.up },
  { name: "0002-several-processes", up: severalProcesses.up },
];

/** Named here rather than found on the disk, so that the steps are part of the program. */
export const migrations = {
  getMigrations: async (): Promise<string[]> => steps.map((step) => step.name),
  getMigrationName: (name: string): string => name,
  getMigration: async (name: string): Promise<Knex.Migration> => {
    const step = steps.find((each) => each.name === name);
    if (step === undefined) throw new Error(`no migration ${name}`);
    return { up: step.up, down: noWayBack };
  },
};

/** knex asks for one. Going back would forget facts; an older build refuses a newer schema instead. */
async function noWayBack(): Promise<void> {
  throw new Error("migrations only go up");
}
