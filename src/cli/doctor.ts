import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import type { Command } from "commander";
import { clockFaults } from "../app.ts";
import { formatProblem, messageOf, type Problem, toProblem } from "../core/problem.ts";
import { formatDuration, hourMs, minuteMs, secondMs } from "../core/time.ts";
import { counted } from "../core/words.ts";
import type { Desk } from "../desk.ts";
import { connectionOf } from "../sample/sample.ts";
import { latestSlot } from "../schedule/cron.ts";
import { checkRedis } from "../schedule/queues/index.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { inspectionLines, inspectSampler, isFaulty } from "./inspect.ts";
import { numberText, paint, print, printJson, timeText } from "./output.ts";
import { replicaFindings } from "./replicas/findings.ts";
import { unsafeSettings } from "./safety.ts";

export type Finding = { readonly what: string; readonly state: "ok" | "warning" | "fault"; readonly detail: string };

/** Below this much free disk the data folder is a warning. */
const freeBytesMin = 1_000_000_000;
/** A clock before this build was made stands wrong. */
const builtMs = Date.parse("2026-01-01T00:00:00Z");
/** Clocks of one machine do not differ; so much may pass between two looks at one clock. */
const aheadMsMax = minuteMs;

/** A process says every few seconds that it lives. */
const silentMsMax = 30 * secondMs;

export function doctorCommand(program: Command): void {
  const command = program
    .command("doctor")
    .description("everything the settings and definitions name: there, reachable, working")
    .action(doctor);
  commonOptions(command);
}

async function doctor(options: CommonOptions): Promise<void> {
  await using desk = await openDesk(options);
  const findings = [
    ...safetyFindings(desk),
    definitionsFinding(desk),
    dataFinding(desk),
    holderFinding(desk),
    await clockFinding(desk),
    ...(await sharedFindings(desk)),
    ...(await replicaFindings(desk)),
    ...(await storeFindings(desk)),
    ...(await connectionFindings(desk)),
    ...(await notifierFindings(desk)),
  ];
  if (options.json) printJson(findings);
  else {
    for (const { state, what, detail } of findings) {
      const colour = state === "ok" ? "green" : state === "warning" ? "yellow" : "red";
      print(`${paint(state.padEnd(7), colour)}  ${what}: ${detail}`);
    }
  }
  if (findings.some(({ state }) => state === "fault")) throw new Exit(exitCodes.failed);
}

/** What `start` warns of, and refuses in production. */
function safetyFindings({ settings }: Desk): Finding[] {
  const state = settings.environment === "production" ? "fault" : "warning";
  return unsafeSettings(settings).map((problem) => ({ what: "settings", state, detail: formatProblem(problem) }));
}

function definitionsFinding(desk: Desk): Finding {
  const { definitions, problems } = desk.watcher.current;
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const what = `definitions in ${desk.settings.configDir}`;
  if (errors > 0) return { what, state: "fault", detail: `${counted(errors, "fault")}, see bellwether check` };
  const detail = `${counted(definitions.samplers.size, "sampler")}, ${counted(definitions.groups.size, "group")}`;
  return { what, state: definitions.samplers.size === 0 ? "warning" : "ok", detail };
}

function dataFinding({ settings }: Desk): Finding {
  const what = `data folder ${settings.dataDir}`;
  try {
    accessSync(settings.dataDir, constants.R_OK | constants.W_OK);
    const { bavail, bsize } = statfsSync(settings.dataDir);
    const detail = `writable, ${numberText((bavail * bsize) / 1e9)} GB free`;
    return { what, state: bavail * bsize < freeBytesMin ? "warning" : "ok", detail };
  } catch (thrown) {
    return { what, state: "fault", detail: messageOf(thrown) };
  }
}

/** Whoever writes the series, or the spool before the InfluxDBs, holds a write transaction on the lock file beside them, and left its process id there. */
function holderFinding({ settings, mirror }: Desk): Finding {
  const what = "process on the data folder";
  const path = join(settings.dataDir, mirror === null ? "series.db.lock" : "spool.db.lock");
  if (!existsSync(path)) return { what, state: "ok", detail: "none ever" };
  const lock = new Sqlite(path, { timeout: 0 });
  let pid = 0;
  try {
    pid = Number(lock.pragma("user_version", { simple: true }));
    lock.exec("begin immediate; rollback");
    if (pid === 0) return { what, state: "ok", detail: "none, the last one ended in order" };
    const detail = `none, process ${pid} was ended without warning; the next start checks the file`;
    return { what, state: "warning", detail };
  } catch (thrown) {
    if (!(thrown instanceof Sqlite.SqliteError && thrown.code.startsWith("SQLITE_BUSY"))) {
      return { what, state: "warning", detail: `${path} cannot be read: ${messageOf(thrown)}` };
    }
    return { what, state: "ok", detail: `process ${pid} runs on it; a second one would be refused` };
  } finally {
    lock.close();
  }
}

/** There is no other clock to ask, but what is stored tells of times that had passed. */
async function clockFinding(desk: Desk): Promise<Finding> {
  const nowMs = desk.clock.nowMs();
  const detail = `${timeText(nowMs)}, business zone ${desk.settings.zone}`;
  if (nowMs < builtMs) return { what: "clock", state: "fault", detail: `${detail}: that is in the past` };
  const [latest] = await desk.state.slots.list({ state: "done", limit: 1 });
  const aheadMs = (latest?.finishedMs ?? nowMs) - nowMs;
  if (aheadMs <= aheadMsMax) return { what: "clock", state: "ok", detail };
  const ahead = `a slot was finished ${formatDuration(aheadMs)} from now: the clock was set back, or a demo's ran ahead`;
  return { what: "clock", state: "warning", detail: `${detail}; ${ahead}` };
}

/** What several processes share: the queue, the database of facts, and each other. */
async function sharedFindings({ settings, state, clock }: Desk): Promise<Finding[]> {
  const findings: Finding[] = [];
  const unsafe = settings.environment === "production" ? "fault" : "warning";
  const told = (what: string, problems: readonly Problem[], detail: string): void => {
    if (problems.length === 0) findings.push({ what, state: "ok", detail });
    for (const problem of problems) {
      const state = problem.severity === "error" ? unsafe : "warning";
      findings.push({ what, state, detail: formatProblem(problem) });
    }
  };
  if (settings.redisUrl !== null) told("queue", await checkRedis(settings.redisUrl), "Redis keeps what it is given");
  if (settings.databaseUrl === null) return findings;
  const aheadMs = await state.clockAheadMs();
  told("facts", clockFaults(aheadMs), `in the database, whose clock is ${Math.round(Math.abs(aheadMs))} ms from ours`);
  const nowMs = clock.nowMs();
  for (const { id, role, host, seenMs } of await state.processes.list(nowMs - hourMs)) {
    const silentMs = nowMs - seenMs;
    const detail = `${role} on ${host}, heard of ${formatDuration(Math.max(0, silentMs))} ago`;
    findings.push({ what: `process ${id}`, state: silentMs > silentMsMax ? "warning" : "ok", detail });
  }
  return findings;
}

async function storeFindings(desk: Desk): Promise<Finding[]> {
  const series = await seriesFinding(desk);
  const slots = await desk.state.slots.counts();
  const outbox = await desk.state.outbox.counts();
  const failed: Finding["state"] = outbox.failed > 0 ? "warning" : "ok";
  return [
    series,
    {
      what: "slots",
      state: "ok",
      detail: `${slots.done + slots["caught-up"]} done, ${slots.failed} failed, ${slots.due} due`,
    },
    { what: "outbox", state: failed, detail: `${outbox.sent} sent, ${outbox.owed} owed, ${outbox.failed} failed` },
  ];
}

async function seriesFinding({ store, settings }: Desk): Promise<Finding> {
  const names = settings.influx.map(({ name }) => name).join(", ");
  const place = names === "" ? "SQLite" : `the InfluxDBs ${names}`;
  try {
    return { what: "series", state: "ok", detail: `${(await store.list({})).length} stored in ${place}` };
  } catch (thrown) {
    return { what: "series", state: "fault", detail: formatProblem(toProblem(thrown, "cannot be listed")) };
  }
}

/** Each connection by one sampler that reads it: what its system says, without reading anything. */
async function connectionFindings(desk: Desk): Promise<Finding[]> {
  const findings: Finding[] = [];
  const samplers = [...desk.definitions.samplers.values()];
  for (const { name, kind } of desk.definitions.connections.values()) {
    const what = `connection ${name} (${kind})`;
    const sampler = samplers.find(({ source }) => connectionOf(source) === name);
    const slot = sampler === undefined ? null : latestSlot(sampler, desk.clock.nowMs());
    if (sampler === undefined || slot === null) {
      findings.push({ what, state: "warning", detail: "no sampler reads it" });
      continue;
    }
    const inspection = await inspectSampler(desk.runner, sampler, slot);
    const state = isFaulty(inspection) ? "fault" : inspection.problems.length > 0 ? "warning" : "ok";
    findings.push({ what, state, detail: inspectionLines(inspection).join("; ") });
  }
  return findings;
}

async function notifierFindings(desk: Desk): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, notifier] of desk.openNotifiers()) {
    const what = `notifier ${name}`;
    try {
      findings.push({ what, state: "ok", detail: (await notifier.check?.()) ?? "nothing to check" });
    } catch (thrown) {
      findings.push({ what, state: "fault", detail: formatProblem(toProblem(thrown, "not usable")) });
    } finally {
      await notifier[Symbol.asyncDispose]();
    }
  }
  return findings;
}
