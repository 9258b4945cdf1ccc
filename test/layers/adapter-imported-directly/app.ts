import { sql } from "./sample/sources/sql.ts"; export const x = sql;
