/** The config folder: which files define what, read within bounds. */
import type { BigIntStats } from "node:fs";
import { lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { messageOf, Problem } from "../core/problem.ts";
import { fileBytesMax, tooLarge } from "./document.ts";
import { oneOf } from "./fault.ts";
import { staysInside } from "./scalars.ts";

export const fileKinds = ["sampler", "connection", "rule", "route", "people", "calendar", "collection"] as const;
export type FileKind = (typeof fileKinds)[number];

const filesMax = 10_000;
const foldersDeepMax = 10;

const ruleFolders: Readonly<Record<string, FileKind>> = {
  detect: "rule",
  routes: "route",
  people: "people",
  calendars: "calendar",
};

/** A file that defines something. `stamp` differs once its content was changed. */
export type Found = {
  readonly file: string;
  readonly kind: FileKind;
  readonly sizeBytes: number;
  readonly stamp: string;
};

export type FoundFiles = { readonly files: readonly Found[]; readonly problems: readonly Problem[] };

/**
 * Every YAML file below `samplers/` and `rules/`, sorted; names with a leading dot are left alone, and so is whatever
 * is not YAML. A missing folder defines nothing. Symbolic links count as what they lead to, inside `dir` only.
 */
export async function findFiles(dir: string): Promise<FoundFiles> {
  const root = await realpath(dir).catch(() => null);
  if (root === null) {
    const fix = "name the folder that holds samplers/ and rules/";
    return { files: [], problems: [new Problem("no such config folder", { code: "CFG-020", where: dir, fix })] };
  }
  const walk = new Walk(root);
  for (const folder of ["rules", "samplers"]) {
    if (await exists(join(root, folder))) await walk.visit(folder, join(root, folder), 0);
  }
  return walk;
}

class Walk {
  readonly files: Found[] = [];
  readonly problems: Problem[] = [];
  readonly #root: string;
  /** Folders by their real path, so that links cannot lead in circles. */
  readonly #seen: Set<string>;

  constructor(root: string) {
    this.#root = root;
    this.#seen = new Set([root]);
  }

  /** @param path free of symbolic links up to its last name */
  async visit(file: string, path: string, depth: number): Promise<void> {
    try {
      let stats = await lstat(path, { bigint: true });
      let real = path;
      if (stats.isSymbolicLink()) {
        real = await realpath(path);
        stats = await stat(real, { bigint: true });
      }
      if (!staysInside(relative(this.#root, real))) {
        const fix = "copy the file into it";
        this.problems.push(new Problem("leads outside the config folder", { code: "CFG-015", where: file, fix }));
      } else if (stats.isDirectory()) await this.#folder(file, real, depth);
      else if (/\.ya?ml$/.test(file)) this.#add(file, stats);
    } catch (thrown) {
      this.problems.push(unreadable(file, thrown));
    }
  }

  async #folder(file: string, real: string, depth: number): Promise<void> {
    if (this.#seen.has(real)) return;
    this.#seen.add(real);
    if (depth > foldersDeepMax) throw new Error(`folders deeper than ${foldersDeepMax}`);
    for (const name of (await readdir(real)).sort()) {
      if (!name.startsWith(".")) await this.visit(`${file}/${name}`, join(real, name), depth + 1);
    }
  }

  #add(file: string, stats: BigIntStats): void {
    const kind = kindOf(file);
    if (kind instanceof Problem) this.problems.push(kind);
    else if (!stats.isFile()) throw new Error("not a file");
    else if (this.files.length === filesMax) {
      const what = `more than ${filesMax} files; those from here on are not read`;
      this.problems.push(new Problem(what, { code: "CFG-003", where: file, fix: "define more in one file" }));
    } else {
      this.files.push({ file, kind, sizeBytes: Number(stats.size), stamp: stampOf(stats) });
    }
  }
}

/** Differs once the file was changed, or another one put in its place. */
export function stampOf({ mtimeNs, ctimeNs, size, ino }: BigIntStats): string {
  return `${mtimeNs}:${ctimeNs}:${size}:${ino}`;
}

/** Of the file there is now; empty where none can be looked at. */
export function currentStamp(path: string): Promise<string> {
  return stat(path, { bigint: true }).then(stampOf, () => "");
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch((thrown: NodeJS.ErrnoException) => thrown.code !== "ENOENT")) !== false;
}

function kindOf(file: string): FileKind | Problem {
  const [top, folder, ...rest] = file.split("/") as [string, string, ...string[]];
  if (top === "samplers") return "sampler";
  if (/^connections\.ya?ml$/.test(folder) && rest.length === 0) return "connection";
  if (/^collection\.ya?ml$/.test(folder) && rest.length === 0) return "collection";
  const kind = rest.length > 0 && Object.hasOwn(ruleFolders, folder) ? ruleFolders[folder] : undefined;
  if (kind !== undefined) return kind;
  const places = ["connections.yaml", "collection.yaml", ...Object.keys(ruleFolders).map((name) => `${name}/`)];
  const fix = `move it to ${oneOf(rest.length > 0 ? `${folder}/` : folder, places)}`;
  return new Problem("nothing is defined here", { code: "CFG-005", where: file, fix });
}

/** @returns the bytes, or the Problem that keeps them from being read */
export async function readBytes(dir: string, { file, sizeBytes }: Found): Promise<Uint8Array | Problem> {
  if (sizeBytes > fileBytesMax) return tooLarge(file, sizeBytes);
  try {
    return await readFile(join(dir, file));
  } catch (thrown) {
    return unreadable(file, thrown);
  }
}

function unreadable(file: string, thrown: unknown): Problem {
  const reason = messageOf(thrown).split(",")[0] as string;
  return new Problem(`cannot be read: ${reason}`, {
    code: "CFG-020",
    where: file,
    fix: "check the file and its owner",
  });
}
