/** The pages name every measure, code and condition that there is, nothing that there is not, and their links lead somewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { World } from "../support/world.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/metrics.md"), "utf8");
const listed = [...page.matchAll(/^\| `(bellwether_\w+)` *\|/gm)].map(([, name]) => name as string);

/** Measurements of ours, which begin like measures. */
const measurements = ["bellwether_10m", "bellwether_1h", "bellwether_canary", "bellwether_collection"];

/** Names of the measures that a source text makes, by the few forms there are to write one. */
function measuresOf(text: string): string[] {
  const names = [...text.matchAll(/name: "(bellwether_\w+)"/g)].map(([, name]) => name as string);
  const [, prefix = ""] = /`bellwether_(\w*)\$\{/.exec(text) ?? [];
  const own = /import \{[^}]*\b(gauge|counter)\b[^}]*\} from "[./]*core\/measure\.ts"/.test(text) ? "" : prefix;
  for (const [, kind, name] of text.matchAll(/\b(gauge|counter)\(\s*"(\w+)"/g))
    names.push(`bellwether_${own}${name}${kind === "counter" ? "_total" : ""}`);
  for (const [, name] of text.matchAll(/\bname\("(\w+)"\)/g)) names.push(`bellwether_${prefix}${name}`);
  for (const [, name] of text.matchAll(/\bmeasure\("\w+", "(\w+)"/g)) names.push(`bellwether_${prefix}${name}`);
  const helps = /const helps = \{\n([\s\S]*?)\n {2}\};/.exec(text)?.[1] ?? "";
  for (const [, name] of helps.matchAll(/^ {4}(\w+):/gm)) names.push(`bellwether_${prefix}${name}`);
  return names;
}

/** Every file below a folder that ends so -> its text. */
function textsOf(folder: string, end: string): Map<string, string> {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  const own = files.filter((file) => file.endsWith(end)).map((file) => join(folder, file));
  return new Map(own.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}

const sources = textsOf("src", ".ts");
const pages = textsOf("docs", ".md");
for (const file of ["README.md", "CONTRIBUTING.md"]) pages.set(file, readFileSync(join(root, file), "utf8"));

test("every measure that the source makes has one row, and every row is a measure", () => {
  const made = new Set([...sources.values()].flatMap(measuresOf));
  expect(made.size).toBeGreaterThan(100);
  expect([...made].filter((name) => !listed.includes(name)).toSorted()).toEqual([]);
  expect(listed.filter((name) => !made.has(name))).toEqual([]);
  expect(listed.filter((name, index) => listed.indexOf(name) !== index)).toEqual([]);
});

test("what other pages say of measures is said of ones that there are", () => {
  for (const [file, text] of pages) {
    const names = [...text.matchAll(/`(bellwether_\w+)(?!\w|\*)/g)].map(([, name]) => name as string);
    const unknown = names.filter((name) => !listed.includes(name) && !measurements.includes(name));
    expect({ file, unknown }).toEqual({ file, unknown: [] });
  }
});

test("a running application exposes none that is not on the page", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", { Germany: 4 });
  await world.minutes(2, { Germany: 4 });
  const text = await (await fetch(`${world.app.url}/metrics`)).text();
  const exposed = [...text.matchAll(/^# TYPE (bellwether_\w+) /gm)].map(([, name]) => name as string);
  expect(exposed.length).toBeGreaterThan(50);
  expect(exposed.filter((name) => !listed.includes(name))).toEqual([]);
});

test("every code of a fault is on a page", () => {
  const code = /\b([A-Z]{3}-W?)(\d{2,3})\b/g;
  const written = [...sources.values()].flatMap((text) => [...text.matchAll(/["'`]([A-Z]{3}-W?\d{2,3})\b/g)]);
  const given = new Set(written.map(([, found]) => found as string).filter((found) => !found.startsWith("UTF-")));
  const named = new Set<string>();
  for (const text of pages.values()) {
    for (const [found] of text.matchAll(code)) named.add(found);
    for (const [, prefix, from, to] of text.matchAll(/\b([A-Z]{3}-)(\d{3}) to [A-Z]{3}-(\d{3})/g))
      for (let each = Number(from); each <= Number(to); each += 1) named.add(prefix + String(each).padStart(3, "0"));
  }
  expect(given.size).toBeGreaterThan(120);
  expect([...given].filter((each) => !named.has(each)).toSorted()).toEqual([]);
});

test("every condition of the collection and of its processes is on the page about the schedule", () => {
  const texts = ["src/collectionconditions.ts", "src/peers.ts"].map((file) => sources.get(file) ?? "");
  const kinds = texts.flatMap((text) => [...text.matchAll(/\bkind: "([a-z-]+)"/g)].map(([, kind]) => kind as string));
  const schedule = pages.get("docs/schedule.md") ?? "";
  const rows = [...schedule.matchAll(/^\| `([a-z]+-[a-z-]+)` +\|/gm)].map(([, kind]) => kind as string);
  expect(rows.filter((kind) => kind !== "caught-up").toSorted()).toEqual(
    [...kinds, "scheduler-gone", "worker-gone"].toSorted(),
  );
});

/** A heading as links name it. */
function anchorOf(heading: string): string {
  const words = heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "");
  return words.replaceAll(" ", "-");
}

test("links among the pages lead to a file and a heading that there are", () => {
  const dead: string[] = [];
  for (const [file, text] of pages) {
    const prose = text.replace(/^```.*?^```/gms, "");
    for (const [, link = ""] of prose.matchAll(/\]\((?!https?:|mailto:)([^)\s]+)\)/g)) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? file : join(dirname(file), path);
      const page = pages.get(target);
      if (!existsSync(join(root, target))) dead.push(`${file}: ${link}`);
      else if (anchor !== undefined && page !== undefined) {
        const headings = [...page.replace(/^```.*?^```/gms, "").matchAll(/^#+ (.*)$/gm)];
        if (!headings.some(([, heading = ""]) => anchorOf(heading) === anchor)) dead.push(`${file}: ${link}`);
      }
    }
  }
  expect(dead).toEqual([]);
});
