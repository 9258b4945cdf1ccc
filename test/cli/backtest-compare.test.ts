/** Two versions of one sampler over the same past: what alerts one has that the other has not. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Place, run, runInside } from "./run.ts";
import { germany, makeShop, removePlace, uk } from "./shop.ts";

let dir = "";
let here: Place;
const time = ["--from", "2026-06-10T09:00:00+01:00", "--to", "2026-06-10T11:10:00+01:00"];

beforeAll(async () => {
  ({ dir, place: here } = await makeShop());
  const { out } = await run(here, ["incidents", "--json"]);
  const incidents: { id: string; title: string; state: string }[] = JSON.parse(out);
  const open = incidents.find(({ title, state }) => state === "open" && title.includes("United"));
  // Of the two outages of the United Kingdom somebody took on the second.
  expect(await run(here, ["ack", open?.id ?? "", "--by", "Ben Okoro"])).toMatchObject({ code: 0 });
}, 120_000);
afterAll(() => removePlace(dir));

/** A copy of the sampler's file, changed; anywhere but in the config folder. */
function version(name: string, change: (text: string) => string): string {
  const path = join(dir, `${name}.yaml`);
  const before = readFileSync(join(here.config, "samplers/shop/orders.yaml"), "utf8");
  const text = change(before);
  if (name !== "equal") expect(text).not.toBe(before);
  writeFileSync(path, text);
  return path;
}

const compare = (path: string, ...more: string[]) =>
  runInside(here, ["backtest", "shop-orders", ...time, "--compare", path, ...more]);

const replaced = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
/** The second outage of the United Kingdom, which somebody took on, is too short for it. */
const stricter = replaced("pending: 1 of 1", "pending: 3 of 3");

describe("alerts", () => {
  test("a definition that differs in nothing that is judged has the same alerts", async () => {
    const { code, out, err } = await compare(version("equal", replaced(/^$/, "")));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^shop-orders in 2h10m, as it is now and by .*equal\.yaml; its rows were read once\n/);
    expect(out).toMatch(/\n {2}slots +26 +26\n/);
    expect(out).toMatch(/\ngained 0 \(0 confirmed\), lost 0 \(0 confirmed\), moved 0 \(0 confirmed\), same 3 \(1 conf/);
  });

  test("what is lost has its time, level and worst value; what people took on is marked and counted", async () => {
    const { code, out, err } = await compare(version("stricter", stricter), "--json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const facts = JSON.parse(out);
    expect(facts).toMatchObject({ sampler: "shop-orders", confirmed: 1, gained: [], same: expect.any(Array) });
    expect(facts.lost).toEqual([
      {
        ...{ series: uk, begin: "2026-06-10T10:00:00Z", end: null, level: "critical", confirmed: true },
        ...{ worstObserved: 0, worstExpected: expect.closeTo(24, -0.5) },
      },
    ]);
    expect(facts.moved).toEqual([]);
    expect(facts.same.map(({ before }: { before: object }) => before)).toMatchObject([
      { series: uk, begin: "2026-06-10T09:00:00Z", confirmed: false },
      { series: germany, begin: "2026-06-10T09:30:00Z", end: null, confirmed: false },
    ]);
    expect(facts.now).toMatchObject({ slots: 26, failed: [], incidents: 3, alerts: 3, confirmed: 1, people: 2 });
    expect(facts.other).toMatchObject({ slots: 26, failed: [], incidents: 2, alerts: 2, confirmed: 0 });
    expect(facts.other.messages).toBeLessThan(facts.now.messages);
    expect(facts.now.weeks).toHaveLength(1);
    const text = (await compare(join(dir, "stricter.yaml"))).out;
    expect(text).toMatch(/\ngained 0 \(0 confirmed\), lost 1 \(1 confirmed\)/);
    expect(text).toMatch(
      /\nlost +2026-06-10T10:00:00Z {2}still open {2}critical +0 instead of 2[34](?:\.\d+)? +yes +orders\{country="U/,
    );
    expect(text).toMatch(/\n {2}of 1 confirmed +1 +0\n/);
  });

  test("the other way round it is gained; a recovery that takes longer moves the end", async () => {
    const original = readFileSync(join(here.config, "samplers/shop/orders.yaml"), "utf8");
    const path = version("slower", replaced("recover: 1 }", "recover: 3 }"));
    const moved = JSON.parse((await compare(path, "--json")).out).moved;
    expect(moved).toHaveLength(1);
    expect(moved[0].before).toMatchObject({ series: uk, begin: "2026-06-10T09:00:00Z", level: "critical" });
    expect(Date.parse(moved[0].after.end) - Date.parse(moved[0].before.end)).toBe(10 * 60_000);

    const swapped = join(dir, "swapped");
    cpSync(here.config, swapped, { recursive: true });
    writeFileSync(join(swapped, "samplers/shop/orders.yaml"), stricter(original));
    const there = { ...here, config: swapped };
    const args = ["backtest", "shop-orders", ...time, "--compare", version("equal", (text) => text)];
    expect((await runInside(there, args)).out).toMatch(/\ngained 1 \(1 confirmed\), lost 0 \(0 confirmed\)/);
  });

  test("another config folder brings its rules", async () => {
    const folder = join(dir, "folder");
    cpSync(here.config, folder, { recursive: true });
    mkdirSync(join(folder, "rules/detect"), { recursive: true });
    const rule = `rules: [{ name: upwards, match: ['sampler="shop-orders"'], direction: up, pending: 1 of 1 }]\n`;
    writeFileSync(join(folder, "rules/detect/upwards.yaml"), rule);
    const { code, out, err } = await compare(folder);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/\ngained 0 \(0 confirmed\), lost 3 \(1 confirmed\)/);
  });

  test("over what is stored where the source has no past any more", async () => {
    const forgetful = { ...here, data: join(dir, "forgetful") };
    cpSync(here.data, forgetful.data, { recursive: true });
    writeFileSync(join(forgetful.data, "shop.db"), "");
    const args = ["backtest", "shop-orders", ...time, "--compare", version("stored", stricter), "--json"];
    const asked = JSON.parse((await runInside(forgetful, args)).out);
    expect(asked.now.failed).toHaveLength(26);
    const stored = JSON.parse((await runInside(forgetful, [...args, "--stored"])).out);
    expect(stored.now).toMatchObject({ failed: [], incidents: 3 });
    expect(stored.lost).toHaveLength(1);
  });
});

describe("what cannot be compared is exit code 2, with all that is wrong", () => {
  test.each<[string, () => string, RegExp]>([
    ["no file", () => join(dir, "none.yaml"), /none\.yaml - --compare: cannot be read: ENOENT.*Fix: name a file/],
    [
      "the same file",
      () => join(here.config, "samplers/../samplers/shop/orders.yaml"),
      /--compare: it is the file that holds already/,
    ],
    ["the same folder", () => here.config, /--compare: it is the folder that holds already/],
    [
      "another sampler",
      () => version("another", replaced("name: shop-orders", "name: shop-returns")),
      /another\.yaml - --compare: it defines shop-returns, not shop-orders\. Fix: /,
    ],
    [
      "another step",
      () => version("step", replaced("every: 5m", "every: 10m")),
      /step\.yaml\S* - --compare: another step \(got 10m, shop-orders has 5m\)\. Fix: keep the step/,
    ],
    [
      "other rows",
      () => version("rows", replaced("from orders", "from orders indexed by orders_by_time")),
      /rows\.yaml\S* - --compare: another source, so its rows are not those of shop-orders/,
    ],
    [
      "other series",
      () => version("series", replaced("measurement: orders", "measurement: sales")),
      /--compare: another point, so/,
    ],
    ["no YAML", () => version("broken", () => "name: [shop-orders\n"), /^CFG-\d+ \S*broken\.yaml:\d+:\d+ /],
    ["an empty file", () => version("empty", () => ""), /empty\.yaml/],
  ])("%s", async (_, path, message) => {
    const { code, out, err } = await compare(path());
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
    expect(err).not.toMatch(/^\s+at /m);
  });

  test("every fault of the file, those between files too", async () => {
    const faults = (text: string) =>
      text
        .replace("owner: shop-team", "owner: ship-team")
        .replace("empty: zero", "empty: never")
        .replace("1 of 1", "3 of 1");
    const alone = await compare(version("faults", faults));
    expect(alone).toMatchObject({ code: 2, out: "" });
    expect(alone.err).toMatch(/faults\.yaml:\d+:\d+ .*empty/);
    expect(alone.err).toMatch(/faults\.yaml:\d+:\d+ .*n of m/);
    const between = await compare(version("between", replaced("owner: shop-team", "owner: ship-team")));
    expect(between.code).toBe(2);
    expect(between.err).toMatch(/^RUL-003 \S*between\.yaml:\d+:\d+ owner - unknown person or group "ship-team"/);
  });

  test.each<[string, readonly string[], RegExp]>([
    ["two samplers", ["shop-orders", "shop-returns", ...time, "--compare", "x"], /^--compare - compares one sampler/],
    ["files", ["--csv", ".", "--out", "o", "--compare", "x"], /^--csv takes no samplers, and needs one of/],
    ["alerts of a sampler", ["shop-orders", ...time, "--alerts"], /^--alerts - goes with --csv/],
    ["no time", ["shop-orders", "--compare", "x"], /^a backtest needs samplers and a time/],
  ])("%s", async (_, args, message) => {
    const { code, err } = await runInside(here, ["backtest", ...args]);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
