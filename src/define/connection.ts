/** `rules/connections.yaml`: where the rows of sources live. */
import type { z } from "zod";
import type { Connection, Place } from "../core/definitions.ts";
import { hourMs, secondMs } from "../core/time.ts";
import { type Kinds, onlyKey } from "./kinds.ts";
import { duration } from "./scalars.ts";

/** Kinds of connections are those of the sources; two sources that share one mean the same by it. */
export function connectionSchema(kinds: Kinds) {
  const known = Object.assign({}, ...Object.values(kinds.sources).map((source) => source.connections ?? {})) as Record<
    string,
    z.ZodType
  >;
  const budget = duration({ minMs: secondMs, maxMs: 24 * hourMs })
    .prefault("1h")
    .describe("time that its system may work for all samplers together in an hour; they share it fairly");
  return onlyKey(known, "connection kind", { budget }).describe("one kind of connection and its options");
}

export function toConnection(
  { budget, ...connection }: Readonly<Record<string, unknown>>,
  name: string,
  place: Place,
): Connection {
  const [kind, options] = Object.entries(connection)[0] as [string, Connection["options"]];
  return { name, kind, options, budgetMs: budget as number, place };
}
