/** The tutorial is true: its files and commands, taken from the page itself, give what the page shows. */

import { spawn } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { App } from "../../src/app.ts";
import { growShop } from "../../src/cli/demo/shop.ts";
import { demoSeed, historyDays, liveFromMs, type Phase, story, storyEvents } from "../../src/cli/demo/story.ts";
import type { Log } from "../../src/core/ports.ts";
import { dayMs } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { SimulatedClock } from "../support/clock.ts";
import { compileCache, ended, projectDir } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "bellwether-tutorial-"));
const config = join(dir, "config");
const data = join(dir, "data");
const endMs = (story.at(-1) as Phase).toMs;

/** The shop as the demo leaves it. */
beforeAll(async () => {
  for (const folder of ["samplers", "rules"])
    cpSync(join(projectDir, folder), join(config, folder), { recursive: true });
  const file = join(data, "shop.db");
  await growShop({ file, seed: demoSeed, events: storyEvents, liveFromMs: endMs, historyDays });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Block = { readonly language: string; readonly lines: readonly string[] };
type Step = { readonly command: string; readonly shown: readonly string[] };

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(projectDir, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)].map(([, language = "", body = ""]) => {
    return { language, lines: body.split("\n") };
  });
}

/** Commands of a block, each with the lines that follow it. */
function stepsOf({ lines }: Block): Step[] {
  const steps: { command: string; shown: string[] }[] = [];
  for (const line of lines) {
    if (line.startsWith("$ ")) steps.push({ command: line.slice(2), shown: [] });
    else steps.at(-1)?.shown.push(line);
  }
  return steps;
}

/** What is shown, as a pattern: `...` stands for anything, and no two runs take equally long. */
function patternOf(shown: readonly string[]): RegExp {
  const escaped = shown.join("\n").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const loose = escaped.replace(/\\\.\\\.\\\.(\n|$)/g, "[\\s\\S]*").replace(/\d+ ms\b/g, "\\d+ ms");
  return new RegExp(`^${loose}\\n?$`);
}

/** Runs a command as it stands, from the project's folder; only the folders are others. */
function shell(command: string): ReturnType<typeof ended> {
  const env = { ...process.env, BELLWETHER_CONFIG: config, BELLWETHER_DATA: data, NODE_COMPILE_CACHE: compileCache };
  return ended(spawn("sh", ["-c", command], { cwd: projectDir, env, stdio: ["ignore", "pipe", "pipe"] }));
}

/** What the second demo does with the sampler: loads its past. The others' past is not needed here. */
async function loadPast(sampler: string): Promise<void> {
  const only = join(dir, "only");
  cpSync(join(config, "rules"), join(only, "rules"), { recursive: true });
  cpSync(join(config, sampler), join(only, sampler));
  const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
  const env = { BELLWETHER_CONFIG: only, BELLWETHER_DATA: data, BELLWETHER_PORT: "0" };
  await using app = await App.open({ settings: readSettings(env), clock: new SimulatedClock(endMs), log, env: {} });
  await app.loadHistory(liveFromMs - historyDays * dayMs, endMs, () => {});
}

test("every file and command of the tutorial gives what the page shows", async () => {
  const ran: string[] = [];
  let sampler = "";
  for (const block of blocksOf("docs/tutorial.md")) {
    const [first = ""] = block.lines;
    const file = /^# (at the end of )?(\S+\.yaml)$/.exec(first);
    if (block.language === "yaml" && file !== null) {
      sampler = file[2] as string;
      const text = `${block.lines.join("\n")}\n`;
      if (file[1] === undefined) writeFileSync(join(config, sampler), text);
      else appendFileSync(join(config, sampler), text);
    }
    if (block.language === "sh" && first === "npm run demo") await loadPast(sampler);
    if (block.language !== "console") continue;
    for (const { command, shown } of stepsOf(block)) {
      const { code, out, err } = await shell(command);
      expect({ command, code, err }).toEqual({ command, code: 0, err: "" });
      expect(out, command).toMatch(patternOf(shown));
      ran.push(command.split(" ")[5] as string);
    }
  }
  expect(ran).toEqual(["check", "try", "try", "backtest", "backtest", "series", "explain"]);
}, 120_000);

test("the fault that the tutorial shows is the one that is found", async () => {
  const shown = blocksOf("docs/tutorial.md").find(({ language }) => language === "text")?.lines[0];
  const path = join(config, "samplers/shop/large-orders.yaml");
  const sound = readFileSync(path, "utf8");
  writeFileSync(path, sound.replace("every: 15m", "every: 15"));
  const { code, out } = await shell("npm run -s bellwether -- check samplers/shop/large-orders.yaml");
  writeFileSync(path, sound);
  expect(code).toBe(2);
  expect(out.split("\n")[0]).toBe(shown);
});

test("the short form in the README is the same sampler and the same commands", () => {
  const readme = readFileSync(join(projectDir, "README.md"), "utf8");
  const blocks = blocksOf("docs/tutorial.md");
  const yaml = blocks
    .find(({ language }) => language === "yaml")
    ?.lines.slice(1)
    .join("\n");
  expect(blocksOf("README.md").map(({ lines }) => lines.join("\n"))).toContain(yaml);
  const commands = blocks.flatMap(stepsOf).map(({ command }) => command);
  const short = [...readme.matchAll(/^ {4}(npm run -s bellwether -- \S+ .*)$/gm)].map(([, command]) => command);
  expect(short).toHaveLength(3);
  expect(commands).toEqual(expect.arrayContaining(short));
});
