import { expect, test, vi } from "vitest";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };
const minutesADay = 1_440;

/** Sums of ten minutes into a measurement of its own. */
const checkouts = ordersYaml
  .replace("name: shop-orders", "name: shop-checkouts")
  .replace("title: Orders placed", "title: Checkouts")
  .replace("every: 1m", "every: 10m\nhistory: 9d")
  .replaceAll("measurement: orders", "measurement: checkouts");

test("a new sampler reads its history first, tells nobody of it, and is judged by it from its first slot on", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  // The shop has nine days behind it, and a night of trouble two days ago.
  for (let minutesAgo = 9 * minutesADay; minutesAgo > 0; minutesAgo -= 10) {
    const isDown = minutesAgo > 2 * minutesADay && minutesAgo <= 2 * minutesADay + 120;
    for (const [country, count] of Object.entries(usual)) if (!isDown) world.order(country, 10 * count, minutesAgo);
  }
  world.write("samplers/shop/checkouts.yaml", checkouts);
  await world.taken(usual);
  const { slots, alerts } = world.app.desk.state;
  const left = async (): Promise<number> => {
    await world.settle();
    return (await slots.list({ sampler: "shop-checkouts", state: "due", limit: 2_000 })).length;
  };
  await world.minutes(2, usual);
  await vi.waitFor(async () => expect(await left()).toBeLessThan(2), { timeout: 100_000, interval: 20 });

  const past = await slots.list({ sampler: "shop-checkouts", state: "caught-up", limit: 2_000 });
  expect(past.length).toBeGreaterThanOrEqual(9 * 144 - 2);
  const latest = await slots.list({ sampler: "shop-checkouts", state: "done", limit: 10 });
  expect(latest.length).toBeGreaterThanOrEqual(1);
  expect(await world.mails("ana")).toEqual([]);
  expect(await alerts.incidents({ limit: 10 })).toEqual([]);
  const said = await world.app.desk.explain('checkouts{country="Germany"}.orders', latest[0]?.startMs ?? 0);
  expect(said?.stored?.level).toBe("normal");

  // Whoever began without would not know for days what is usual.
  await world.minutes(40, { France: 30 });
  const heard = (await world.mails("ana")).filter((subject) => subject.includes("Checkouts"));
  expect(heard).toEqual(["[critical] Checkouts (Germany): 0 instead of about 400"]);
});
