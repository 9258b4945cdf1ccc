/** The config folder to definitions, with every fault of every file found in one pass. */
import { existsSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import type { Definitions } from "../core/definitions.ts";
import type { Clock } from "../core/ports.ts";
import { formatProblem, Problem } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { assemble } from "./assemble.ts";
import { type Found, findFiles, readBytes } from "./files.ts";
import type { Kinds } from "./kinds.ts";
import { type FileResult, type ReadContext, readDefinitions } from "./read.ts";
import { staysInside } from "./scalars.ts";
import { schemasOf } from "./schema.ts";

export type { Kinds };

export type LoadOptions = {
  /** The config folder: holds `samplers/` and `rules/`; either may be missing. */
  readonly dir: string;
  /** Time zone of definitions that name none. */
  readonly zone: string;
  readonly kinds: Kinds;
  /** Where `env:` references look. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Tells which changes of summer time lie ahead. Default: the machine's. */
  readonly clock?: Clock;
  /** How long points are stored: what a campaign is compared with must still be there. Default: not looked at. */
  readonly keepPointsMs?: number | undefined;
};

export type Loaded = {
  /** What holds; a faulty definition is left out. */
  readonly definitions: Definitions;
  /** Errors and warnings, by file, line and column. */
  readonly problems: readonly Problem[];
};

/**
 * Reads the whole folder.
 * @param only files or folders whose problems are wanted, as check takes them: from the working folder or from `dir`.
 *   Everything is read all the same, since definitions refer to each other. Default: all of them.
 * @returns problems instead of throwing them, whatever the files hold
 */
export async function loadDefinitions(options: LoadOptions, only?: readonly string[]): Promise<Loaded> {
  const context = contextOf(options);
  const { files, problems } = await findFiles(options.dir);
  const results: FileResult[] = [];
  for (const found of files) results.push(await readFound(options.dir, found, context()));
  const { definitions, conflicts } = assemble(results, (options.clock ?? systemClock).nowMs());
  const own = results.flatMap((file) => file.problems);
  // Two calendars may name one file.
  const all = distinct([...problems, ...own, ...conflicts.map(({ problem }) => problem)]);
  if (only === undefined || only.length === 0) return { definitions, problems: inOrder(all) };
  const wanted = only.map((path) => locate(options.dir, path));
  const names = wanted.filter((each) => typeof each === "string");
  const shown = all.filter(({ where = "" }) => names.some((file) => isBelow(where, file)));
  return { definitions, problems: inOrder([...wanted.filter((each) => each instanceof Problem), ...shown]) };
}

/** What reading a file needs; schemas are made once, the time is asked anew. */
export function contextOf(options: LoadOptions): () => ReadContext {
  const { dir, zone, kinds, env = process.env, clock = systemClock, keepPointsMs } = options;
  const schemas = schemasOf(kinds);
  return () => ({ dir, zone, kinds, env, schemas, nowMs: clock.nowMs(), keepPointsMs });
}

export async function readFound(dir: string, found: Found, context: ReadContext): Promise<FileResult> {
  const bytes = await readBytes(dir, found);
  const { file, kind } = found;
  if (bytes instanceof Problem) {
    return { file, digest: "", includes: [], kind, readable: false, entries: [], problems: [bytes] };
  }
  return readDefinitions(file, kind, bytes, context);
}

/** Sorted by file, then line, then column. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const key = (problem: Problem): [string, number, number] => {
    const [, file = "", line = "0", column = "0"] = /^(.*?)(?::(\d+):(\d+))?$/.exec(problem.where ?? "") ?? [];
    return [file, Number(line), Number(column)];
  };
  const keyed = problems.map((problem) => ({ problem, key: key(problem) }));
  keyed.sort(({ key: a }, { key: b }) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1] || a[2] - b[2]));
  return keyed.map(({ problem }) => problem);
}

export function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Map(problems.map((problem) => [formatProblem(problem), problem]));
  return [...seen.values()];
}

function locate(dir: string, path: string): string | Problem {
  const found = [resolve(path), resolve(dir, path)].filter((each) => existsSync(each));
  if (found.length === 0) {
    return new Problem("no such file or folder", { code: "CFG-020", where: path, fix: "check the path" });
  }
  const inside = found.map((each) => relative(resolve(dir), each)).find(staysInside);
  if (inside !== undefined) return inside.split(sep).join("/");
  return new Problem("outside the config folder", { code: "CFG-015", where: path, fix: `name a path below ${dir}` });
}

function isBelow(where: string, file: string): boolean {
  return file === "" || where === file || where.startsWith(`${file}:`) || where.startsWith(`${file}/`);
}
