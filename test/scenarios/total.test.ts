import { join } from "node:path";
import { expect, test } from "vitest";
import type { Point } from "../../src/core/model.ts";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { Mailbox } from "../../src/notify/mailbox.ts";
import { ordersYaml, World } from "../support/world.ts";

const usual = { "United Kingdom": 120, Germany: 40, France: 30, Spain: 20, Malta: 12 };
const all = Object.values(usual).reduce((sum, count) => sum + count, 0);

const totalYaml = ordersYaml.replace("fields: [orders] }", "fields: [orders], total: [orders] }");

/** A shop whose orders have been summed up for eight days, five quiet minutes before ten o'clock. */
async function open(route = ""): Promise<World> {
  const world = await World.open("2026-11-18T09:55:00Z", usual);
  world.write("samplers/shop/orders.yaml", totalYaml);
  if (route !== "") world.write("rules/routes/shop.yaml", route);
  const untilMs = world.clock.nowMs();
  const points: Point[] = [];
  for (let timeMs = untilMs - 8 * dayMs; timeMs < untilMs; timeMs += minuteMs) {
    points.push({ measurement: "orders", tags: {}, fields: { orders: all }, timeMs });
  }
  await world.app.desk.store.write(points);
  world.app.desk.judge.forget("shop-orders");
  await world.minutes(5, usual);
  expect(world.app.desk.definitions.samplers.get("shop-orders")?.point.total).toEqual(["orders"]);
  expect(await world.mails("ana")).toEqual([]);
  return world;
}

async function lastText(world: World): Promise<string> {
  const mailbox = new Mailbox(join(world.dataDir, "mailbox"));
  const [latest] = await mailbox.list(1);
  return (await mailbox.read(latest?.id ?? ""))?.text ?? "";
}

async function story(world: World) {
  const incidents = await world.app.desk.state.alerts.incidents({ limit: 10 });
  const alerts = (await world.app.desk.state.alerts.incident(incidents[0]?.id ?? ""))?.alerts ?? [];
  return { incidents, series: alerts.map(({ series }) => series).sort() };
}

const families: readonly (readonly [string, string])[] = [
  ["grouped by sampler", ""],
  ["grouped by country as well", "route: { group: shop-team, group_by: [sampler, country] }\n"],
];

test.each(families)("one country vanishes, %s: one message that names it, and one recovery", async (_, route) => {
  await using world = await open(route);
  await world.minutes(12, { ...usual, "United Kingdom": 0 });
  const explained = "54 % below; United Kingdom explains all of the drop";
  expect(await world.mails("ana")).toEqual([`[critical] Orders placed: ${explained}`]);
  const text = await lastText(world);
  expect(text).toMatch(
    /^Orders placed: orders is 102 in the minute from 10:\d\d, expected about 222, 54 % below; United/,
  );
  expect(text).toContain("Also firing:\n- Orders placed (United Kingdom): orders is 0");
  const { incidents, series } = await story(world);
  expect(incidents.map(({ title }) => title)).toEqual([`Orders placed: ${explained}`]);
  expect(series).toEqual(["orders.orders", 'orders{country="United Kingdom"}.orders']);
  const lines = (await world.app.desk.explain("orders.orders", world.clock.nowMs() - minuteMs))?.lines ?? [];
  expect(lines).toContain("What explains it: United Kingdom explains all of the drop.");

  await world.minutes(14, usual);
  const [, ...after] = await world.mails("ana");
  expect(after).toEqual([expect.stringMatching(/^\[recovered\] Orders placed, after 1\d min$/)]);
  expect(await world.app.desk.state.alerts.standing()).toEqual([]);
  expect(world.lines).toEqual([]);
});

test("one country loses most, others a little: its share is what it lost of it", async () => {
  await using world = await open();
  await world.minutes(10, { ...usual, "United Kingdom": 10, Germany: 36, France: 26 });
  expect(await world.mails("ana")).toEqual([
    "[critical] Orders placed: 53 % below; United Kingdom explains 93 % of the drop",
  ]);
});

test("all countries lose alike: one message that says so", async () => {
  await using world = await open();
  await world.minutes(12, { "United Kingdom": 60, Germany: 20, France: 15, Spain: 10, Malta: 6 });
  expect(await world.mails("ana")).toEqual(["[critical] Orders placed: 50 % below; spread over all 5 countries"]);
  expect((await story(world)).incidents).toHaveLength(1);
});

test("a small country alone has its own message, and the total none", async () => {
  await using world = await open();
  await world.minutes(12, { ...usual, Malta: 0 });
  const mails = await world.mails("ana");
  expect(mails).toEqual([
    expect.stringMatching(/^\[critical\] Orders placed \(Malta\): 0 instead of about 1[12](\.\d)?$/),
  ]);
  expect((await story(world)).series).toEqual(['orders{country="Malta"}.orders']);
});
