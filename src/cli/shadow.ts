import type { Command } from "commander";
import type { ShadowState } from "../core/model.ts";
import { Problem } from "../core/problem.ts";
import { formatDuration, hourMs, minuteMs } from "../core/time.ts";
import { shadowView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, findSampler, openDesk, userName } from "./context.ts";
import { numberText, print, printJson, table, timeText } from "./output.ts";
import { personOf } from "./person.ts";

export function shadowCommand(program: Command): void {
  const shadow = program
    .command("shadow")
    .description("samplers that are new and tell nobody yet, and what they would");
  const list = shadow
    .command("list")
    .description("samplers with a shadow period, and the noise to expect of them")
    .action(listShadows);
  const end = shadow
    .command("end")
    .description("ends a shadow period now; what goes on is told as new")
    .argument("<sampler>", "name of the sampler")
    .option("--by <name>", "who ends it", userName())
    .action(endShadow);
  for (const command of [list, end]) commonOptions(command);
}

async function listShadows(options: CommonOptions): Promise<void> {
  await using desk = await openDesk(options);
  const found = await desk.shadows.list();
  if (options.json) return printJson(found.map(shadowView));
  if (found.length === 0) return print("no sampler has a shadow period");
  const header = ["sampler", "state", "until", "seen", "severity", "by", "alerts", "messages", "people"];
  const rows = found.flatMap((one) => [
    [one.sampler, ...stateText(one), seenText(one.forecast.seenMs), "all", "all", ...countsOf(one, one.forecast)],
    ...one.forecast.parts.map((part) => [
      ...["", "", "", "", part.severity, part.notifier, ""],
      ...countsOf(one, part).slice(1),
    ]),
  ]);
  print(
    ...table(header, rows),
    "",
    "Counts are those of a week; of one that was seen for less than a day, as they are.",
  );
}

/** State, and until when. */
function stateText({ endedMs, endedBy, untilMs }: ShadowState): [string, string] {
  if (endedMs === null) return ["running", untilMs === null ? "ended by hand" : timeText(untilMs)];
  return [endedBy === null ? "over" : `ended by ${endedBy}`, timeText(endedMs)];
}

/** To the hour where it is days, else to the minute. */
function seenText(seenMs: number): string {
  const unitMs = seenMs > 48 * hourMs ? hourMs : minuteMs;
  return formatDuration(Math.floor(seenMs / unitMs) * unitMs);
}

/** Alerts, messages and people. */
function countsOf(
  { forecast }: ShadowState,
  part: { readonly alerts?: number; readonly messages: number; readonly people: readonly string[] },
): [string, string, number] {
  const weekly = (count: number): string => numberText(Math.round(count * (forecast.perWeek ?? 1) * 10) / 10);
  return [weekly(part.alerts ?? 0), weekly(part.messages), part.people.length];
}

async function endShadow(name: string, options: CommonOptions & { by: string }): Promise<void> {
  const by = personOf(options.by);
  await using desk = await openDesk(options);
  findSampler(desk, name);
  const ending = await desk.shadows.end(name, by);
  if (!ending.done) {
    const fix = "take one that bellwether shadow list shows as running";
    throw new Problem(ending.reason, { where: `sampler ${name}`, fix });
  }
  if (options.json) printJson({ sampler: name, ended: true });
  else print(`ended: ${name} tells from now on`);
}
