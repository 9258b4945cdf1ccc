/** The copies: how they are, what they refused; compare them, repair them, send what was refused once more. */
import type { FastifyReply } from "fastify";
import { z } from "zod";
import type { TimeWindow } from "../../../core/model.ts";
import { dayMs, parseTimeMs } from "../../../core/time.ts";
import { comparison, replicas, requeued, shelf } from "../api.ts";
import type { Facts } from "../facts.ts";
import { asked, Refusal } from "../problems.ts";
import type { Api } from "../server.ts";
import { comparisonView, replicasView, shelfEntryView } from "../views.ts";

/** Days that one comparison may span. */
const daysMax = 40;

const time = z.string().max(40).describe("ISO 8601 with a zone, `now`, or `now-2h`");
const target = z.string().min(1).max(100).optional().describe("Name of a copy; absent: all of them");
const shelfQuery = z.object({ target, limit: z.coerce.number().int().min(1).max(1_000).default(100) });
const span = z.strictObject({
  from: time,
  to: time.default("now"),
  deep: z
    .boolean()
    .default(false)
    .describe("Point by point: slower, and finds texts of equal number and values exchanged among series"),
});

type Replicas = NonNullable<Facts["replicas"]>;

export function replicaRoutes(api: Api, facts: Facts): void {
  const orders = new Orders();
  api.addHook("preClose", async () => orders.close());

  api.route({
    method: "GET",
    url: "/replicas",
    schema: { tags: ["replicas"], summary: "How the copies and the spool are", response: { 200: replicas } },
    handler: async () => replicasView(known(facts).status()),
  });

  api.route({
    method: "GET",
    url: "/replicas/shelf",
    schema: {
      tags: ["replicas"],
      summary: "Points that copies refused, the first refused first",
      querystring: shelfQuery,
      response: { 200: shelf },
    },
    handler: async ({ query }) => {
      const found = known(facts);
      const shown = targetsOf(found, query.target);
      const total = shown.reduce((sum, each) => sum + each.shelf, 0);
      return { items: found.shelf(query).map(shelfEntryView), total };
    },
  });

  for (const what of ["compare", "repair"] as const) {
    api.route({
      method: "POST",
      url: `/replicas/${what}`,
      schema: {
        tags: ["replicas"],
        summary:
          what === "compare"
            ? `Where copies differ in a window of ${daysMax} days at most; changes nothing`
            : `Compare a window of ${daysMax} days at most, and write what copies lack`,
        body: span,
        response: { 200: comparison },
      },
      handler: async ({ body }, reply) => {
        const found = known(facts);
        const window = windowOf(facts, body);
        const answer = await orders.run(what, reply, (signal) => found[what](window, body.deep, signal));
        return comparisonView(window, body.deep, answer);
      },
    });
  }

  api.route({
    method: "POST",
    url: "/replicas/requeue",
    schema: {
      tags: ["replicas"],
      summary: "Send what was refused once more",
      body: z.strictObject({ target }),
      response: { 200: requeued },
    },
    handler: async ({ body }, reply) => {
      const found = known(facts);
      targetsOf(found, body.target);
      return orders.run("requeue", reply, (signal) => found.requeue(body.target, signal));
    },
  });
}

function known({ replicas }: Facts): Replicas {
  if (replicas !== null) return replicas;
  throw new Refusal(404, "series are kept in one place, so there are no copies", {
    fix: "set INFLUX_URLS to the addresses of two InfluxDBs",
  });
}

function targetsOf(replicas: Replicas, name: string | undefined) {
  const all = replicas.status().replicas;
  const found = name === undefined ? all : all.filter((each) => each.name === name);
  if (found.length > 0) return found;
  const names = all.map((each) => each.name).join(", ");
  throw new Refusal(400, `there is no copy ${JSON.stringify(name)}`, { path: "target", fix: `name one of ${names}` });
}

function windowOf(facts: Facts, body: { from: string; to: string }): TimeWindow {
  const nowMs = facts.clock.nowMs();
  const fromMs = asked("from", () => parseTimeMs(body.from, nowMs));
  const toMs = asked("to", () => parseTimeMs(body.to, nowMs));
  if (fromMs >= toMs) throw new Refusal(400, "the window ends before it begins", { path: "to", fix: "swap the two" });
  if (toMs - fromMs > daysMax * dayMs) {
    throw new Refusal(400, `the window is longer than ${daysMax} days`, {
      path: "from",
      fix: `ask for ${daysMax} days at most, one window after the other`,
    });
  }
  return { fromMs, toMs };
}

/** Runs one order at a time; it is broken off when whoever asked is gone, or the console closes. */
class Orders {
  readonly #closing = new AbortController();
  #running: string | null = null;

  close(): void {
    this.#closing.abort();
  }

  async run<Result>(
    what: string,
    reply: FastifyReply,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    if (this.#running !== null) {
      throw new Refusal(409, `a ${this.#running} is running`, { fix: "ask again when it has ended" });
    }
    this.#running = what;
    const signal = AbortSignal.any([this.#closing.signal, goneSignal(reply)]);
    try {
      return await work(signal);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      throw new Refusal(503, `the ${what} was broken off`, { fix: "ask for it again", cause: thrown });
    } finally {
      this.#running = null;
    }
  }
}

/** Aborts when the connection closes before the answer. The request's own signal does so once its body was read. */
function goneSignal({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  if (raw.closed) gone.abort();
  else raw.once("close", () => gone.abort());
  return gone.signal;
}
