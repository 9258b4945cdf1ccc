/** The processes of this installation. What they tell each other besides is theirs. */
import { processes } from "../api.ts";
import type { Facts } from "../facts.ts";
import type { Api } from "../server.ts";
import { moment } from "../views.ts";

export function processRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/processes",
    schema: {
      tags: ["health"],
      summary: "Processes that were heard of within the last hour, by name; those that are gone among them",
      response: { 200: processes },
    },
    handler: async () => ({
      items: facts.processes().map(({ id, role, host, pid, version, startedMs, seenMs, alive }) => ({
        ...{ id, host, pid, version, alive },
        roles: role.split(" "),
        started: moment(startedMs),
        seen: moment(seenMs),
      })),
    }),
  });
}
