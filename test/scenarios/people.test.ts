import { expect, test } from "vitest";
import { hourMs } from "../../src/core/time.ts";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("a silence holds its alerts back, and what still stands at its end speaks", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  const startsMs = world.clock.nowMs();
  await world.app.desk.alerting.addSilence({
    matchers: ['country="Germany"'],
    reason: "payment provider moves",
    author: "ana",
    startsMs,
    endsMs: startsMs + 20 * 60_000,
  });
  await world.minutes(3, usual);
  await world.minutes(12, { France: 30 });
  expect(await world.mails("ana")).toEqual([]);
  const [incident] = await world.app.desk.state.alerts.incidents({ limit: 1 });
  expect(incident?.mutedReason).toMatch(/payment provider moves/);
  await world.minutes(8, { France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
});

test("repeats and escalation stop when somebody acknowledges; the end is told to those who heard", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.repeatAndEscalate();
  await world.minutes(4, usual);
  await world.minutes(20, { France: 30 });
  const before = await world.mails("ana");
  expect(before.length).toBeGreaterThanOrEqual(2);
  const [incident] = await world.app.desk.state.alerts.incidents({ limit: 1 });
  const answer = await world.app.desk.alerting.acknowledge(incident?.id ?? "", "ben", incident?.version);
  expect(answer.done).toBe(true);
  expect(await world.app.desk.alerting.acknowledge(incident?.id ?? "", "ana", incident?.version)).toMatchObject({
    done: false,
    incident: { acknowledgedBy: "ben" },
  });
  await world.minutes(30, { France: 30 });
  expect(await world.mails("ana")).toEqual(before);
  await world.minutes(10, usual);
  expect(await world.mails("ana")).toHaveLength(before.length + 1);
  expect((await world.mails("ben")).at(-1)).toBe((await world.mails("ana")).at(-1));
});

test("rows that come late are counted where the definition waits for them", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("every: 1m", "every: 1m\ndelay: 90s"));
  await world.clock.advance("2m", () => world.settle());
  const fromMs = world.clock.nowMs();
  for (let minute = 0; minute < 15; minute += 1) {
    // The shop writes the orders of a minute a minute later.
    for (const [country, count] of Object.entries(usual)) world.order(country, count, 1);
    await world.clock.advance("1m", () => world.settle());
  }
  const { series: found } = await world.app.desk.store.read({
    measurement: "orders",
    fields: ["orders"],
    windows: [{ fromMs, toMs: fromMs + hourMs }],
  });
  for (const series of found) {
    expect(series.values.length).toBeGreaterThanOrEqual(10);
    expect(new Set(series.values)).toEqual(new Set([usual[series.tags.country as keyof typeof usual]]));
  }
});

test("a source that is away is not a zero: slots fail with their reason, nobody hears of an outage of orders", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(3, usual);
  world.write("rules/connections.yaml", "connections: { shop: { sqlite: { file: moved.db, time: epoch-ms } } }\n");
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("Orders placed", "Orders"));
  await world.minutes(12, usual);
  const failed = await world.app.desk.state.slots.list({ sampler: "shop-orders", state: "failed", limit: 100 });
  expect(failed.length).toBeGreaterThanOrEqual(3);
  expect(failed[0]?.error).toMatch(/SQL-015 connection shop - cannot open \/.*\/moved\.db/);
  expect(await world.mails("ana")).toEqual([]);
  expect(Math.min(...(await world.stored("Germany")))).toBe(40);
});
