/** The copies of the series: how they are, where they differ, what they refused, and the way from or to one process. */
import type { Command } from "commander";
import { commonOptions } from "./context.ts";
import { compareReplicas } from "./replicas/compare.ts";
import { importReplicas } from "./replicas/import.ts";
import { repairReplicas, requeueShelf } from "./replicas/repair.ts";
import { giveUpShelf, type ShelfOptions, showShelf } from "./replicas/shelf.ts";
import { showStatus } from "./replicas/status.ts";
import { count } from "./slots.ts";

export function replicasCommand(program: Command): void {
  const replicas = program.command("replicas").description("the InfluxDBs that hold the same series");
  const status = urlOption(replicas.command("status", { isDefault: true }))
    .description("how each copy and the spool are")
    .action(showStatus);
  const compare = spanOptions(replicas.command("compare"))
    .description("where the copies differ; changes nothing")
    .action(compareReplicas);
  const repair = urlOption(spanOptions(replicas.command("repair")))
    .description("compares, and writes what a copy lacks")
    .action(repairReplicas);
  const shelf = replicas
    .command("shelf")
    .description("points that a copy refused, the first refused first")
    .option("--target <name>", "of this copy only")
    .option("--limit <number>", "how many", count, 20)
    .option("--give-up", "takes them off the shelf for good: those copies will never have them")
    .action((options: ShelfOptions) => (options.giveUp ? giveUpShelf(options) : showShelf(options)));
  const requeue = urlOption(replicas.command("requeue"))
    .description("sends what was refused once more")
    .option("--target <name>", "to this copy only")
    .action(requeueShelf);
  const bring = replicas
    .command("import")
    .description("takes the series of series.db into the InfluxDBs; goes on where it was broken off")
    .option("--back", "the other way: from the InfluxDBs into series.db")
    .option("--from <time>", "points from here on; default: the oldest")
    .option("--to <time>", "points before this; default: the newest")
    .action(importReplicas);
  for (const command of [status, compare, repair, shelf, requeue, bring]) commonOptions(command);
}

function spanOptions(command: Command): Command {
  return command
    .option("--from <time>", "ISO 8601 with a zone, or now-2h; default: a day before --to")
    .option("--to <time>", "default: now")
    .option("--deep", "point by point: slower, and finds texts of equal number and values exchanged among series");
}

function urlOption(command: Command): Command {
  return command.option("--url <address>", "console of the process that has the data folder; default: by the settings");
}
