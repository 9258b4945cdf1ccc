import { cells } from "./sql-cells.ts";
export const guard = cells;
