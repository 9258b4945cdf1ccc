import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { influxd, whyMissing } from "../../support/debian.ts";
import { smallDisk, whyNoSmallDisk } from "../../support/servers/disk.ts";
import { type Influx, startInflux } from "../../support/servers/influx.ts";
import { start, testFolder } from "../store/support.ts";

const folder = testFolder("support-influx");
const missing = whyMissing(influxd);
const noDisk = missing ?? whyNoSmallDisk();
const because = (reason: string | null) => (reason === null ? "" : ` (${reason})`);
const baseMs = Date.parse("2026-11-20T09:00:00Z");

/** `count` points, one a second, from the `from`th on. */
function lines(count: number, from = 0): string {
  return Array.from({ length: count }, (_, index) => `m v=1 ${baseMs + (from + index) * 1_000}\n`).join("");
}

describe.skipIf(missing !== null)(`a real InfluxDB${because(missing)}`, () => {
  let server: Influx;
  beforeAll(async () => {
    server = await startInflux({ databases: ["shop"] });
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test("killed and started again it holds what it acknowledged, at the same address", async () => {
    expect((await server.write("shop", lines(100))).status).toBe(204);
    const { pid, url } = server;
    await server.kill();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await expect(fetch(`${url}/ping`)).rejects.toThrow("fetch failed");
    await server.start();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    expect(await server.count("shop", "m", "v")).toBe(100);
  });

  test("paused it leaves a request waiting; resumed it answers that very request", async () => {
    server.pause();
    let status = 0;
    const answered = server.write("shop", lines(1, 500)).then((response) => {
      status = response.status;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(status).toBe(0);
    server.resume();
    await answered;
    expect(status).toBe(204);
  });

  test("an error in the body of a 200 is thrown", async () => {
    await expect(server.query("select * from m", "nope")).rejects.toThrow("database not found: nope (200");
  });

  test("an older state comes back from a snapshot; a wiped server is as new", async () => {
    const before = await server.count("shop", "m", "v");
    await server.stop();
    await server.snapshotTo(join(folder, "snapshot"));
    await server.start();
    await server.write("shop", lines(10, 1_000));
    expect(await server.count("shop", "m", "v")).toBe(before + 10);
    await server.stop();
    await server.restoreFrom(join(folder, "snapshot"));
    await server.start();
    expect(await server.count("shop", "m", "v")).toBe(before);
    await server.stop();
    await server.wipe();
    await server.start();
    expect(await server.count("shop", "m", "v")).toBe(0);
    expect(JSON.stringify(await server.query("show databases"))).toContain('[["shop"]]');
  });

  test("settings can change from one start to the next", async () => {
    await server.stop();
    await server.start({ "http.max-body-size": 100 });
    expect((await server.write("shop", lines(50))).status).toBe(413);
    await server.stop();
    await server.start({});
    expect((await server.write("shop", lines(50))).status).toBe(204);
  });
});

test.skipIf(missing !== null)(`users have the rights they were given${because(missing)}`, async () => {
  const admin = { name: "root", password: "p@ss/wörd" };
  const reader = { name: "reader", password: "r", rights: { shop: "read" as const } };
  const writer = { name: "writer", password: "w", rights: { shop: "all" as const } };
  await using server = await startInflux({ admin, users: [reader, writer], databases: ["shop"] });
  const write = (user: { name: string; password: string }) => {
    const { origin, pathname, username, password } = new URL(server.urlWith("shop", user));
    const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const headers = { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
    return fetch(`${origin}/write?db=${pathname.slice(1)}&precision=ms`, { method: "POST", body: lines(1), headers });
  };
  expect((await write(admin)).status).toBe(204);
  expect((await write(writer)).status).toBe(204);
  expect((await write(reader)).status).toBe(403);
  expect((await write({ ...writer, password: "wrong" })).status).toBe(401);
  expect(await server.count("shop", "m", "v")).toBe(1);
});

test.skipIf(missing !== null)(`not even a stopped server outlives a killed test${because(missing)}`, async () => {
  const tester = start(import.meta.dirname, "start-influx.ts", join(folder, "orphan"));
  const [line] = (await once(tester.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  const pid = Number(line.toString());
  expect(readFileSync(`/proc/${pid}/comm`, "utf8")).toBe("influxd\n");
  tester.kill("SIGKILL");
  await once(tester, "close");
  await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), 5_000);
});

test.skipIf(noDisk !== null)(
  `a full disk: 500, shown until the restart, refused after there is room again${because(noDisk)}`,
  async () => {
    using disk = smallDisk(16_000_000);
    await using server = await startInflux({ dir: disk.dir, databases: ["shop"] });
    expect((await server.write("shop", lines(100))).status).toBe(204);
    disk.fill();
    const refused = await server.write("shop", lines(1_000, 100));
    expect(refused.status).toBe(500);
    expect(await refused.text()).toContain("no space left on device");
    expect(await server.count("shop", "m", "v"), "the refused batch can be read").toBe(1_100);
    disk.free();
    const again = await server.write("shop", lines(1_000, 100));
    expect(again.status).toBe(500);
    expect(await again.text()).toContain("no space left on device");
    await server.kill();
    await server.start();
    expect(await server.count("shop", "m", "v"), "and is gone after a restart").toBe(100);
    expect((await server.write("shop", lines(1_000, 100))).status).toBe(204);
    expect(await server.count("shop", "m", "v")).toBe(1_100);
  },
);
