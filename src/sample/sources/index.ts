import type { Plugin, Source, SourceDeps } from "../../core/ports.ts";
import { elasticsearch } from "./elasticsearch.ts";
import { http } from "./http.ts";
import { sql } from "./sql.ts";

/** Every source has options of its own, which its own schema has checked by the time they are used. */
// biome-ignore lint/suspicious/noExplicitAny: options differ from source to source
export type SourcePlugin = Plugin<Source, any, SourceDeps>;

/** Kind of source -> plug-in. */
export const sources: Readonly<Record<string, SourcePlugin>> = { sql, http, elasticsearch };
