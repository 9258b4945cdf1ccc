/** Two InfluxDBs that the tests of one file share, each test with a database of its own. */
import { afterAll } from "vitest";
import { type Influx, startInflux } from "./servers/influx.ts";
import { startProxy, type TcpProxy } from "./servers/proxy.ts";

let started: Promise<readonly Influx[]> | null = null;
let databases = 0;
const proxies: TcpProxy[] = [];

async function start(): Promise<readonly Influx[]> {
  return Promise.all([startInflux(), startInflux()]);
}

/** Ends them with the file that asked for them. Call it at its top level. */
export function endCopies(): void {
  afterAll(async () => {
    const servers = started === null ? [] : await started;
    started = null;
    for (const server of [...proxies.splice(0), ...servers]) await server[Symbol.asyncDispose]();
  });
}

/**
 * What `INFLUX_URLS` takes, for a database that nobody has used yet.
 * @param latencyMs of the network in each direction; default: there is no network between
 */
export async function freshCopies(latencyMs = 0): Promise<string> {
  started ??= start();
  databases += 1;
  const [a, b] = await Promise.all((await started).map((server) => reached(server, latencyMs)));
  return `a=${a}/test${databases} b=${b}/test${databases}`;
}

async function reached({ url }: Influx, latencyMs: number): Promise<string> {
  if (latencyMs === 0) return url;
  const proxy = await startProxy(Number(new URL(url).port));
  proxies.push(proxy);
  await proxy.set({ latencyMs });
  return proxy.url;
}
