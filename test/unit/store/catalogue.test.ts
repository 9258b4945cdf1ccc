import { join } from "node:path";
import { expect, test } from "vitest";
import type { Point } from "../../../src/core/model.ts";
import type { Origin } from "../../../src/core/ports.ts";
import { Catalogue } from "../../../src/store/catalogue.ts";
import { seriesKey } from "../../../src/store/line.ts";
import type { Spool } from "../../../src/store/spool.ts";
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

/** As a write does it. */
async function write(spool: Spool, catalogue: Catalogue, fields: Point["fields"], origin?: Origin): Promise<void> {
  using claim = catalogue.claim(origin, startMs);
  expect(claim.take(point(fields))).toBeNull();
  await spool.append([batchOf(1)], origin, claim.write);
  claim.keep();
}

test("a field keeps the kind that it had first, also after a restart; the refusal says whose it is", async () => {
  const file = join(folder, "kinds.db");
  let spool = openSpool(file);
  const origin = { sampler: "shop-orders", priority: "medium", slotMs: 0 } as const;
  await write(spool, new Catalogue(spool), { n: 1, name: "x", open: true }, origin);
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

test("new fields are stored with the points, by no write of their own, and forgotten if those are refused", async () => {
  const spool = newSpool();
  const catalogue = new Catalogue(spool);
  const stored = () => spool.file.sql<[], { field: string }>("select field from field order by field").all();
  const refusing = catalogue.claim(undefined, startMs);
  expect(refusing.take(point({ n: 1, late: 1 }))).toBeNull();
  expect(refusing.take(point({ n: "text" })), "within one write").toContain("PNT-008");
  expect(stored()).toEqual([]);
  const beside = catalogue.claim(undefined, startMs);
  expect(beside.take(point({ n: "text" })), "while another is under way").toContain("PNT-008");
  expect(beside.take(point({ n: 2 }))).toBeNull();
  refusing[Symbol.dispose]();
  expect(catalogue.conflict(point({ late: "text" })), "nobody else has it").toBeNull();
  expect(catalogue.conflict(point({ n: "text" })), "the other write has it yet").toContain("PNT-008");
  await spool.append([batchOf(1)], undefined, beside.write);
  beside.keep();
  beside[Symbol.dispose]();
  expect(stored()).toEqual([{ field: "n" }]);
  expect(new Catalogue(spool).conflict(point({ n: "text", late: "text" }))).toContain('field "n" is a text');
  spool.close();
});

test("of a refused write nothing is left, not even the fields that were stored with it", async () => {
  const spool = openSpool(join(folder, `${files++}.db`), { bytesMax: 50_000 });
  const catalogue = new Catalogue(spool);
  using claim = catalogue.claim(undefined, startMs);
  claim.take(point({ n: 1 }));
  await expect(spool.append([batchOf(1, { ballastBytes: 50_000 })], undefined, claim.write)).rejects.toThrow();
  expect(spool.gapCount).toBe(1);
  expect(spool.file.sql<[], object>("select * from field").all()).toEqual([]);
  spool.close();
});

const field = (name: string, kind: "number" | "text" | "other") => ({ measurement: "orders", field: name, kind });

test("what a server has already is learnt once; kinds that are others there are named", () => {
  const spool = newSpool();
  const catalogue = new Catalogue(spool);
  expect(catalogue.learn([field("n", "number"), field("count", "other")], 1), "an integer is never ours").toEqual([
    { field: field("count", "other"), known: null },
  ]);
  expect(catalogue.conflict(point({ count: 1 })), "the other server takes it").toBeNull();
  expect(catalogue.learn([field("n", "text"), field("count", "number"), field("new", "text")], 2)).toEqual([
    { field: field("n", "text"), known: "number" },
  ]);
  expect(catalogue.learn([field("count", "other")], 3)).toEqual([{ field: field("count", "other"), known: "number" }]);
  const both = [field("two", "number"), field("two", "text")];
  expect(catalogue.learn(both, 4), "of one kind in one week, of another in the next").toEqual([
    { field: field("two", "text"), known: "number" },
  ]);
  expect(new Catalogue(spool).conflict(point({ count: 1, n: 1, new: "", two: 2 })), "kept").toBeNull();
  expect(catalogue.measurements()).toEqual(["orders"]);
  spool.close();
});

test("a wrong kind is forgotten when no server has it and no batch may bring it back", async () => {
  const file = join(folder, "relearn.db");
  const spool = openSpool(file);
  const catalogue = new Catalogue(spool);
  await write(spool, catalogue, { n: "text", kept: 1 });
  const wrong = () => new Catalogue(spool).conflict(point({ n: 1 })) ?? catalogue.conflict(point({ n: 1 }));
  const dropped = [[field("kept", "number")], [field("n", "number")]];
  expect(catalogue.relearn(dropped, spool.handedOver()), "a pending batch has it").toEqual([]);
  for (const target of ["a", "b"]) drain(spool, target);
  expect(catalogue.relearn([[field("n", "text")], []], spool.handedOver()), "one server has it").toEqual([
    { measurement: "orders", field: "kept" },
  ]);
  const before = spool.handedOver();
  await write(spool, catalogue, { n: "more", kept: 1 });
  for (const target of ["a", "b"]) drain(spool, target);
  expect(catalogue.relearn(dropped, before), "the servers were asked before they got it").toEqual([]);
  const under = catalogue.claim(undefined, startMs);
  under.take(point({ n: "under way" }));
  expect(catalogue.relearn(dropped, spool.handedOver()), "a write is under way").toEqual([]);
  under[Symbol.dispose]();
  expect(wrong()).toContain('field "n" is a number, and a text');
  expect(catalogue.relearn(dropped, spool.handedOver())).toEqual([{ measurement: "orders", field: "n" }]);
  expect(wrong()).toBeNull();
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
