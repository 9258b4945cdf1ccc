import { cells } from "./sql-cells.ts";
export const sql = cells;
