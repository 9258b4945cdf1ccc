import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { jsonSchema, schemaKinds } from "../../../src/define/schema.ts";
import { kinds } from "./support.ts";

type Schema = {
  $schema?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  description?: string;
  additionalProperties?: Schema | boolean;
};

/** What an editor does with it: checks a file against the schema, with a reader of JSON Schema that is not ours. */
function accepts(kind: string, file: unknown): boolean {
  return z.fromJSONSchema(jsonSchema(kind, kinds) as Parameters<typeof z.fromJSONSchema>[0]).safeParse(file).success;
}

const shop = join(import.meta.dirname, "../../cases/define/shop/config");
const folders: Record<string, string> = {
  sampler: "samplers/shop",
  rule: "rules/detect",
  route: "rules/routes",
  people: "rules/people",
  calendar: "rules/calendars",
};

describe.each(Object.entries(folders))("%s", (kind, path) => {
  test("accepts the files that are sound, refuses a key that nobody knows", () => {
    for (const name of readdirSync(join(shop, path))) {
      const file = parse(readFileSync(join(shop, path, name), "utf8"));
      expect(accepts(kind, file)).toBe(true);
      expect(accepts(kind, { ...file, nonsense: 1 })).toBe(false);
    }
  });
});

test("connections: one kind each, with the options of the source's own", () => {
  expect(accepts("connection", { connections: { shop: { sqlite: { file: "shop.db" } } } })).toBe(true);
  expect(accepts("connection", { connections: { shop: { sqlite: { fiel: "shop.db" } } } })).toBe(false);
  expect(accepts("connection", { connections: { shop: { oracle: {} } } })).toBe(false);
});

test("every kind of file has one, draft 7, and no other word does", () => {
  expect(schemaKinds).toEqual(["calendar", "collection", "connection", "people", "route", "rule", "sampler"]);
  for (const kind of schemaKinds) {
    expect((jsonSchema(kind, kinds) as Schema).$schema).toBe("http://json-schema.org/draft-07/schema#");
  }
  expect(() => jsonSchema("samplers", kinds)).toThrow(RangeError);
});

test("editors can explain every key of a sampler, and offer the options of each source", () => {
  const sampler = jsonSchema("sampler", kinds) as Schema;
  const silent: string[] = [];
  const visit = (schema: Schema, path: string): void => {
    for (const [key, each] of Object.entries(schema.properties ?? {})) {
      if (each.description === undefined && !path.startsWith("source")) silent.push(`${path}${key}`);
      visit(each, `${path}${key}.`);
    }
    if (typeof schema.additionalProperties === "object") visit(schema.additionalProperties, `${path}*.`);
  };
  visit(sampler, "");
  expect(silent).toEqual([]);
  expect(Object.keys(sampler.properties?.source?.properties?.sql?.properties ?? {})).toEqual([
    "connection",
    "query",
    "rows_max",
  ]);
});
