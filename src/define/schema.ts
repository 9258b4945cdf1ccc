/** The schemas of the files: for reading them here, and as JSON Schema for the editors they are written in. */
import { z } from "zod";
import { calendarSchema } from "./calendar.ts";
import { collectionSchema } from "./collection.ts";
import { connectionSchema } from "./connection.ts";
import type { JsonSchema } from "./fault.ts";
import { type FileKind, fileKinds } from "./files.ts";
import type { Kinds } from "./kinds.ts";
import { groupSchema, personSchema } from "./people.ts";
import { routeSchema } from "./route.ts";
import { ruleSchema } from "./rule.ts";
import { samplerSchema } from "./sampler.ts";
import { name as nameSchema } from "./scalars.ts";

/** `sampler`, `rule`, ...: each is the schema of one kind of file. */
export const schemaKinds: readonly string[] = [...fileKinds].sort();

/**
 * JSON Schema, draft 7, of the files of one kind as people write them, adapters' options included.
 * @param kind one of {@link schemaKinds}
 */
export function jsonSchema(kind: string, kinds: Kinds): object {
  const known = fileKinds.find((each) => each === kind);
  if (known === undefined) throw new RangeError(`no such kind of file: ${kind}`);
  return { ...schemasOf(kinds).json[known], title: `Bellwether ${kind}` };
}

export type Schemas = ReturnType<typeof schemasOf>;

/** Everything in it is made once per set of adapters. */
export function schemasOf(kinds: Kinds) {
  const sampler = samplerSchema(kinds);
  const group = groupSchema(kinds.notifiers);
  const connection = connectionSchema(kinds);
  const map = <T extends z.ZodType>(schema: T) => z.record(nameSchema, schema);
  const files = {
    sampler,
    rule: z.strictObject({ rules: z.array(ruleSchema).describe("rules, in no special order") }),
    route: z.strictObject({ route: routeSchema.describe("root of the routing tree") }),
    people: z.strictObject({
      people: map(personSchema).optional().describe("id to person"),
      groups: map(group).optional().describe("id to group"),
    }),
    calendar: z.strictObject({ calendars: map(calendarSchema).describe("name to calendar") }),
    collection: z.strictObject({ collection: collectionSchema.describe("limits; what is left out has its default") }),
    connection: z.strictObject({ connections: map(connection).describe("name to connection") }),
  } satisfies Record<FileKind, z.ZodType>;
  const json = {} as Record<FileKind, JsonSchema>;
  for (const kind of Object.keys(files) as FileKind[]) json[kind] = toJson(files[kind]);
  return { sampler, group, connection, files, json };
}

export function toJson(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", target: "draft-7", unrepresentable: "any" }) as JsonSchema;
}
