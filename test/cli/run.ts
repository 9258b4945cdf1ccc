/** The command line as people and scripts meet it: a process of its own, with what it printed and its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { vi } from "vitest";
import { main as program } from "../../src/cli/program.ts";

export const projectDir = resolve(import.meta.dirname, "../..");
const main = join(projectDir, "src/main.ts");

/** Half of a short command is compiling its modules. */
export const compileCache = join(tmpdir(), "bellwether-compile-cache");

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

/** Settings of the machine that runs the tests must not reach what is tested. */
function environment(env: Readonly<Record<string, string>>): Record<string, string> {
  const { PATH = "", HOME = "" } = process.env;
  return { PATH, HOME, NODE_COMPILE_CACHE: compileCache, ...env };
}

export type Place = { readonly config: string; readonly data: string };

/** Starts `bellwether ARGS` in the folder of the config. */
export function begin(place: Place, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    cwd: place.config,
    env: environment({ BELLWETHER_CONFIG: place.config, BELLWETHER_DATA: place.data, ...env }),
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs it to its end. */
export async function run(
  place: Place,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  return await ended(begin(place, args, env));
}

/** What a process prints until its end. */
export async function ended(child: ChildProcess): Promise<Ran> {
  let out = "";
  let err = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** Runs all, two at a time: as many as a small machine has cores. */
export async function runAll(
  place: Place,
  commands: readonly (readonly string[])[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran[]> {
  const results: Ran[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < commands.length; index = next++) {
      results[index] = await run(place, commands[index] as readonly string[], env);
    }
  };
  await Promise.all([lane(), lane()]);
  return results;
}

/** The same command line in this process: half a second cheaper, for the many ways to call one command. One at a time. */
export async function runInside(place: Place, args: readonly string[]): Promise<Ran> {
  const printed = { out: "", err: "" };
  const into = (name: keyof typeof printed) => (text: string | Uint8Array) => {
    printed[name] += text;
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, "write").mockImplementation(into("out")),
    vi.spyOn(process.stderr, "write").mockImplementation(into("err")),
  ];
  vi.stubEnv("BELLWETHER_CONFIG", place.config);
  vi.stubEnv("BELLWETHER_DATA", place.data);
  const listeners = process.stdout.listeners("error");
  try {
    return { code: await program(args), ...printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
    const added = process.stdout.listeners("error").filter((one) => !listeners.includes(one));
    for (const listener of added) process.stdout.off("error", listener as () => void);
  }
}
