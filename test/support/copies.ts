/** Two InfluxDBs that the tests of one file share, each test with a database of its own. */
import { afterAll } from "vitest";
import { type Influx, startInflux } from "./servers/influx.ts";

let started: Promise<readonly Influx[]> | null = null;
let databases = 0;

async function start(): Promise<readonly Influx[]> {
  return Promise.all([startInflux(), startInflux()]);
}

/** Ends them with the file that asked for them. Call it at its top level. */
export function endCopies(): void {
  afterAll(async () => {
    const servers = started === null ? [] : await started;
    started = null;
    for (const server of servers) await server[Symbol.asyncDispose]();
  });
}

/** What `INFLUX_URLS` takes, for a database that nobody has used yet. */
export async function freshCopies(): Promise<string> {
  started ??= start();
  databases += 1;
  const [a, b] = (await started) as [Influx, Influx];
  return `a=${a.url}/test${databases} b=${b.url}/test${databases}`;
}
