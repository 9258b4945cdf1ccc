import { type Command, InvalidArgumentError, Option } from "commander";
import type { SlotState } from "../core/model.ts";
import { formatDuration, formatTimeUtc } from "../core/time.ts";
import { slotView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
import { print, printJson, table } from "./output.ts";

type Options = CommonOptions & { readonly sampler?: string; readonly state?: SlotState; readonly limit: number };

export function slotsCommand(program: Command): void {
  const command = program
    .command("slots")
    .description("the slot ledger, newest first")
    .option("--sampler <name>", "of this sampler only")
    .addOption(
      new Option("--state <state>", "in this state only").choices(["due", "leased", "done", "failed", "caught-up"]),
    )
    .option("--limit <number>", "how many", count, 20)
    .action(slots);
  commonOptions(command);
}

async function slots(options: Options): Promise<void> {
  await using desk = await openDesk(options);
  const { sampler, state, limit } = options;
  const records = await desk.state.slots.list({ sampler, state, limit });
  const counts = await desk.state.slots.counts();
  if (options.json) {
    printJson({ counts, slots: records.map(slotView) });
    return;
  }
  print(
    Object.entries(counts)
      .map(([name, number]) => `${number} ${name}`)
      .join(", "),
  );
  if (records.length === 0) return;
  const rows = records.map((record) => [
    formatTimeUtc(record.startMs),
    record.sampler,
    record.state,
    record.attempts,
    record.points,
    record.dataState,
    record.finishedMs === null ? null : formatDuration(Math.max(0, record.finishedMs - record.dueMs)),
    record.rowsRead,
    record.serverMs === null ? null : Math.round(record.serverMs),
    record.error ?? "",
  ]);
  print(...table(["slot", "sampler", "state", "runs", "points", "data", "late by", "rows read", "ms", "error"], rows));
}

/** A whole number from 1 to 10,000, for options. */
export function count(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 10_000) return number;
  throw new InvalidArgumentError("Write a number from 1 to 10000.");
}
