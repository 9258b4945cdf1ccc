/** How we are, for the head of every page. */
import { health } from "../api.ts";
import type { Facts } from "../facts.ts";
import type { Api } from "../server.ts";
import { moment } from "../views.ts";

export function healthRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/health",
    schema: { tags: ["health"], summary: "Whether all is well with Bellwether itself", response: { 200: health } },
    handler: async () => {
      const { definitions, problems } = facts.definitions();
      const [{ ready, reasons }, standing, slots, deliveries] = await Promise.all([
        facts.ready(),
        facts.state.alerts.standingIncidents(),
        facts.state.slots.counts(),
        facts.state.outbox.counts(),
      ]);
      return {
        now: moment(facts.clock.nowMs()),
        version: facts.version,
        zone: facts.zone,
        demo: facts.demo,
        mailbox: facts.mailbox !== null,
        replicas: facts.replicas !== null,
        ready,
        reasons: [...reasons],
        samplers: definitions.samplers.size,
        problems: problems.length,
        incidents: {
          open: standing.filter(({ state }) => state === "open").length,
          acknowledged: standing.filter(({ state }) => state === "acknowledged").length,
        },
        slots,
        deliveries,
      };
    },
  });
}
