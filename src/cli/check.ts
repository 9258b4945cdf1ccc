import type { Command } from "commander";
import { loadOptions } from "../desk.ts";
import { formatProblem } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { loadDefinitions } from "../define/load.ts";
import { definitionProblemView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, settingsOf } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { counted, paint, print, printJson } from "./output.ts";

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
    printJson({ valid: errors.length === 0, counts, problems: problems.map(definitionProblemView) });
  } else {
    for (const problem of problems) {
      const warning = problem.severity === "warning";
      print(warning ? `${paint("warning", "yellow")} ${formatProblem(problem)}` : formatProblem(problem));
    }
    const found = [
      counted(samplers.size, "sampler"),
      counted(rules.size, "rule"),
      `${people.size} people in ${counted(groups.size, "group")}`,
      counted(calendars.size, "calendar"),
      counted(connections.size, "connection"),
    ];
    print(`${errors.length === 0 ? "no faults" : counted(errors.length, "fault")}; sound: ${found.join(", ")}`);
  }
  if (errors.length > 0) throw new Exit(exitCodes.usage);
}
