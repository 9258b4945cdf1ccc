import { expect, test } from "vitest";
import type { Condition } from "../../src/core/model.ts";
import { minuteMs, secondMs } from "../../src/core/time.ts";
import { World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

/** What is wrong with Bellwether itself reaches people as everything else does. */

function stuck(world: World): Condition {
  return {
    kind: "replica-stuck",
    subject: "b",
    severity: "critical",
    reason: "restart influxd b: it goes on refusing writes although its disk has room again",
    sinceMs: world.clock.nowMs(),
  };
}

function sell(world: World): void {
  for (const [country, count] of Object.entries(usual)) world.order(country, count);
}

/** The whole list, told every five seconds for so long, as the application tells it; the shop sells as ever. */
async function tell(world: World, seconds: number, ...conditions: Condition[]): Promise<void> {
  for (let second = 0; second < seconds; second += 5) {
    if (world.clock.nowMs() % minuteMs === 0) sell(world);
    await world.app.desk.alerting.tellConditions(conditions);
    await world.clock.advance(5 * secondMs, () => world.settle());
  }
}

test("told once to the group of its route; neither telling again nor a restart repeats it; its end is told", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.write(
    "rules/routes/shop.yaml",
    "route: { group: shop-team, routes: [ { match: ['sampler=\"bellwether\"'], group: second-line } ] }\n",
  );
  await world.minutes(1, usual);
  const condition = stuck(world);
  await tell(world, 60, condition);
  expect(await world.mails("ben")).toEqual(["[critical] Bellwether: replica stuck (b)"]);
  await world.stop();
  for (let minute = 0; minute < 2; minute += 1) {
    sell(world);
    world.clock.jump("1m");
  }
  await world.start();
  await tell(world, 300, { ...condition, sinceMs: world.clock.nowMs() });
  expect(await world.mails("ben")).toHaveLength(1);
  expect(await world.app.desk.state.alerts.standing()).toMatchObject([{ state: "firing", sinceMs: condition.sinceMs }]);
  await tell(world, 60);
  expect(await world.mails("ben")).toEqual([
    "[critical] Bellwether: replica stuck (b)",
    expect.stringMatching(/^\[recovered\] Bellwether: replica stuck \(b\), after 8 min/),
  ]);
  expect(await world.mails("ana")).toEqual([]);
  expect(world.lines.filter(({ text }) => text.includes("chart"))).toEqual([]);
});

test("without a route it goes to the first group, beside what the shop has to say and apart from it", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(3, usual);
  for (let minute = 0; minute < 8; minute += 1) {
    await world.app.desk.alerting.tellConditions([stuck(world)]);
    await world.minutes(1, { France: 30 });
  }
  const mails = await world.mails("ana");
  expect(mails).toHaveLength(2);
  expect(mails[0]).toBe("[critical] Bellwether: replica stuck (b)");
  expect(mails[1]).toMatch(/^\[critical\] Orders placed \(Germany\)/);
});

test("a silence holds it back until its end", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  const startsMs = world.clock.nowMs();
  await world.app.desk.alerting.addSilence({
    matchers: ['sampler="bellwether"', 'subject="b"'],
    reason: "its disk is being replaced",
    author: "ben",
    startsMs,
    endsMs: startsMs + 5 * minuteMs,
  });
  const condition = stuck(world);
  await tell(world, 290, condition);
  expect(await world.mails("ana")).toEqual([]);
  const [incident] = await world.app.desk.state.alerts.incidents({ limit: 1 });
  expect(incident?.mutedReason).toMatch(/its disk is being replaced/);
  await tell(world, 60, condition);
  expect(await world.mails("ana")).toEqual(["[critical] Bellwether: replica stuck (b)"]);
});

test("who acknowledges it hears no repeats, the next one in line nothing, and all who heard its end", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  world.repeatAndEscalate();
  await world.minutes(1, usual);
  const condition = stuck(world);
  await tell(world, 11 * 60, condition);
  const before = await world.mails("ana");
  expect(before).toEqual([
    "[critical] Bellwether: replica stuck (b)",
    "[critical] Nobody has acknowledged: Bellwether: replica stuck (b)",
  ]);
  const [incident] = await world.app.desk.state.alerts.incidents({ limit: 1 });
  expect(await world.app.desk.alerting.acknowledge(incident?.id ?? "", "ben")).toMatchObject({ done: true });
  await tell(world, 30 * 60, condition);
  expect(await world.mails("ana")).toEqual(before);
  await tell(world, 60);
  expect((await world.mails("ana")).at(-1)).toMatch(/^\[recovered\] Bellwether: replica stuck \(b\)/);
  expect((await world.mails("ben")).at(-1)).toBe((await world.mails("ana")).at(-1));
});
