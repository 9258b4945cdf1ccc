export { http } from "./http.ts";
export { sql } from "./sql.ts";
