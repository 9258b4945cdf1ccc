/** What the command takes, checked before anything is installed or run. */
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { messageOf, Problem } from "../../src/core/problem.ts";
import { seriesOf } from "./series.ts";

/** A command that takes such options. */
export type Command = {
  /** As it is called: `npm run bench:accuracy`. */
  readonly call: string;
  /** What `--only` names, in the order in which they run; and what is always there. */
  readonly what: string;
  readonly names: readonly string[];
  readonly always: string;
};

export type Options = {
  readonly folders: readonly Folder[];
  /** The scorer's file. */
  readonly scorer: string;
  /** What to run, in the order of {@link Command.names}. */
  readonly only: readonly string[];
  /** Where outputs stay; undefined: nowhere. */
  readonly out: string | undefined;
};

/** A folder of series, and which of them are looked at. */
export type Folder = {
  readonly path: string;
  readonly files: readonly string[];
  readonly all: number;
  /** Which half a series belongs to: 0 to look at, 1 to decide. */
  readonly halfOf: (series: string) => 0 | 1;
};

function usageOf({ call, what }: Command): string {
  return `${call} -- DIR... [--scorer PATH] [--only ${what.toUpperCase()},...] [--series N | --match TEXT] [--split 0|1] [--held NAME,...] [--out DIR]`;
}

/**
 * @param home the scorer is looked for in `../shared/tools/score.py` from here
 * @throws Problem for anything that cannot be run as it is written
 */
export function readOptions(args: readonly string[], home: string, command: Command): Options {
  const { values, positionals } = parse(args, command);
  if (positionals.length === 0) throw new Problem("no folder of series is given", { fix: `write ${usageOf(command)}` });
  if (values.series !== undefined && values.match !== undefined) {
    throw new Problem("a number of series and a text in their names exclude each other", {
      where: "--series, --match",
      fix: "give one of them",
    });
  }
  const select = {
    count: values.series === undefined ? undefined : countOf(values.series),
    match: values.match,
    half: values.split === undefined ? undefined : halfIn(values.split),
    halfOf: values.held === undefined ? halfByName : halfByList(namesIn(values.held)),
  };
  const folders = positionals.map((path) => folderOf(path, select));
  const named = folders.map(({ path }) => basename(resolve(path)));
  const twice = named.find((name, index) => named.indexOf(name) < index);
  if (twice !== undefined) {
    throw new Problem(`two folders are called ${twice}, and what is kept of them would mix`, {
      fix: "run them one after the other, or rename one",
    });
  }
  return { folders, scorer: scorerOf(values.scorer, home), only: onlyOf(values.only, command), out: values.out };
}

function parse(args: readonly string[], command: Command) {
  const option = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        scorer: option,
        only: option,
        series: option,
        match: option,
        split: option,
        held: option,
        out: option,
      },
    });
  } catch (thrown) {
    throw new Problem(messageOf(thrown), { fix: `write ${usageOf(command)}` });
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new Problem(`not a number of series (got ${JSON.stringify(text)})`, {
    where: "--series",
    fix: "write 1 or more",
  });
}

function halfIn(text: string): 0 | 1 {
  if (text === "0" || text === "1") return text === "0" ? 0 : 1;
  throw new Problem(`there are two halves (got ${JSON.stringify(text)})`, { where: "--split", fix: "write 0 or 1" });
}

function onlyOf(text: string | undefined, { what, names, always }: Command): readonly string[] {
  if (text === undefined) return names;
  const wanted = namesIn(text);
  const unknown = wanted.find((name) => !names.includes(name) && name !== always);
  if (unknown !== undefined) {
    const fix = `name some of ${names.join(", ")}, with commas between; ${always} is always run`;
    throw new Problem(`no ${what} is called ${JSON.stringify(unknown)}`, { where: "--only", fix });
  }
  return names.filter((name) => wanted.includes(name));
}

function namesIn(text: string): string[] {
  return text.split(",").map((name) => name.trim());
}

function scorerOf(path: string | undefined, home: string): string {
  const usual = resolve(home, "../shared/tools/score.py");
  if (path === undefined) {
    if (existsSync(usual)) return usual;
    throw new Problem("there is no scorer beside the project", {
      where: "../shared/tools/score.py",
      fix: "name one with --scorer PATH",
    });
  }
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, "score.py") : path;
  if (existsSync(file)) return resolve(file);
  throw new Problem("there is no such scorer", { where: `--scorer ${path}`, fix: "name score.py or its folder" });
}

type Select = {
  readonly count: number | undefined;
  readonly match: string | undefined;
  readonly half: 0 | 1 | undefined;
  readonly halfOf: (series: string) => 0 | 1;
};

function folderOf(path: string, { count, match, half, halfOf }: Select): Folder {
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (thrown) {
    throw new Problem(`cannot be read: ${messageOf(thrown)}`, { where: path, fix: "name a folder of series" });
  }
  const all = names.filter((name) => seriesOf(name) !== undefined);
  if (all.length === 0) {
    throw new Problem("there is no .csv or .csv.gz file", { where: path, fix: "name a folder of series" });
  }
  const files = all
    .filter((file) => match === undefined || file.includes(match))
    .filter((file) => half === undefined || halfOf(seriesOf(file) as string) === half)
    // Any number of them is a mixture, the same on every machine.
    .sort((one, other) => Number(hashOf(seriesOf(one) as string) > hashOf(seriesOf(other) as string)) - 0.5)
    .slice(0, count)
    .sort();
  if (files.length === 0) {
    throw new Problem(`none of the ${all.length} series is left over`, { where: path, fix: "choose less strictly" });
  }
  return { path, files, all: all.length, halfOf };
}

/** The half that a series belongs to, by its name alone: always the same, and even over any kind of name. */
function halfByName(series: string): 0 | 1 {
  return Number.parseInt(hashOf(series)[0] as string, 16) < 8 ? 0 : 1;
}

/** Series whose names begin with one of these are the half that decides. */
function halfByList(beginnings: readonly string[]): (series: string) => 0 | 1 {
  return (series) => (beginnings.some((beginning) => series.startsWith(beginning)) ? 1 : 0);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A folder with the chosen series and the lists beside them, for detectors and scorer alike. */
export function copySeries({ path, files }: Folder, target: string): string {
  mkdirSync(target, { recursive: true });
  const lists = ["index.csv", "events.csv"].filter((name) => existsSync(join(path, name)));
  for (const name of [...files, ...lists]) copyFileSync(join(path, name), join(target, name));
  return target;
}
