import type { Knex } from "knex";
import * as facts from "./0001-facts.ts";
import * as severalProcesses from "./0002-several-processes.ts";
import * as totals from "./0003-totals.ts";

export type Step = {
  readonly name: string;
  /** Those that it makes. */
  readonly tables: readonly string[];
  /**
   * On MySQL it may run again after it was interrupted anywhere: the tables that it makes are gone then, changes of
   * others may have been made.
   */
  up(knex: Knex): Promise<void>;
};

/**
 * Every step of the schema, oldest first; a step that was released is never changed. Named here rather than found on
 * the disk, so that the steps are part of the program.
 */
export const steps: readonly Step[] = [
  { name: "0001-facts", tables: facts.tables, up: facts.up },
  { name: "0002-several-processes", tables: severalProcesses.tables, up: severalProcesses.up },
  { name: "0003-totals", tables: totals.tables, up: totals.up },
];
