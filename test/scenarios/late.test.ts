/** The four data states: a source that is down, rows that come late, and the collection that tells of itself. */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Collection } from "../../src/collection.ts";
import { isOwn } from "../../src/core/model.ts";
import { minuteMs } from "../../src/core/time.ts";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };
const startMs = Date.parse("2026-11-18T10:00:00Z");

/** Minutes pass, and the last one's slot has its time too, which is some seconds after its end. */
async function pass(world: World, minutes: number, perMinute: Readonly<Record<string, number>>): Promise<void> {
  await world.minutes(minutes, perMinute);
  const restMs = (startMs - world.clock.nowMs() + 10 * 60 * minuteMs) % minuteMs;
  if (restMs === 0) await world.clock.advance("10s", () => world.settle());
}

/** What the process that tells does every few seconds of real time. */
async function tell(world: World): Promise<void> {
  const { state, alerting, definitions } = world.app.desk;
  const collection = new Collection({
    clock: world.clock,
    slots: state.slots,
    definitions: () => definitions,
    tempo: 1,
  });
  await alerting.tellConditions(await collection.conditions());
}

/** Level and data state of the stored verdicts on a country's orders, minute by minute. */
async function verdicts(world: World, country: string, minutes: number): Promise<string[]> {
  const window = { fromMs: startMs, toMs: startMs + minutes * minuteMs };
  const { series } = await world.app.desk.store.read({
    measurement: "orders_verdict",
    fields: ["level", "state"],
    tags: [{ label: "country", operator: "=", value: country, pattern: null }],
    windows: [window],
  });
  const levels = series.find(({ field }) => field === "level");
  const states = series.find(({ field }) => field === "state");
  const stateAt = new Map(states?.timesMs.map((timeMs, index) => [timeMs, states.values[index]]));
  return (levels?.timesMs ?? []).map((timeMs, index) => `${levels?.values[index]} ${stateAt.get(timeMs) ?? ""}`.trim());
}

test("a source that is down is one alert, its metrics are unknown; what was missed is read when it is back", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await pass(world, 2, usual);
  const file = (name: string): string => join(world.dataDir, name);
  for (const end of ["", "-wal", "-shm"]) renameSync(file(`shop.db${end}`), file(`away.db${end}`));
  await pass(world, 8, usual);
  const down = await verdicts(world, "Germany", 9);
  expect(down.slice(0, 2)).toEqual(["0", "0"]);
  expect(down.slice(2, 6)).toEqual(Array(4).fill("-1 source-down"));

  await tell(world);
  await pass(world, 1, usual);
  const told = await world.mails("ana");
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/source down \(shop\)/i);
  const [alert, ...others] = await world.app.desk.state.alerts.standing();
  expect(others).toEqual([]);
  expect(alert?.reason).toMatch(/Connection shop does not answer: Orders placed is unknown.*SQL-015/);

  for (const end of ["", "-wal", "-shm"]) renameSync(file(`away.db${end}`), file(`shop.db${end}`));
  // A circuit is open in real time: so many tries, each a little later, until one read has closed it.
  for (let round = 0; round < 60 && (await world.app.desk.state.slots.counts()).failed > 0; round += 1) {
    await pass(world, 1, usual);
    await sleep(100);
  }
  await pass(world, 2, usual);
  expect((await world.app.desk.state.slots.counts()).failed).toBe(0);
  expect(new Set(await world.stored("Germany"))).toEqual(new Set([40]));
  expect(await verdicts(world, "Germany", 10)).toEqual(["0", "0", ...Array(8).fill("0 value")]);
  for (const pause of [0, minuteMs]) {
    await world.clock.advance(pause);
    await tell(world);
  }
  await pass(world, 1, usual);
  expect(await world.mails("ana")).toHaveLength(2);
  expect((await world.app.desk.state.alerts.standing()).filter(isOwn)).toEqual([]);
});

test("rows that come late: the slots before are read again, stored and judged; nobody is told of what is past", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("empty: zero", "empty: zero\nresample: 3"));
  await pass(world, 3, usual);
  // One minute's orders of Germany are booked two minutes later.
  await pass(world, 1, { France: 30 });
  await pass(world, 1, usual);
  expect((await world.stored("Germany")).slice(-2)).toEqual([0, 40]);
  world.order("Germany", 38, 2);
  await pass(world, 2, usual);
  expect((await world.stored("Germany")).slice(-4)).toEqual([38, 40, 40, 40]);
  const slot = await world.app.desk.state.slots.get("shop-orders", startMs + 3 * minuteMs);
  expect(slot).toMatchObject({ state: "done", rows: 2, points: 2, dataState: "value" });
  expect((await verdicts(world, "Germany", 4)).at(-1)).toBe("0 value");
  expect(await world.mails("ana")).toEqual([]);
});

test("an empty slot is late until its grace is over, and missing then; rows that come meanwhile count", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("empty: zero", "empty: missing\ngrace: 2m"));
  await pass(world, 2, usual);
  await pass(world, 2, {});
  const stateOf = async (minute: number) =>
    (await world.app.desk.state.slots.get("shop-orders", startMs + minute * minuteMs))?.dataState;
  expect([await stateOf(2), await stateOf(3)]).toEqual(["late", "late"]);
  expect((await verdicts(world, "Germany", 4)).slice(2)).toEqual(["-1 late", "-1 late"]);
  world.order("Germany", 41, 1);
  await pass(world, 4, usual);
  expect([await stateOf(2), await stateOf(3)]).toEqual(["missing", "value"]);
  expect((await verdicts(world, "Germany", 4)).slice(2)).toEqual(["-1 missing", "0 value"]);
});

test("the collection's own figures are series like any other", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await pass(world, 3, usual);
  await world.stop();
  await world.start();
  const { series } = await world.app.desk.store.read({
    measurement: "bellwether_collection",
    fields: ["rows", "points", "failed", "lateness_ms"],
    windows: [{ fromMs: startMs, toMs: startMs + 3 * minuteMs }],
  });
  const values = Object.fromEntries(
    series.map(({ field, values: found, tags }) => [`${tags.sampler} ${field}`, found]),
  );
  expect(values).toEqual({
    "shop-orders rows": [2, 2, 2],
    "shop-orders points": [2, 2, 2],
    "shop-orders failed": [0, 0, 0],
    "shop-orders lateness_ms": [0, 0, 0],
  });
});
