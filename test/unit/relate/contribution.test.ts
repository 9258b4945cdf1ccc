import { describe, expect, test } from "vitest";
import { contributionText } from "../../../src/core/contribution.ts";
import { contributionOf, type JudgedSeries, type JudgedSlot } from "../../../src/relate/contribution.ts";

type Pair = readonly [expected: number | null, observed: number | null];

const slots = (...pairs: readonly Pair[]): JudgedSlot[] =>
  pairs.map(([expected, observed], index) => ({ timeMs: index * 60_000, expected, observed }));
const country = (name: string, ...pairs: readonly Pair[]): JudgedSeries => ({
  tags: { country: name },
  slots: slots(...pairs),
});
const said = (total: readonly Pair[], ...series: JudgedSeries[]): string | null => {
  const found = contributionOf(slots(...total), series);
  return found === null ? null : contributionText(found);
};
/** 38 countries, each with its pairs by number. */
const many = (pair: (index: number) => Pair) =>
  Array.from({ length: 38 }, (_, index) => country(`C${String(index).padStart(2, "0")}`, pair(index)));

describe("which series explain the difference", () => {
  test.each<[string, string | null, readonly Pair[], JudgedSeries[]]>([
    [
      "one that vanished",
      "United Kingdom explains 92 % of the drop",
      [[100, 50]],
      [country("United Kingdom", [46, 0]), country("Germany", [30, 27]), country("France", [24, 23])],
    ],
    [
      "two that fell",
      "Germany (55 %) and France (45 %) explain all of the drop",
      [[100, 56]],
      [country("United Kingdom", [50, 50]), country("Germany", [26, 2]), country("France", [24, 4])],
    ],
    [
      "the whole time counts, not the latest slot",
      "Germany explains 90 % of the drop",
      [
        [100, 60],
        [100, 90],
      ],
      [
        country("Germany", [40, 0], [40, 35]),
        country("France", [30, 30], [30, 25]),
        country("Spain", [30, 30], [30, 30]),
      ],
    ],
    [
      "one that rose",
      "Germany explains 97 % of the rise",
      [[100, 250]],
      [country("United Kingdom", [60, 64]), country("Germany", [40, 186])],
    ],
    [
      "one of which nothing was expected",
      "Nowhere explains all of the rise",
      [[100, 300]],
      [country("United Kingdom", [60, 60]), country("Germany", [40, 40]), country("Nowhere", [0, 200])],
    ],
    [
      "one without a value had none to add",
      "Germany explains all of the drop",
      [[100, 60]],
      [country("United Kingdom", [60, 60]), country("Germany", [40, null])],
    ],
    [
      "one that went far the other way is named",
      "United Kingdom explains all of the drop; Germany went against it (35 %)",
      [[100, 80]],
      [country("United Kingdom", [60, 33]), country("Germany", [20, 27]), country("France", [20, 20])],
    ],
    [
      "one that went a little the other way is not",
      "United Kingdom explains all of the drop",
      [[100, 80]],
      [country("United Kingdom", [60, 35]), country("Germany", [20, 25]), country("France", [20, 20])],
    ],
    [
      "all fell alike, and the largest most: none explains it",
      "spread over all 3 countries",
      [[100, 60]],
      [country("United Kingdom", [85, 51]), country("Germany", [10, 6]), country("France", [5, 3])],
    ],
    ["all 38 fell alike", "spread over all 38 countries", [[3800, 2280]], many(() => [100, 60])],
    ["ten of 38 fell", "spread over 10 of 38 countries", [[3800, 3300]], many((index) => [100, index < 10 ? 50 : 100])],
    [
      "two of two",
      "spread over all 2 countries",
      [[100, 0]],
      [country("Germany", [50, 0]), country("France", [50, 0])],
    ],
    [
      "who fell is not known yet",
      "no few countries explain the drop; 1 without an expectation yet",
      [[100, 60]],
      [country("Germany", [40, 39]), country("France", [20, 20]), country("Spain", [null, 1])],
    ],
    [
      "NaN is not known",
      "no few countries explain the drop; 1 without an expectation yet",
      [[100, 60]],
      [country("Germany", [40, 39]), country("France", [20, 20]), country("Spain", [Number.NaN, 1])],
    ],
    [
      "slots in which the total is not known have no say",
      "France explains all of the drop",
      [
        [100, null],
        [Number.NaN, 5],
        [100, 60],
      ],
      [country("Germany", [50, 0], [50, 0], [50, 50]), country("France", [50, 50], [50, 50], [50, 10])],
    ],
    ["the total is as expected", null, [[100, 100]], [country("Germany", [60, 50]), country("France", [40, 50])]],
    ["nothing is known of the total", null, [[null, 5]], [country("Germany", [60, 50]), country("France", [40, 50])]],
    ["no slots", null, [], [country("Germany", [60, 50]), country("France", [40, 50])]],
    ["one series is its own total", null, [[100, 0]], [country("Germany", [100, 0])]],
    ["no series", null, [[100, 0]], []],
    [
      "nothing was expected at all",
      "Germany explains all of the rise",
      [[0, 50]],
      [country("Germany", [0, 50]), country("France", [0, 0])],
    ],
  ])("%s", (_, text, total, series) => {
    expect(said(total, ...series)).toBe(text);
  });
});

test("shares are parts of the total's difference, and inputs stay as they are", () => {
  const total = Object.freeze(slots([100, 50]));
  const series = Object.freeze([country("Germany", [40, 38]), country("United Kingdom", [60, 12])]);
  expect(contributionOf(total, series)).toEqual({
    direction: "down",
    tags: ["country"],
    by: [{ tags: { country: "United Kingdom" }, share: 0.96 }],
    spread: null,
    against: [],
    unknown: 0,
  });
});

test("several tags and their words", () => {
  const series = (country: string, payment_method: string, pair: Pair): JudgedSeries => ({
    tags: { country, payment_method },
    slots: slots(pair),
  });
  const total: readonly Pair[] = [[100, 60]];
  expect(said(total, series("Germany", "card", [50, 10]), series("Germany", "bank", [50, 50]))).toBe(
    "Germany, card explains all of the drop",
  );
  expect(said(total, series("Germany", "card", [50, 30]), series("Germany", "bank", [50, 30]))).toBe(
    "spread over all 2 series",
  );
  const spread = { moved: 2, of: 2 };
  const text = (tag: string) =>
    contributionText({ direction: "down", tags: [tag], by: [], spread, against: [], unknown: 0 });
  expect(["country", "day", "payment_method", "box", "sales"].map(text)).toEqual(
    ["countries", "days", "payment methods", "boxes", "sales"].map((word) => `spread over all 2 ${word}`),
  );
});
