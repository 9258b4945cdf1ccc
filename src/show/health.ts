/** For load balancers and supervisors: is it alive, and is it working. */
import type { FastifyInstance } from "fastify";

type Ready = () => Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;

/** `/healthz` says that the process answers; `/readyz` says 503, with reasons, while work is not being done. */
export function healthRoutes(app: FastifyInstance, ready: Ready): void {
  app.get("/healthz", { schema: { hide: true } }, (_request, reply) => reply.type("text/plain").send("alive\n"));
  app.get("/readyz", { schema: { hide: true } }, async (_request, reply) => {
    const answer = await ready();
    return reply.code(answer.ready ? 200 : 503).send(answer);
  });
}
