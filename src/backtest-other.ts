/** Another version of a sampler's definition, or of judging alone, to be compared with what holds. */
import type { Stats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Definitions, FieldJudging, Lifecycle, Sampler } from "./core/definitions.ts";
import type { Clock } from "./core/ports.ts";
import { messageOf, Problem, Problems } from "./core/problem.ts";
import { formatDuration } from "./core/time.ts";
import { assemble } from "./define/assemble.ts";
import { readDocument } from "./define/document.ts";
import { problemsOf } from "./define/fault.ts";
import { findFiles, readBytes } from "./define/files.ts";
import { judgedSchema, toJudging } from "./define/judging.ts";
import { contextOf, inOrder, type LoadOptions, loadDefinitions, readFound } from "./define/load.ts";
import type { FileResult } from "./define/read.ts";
import { toJson } from "./define/schema.ts";

type Options = LoadOptions & { readonly clock: Clock };

const option = "--compare";

/**
 * Everything that is defined, with the other version of `sampler` in its place: `path` is a file that defines it, whose
 * people, groups, rules and connections are those of the config folder; or a whole other config folder.
 * @throws Problems, all faults of the file or folder; or one if its rows would be others than those of `sampler`
 */
export async function readOther(path: string, sampler: Sampler, options: Options): Promise<Definitions> {
  const found = await statOf(path, "name a file, or a config folder");
  const folder = found.isDirectory();
  const now = folder ? options.dir : join(options.dir, sampler.place.split(":")[0] as string);
  if ((await realpath(path)) === (await realpath(now).catch(() => null))) {
    throw refused(`it is the ${folder ? "folder" : "file"} that holds already, there is nothing to compare`, {
      where: path,
      fix: "change a copy of it, and name that",
    });
  }
  const definitions = folder
    ? await readFolder(path, options)
    : await readInstead(path, found.size, sampler.name, options);
  const other = definitions.samplers.get(sampler.name);
  if (other === undefined) {
    throw refused(`it does not define ${sampler.name}`, { where: path, fix: `name one that defines ${sampler.name}` });
  }
  checkComparable(sampler, other);
  return definitions;
}

/** How another file judges, and how its alerts live. */
export type OtherJudging = {
  /** By field. */
  readonly judge: Readonly<Record<string, FieldJudging>>;
  /** Null: it says nothing of it. */
  readonly lifecycle: Lifecycle | null;
};

/**
 * `judge` and `alert` of a file, a sampler's definition or one of just these.
 * @throws Problems, all faults of the two
 */
export async function readOtherJudging(path: string): Promise<OtherJudging> {
  const fix = "name a file with judge: in it";
  const found = await statOf(path, fix);
  if (!found.isFile()) throw refused("not a file", { where: path, fix });
  const sizeBytes = found.size;
  const bytes = await readBytes("", { file: path, kind: "sampler", sizeBytes, stamp: "" });
  if (bytes instanceof Problem) throw new Problems([bytes]);
  const { document, problems } = readDocument(path, bytes);
  if (document === null) throw new Problems(problems);
  const result = judgedSchema.safeParse(document.value);
  const scope = { document, base: [], schema: toJson(judgedSchema) };
  const all = [...problems, ...(result.success ? [] : problemsOf(result.error.issues, scope))];
  if (!result.success || all.length > 0) throw new Problems(inOrder(all));
  const { judge, alert } = result.data;
  const lifecycle = alert === undefined ? null : { ...alert.pending, recoverCount: alert.recover };
  return { judge: toJudging(judge), lifecycle };
}

function statOf(path: string, fix: string): Promise<Stats> {
  return stat(path).catch((thrown: unknown) => {
    const what = `cannot be read: ${messageOf(thrown).split(",")[0]}`;
    throw refused(what, { where: path, fix });
  });
}

function refused(what: string, more: { where: string; path?: string; fix: string }): Problems {
  return new Problems([new Problem(`${option}: ${what}`, more)]);
}

async function readFolder(dir: string, options: Options): Promise<Definitions> {
  const { definitions, problems } = await loadDefinitions({ ...options, dir });
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Problems(errors.map((problem) => below(dir, problem)));
  return definitions;
}

/** Two folders have files of the same names. */
function below(dir: string, { message, code, where, path, fix }: Problem): Problem {
  return new Problem(message, { code, where: where === undefined ? dir : join(dir, where), path, fix });
}

/** The config folder, as if the file were there instead of the sampler's own definition. */
async function readInstead(path: string, sizeBytes: number, name: string, options: Options): Promise<Definitions> {
  const context = contextOf(options);
  const own = await readFound("", { file: path, kind: "sampler", sizeBytes, stamp: "" }, context());
  const faults = (problems: readonly Problem[]) => problems.filter(({ severity }) => severity === "error");
  const names = own.entries.map((entry) => entry.name);
  if (own.readable && !names.includes(name) && faults(own.problems).length === 0) {
    const defined = names.length === 0 ? "nothing" : names.join(", ");
    throw refused(`it defines ${defined}, not ${name}`, { where: path, fix: `name a file that defines ${name}` });
  }
  const results: FileResult[] = [];
  for (const found of (await findFiles(options.dir)).files) {
    const result = await readFound(options.dir, found, context());
    results.push({ ...result, entries: result.entries.filter((entry) => !isSampler(entry, name)) });
  }
  const instead = { ...own, entries: own.entries.filter((entry) => isSampler(entry, name)) };
  const { definitions, conflicts } = assemble([instead, ...results], options.clock.nowMs());
  const between = conflicts.filter(({ files }) => files.includes(path)).map(({ problem }) => problem);
  const all = faults([...own.problems, ...between]);
  if (all.length > 0) throw new Problems(inOrder(all));
  return definitions;
}

function isSampler(entry: FileResult["entries"][number], name: string): boolean {
  return entry.kind === "sampler" && entry.name === name;
}

/** Both are judged by the same rows, which are read once. */
function checkComparable(now: Sampler, other: Sampler): void {
  const [nowStepMs, stepMs] = [now.schedule.stepMs, other.schedule.stepMs];
  if (stepMs !== nowStepMs) {
    throw refused(`another step (got ${formatDuration(stepMs)}, ${now.name} has ${formatDuration(nowStepMs)})`, {
      where: other.place,
      fix: "keep the step, which tells the slots that are compared",
    });
  }
  const differs = (["schedule", "source", "point"] as const).find((key) => {
    return !isDeepStrictEqual(rowsBy(now)[key], rowsBy(other)[key]);
  });
  if (differs === undefined) return;
  throw refused(`another ${differs}, so its rows are not those of ${now.name}`, {
    where: other.place,
    fix: `keep its ${differs}; what may differ is how rows are judged and told`,
  });
}

/** What rows, and the series they become, depend on. */
function rowsBy({ schedule, source, point: { measurement, tags, fields } }: Sampler) {
  return { schedule: { ...schedule, delayMs: 0 }, source, point: { measurement, tags, fields } };
}
