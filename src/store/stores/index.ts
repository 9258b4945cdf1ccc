import { influx } from "./influx.ts";
import { sqlite } from "./sqlite.ts";

/** Every kind of series store. */
export const stores = { sqlite } as const;
/** Every kind of server that can be one of several to hold the same series. */
export const replicas = { influx } as const;
/** A SQLite file of one process; the spool's file is one too. */
export { Damage, type FileFormat, type Heir, isDamage, type OwnFile, openOwnFile } from "./sqlite-file.ts";
