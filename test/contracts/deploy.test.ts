/** The accounts that docker-compose.yml makes on an InfluxDB, on a real one: they are enough, and no more than that. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { App } from "../../src/app.ts";
import type { Log } from "../../src/core/ports.ts";
import { systemClock } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { type Place, runInside } from "../cli/run.ts";
import { makePlace, removePlace } from "../cli/shop.ts";
import { projectDir, readCompose } from "../support/compose.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };

describe.skipIf(whyMissing(influxd) !== null)("InfluxDBs as docker-compose.yml sets them up", () => {
  const env = readCompose().services["influx-a"]?.environment ?? {};
  const account = (name: string, password: string) => ({ name: env[name] ?? "", password: env[password] ?? "" });
  const admin = account("INFLUXDB_ADMIN_USER", "INFLUXDB_ADMIN_PASSWORD");
  const writer = account("INFLUXDB_USER", "INFLUXDB_USER_PASSWORD");
  const reader = account("INFLUXDB_READ_USER", "INFLUXDB_READ_USER_PASSWORD");
  const database = env.INFLUXDB_DB ?? "";
  let servers: readonly Influx[] = [];
  let urls = "";
  let dir = "";
  let place: Place;

  beforeAll(async () => {
    ({ dir, place } = makePlace());
    const users = [
      { ...writer, rights: { [database]: "all" as const } },
      { ...reader, rights: { [database]: "read" as const } },
    ];
    const options = { admin, users, databases: [database] };
    servers = await Promise.all([startInflux(options), startInflux(options)]);
    const policies = readFileSync(join(projectDir, "deploy/influxdb/policies.iql"), "utf8");
    for (const server of servers) await server.query(policies);
    const [a, b] = servers as [Influx, Influx];
    urls = `a=${a.urlWith(database, writer)} b=${b.urlWith(database, writer)}`;
  });
  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    removePlace(dir);
  });

  test("Bellwether, which is no administrator, makes what is left to make, and doctor finds nothing to say", async () => {
    const settings = readSettings({
      BELLWETHER_CONFIG: place.config,
      BELLWETHER_DATA: place.data,
      BELLWETHER_PORT: "0",
      INFLUX_URLS: urls,
    });
    const app = await App.open({ settings, env: {}, clock: systemClock, log });
    app.run();
    for (const server of servers) {
      await vi.waitFor(async () => {
        const { results } = await server.query("show continuous queries");
        const made = results[0]?.series?.find(({ name }) => name === database)?.values.map(([name]) => name);
        expect(made).toEqual(["bellwether_10m", "bellwether_1h"]);
      }, 10_000);
    }
    await app[Symbol.asyncDispose]();
    vi.stubEnv("INFLUX_URLS", urls);
    const { out } = await runInside(place, ["doctor"]);
    const lines = out.split("\n").filter((line) => /InfluxDB|series/.test(line));
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.filter((line) => !line.startsWith("ok "))).toEqual([]);
  });

  test("Grafana may read, and neither write nor delete", async () => {
    const [server] = servers as [Influx];
    const ask = (q: string): Promise<Response> =>
      fetch(`${server.url}/query?${new URLSearchParams({ db: database, q, u: reader.name, p: reader.password })}`, {
        method: "POST",
      });
    expect((await ask('show tag values from "orders" with key = "country"')).status).toBe(200);
    const dropped = await (await ask('drop measurement "orders"')).text();
    expect(dropped).toContain("not authorized");
    const parameters = new URLSearchParams({ db: database, u: reader.name, p: reader.password });
    expect((await fetch(`${server.url}/write?${parameters}`, { method: "POST", body: "x n=1" })).status).toBe(403);
  });
});
