/** What this build can read from and send through: adapters hand their schemas in, so that define imports none. */
import { z } from "zod";
import type { Problem } from "../core/problem.ts";
import { fault } from "./fault.ts";

export type Kinds = {
  readonly sources: Readonly<Record<string, SourceKind>>;
  readonly notifiers: readonly string[];
};

/** The part of a source's plug-in that definitions are checked by. */
export type SourceKind = {
  readonly options: z.ZodType;
  /** Kinds of connection that it can use, to the schema of their options. */
  readonly connections?: Readonly<Record<string, z.ZodType>>;
  // biome-ignore lint/suspicious/noExplicitAny: what its own schema makes of the options, which only it knows
  warnings?(options: any): readonly Problem[];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  isRepeatable?(options: any, connection: Readonly<Record<string, unknown>>): boolean;
};

/**
 * A map with exactly one key, the kind, and that kind's options.
 * @param beside keys that may stand beside it, whatever the kind
 */
export function onlyKey(
  options: Readonly<Record<string, z.ZodType>>,
  what: string,
  beside: Readonly<Record<string, z.ZodType>> = {},
) {
  const kinds = Object.keys(options);
  const optional = Object.fromEntries(kinds.map((kind) => [kind, (options[kind] as z.ZodType).optional()]));
  return z
    .looseObject({ ...optional, ...beside })
    .superRefine(
      (value, context) => {
        if (typeof value !== "object" || value === null) return;
        const given = Object.keys(value).filter((key) => !Object.hasOwn(beside, key));
        const unknown = given.filter((kind) => !kinds.includes(kind));
        if (unknown.length > 0) context.addIssue({ code: "unrecognized_keys", keys: unknown, input: value });
        if (given.length === 1) return;
        const message = fault(
          "CFG-019",
          `wants exactly one ${what}, has ${given.length}`,
          `one of ${kinds.join(", ")}`,
        );
        context.addIssue({ code: "custom", message });
      },
      { when: () => true },
    )
    .meta({ additionalProperties: false, minProperties: 1, maxProperties: 1 + Object.keys(beside).length });
}
