import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Place, type Ran, run, runInside } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "bellwether-csv-"));
const here: Place = { config: dir, data: join(dir, "data") };
afterAll(() => rmSync(dir, { recursive: true }));

const hourS = 3_600;
const startS = Date.parse("2026-06-01T00:00:00Z") / 1_000;
/** Fifteen days by the hour, about 200 an hour, and nothing at all in the last three hours but one. */
const hours = Array.from({ length: 15 * 24 }, (_, hour) => ({ hour, timeS: startS + hour * hourS }));
const down = (hour: number) => hour >= 15 * 24 - 4 && hour < 15 * 24 - 1;
const usual = ({ hour }: { hour: number }) => 200 + ((hour * 7) % 11) - 5;
const valueAt = (one: { hour: number }) => (down(one.hour) ? 0 : usual(one));

const plain = ["timestamp,value", ...hours.map((one) => `${one.timeS},${valueAt(one)}`)];
const labelled = (label: (hour: number) => number) => [
  "label,value,timestamp,note",
  ...hours.map((one) => `${label(one.hour)},${valueAt(one)},${one.timeS},x`),
];
/** As `series --csv` writes a series of two tags. */
const quoted = ["timestamp,series,value", ...hours.map((one) => `${one.timeS},"a{b=""x"",c=""y""}.z",${valueAt(one)}`)];
/** Every twentieth row is not there, and every thirtieth has no value. */
const gaps = hours.filter(({ hour }) => hour % 20 !== 0 || down(hour));
const missing = gaps.map(
  (one) => `${one.timeS},${one.hour % 30 === 5 ? ["", "NaN", "null"][one.hour % 3] : valueAt(one)}`,
);

function folder(name: string, files: Readonly<Record<string, string | Buffer>>): { in: string; out: string } {
  const from = join(dir, name);
  mkdirSync(from);
  for (const [file, content] of Object.entries(files)) writeFileSync(join(from, file), content);
  return { in: from, out: join(dir, `${name}-out`) };
}

const rowsOf = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n");

describe("files that are in order", () => {
  let ran: Ran;
  let out = "";
  beforeAll(async () => {
    const made = folder("sound", {
      "plain.csv": plain.join("\n"),
      "packed.csv.gz": gzipSync(plain.join("\r\n")),
      "bom.csv": `\uFEFF${plain.join("\n")}\n`,
      "truth.csv": labelled((hour) => Number(down(hour))).join("\n"),
      "lies.csv": labelled((hour) => Number(!down(hour))).join("\n"),
      "missing.csv": ["timestamp,value", ...missing].join("\n"),
      "quoted.csv": quoted.join("\r\n"),
      "index.csv": "name,what\nplain,orders\n",
      "notes.txt": "not a series",
    });
    out = made.out;
    ran = await run(here, ["backtest", "--csv", made.in, "--out", made.out, "--json"]);
  });

  test("each gets an answer of its own, by the step of its data", () => {
    expect(ran).toMatchObject({ code: 0, err: "" });
    const done: { series: string; rows: number; anomalies: number; step: string }[] = JSON.parse(ran.out);
    expect(done.map(({ series }) => series)).toEqual(["bom", "lies", "missing", "packed", "plain", "quoted", "truth"]);
    expect(new Set(done.map(({ step }) => step))).toEqual(new Set(["1h"]));
    expect(readdirSync(out).sort()).toEqual(done.map(({ series }) => `${series}.csv`));
  });

  test("a row in, a row out: timestamp, 0 or 1, and the evidence that the one threshold is compared with", () => {
    const [header, ...rows] = rowsOf(join(out, "plain.csv"));
    expect(header).toBe("timestamp,anomaly,score");
    expect(rows).toHaveLength(hours.length);
    const cells = rows.map((row) => row.split(",").map(Number) as [number, number, number]);
    expect(cells.map(([timeS]) => timeS)).toEqual(hours.map(({ timeS }) => timeS));
    expect(hours.filter((_, index) => cells[index]?.[1] === 1).map(({ hour }) => hour)).toEqual(
      hours.map(({ hour }) => hour).filter(down),
    );
    const scores = (anomaly: number) => cells.filter((row) => row[1] === anomaly).map((row) => row[2]);
    expect(Math.min(...scores(1))).toBeGreaterThan(Math.max(...scores(0)));
  });

  test("packing, line ends, byte order mark, columns, quotes and a label change nothing", () => {
    const expected = rowsOf(join(out, "plain.csv"));
    for (const name of ["packed", "bom", "truth", "lies", "quoted"])
      expect(rowsOf(join(out, `${name}.csv`))).toEqual(expected);
  });

  test("a missing row is a missing slot, a missing value is no zero: neither is an anomaly", () => {
    const rows = rowsOf(join(out, "missing.csv")).slice(1);
    expect(rows).toHaveLength(gaps.length);
    const bad = rows
      .filter((row) => row.split(",")[1] === "1")
      .map((row) => (Number(row.split(",")[0]) - startS) / hourS);
    expect(bad).toEqual(hours.map(({ hour }) => hour).filter(down));
  });

  test("causal: what comes later changes no verdict", async () => {
    const cut = 15 * 24 - 3;
    const made = folder("cut", { "plain.csv": plain.slice(0, 1 + cut).join("\n") });
    await runInside(here, ["backtest", "--csv", made.in, "--out", made.out]);
    expect(rowsOf(join(made.out, "plain.csv"))).toEqual(rowsOf(join(out, "plain.csv")).slice(0, 1 + cut));
  });

  test("for people it is a table", async () => {
    const { code, out: text } = await runInside(here, [
      "backtest",
      "--csv",
      join(dir, "sound"),
      "--out",
      join(dir, "t"),
    ]);
    expect(code).toBe(0);
    expect(text.split("\n").slice(0, 2)).toEqual(["series   rows  anomalies  step", "bom       360          3  1h"]);
  });
});

describe("with the life of alerts", () => {
  const steps = (name: string, ...more: string[]) => {
    const made = join(dir, "sound");
    return runInside(here, ["backtest", "--csv", made, "--out", join(dir, name), "--alerts", "--json", ...more]);
  };
  type Told = { series: string; incidents: number; messages: number; weeks: { incidents: { critical: number } }[] };
  const told = async (...args: Parameters<typeof steps>): Promise<Told> => {
    const ran = await steps(...args);
    expect(ran).toMatchObject({ code: 0, err: "" });
    return (JSON.parse(ran.out) as Told[]).find(({ series }) => series === "plain") as Told;
  };

  test("two bad rows of three open an incident, which is told when it begins; what is written stays as it was", async () => {
    const plainTold = await told("lives");
    // It is bad until the last hour but one, so it has not recovered at the end.
    expect(plainTold).toMatchObject({ series: "plain", incidents: 1, messages: 1 });
    expect(plainTold.weeks.map((week) => week.incidents.critical)).toEqual([0, 0, 1]);
    expect(rowsOf(join(dir, "lives/plain.csv"))).toEqual(rowsOf(join(dir, "sound-out/plain.csv")));
  });

  test("one good row that resolves is told too; four bad ones of four there are not", async () => {
    expect(await told("quick", "--recover", "1")).toMatchObject({ incidents: 1, messages: 2 });
    expect(await told("never", "--pending", "4 of 4")).toMatchObject({ incidents: 0, messages: 0 });
  });

  test("for people there are columns more, also by the week", async () => {
    const args = ["--csv", join(dir, "sound"), "--out", join(dir, "people"), "--alerts"];
    const { out } = await runInside(here, ["backtest", ...args]);
    expect(out).toMatch(
      /^series +rows +anomalies +step +incidents +a week +messages +a week\nbom .* 1h +1 +0\.5 +1 +0\.5\n/,
    );
  });

  test.each([
    ["without --alerts", ["--pending", "2 of 3"], /^--pending - goes with --alerts/],
    ["more than there are", ["--alerts", "--pending", "4 of 3"], /^--pending - wants n of m .* \(got "4 of 3"\)/],
    ["words", ["--alerts", "--pending", "many"], /^--pending - wants n of m/],
    [
      "none that resolve",
      ["--alerts", "--recover", "0"],
      /^--recover - wants a whole number from 1 to 100 \(got "0"\)/,
    ],
  ])("%s is exit code 2", async (_, more, message) => {
    const args = ["--csv", join(dir, "sound"), "--out", join(dir, "wrong")];
    const { code, out, err } = await runInside(here, ["backtest", ...args, ...more]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
  });
});

test("files with faults are told by file and line; the others are judged", async () => {
  const made = folder("faulty", {
    "a-sorted.csv": plain.join("\n"),
    "b-unsorted.csv": "timestamp,value\n100,1\n300,2\n200,3\n",
    "c-twice.csv": "timestamp,value\n100,1\n\n100,2\n",
    "d-columns.csv": "time,count\n100,1\n",
    "e-time.csv": "timestamp,value\n2026-06-01T00:00:00Z,1\n",
    "f-value.csv": "timestamp,value\n100,1\n200,many\n",
    "g-packed.csv.gz": "this is not packed",
    "h-empty.csv": "",
    "i-quotes.csv": 'timestamp,series,value\n100,"a{b=""x""}.c",1\n200,"a{b=,2\n',
    "j-header.csv": '"timestamp,value\n100,1\n',
    "k-milliseconds.csv": "timestamp,value\n1780272000000,1\n1780275600000,2\n",
    "l-before.csv": "timestamp,value\n-8640000000000,1\n100,2\n",
    "m-far.csv": "timestamp,value\n0,1\n1780272000,2\n1780272001,2\n1780272002,2\n",
  });
  const { code, out, err } = await runInside(here, ["backtest", "--csv", made.in, "--out", made.out]);
  expect(code).toBe(1);
  expect(out).toMatch(/^series .*\na-sorted +360 +3 {2}1h\n$/);
  const path = (name: string) => join(made.in, name);
  const closing = "Fix: close the quotes in the same line, and write a quote inside them twice.";
  expect(err.trimEnd().split("\n")).toEqual([
    `${path("b-unsorted.csv")}:4 - a time before that of the row above (got 200). Fix: sort the rows by time, one row a time.`,
    `${path("c-twice.csv")}:4 - a second row of one time (got 100). Fix: sort the rows by time, one row a time.`,
    `${path("d-columns.csv")}:1 - no columns timestamp and value. Fix: write the header timestamp,value.`,
    `${path("e-time.csv")}:2 - not a time (got "2026-06-01T00:00:00Z"). Fix: write unix seconds.`,
    `${path("f-value.csv")}:3 - not a value (got "many"). Fix: write a number, or nothing where there is none.`,
    expect.stringContaining(`${path("g-packed.csv.gz")} - cannot be read: incorrect header check. Fix: `),
    `${path("h-empty.csv")}:1 - no columns timestamp and value. Fix: write the header timestamp,value.`,
    `${path("i-quotes.csv")}:3 - a quoted cell that does not end where its quotes do. ${closing}`,
    `${path("j-header.csv")}:1 - a quoted cell that does not end where its quotes do. ${closing}`,
    `${path("k-milliseconds.csv")}:2 - a time after the year 2100 (got 1780272000000). Fix: milliseconds? write unix seconds.`,
    `${path("l-before.csv")} - row 1: a time beyond the calendar (got -8640000000000000 ms). Fix: check the row's time, and its unit.`,
    `${path("m-far.csv")} - too many slots (got 1780272002 of 1s, at most 50000000). Fix: take out rows that lie far from all others, or judge a shorter stretch.`,
  ]);
  expect(readdirSync(made.out)).toEqual(["a-sorted.csv"]);
});

test.each([
  [
    "a folder that is not there",
    (at: string) => ["--csv", join(at, "none"), "--out", join(at, "o")],
    /^--csv - cannot read/,
  ],
  ["an empty folder", (at: string) => ["--csv", at, "--out", join(at, "o")], /^--csv - no \.csv or \.csv\.gz file in/],
  [
    "answers over questions",
    (at: string) => ["--csv", join(at, "full"), "--out", `${at}/full/../full`],
    /^--out - it would/,
  ],
  [
    "a file as folder",
    (at: string) => ["--csv", join(at, "full"), "--out", join(at, "full/a.csv/x")],
    /^--out - cannot make/,
  ],
  ["a kind that is none", (at: string) => ["--csv", at, "--out", at, "--kind", "sum"], /'sum' is invalid/],
])("%s is exit code 2", async (name, args, message) => {
  const at = join(dir, name);
  mkdirSync(join(at, "full"), { recursive: true });
  writeFileSync(join(at, "full/a.csv"), plain.join("\n"));
  const { code, out, err } = await runInside(here, ["backtest", ...args(at)]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(message);
});
