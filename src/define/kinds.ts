/** What this build can read from and send through: adapters hand their schemas in, so that define imports none. */
import { z } from "zod";
import { fault } from "./fault.ts";

export type Kinds = {
  /** Source kind to the schema of its options, and of the kinds of connection that it can use. */
  readonly sources: Readonly<
    Record<string, { readonly options: z.ZodType; readonly connections?: Readonly<Record<string, z.ZodType>> }>
  >;
  readonly notifiers: readonly string[];
};

/** A map with exactly one key, the kind, and that kind's options. */
export function onlyKey(options: Readonly<Record<string, z.ZodType>>, what: string) {
  const kinds = Object.keys(options);
  const optional = Object.fromEntries(kinds.map((kind) => [kind, (options[kind] as z.ZodType).optional()]));
  return z
    .looseObject(optional)
    .superRefine(
      (value, context) => {
        if (typeof value !== "object" || value === null) return;
        const given = Object.keys(value);
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
    .meta({ additionalProperties: false, minProperties: 1, maxProperties: 1 });
}
