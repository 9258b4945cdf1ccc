/** Samplers with what they are doing, the slot ledger, and what is wrong with the definitions. */
import { z } from "zod";
import type { Sampler } from "../../../core/definitions.ts";
import type { SlotRecord } from "../../../core/model.ts";
import type { SlotUsage } from "../../../state/slots.ts";
import { definitionProblems, personName, problem, type Api as Shapes, samplerPage, slotPage } from "../api.ts";
import type { Facts } from "../facts.ts";
import { pageByTime, pageQuery, readCursor, writeCursor } from "../paging.ts";
import { Refusal } from "../problems.ts";
import type { Api } from "../server.ts";
import { definitionProblemView, moment, samplerFacts, shadowView, slotView } from "../views.ts";

const slotsShown = 20;
const samplerQuery = z.object(pageQuery(100, 200));
const slotQuery = z.object({
  sampler: z.string().max(200).optional(),
  state: z.enum(["due", "leased", "done", "failed", "caught-up"]).optional(),
  ...pageQuery(100, 500),
});

export function samplerRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/samplers",
    schema: {
      tags: ["samplers"],
      summary: "Samplers: definition, next slot, lateness, last error, what the last hour took, latest slots",
      querystring: samplerQuery,
      response: { 200: samplerPage },
    },
    handler: async ({ query }) => {
      const after = readCursor(query.cursor, z.tuple([z.string()]));
      const { samplers } = facts.definitions().definitions;
      const names = [...samplers.keys()].sort().filter((name) => after === null || name > after[0]);
      const shown = names.slice(0, query.limit);
      const usage = await facts.usage();
      const items = await Promise.all(
        shown.map((name) => samplerView(facts, samplers.get(name) as Sampler, usage.get(name) ?? null)),
      );
      return { items, next: names.length > shown.length ? writeCursor([shown.at(-1)]) : null };
    },
  });

  api.route({
    method: "POST",
    url: "/samplers/:name/shadow/end",
    schema: {
      tags: ["samplers"],
      summary: "End a shadow period now: what goes on is told, as new",
      params: z.object({ name: z.string().min(1).max(200) }),
      body: z.strictObject({ by: personName }),
      response: { 204: z.undefined(), 409: { content: { "application/problem+json": { schema: problem } } } },
    },
    handler: async ({ params: { name }, body }, reply) => {
      const fix = "see /api/v1/samplers";
      if (!facts.definitions().definitions.samplers.has(name)) {
        throw new Refusal(404, `there is no sampler ${JSON.stringify(name)}`, { fix });
      }
      const ending = await facts.act.endShadow(name, body.by);
      if (!ending.done) throw new Refusal(ending.over ? 409 : 404, ending.reason, { fix });
      return reply.code(204).send();
    },
  });

  api.route({
    method: "GET",
    url: "/slots",
    schema: {
      tags: ["samplers"],
      summary: "The slot ledger, newest first",
      querystring: slotQuery,
      response: { 200: slotPage },
    },
    handler: async ({ query }) => {
      const { sampler, state } = query;
      const page = await pageByTime<SlotRecord>(
        query,
        ({ startMs }) => startMs,
        (limit, beforeMs) =>
          facts.state.slots.list({
            limit,
            ...(sampler && { sampler }),
            ...(state && { state }),
            ...(beforeMs && { beforeMs }),
          }),
      );
      return { items: page.items.map(slotView), next: page.next };
    },
  });

  api.route({
    method: "GET",
    url: "/definitions/problems",
    schema: {
      tags: ["samplers"],
      summary: "What is wrong with the definitions; a faulty file keeps its last good version",
      response: { 200: definitionProblems },
    },
    handler: async () => ({ items: facts.definitions().problems.map(definitionProblemView) }),
  });
}

async function samplerView(facts: Facts, sampler: Sampler, usage: SlotUsage | null): Promise<Shapes["Sampler"]> {
  const { slots } = facts.state;
  const [latest, failed, shadow] = await Promise.all([
    slots.list({ sampler: sampler.name, limit: slotsShown }),
    slots.list({ sampler: sampler.name, state: "failed", limit: 1 }),
    facts.shadow(sampler.name),
  ]);
  const next = facts.next(sampler.name);
  return {
    ...samplerFacts(sampler),
    shadow: shadow && shadowView(shadow),
    next: next && { start: moment(next.startMs), end: moment(next.startMs + next.stepMs), due: moment(next.dueMs) },
    lateMs: latenessMs(latest, facts.clock.nowMs()),
    lastError: lastError([...latest, ...failed]),
    usage,
    slots: latest.map(slotView),
  };
}

function latenessMs(slots: readonly SlotRecord[], nowMs: number): number {
  const waiting = slots.filter(({ state }) => state === "due" || state === "leased");
  return Math.max(0, ...waiting.map(({ dueMs }) => nowMs - dueMs));
}

/** The newest slot with an error: one that failed, or one that is tried again. */
function lastError(slots: readonly SlotRecord[]): Shapes["Sampler"]["lastError"] {
  const [newest] = slots.filter(({ error }) => error !== null).sort((a, b) => b.startMs - a.startMs);
  if (newest === undefined) return null;
  const atMs = newest.finishedMs ?? newest.startedMs ?? newest.dueMs;
  return { at: moment(atMs), slot: moment(newest.startMs), error: newest.error as string };
}
