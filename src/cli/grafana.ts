import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { messageOf, Problem, Problems } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { loadDefinitions } from "../define/load.ts";
import { loadOptions } from "../desk.ts";
import { boardsFolder, isGenerated, provisioningFiles } from "../show/boards/index.ts";
import { type CommonOptions, commonOptions, settingsOf } from "./context.ts";
import { print, printJson } from "./output.ts";

type Options = CommonOptions & { readonly out: string };

export function grafanaCommand(program: Command): void {
  const grafana = program.command("grafana").description("boards and data sources for Grafana");
  const generate = grafana
    .command("generate")
    .description("writes them from the definitions: one overview, one board a sampler; nothing if there is a fault")
    .option("--out <dir>", "folder that Grafana takes its provisioning from", "grafana-provisioning")
    .action(run);
  commonOptions(generate);
}

async function run(options: Options): Promise<void> {
  const { settings, env } = settingsOf(options);
  const { definitions, problems } = await loadDefinitions(loadOptions(settings, env, systemClock));
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Problems(errors);
  const done = bringUpToDate(options.out, provisioningFiles(definitions.samplers.values()));
  if (options.json) {
    printJson({ folder: options.out, ...done });
    return;
  }
  for (const path of done.kept) print(`left as it is, for it is not ours any more: ${join(options.out, path)}`);
  for (const path of done.deleted) print(`deleted, its sampler is gone: ${join(options.out, path)}`);
  const { written, unchanged, deleted } = done;
  const deletions = deleted.length === 0 ? "" : `, ${deleted.length} deleted`;
  print(`${options.out}: ${counted(written.length, "file")} written, ${unchanged.length} unchanged${deletions}`);
}

/** Paths within the folder. */
type Done = {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  readonly deleted: readonly string[];
  /** Files of somebody else under a name of ours. */
  readonly kept: readonly string[];
};

/**
 * Writes what is missing or differs, and deletes boards of ours that nobody asks for. Whatever does not carry our mark
 * stays as it is.
 * @throws Problem if the folder cannot be read or written
 */
function bringUpToDate(folder: string, files: ReadonlyMap<string, string>): Done {
  const done = { written: [] as string[], unchanged: [] as string[], deleted: [] as string[], kept: [] as string[] };
  try {
    for (const [path, text] of files) {
      const file = join(folder, path);
      const there = existsSync(file) ? readFileSync(file, "utf8") : null;
      if (there === text) done.unchanged.push(path);
      else if (there !== null && !isGenerated(path, there)) done.kept.push(path);
      else {
        writeWhole(file, text);
        done.written.push(path);
      }
    }
    for (const name of readdirSync(join(folder, boardsFolder)).sort()) {
      const path = `${boardsFolder}/${name}`;
      if (!name.endsWith(".json") || files.has(path)) continue;
      if (!isGenerated(path, readFileSync(join(folder, path), "utf8"))) continue;
      rmSync(join(folder, path));
      done.deleted.push(path);
    }
  } catch (thrown) {
    throw new Problem(messageOf(thrown), {
      where: folder,
      fix: "name a folder that you may write to with --out",
      cause: thrown,
    });
  }
  return done;
}

/** Grafana looks every half minute: it must never find half a file. */
function writeWhole(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
