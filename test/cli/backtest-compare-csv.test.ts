/** One folder of files judged in two ways: what alerts one has that the other has not, and which of them were events. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Place, run, runInside } from "./run.ts";

const dir = mkdtempSync(join(tmpdir(), "bellwether-ways-"));
const here: Place = { config: dir, data: join(dir, "data") };
const files = join(dir, "files");
afterAll(() => rmSync(dir, { recursive: true }));

const hourMs = 3_600_000;
const startMs = Date.parse("2026-06-01T00:00:00Z");
const hours = Array.from({ length: 20 * 24 }, (_, hour) => hour);
const usual = (hour: number) => 200 + ((hour * 7) % 11) - 5;
/** Two hours with a third less on the 17th, and four hours with nothing on the 19th, which was an event. */
const dipped = (hour: number) => hour >= 400 && hour < 402;
const down = (hour: number) => hour >= 440 && hour < 444;
const orders = (hour: number) => (down(hour) ? 0 : dipped(hour) ? 130 : usual(hour));

const rows = (value: (hour: number) => number, label?: (hour: number) => boolean) =>
  [
    `timestamp,value${label ? ",label" : ""}`,
    ...hours.map((hour) => {
      const time = (startMs + hour * hourMs) / 1_000;
      return `${time},${value(hour)}${label ? `,${Number(label(hour))}` : ""}`;
    }),
  ].join("\n");

function way(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

const common = ["--kind", "count", "--pending", "1 of 1"];
const compare = (path: string, ...more: string[]) =>
  runInside(here, ["backtest", "--csv", files, "--compare", path, ...common, ...more]);

beforeAll(() => {
  mkdirSync(files);
  writeFileSync(join(files, "orders.csv"), rows(orders, down));
  writeFileSync(join(files, "calm.csv"), rows(usual));
});

const low = "judge: { orders: { kind: count, sensitivity: low, floor: { percent: 60 } } }\n";

describe("alerts", () => {
  test("judged by what the defaults are written out to be, nothing differs, and nothing is written", async () => {
    const path = way("same.yaml", "judge: { value: { kind: count } }\n");
    const { code, out, err } = await run(here, ["backtest", "--csv", files, "--compare", path, ...common]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^2 files over 20d, by --kind count and by .*same\.yaml\n/);
    expect(out).toMatch(/\n {2}slots +960 +960\n/);
    expect(out).toMatch(/\n {2}of 1 confirmed +1 +1\n/);
    expect(out).toMatch(
      /\ngained 0 \(0 confirmed\), lost 0 \(0 confirmed\), moved 0 \(0 confirmed\), same 2 \(1 conf.*\n$/,
    );
    expect(readdirSync(files).sort()).toEqual(["calm.csv", "orders.csv"]);
  });

  test("what is lost is told by series, and what was labelled is confirmed", async () => {
    const { code, out, err } = await compare(way("low.yaml", low));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(
      /\ngained 0 \(0 confirmed\), lost 1 \(0 confirmed\), moved 0 \(0 confirmed\), same 1 \(1 confirmed\)\n/,
    );
    expect(out).toMatch(/\nseries +gained +lost +moved +same\norders +0 +1 +0 +1\n/);
    expect(out).toMatch(/\nlost +2026-06-17T16:00:00Z {2}\S+ +warning +130 instead of 20\d +no +orders\n$/);
  });

  test("for programs, as samplers are compared", async () => {
    const facts = JSON.parse((await compare(way("low.yaml", low), "--json")).out);
    expect(facts).toMatchObject({
      csv: files,
      files: 2,
      confirmed: 1,
      from: "2026-06-01T00:00:00Z",
      gained: [],
      moved: [],
    });
    expect(facts.lost).toMatchObject([{ series: "orders", begin: "2026-06-17T16:00:00Z", confirmed: false }]);
    expect(facts.same).toMatchObject([
      { before: { series: "orders", begin: "2026-06-19T08:00:00Z", confirmed: true } },
    ]);
    expect(facts.now).toMatchObject({ slots: 960, incidents: 2, alerts: 2, confirmed: 1 });
    expect(facts.other).toMatchObject({ slots: 960, incidents: 1, alerts: 1, confirmed: 1 });
    expect(facts.now.weeks).toHaveLength(3);
  });

  test("a whole sampler says how it judges and how its alerts live; the rest of it is not looked at", async () => {
    const sampler = `name: shop-orders\nsource: { none: {} }\n${low.replace("low", "normal").replace("60", "20")}`;
    const patient = await compare(way("patient.yaml", `${sampler}alert: { pending: 3 of 3 }\n`));
    expect(patient.out).toMatch(/\ngained 0 .*, lost 1 \(0 confirmed\), moved 0 .*, same 1 \(1 confirmed\)\n/);
    const equal = await compare(way("equal.yaml", sampler));
    expect(equal.out).toMatch(/\ngained 0 .*, lost 0 .*, moved 0 .*, same 2 /);
  });

  test("of several fields, the one that is called as the file; without one the file is told, the others compared", async () => {
    const path = way("two.yaml", "judge: { orders: { kind: count, floor: { percent: 60 } }, amount: {} }\n");
    const { code, out, err } = await compare(path);
    expect(code).toBe(1);
    expect(out).toMatch(/^1 file over 20d/);
    expect(out).toMatch(/, lost 1 \(0 confirmed\)/);
    expect(err).toBe(
      `${join(files, "calm.csv")} - ${path} judges 2 fields, none called calm. ` +
        `Fix: call the file as a field (orders, amount), or leave one field in ${path}.\n`,
    );
  });

  test("a ratio has no denominators in a file, and is judged without", async () => {
    const path = way("ratio.yaml", "judge: { value: { kind: ratio, denominator: tried } }\n");
    const facts = JSON.parse((await compare(path, "--json")).out);
    expect(facts.other.verdicts).toMatchObject({ normal: expect.any(Number) });
    expect(facts.other.verdicts.normal).toBeGreaterThan(100);
  });
});

test("a label that is none is a fault of its file, told only where labels are wanted", async () => {
  const odd = join(dir, "odd");
  mkdirSync(odd);
  writeFileSync(join(odd, "a.csv"), "timestamp,value,label\n0,1,\n60,1,yes\n");
  const path = way("same.yaml", "judge: { value: {} }\n");
  const compared = await runInside(here, ["backtest", "--csv", odd, "--compare", path]);
  expect(compared).toMatchObject({ code: 1, out: "" });
  expect(compared.err).toBe(`${join(odd, "a.csv")}:3 - not a label (got "yes"). Fix: write 0 or 1.\n`);
  expect(await runInside(here, ["backtest", "--csv", odd, "--out", join(dir, "o")])).toMatchObject({
    code: 0,
    err: "",
  });
});

describe("what cannot be compared is exit code 2, with all that is wrong", () => {
  test.each<[string, string, RegExp]>([
    [
      "faults of judging and of the life of alerts",
      "judge: { orders: { kid: count, floor: { percent: 0 } } }\nalert: { pending: 3 of 2 }\n",
      /^CFG-005 .*:1:20 judge\.orders\.kid - unknown key.*did you mean "kind".*\nRUL-002 .*:1:50 .*\nRUL-002 .*:2:19 alert\.pending - /,
    ],
    ["nothing of judging", "name: x\n", /^CFG-018 .*:1:1 judge - missing\. Fix: add "judge"/],
    ["no field", "judge: {}\n", /^CFG-018 .*:1:8 judge - judges nothing\. Fix: write/],
    ["no YAML", "judge: [", /^CFG-017 /],
  ])("%s", async (name, text, says) => {
    const { code, out, err } = await compare(way(`${name.replaceAll(" ", "-")}.yaml`, text));
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(says);
  });

  test("a folder, no file, and what does not go together", async () => {
    const faults = async (...args: string[]) => {
      const { code, out, err } = await runInside(here, ["backtest", "--csv", files, ...args]);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      return err;
    };
    expect(await faults("--compare", dir)).toBe(
      `${dir} - --compare: not a file. Fix: name a file with judge: in it.\n`,
    );
    expect(await faults("--compare", join(dir, "none.yaml"))).toMatch(/none\.yaml - --compare: cannot be read: ENOENT/);
    expect(await faults("--compare", way("low.yaml", low), "--out", join(dir, "out"))).toMatch(
      /needs one of --out and/,
    );
    expect(existsSync(join(dir, "out"))).toBe(false);
  });
});
