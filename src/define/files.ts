/** The config folder: which files define what, read within bounds. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { messageOf, Problem } from "../core/problem.ts";
import { fileBytesMax, tooLarge } from "./document.ts";
import { oneOf } from "./fault.ts";
import { staysInside } from "./scalars.ts";

export const fileKinds = ["sampler", "connection", "rule", "route", "people", "calendar"] as const;
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

/**
 * Every YAML file below `samplers/` and `rules/`, sorted; names with a leading dot are left alone, and so is whatever
 * is not YAML. A missing folder defines nothing. Symbolic links count as what they lead to, inside `dir` only.
 */
export async function findFiles(dir: string): Promise<{ files: Found[]; problems: Problem[] }> {
  const files: Found[] = [];
  const problems: Problem[] = [];
  const root = await realpath(dir).catch(() => null);
  if (root === null) {
    const fix = "name the folder that holds samplers/ and rules/";
    return { files, problems: [new Problem("no such config folder", { code: "CFG-020", where: dir, fix })] };
  }
  const seen = new Set([root]);

  const visit = async (path: string, depth: number): Promise<void> => {
    const file = relative(dir, path).split(sep).join("/");
    try {
      const real = await realpath(path);
      if (!staysInside(relative(root, real))) {
        const fix = "copy the file into it";
        problems.push(new Problem("leads outside the config folder", { code: "CFG-015", where: file, fix }));
        return;
      }
      const stats = await stat(real, { bigint: true });
      if (stats.isDirectory()) {
        if (seen.has(real)) return;
        seen.add(real);
        if (depth > foldersDeepMax) throw new Error(`folders deeper than ${foldersDeepMax}`);
        const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
        for (const name of names) await visit(join(path, name), depth + 1);
      } else if (/\.ya?ml$/.test(file)) {
        const kind = kindOf(file);
        if (kind instanceof Problem) problems.push(kind);
        else if (!stats.isFile()) throw new Error("not a file");
        else if (files.length >= filesMax) throw new Error(`more than ${filesMax} files`);
        else {
          const stamp = `${stats.mtimeNs}:${stats.ctimeNs}:${stats.size}:${stats.ino}`;
          files.push({ file, kind, sizeBytes: Number(stats.size), stamp });
        }
      }
    } catch (thrown) {
      problems.push(unreadable(file, thrown));
    }
  };
  for (const folder of ["rules", "samplers"]) {
    const path = join(dir, folder);
    if (await exists(path)) await visit(path, 0);
  }
  return { files, problems };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch((thrown: NodeJS.ErrnoException) => thrown.code !== "ENOENT")) !== false;
}

function kindOf(file: string): FileKind | Problem {
  const [top, folder, ...rest] = file.split("/") as [string, string, ...string[]];
  if (top === "samplers") return "sampler";
  if (/^connections\.ya?ml$/.test(folder) && rest.length === 0) return "connection";
  const kind = rest.length > 0 && Object.hasOwn(ruleFolders, folder) ? ruleFolders[folder] : undefined;
  if (kind !== undefined) return kind;
  const places = ["connections.yaml", ...Object.keys(ruleFolders).map((name) => `${name}/`)];
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
