import type { Command } from "commander";
import { parseSelector } from "../core/labels.ts";
import { Problem } from "../core/problem.ts";
import { formatLocal } from "../core/zone.ts";
import { explanationView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk, timeOf, typed } from "./context.ts";
import { print, printJson } from "./output.ts";

type Options = CommonOptions & { readonly at: string };

export function explainCommand(program: Command): void {
  const command = program
    .command("explain")
    .description("why, or why not: everything known of one series at one time")
    .argument("<series>", 'measurement{tag="x"}.field')
    .requiredOption("--at <time>", "ISO 8601 with a zone, or now-2h; any moment in the slot")
    .action(explain);
  commonOptions(command);
}

async function explain(series: string, options: Options): Promise<void> {
  await using desk = await openDesk(options);
  const atMs = timeOf("--at", options.at, desk.clock.nowMs());
  typed("series", () => parseSelector(series));
  const explanation = await desk.explain(series, atMs);
  if (explanation === null) {
    const judged = [...desk.definitions.samplers.values()].flatMap(({ point, judge }) => {
      return Object.keys(judge).map((field) => `${point.measurement}{...}.${field}`);
    });
    throw new Problem(`no such series is judged (got ${series})`, {
      fix:
        judged.length === 0
          ? "no sampler judges anything"
          : `name one in full that bellwether series lists, ${judged.join(", ")}`,
    });
  }
  if (options.json) return printJson(explanationView(explanation));
  const zone = desk.definitions.samplers.get(explanation.sampler)?.zone ?? "UTC";
  print(`${explanation.series} at ${formatLocal(explanation.timeMs, zone)} (${zone})`, ...explanation.lines);
}
