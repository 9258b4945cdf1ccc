import { describe, expect, test } from "vitest";
import { cellsOf } from "../../../src/cli/csv-cells.ts";

describe("cells of a line", () => {
  test.each([
    ["plain", "1780272000,3", ["1780272000", "3"]],
    ["empty ones", ",a,", ["", "a", ""]],
    ["an empty line is one", "", [""]],
    ["a quoted comma", '1,"a,b",2', ["1", "a,b", "2"]],
    ["doubled quotes", '"say ""no""",1', ['say "no"', "1"]],
    ["what series --csv writes", '1780272000,"a{b=""x"",c=""y""}.z",3', ["1780272000", 'a{b="x",c="y"}.z', "3"]],
    ["nothing in quotes", '"",1,""', ["", "1", ""]],
    ["only quotes in quotes", '"""",""""""', ['"', '""']],
    ["blanks around quotes", '1, "a, b" ,2', ["1", "a, b", "2"]],
    ["blanks inside are kept", '" a ", b ', [" a ", " b "]],
    ["an empty cell at the end", '"a",', ["a", ""]],
    ["quotes inside a cell that has none around it", '5" pipe,1', ['5" pipe', "1"]],
  ])("%s", (_, line, cells) => {
    expect(cellsOf(line)).toEqual(cells);
  });

  test.each([
    ["not closed", '1,"a,b'],
    ["closed by a doubled one only", '"a""'],
    ["a quote alone at the end", '1,"'],
    ["text after the closing one", '"a"b,1'],
  ])("%s: null", (_, line) => {
    expect(cellsOf(line)).toBeNull();
  });
});
