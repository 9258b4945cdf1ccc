import type { Command } from "commander";
import { App } from "../app.ts";
import { formatProblem, Problem, Problems } from "../core/problem.ts";
import { systemClock } from "../core/time.ts";
import { roles as everyRole, type Role } from "../peers.ts";
import { describeSettings, type Settings } from "../settings.ts";
import { type CommonOptions, commonOptions, openLog, settingsOf, usage } from "./context.ts";
import { print } from "./output.ts";
import { unsafeSettings } from "./safety.ts";

type Options = CommonOptions & { readonly role: readonly string[]; readonly port?: string };

export function startCommand(program: Command): void {
  const command = program
    .command("start")
    .description("runs until SIGTERM or SIGINT; stops within ten seconds")
    .option("--role <role...>", "what this process does: all, scheduler, worker, console; parts need REDIS_URL", [
      "all",
    ])
    .option("--port <number>", "port of the console, 0 = any free one (BELLWETHER_PORT)")
    .addHelpText("after", () => `\nSettings (environment, or .env in the working folder):\n${describeSettings()}`)
    .action(start);
  commonOptions(command, false);
}

async function start(options: Options): Promise<void> {
  const { settings, env } = settingsOf(options, { BELLWETHER_PORT: options.port });
  const roles = rolesOf(options.role, settings);
  const log = openLog(settings.logLevel);
  const refuseUnsafe = (unsafe: readonly Problem[]): void => {
    const refused = unsafe.filter(({ severity }) => severity === "error");
    if (settings.environment === "production" && refused.length > 0) throw new Problems(refused);
    for (const problem of unsafe) log.warn({ where: problem.where }, formatProblem(problem));
  };
  refuseUnsafe(unsafeSettings(settings, roles.has("console")));
  const stop = stopSignal();
  await using app = await App.open({ settings, env, clock: systemClock, log, roles });
  refuseUnsafe(await app.faults());
  app.run();
  const does = roles.size === everyRole.length ? "" : ` as ${[...roles].join(", ")}`;
  print(`Bellwether runs${does}. Console: ${app.url}  Data: ${settings.dataDir}  Stop: Ctrl-C`);
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

/** @throws Problems where a role is unknown, or one alone has nothing that it could share with the others */
function rolesOf(wanted: readonly string[], { redisUrl, influx }: Settings): ReadonlySet<Role> {
  const known = ["all", ...everyRole];
  const unknown = wanted.filter((role) => !known.includes(role));
  if (unknown.length > 0) {
    throw usage(`there is no role ${unknown.join(", ")}`, { where: "--role", fix: `one of ${known.join(", ")}` });
  }
  const roles = new Set(wanted.includes("all") ? everyRole : (wanted as Role[]));
  if (roles.size === everyRole.length) return roles;
  const alone = `the role ${[...roles].join(", ")} alone needs`;
  if (redisUrl === null) {
    throw usage(`${alone} a queue that several processes share`, {
      where: "--role",
      fix: "leave --role out and let one process do all, or set REDIS_URL and DATABASE_URL",
    });
  }
  if (influx.length > 0) return roles;
  throw usage(`${alone} series that several processes share`, {
    where: "--role",
    fix: "leave --role out and let one process do all, or set INFLUX_URLS",
  });
}
