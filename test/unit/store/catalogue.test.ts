import { join } from "node:path";
import { expect, test } from "vitest";
import type { Point } from "../../../src/core/model.ts";
import { Catalogue } from "../../../src/store/catalogue.ts";
import { seriesKey } from "../../../src/store/line.ts";
import { batchOf, drain, openSpool, startMs } from "./spool-support.ts";
import { testFolder } from "./support.ts";

const folder = testFolder("catalogue");
let files = 0;
const newSpool = () => openSpool(join(folder, `${files++}.db`));
const point = (fields: Point["fields"], more: Partial<Point> = {}): Point => ({
  measurement: "orders",
  tags: { shop: "1" },
  fields,
  timeMs: startMs,
  ...more,
});

test("a field keeps the kind that it had first, also after a restart; the refusal says whose it is", () => {
  const file = join(folder, "kinds.db");
  let spool = openSpool(file);
  const origin = { sampler: "shop-orders", priority: "medium", slotMs: 0 } as const;
  new Catalogue(spool).claim(point({ n: 1, name: "x", open: true }), origin, startMs);
  spool.close();
  spool = openSpool(file);
  const catalogue = new Catalogue(spool);
  expect(catalogue.conflict(point({ n: 2, name: "", open: false, fresh: 1 }))).toBeNull();
  expect(catalogue.conflict(point({ n: "2" }))).toBe(
    'PNT-008 field "n" is a text, and a number since 2026-11-26T08:00:00Z (sampler shop-orders)',
  );
  expect(catalogue.conflict(point({ open: 1 }))).toContain('field "open" is a number, and a boolean');
  expect(catalogue.conflict(point({ n: "2" }, { measurement: "others" })), "of another measurement").toBeNull();
  spool.close();
});

test("what a server has already is learnt once; kinds that are others there are named", () => {
  const spool = newSpool();
  const catalogue = new Catalogue(spool);
  const field = (name: string, kind: "number" | "text" | "other") => ({ measurement: "orders", field: name, kind });
  expect(catalogue.learn([field("n", "number"), field("count", "other")], 1)).toEqual([]);
  expect(catalogue.learn([field("n", "text"), field("count", "other"), field("new", "text")], 2)).toEqual([
    { field: field("n", "text"), known: "number" },
  ]);
  expect(catalogue.conflict(point({ count: 1 })), "an integer there: every write of ours would be refused").toContain(
    'field "count" is a number, and a other',
  );
  expect(catalogue.measurements()).toEqual(["orders"]);
  spool.close();
});

test("of each series the latest point and the latest number other than zero, whatever order they come in", () => {
  const spool = newSpool();
  const catalogue = new Catalogue(spool);
  const note = (fields: Point["fields"], timeMs: number) => {
    const one = point(fields, { timeMs });
    catalogue.note(seriesKey(one), one);
  };
  note({ n: 5, name: "x" }, 200);
  note({ n: 0 }, 300);
  note({ n: 7 }, 100);
  catalogue.merge([{ measurement: "orders", tags: { shop: "2" }, field: "n", lastMs: 50, lastNonzeroMs: null }]);
  const shop = (number: string, field: string, lastMs: number, lastNonzeroMs: number | null) => ({
    measurement: "orders",
    tags: { shop: number },
    field,
    lastMs,
    lastNonzeroMs,
  });
  expect(catalogue.list({})).toEqual([
    shop("1", "n", 300, 200),
    shop("1", "name", 200, null),
    shop("2", "n", 50, null),
  ]);
  expect(catalogue.list({ sinceMs: 201 })).toEqual([shop("1", "n", 300, 200)]);
  expect(catalogue.list({ measurement: "others" })).toEqual([]);
  catalogue.expire(250);
  expect(catalogue.list({})).toEqual([shop("1", "n", 300, null)]);
  expect(catalogue.seriesCount).toBe(1);
  spool.close();
});

test("a restart knows the series of the snapshot and of every batch after it, and asks no server", async () => {
  const file = join(folder, "snapshot.db");
  let spool = openSpool(file);
  let catalogue = new Catalogue(spool);
  expect(catalogue.complete, "nobody has been asked").toBe(false);
  await catalogue.save();
  expect(new Catalogue(spool).complete, "nothing is kept of what is not complete").toBe(false);
  catalogue.complete = true;
  catalogue.merge([{ measurement: "old", tags: {}, field: "n", lastMs: 1, lastNonzeroMs: 1 }]);
  await catalogue.save();
  await spool.append([batchOf(1, { points: 1, timeMs: startMs + 1 })]);
  for (const target of ["a", "b"]) drain(spool, target);
  spool.close();
  spool = openSpool(file);
  catalogue = new Catalogue(spool);
  expect(catalogue.complete).toBe(true);
  expect(catalogue.list({}).map(({ measurement, lastMs }) => [measurement, lastMs])).toEqual([
    ["old", 1],
    ["orders", startMs + 1],
  ]);
  spool.close();
});
