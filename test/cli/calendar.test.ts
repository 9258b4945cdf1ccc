/** `calendar import`: an iCalendar file becomes a file that `check` finds nothing wrong with. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Place, type Ran, run, runInside } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

let dir = "";
let here: Place;
let ics = "";
let written = "";

beforeEach(() => {
  ({ dir, place: here } = makePlace());
  ics = join(dir, "days.ics");
  written = join(here.config, "rules/calendars/plan.yaml");
  writeFileSync(
    ics,
    [
      ...["BEGIN:VCALENDAR", "VERSION:2.0"],
      ...[
        "BEGIN:VEVENT",
        "UID:1",
        "SUMMARY:Founders' day",
        "DTSTART;VALUE=DATE:20200501",
        "RRULE:FREQ=YEARLY",
        "END:VEVENT",
      ],
      ...["BEGIN:VEVENT", "UID:2", "SUMMARY:Sale", "DTSTART:20260616T200000", "DURATION:PT26H", "END:VEVENT"],
      ...["END:VCALENDAR", ""],
    ].join("\r\n"),
  );
});
afterEach(() => removePlace(dir));

function importing(...args: readonly string[]): Promise<Ran> {
  return runInside(here, ["calendar", "import", ics, "--name", "plan", "--years", "2026-2027", ...args]);
}

test("days off are written where check reads them, and what has hours is told", async () => {
  const place = { ...here };
  const { code, out, err } = await run(place, ["calendar", "import", ics, "--name", "plan", "--years", "2026-2027"]);
  expect(err).toBe(`warning CAL-W13 ${ics}:9:1 - left out: "Sale" has hours, and holidays are whole days\n`);
  expect(out).toBe(`${written}: 2 holidays; samplers name it with calendar: plan\n`);
  expect(code).toBe(0);
  expect(readFileSync(written, "utf8")).toBe(
    '# From days.ics, by bellwether calendar import.\ncalendars:\n  plan:\n    zone: "UTC"\n    holidays:\n' +
      '      2026-05-01: "Founders\' day"\n      2027-05-01: "Founders\' day"\n',
  );
  const checked = await runInside(here, ["check"]);
  expect(checked).toMatchObject({ code: 0 });
  expect(checked.out).toContain("1 calendar");
});

test("campaigns, printed and as facts", async () => {
  const printed = await importing("--as", "campaigns", "--uplift", "2.5", "--match", "(?i)sale", "--out", "-");
  expect(printed).toMatchObject({ code: 0, err: "" });
  expect(printed.out).toContain(
    '      - title: "Sale"\n        from: "2026-06-16 20:00"\n        to: "2026-06-17 22:00"\n        expect:\n          uplift: 2.5\n',
  );
  const facts = await importing("--zone", "Asia/Shanghai", "--json");
  expect(JSON.parse(facts.out)).toMatchObject({ file: written, name: "plan", as: "holidays", count: 2 });
  expect(readFileSync(written, "utf8")).toContain('zone: "Asia/Shanghai"');
});

test("a file that is there is written over on demand only", async () => {
  writeFileSync(join(here.config, "mine.yaml"), "mine");
  const out = join(here.config, "mine.yaml");
  const refused = await importing("--out", out);
  expect(refused).toMatchObject({ code: 2, out: "" });
  expect(refused.err).toBe(`${out} - is there already. Fix: add --replace, or write to another file with --out.\n`);
  expect(readFileSync(out, "utf8")).toBe("mine");
  expect(await importing("--out", out, "--replace")).toMatchObject({ code: 0 });
  expect(readFileSync(out, "utf8")).toContain("2026-05-01");
});

test.each<[readonly string[], RegExp]>([
  [["--as", "days"], /'days' is invalid\. Allowed choices are holidays, workdays, campaigns/],
  [["--as", "campaigns"], /^--as - campaigns need what is expected of them\. Fix: add --uplift 2\.5/],
  [["--as", "campaigns", "--uplift", "0"], /^--uplift - wants a number from 0\.01 to 100 \(got "0"\)\. Fix: /],
  [["--uplift", "2"], /^--uplift - only for campaigns\. Fix: add --as campaigns\.\n$/],
  [["--name", "a b"], /^--name - not a name \(got "a b"\)\. Fix: /],
  [["--zone", "Beijing"], /^--zone - unknown time zone \(got "Beijing"\)\. Fix: /],
  [["--years", "soon"], /^--years - not years \(got "soon"\)\. Fix: /],
  [["--years", "2028-2026"], /^--years - not years/],
  [["--match", "("], /^RUL-001 --match - not a linear regular expression \(got "\("\)\. Fix: /],
])("%s is a fault of usage, and nothing is written", async (args, says) => {
  const { code, err, out } = await importing(...args);
  expect(err).toMatch(says);
  expect({ code, out, written: existsSync(written) }).toEqual({ code: 2, out: "", written: false });
});

test("files that are broken, empty of what is wanted, too large or not there", async () => {
  const nothing = await importing("--match", "Christmas");
  expect(nothing).toMatchObject({ code: 1, out: "" });
  expect(nothing.err).toBe(
    `CAL-015 ${ics} - no holidays found in it. Fix: look at --years and --match, and at what the file holds.\n`,
  );
  writeFileSync(
    ics,
    "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:never\nEND:VEVENT\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR\n",
  );
  const broken = await importing();
  expect(broken.code).toBe(2);
  expect(broken.err.split("\n").map((line) => line.slice(0, 7 + ics.length + 5))).toEqual([
    `CAL-010 ${ics}:3:1`,
    `CAL-011 ${ics}:5:1`,
    "",
  ]);
  writeFileSync(ics, "x".repeat(1_000_001));
  expect(await importing()).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^CFG-003 .* - larger than 1000000 bytes/),
  });
  const gone = await runInside(here, ["calendar", "import", join(dir, "none.ics"), "--name", "plan"]);
  expect(gone).toMatchObject({ code: 2, err: expect.stringMatching(/none\.ics - cannot be read: ENOENT/) });
  expect(await runInside(here, ["calendar", "import", dir, "--name", "plan"])).toMatchObject({
    ...{ code: 2, err: `${dir} - cannot be read: not a file. Fix: check the path.\n` },
  });
  expect(existsSync(written)).toBe(false);
});
