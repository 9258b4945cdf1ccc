/** A backtest whose source does not answer, or that finds nothing stored, is not a quiet one. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { FailedSlot } from "../../src/backtest.ts";
import { printFailed } from "../../src/cli/backtest-show.ts";
import { systemClock } from "../../src/core/time.ts";
import { stores } from "../../src/store/stores/index.ts";
import { type Place, runInside } from "./run.ts";
import { germany, makePlace, removePlace, write } from "./shop.ts";

let dir = "";
let here: Place;
beforeAll(() => {
  ({ dir, place: here } = makePlace());
});
afterAll(() => removePlace(dir));

const log = { debug() {}, info() {}, warn() {}, error() {} };
const time = ["--from", "2026-06-10T09:00:00+01:00", "--to", "2026-06-10T10:00:00+01:00"];
const backtest = (place: Place, ...args: string[]) => runInside(place, ["backtest", ...args]);

describe("a source that does not answer", () => {
  const away = () => ({ ...here, data: join(dir, "away") });
  const failed = () =>
    `SQL-015 connection shop - all 12 slots of shop-orders failed: cannot open ${join(dir, "away/shop.db")}. ` +
    "Fix: check the connection's file and who may read it.\n";

  test("is exit code 1, with the first that went wrong in the days before, and where was looked", async () => {
    expect(await backtest(away(), "shop-orders", ...time)).toEqual({ code: 1, out: "", err: failed() });
  });

  test("for programs the facts are there all the same", async () => {
    const { code, out, err } = await backtest(away(), "shop-orders", ...time, "--json");
    expect({ code, err }).toEqual({ code: 1, err: failed() });
    const facts = JSON.parse(out);
    expect(facts).toMatchObject({ slots: 12, incidents: [] });
    expect(facts.failed).toHaveLength(12);
    expect(facts.failed.at(-1)).toMatchObject({ asked: false, error: expect.stringMatching(/^not asked, since 5 /) });
  });

  test("two versions of it have no difference to tell", async () => {
    const path = join(dir, "calmer.yaml");
    const orders = readFileSync(join(here.config, "samplers/shop/orders.yaml"), "utf8");
    writeFileSync(path, orders.replace("kind: count", "kind: count, sensitivity: low"));
    const ran = await backtest(away(), "shop-orders", ...time, "--compare", path);
    expect(ran).toEqual({ code: 1, out: "", err: failed() });
  });
});

test("one of several samplers whose source does not answer is exit code 1, beside what the others came to", async () => {
  const orders = readFileSync(join(here.config, "samplers/shop/orders.yaml"), "utf8");
  const lost = orders.replace("shop-orders", "shop-lost").replace("connection: shop", "connection: lost");
  write(here, "samplers/shop/lost.yaml", lost.replace("measurement: orders", "measurement: lost"));
  const both = "{ shop: { sqlite: { file: shop.db, time: epoch-ms } }, lost: { sqlite: { file: lost.db } } }";
  write(here, "rules/connections.yaml", `connections: ${both}\n`);
  const { code, out, err } = await backtest(here, "shop-orders", "shop-lost", ...time);
  expect(code).toBe(1);
  expect(out).toMatch(/^24 slots in 1h, 12 failed\n/);
  expect(err).toMatch(/^SQL-015 connection lost - all 12 slots of shop-lost failed: cannot open \S+lost\.db/);
});

test("of slots that failed, those whose source was asked are listed first", () => {
  const slot = (minute: number, asked: boolean): FailedSlot => ({
    ...{ sampler: "s", startMs: Date.parse(`2026-06-10T10:0${minute}:00Z`), asked },
    error: asked ? "it is broken" : "not asked, since 5 reads in a row have failed: it is broken",
  });
  const failed = [0, 1, 2, 3, 4].map((minute) => slot(minute, false));
  const lines: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((text) => lines.push(String(text)) > 0);
  printFailed([...failed, slot(5, true), slot(6, true)]);
  spy.mockRestore();
  expect(lines.map((line) => line.trimEnd())).toEqual([
    "  2026-06-10T10:05:00Z  s: it is broken",
    "  2026-06-10T10:06:00Z  s: it is broken",
    ...[0, 1, 2].map((minute) => `  2026-06-10T10:0${minute}:00Z  s: ${failed[0]?.error}`),
    "  and 2 more",
  ]);
});

describe("over stored points", () => {
  beforeAll(async () => {
    await using store = stores.sqlite.create({ file: join(here.data, "series.db") }, { clock: systemClock, log });
    const timeMs = Date.parse("2026-06-10T08:30:00Z");
    await store.write([{ measurement: "orders", tags: { country: "Germany" }, fields: { orders: 12 }, timeMs }]);
    const returns = "name: shop-returns\ntitle: Returns\nevery: 5m\nowner: shop-team\n";
    const source = 'source: { sql: { connection: shop, query: "select count(*) as n from orders" } }\n';
    const rest = "point: { measurement: returns, fields: [n] }\nempty: zero\njudge: { n: {} }\n";
    write(here, "samplers/shop/returns.yaml", returns + source + rest);
  });

  test("a time without any is exit code 1", async () => {
    const may = ["--from", "2026-05-10T09:00:00+01:00", "--to", "2026-05-10T10:00:00+01:00"];
    const { code, out, err } = await backtest(here, "shop-orders", ...may, "--stored");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      "shop-orders - no points are stored from 2026-05-10T08:00:00Z to 2026-05-10T09:00:00Z. " +
        "Fix: give a time that bellwether series shows points of, or leave --stored out.\n",
    );
  });

  test("a point in the days before is none of that time", async () => {
    const after = ["--from", "2026-06-10T10:00:00+01:00", "--to", "2026-06-10T11:00:00+01:00"];
    expect(await backtest(here, "shop-orders", ...after, "--stored")).toMatchObject({ code: 1, out: "" });
  });

  test("of several samplers, those without any are named beside what the others came to", async () => {
    const { code, out, err } = await backtest(here, "shop-orders", "shop-returns", ...time, "--stored");
    expect({ code, err }).toEqual({
      code: 0,
      err: "no points of shop-returns are stored from 2026-06-10T08:00:00Z to 2026-06-10T09:00:00Z\n",
    });
    expect(out).toMatch(/^24 slots in 1h, 0 failed\n/);
    expect((await runInside(here, ["series", "--json"])).out).toContain(JSON.stringify(germany));
  });
});

test("a time that lies in the future is told as that", async () => {
  const future = ["--from", "2126-06-10T10:00:00Z"];
  expect(await backtest(here, "shop-orders", ...future)).toEqual({
    ...{ code: 2, out: "" },
    err: "--from - lies in the future. Fix: give a time before now.\n",
  });
  expect(await backtest(here, "shop-orders", ...future, "--to", "2026-06-10T10:00:00Z")).toMatchObject({
    ...{ code: 2, out: "" },
    err: "--from - not before --to. Fix: exchange them.\n",
  });
  const { err } = await runInside(here, ["series", "orders", ...future]);
  expect(err).toBe("--from - lies in the future. Fix: give a time before now.\n");
});
