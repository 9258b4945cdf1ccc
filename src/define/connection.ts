/** `rules/connections.yaml`: where the rows of sources live. */
import type { z } from "zod";
import type { Connection, Place } from "../core/definitions.ts";
import { type Kinds, onlyKey } from "./kinds.ts";

/** Kinds of connections are those of the sources; two sources that share one mean the same by it. */
export function connectionSchema(kinds: Kinds) {
  const known = Object.assign({}, ...Object.values(kinds.sources).map((source) => source.connections ?? {})) as Record<
    string,
    z.ZodType
  >;
  return onlyKey(known, "connection kind").describe("one kind of connection and its options");
}

export function toConnection(connection: Readonly<Record<string, unknown>>, name: string, place: Place): Connection {
  const [kind, options] = Object.entries(connection)[0] as [string, Connection["options"]];
  return { name, kind, options, place };
}
