/** What every command starts from: its options over the environment, the log, and what it opens. */
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { parseEnv } from "node:util";
import type { Command } from "commander";
import { pino } from "pino";
import type { Definitions, Sampler } from "../core/definitions.ts";
import type { Log } from "../core/ports.ts";
import { messageOf, Problem, type ProblemOptions, Problems } from "../core/problem.ts";
import { parseTimeMs, systemClock } from "../core/time.ts";
import { Desk } from "../desk.ts";
import { readSettings, type Settings } from "../settings.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** Options that every command takes. */
export type CommonOptions = { readonly config?: string; readonly data?: string; readonly json?: boolean };

export function commonOptions(command: Command, json = true): Command {
  command.option("--config <dir>", "folder that holds samplers/ and rules/ (BELLWETHER_CONFIG)");
  command.option("--data <dir>", "folder of series, state and mailbox (BELLWETHER_DATA)");
  return json ? command.option("--json", "print facts as JSON") : command;
}

/** The environment, over what `.env` in the working folder says. */
function readEnv(): Env {
  if (!existsSync(".env")) return process.env;
  try {
    return { ...parseEnv(readFileSync(".env", "utf8")), ...process.env };
  } catch (thrown) {
    throw usage(`cannot read it: ${messageOf(thrown)}`, { where: ".env", fix: "write NAME=value lines" });
  }
}

/** @throws Problems if a setting or an option is wrong */
export function settingsOf(options: CommonOptions, overrides: Env = {}): { settings: Settings; env: Env } {
  const env = readEnv();
  const given = Object.entries({ BELLWETHER_CONFIG: options.config, BELLWETHER_DATA: options.data, ...overrides });
  const set = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  return { settings: readSettings({ ...env, ...set }), env };
}

/** Who types, as the machine knows them; a container may run as a number that has no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "somebody";
  }
}

/** Lines of JSON on standard error; `level` from the settings. */
export function openLog(level: Settings["logLevel"]): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));
}

/** A fault of what was typed: exit code 2. */
export function usage(what: string, options: ProblemOptions = {}): Problems {
  return new Problems([new Problem(what, options)]);
}

/** What `read` makes of something typed; its Problem becomes a fault of usage, named after the option. */
export function typed<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown;
    throw usage(thrown.message, { code: thrown.code, where, fix: thrown.fix });
  }
}

/** @throws Problems if the text of `option` is no time */
export function timeOf(option: string, text: string, nowMs: number): number {
  return typed(option, () => parseTimeMs(text, nowMs));
}

/**
 * @param endsNow where `--to` was left out, and `toMs` is now
 * @throws Problems unless `fromMs` comes before `toMs`
 */
export function checkOrder(fromMs: number, toMs: number, endsNow = false): void {
  if (fromMs < toMs) return;
  const what = endsNow && fromMs > toMs ? "lies in the future" : "not before --to";
  const fix = endsNow ? "give a time before now" : fromMs > toMs ? "exchange them" : "give an earlier one";
  throw usage(what, { where: "--from", fix });
}

/** Reads and explains beside a running process; logs only what is an error. */
export function openDesk(options: CommonOptions): Promise<Desk> {
  const { settings, env } = settingsOf(options);
  return Desk.open({ settings, env, clock: systemClock, log: openLog("error") }, true);
}

/**
 * The sampler of that name.
 * @throws Problems of its file if it has faults, else a Problem that names those there are
 */
export function findSampler(desk: Desk, name: string): Sampler {
  const { definitions, problems } = desk.watcher.current;
  const sampler = definitions.samplers.get(name);
  if (sampler !== undefined) return sampler;
  const faults = problems.filter(({ severity }) => severity === "error");
  if (faults.length > 0) throw new Problems([unknownSampler(name, definitions), ...faults]);
  throw new Problems([unknownSampler(name, definitions)]);
}

function unknownSampler(name: string, { samplers }: Definitions): Problem {
  const known = [...samplers.keys()].sort().join(", ");
  return new Problem(`there is no sampler ${JSON.stringify(name)}`, {
    fix: known === "" ? "write one in samplers/, see docs/define.md" : `one of ${known}`,
  });
}
