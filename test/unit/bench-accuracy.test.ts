import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copySeries, readOptions } from "../../bench/accuracy/options.ts";
import { parts } from "../../bench/accuracy/parts.ts";
import { peers } from "../../bench/accuracy/peers/index.ts";
import { type Row, tablesOf } from "../../bench/accuracy/score.ts";
import { gridOf, readGrid } from "../../bench/accuracy/series.ts";
import { checkParts, copyOfSource, variantOf } from "../../bench/accuracy/variant.ts";
import { formatProblem, Problem } from "../../src/core/problem.ts";
import { testFolder } from "./store/support.ts";

const folder = testFolder("bench-accuracy");
const perDay = 288;
/** Nine in the morning of the eleventh day, for an hour. */
const outage = { from: 10 * perDay + 108, to: 10 * perDay + 120 };

/** Twelve days at 5 minutes: a day's shape, a little noise, one gap, and an hour without anything. */
function shopDays(): { timesMs: number[]; values: number[]; stepMs: number } {
  let state = 1;
  const timesMs = Array.from({ length: 12 * perDay }, (_, slot) => slot * 300_000);
  const values = timesMs.map((_, slot) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    if (slot >= outage.from && slot < outage.to) return 0;
    if (slot >= 2_000 && slot < 2_005) return Number.NaN;
    return 1_000 + 400 * Math.sin((2 * Math.PI * slot) / perDay) + 60 * (state / 2 ** 32 - 0.5);
  });
  return { timesMs, values, stepMs: 300_000 };
}

describe("peers", () => {
  const days = shopDays();
  const judges = peers.flatMap((peer) => ("judge" in peer ? [peer] : []));

  test.each(judges)("$name calls an outage, and nothing else as loudly", ({ judge }) => {
    const scores = judge(gridOf(days));
    const during = Math.max(...scores.subarray(outage.from, outage.to));
    const before = Math.max(...scores.subarray(0, outage.from));
    expect(during).toBeGreaterThanOrEqual(1);
    expect(during).toBeGreaterThan(2 * before);
    expect(scores.every((score) => Number.isFinite(score) && score >= 0)).toBe(true);
  });

  test.each(judges)("$name says the same of a slot when it cannot know what comes after", ({ judge }) => {
    const whole = judge(gridOf(days));
    const cut = outage.from + 3;
    const known = judge(gridOf({ ...days, timesMs: days.timesMs.slice(0, cut), values: days.values.slice(0, cut) }));
    expect([...known]).toEqual([...whole.subarray(0, cut)]);
  });
});

test("missing rows and empty values are gaps of the grid, and labels are not read", () => {
  const path = join(folder, "gaps.csv");
  writeFileSync(path, "timestamp,label,value\n0,1,5\n60,0,\n120,0,7\n300,1,9\n");
  const { values, rows, perDay } = readGrid(path);
  expect([...values]).toEqual([5, Number.NaN, 7, Number.NaN, Number.NaN, 9]);
  expect(rows.map(({ timeS, cell }) => [timeS, cell])).toEqual([
    [0, 0],
    [60, 1],
    [120, 2],
    [300, 5],
  ]);
  expect(perDay).toBe(1_440);
});

describe("arguments", () => {
  const home = join(folder, "home", "main");
  const series = join(folder, "series");
  const scorer = join(folder, "score.py");
  mkdirSync(home, { recursive: true });
  mkdirSync(join(folder, "other", "series"), { recursive: true });
  mkdirSync(join(folder, "empty"));
  mkdirSync(series);
  for (let one = 0; one < 40; one += 1) writeFileSync(join(series, `shop-${one}.csv`), "timestamp,value\n");
  for (const name of ["index.csv", "events.csv"]) writeFileSync(join(series, name), "");
  writeFileSync(join(folder, "other", "series", "a.csv"), "");
  writeFileSync(scorer, "");
  const names = peers.map(({ name }) => name);
  const command = { call: "npm run bench:accuracy", what: "peer", names, always: "bellwether" };
  const options = (...args: string[]) => readOptions([series, "--scorer", scorer, ...args], home, command);

  test.each([
    [[], "no folder of series is given"],
    [[join(folder, "nowhere")], "nowhere - cannot be read: ENOENT"],
    [[join(folder, "empty")], "empty - there is no .csv or .csv.gz file. Fix: name a folder of series."],
    [[series], "../shared/tools/score.py - there is no scorer beside the project. Fix: name one with --scorer PATH."],
    [[series, "--scorer", "/no/such"], "--scorer /no/such - there is no such scorer."],
    [[series, "--series", "0"], '--series - not a number of series (got "0"). Fix: write 1 or more.'],
    [[series, "--series", "3", "--match", "x"], "--series, --match - a number of series and a text"],
    [[series, "--match", "nothing"], "none of the 40 series is left over"],
    [[series, "--split", "2"], '--split - there are two halves (got "2"). Fix: write 0 or 1.'],
    [
      [series, "--scorer", scorer, "--only", "pair,profet"],
      '--only - no peer is called "profet". Fix: name some of pair,',
    ],
    [[series, join(folder, "other", "series")], "two folders are called series"],
    [[series, "--loud"], "Unknown option '--loud'"],
  ])("%j is refused", (args, told) => {
    let problem: unknown;
    try {
      readOptions(args, home, command);
    } catch (thrown) {
      problem = thrown;
    }
    expect(problem).toBeInstanceOf(Problem);
    expect(formatProblem(problem as Problem)).toContain(told);
  });

  test("the scorer's folder will do, and peers keep the order of the list", () => {
    const { scorer: found, only } = readOptions([series, "--scorer", folder, "--only", "fluxev,pair"], home, command);
    expect(found).toBe(scorer);
    expect(only).toEqual(["pair", "fluxev"]);
    expect(options().only).toEqual(names);
    expect(options("--only", "bellwether").only).toEqual([]);
  });

  test("two halves by name hold every series once, and a number of them is the same mixture each time", () => {
    const filesOf = (...args: string[]) => options(...args).folders[0]?.files ?? [];
    const [one, other] = [filesOf("--split", "0"), filesOf("--split", "1")];
    expect([...one, ...other].sort()).toEqual(filesOf());
    expect(Math.min(one.length, other.length)).toBeGreaterThan(10);
    // Fixed for ever: who looked at one half yesterday must not decide on it tomorrow. sha256 begins 09eb... and 966c...
    const halfOf = options().folders[0]?.halfOf;
    expect([halfOf?.("dev_03_mid"), halfOf?.("dev_00_high")]).toEqual([0, 1]);
    expect(filesOf("--series", "5")).toHaveLength(5);
    expect(filesOf("--series", "5")).toEqual(filesOf("--series", "5"));
    expect(filesOf("--series", "5")).not.toEqual(filesOf().slice(0, 5));
  });

  test("the half that decides may be named by how its series begin", () => {
    const files = options("--held", "shop-2, shop-7", "--split", "1").folders[0]?.files ?? [];
    expect(files).toHaveLength(12);
    expect(files).toContain("shop-2.csv");
    expect(files).toContain("shop-29.csv");
    expect(files).toContain("shop-7.csv");
  });

  test("what is judged is a copy of the chosen series and the lists beside them", () => {
    const copy = copySeries(options("--match", "shop-1.csv").folders[0] as never, join(folder, "copy"));
    expect(readdirSync(copy).sort()).toEqual(["events.csv", "index.csv", "shop-1.csv"]);
  });
});

test("tables show figures by group in the order of volume, and who has none says why", () => {
  const event = { p: 0.5, r: 1, f1: 2 / 3, r_timely: 0.9, fa_wk: 12.3, events: 4, found: 4, false: 4 };
  const figures = { series: 2, weeks: 6, event_op: event, delay_op: { f1: 0.75 }, event_best: null };
  const silent = { ...figures, event_op: { ...event, events: 0, r: null as never, r_timely: null as never } };
  const rows: Row[] = [
    { name: "one", usPerPoint: 1.234, scores: { ALL: figures, _low: figures, _high: silent } },
    { name: "two", usPerPoint: 9, scores: { why: "it ended with 1: no memory" } },
  ];
  expect(tablesOf(rows)).toEqual([
    "         P      R     F1  false/week  timely  delay-F1  best F1  best delay-F1  us/point",
    "one  0.500  1.000  0.667          12   0.900     0.750        -              -       1.2",
    "",
    "timely share by group (events in it)",
    "     high (0)  low (4)",
    "one         -    0.900",
    "",
    "event F1, and false incidents per series-week, by group",
    "     high (0)   low (4)",
    "one      - 12  0.667 12",
    "",
    "two: no figures, it ended with 1: no memory",
  ]);
});

describe("parts of the judge", () => {
  const root = join(import.meta.dirname, "../..");
  const source = copyOfSource(root, join(folder, "source"));

  test("every text that is replaced is there once, and no two parts have one name", () => {
    expect(() => checkParts(source, parts)).not.toThrow();
    expect(new Set(parts.map(({ name }) => name)).size).toBe(parts.length);
  });

  test.each([
    ["const openNats = 13;", "0 times"],
    ["readonly", "times"],
  ])("a text that is not there exactly once is refused: %s", (from, told) => {
    const part = { name: "stale", on: [], replacements: [{ file: "reading.ts", from, to: "" }] };
    expect(() => checkParts(source, [part])).toThrow(told);
  });

  test("a variant judges by what replaced the part, and the source stays as it is", async () => {
    const from = "export const openNats = 12;";
    const before = readFileSync(join(source, "src/judge/reading.ts"), "utf8");
    const deaf = { name: "deaf", on: [], replacements: [{ file: "reading.ts", from, to: from.replace("12", "1e9") }] };
    const { timesMs, values, stepMs } = shopDays();
    const series = { timesMs, values: values.map((value) => Math.round(value)), stepMs, kind: "auto" as const };
    const called = async (name: string, part: typeof deaf) => {
      const { judgeSeries } = await variantOf(source, join(folder, name), part);
      return judgeSeries(series).filter(({ anomaly }) => anomaly === 1).length;
    };
    expect(await called("plain", { ...deaf, replacements: [] })).toBeGreaterThan(5);
    expect(await called("deaf", deaf)).toBe(0);
    expect(readFileSync(join(source, "src/judge/reading.ts"), "utf8")).toBe(before);
  });
});
