import type { Command } from "commander";
import { App } from "../app.ts";
import { formatProblem, Problem, Problems } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { describeSettings } from "../settings.ts";
import { type CommonOptions, commonOptions, openLog, settingsOf, usage } from "./context.ts";
import { print } from "./output.ts";
import { unsafeSettings } from "./safety.ts";

type Options = CommonOptions & { readonly role: readonly string[]; readonly port?: string };

export function startCommand(program: Command): void {
  const command = program
    .command("start")
    .description("runs until SIGTERM or SIGINT; stops within ten seconds")
    .option("--role <role...>", "what this process does; without REDIS_URL one process does all", ["all"])
    .option("--port <number>", "port of the console, 0 = any free one (BELLWETHER_PORT)")
    .addHelpText("after", () => `\nSettings (environment, or .env in the working folder):\n${describeSettings()}`)
    .action(start);
  commonOptions(command, false);
}

async function start(options: Options): Promise<void> {
  checkRoles(options.role);
  const { settings, env } = settingsOf(options, { BELLWETHER_PORT: options.port });
  const log = openLog(settings.logLevel);
  const refuseUnsafe = (unsafe: readonly Problem[]): void => {
    if (settings.environment === "production" && unsafe.length > 0) throw new Problems(unsafe);
    for (const problem of unsafe) log.warn({ where: problem.where }, formatProblem(problem));
  };
  refuseUnsafe(unsafeSettings(settings));
  const stop = stopSignal();
  await using app = await App.open({ settings, env, clock: systemClock, log });
  refuseUnsafe(app.desk.mirror?.faults() ?? []);
  app.run();
  print(`Bellwether runs. Console: ${app.url}  Data: ${settings.dataDir}  Stop: Ctrl-C`);
  const ended = await Promise.race([stop, app.desk.broken]);
  if (ended instanceof Problem) throw ended;
  log.info({ signal: ended }, "stopping");
}

/** Which signal asked for the end. */
export function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
}

function checkRoles(roles: readonly string[]): void {
  const known = ["all", "scheduler", "worker", "console", "payments"];
  const unknown = roles.filter((role) => !known.includes(role));
  if (unknown.length > 0) {
    throw usage(`there is no role ${unknown.join(", ")}`, { where: "--role", fix: `one of ${known.join(", ")}` });
  }
  const alone = roles.filter((role) => role !== "all");
  if (alone.length === 0) return;
  throw usage(`the role ${alone.join(", ")} alone needs a queue that several processes share`, {
    where: "--role",
    fix: "leave --role out and let one process do all, or set REDIS_URL in a build that has roles over Redis",
  });
}
