import { sqlite } from "./sqlite.ts";

/** Every kind of series store. */
export const stores = { sqlite } as const;
