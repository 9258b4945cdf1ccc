/** Series of which nothing can be explained: those that nobody judges, and those without a point. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/time.ts";
import { stores } from "../../src/store/stores/index.ts";
import { type Place, runInside } from "./run.ts";
import { makePlace, removePlace, write } from "./shop.ts";

let dir = "";
let here: Place;
beforeAll(async () => {
  ({ dir, place: here } = makePlace());
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  await using store = stores.sqlite.create({ file: join(here.data, "series.db") }, { clock: systemClock, log });
  const timeMs = Date.parse("2026-06-10T08:30:00Z");
  const countries = Array.from({ length: 11 }, (_, index) => `C${String(index).padStart(2, "0")}`);
  await store.write(
    countries.map((country) => ({ measurement: "orders", tags: { country }, fields: { orders: 1 }, timeMs })),
  );
  const fields = Array.from({ length: 10 }, (_, index) => `n${index}`);
  const query = `select ${fields.map((name) => `1 as ${name}`).join(", ")}`;
  write(
    here,
    "samplers/shop/returns.yaml",
    [
      ...["name: shop-returns", "title: Returns", "every: 5m", "owner: shop-team", "empty: missing"],
      `source: { sql: { connection: shop, query: "${query}" } }`,
      `point: { measurement: returns, fields: [${fields.join(", ")}] }`,
      `judge: { ${fields.map((name) => `${name}: {}`).join(", ")} }`,
      "",
    ].join("\n"),
  );
});
afterAll(() => removePlace(dir));

const explained = (series: string) => runInside(here, ["explain", series, "--at", "2026-06-10T08:30:00Z"]);

test("a series that is judged and has no point yet is told as that", async () => {
  expect(await explained("returns.n3")).toEqual({
    ...{ code: 1, out: "" },
    err:
      "returns.n3 - has no point yet. " +
      "Fix: wait for the first slot of shop-returns, or look what bellwether try shop-returns reads.\n",
  });
});

test("where others of its kind have points, some of them are named", async () => {
  const names = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => `orders{country="C0${index}"}.orders`).join(", ");
  expect(await explained('orders{country="France"}.orders')).toEqual({
    ...{ code: 1, out: "" },
    err: `orders{country="France"}.orders - has no point yet. Fix: name one that has, ${names} and 3 more.\n`,
  });
});

test.each(["sales.n", "orders", 'orders{country=~"C.*"}.orders', "returns.constructor"])(
  "%s nobody judges; those that are judged are listed up to a bound",
  async (series) => {
    const names = [0, 1, 2, 3, 4, 5, 6].map((index) => `returns.n${index}`);
    const { code, err } = await explained(series);
    expect(code).toBe(1);
    expect(err).toContain(`no such series is judged (got ${series}). Fix: `);
    const listed = ["orders{...}.orders", ...names].join(", ");
    expect(err).toContain(`Fix: name one in full that bellwether series lists, ${listed} and 3 more.\n`);
  },
);
