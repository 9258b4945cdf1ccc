import { expect, test } from "vitest";
import { hourMs } from "../../src/core/time.ts";
import { World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

/** The latest hour's levels of one country's verdicts. */
async function judged(world: World, country: string): Promise<readonly unknown[]> {
  const nowMs = world.clock.nowMs();
  const { series } = await world.app.desk.store.read({
    measurement: "orders_verdict",
    fields: ["level"],
    tags: [{ label: "country", operator: "=", value: country, pattern: null }],
    windows: [{ fromMs: nowMs - hourMs, toMs: nowMs }],
  });
  return series[0]?.values ?? [];
}

/** Stops, lets the days pass, starts, and runs some minutes in which everybody but one country buys as usual. */
async function after(world: World, time: string): Promise<void> {
  await world.stop();
  world.clock.jump(time);
  await world.start();
  await world.minutes(4, usual);
}

test("a mistyped country is zero for 14 days, then no longer filled, and not missed for ever", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual, { BELLWETHER_CATCH_UP: "5m 5" });
  await world.minutes(2, { ...usual, Germanyy: 1 });
  await world.minutes(4, usual);
  expect((await world.stored("Germanyy")).slice(0, 4)).toEqual([1, 1, 0, 0]);

  // Zeros that were filled in renew nothing: neither after a week, nor when they are all there is.
  for (const day of [7, 13]) {
    await after(world, day === 7 ? "7d" : "6d");
    const filled = await world.stored("Germanyy");
    expect(filled.length, `day ${day}`).toBeGreaterThanOrEqual(4);
    expect(new Set(filled)).toEqual(new Set([0]));
    expect(await judged(world, "Germanyy")).toHaveLength(filled.length);
  }

  await after(world, "2d");
  expect(await world.stored("Germanyy")).toEqual([]);
  expect((await world.stored("France")).length).toBeGreaterThanOrEqual(4);
  // Its values of the last days are still missed; seven days on nobody speaks of it any more.
  expect(new Set(await judged(world, "Germanyy"))).toEqual(new Set([-1]));
  await after(world, "8d");
  expect(await world.stored("Germanyy")).toEqual([]);
  expect(await judged(world, "Germanyy")).toEqual([]);
  expect((await judged(world, "France")).length).toBeGreaterThanOrEqual(4);

  // Should somebody mean it, it is known again from its first order on.
  await world.minutes(1, { ...usual, Germanyy: 2 });
  await world.minutes(2, usual);
  expect((await world.stored("Germanyy")).slice(0, 2)).toEqual([2, 0]);
});
