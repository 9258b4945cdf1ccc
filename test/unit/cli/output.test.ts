import { afterEach, describe, expect, test, vi } from "vitest";
import { numberText, paint, table, timeText } from "../../../src/cli/output.ts";
import { counted } from "../../../src/core/words.ts";

describe("table", () => {
  test("columns are as wide as their widest cell, numbers stand to the right, nothing trails", () => {
    expect(
      table(
        ["name", "rows", "note"],
        [
          ["a", 7, "x"],
          ["longer", 1200, ""],
          ["b", null, "last"],
        ],
      ),
    ).toEqual(["name    rows  note", "a          7  x", "longer  1200", "b       -     last"]);
  });

  test("without rows it is its header", () => {
    expect(table(["a", "b"], [])).toEqual(["a  b"]);
  });
});

test.each([
  [0, "0"],
  [1_234_567, "1234567"],
  [0.000123456, "0.0001235"],
  [12.3, "12.3"],
  [99.999, "100"],
  [null, "-"],
  [undefined, "-"],
])("the number %s reads %s", (value, text) => {
  expect(numberText(value)).toBe(text);
});

test("moments are to the second, in UTC", () => {
  expect(timeText(Date.parse("2026-06-17T12:00:01.904Z"))).toBe("2026-06-17T12:00:01Z");
  expect(timeText(Date.parse("1969-12-31T23:59:59.500Z"))).toBe("1969-12-31T23:59:59Z");
});

test("one thing, many things", () => {
  expect([counted(0, "slot"), counted(1, "slot"), counted(2, "slot")]).toEqual(["0 slots", "1 slot", "2 slots"]);
});

describe("colours", () => {
  const { isTTY } = process.stdout;
  afterEach(() => {
    process.stdout.isTTY = isTTY;
    vi.unstubAllEnvs();
  });

  test.each([
    [true, "", "\u001b[31mx\u001b[0m"],
    [true, "1", "x"],
    [false, "", "x"],
  ])("terminal %s, NO_COLOR %j", (terminal, noColor, painted) => {
    process.stdout.isTTY = terminal;
    vi.stubEnv("NO_COLOR", noColor);
    expect(paint("x", "red")).toBe(painted);
  });
});
