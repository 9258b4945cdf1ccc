import { describe, expect, test } from "vitest";
import { fingerprint, formatSeries, matches, parseMatcher, parseSelector } from "../../../src/core/labels.ts";

describe("a matcher reads labels as Alertmanager's do", () => {
  const labels = { country: "Germany", channel: 'a"b' };
  test.each([
    ['country="Germany"', true],
    ['country = "Germany"', true],
    ['country!="Germany"', false],
    ['country=~"Ger"', false],
    ['country=~"Ger.*"', true],
    ['country!~"Ger.*|France"', false],
    ['absent=""', true],
    ['absent!="x"', true],
    ['channel="a\\"b"', true],
  ])("%s: %s", (text, answer) => {
    expect(matches(parseMatcher(text), labels)).toBe(answer);
  });

  test.each(["country=Germany", "country", '="x"', 'country=="x"', 'a="b" or'])("%s is refused", (text) => {
    expect(() => parseMatcher(text)).toThrow("not a matcher");
  });

  test.each(['a=~"(?=x)"', 'a=~"(a)\\\\1"', 'a=~"("'])("%s is not linear", (text) => {
    expect(() => parseMatcher(text)).toThrow("not a linear regular expression");
  });
});

test("a series is written and read alike", () => {
  const series = { measurement: "orders", tags: { country: "Côte, {d}", a: 'x"y' }, field: "amount" };
  const text = formatSeries(series);
  const selector = parseSelector(text);
  expect(selector).toMatchObject({ measurement: "orders", field: "amount" });
  expect(selector.tags.every((tag) => matches(tag, series.tags))).toBe(true);
  expect(selector.tags).toHaveLength(2);
});

test.each(["", "{a}", "orders{", "a b", "orders{country=Germany}"])("%j is not a selector", (text) => {
  expect(() => parseSelector(text)).toThrow(/not a (series selector|matcher)/);
});

test("a fingerprint does not depend on the order of labels", () => {
  expect(fingerprint({ a: "1", b: "2" })).toBe(fingerprint({ b: "2", a: "1" }));
  expect(fingerprint({ a: "1" })).not.toBe(fingerprint({ a: "2" }));
});
