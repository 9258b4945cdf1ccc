import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Log } from "../../../src/core/ports.ts";

export const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A folder of its own for the files of one test file, gone at the end. */
export function testFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A second process on the same files. `script` lies beside the test. */
export function start(folder: string, script: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [join(folder, script), ...args], { stdio: ["pipe", "pipe", "inherit"] });
}

/** Everything that a process printed; throws if it failed. */
export async function outputOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the second process ended with ${code}: ${text}`);
  return text;
}
