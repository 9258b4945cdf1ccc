/** Every command, how its faults are printed, and what its exit code means. */
import { type Argument, Command, CommanderError } from "commander";
import { formatProblem, messageOf, Problem, Problems } from "../core/problem.ts";
import { version } from "../version.ts";
import { ackCommand } from "./ack.ts";
import { backtestCommand } from "./backtest.ts";
import { calendarCommand } from "./calendar.ts";
import { checkCommand } from "./check.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { Exit, exitCodes } from "./exit.ts";
import { explainCommand } from "./explain.ts";
import { grafanaCommand } from "./grafana.ts";
import { incidentsCommand } from "./incidents.ts";
import { replicasCommand } from "./replicas.ts";
import { schemaCommand } from "./schema.ts";
import { sendTestCommand } from "./sendtest.ts";
import { seriesCommand } from "./series.ts";
import { shadowCommand } from "./shadow.ts";
import { silenceCommand } from "./silence.ts";
import { slotsCommand } from "./slots.ts";
import { startCommand } from "./start.ts";
import { tryCommand } from "./try.ts";

/** Runs one command. Never throws: a user's mistake is one line with its fix, a defect keeps its stack. */
export async function main(args: readonly string[]): Promise<number> {
  // `| head` closes the pipe; that is no fault of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const program = new Command("bellwether")
    .description("Watches business numbers: samples them on time, judges every point, tells the right people once.")
    .version(version)
    .showHelpAfterError("See --help.")
    // Every command has options; saying so fourteen times leaves no room for what they do.
    .configureHelp({
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(shown)].join(" "),
    })
    .exitOverride();
  const commands = [
    demoCommand,
    startCommand,
    checkCommand,
    tryCommand,
    backtestCommand,
    explainCommand,
    seriesCommand,
    slotsCommand,
    replicasCommand,
    incidentsCommand,
    ackCommand,
    silenceCommand,
    shadowCommand,
    sendTestCommand,
    grafanaCommand,
    calendarCommand,
    schemaCommand,
    doctorCommand,
  ];
  for (const command of commands) command(program);
  for (const command of program.commands) inherit(command);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCodes.done;
  } catch (thrown) {
    return report(thrown);
  }
}

function shown(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function inherit(command: Command): void {
  command.exitOverride().showHelpAfterError("See --help.");
  for (const child of command.commands) inherit(child);
}

function report(thrown: unknown): number {
  if (thrown instanceof Exit) return thrown.code;
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (thrown instanceof Problems) {
    for (const problem of thrown.problems) process.stderr.write(`${formatProblem(problem)}\n`);
    return exitCodes.usage;
  }
  if (thrown instanceof Problem) {
    process.stderr.write(`${formatProblem(thrown)}\n`);
    return thrown.retryable ? exitCodes.later : exitCodes.failed;
  }
  process.stderr.write(`${thrown instanceof Error ? (thrown.stack ?? messageOf(thrown)) : messageOf(thrown)}\n`);
  process.stderr.write("This is a defect of Bellwether, not of what you typed.\n");
  return exitCodes.failed;
}
