/**
 * The console's HTTP server:
 *
 *   /api/v1/...            JSON; openapi.json describes it
 *   /metrics /healthz /readyz
 *   everything else        the browser app of web/, as Vite built it
 */
import { existsSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import fastifyStatic from "@fastify/static";
import fastifySwagger from "@fastify/swagger";
import underPressure from "@fastify/under-pressure";
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RawServerDefault,
} from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import type { Log } from "../../core/ports.ts";
import { healthRoutes as probeRoutes } from "../health.ts";
import { metricsRoutes } from "../metrics.ts";
import type { Facts } from "./facts.ts";
import { answerOwnNames, sendSafeHeaders, tagAnswers, takeOwnOrders } from "./guards.ts";
import { Refusal, sendProblem, tellProblems } from "./problems.ts";
import { healthRoutes } from "./resources/health.ts";
import { incidentRoutes } from "./resources/incidents.ts";
import { mailboxRoutes } from "./resources/mailbox.ts";
import { overviewRoutes } from "./resources/overview.ts";
import { processRoutes } from "./resources/processes.ts";
import { replicaRoutes } from "./resources/replicas.ts";
import { samplerRoutes } from "./resources/samplers.ts";
import { seriesRoutes } from "./resources/series.ts";
import { silenceRoutes } from "./resources/silences.ts";

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

export type ConsoleOptions = {
  readonly facts: Facts;
  readonly log: Log;
  /** Address that the caller will listen on; decides which host names are answered. Default 127.0.0.1. */
  readonly host?: string;
  /** Folder of the built browser app. Default `dist/web` of the project. */
  readonly webDir?: string;
  /** False: probes and `/metrics` alone, for processes that are no console. Default true. */
  readonly whole?: boolean;
};

const bodyBytesMax = 1_048_576;
/** For a request to arrive. Answering may take as long as it needs, as a comparison of a month does. */
const requestTimeoutMs = 30_000;
/** Above this delay of the event loop the API says 503, so that sampling and judging catch up first. */
const eventLoopDelayMsMax = 2_000;
const builtDir = join(import.meta.dirname, "../../../dist/web");

/** Builds the server; the caller listens and closes. Everything is served without a password: bind it to loopback. */
export async function buildConsole({
  facts,
  log,
  host = "127.0.0.1",
  webDir = builtDir,
  whole = true,
}: ConsoleOptions) {
  const app = fastify({
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength: 300 },
  });
  app.removeContentTypeParser("text/plain");
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  tellProblems(app, log);
  sendSafeHeaders(app);
  answerOwnNames(app, host);
  takeOwnOrders(app);
  probeRoutes(app, facts.ready);
  metricsRoutes(app, facts.measured, log);
  if (whole) {
    await app.register((api) => serveApi(api.withTypeProvider<ZodTypeProvider>(), facts), { prefix: "/api/v1" });
    await serveWeb(app, webDir);
  }
  await app.ready();
  return app;
}

async function serveApi(api: Api, facts: Facts): Promise<void> {
  await api.register(underPressure, { maxEventLoopDelay: eventLoopDelayMsMax, retryAfter: 5 });
  await api.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "Bellwether", version: facts.version, description: "Errors are RFC 9457 problem documents." },
    },
    transform: jsonSchemaTransform,
  });
  tagAnswers(api);
  const methods = new Map<string, Set<string>>();
  api.addHook("onRoute", ({ url, method }) => {
    methods.set(url, new Set([...(methods.get(url) ?? []), ...[method].flat()]));
  });
  overviewRoutes(api, facts);
  seriesRoutes(api, facts);
  incidentRoutes(api, facts);
  silenceRoutes(api, facts);
  samplerRoutes(api, facts);
  processRoutes(api, facts);
  replicaRoutes(api, facts);
  mailboxRoutes(api, facts);
  healthRoutes(api, facts);
  api.get("/openapi.json", { schema: { hide: true } }, () => api.swagger());
  refuseOtherMethods(api, new Map(methods));
}

/** The router would say 404; the path is right and the method is not. */
function refuseOtherMethods(api: Api, known: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, allowed] of known) {
    const others = ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((method) => !allowed.has(method));
    const allow = [...allowed].join(", ");
    const refuse = async (request: FastifyRequest, reply: FastifyReply) => {
      reply.header("allow", allow);
      throw new Refusal(405, `${request.method} is not possible here`, { fix: `use ${allow}` });
    };
    const path = url.slice(api.prefix.length);
    api.route({ method: others, url: path, schema: { hide: true }, onRequest: refuse, handler: refuse });
  }
}

/** The app's files; any other path that a browser opens is one of the app's pages. */
async function serveWeb(app: FastifyInstance, webDir: string): Promise<void> {
  const built = existsSync(join(webDir, "index.html"));
  if (built) {
    await app.register(fastifyStatic, {
      root: webDir,
      cacheControl: false,
      // Names under assets/ hold a hash of their content; index.html names them and must be asked for anew.
      setHeaders: (reply, path) => {
        const hashed = path.startsWith(join(webDir, "assets"));
        reply.header("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
      },
    });
  }
  app.setNotFoundHandler((request, reply) => {
    const page = request.method === "GET" && request.headers.accept?.includes("text/html");
    const path = request.url.split("?")[0] as string;
    if (page && built && !path.startsWith("/api/")) return reply.sendFile("index.html");
    const detail = built || path.startsWith("/api/") ? `there is nothing at ${path}` : "the console has not been built";
    const fix = built ? "see /api/v1/openapi.json" : "run npm run demo or npm start once, which build it";
    return sendProblem(reply, { type: "about:blank", title: "Not found", status: 404, detail, fix });
  });
}
