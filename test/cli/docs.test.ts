/** docs/commands.md leaves nothing out: every command, option and setting that there is stands in it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeSettings } from "../../src/settings.ts";
import { type Place, projectDir, runInside } from "./run.ts";

const page = readFileSync(join(projectDir, "docs/commands.md"), "utf8");
const here: Place = { config: projectDir, data: join(projectDir, "var") };

/** Commands that are several: those of them that have options of their own. */
const parts: Readonly<Record<string, readonly string[]>> = {
  replicas: ["status", "compare", "repair", "shelf", "requeue", "import"],
  silence: ["add", "end"],
  shadow: ["list", "end"],
  calendar: ["import"],
  grafana: ["generate"],
};

/** The text under `## name`. */
function sectionOf(name: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(`${name}\n`)) ?? "";
}

test("every command has its section, and each of its options is named there or among what all share", async () => {
  const shared = page.slice(0, page.indexOf("\n## demo"));
  const { out } = await runInside(here, ["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z][a-z-]+)(?= |$)/gm)].map(([, name]) => name as string);
  expect(names).toHaveLength(19);
  for (const name of names.filter((each) => each !== "help")) {
    const section = sectionOf(name);
    expect(section, name).not.toBe("");
    const helps = (parts[name] ?? [""]).map((part) => [name, part].filter((word) => word !== ""));
    for (const words of helps) {
      const help = (await runInside(here, [...words, "--help"])).out;
      for (const [option] of help.matchAll(/--[a-z]+/g))
        expect(`${shared}${section}`, words.join(" ")).toContain(option);
    }
  }
});

test("no page names a command that there is not", async () => {
  const { out } = await runInside(here, ["--help"]);
  const names = new Set([...out.matchAll(/^ {2}([a-z][a-z-]+)(?= |$)/gm)].map(([, name]) => name));
  const folder = join(projectDir, "docs");
  const pages = [join(projectDir, "README.md"), ...readdirSync(folder).map((file) => join(folder, file))];
  const named = pages
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) => {
      const text = readFileSync(file, "utf8");
      return [...text.matchAll(/(?:`|^\$ |^)bellwether ([a-z][a-z-]*)/gm)].map(([, name]) => `${name}, ${file}`);
    });
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((each) => !names.has(each.split(",")[0]))).toEqual([]);
});

test("every setting stands in the table with its default", () => {
  const rows = new Map(
    [...page.matchAll(/^\| `([A-Z_]+)` \| (.+?) \|/gm)].map(([, name, byDefault]) => [name, byDefault]),
  );
  const settings = [...describeSettings().matchAll(/^ {2}([A-Z_]+) .* \[(.+)\]$/gm)];
  expect(settings.map(([, name]) => name)).toEqual([...rows.keys()]);
  for (const [, name, byDefault = ""] of settings) {
    const written = rows.get(name)?.replaceAll("`", "");
    expect({ name, written }).toEqual({ name, written: name === "BELLWETHER_URL" ? "host and port" : byDefault });
  }
});
