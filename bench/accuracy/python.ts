/** Python with what the scorer and the peers of PyPI need, in folders that are no part of the source. */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../src/core/problem.ts";
import { installMissing, type Tool, whyMissing } from "../../test/support/debian.ts";

/** Under node_modules, which git ignores and a fresh install empties. */
const cache = join(import.meta.dirname, "../../node_modules/.cache/bellwether-accuracy");
/** Fetching and unpacking one package and what it needs. */
const pipMsMax = 900_000;

const python: Tool = {
  name: "Python 3 with venv",
  packages: ["python3", "python3-venv"],
  find: () => (spawnSync("python3", ["-c", "import venv, ensurepip"]).status === 0 ? "python3" : undefined),
};

/** What pip made of a package. */
export type Installed = { readonly python: string; readonly version: string } | { readonly why: string };

/**
 * A virtual environment with one package in it, made at the first call; later ones find it there.
 * @param requirement `name==version`; the newest that can be had where this Python has not got that version
 * @returns `why` if there is none, in pip's own words
 * @throws Problem if there is no Python
 */
export function withPackage(requirement: string): Installed {
  const [name = "", wanted] = requirement.split("==");
  const home = join(cache, name);
  const bin = join(home, "bin", "python");
  const found = versionOf(bin, name);
  if (found !== undefined) return { python: bin, version: found };
  makeVenv(home, bin);
  const pip = (what: string) => {
    // Nothing is built from source here: that needs compilers, and an hour.
    const args = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", what];
    return spawnSync(bin, args, { encoding: "utf8", timeout: pipMsMax });
  };
  console.log(`installing ${requirement} for the benchmark (once) ...`);
  let done = pip(requirement);
  if (done.status !== 0 && wanted !== undefined) {
    console.log(`${requirement} cannot be had here, trying the newest ${name} ...`);
    done = pip(name);
  }
  const version = versionOf(bin, name);
  if (done.status === 0 && version !== undefined) return { python: bin, version };
  const said = `${done.stderr ?? ""}`.trim().split("\n").at(-1) ?? "";
  return { why: said === "" ? `pip ended with ${done.status ?? done.signal ?? done.error?.message}` : said };
}

/** The scorer needs nothing else. */
const scorerPackage = "numpy==2.4.6";

/** @throws Problem if it cannot be had */
export function pythonForScorer(): string {
  const numpy = withPackage(scorerPackage);
  if ("python" in numpy) return numpy.python;
  throw new Problem(`the scorer needs numpy, and ${numpy.why}`, { fix: "give pip a way to PyPI" });
}

function makeVenv(home: string, bin: string): void {
  installMissing([python]);
  const why = whyMissing(python);
  if (why !== null) throw new Problem(why, { fix: "install python3 and python3-venv" });
  if (existsSync(bin) && spawnSync(bin, ["-m", "pip", "--version"]).status === 0) return;
  // What a killed run left behind is made again.
  rmSync(home, { recursive: true, force: true });
  const { status, stderr } = spawnSync("python3", ["-m", "venv", home], { encoding: "utf8" });
  if (status !== 0) throw new Problem(`python3 cannot make a venv: ${stderr.trim()}`, { where: home });
}

/** Undefined if the package, or the environment, is not there. */
function versionOf(bin: string, name: string): string | undefined {
  if (!existsSync(bin)) return undefined;
  const ask = "import sys, importlib.metadata as m; print(m.version(sys.argv[1]))";
  const { status, stdout } = spawnSync(bin, ["-c", ask, name], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
