import type { Command } from "commander";
import type { Sampler } from "../core/definitions.ts";
import { formatSeries, parseSelector, type Selector } from "../core/labels.ts";
import { Problem } from "../core/problem.ts";
import { formatLocal } from "../core/zone.ts";
import type { Desk } from "../desk.ts";
import { explanationView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk, timeOf, typed } from "./context.ts";
import { print, printJson } from "./output.ts";

/** Series that are named as those to choose from. */
const listedMax = 8;

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
  const selector = typed("series", () => parseSelector(series));
  const explanation = await desk.explain(series, atMs);
  if (explanation === null) throw (await withoutPoint(desk, series, selector)) ?? notJudged(desk, series);
  if (options.json) return printJson(explanationView(explanation));
  const zone = desk.definitions.samplers.get(explanation.sampler)?.zone ?? "UTC";
  print(`${explanation.series} at ${formatLocal(explanation.timeMs, zone)} (${zone})`, ...explanation.lines);
}

/** Null: that measurement and field, with whatever tags, nobody judges; or it is not named in full. */
async function withoutPoint({ definitions, store }: Desk, series: string, selector: Selector): Promise<Problem | null> {
  const { measurement, field, tags } = selector;
  const isJudged = ({ point, judge }: Sampler) =>
    point.measurement === measurement && Object.hasOwn(judge, field ?? "");
  const sampler = [...definitions.samplers.values()].find(isJudged);
  if (sampler === undefined || tags.some(({ operator }) => operator !== "=")) return null;
  const known = (await store.list({ measurement })).filter((one) => one.field === field).map(formatSeries);
  const fix =
    known.length === 0
      ? `wait for the first slot of ${sampler.name}, or look what bellwether try ${sampler.name} reads`
      : `name one that has, ${capped(known.sort())}`;
  return new Problem("has no point yet", { where: series, fix });
}

function notJudged({ definitions }: Desk, series: string): Problem {
  const judged = [...definitions.samplers.values()].flatMap(({ point, judge }) => {
    const tags = point.tags.length === 0 ? "" : "{...}";
    return Object.keys(judge).map((field) => `${point.measurement}${tags}.${field}`);
  });
  const fix =
    judged.length === 0
      ? "no sampler judges anything"
      : `name one in full that bellwether series lists, ${capped(judged)}`;
  return new Problem(`no such series is judged (got ${series})`, { fix });
}

function capped(names: readonly string[]): string {
  const rest = names.length - listedMax;
  return names.slice(0, listedMax).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
