/** `/metrics` in the Prometheus text format. */
import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Log, Measure, Measured } from "../core/ports.ts";
import { secondMs, systemClock } from "../core/time.ts";
import { within } from "../core/within.ts";

/** A scrape waits for a component so long; Prometheus gives up after ten seconds. */
const answerMs = 2 * secondMs;

/** Requests faster than 5 ms and slower than 10 s are not told apart. */
const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts the requests of `app`, and serves everything that is measured. */
export function metricsRoutes(app: FastifyInstance, measured: readonly Measured[], log: Log): void {
  const own = new Registry();
  collectDefaultMetrics({ register: own });
  const seconds = new Histogram({
    name: "bellwether_http_request_duration_seconds",
    help: "Time to answer a request of the console and its API.",
    labelNames: ["method", "route", "status"],
    buckets: secondsBuckets,
    registers: [own],
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1_000);
  });
  app.get("/metrics", { schema: { hide: true } }, async (_request, reply) => {
    const text = `${await own.metrics()}\n${await measuresText(measured, log)}`;
    return reply.type(own.contentType).send(text);
  });
}

/**
 * What the components say of themselves, as Prometheus text. Equal names with equal labels are added up. A component
 * that fails to say, or takes more than two seconds, costs its own numbers only, and shows in `bellwether_unmeasured`.
 */
export async function measuresText(measured: readonly Measured[], log: Log): Promise<string> {
  const ask = async (component: Measured): Promise<readonly Measure[]> => {
    const said = component.measures();
    return said instanceof Promise ? within(systemClock, answerMs, "a component", said) : said;
  };
  const answers = await Promise.allSettled(measured.map(ask));
  const failed = answers.filter((answer) => answer.status === "rejected");
  for (const { reason } of failed) log.error({ err: reason }, "a component could not say its measures");
  const unmeasured: Measure = {
    name: "bellwether_unmeasured",
    help: "Components that did not say their numbers at this scrape.",
    kind: "gauge",
    value: failed.length,
  };
  const measures = [...answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : [])), unmeasured];
  // A fresh registry each time: the components hold the numbers, so nothing here can be out of date.
  const registry = new Registry();
  for (const [name, group] of Map.groupBy(measures, (measure) => measure.name)) {
    const [{ help, kind }] = group as [Measure];
    const labelNames = [...new Set(group.flatMap(({ labels }) => Object.keys(labels ?? {})))];
    const metric = new (kind === "counter" ? Counter : Gauge)({ name, help, labelNames, registers: [registry] });
    for (const { labels, value } of group) metric.inc(labels ?? {}, value);
  }
  return registry.metrics();
}
