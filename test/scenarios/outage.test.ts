import { expect, test } from "vitest";
import { World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("an outage of one country is told once, and its end to the same people", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(10, usual);
  expect(await world.mails("ana")).toEqual([]);

  await world.minutes(12, { France: 30 });
  const during = await world.mails("ana");
  expect(during).toHaveLength(1);
  expect(during[0]).toMatch(/Orders placed.*Germany/);
  expect(await world.mails("ben")).toEqual([]);
  const [incident] = await world.app.desk.state.alerts.incidents({ limit: 10 });
  const story = await world.app.desk.state.alerts.incident(incident?.id ?? "");
  expect(story?.alerts.map(({ series, state }) => [series, state])).toEqual([
    ['orders{country="Germany"}.orders', "firing"],
  ]);
  expect(story?.alerts[0]?.sinceMs).toBe(Date.parse("2026-11-18T10:10:00Z"));

  await world.minutes(12, usual);
  const after = await world.mails("ana");
  expect(after).toHaveLength(2);
  expect(after[1]).toMatch(/resolved|recovered|over/i);
  expect((await world.app.desk.state.alerts.standing()).length).toBe(0);
  expect(world.lines).toEqual([]);
});

test("a spike of one minute stays pending and wakes nobody", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(5, usual);
  await world.minutes(1, { Germany: 200, France: 30 });
  await world.minutes(8, usual);
  expect(await world.mails("ana")).toEqual([]);
});

test("a spike that stays is told", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(5, usual);
  await world.minutes(10, { Germany: 120, France: 30 });
  expect(await world.mails("ana")).toHaveLength(1);
});
