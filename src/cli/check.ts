import type { Command } from "commander";
import { loadOptions } from "../app.ts";
import { formatProblem } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { loadDefinitions } from "../define/load.ts";
import { type CommonOptions, commonOptions, settingsOf } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { paint, print, printJson } from "./output.ts";

export function checkCommand(program: Command): void {
  const command = program
    .command("check")
    .description("reads definitions, prints every fault with its place and fix")
    .argument("[path...]", "files or folders to report on; default: all")
    .action(check);
  commonOptions(command);
}

async function check(paths: readonly string[], options: CommonOptions): Promise<void> {
  const { settings, env } = settingsOf(options);
  const { definitions, problems } = await loadDefinitions(loadOptions(settings, env, systemClock), paths);
  const errors = problems.filter(({ severity }) => severity === "error");
  const { samplers, rules, people, groups, calendars, connections } = definitions;
  const counts = {
    samplers: samplers.size,
    rules: rules.size,
    people: people.size,
    groups: groups.size,
    calendars: calendars.size,
    connections: connections.size,
  };
  if (options.json) {
    const shown = problems.map(({ code, where, path, message, fix, severity }) => {
      return { code, where, path, message, fix, severity };
    });
    printJson({ valid: errors.length === 0, counts, problems: shown });
  } else {
    for (const problem of problems) {
      const warning = problem.severity === "warning";
      print(warning ? `${paint("warning", "yellow")} ${formatProblem(problem)}` : formatProblem(problem));
    }
    const found = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`);
    const faults = errors.length === 0 ? "no faults" : `${errors.length} ${errors.length === 1 ? "fault" : "faults"}`;
    print(`${faults}; in force: ${found.join(", ")}`);
  }
  if (errors.length > 0) throw new Exit(exitCodes.usage);
}
