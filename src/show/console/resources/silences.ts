/** Silences: list, add, end. */
import { z } from "zod";
import { parseTimeMs } from "../../../core/time.ts";
import { personName, silence, silencePage } from "../api.ts";
import type { Facts } from "../facts.ts";
import { asked, Refusal } from "../problems.ts";
import type { Api } from "../server.ts";
import { silenceView } from "../views.ts";

const silencesMax = 500;

const time = z.string().max(40).describe("ISO 8601 with a zone, `now`, or `now+2h`");
const draft = z.strictObject({
  matchers: z.array(z.string().max(500)).min(1).max(20).describe('All must hold: `country="Germany"`'),
  reason: z.string().trim().min(1).max(500),
  author: personName,
  starts: time.default("now"),
  ends: time,
});

export function silenceRoutes(api: Api, facts: Facts): void {
  const { silences } = facts.state;

  api.route({
    method: "GET",
    url: "/silences",
    schema: { tags: ["silences"], summary: "Silences, newest first, 500 at most", response: { 200: silencePage } },
    handler: async () => {
      const nowMs = facts.clock.nowMs();
      return { items: (await silences.list({ limit: silencesMax })).map((one) => silenceView(one, nowMs)) };
    },
  });

  api.route({
    method: "POST",
    url: "/silences",
    schema: {
      tags: ["silences"],
      summary: "Promise not to want to hear, until an end",
      body: draft,
      response: { 201: silence },
    },
    handler: async ({ body }, reply) => {
      const nowMs = facts.clock.nowMs();
      const startsMs = asked("starts", () => parseTimeMs(body.starts, nowMs));
      const endsMs = asked("ends", () => parseTimeMs(body.ends, nowMs));
      if (endsMs <= nowMs) {
        throw new Refusal(400, "it would have ended already", { path: "ends", fix: "give an end in the future" });
      }
      const { matchers, reason, author } = body;
      const added = await facts.act.addSilence({ matchers, reason, author, startsMs, endsMs });
      return reply.code(201).send(silenceView(added, nowMs));
    },
  });

  api.route({
    method: "POST",
    url: "/silences/:id/end",
    schema: {
      tags: ["silences"],
      summary: "End a silence now",
      params: z.object({ id: z.string().min(1).max(200) }),
      body: z.strictObject({ by: personName }),
      response: { 204: z.undefined() },
    },
    handler: async ({ params, body }, reply) => {
      if (await facts.act.endSilence(params.id, body.by)) return reply.code(204).send();
      throw new Refusal(404, "there is no such silence, or it has ended", { fix: "see /api/v1/silences" });
    },
  });
}
