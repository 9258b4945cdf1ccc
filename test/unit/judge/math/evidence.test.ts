import { describe, expect, test } from "vitest";
import { countEvidence } from "../../../../src/judge/math/countevidence.ts";
import { onset } from "../../../../src/judge/math/onset.ts";

describe("evidence of a count", () => {
  // Computed apart, from the log probabilities of scipy's conventions by lgamma: log p(X; X) - log p(X; M).
  test.each([
    { observed: 0, expected: 24, variance: 24, nats: 24 },
    { observed: 10, expected: 20, variance: 20, nats: 3.068528194400553 },
    { observed: 35, expected: 20, variance: 20, nats: 4.586552577739781 },
    { observed: 20, expected: 20, variance: 20, nats: 0 },
    { observed: 0, expected: 24, variance: 28.8, nats: 21.878586815274563 },
    { observed: 12, expected: 24, variance: 28.8, nats: 3.1677355959117754 },
    { observed: 50, expected: 24, variance: 30, nats: 8.065686430771606 },
    { observed: 0, expected: 100, variance: 1_600, nats: 18.483924814931875 },
    { observed: 180, expected: 120, variance: 400, nats: 3.530942349534193 },
  ])("$observed against $expected (variance $variance) is $nats nats", ({ observed, expected, variance, nats }) => {
    expect(countEvidence(observed, expected, variance)).toBeCloseTo(nats, 9);
  });

  test("a variance a hair above Poisson's changes nothing much: no cancellation", () => {
    const poisson = countEvidence(900_000, 1_000_000, 1_000_000);
    expect(countEvidence(900_000, 1_000_000, 1_000_000 * (1 + 1e-8)) / poisson).toBeCloseTo(1, 5);
  });

  test("numbers out of range are refused by name", () => {
    expect(() => countEvidence(-1, 2, 3)).toThrow("countEvidence requires observed >= 0 (got -1)");
    expect(() => countEvidence(1, 0, 3)).toThrow("countEvidence requires expected > 0 (got 0)");
  });
});

describe("the onset", () => {
  const five = Object.freeze([5, 5, 5, 5, 5, 5]) as number[];
  test.each([
    { what: "an outage of three", observed: [0, 0, 0, 5, 6, 4], seen: 4, slots: 3 },
    { what: "seen at the first slot", observed: [0, 6, 4, 5, 6, 4], seen: 1, slots: 1 },
    { what: "longer than it was seen", observed: [0, 0, 0, 0, 5, 6], seen: 1, slots: 4 },
    { what: "a surge of two", observed: [20, 18, 5, 4, 6, 5], seen: 2, slots: 2 },
    { what: "a missing slot within", observed: [0, Number.NaN, 0, 5, 6, 4], seen: 3, slots: 3 },
  ])("$what", ({ observed, seen, slots }) => {
    expect(onset(Object.freeze(observed) as number[], five, seen)).toBe(slots);
  });

  test("no value is refused", () => {
    expect(() => onset([], [], 1)).toThrow("onset requires at least 1 value (got 0)");
  });
});
