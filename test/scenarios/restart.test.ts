import { expect, test } from "vitest";
import { minuteMs } from "../../src/core/time.ts";
import { World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("after a stop every slot is caught up for the record, and nobody is woken for the past", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(5, usual);
  await world.stop();
  // An outage came and went while nobody watched.
  for (let minute = 0; minute < 30; minute += 1) {
    for (const [country, count] of Object.entries(usual)) world.order(country, minute < 20 ? 0 : count, 0);
    world.clock.jump("1m");
  }
  await world.start();
  await world.minutes(6, usual);

  const { slots, alerts } = world.app.desk.state;
  const ledger = await slots.list({ sampler: "shop-orders", limit: 1_000 });
  const starts = ledger.filter(({ finishedMs }) => finishedMs !== null).map(({ startMs }) => startMs / minuteMs);
  expect(starts).toEqual(Array.from({ length: starts.length }, (_, index) => (starts[0] as number) - index));
  expect(ledger.filter(({ state }) => state === "caught-up").length).toBeGreaterThanOrEqual(27);
  expect((await world.stored("Germany")).filter((orders) => orders === 0)).toHaveLength(20);
  expect(await world.mails("ana")).toEqual([]);
  expect(await alerts.incidents({ limit: 10 })).toEqual([]);

  // What it judged for the record can be explained.
  const explanation = await world.app.desk.explain(
    'orders{country="Germany"}.orders',
    world.clock.nowMs() - 25 * minuteMs,
  );
  expect(explanation?.stored?.level).toBe("critical");
  expect(explanation?.slot?.state).toBe("caught-up");
});

test("an incident that stands survives a restart: it is neither told again nor forgotten", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(3, usual);
  await world.minutes(10, { France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
  await world.stop();
  await world.start();
  await world.minutes(5, { France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
  await world.minutes(10, usual);
  expect(await world.mails("ana")).toHaveLength(2);
});
