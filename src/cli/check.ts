import { normalize } from "node:path";
import type { Command } from "commander";
import type { Definitions, Sampler } from "../core/definitions.ts";
import { formatProblem } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { counted } from "../core/words.ts";
import { loadDefinitions } from "../define/load.ts";
import { loadOptions, openRunner } from "../desk.ts";
import { latestSlot } from "../schedule/cron.ts";
import type { Settings } from "../settings.ts";
import { definitionProblemView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, type Env, openLog, settingsOf } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { type Inspection, inspectionLines, inspectionView, inspectSampler, isFaulty } from "./inspect.ts";
import { paint, print, printJson } from "./output.ts";

type Options = CommonOptions & { readonly connect?: boolean };

export function checkCommand(program: Command): void {
  const command = program
    .command("check")
    .description("reads definitions, prints every fault with its place and fix")
    .argument("[path...]", "files or folders to report on; default: all")
    .option("--connect", "also asks the systems that samplers read what a read would take")
    .action(check);
  commonOptions(command);
}

async function check(paths: readonly string[], options: Options): Promise<void> {
  const { settings, env } = settingsOf(options);
  const { definitions, problems } = await loadDefinitions(loadOptions(settings, env, systemClock), paths);
  const inspections = options.connect ? await inspect(definitions, paths, settings, env) : [];
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
    const sources = options.connect ? { sources: inspections.map(inspectionView) } : {};
    printJson({ valid: errors.length === 0, counts, problems: problems.map(definitionProblemView), ...sources });
  } else {
    for (const problem of problems) {
      const warning = problem.severity === "warning";
      print(warning ? `${paint("warning", "yellow")} ${formatProblem(problem)}` : formatProblem(problem));
    }
    for (const inspection of inspections) {
      print(`${inspection.sampler}:`, ...inspectionLines(inspection).map((line) => `  ${line}`));
    }
    const found = [
      counted(samplers.size, "sampler"),
      counted(rules.size, "rule"),
      `${people.size === 1 ? "1 person" : `${people.size} people`} in ${counted(groups.size, "group")}`,
      counted(calendars.size, "calendar"),
      counted(connections.size, "connection"),
    ];
    print(`${errors.length === 0 ? "no faults" : counted(errors.length, "fault")}; sound: ${found.join(", ")}`);
  }
  if (errors.length > 0) throw new Exit(exitCodes.usage);
  if (inspections.some(isFaulty)) throw new Exit(exitCodes.failed);
}

/** One sampler after the other, so that nothing is asked of a system that it would not be asked for anyway. */
async function inspect(
  definitions: Definitions,
  paths: readonly string[],
  settings: Settings,
  env: Env,
): Promise<Inspection[]> {
  const found: Inspection[] = [];
  const nowMs = systemClock.nowMs();
  await using runner = openRunner({ settings, env, clock: systemClock, log: openLog("error") }, () => definitions);
  for (const sampler of definitions.samplers.values()) {
    const slot = isAsked(sampler, paths) ? latestSlot(sampler, nowMs) : null;
    if (slot !== null) found.push(await inspectSampler(runner, sampler, slot));
  }
  return found;
}

function isAsked({ place }: Sampler, paths: readonly string[]): boolean {
  const file = place.split(":")[0] as string;
  const asked = paths.map((path) => normalize(path).replace(/\/+$/, ""));
  return asked.length === 0 || asked.some((path) => file === path || file.startsWith(`${path}/`) || path === ".");
}
