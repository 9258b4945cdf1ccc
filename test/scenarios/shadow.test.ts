import { expect, test } from "vitest";
import { parseTimeMs } from "../../src/core/time.ts";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("a person's word in the console ends it, and what goes on is told, once", async () => {
  await using world = await World.open("2026-11-18T23:40:00Z", usual);
  world.write("samplers/shop/orders.yaml", `${ordersYaml}shadow: true\n`);
  await world.minutes(2, usual);
  await world.minutes(10, { France: 30 });
  expect(await world.mails("ana")).toEqual([]);
  const end = (by: string) =>
    fetch(`${world.app.url}/api/v1/samplers/shop-orders/shadow/end`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ by }),
    });
  expect((await end("Ana Silva")).status).toBe(204);
  const late = await end("Ben Ito");
  expect([late.status, (await late.json()).detail]).toEqual([409, expect.stringMatching(/ by Ana Silva$/)]);
  await world.minutes(2, { France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
});

test("a new sampler tells nobody until its day begins; what goes on then is told once", async () => {
  await using world = await World.open("2026-11-18T23:40:00Z", usual);
  world.write("samplers/shop/orders.yaml", `${ordersYaml}shadow: 2026-11-19\n`);
  await world.minutes(2, usual);
  await world.minutes(10, { France: 30 });
  const { state, shadows } = world.app.desk;
  const [incident] = await state.alerts.standingIncidents();
  expect(incident).toMatchObject({ notices: 0, mutedReason: expect.stringMatching(/shadow period until 2026-11-19T/) });
  expect(await world.mails("ana")).toEqual([]);
  expect(await shadows.of("shop-orders")).toMatchObject({
    untilMs: parseTimeMs("2026-11-19T00:00:00Z", 0),
    forecast: { alerts: 1, incidents: 1, people: ["Ana Silva"] },
  });
  const card = await (await fetch(`${world.app.url}/api/v1/samplers`)).json();
  expect(card.items[0].shadow).toMatchObject({ alerts: 1, ended: null, people: ["Ana Silva"] });
  expect(await (await fetch(`${world.app.url}/metrics`)).text()).toMatch(/^bellwether_samplers_in_shadow 1$/m);

  await world.minutes(12, { France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
  expect(await (await fetch(`${world.app.url}/metrics`)).text()).toMatch(/^bellwether_samplers_in_shadow 0$/m);
  await world.minutes(5, usual);
  expect(await world.mails("ana")).toHaveLength(2);
});
