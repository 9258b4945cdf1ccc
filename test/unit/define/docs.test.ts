import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { loadDefinitions } from "../../../src/define/load.ts";
import { schemasOf } from "../../../src/define/schema.ts";
import { notifiers } from "../../../src/notify/notifiers/index.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import { folder, messages, optionsFor } from "./support.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/define.md"), "utf8");
const kinds = { sources, notifiers: Object.keys(notifiers) };

/** Blocks of YAML that name their file in the first line are whole files, and one folder together. */
function filesOf(text: string): Record<string, string> {
  const blocks = [...text.matchAll(/```yaml\n# (\S+\.yaml)\n(.*?)```/gs)];
  return Object.fromEntries(blocks.map(([, file, content]) => [file as string, content as string]));
}

test("every file on the page loads without a word, by the adapters of this build", async () => {
  const files = filesOf(page);
  expect(Object.keys(files).length).toBe((page.match(/```yaml\n/g) ?? []).length);
  const loaded = await loadDefinitions({ ...optionsFor(folder(files)), kinds });
  expect(messages(loaded)).toEqual([]);
  expect([...loaded.definitions.samplers.keys()]).toEqual(["shop-daily", "shop-orders"]);
  expect([...loaded.definitions.rules.keys()]).toEqual(["uk-orders", "everywhere"]);
  expect(loaded.definitions.route.routes).toHaveLength(1);
});

test("every key of the language is on the page", () => {
  const keys = new Set<string>();
  const visit = (schema: object): void => {
    for (const [name, value] of Object.entries(schema)) {
      if (name === "properties") for (const key of Object.keys(value)) keys.add(key);
      if (typeof value === "object" && value !== null) visit(value);
    }
  };
  const own = { sources: { sql: { options: z.strictObject({}) } }, notifiers: ["email"] };
  for (const schema of Object.values(schemasOf(own).json)) visit(schema);
  const words = new Set(page.match(/[A-Za-z_]+/g));
  expect([...keys].filter((key) => !words.has(key))).toEqual([]);
});

test("every code that reading definitions can give is on the page", () => {
  const source = ["assemble", "cron", "document", "fault", "files", "load", "people", "read", "sampler", "scalars"]
    .concat(["secret", "watch", "calendar", "kinds", "route", "rule"])
    .map((name) => readFileSync(join(import.meta.dirname, `../../../src/define/${name}.ts`), "utf8"))
    .join("\n");
  const codes = new Set(source.match(/(?<=")(?:CFG|SCH|RUL|PPL)-W?\d+(?=")/g));
  expect(codes.size).toBeGreaterThan(25);
  const listed = new Set<string>();
  for (const [, first, , from, , to] of page.matchAll(/((CFG|SCH|RUL|PPL)-(W?\d+))(?: to (CFG|SCH|RUL|PPL)-(\d+))?/g)) {
    listed.add(first as string);
    const prefix = (first as string).slice(0, 4);
    for (let each = Number(from); each <= Number(to); each += 1) listed.add(prefix + String(each).padStart(3, "0"));
  }
  expect([...codes].filter((code) => !listed.has(code))).toEqual([]);
});
