import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Point } from "../../../src/core/model.ts";
import type { Log, Measured, TimeSeriesStore } from "../../../src/core/ports.ts";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { stores } from "../../../src/store/stores/index.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { silent, start, testFolder } from "./support.ts";

const folder = testFolder("store-sqlite");
const clock = new SimulatedClock("2026-11-21T09:30:00Z");
let files = 0;

function newFile(): string {
  files += 1;
  return join(folder, `${files}.db`);
}

function open(file: string, options: Partial<Parameters<typeof stores.sqlite.create>[0]> = {}, log: Log = silent) {
  return stores.sqlite.create({ file, ...options }, { clock, log });
}

const minuteMs = 60_000;
const allTime = [{ fromMs: 0, toMs: 1e12 }];

function slot(count: number, shops: number): Point[] {
  return Array.from({ length: shops }, (_, shop) => ({
    measurement: "orders",
    tags: { shop: `${shop}` },
    fields: { n: count * shop },
    timeMs: count * minuteMs,
  }));
}

function problemOf(work: () => unknown): Problem {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

async function measure(store: Measured, name: string): Promise<number | undefined> {
  return (await store.measures()).find((each) => each.name === name)?.value;
}

test("writes in any order and any batches read back as a map of series and times would", async () => {
  const arbitraryPoint = fc.record({
    shop: fc.integer({ min: 0, max: 40 }),
    minute: fc.integer({ min: 0, max: 30 }),
    fields: fc.dictionary(fc.constantFrom("n", "m", "k"), fc.double({ noNaN: true, noDefaultInfinity: true }), {
      minKeys: 1,
    }),
  });
  const arbitraryWindows = fc
    .uniqueArray(fc.integer({ min: 0, max: 32 }), { minLength: 2, maxLength: 6 })
    .map((edges) => edges.sort((a, b) => a - b))
    .map((edges) => edges.slice(1).flatMap((edge, index) => (index % 2 === 0 ? [[edges[index]!, edge]] : [])));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(arbitraryPoint, { maxLength: 30 }), { maxLength: 6 }),
      arbitraryWindows,
      async (batches, windows) => {
        await using store = open(":memory:");
        const wanted = new Map<string, number>();
        for (const batch of batches) {
          await store.write(
            batch.map(({ shop, minute, fields }) => ({
              measurement: "orders",
              tags: { shop: `${shop}` },
              fields,
              timeMs: minute * minuteMs,
            })),
          );
          for (const { shop, minute, fields } of batch) {
            for (const [field, value] of Object.entries(fields)) {
              if (!windows.some(([from, to]) => minute >= from! && minute < to!)) continue;
              wanted.set(`${shop} ${field} ${minute * minuteMs}`, value);
            }
          }
        }
        const { series: found } = await store.read({
          measurement: "orders",
          fields: ["n", "m", "k"],
          windows: windows.map(([from, to]) => ({ fromMs: from! * minuteMs, toMs: to! * minuteMs })),
        });
        const cells = found.flatMap(({ tags, field, timesMs, values }) =>
          timesMs.map((timeMs, index): [string, unknown] => [`${tags.shop} ${field} ${timeMs}`, values[index]]),
        );
        expect(cells.length).toBe(wanted.size);
        for (const [key, value] of cells) expect(Object.is(value, wanted.get(key))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test("a few series far apart are read beside their strangers", async () => {
  await using store = open(":memory:");
  for (const count of [1, 2, 3]) await store.write(slot(count, 200));
  const { parseMatcher } = await import("../../../src/core/labels.ts");
  const tags = [parseMatcher('shop=~"3|5|100|199"')];
  const { series: found } = await store.read({ measurement: "orders", fields: ["n"], tags, windows: allTime });
  expect(found.map((series) => [series.tags.shop, series.values])).toEqual(
    [3, 5, 100, 199].map((shop) => [`${shop}`, [shop, 2 * shop, 3 * shop]]),
  );
});

test("what was written is there after closing and opening", async () => {
  const file = newFile();
  {
    await using store = open(file);
    await store.write([
      { measurement: "a", tags: { z: "1", b: "2" }, fields: { n: 1, text: "007", yes: true }, timeMs: 1_000 },
    ]);
    await store.write([{ measurement: "a", tags: { b: "2", z: "1" }, fields: { n: 2 }, timeMs: 5_000 }]);
  }
  await using store = open(file);
  expect(await store.list({})).toEqual([
    { measurement: "a", tags: { b: "2", z: "1" }, field: "n", lastMs: 5_000, lastNonzeroMs: 5_000 },
    { measurement: "a", tags: { b: "2", z: "1" }, field: "text", lastMs: 1_000, lastNonzeroMs: null },
    { measurement: "a", tags: { b: "2", z: "1" }, field: "yes", lastMs: 1_000, lastNonzeroMs: null },
  ]);
  const { series: found } = await store.read({ measurement: "a", fields: ["yes", "text", "n"], windows: allTime });
  expect(found.map((series) => series.values)).toEqual([[true], ["007"], [1, 2]]);
  const { rejected } = await store.write([{ measurement: "a", tags: {}, fields: { text: 7 }, timeMs: 6_000 }]);
  expect(rejected).toEqual([{ index: 0, reason: 'field "text" is a text, got a number' }]);
});

test("when a series last had another number than zero outlives closing and opening", async () => {
  const file = newFile();
  const point = (n: number, timeMs: number, shop: string): Point => ({
    measurement: "a",
    tags: { shop },
    fields: { n },
    timeMs,
  });
  const lastNonzero = async (store: TimeSeriesStore) =>
    (await store.list({})).map(({ tags, lastMs, lastNonzeroMs }) => [tags.shop, lastMs, lastNonzeroMs]);
  {
    await using store = open(file);
    await store.write([point(1, 1_000, "A"), point(0, 1_000, "B")]);
    await store.write([point(0, 9e9, "A"), point(0, 9e9, "B"), point(2, 9e9, "C")]);
    await store.write([point(4, 2_000, "A")]);
  }
  const wanted = [
    ["A", 9e9, 2_000],
    ["B", 9e9, null],
    ["C", 9e9, 9e9],
  ];
  {
    await using store = open(file);
    expect(await lastNonzero(store)).toEqual(wanted);
    await store.expire(2_001);
  }
  await using store = open(file, { readOnly: true });
  expect(await lastNonzero(store)).toEqual([["A", 9e9, null], ...wanted.slice(1)]);
});

test("a read beyond its bound is refused, not cut", async () => {
  await using store = open(":memory:", { valuesMax: 100 });
  await store.write(slot(1, 60));
  await store.write(slot(2, 60));
  const query = { measurement: "orders", fields: ["n"] };
  const few = await store.read({ ...query, windows: [{ fromMs: 0, toMs: 2 * minuteMs }] });
  expect(few.series).toHaveLength(60);
  await expect(store.read({ ...query, windows: allTime })).rejects.toThrow("more than 100 values of orders");
  expect(await measure(store, "bellwether_store_read_values_peak")).toBe(60);
});

test("expiring a long past goes in pieces and forgets exactly that", async () => {
  await using store = open(":memory:");
  for (let count = 0; count < 12; count += 1) await store.write(slot(count, 5_000));
  expect(await store.expire(9 * minuteMs)).toBe(45_000);
  const { series: found } = await store.read({ measurement: "orders", fields: ["n"], windows: allTime });
  expect(found).toHaveLength(5_000);
  expect(found.every((series) => series.timesMs.join() === [9, 10, 11].map((count) => count * minuteMs).join())).toBe(
    true,
  );
});

test("a field whose every point is forgotten may take values of another kind", async () => {
  await using store = open(":memory:");
  await store.write([{ measurement: "a", tags: {}, fields: { n: 1 }, timeMs: 1_000 }]);
  await store.expire(2_000);
  const { rejected } = await store.write([{ measurement: "a", tags: {}, fields: { n: "one" }, timeMs: 3_000 }]);
  expect(rejected).toEqual([]);
});

test.each<[string, Point["fields"], number, string]>([
  ["no fields", {}, 0, "the point has no fields"],
  ["half a millisecond", { n: 1 }, 0.5, "not a time in milliseconds: 0.5"],
  ["a lone surrogate", { n: "\ud800" }, 0, 'field "n" is not well-formed Unicode'],
  ["a text of 64 KB", { n: "x".repeat(65_536) }, 0, 'field "n" is longer than 65535 characters'],
  ["a big integer", { n: 1n as unknown as number }, 0, 'field "n" is neither a number, a text nor a boolean'],
  ["null", { n: null as unknown as number }, 0, 'field "n" is neither a number, a text nor a boolean'],
])("%s is rejected with its reason", async (_, fields, timeMs, reason) => {
  await using store = open(":memory:");
  expect(await store.write([{ measurement: "a", tags: {}, fields, timeMs }])).toEqual({
    rejected: [{ index: 0, reason }],
  });
  expect(await store.list({})).toEqual([]);
});

test("the measures count points, and the file", async () => {
  const file = newFile();
  await using store = open(file);
  await store.write([...slot(1, 10), { measurement: "a", tags: {}, fields: { n: Number.NaN }, timeMs: 0 }]);
  await store.read({ measurement: "orders", fields: ["n"], windows: allTime });
  expect(await measure(store, "bellwether_store_points_written_total")).toBe(10);
  expect(await measure(store, "bellwether_store_points_rejected_total")).toBe(1);
  expect(await measure(store, "bellwether_store_series")).toBe(10);
  expect(await measure(store, "bellwether_store_reads_total")).toBe(1);
  expect(await measure(store, "bellwether_store_bytes")).toBeGreaterThan(4_096);
});

describe("one process per file", () => {
  test("a second one is refused with the pid of the first, and takes over when that was killed", async () => {
    const file = newFile();
    const holder = start(import.meta.dirname, "write-slots.ts", file, "0", "1");
    await once(holder.stdout!, "data");
    const problem = problemOf(() => open(file));
    expect([problem.code, problem.message, problem.where]).toEqual(["SPL-001", `held by process ${holder.pid}`, file]);
    holder.kill("SIGKILL");
    await once(holder, "close");
    await using store = open(file);
    expect(await store.list({})).toHaveLength(3);
  });

  test("the same process does not open it twice either", async () => {
    const file = newFile();
    await using _store = open(file);
    expect(problemOf(() => open(file)).message).toBe(`held by process ${process.pid}`);
  });

  test("another may look on, and sees what is written meanwhile", async () => {
    const file = newFile();
    await using store = open(file);
    await store.write(slot(1, 2));
    await using onlooker = open(file, { readOnly: true });
    expect(await onlooker.list({})).toHaveLength(2);
    await store.write(slot(2, 3));
    expect(await onlooker.list({})).toHaveLength(3);
    const { series: found } = await onlooker.read({ measurement: "orders", fields: ["n"], windows: allTime });
    expect(found.map((series) => series.values)).toEqual([[0, 0], [1, 2], [4]]);
    await expect(onlooker.write(slot(3, 1))).rejects.toThrow("cannot write the series file");
  });

  test("looking on at a file that nobody has open works, and at none is refused", async () => {
    const file = newFile();
    expect(problemOf(() => open(file, { readOnly: true })).code).toBe("STR-002");
    await withStore(open(file), (store) => store.write(slot(1, 2)));
    await using onlooker = open(file, { readOnly: true });
    expect(await onlooker.list({})).toHaveLength(2);
  });
});

async function withStore(store: TimeSeriesStore, work: (store: TimeSeriesStore) => Promise<unknown>): Promise<void> {
  await work(store);
  await store[Symbol.asyncDispose]();
}

describe("a damaged file", () => {
  async function written(): Promise<string> {
    const file = newFile();
    await withStore(open(file), async (store) => {
      for (let count = 0; count < 20; count += 1) await store.write(slot(count, 500));
    });
    return file;
  }

  /** A store that was never closed: the file as a killed process leaves it, its lock free again. */
  async function leftOpen(): Promise<string> {
    const file = await written();
    const lock = new Sqlite(`${file}.lock`);
    lock.pragma("user_version = 4711");
    lock.close();
    return file;
  }

  /** Wipes a page that holds rows of a table. */
  function wipe(file: string, table: string): void {
    const bare = new Sqlite(file, { readonly: true });
    const pages = bare.prepare("select max(pageno) from dbstat where name = ? and pagetype = 'leaf'").pluck();
    const page = Number(pages.get(table));
    bare.close();
    const handle = openSync(file, "r+");
    writeSync(handle, new Uint8Array(4_096), 0, 4_096, (page - 1) * 4_096);
    closeSync(handle);
  }

  test.each<[string, () => Promise<string>, (file: string) => void]>([
    ["is no database", written, (file) => writeFileSync(file, "these are not pages\n".repeat(500))],
    ["was cut short", written, (file) => writeFileSync(file, readFileSync(file).subarray(0, 40_000))],
    ["lost a page of its list of series", written, (file) => wipe(file, "series")],
    ["lost a page of points in a crash", leftOpen, (file) => wipe(file, "points")],
  ])("that %s is set aside by name, and the start goes on", async (_, make, damage) => {
    const file = await make();
    damage(file);
    const bytes = readFileSync(file);
    const lines: object[] = [];
    await using store = open(file, {}, { ...silent, error: (fields) => lines.push(fields) });
    const aside = `${file}.damaged-20261121T093000Z`;
    expect(readFileSync(aside).equals(bytes)).toBe(true);
    expect(lines).toMatchObject([{ file, damaged: aside }]);
    expect(await measure(store, "bellwether_store_damaged_files")).toBe(1);
    expect(await store.list({})).toEqual([]);
    expect((await store.write(slot(1, 3))).rejected).toEqual([]);
  });

  test("damage met while running is a Problem, and the next start sets the file aside", async () => {
    const file = await written();
    wipe(file, "points");
    await withStore(open(file), async (store) => {
      const read = store.read({ measurement: "orders", fields: ["n"], windows: allTime });
      await expect(read).rejects.toThrow("the series file is damaged");
    });
    await withStore(open(file), async (store) => {
      const { series } = await store.read({ measurement: "orders", fields: ["n"], windows: allTime });
      expect(series).toEqual([]);
    });
    expect(
      readdirSync(folder).some((name) => name.startsWith(file.slice(folder.length + 1)) && /damaged/.test(name)),
    ).toBe(true);
  });

  test("a killed process's sound file is checked and kept", async () => {
    const file = await leftOpen();
    await using store = open(file);
    expect(await store.list({})).toHaveLength(500);
    expect(existsSync(`${file}.damaged-20261121T093000Z`)).toBe(false);
  });

  test("a second damage in the same second gets a name of its own", async () => {
    const file = await written();
    for (let time = 0; time < 2; time += 1) {
      writeFileSync(file, "nothing of use".repeat(100));
      await withStore(open(file), async () => {});
    }
    expect(existsSync(`${file}.damaged-20261121T093000Z-2`)).toBe(true);
  });

  test("a lock file that is no lock does not stop the start", async () => {
    const file = await written();
    writeFileSync(`${file}.lock`, "pid 812\n".repeat(200));
    await using store = open(file);
    expect(await store.list({})).toHaveLength(500);
  });
});

test("a file of a newer version is refused by name and left alone", async () => {
  const file = newFile();
  await withStore(open(file), (store) => store.write(slot(1, 2)));
  const bare = new Sqlite(file);
  bare.pragma("user_version = 3");
  bare.close();
  copyFileSync(file, `${file}.before`);
  const problem = problemOf(() => open(file));
  expect(formatProblem(problem)).toBe(
    `SPL-002 ${file} - written by a newer build: version 3, this build reads up to 1. ` +
      "Fix: start the newer build, or move the file away.",
  );
  expect(readFileSync(file).equals(readFileSync(`${file}.before`))).toBe(true);
  expect(problemOf(() => open(file, { readOnly: true })).code).toBe("SPL-002");
});

test("a folder that cannot be made is a Problem", () => {
  const file = newFile();
  writeFileSync(file, "");
  expect(problemOf(() => open(join(file, "series.db"))).code).toBe("STR-002");
});

test("the file can be read with plain SQL", async () => {
  const file = newFile();
  await withStore(open(file), (store) =>
    store.write([
      { measurement: "orders", tags: { country: "Germany" }, fields: { n: 3 }, timeMs: Date.UTC(2026, 10, 20, 9) },
    ]),
  );
  const bare = new Sqlite(file, { readonly: true });
  expect(bare.prepare("select * from readable where tags ->> 'country' = 'Germany'").all()).toEqual([
    { time: "2026-11-20 09:00:00", measurement: "orders", tags: '{"country":"Germany"}', field: "n", value: 3 },
  ]);
  bare.close();
});

test("the example of the plug-in is what its options take", async () => {
  const { parse } = await import("yaml");
  expect(stores.sqlite.options.parse(parse(stores.sqlite.example).sqlite)).toEqual({ file: "series.db" });
});
