import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/**
 * The architecture as a test: which folder may import which, and who may ask the clock.
 * `test/layers/` holds one tiny tree per rule that breaks it; each must be found, or the test proves nothing.
 */

const root = resolve(import.meta.dirname, "..");
const stages = ["schedule", "sample", "store", "judge", "relate", "alert", "notify", "payments", "show"];
const base = ["core"];
const facts = ["core", "define", "state"];

/** Folder of src/ -> folders it may import besides itself. `app` is the files right under src/, save main.ts. */
const mayImport: Record<string, string[]> = {
  core: [],
  define: base,
  state: base,
  ...Object.fromEntries(stages.map((stage) => [stage, facts])),
  app: [...facts, ...stages],
  cli: [...facts, ...stages, "app"],
  main: ["core", "cli"],
};

/**
 * Folders of adapters, which import core/ and libraries. An adapter is a file that the folder's index.ts names, and parts
 * named after it (`http.ts`, `http-guard.ts`): only index.ts imports adapters, only the adapter and its parts a part.
 */
const adapterFolders = ["sample/sources", "notify/notifiers", "schedule/queues", "store/stores"];

const clockCalls =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bsetTimeout\b|\bsetInterval\b|\bperformance\.now\b|\bAbortSignal\.timeout\b|\bprocess\.hrtime\b|from "node:timers/;
const clockFiles = ["core/time.ts"];

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return filesBelow(path);
    return /\.tsx?$/.test(name) ? [path] : [];
  });
}

function layerOf(file: string): string {
  if (file === "main.ts") return "main";
  return file.includes("/") ? (file.split("/")[0] as string) : "app";
}

/** Source text without comments, so that prose may speak of clocks. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, "$1");
}

/** The adapter that a file is, or is a part of: the name that the folder's index.ts knows it by. Without `.ts`. */
function adapterOf(src: string, file: string): string {
  const own = file.replace(/\.ts$/, "");
  const index = join(src, dirname(file), "index.ts");
  const named = existsSync(index) ? readFileSync(index, "utf8").matchAll(/from "\.\/([^"]+)\.ts"/g) : [];
  const adapters = [...named].map(([, name]) => join(dirname(file), name as string));
  const found = adapters.filter((adapter) => own === adapter || own.startsWith(`${adapter}-`));
  return found.sort((a, b) => a.length - b.length)[0] ?? own;
}

function isPartOf(adapter: string, target: string): boolean {
  return target.startsWith(`${adapter}-`);
}

function offences(src: string): string[] {
  const found: string[] = [];
  for (const path of filesBelow(src)) {
    const file = relative(src, path);
    const layer = layerOf(file);
    const text = code(readFileSync(path, "utf8"));
    const allowed = mayImport[layer];
    if (allowed === undefined) {
      found.push(`src/${file}: there is no layer ${layer}/`);
      continue;
    }
    if (clockCalls.test(text) && !clockFiles.includes(file)) {
      found.push(`src/${file} calls ${clockCalls.exec(text)?.[0]}: only src/${clockFiles[0]} may`);
    }
    for (const [, specifier] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      const target = relative(src, resolve(dirname(path), specifier as string));
      if (target.startsWith("..")) continue;
      const targetLayer = layerOf(target);
      if (targetLayer !== layer && !allowed.includes(targetLayer)) {
        found.push(`src/${file} imports ${specifier}: ${layer}/ may import ${allowed.join(", ") || "nothing of ours"}`);
      }
      const own = adapterFolders.find((folder) => dirname(file) === folder && !file.endsWith("/index.ts"));
      if (own !== undefined && targetLayer !== "core" && !isPartOf(adapterOf(src, file), target)) {
        found.push(`src/${file} imports ${specifier}: an adapter imports core/ and its library, nothing else of ours`);
      }
      const adapter = adapterFolders.find((folder) => dirname(target) === folder && !target.endsWith("/index.ts"));
      if (adapter !== undefined && dirname(file) !== adapter) {
        found.push(`src/${file} imports ${specifier}: only ${adapter}/index.ts and tests import an adapter`);
      }
    }
  }
  return found;
}

test("src/ keeps the import direction and leaves the clock to core/time.ts", () => {
  expect(offences(join(root, "src"))).toEqual([]);
});

describe("each rule finds its offender", () => {
  const fixtures = join(root, "test/layers");
  for (const name of readdirSync(fixtures)) {
    test(name, () => {
      const wanted = readFileSync(join(fixtures, name, "expected.txt"), "utf8").trim();
      expect(offences(join(fixtures, name)).join("\n")).toBe(wanted);
    });
  }
});
