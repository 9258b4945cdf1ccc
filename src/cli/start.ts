import type { Command } from "commander";
import { App } from "../app.ts";
import type { Log } from "../core/ports.ts";
import { formatProblem, Problem, Problems } from "../core/problem.ts";
import { deadline, secondMs, systemClock } from "../core/time.ts";
import { roles as everyRole, type Role } from "../peers.ts";
import { describeSettings, type Settings } from "../settings.ts";
import { type CommonOptions, commonOptions, openLog, settingsOf, usage } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { onceAnswered } from "./later.ts";
import { print } from "./output.ts";
import { unsafeSettings } from "./safety.ts";

/** The latest end after a signal: supervisors kill after ten seconds, and on a busy machine timers are late. */
const endMsMax = 9 * secondMs;

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
  /** What is refused of it; the rest is warned of. What did not answer is not known to be unsafe. */
  const refusedOf = (unsafe: readonly Problem[]): readonly Problem[] => {
    const isRefused = ({ severity, retryable }: Problem): boolean =>
      settings.environment === "production" && severity === "error" && !retryable;
    for (const problem of unsafe.filter((each) => !isRefused(each))) {
      log.warn({ where: problem.where }, formatProblem(problem));
    }
    return unsafe.filter(isRefused);
  };
  const refuseUnsafe = (unsafe: readonly Problem[]): void => {
    const refused = refusedOf(unsafe);
    if (refused.length > 0) throw new Problems(refused);
  };
  refuseUnsafe(unsafeSettings(settings, roles.has("console")));
  const stop = stopSignal();
  let opened: App | null = null;
  void stop.then(() => endAtLast(log, () => opened?.underWay ?? ["the start"]));
  await using app = await App.open({ settings, env, clock: systemClock, log, roles });
  opened = app;
  const unsafe = await app.faults();
  refuseUnsafe(unsafe);
  app.run();
  const does = roles.size === everyRole.length ? "" : ` as ${[...roles].join(", ")}`;
  print(
    `Bellwether runs${does}. ${roles.has("console") ? "Console" : "Probes"}: ${app.url}  Data: ${settings.dataDir}  Stop: Ctrl-C`,
  );
  const stopped = new AbortController();
  const later = onceAnswered(unsafe, () => app.redisFaults(), refusedOf, systemClock, stopped.signal);
  const ended = await Promise.race([stop, app.desk.broken, later]);
  stopped.abort();
  if (ended instanceof Problem) throw ended;
  if (typeof ended === "string") return void log.info({ signal: ended }, "stopping");
  for (const problem of ended) log.error({ where: problem.where }, formatProblem(problem));
  throw new Exit(exitCodes.failed);
}

/**
 * Ends the process where a server that does not answer keeps it from ending: with 75, as not all was done. Nothing is
 * lost, since what it held is leased.
 */
function endAtLast(log: Log, underWay: () => readonly string[]): void {
  deadline(endMsMax).addEventListener("abort", () => {
    const what = underWay().join(", ") || "connections";
    log.error({}, `ended while this was still under way: ${what}. Its leases run out, and others go on`);
    process.exit(exitCodes.later);
  });
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
