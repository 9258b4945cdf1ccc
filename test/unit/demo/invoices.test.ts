import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { readRealDays } from "../../../src/cli/demo/invoices.ts";

const folder = mkdtempSync(join(tmpdir(), "bellwether-invoices-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const header = "invoice_no,invoiced_at,country,lines,units,amount_gbp,cancelled";

describe("the real invoices", () => {
  // Counted in the file by other means: awk over its columns, `cal` for the weekdays.
  const days = readRealDays();
  const invoices = days.flatMap((day) => day.invoices);

  test("305 days from 2010-12-01 to 2011-12-09, none of them a Saturday", () => {
    expect([days.length, days[0]?.date, days.at(-1)?.date]).toEqual([305, "2010-12-01", "2011-12-09"]);
    const byWeekday = [1, 2, 3, 4, 5, 6, 7].map((weekday) => days.filter((day) => day.weekday === weekday).length);
    expect(byWeekday).toEqual([47, 52, 53, 53, 50, 0, 50]);
  });

  test("25,900 rows, of which 3,836 are cancellations and 2,104 are neither those nor worth anything", () => {
    expect(invoices.length).toBe(25_900 - 2_104);
    expect(invoices.filter((invoice) => invoice.cancelled).length).toBe(3_836);
    expect(invoices.every((invoice) => invoice.cancelled || invoice.amount > 0)).toBe(true);
  });

  test("the first one reads as it stands in the file", () => {
    expect(days[0]?.invoices[0]).toEqual({
      minuteOfDay: 8 * 60 + 26,
      country: "United Kingdom",
      amount: 139.12,
      cancelled: false,
    });
  });
});

describe("a file that is not what it should be is a Problem with its place and a fix", () => {
  const cases: [string, string | Buffer, RegExp, string][] = [
    ["not gzip", "invoice_no", /cannot read the demo's invoices/, ""],
    ["another header", gzipSync("a,b\n"), /not a row/, ":1"],
    [
      "a broken row",
      gzipSync(`${header}\n1,2011-01-04 10:00:00,France,1,2,3.50,0\n2,yesterday,x\n`),
      /not a row/,
      ":3",
    ],
  ];
  for (const [name, content, message, place] of cases) {
    test(name, () => {
      const path = file(name, content);
      const wanted = { name: "Problem", where: path + place, fix: expect.stringContaining("repository") };
      expect(() => readRealDays(path)).toThrow(expect.objectContaining(wanted));
      expect(() => readRealDays(path)).toThrow(message);
    });
  }

  test("a file that is not there", () => {
    expect(() => readRealDays(join(folder, "none"))).toThrow(/cannot read the demo's invoices: ENOENT/);
  });
});
