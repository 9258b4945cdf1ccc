import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Point } from "../../src/core/model.ts";
import { Problem } from "../../src/core/problem.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { startInflux } from "../support/servers/influx.ts";
import { World } from "../support/world.ts";

const missing = whyMissing(influxd);
const usual = { Germany: 40, France: 30 };

/** Points that nothing else knows of, hard to pack, so that the spool fills up. */
function ballast(count: number, timeMs: number): Point[] {
  return Array.from({ length: count }, (_, index) => ({
    measurement: "ballast",
    tags: { i: `${index}` },
    fields: { text: Math.random().toString(36) + Math.random().toString(36) },
    timeMs,
  }));
}

describe.skipIf(missing !== null)(`no room${missing === null ? "" : ` (${missing})`}`, () => {
  test("slots that had no room are named, and sampled again once there is some", { timeout: 120_000 }, async () => {
    await using a = await startInflux();
    await using b = await startInflux();
    const settings = {
      INFLUX_URLS: `a=${a.url}/shop b=${b.url}/shop`,
      BELLWETHER_KEEP_RAW: "forever",
      BELLWETHER_SPOOL_MAX: "8MB",
    };
    await using world = await World.open("2026-11-18T10:00:00Z", usual, settings);
    await world.minutes(3, usual);
    const mirror = world.app.desk.mirror;
    if (mirror === null) throw new Error("the world is on the embedded store");
    await mirror.drain(30_000);
    await Promise.all([a.kill(), b.kill()]);

    let full: unknown;
    for (let piece = 0; full === undefined && piece < 500; piece += 1) {
      const origin = { sampler: "ballast", priority: "high", slotMs: piece } as const;
      await mirror.write(ballast(2_000, world.clock.nowMs() + piece), origin).catch((thrown) => {
        full = thrown;
      });
    }
    expect(full).toBeInstanceOf(Problem);
    expect(full).toMatchObject({ code: "SPL-003", retryable: true });
    expect(mirror.conditions().map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["spool-full", "points-refused"]),
    );

    await world.minutes(6, usual);
    const { slots } = world.app.desk.state;
    const refused = mirror.gaps(100).filter(({ sampler }) => sampler === "shop-orders");
    expect(refused.length).toBeGreaterThan(0);
    const failed = await slots.list({ sampler: "shop-orders", state: "failed", limit: 100 });
    for (const { startMs } of failed) expect(refused.map(({ slotMs }) => slotMs)).toContain(startMs);
    for (const { error } of failed) expect(error).toMatch(/SPL-003.*no room/);

    await Promise.all([a.start(), b.start()]);
    await mirror.drain(60_000);
    const done = async () =>
      (await slots.counts()).failed === 0 && mirror.gaps(1_000).every(({ sampler }) => sampler !== "shop-orders");
    for (let look = 0; !(await done()) && look < 60; look += 1) {
      await world.minutes(1, usual);
      await sleep(500);
    }
    expect(await done(), "every slot has been sampled again").toBe(true);
    for (const { slotMs } of refused) {
      expect(await slots.get("shop-orders", slotMs)).toMatchObject({ state: expect.stringMatching(/done|caught-up/) });
    }
    const { series } = await world.app.desk.store.read({
      measurement: "orders",
      fields: ["orders"],
      windows: refused
        .map(({ slotMs }) => ({ fromMs: slotMs, toMs: slotMs + 60_000 }))
        .sort((x, y) => x.fromMs - y.fromMs),
    });
    for (const { tags, values } of series) {
      expect(values).toEqual(refused.map(() => usual[tags.country as keyof typeof usual]));
    }
  });

  test("servers that no longer know us cost no slot: it is stored here, and judged unknown", {
    timeout: 120_000,
  }, async () => {
    const options = {
      admin: { name: "root", password: "root" },
      databases: ["shop"],
      users: [{ name: "bw", password: "bw", rights: { shop: "all" as const } }],
    };
    const [user] = options.users as [(typeof options.users)[number]];
    await using a = await startInflux(options);
    await using b = await startInflux(options);
    const settings = {
      INFLUX_URLS: `a=${a.urlWith("shop", user)} b=${b.urlWith("shop", user)}`,
      BELLWETHER_KEEP_RAW: "forever",
    };
    await using world = await World.open("2026-11-18T10:00:00Z", usual, settings);
    await world.minutes(2, usual);
    const password = (text: string) =>
      Promise.all([a, b].map((server) => server.query(`set password for bw = '${text}'`)));
    await password("another");
    await world.stop();
    await world.start();
    const fromMs = world.clock.nowMs();
    await world.minutes(4, usual);
    expect(await world.app.desk.state.slots.counts()).toMatchObject({ failed: 0, leased: 0 });
    const mirror = world.app.desk.mirror;
    expect(mirror?.pendingPoints("a")).toBeGreaterThan(0);

    await password("bw");
    await mirror?.drain(60_000);
    const windows = [{ fromMs, toMs: world.clock.nowMs() }];
    const levels = await world.app.desk.store.read({ measurement: "orders_verdict", fields: ["level"], windows });
    expect(new Set(levels.series.flatMap(({ values }) => values))).toEqual(new Set([-1]));
    const orders = await world.app.desk.store.read({ measurement: "orders", fields: ["orders"], windows });
    expect(orders.series.map(({ values }) => values.length)).toEqual(
      [4, 4].map((count) => expect.closeTo(count, -0.5)),
    );
  });
});
