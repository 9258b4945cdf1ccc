import { sqlite } from "./sqlite.ts";

/** Every kind of series store. */
export const stores = { sqlite } as const;
/** A SQLite file of one process; the spool's file is one too. */
export { type FileFormat, isDamage, type OwnFile, openOwnFile } from "./sqlite-file.ts";
