/** The restore drill of docs/replication.md, as an operator does it: b loses everything while Bellwether runs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "../../src/core/time.ts";
import { openMirror } from "../../src/desk.ts";
import { readSettings } from "../../src/settings.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { startInflux } from "../support/servers/influx.ts";
import { begin, ended, projectDir, run } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

const missing = whyMissing(influxd);
const page = readFileSync(join(projectDir, "docs/replication.md"), "utf8");
const drill = /### The restore drill.*?```sh\n(.*?)```/s.exec(page)?.[1] ?? "";
const commands = [...drill.matchAll(/^bellwether ([^#\n]+)/gm)].map(([, words = ""]) => words.trim().split(/\s+/));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const minuteMs = 60_000;

test.skipIf(missing !== null)("b comes back empty, is seen, filled and compared", { timeout: 180_000 }, async () => {
  expect(commands).toHaveLength(4);
  await using a = await startInflux();
  await using b = await startInflux();
  const { dir, place } = makePlace();
  const INFLUX_URLS = `a=${a.urlWith("shop")} b=${b.urlWith("shop")}`;
  const env = { INFLUX_URLS, BELLWETHER_LOG: "silent" };
  const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs;
  const points = Array.from({ length: 3_000 }, (_, index) => {
    return {
      measurement: "orders",
      tags: { country: "DE" },
      fields: { orders: index % 9 },
      timeMs: nowMs - (10 + index) * minuteMs,
    };
  });
  const settings = readSettings({ ...env, BELLWETHER_DATA: place.data });
  {
    await using mirror = await openMirror({ settings, clock: systemClock, log: quiet }, false, () => {});
    await mirror.write(points);
    await mirror.drain(30_000);
  }
  const child = begin(place, ["start", "--port", "0"], env);
  const end = ended(child);
  try {
    const url = await new Promise<string>((resolve) => {
      child.stdout?.on("data", (text: string) => {
        const found = /Console: (\S+)/.exec(text)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    await b.stop();
    await b.wipe();
    await b.start();
    const doubted = async () => {
      const answer = (await (await fetch(`${url}/api/v1/replicas`)).json()) as {
        replicas: { name: string; well: boolean; verify: unknown }[];
      };
      return JSON.stringify(answer).includes("its database was gone");
    };
    for (let looks = 0; !(await doubted()) && looks < 240; looks += 1) await sleep(250);
    expect(await doubted(), "it is seen that b lost its database").toBe(true);

    const [status, before, repair, after] = commands as [string[], string[], string[], string[]];
    expect((await run(place, [...status, "--url", url], env)).out).toMatch(/its database was gone/);
    expect([0, 1]).toContain((await run(place, before, env)).code);
    expect(await run(place, [...repair, "--url", url], env)).toMatchObject({ code: 0 });
    const last = await run(place, after, env);
    expect({ code: last.code, out: last.out, err: last.err }).toMatchObject({ code: 0 });
    expect(await b.count("shop", "orders", "orders")).toBe(points.length);
  } finally {
    child.kill("SIGTERM");
    await end;
    removePlace(dir);
  }
});
