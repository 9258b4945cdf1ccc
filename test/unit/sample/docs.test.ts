/**
 * The pages about sources hold what the sources themselves say: their examples, the functions that a query may call, and
 * all codes. `BELLWETHER_WRITE_DOCS=1` writes examples and functions into the pages instead of comparing.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { loadDefinitions } from "../../../src/define/load.ts";
import { sources } from "../../../src/sample/sources/index.ts";
import { type Dialect, functionGroups } from "../../../src/sample/sources/sql-parse.ts";
import { type Files, folder, messages, optionsFor } from "../define/support.ts";

const docs = join(import.meta.dirname, "../../../docs");
const pages = ["sources.md", "sources/sql.md", "sources/http.md", "sources/elasticsearch.md", "sample.md"] as const;
const kinds = { sources, notifiers: ["email", "webhook"] };
/** What the references of the examples lead to. */
const secrets = { SHOP_DB_PASSWORD: "x", SHOP_API_TOKEN: "x", LOGS_ES_KEY: "x" };

const read = (page: string): string => readFileSync(join(docs, page), "utf8");
const textOf = pages.map(read).join("\n");

/** What stands between `<!-- word: name -->` and its end becomes what `make` gives for the name. */
function filled(text: string, word: string, make: (name: string) => string): string {
  const between = new RegExp(`(<!-- ${word}: (\\w+) -->\\n)[\\s\\S]*?(<!-- /${word} -->)`, "g");
  return text.replace(between, (_all, start: string, name: string, end: string) => `${start}\n${make(name)}\n${end}`);
}

/** YAML of a source, one level in, as it stands in a sampler. */
function sourceYaml(kind: string): string {
  const lines = sources[kind]?.example.trimEnd().split("\n") ?? [];
  return ["source:", ...lines.map((line) => `  ${line}`)].join("\n");
}

function functionTable(dialect: string): string {
  const rows = Object.entries(functionGroups[dialect as Dialect]).map(
    ([group, names]) => `| ${group} | ${names.toSorted().join(", ")} |`,
  );
  return ["| for | functions |", "| --- | --- |", ...rows, ""].join("\n");
}

function isTrue(page: string, word: string, make: (name: string) => string): void {
  const made = filled(read(page), word, make);
  if (process.env.BELLWETHER_WRITE_DOCS === "1") writeFileSync(join(docs, page), made);
  else expect(read(page)).toBe(made);
}

/** Blocks of YAML that name a file in the first line, in order. */
function blocksOf(text: string): { file: string; yaml: string }[] {
  return [...text.matchAll(/```yaml\n# (\S+\.yaml)\n(.*?)```/gs)].map(([, file = "", yaml = ""]) => ({ file, yaml }));
}

const people: Files = {
  "rules/people/shop.yaml":
    "people: { ana: { name: Ana Silva, email: ana@shop.example } }\ngroups: { shop-team: { members: [ana] } }\n",
};

async function faultsOf(files: Files): Promise<string[]> {
  return messages(await loadDefinitions({ ...optionsFor(folder({ ...people, ...files })), kinds, env: secrets }));
}

function samplerWith(source: string): string {
  return `name: example\ntitle: Example\nowner: shop-team\nevery: 1m\n${source}\npoint: { measurement: example, fields: [amount] }\nempty: zero\n`;
}

test("each source has its example and a page of its own", () => {
  const page = read("sources.md");
  expect([...page.matchAll(/<!-- example: (\w+) -->/g)].map(([, kind]) => kind)).toEqual(Object.keys(sources));
  for (const kind of Object.keys(sources)) expect(page).toContain(`](sources/${kind}.md)`);
  for (const kind of Object.values(sources).flatMap(({ connections }) => Object.keys(connections ?? {})))
    expect(page, kind).toContain(`\`${kind}\``);
});

test("the examples are the adapters' own", () => {
  isTrue("sources.md", "example", (kind) => `\`\`\`yaml\n${sourceYaml(kind)}\n\`\`\`\n`);
});

test("the functions are those that a query may call", () => {
  isTrue("sources/sql.md", "functions", functionTable);
  const dialects = [...read("sources/sql.md").matchAll(/<!-- functions: (\w+) -->/g)].map(([, dialect]) => dialect);
  expect(dialects.toSorted()).toEqual(Object.keys(functionGroups).toSorted());
});

test.each(Object.keys(sources))("the example of %s loads with the connection that stands below it", async (kind) => {
  const below = read("sources.md").split(`<!-- example: ${kind} -->`)[1] as string;
  const connections = blocksOf(below)[0]?.yaml as string;
  const files = { "rules/connections.yaml": connections, "samplers/example.yaml": samplerWith(sourceYaml(kind)) };
  expect(await faultsOf(files)).toEqual([]);
  const nowhere = { ...files, "rules/connections.yaml": connections.replace(/^ {2}[\w-]+:/m, "  other:") };
  expect(await faultsOf(nowhere)).toEqual([expect.stringMatching(/^RUL-003 samplers\/example\.yaml/)]);
});

test("every whole file on these pages loads", async () => {
  for (const page of pages) {
    const blocks = blocksOf(read(page));
    const samplers = blocks.filter(({ file }) => file.startsWith("samplers/"));
    const [first, ...others] = blocks.filter(({ file }) => file === "rules/connections.yaml");
    const found = samplers.map(({ file, yaml }) => [file, yaml] as const);
    const { file, yaml } = first ?? { file: "rules/connections.yaml", yaml: "connections: {}\n" };
    const ordinary = { [file]: yaml.replaceAll("file:secrets/warehouse-password", "env:SHOP_DB_PASSWORD") };
    expect(await faultsOf({ ...ordinary, ...Object.fromEntries(found) }), page).toEqual([]);
    for (const other of others)
      expect(await faultsOf({ "rules/connections.yaml": other.yaml }), `${page}\n${other.yaml}`).toEqual([]);
  }
});

/** A connection of each kind of source, for the pieces of samplers on its page. */
const connectionOf: Readonly<Record<string, string>> = {
  sql: "{ sqlite: { file: shop.db } }",
  http: '{ http: { url: "https://api.shop.example" } }',
  elasticsearch: '{ elasticsearch: { url: "https://es.example:9200" } }',
};

/** What stands under `source:` in the pieces of samplers on a page, one level in. */
function piecesOf(kind: string): string[] {
  const blocks = [...read(`sources/${kind}.md`).matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = ""]) => yaml);
  const indented = (yaml: string): string => `source:\n${yaml.trimEnd().replace(/^/gm, "  ")}`;
  return blocks.flatMap((yaml) => {
    const source = /^source:\n(?: .*\n)+/m.exec(yaml)?.[0];
    if (source !== undefined) return [source];
    if (yaml.startsWith(`${kind}:`)) return [indented(yaml)];
    if (!/^(body|esql):/.test(yaml)) return [];
    const index = yaml.startsWith("esql") ? "" : "  index: calls\n";
    return [indented(`${kind}:\n  connection: logs\n${index}${yaml.trimEnd().replace(/^/gm, "  ")}`)];
  });
}

test.each(Object.keys(sources))("every piece of a sampler on the page of %s loads", async (kind) => {
  const pieces = piecesOf(kind);
  expect(pieces.length).toBeGreaterThan(0);
  for (const piece of pieces) {
    const connection = /connection: ([\w-]+)/.exec(piece)?.[1];
    const files = {
      "rules/connections.yaml": `connections: { ${connection}: ${connectionOf[kind]} }\n`,
      "samplers/example.yaml": samplerWith(piece),
    };
    // What a JVM shows is of the moment, and the page says so.
    const found = (await faultsOf(files)).filter((fault) => !fault.startsWith("NET-W11"));
    expect(found, piece).toEqual([]);
  }
});

test("every option of a source and of its connections is on its page", () => {
  for (const [kind, { options, connections = {} }] of Object.entries(sources)) {
    const words = new Set(read(`sources/${kind}.md`).match(/[A-Za-z_]+/g));
    for (const schema of [options, ...Object.values(connections)]) {
      const { properties = {} } = z.toJSONSchema(schema as z.ZodType, { io: "input", unrepresentable: "any" });
      const names = Object.keys(properties);
      expect(names.length, kind).toBeGreaterThan(2);
      expect({ kind, absent: names.filter((name) => !words.has(name)) }).toEqual({ kind, absent: [] });
    }
  }
});

test("every code that sampling can give is on one of these pages, and no other is", () => {
  const src = join(import.meta.dirname, "../../../src/sample");
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const source = files.map((file) => readFileSync(join(src, file), "utf8")).join("\n");
  const pattern = /\b(?:SQL|NET|ELS|SRC|PNT)-(?:W\d\d|\d{3})\b/g;
  const given = new Set(source.match(pattern));
  const listed = new Set(
    textOf.match(/^\| (?:[A-Z]{3}-W?\d+(?:, )?)+ +\|/gm)?.flatMap((row) => row.match(pattern) ?? []),
  );
  expect(given.size).toBeGreaterThan(60);
  expect([...given].filter((code) => !listed.has(code)).toSorted()).toEqual([]);
  expect([...listed].filter((code) => !given.has(code)).toSorted()).toEqual([]);
});
