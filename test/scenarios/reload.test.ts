import { expect, test } from "vitest";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("a broken file keeps its last good version, and disturbs nothing else", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(2, usual);
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("every: 1m", "evry: 1m"));
  world.write("samplers/shop/totals.yaml", totalsYaml);
  await world.taken(usual);
  await world.minutes(4, usual);
  const { problems, definitions } = world.app.desk.watcher.current;
  expect(problems.map(({ code }) => code)).toContain("CFG-016");
  expect(problems.find(({ code }) => code === "CFG-005")?.where).toMatch(/^samplers\/shop\/orders\.yaml:5:1$/);
  expect([...definitions.samplers.keys()].sort()).toEqual(["shop-orders", "shop-totals"]);
  const done = await world.app.desk.state.slots.list({ sampler: "shop-orders", state: "done", limit: 100 });
  expect(done.length).toBeGreaterThanOrEqual(5);

  // Mended, it takes over; the outage that begins then is told.
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("Orders placed", "Orders, all of them"));
  await world.taken(usual);
  await world.minutes(1, usual);
  await world.minutes(10, { France: 30 });
  expect(world.app.desk.watcher.current.problems).toEqual([]);
  expect((await world.mails("ana"))[0]).toMatch(/Orders, all of them/);
});

test("an iCalendar file that a calendar names is followed while it runs", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  const event = (title: string) =>
    `BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:${title}\nDTSTART;VALUE=DATE:20261118\nEND:VEVENT\nEND:VCALENDAR\n`;
  const today = () => world.app.desk.definitions.calendars.get("shop")?.holidays["2026-11-18"];
  world.write("samplers/shop/orders.yaml", `${ordersYaml}calendar: shop\n`);
  world.write("rules/calendars/shop.yaml", "calendars: { shop: { ics: days.ics } }\n");
  world.write("rules/calendars/days.ics", event("Stocktaking"));
  await world.taken(usual);
  await world.minutes(4, usual);
  expect(today()).toBe("Stocktaking");
  world.write("rules/calendars/days.ics", event("Company day"));
  await world.taken(usual);
  await world.minutes(4, usual);
  expect(today()).toBe("Company day");
  world.write("rules/calendars/days.ics", "BEGIN:VCAL");
  await world.taken(usual);
  await world.minutes(4, usual);
  expect(today()).toBe("Company day");
  const { problems } = world.app.desk.watcher.current;
  const codes = problems.map(({ code }) => code).filter((code) => code !== "CAL-W07");
  expect(codes.sort()).toEqual(["CAL-010", "CAL-016", "CFG-016"]);
});

test("a sampler that is taken away is sampled no more, and its file may come back", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.write("samplers/shop/totals.yaml", totalsYaml);
  await world.taken(usual);
  await world.minutes(4, usual);
  const count = async () =>
    (await world.app.desk.state.slots.list({ sampler: "shop-totals", state: "done", limit: 100 })).length;
  expect(await count()).toBeGreaterThanOrEqual(1);
  world.write(
    "samplers/shop/totals.yaml",
    ordersYaml.replace("name: shop-orders", "name: other").replace("measurement: orders", "measurement: other"),
  );
  await world.taken(usual);
  await world.minutes(3, usual);
  const before = await count();
  await world.minutes(3, usual);
  expect(await count()).toBe(before);
  expect([...world.app.desk.definitions.samplers.keys()].sort()).toEqual(["other", "shop-orders"]);
});

test("a connection that leads elsewhere is followed at once", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(2, usual);
  expect(await world.stored("Germany")).toContain(40);
  world.write("rules/connections.yaml", "connections: { shop: { sqlite: { file: moved.db, time: epoch-ms } } }\n");
  await world.taken(usual);
  await world.minutes(4, usual);
  const [failed] = await world.app.desk.state.slots.list({ sampler: "shop-orders", state: "failed", limit: 1 });
  expect(failed?.error).toMatch(/cannot open .*moved\.db/);
});

test("a measurement that is renamed has no past, and its verdicts say so", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(3, usual);
  world.write("samplers/shop/orders.yaml", ordersYaml.replace("measurement: orders", "measurement: sales"));
  await world.taken(usual);
  await world.minutes(5, usual);
  const { series: found } = await world.app.desk.store.read({
    measurement: "sales_verdict",
    fields: ["level"],
    windows: [{ fromMs: 0, toMs: world.clock.nowMs() }],
  });
  expect(found.flatMap(({ values }) => values).length).toBeGreaterThan(2);
  expect(new Set(found.flatMap(({ values }) => values))).toEqual(new Set([-1]));
});

const totalsYaml = `
name: shop-totals
title: Orders of all countries
owner: shop-team
every: 1m
source:
  sql:
    connection: shop
    query: select count(*) as orders from orders where at_ms >= :slot_start and at_ms < :slot_end
point: { measurement: totals, fields: [orders] }
empty: zero
`;
