import { expect, test } from "vitest";
import { durationText, numberText, oneLine, ordinalText, slotText, timeText } from "../../../src/notify/words.ts";

test.each([
  [0, "0"],
  [3, "3"],
  [0.256, "0.26"],
  [21.44, "21.4"],
  [12340.7, "12,341"],
  [-61.25, "-61.3"],
  [null, "no value"],
])("%s is written %s", (value, text) => expect(numberText(value)).toBe(text));

test.each([
  [0, "0 s"],
  [45_000, "45 s"],
  [59_999, "1 min"],
  [45 * 60_000, "45 min"],
  [125 * 60_000, "2 h 5 min"],
  [3_599_700, "1 h"],
  [76 * 3_600_000, "3 d 4 h"],
  [86_399_000, "1 d"],
])("%i ms is %s", (ms, text) => expect(durationText(ms)).toBe(text));

test.each([
  [1, "1st"],
  [2, "2nd"],
  [3, "3rd"],
  [4, "4th"],
  [11, "11th"],
  [13, "13th"],
  [22, "22nd"],
  [101, "101st"],
])("%i is the %s", (count, text) => expect(ordinalText(count)).toBe(text));

test("slots and times are said by the wall clock of the zone, in summer and winter", () => {
  const summer = Date.parse("2026-07-20T09:41:00Z");
  const winter = Date.parse("2026-11-20T09:41:00Z");
  expect(slotText(summer, 60_000, "Europe/London")).toBe("the minute from 10:41");
  expect(slotText(winter, 3_600_000, "Asia/Shanghai")).toBe("the hour from 17:41");
  expect(slotText(winter, 900_000, "UTC")).toBe("15 min from 09:41");
  expect(slotText(winter, 86_400_000, "UTC")).toBe("the day from 2026-11-20 09:41");
  expect(timeText(winter, "America/New_York")).toBe("2026-11-20 04:41 (America/New_York)");
});

test("one line, cut between letters", () => {
  expect(oneLine("a\r\nb\tc\u2029d")).toBe("a b c d");
  expect(oneLine("👍👍👍👍", 3)).toBe("👍👍…");
});
