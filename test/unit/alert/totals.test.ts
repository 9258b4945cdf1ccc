import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Contribution } from "../../../src/core/contribution.ts";
import { growthOf, nearlyLinear } from "../../support/cost.ts";
import { definitions, group, person, route, rule, sampler, type VerdictParts } from "./builders.ts";
import { World } from "./world.ts";

/** Alerts of a total and of the series that it is the sum of. Slots are minutes, two of three bad ones fire. */

let world: World;
type Part = Omit<VerdictParts, "timeMs">;

const orders = sampler({ point: { measurement: "orders", tags: ["country"], fields: ["orders"], total: ["orders"] } });
const heardBy = [person("ana"), person("max")];
const groups = [group("shop-team", ["ana"]), group("germany-team", ["max"])];
const defined = (...[fields]: Parameters<typeof route>) =>
  definitions({ samplers: [orders], route: route(fields), people: heardBy, groups });

const total = (level: Part["level"] = "critical"): Part => ({
  tags: {},
  level,
  observed: level === "normal" ? 90 : 40,
  expected: 100,
});
const of = (country: string, level: Part["level"] = "critical"): Part => ({ country, level });
const explainedBy = (...countries: string[]): void => {
  const by = countries.map((country) => ({ tags: { country }, share: 0.9 / countries.length }));
  const whole: Contribution = { direction: "down", tags: ["country"], by, spread: null, against: [], unknown: 0 };
  world.explained = new Map([["orders.orders", whole]]);
};
const incidents = async () => (await world.state.alerts.incidents({ limit: 10 })).toReversed();
const series = async (id: string) =>
  ((await world.state.alerts.incident(id))?.alerts ?? []).map((alert) => alert.series).sort();

beforeEach(async () => {
  world = await World.open(defined());
  explainedBy("United Kingdom");
});
afterEach(() => world[Symbol.asyncDispose]());

/** A minute with one slot; what was sent in it, the group wait included. */
async function minute(...parts: Part[]): Promise<string[]> {
  await world.next(...parts);
  const first = await world.heard();
  await world.later("10s");
  return [...first, ...(await world.heard())];
}

const opened = ["opened to ana@shop.example by email"];
const update = ["update to ana@shop.example by email"];
const resolved = ["resolved to ana@shop.example by email"];

test("one slot: one incident, called after the total and what explains it", async () => {
  expect(await minute(of("United Kingdom"), total())).toEqual([]);
  expect(await minute(of("United Kingdom"), total())).toEqual(opened);
  const [incident, ...others] = await incidents();
  expect(others).toEqual([]);
  expect(incident?.title).toBe("Orders placed: 60 % below; United Kingdom explains 90 % of the drop");
  expect(await series(incident?.id ?? "")).toEqual(["orders.orders", 'orders{country="United Kingdom"}.orders']);
});

test("what explains it is kept when the values are good again, and in the database", async () => {
  for (const level of ["critical", "critical", "normal"] as const) await minute(total(level));
  expect((await world.alert())?.explained?.by).toEqual([{ tags: { country: "United Kingdom" }, share: 0.9 }]);
});

describe("a series that fires later than its total", () => {
  test("is told with it, and not by itself", async () => {
    for (const country of ["normal", "normal", "critical", "critical"] as const) {
      await minute(total(), of("United Kingdom", country));
    }
    await world.later("1h");
    expect(await world.heard()).toEqual([]);
    expect(await incidents()).toHaveLength(1);
  });

  test("joins it whatever the route groups by", async () => {
    world.definitions = defined({ groupBy: ["sampler", "country"] });
    for (const country of ["normal", "normal", "critical", "critical"] as const) {
      await minute(total(), of("United Kingdom", country));
    }
    expect(await incidents()).toHaveLength(1);
  });

  test("speaks once the total is over and it is not", async () => {
    await minute(total());
    await minute(total(), of("United Kingdom"));
    await minute(total(), of("United Kingdom"));
    const heard: string[] = [];
    for (let slot = 0; slot < 6; slot += 1) heard.push(...(await minute(total("normal"), of("United Kingdom"))));
    expect(heard).toEqual(update);
  });

  test("speaks if somebody else is to hear of it", async () => {
    const germany = route({ match: ['country="Germany"'], group: "germany-team" });
    world.definitions = defined({ routes: [germany] });
    await minute(total());
    await minute(total(), of("Germany"));
    expect(await minute(total(), of("Germany"))).toEqual(["opened to max@shop.example by email"]);
    expect(await incidents()).toHaveLength(2);
  });

  test("speaks if the total is silenced", async () => {
    const silence = {
      id: "s",
      reason: "r",
      author: "ana",
      createdMs: 0,
      startsMs: 0,
      endsMs: world.clock.nowMs() + 3_600_000,
    };
    world.silences = [{ ...silence, matchers: ['country=""'] }];
    await minute(total());
    await minute(total(), of("United Kingdom"));
    expect(await minute(total(), of("United Kingdom"))).toEqual(opened);
  });

  test("tells that it is critical where the total is a warning", async () => {
    await minute(total("warning"));
    await minute(total("warning"), of("United Kingdom"));
    expect(await minute(total("warning"), of("United Kingdom"))).toEqual(update);
  });
});

describe("a series that fires before its total", () => {
  test("waits for a total that is about to fire", async () => {
    await minute(of("United Kingdom"));
    expect(await minute(of("United Kingdom"), total())).toEqual([]);
    expect(await minute(of("United Kingdom"), total())).toEqual(opened);
    const [incident] = await incidents();
    expect(incident?.title).toBe("Orders placed: 60 % below; United Kingdom explains 90 % of the drop");
  });

  test("waits no longer than the slots that decide it", async () => {
    await minute(of("United Kingdom"));
    await minute(of("United Kingdom"), total());
    expect(await minute(of("United Kingdom"), total("unknown"))).toEqual([]);
    expect(await minute(of("United Kingdom"), total("unknown"))).toEqual([]);
    expect(await minute(of("United Kingdom"), total("unknown"))).toEqual(opened);
  });

  test("speaks at once where the total is as expected", async () => {
    await minute(of("United Kingdom"), total("normal"));
    expect(await minute(of("United Kingdom"), total("normal"))).toEqual(opened);
    expect((await incidents())[0]?.title).toBe("Orders placed (United Kingdom)");
  });

  test("was told: a total that it explains is no news", async () => {
    for (const level of ["normal", "normal", "critical", "critical"] as const) {
      await minute(of("United Kingdom"), total(level));
    }
    await world.later("1h");
    expect(await world.heard()).toEqual([]);
  });

  test("was told: a total that it does not explain alone is news", async () => {
    explainedBy("United Kingdom", "Germany");
    for (const level of ["normal", "normal", "critical", "critical"] as const) {
      await minute(of("United Kingdom"), total(level));
    }
    await world.later("5m");
    expect(await world.heard()).toEqual(update);
  });
});

test("recovery is told once, when both are good again", async () => {
  for (let slot = 0; slot < 3; slot += 1) await minute(of("United Kingdom"), total());
  const heard: string[] = [];
  for (let slot = 0; slot < 5; slot += 1) {
    heard.push(...(await minute(of("United Kingdom", slot < 2 ? "critical" : "normal"), total("normal"))));
  }
  expect(heard).toEqual(resolved);
});

test("without a total among its fields a sampler is alerted as before", async () => {
  world.definitions = definitions({ samplers: [sampler()], people: heardBy, groups });
  await minute(of("United Kingdom"));
  await minute(of("United Kingdom"), { tags: {}, level: "critical" });
  await minute(of("United Kingdom"), { tags: {}, level: "critical" });
  await world.later("5m");
  expect(await world.heard()).toEqual(update);
});

test("a rule of its own for one country joins as well", async () => {
  const uk = rule({ name: "uk", title: "UK orders", match: ['country="United Kingdom"'] });
  world.definitions = { ...defined(), rules: new Map([["uk", uk]]) };
  await minute(total());
  await minute(total(), of("United Kingdom"));
  await minute(total(), of("United Kingdom"));
  await world.later("1h");
  expect(await world.heard()).toEqual([]);
});

test("a thousand series that fire with their total cost little more to plan than eight times 125", async () => {
  const parts = [total(), ...Array.from({ length: 1_000 }, (_, index) => of(`c${index}`))];
  await world.next(...parts);
  await world.clock.advance("1m");
  const plan = async (series: number): Promise<void> => {
    const changes = await world.plan(...parts.slice(0, series + 1));
    expect(changes.incidents).toHaveLength(1);
  };
  expect(await growthOf(plan, 125)).toBeLessThan(nearlyLinear);
});
