/** `start` as a supervisor sees it: what it says, what it holds, and how it ends. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Log } from "../../src/core/ports.ts";
import { floorToStep, hourMs, minuteMs, systemClock } from "../../src/core/time.ts";
import { openState } from "../../src/state/database.ts";
import { begin, ended, type Place, type Ran, run } from "./run.ts";
import { makePlace, removePlace, write } from "./shop.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const dirs: string[] = [];
const running: ChildProcess[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill("SIGKILL");
  for (const dir of dirs.splice(0)) removePlace(dir);
});

function newPlace(): Place {
  const { dir, place } = makePlace();
  dirs.push(dir);
  return place;
}

/** Starts it, and waits until it says where its console is. */
async function start(place: Place, args: readonly string[] = [], env: Record<string, string> = {}) {
  const child = begin(place, ["start", "--port", "0", ...args], env);
  running.push(child);
  const end = ended(child);
  const url = await new Promise<string>((resolve, reject) => {
    let out = "";
    child.stdout?.on("data", (text: string) => {
      out += text;
      const found = /Console: (\S+)/.exec(out)?.[1];
      if (found !== undefined) resolve(found);
    });
    void end.then(({ code, err }) => reject(new Error(`ended with ${code}: ${err}`)));
  });
  const stop = async (signal: "SIGTERM" | "SIGINT"): Promise<Ran & { readonly tookMs: number }> => {
    const fromMs = performance.now();
    child.kill(signal);
    return { ...(await end), tookMs: performance.now() - fromMs };
  };
  return { child, url, stop };
}

async function until(done: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await done())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** No table of the shop has rows, so these are multiplied. */
const tenRows = [..."0123456789"].map((digit) => `select ${digit} as i`).join(" union all ");

/** A sampler whose query would take hours. */
const endless = `
name: endless
title: Never done
owner: shop-team
every: 1m
timeout: 50s
source:
  sql:
    connection: shop
    query: >
      with n as (${tenRows}), m as (select a.i from n a, n b, n c)
      select count(*) as orders from m a, m b, m c, m d
      where :slot_start < :slot_end and a.i + b.i > c.i * d.i
point: { measurement: endless, fields: [orders] }
empty: zero
`;

test("it serves the console, holds the data folder, and ends on SIGTERM with exit code 0 while a slot runs", async () => {
  const place = newPlace();
  write(place, "samplers/slow/endless.yaml", endless);
  await using state = await openState({ file: join(place.data, "state.db"), clock: systemClock, log });
  const startMs = floorToStep(Date.now() - hourMs, minuteMs);
  await state.slots.add([{ sampler: "endless", startMs, stepMs: minuteMs, dueMs: startMs + minuteMs, catchUp: true }]);
  const { child, url, stop } = await start(place);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  await until(async () => (await fetch(`${url}/readyz`)).status === 200);

  const [second, doctor] = await Promise.all([run(place, ["start", "--port", "0"]), run(place, ["doctor", "--json"])]);
  expect(second).toMatchObject({ code: 75, out: "" });
  expect(second.err).toMatch(new RegExp(`^SPL-001 .*series\\.db - held by process ${child.pid}\\. Fix: .*\\n$`));
  expect(JSON.parse(doctor.out)).toContainEqual({
    what: "process on the data folder",
    state: "ok",
    detail: `process ${child.pid} runs on it; a second one would be refused`,
  });

  await until(async () => (await state.slots.counts()).leased === 1);
  const { code, tookMs, out } = await stop("SIGTERM");
  expect(code).toBe(0);
  expect(tookMs).toBeLessThan(10_000);
  expect(out).toMatch(/^Bellwether runs\. Console: http:\/\/127\.0\.0\.1:\d+ {2}Data: .* {2}Stop: Ctrl-C\n$/);
  const after = await run(place, ["doctor", "--json"]);
  expect(JSON.parse(after.out)).toContainEqual({
    what: "process on the data folder",
    state: "ok",
    detail: "none, the last one ended in order",
  });
});

test("SIGINT ends it as well, and a signal while it starts is not lost", async () => {
  const place = newPlace();
  const { stop } = await start(place);
  expect((await stop("SIGINT")).code).toBe(0);

  const other = newPlace();
  const child = begin(other, ["start", "--port", "0"], { BELLWETHER_LOG: "silent" });
  running.push(child);
  const end = ended(child);
  await until(() => existsSync(join(other.data, "series.db.lock")));
  child.kill("SIGTERM");
  expect(await end).toMatchObject({ code: 0, err: "" });
});

test("a definition with a fault keeps nobody else from running; its fault is logged as a line of JSON", async () => {
  const place = newPlace();
  write(place, "samplers/broken.yaml", "name: broken\nevery: 5\n");
  const { url, stop } = await start(place);
  const answer = await fetch(`${url}/api/v1/samplers`);
  expect(JSON.stringify(await answer.json())).toContain("shop-orders");
  const { code, err } = await stop("SIGTERM");
  expect(code).toBe(0);
  const lines = err
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.some(({ msg }) => /samplers\/broken\.yaml:\d+:\d+.*Fix: /.test(msg))).toBe(true);
});

test("a port that somebody else has is STR-001, told without a stack trace", async () => {
  const taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const place = newPlace();
  const { code, out, err } = await run(place, ["start", "--port", String(port)], { BELLWETHER_LOG: "silent" });
  taken.close();
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^STR-001 BELLWETHER_PORT - cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*Fix: .*--port\.\n$/);
  // It gave back what it had taken.
  expect((await run(place, ["doctor"])).out).toContain("none, the last one ended in order");
});

test("secrets of the settings are in nothing that it prints, not even at debug", async () => {
  const place = newPlace();
  const { url, stop } = await start(place, [], {
    BELLWETHER_LOG: "debug",
    SMTP_URL: "smtp://report:c4nary-s3cret@127.0.0.1:1",
    WEBHOOK_SECRET: "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5",
  });
  const sent = await run(place, ["send-test", "shop-team"], { SMTP_URL: "smtp://report:c4nary-s3cret@127.0.0.1:1" });
  expect(sent.code).toBe(1);
  expect(sent.out).toMatch(
    /^NOT SENT {2}email {2}Ana Silva a\*\*\*@shop\.example {2}SMTP_URL - the mail server could not/m,
  );
  const pages = await Promise.all(
    ["/metrics", "/api/v1/samplers", "/readyz"].map(async (path) => (await fetch(url + path)).text()),
  );
  const { code, out, err } = await stop("SIGTERM");
  expect(code).toBe(0);
  expect([out, err, sent.out, sent.err, ...pages].join("\n")).not.toMatch(/c4nary|Y2FuYXJ5/);
});
