import { describe, expect, test } from "vitest";
import type { Rule } from "../../../src/core/definitions.ts";
import { conclude } from "../../../src/relate/relate.ts";
import { rule, sampler, type VerdictParts, verdict } from "../alert/builders.ts";

const timeMs = Date.UTC(2026, 10, 20, 9);

function concludeOne(parts: Omit<VerdictParts, "timeMs">, rules: Rule[] = [], standing: string[] = []) {
  return conclude({
    sampler: sampler(),
    verdicts: [verdict({ ...parts, timeMs })],
    rules: new Map(rules.map((each) => [each.name, each])),
    standingRules: new Set(standing),
  });
}

const states = (found: ReturnType<typeof conclude>) => found.map((one) => `${one.rule} ${one.state}`);

test("without a matching rule the built-in rule watch concludes, in both directions", () => {
  expect(states(concludeOne({ level: "warning", direction: "down" }))).toEqual(["watch bad"]);
  expect(states(concludeOne({ level: "warning", direction: "up" }))).toEqual(["watch bad"]);
  expect(states(concludeOne({ level: "normal" }))).toEqual(["watch good"]);
  expect(states(concludeOne({ level: "unknown", observed: null }))).toEqual(["watch unknown"]);
});

test("a calm slot of an incident that has not ended is neither bad nor good", () => {
  expect(states(concludeOne({ level: "warning", memory: { calm: 0 } }))).toEqual(["watch bad"]);
  expect(states(concludeOne({ level: "warning", memory: { calm: 2 } }))).toEqual(["watch unknown"]);
  expect(states(concludeOne({ level: "normal", memory: { calm: 3 } }))).toEqual(["watch good"]);
});

test("every matching rule concludes, and then watch does not", () => {
  const rules = [
    rule({ name: "uk", match: ['country="United Kingdom"', 'measurement="orders"'] }),
    rule({ name: "team", match: ['team="shop"', 'sampler="shop-orders"', 'field="orders"'] }),
    rule({ name: "germany", match: ['country="Germany"'] }),
  ];
  expect(states(concludeOne({ level: "critical" }, rules))).toEqual(["uk bad", "team bad"]);
});

test.each([
  ["critical rule, warning verdict", { level: "critical" }, { level: "warning" }, "good"],
  ["critical rule, critical verdict", { level: "critical" }, { level: "critical" }, "bad"],
  ["down rule, value too high", { direction: "down" }, { level: "critical", direction: "up" }, "good"],
  ["down rule, value too low", { direction: "down" }, { level: "critical", direction: "down" }, "bad"],
  ["down rule, no direction told", { direction: "down" }, { level: "critical", direction: null }, "bad"],
  ["up rule, unknown verdict", { direction: "up" }, { level: "unknown" }, "unknown"],
] as const)("%s", (_, ruleParts, verdictParts, state) => {
  const [found] = concludeOne(verdictParts, [rule({ name: "r", ...ruleParts })]);
  expect(found?.state).toBe(state);
  if (state === "good") expect(found?.reason).toMatch(/rule r (begins at critical|looks down only)$/);
});

describe("needs", () => {
  const a = rule({ name: "a", match: ['country="Germany"'] });
  const b = rule({ name: "b", match: ['country="France"'], needs: ["a"] });
  const c = rule({ name: "c", match: ['country="Spain"'], needs: ["b"] });
  const rules = new Map([c, b, a].map((each) => [each.name, each]));
  const run = (levels: Record<string, "critical" | "normal">, standing: string[] = []) =>
    states(
      conclude({
        sampler: sampler(),
        verdicts: Object.entries(levels).map(([country, level]) => verdict({ country, level, timeMs })),
        rules,
        standingRules: new Set(standing),
      }),
    );

  test("a rule that needs another is bad only while that one is", () => {
    expect(run({ Germany: "normal", France: "critical" })).toEqual(["a good", "b good"]);
    expect(run({ Germany: "critical", France: "critical" })).toEqual(["a bad", "b bad"]);
    expect(run({ France: "critical" }, ["a"])).toEqual(["b bad"]);
  });

  test("needs of needs count, whatever the order", () => {
    expect(run({ Spain: "critical", France: "critical", Germany: "critical" })).toEqual(["c bad", "b bad", "a bad"]);
    expect(run({ Spain: "critical", France: "critical", Germany: "normal" })).toEqual(["c good", "b good", "a good"]);
    expect(run({ Spain: "critical" }, ["b"])).toEqual(["c bad"]);
  });

  test("the reason names what is lacking", () => {
    const [found] = conclude({
      sampler: sampler(),
      verdicts: [verdict({ country: "France", level: "critical", timeMs })],
      rules,
      standingRules: new Set(),
    });
    expect(found?.reason).toBe("3 orders, about 21 were expected; rule b needs a, which has no alert");
  });
});

test("labels: our own words win over tags, tags over labels of sampler and rule; bad ones carry the direction", () => {
  const labelled = rule({ name: "r", labels: { team: "rule's", stage: "checkout" } });
  const [bad] = conclude({
    sampler: sampler({ labels: { team: "shop", country: "nowhere", field: "x" } }),
    verdicts: [verdict({ level: "critical", tags: { country: "Germany", rule: "a tag" }, timeMs })],
    rules: new Map([["r", labelled]]),
    standingRules: new Set(),
  });
  expect(bad?.labels).toEqual({
    rule: "r",
    sampler: "shop-orders",
    measurement: "orders",
    field: "orders",
    country: "Germany",
    team: "shop",
    stage: "checkout",
    group: "shop-team",
    owner: "shop-team",
    direction: "down",
  });
  expect(concludeOne({ level: "normal" })[0]?.labels).not.toHaveProperty("direction");
});

test("a sampler that alerts nobody concludes nothing", () => {
  const verdicts = [verdict({ level: "critical", timeMs })];
  const input = { sampler: sampler({ alerts: false }), verdicts, rules: new Map(), standingRules: new Set<string>() };
  expect(conclude(input)).toEqual([]);
});
