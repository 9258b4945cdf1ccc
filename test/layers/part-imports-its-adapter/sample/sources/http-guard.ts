import { http } from "./http.ts";
export const guard = http;
