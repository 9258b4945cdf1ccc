import type { Command } from "commander";
import { Problem } from "../core/problem.ts";
import { incidentView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk, userName } from "./context.ts";
import { findIncident } from "./incidents.ts";
import { print, printJson, timeText } from "./output.ts";
import { personOf } from "./person.ts";

type Options = CommonOptions & { readonly by: string };

export function ackCommand(program: Command): void {
  const command = program
    .command("ack")
    .description("acknowledges an incident: repeats and escalation stop, recovery is still told")
    .argument("<id>", "id of the incident, or the beginning of one")
    .option("--by <name>", "who takes it on", userName())
    .action(acknowledge);
  commonOptions(command);
}

async function acknowledge(id: string, options: Options): Promise<void> {
  const by = personOf(options.by);
  await using desk = await openDesk(options);
  const { id: incidentId } = await findIncident(desk, id);
  const { done, incident } = await desk.alerting.acknowledge(incidentId, by);
  if (!done || incident === null) {
    const atMs = incident?.acknowledgedMs ?? incident?.resolvedMs ?? null;
    const who = incident?.acknowledgedBy ? ` by ${incident.acknowledgedBy}` : "";
    const when = atMs === null ? "" : ` at ${timeText(atMs)}`;
    throw new Problem(`already ${incident?.state ?? "gone"}${who}${when}`, { where: `incident ${incidentId}` });
  }
  if (options.json) printJson(incidentView(incident));
  else print(`acknowledged by ${by}: ${incident.title}`);
}
