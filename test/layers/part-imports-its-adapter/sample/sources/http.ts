import { guard } from "./http-guard.ts";
export const http = guard;
