/** The shop is watched while both copies of its series are dead: nobody is told anything false, and nothing is missed. */
import { describe, expect, test } from "vitest";
import { levelOf } from "../../src/core/model.ts";
import type { Series } from "../../src/core/ports.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { startInflux } from "../support/servers/influx.ts";
import { World } from "../support/world.ts";

const missing = whyMissing(influxd);
const usual = { Germany: 40, France: 30 };
const noGermany = { France: 30 };

// With BELLWETHER_TEST_STORE=influx every scenario is played once more; this one has its own servers in any case.
if (process.env.BELLWETHER_TEST_STORE !== "influx") {
  describe.skipIf(missing !== null)(`both copies dead${missing === null ? "" : ` (${missing})`}`, () => {
    test("nothing fires and nothing resolves; afterwards both happen, once", { timeout: 120_000 }, async () => {
      await using a = await startInflux();
      await using b = await startInflux();
      const settings = { INFLUX_URLS: `a=${a.url}/shop b=${b.url}/shop`, BELLWETHER_KEEP_RAW: "forever" };
      await using world = await World.open("2026-11-18T10:00:00Z", usual, settings);
      await world.minutes(10, usual);
      await world.minutes(12, noGermany);
      expect(await told(world)).toEqual([expect.stringMatching(/Orders placed.*Germany/)]);

      await Promise.all([a.kill(), b.kill()]);
      await world.stop();
      await world.start();
      await world.minutes(4, noGermany);
      const mendedMs = world.clock.nowMs();
      await world.minutes(8, usual);
      expect(await told(world)).toHaveLength(1);
      expect((await world.app.desk.state.alerts.standing()).map(({ state }) => state)).toEqual(["firing"]);

      await Promise.all([a.start(), b.start()]);
      await world.minutes(12, usual);
      const after = await told(world);
      expect(after).toHaveLength(2);
      expect(after[1]).toMatch(/resolved|recovered|over/i);
      // The last of these minutes was judged when both were back.
      expect(await levels(world, "Germany", mendedMs, mendedMs + 7 * 60_000)).toEqual(["unknown"]);

      await Promise.all([a.kill(), b.kill()]);
      await world.stop();
      await world.start();
      await world.minutes(10, noGermany);
      expect(await told(world)).toHaveLength(2);
      expect(await world.app.desk.state.alerts.standing()).toEqual([]);

      await Promise.all([a.start(), b.start()]);
      await world.minutes(12, noGermany);
      expect(await told(world)).toHaveLength(3);
      // No minute is missing on either, nor in what is read of them.
      const minutes = (await read(world, "orders", "orders", "Germany", 0, world.clock.nowMs())).timesMs;
      expect(minutes.length).toBe(((minutes.at(-1) as number) - (minutes[0] as number)) / 60_000 + 1);
      await world.app.desk.mirror?.drain(40_000);
      for (const server of [a, b]) expect(await server.count("shop", "orders", "orders")).toBe(2 * minutes.length);
    });
  });
}

/** Mails about the shop; what people are told of the copies themselves is another story. */
async function told(world: World): Promise<string[]> {
  return (await world.mails("ana")).filter((subject) => subject.includes("Orders placed"));
}

/** Levels of the verdicts on one country in a stretch of time, each once. */
async function levels(world: World, country: string, fromMs: number, toMs: number): Promise<unknown[]> {
  const { values } = await read(world, "orders_verdict", "level", country, fromMs, toMs);
  return [...new Set(values.map(levelOf))];
}

async function read(
  world: World,
  measurement: string,
  field: string,
  country: string,
  fromMs: number,
  toMs: number,
): Promise<Series> {
  const { series } = await world.app.desk.store.read({
    measurement,
    fields: [field],
    tags: [{ label: "country", operator: "=", value: country, pattern: null }],
    windows: [{ fromMs, toMs }],
  });
  expect(series).toHaveLength(1);
  return series[0] as Series;
}
