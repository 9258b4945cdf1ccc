import { accessSync, constants, statfsSync } from "node:fs";
import type { Command } from "commander";
import type { Desk } from "../app.ts";
import { formatProblem, messageOf, toProblem } from "../core/problem.ts";
import { latestSlot } from "../schedule/cron.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { numberText, paint, print, printJson } from "./output.ts";

type Finding = { readonly what: string; readonly state: "ok" | "warning" | "fault"; readonly detail: string };

/** Below this much free disk the data folder is a warning. */
const freeBytesMin = 1_000_000_000;

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
    definitionsFinding(desk),
    dataFinding(desk),
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

function definitionsFinding(desk: Desk): Finding {
  const { definitions, problems } = desk.watcher.current;
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const what = `definitions in ${desk.settings.configDir}`;
  if (errors > 0) return { what, state: "fault", detail: `${errors} faults, see bellwether check` };
  const detail = `${definitions.samplers.size} samplers, ${definitions.groups.size} groups`;
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

async function storeFindings(desk: Desk): Promise<Finding[]> {
  const series = await desk.store.list({});
  const slots = await desk.state.slots.counts();
  const outbox = await desk.state.outbox.counts();
  const failed: Finding["state"] = outbox.failed > 0 ? "warning" : "ok";
  return [
    { what: "series", state: "ok", detail: `SQLite, ${series.length} series` },
    { what: "slots", state: "ok", detail: `SQLite, ${slots.done} done, ${slots.failed} failed, ${slots.due} due` },
    { what: "outbox", state: failed, detail: `${outbox.sent} sent, ${outbox.owed} owed, ${outbox.failed} failed` },
  ];
}

/** Each connection by the latest slot of one sampler that reads it, under that sampler's own limits. */
async function connectionFindings(desk: Desk): Promise<Finding[]> {
  const findings: Finding[] = [];
  const samplers = [...desk.definitions.samplers.values()];
  for (const { name, kind } of desk.definitions.connections.values()) {
    const what = `connection ${name} (${kind})`;
    const sampler = samplers.find(({ source }) => (source.options as { connection?: string }).connection === name);
    const slot = sampler === undefined ? null : latestSlot(sampler, desk.clock.nowMs());
    if (sampler === undefined || slot === null) {
      findings.push({ what, state: "warning", detail: "no sampler reads it" });
      continue;
    }
    const window = { fromMs: slot.startMs, toMs: slot.startMs + slot.stepMs };
    try {
      const { rows, elapsedMs } = await desk.runner.run(sampler, window, new AbortController().signal);
      findings.push({
        what,
        state: "ok",
        detail: `${sampler.name} read ${rows.length} rows in ${numberText(elapsedMs)} ms`,
      });
    } catch (thrown) {
      findings.push({ what, state: "fault", detail: formatProblem(toProblem(thrown, sampler.name)) });
    }
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
