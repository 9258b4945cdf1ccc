import { expect, test } from "vitest";
import { shareOf } from "../../src/schedule/share.ts";
import { ordersYaml, World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };
const connections = `
connections:
  shop:
    sqlite:
      file: shop.db
      time: epoch-ms
      queries:
        by-country: >
          select country, count(*) as orders, count(distinct at_ms) as moments from orders
          where at_ms >= :slot_start and at_ms < :slot_end group by country
`;
const source = `source: { sql: { connection: shop, batch: by-country } }
point: { measurement: MEASUREMENT, tags: [country], fields: [FIELD] }
empty: zero
`;

test("samplers that name one query of their connection share its read; each takes its own columns", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  const [head] = ordersYaml.split("source:") as [string];
  const yaml = (name: string, field: string): string =>
    head.replace("shop-orders", name) + source.replace("MEASUREMENT", name.replace("-", "_")).replace("FIELD", field);
  world.write("rules/connections.yaml", connections);
  world.write("samplers/shop/orders.yaml", yaml("shop-batch", "orders"));
  world.write("samplers/shop/moments.yaml", yaml("shop-moments", "moments"));
  await world.minutes(6, usual);
  await world.clock.advance("10s", () => world.settle());

  const { runner, store, state, definitions } = world.app.desk;
  const read = async (measurement: string, field: string) => {
    const window = { fromMs: Date.parse("2026-11-18T10:02:00Z"), toMs: Date.parse("2026-11-18T10:06:00Z") };
    const { series } = await store.read({ measurement, fields: [field], windows: [window] });
    return Object.fromEntries(series.map(({ tags, values }) => [tags.country, values]));
  };
  const each = { Germany: [40, 40, 40, 40], France: [30, 30, 30, 30] };
  expect(await read("shop_batch", "orders")).toEqual(each);
  expect(await read("shop_moments", "moments")).toEqual(each);
  const shared = runner.measures().find(({ name }) => name === "bellwether_sample_reads_shared_total");
  expect(shared?.value).toBeGreaterThanOrEqual(4);
  const shares = [...definitions.samplers.values()].map((sampler) => shareOf(runner.shareKey(sampler)));
  expect(new Set(shares).size).toBe(1);
  // The sampler that these two took the place of had planned one more slot.
  const failed = await state.slots.list({ state: "failed", limit: 10 });
  expect(failed.filter(({ sampler }) => sampler !== "shop-orders")).toEqual([]);
});
