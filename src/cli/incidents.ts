import { type Command, Option } from "commander";
import { maskAddresses } from "../core/mask.ts";
import type { Incident, IncidentState } from "../core/model.ts";
import { Problem } from "../core/problem.ts";
import { formatDuration } from "../core/time.ts";
import type { Desk } from "../desk.ts";
import { alertView, deliveryView, incidentView, transitionView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk } from "./context.ts";
import { print, printJson, table, timeText } from "./output.ts";
import { count } from "./slots.ts";

type Options = CommonOptions & { readonly state?: IncidentState; readonly limit: number };

export function incidentsCommand(program: Command): void {
  const command = program
    .command("incidents")
    .description("incidents, newest first; with an id, one with its whole story")
    .argument("[id]", "id, or the beginning of one")
    .addOption(new Option("--state <state>", "in this state only").choices(["open", "acknowledged", "resolved"]))
    .option("--limit <number>", "how many", count, 20)
    .action((id: string | undefined, options: Options) => (id === undefined ? list(options) : show(id, options)));
  commonOptions(command);
}

async function list(options: Options): Promise<void> {
  await using desk = await openDesk(options);
  const incidents = await desk.state.alerts.incidents({ state: options.state, limit: options.limit });
  if (options.json) return printJson(incidents.map(incidentView));
  if (incidents.length === 0) return print("no incidents");
  const nowMs = desk.clock.nowMs();
  const rows = incidents.map((incident) => [
    incident.id.slice(0, 8),
    incident.state,
    incident.severity,
    timeText(incident.openedMs),
    formatDuration(Math.max(0, (incident.resolvedMs ?? nowMs) - incident.openedMs)),
    incident.group || "nobody",
    incident.title,
  ]);
  print(...table(["id", "state", "severity", "opened", "lasted", "group", "what"], rows));
}

async function show(id: string, options: CommonOptions): Promise<void> {
  await using desk = await openDesk(options);
  const incident = await findIncident(desk, id);
  const story = await desk.state.alerts.incident(incident.id);
  if (story === null) return;
  if (options.json) {
    return printJson({
      ...incidentView(story.incident),
      alerts: story.alerts.map(alertView),
      transitions: story.transitions.map(transitionView),
      deliveries: story.outbox.map(deliveryView),
    });
  }
  const events = [
    ...story.transitions.map(({ atMs, subject, from, to, reason }) => {
      return { atMs, text: `${subject} ${from === null ? to : `${from} -> ${to}`}: ${reason}` };
    }),
    ...story.outbox.map((item) => {
      const what = `${item.kind} to ${item.recipientName} by ${item.notifier}: ${item.state}`;
      return {
        atMs: item.sentMs ?? item.createdMs,
        text: item.error === null ? what : `${what} (${maskAddresses(item.error)})`,
      };
    }),
  ].sort((a, b) => a.atMs - b.atMs);
  print(
    `${incident.title} (${incident.severity}, ${incident.state}), group ${incident.group || "nobody"}, id ${incident.id}`,
  );
  for (const { atMs, text } of events) print(`${timeText(atMs)}  ${text}`);
}

/**
 * The incident whose id begins like this.
 * @throws Problem if there is none, or more than one
 */
export async function findIncident(desk: Desk, id: string): Promise<Incident> {
  const exact = await desk.state.alerts.incident(id);
  if (exact !== null) return exact.incident;
  const found = (await desk.state.alerts.incidents({ limit: 1_000 })).filter((incident) => incident.id.startsWith(id));
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const what = only === undefined ? "there is no incident" : `${found.length} incidents begin with`;
  throw new Problem(`${what} ${JSON.stringify(id)}`, { fix: "take an id that bellwether incidents shows" });
}
