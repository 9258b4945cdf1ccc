/** Incidents, the story of one, and saying "I have it". */
import { z } from "zod";
import type { Incident } from "../../../core/model.ts";
import { incident, incidentPage, personName, problem, story } from "../api.ts";
import type { Facts } from "../facts.ts";
import { pageByTime, pageQuery } from "../paging.ts";
import { Refusal } from "../problems.ts";
import type { Api } from "../server.ts";
import { alertView, deliveryView, incidentView, momentOrNull, transitionView } from "../views.ts";

const one = z.object({ id: z.string().min(1).max(200) });
const listQuery = z.object({
  state: z.enum(["open", "acknowledged", "resolved"]).optional(),
  ...pageQuery(50, 200),
});
const acknowledgement = z.strictObject({
  by: personName,
  version: z.int().min(0).optional().describe("Version of the incident that the person saw; absent = as it is now"),
});

export function incidentRoutes(api: Api, facts: Facts): void {
  const { alerts } = facts.state;

  api.route({
    method: "GET",
    url: "/incidents",
    schema: {
      tags: ["incidents"],
      summary: "Incidents, newest first",
      querystring: listQuery,
      response: { 200: incidentPage },
    },
    handler: async ({ query }) => {
      const { state } = query;
      const page = await pageByTime<Incident>(
        query,
        ({ openedMs }) => openedMs,
        (limit, beforeMs) => alerts.incidents({ limit, ...(state && { state }), ...(beforeMs && { beforeMs }) }),
      );
      return { items: page.items.map(incidentView), next: page.next };
    },
  });

  api.route({
    method: "GET",
    url: "/incidents/:id",
    schema: {
      tags: ["incidents"],
      summary: "One incident with its alerts, what happened to it, and who was told",
      params: one,
      response: { 200: story },
    },
    handler: async ({ params }) => {
      const found = await alerts.incident(params.id);
      if (found === null) throw unknownIncident(params.id);
      return {
        ...incidentView(found.incident),
        alerts: found.alerts.map(alertView),
        transitions: found.transitions.map(transitionView),
        deliveries: found.outbox.map(deliveryView),
      };
    },
  });

  api.route({
    method: "POST",
    url: "/incidents/:id/acknowledge",
    schema: {
      tags: ["incidents"],
      summary: "Say that a person has it: escalation stops",
      params: one,
      body: acknowledgement,
      response: { 200: incident, 409: { content: { "application/problem+json": { schema: problem } } } },
    },
    handler: async ({ params, body }) => {
      const answer = await facts.act.acknowledge(params.id, body.by, body.version);
      if (answer.done) return incidentView(answer.incident);
      if (answer.incident === null) throw unknownIncident(params.id);
      throw tooLate(answer.incident);
    },
  });
}

function unknownIncident(id: string): Refusal {
  return new Refusal(404, `there is no incident ${JSON.stringify(id)}`, { fix: "see /api/v1/incidents" });
}

function tooLate({ state, acknowledgedBy, acknowledgedMs, resolvedMs }: Incident): Refusal {
  const who = { acknowledgedBy, acknowledgedAt: momentOrNull(acknowledgedMs) };
  const reload = { fix: "read the incident again" };
  if (state === "resolved") {
    return new Refusal(409, `it was resolved at ${momentOrNull(resolvedMs)}`, reload, who);
  }
  if (acknowledgedBy !== null) {
    return new Refusal(409, `${acknowledgedBy} acknowledged it at ${who.acknowledgedAt}`, reload, who);
  }
  return new Refusal(409, "it has changed since you looked", reload, who);
}
