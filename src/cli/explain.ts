import type { Command } from "commander";
import { parseSelector } from "../core/labels.ts";
import { Problem } from "../core/problem.ts";
import { formatTimeUtc, parseTimeMs } from "../core/time.ts";
import { formatLocal } from "../core/zone.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
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
  const atMs = parseTimeMs(options.at, desk.clock.nowMs());
  const explanation = await desk.explain(series, atMs);
  if (explanation === null) {
    const { measurement } = parseSelector(series);
    const judged = [...desk.definitions.samplers.values()].flatMap(({ point, judge }) => {
      return Object.keys(judge).map((field) => `${point.measurement}{...}.${field}`);
    });
    throw new Problem(`nobody judges ${series}`, {
      where: measurement,
      fix: judged.length === 0 ? "no sampler judges anything" : `name a series in full, one of ${judged.join(", ")}`,
    });
  }
  if (options.json) return printJson({ ...explanation, time: formatTimeUtc(explanation.timeMs) });
  const zone = desk.definitions.samplers.get(explanation.sampler)?.zone ?? "UTC";
  print(`${explanation.series} at ${formatLocal(explanation.timeMs, zone)} (${zone})`, ...explanation.lines);
}
