import { spawnSync } from "node:child_process";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Origin, ShelfEntry } from "../../../src/core/ports.ts";
import { hourMs, minuteMs } from "../../../src/core/time.ts";
import type { Spool } from "../../../src/store/spool.ts";
import { spoolFormat } from "../../../src/store/spool-format.ts";
import { Windows } from "../../../src/store/windows.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { batchOf, drain, expectAccounts, idOf, idsBehind, openSpool, recordingLog, startMs } from "./spool-support.ts";
import { outputOf, start, testFolder } from "./support.ts";

const folder = testFolder("spool");
let files = 0;
const newFile = (): string => join(folder, `spool-${files++}.db`);

describe("appending", () => {
  test("what was appended is handed over in order, to each target by itself, also after a restart", async () => {
    const file = newFile();
    let spool = openSpool(file);
    for (let id = 1; id <= 20; id += 1) await spool.append([batchOf(id)]);
    expect(drain(spool, "a")).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(idsBehind(spool, "b")).toHaveLength(20);
    spool.close();
    spool = openSpool(file);
    await spool.append([batchOf(21), batchOf(22)]);
    expect(idsBehind(spool, "a")).toEqual([21, 22]);
    expect(idsBehind(spool, "b")).toHaveLength(22);
    expectAccounts(spool);
    spool.close();
  });

  test("appends of one turn share one commit, in the order of their calls", async () => {
    const spool = openSpool(newFile());
    await Promise.all(Array.from({ length: 50 }, (_, index) => spool.append([batchOf(index)])));
    expect(measure(spool, "bellwether_spool_commits_total")).toBe(1);
    expect(idsBehind(spool, "a")).toEqual(Array.from({ length: 50 }, (_, index) => index));
    spool.close();
  });

  test("an append is synced to the disk, a settlement is not waited for", async () => {
    const spool = openSpool(newFile());
    const level = () => spool.file.sql<[], { synchronous: number }>("select synchronous from pragma_synchronous").get();
    await spool.append([batchOf(1)]);
    expect(level(), "FULL").toEqual({ synchronous: 2 });
    drain(spool, "a");
    expect(level(), "NORMAL").toEqual({ synchronous: 1 });
    await spool.append([batchOf(2)]);
    expect(level(), "FULL").toEqual({ synchronous: 2 });
    spool.close();
  });

  test("what waits at the end is written before the file is closed", async () => {
    const file = newFile();
    const spool = openSpool(file);
    const written = spool.append([batchOf(1)]);
    spool.close();
    await written;
    const again = openSpool(file);
    expect(idsBehind(again, "a")).toEqual([1]);
    again.close();
  });

  test("buckets are handed over each by itself", async () => {
    const spool = openSpool(newFile());
    await spool.append([batchOf(1), batchOf(2, { bucket: "hourly" }), batchOf(3)]);
    expect(drain(spool, "a", "hourly")).toEqual([2]);
    expect(drain(spool, "a")).toEqual([1, 3]);
    expectAccounts(spool);
    spool.close();
  });
});

describe("accounts", () => {
  type Step =
    | { kind: "append"; bucket: string; points: number }
    | { kind: "settle"; target: string; bucket: string; refused: number; expired: number }
    | { kind: "unshelve" | "give up" | "trim" | "reopen" | "wait" };
  const target = fc.constantFrom("a", "b");
  const bucket = fc.constantFrom("", "", "hourly");
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("append"), bucket, points: fc.integer({ min: 1, max: 9 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("settle"),
        target,
        bucket,
        refused: fc.integer({ min: 0, max: 3 }),
        expired: fc.integer({ min: 0, max: 2 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("unshelve", "give up", "trim", "reopen", "wait") }) },
  ) as fc.Arbitrary<Step>;

  /** Figures that are kept beside the spool, by target and bucket. */
  type Book = Map<string, { spooled: number; acknowledged: number; shelved: number; expired: number }>;

  test("hold after every step of any sequence, and are what a plain count says", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const file = newFile();
        const clock = new SimulatedClock(startMs);
        const open = () => openSpool(file, { clock, cushionMs: hourMs });
        let spool = open();
        const book: Book = new Map(
          ["a", "b"].flatMap((name) =>
            ["", "hourly"].map((one) => [`${name} ${one}`, { spooled: 0, acknowledged: 0, shelved: 0, expired: 0 }]),
          ),
        );
        let id = 0;
        try {
          for (const each of steps) {
            id += 1;
            if (each.kind === "append") {
              await spool.append([batchOf(id, each)]);
              for (const name of ["a", "b"]) book.get(`${name} ${each.bucket}`)!.spooled += each.points;
            } else if (each.kind === "settle") settle(spool, each, book);
            else if (each.kind === "unshelve") {
              const entries = spool.shelf({ limit: 2 });
              spool.unshelve(entries);
              for (const entry of entries) takenDown(entry, "acknowledged", book);
            } else if (each.kind === "give up") {
              const entries = spool.shelf({ limit: 2 });
              spool.giveUp(entries);
              for (const entry of entries) takenDown(entry, "expired", book);
            } else if (each.kind === "wait") {
              await clock.advance(40 * minuteMs);
              const windows = new Windows(spool);
              windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 100));
            } else if (each.kind === "trim") await spool.trim();
            else {
              spool.close();
              spool = open();
            }
            expectAccounts(spool);
            for (const account of spool.accounts()) {
              expect(account).toMatchObject(book.get(`${account.target} ${account.bucket}`) as object);
            }
          }
        } finally {
          spool.close();
        }
      }),
      { numRuns: 30 },
    );
  });

  function settle(spool: Spool, each: Extract<Step, { kind: "settle" }>, book: Book): void {
    const group = spool.next(each.target, each.bucket, 12, 1e6);
    if (group.length === 0) return;
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    const refused = Array.from({ length: Math.min(points, each.refused + each.expired) }, (_, index) => ({
      line: `orders,shop=${index} n=1 1`,
      reason: "no",
      expired: index >= each.refused,
    }));
    const acknowledged = points - refused.length;
    spool.settle(each.target, each.bucket, group.at(-1)?.seq as number, acknowledged, refused);
    const own = book.get(`${each.target} ${each.bucket}`)!;
    own.acknowledged += acknowledged;
    own.expired += refused.filter(({ expired }) => expired).length;
    own.shelved += refused.filter(({ expired }) => !expired).length;
  }

  function takenDown(entry: ShelfEntry, to: "acknowledged" | "expired", book: Book): void {
    const own = book.get(`${entry.target} ${entry.bucket}`)!;
    if (entry.expired) return;
    own.shelved -= entry.count;
    own[to] += entry.count;
  }

  test("a settlement that is not of what follows the cursor is refused, and changes nothing", async () => {
    const spool = openSpool(newFile());
    await spool.append([batchOf(1), batchOf(2)]);
    const before = spool.accounts();
    expect(() => spool.settle("a", "", 2, 3, [])).toThrow("3 points are settled, of 4 in the spool");
    expect(spool.accounts()).toEqual(before);
    spool.close();
  });

  test("a point that is refused again is one entry of the shelf, counted twice", async () => {
    const spool = openSpool(newFile());
    const refused = { line: "orders n=1 1", reason: "first", expired: false };
    for (const [index, reason] of ["first", "second"].entries()) {
      await spool.append([batchOf(index, { points: 1 })]);
      spool.settle("a", "", index + 1, 0, [{ ...refused, reason }]);
    }
    const shelf = spool.shelf({ target: "a", limit: 10 });
    expect(shelf).toMatchObject([{ ...refused, reason: "second", count: 2, target: "a", bucket: "" }]);
    expect(spool.shelfRows("a")).toBe(1);
    spool.unshelve(shelf);
    spool.unshelve(shelf);
    expect(spool.shelfRows("a")).toBe(0);
    expect(spool.accounts()[0]).toMatchObject({ acknowledged: 2, shelved: 0, pending: 0 });
    spool.close();
  });

  test("points that are too old are one entry a measurement, and take no room of the shelf", async () => {
    const spool = openSpool(newFile());
    const old = (line: string) => ({ line, reason: "beyond retention", expired: true });
    await spool.append([batchOf(1, { points: 4 })]);
    spool.settle("a", "", 1, 1, [
      old("orders,shop=1 n=1 1"),
      old("orders n=1 2"),
      old("big\\ orders\\,s,shop=1 n=1 3"),
    ]);
    await spool.append([batchOf(2, { points: 1 })]);
    spool.settle("a", "", 2, 0, [old("orders,shop=2 n=1 4")]);
    const shelf = spool.shelf({ target: "a", limit: 10 });
    expect(shelf.map(({ line, count, expired }) => ({ line, count, expired }))).toEqual([
      { line: "orders,shop=2 n=1 4", count: 3, expired: true },
      { line: "big\\ orders\\,s,shop=1 n=1 3", count: 1, expired: true },
    ]);
    expect(spool.shelfRows("a")).toBe(0);
    expect(spool.shelfTakes("a", 100_000)).toBe(true);
    expect(spool.accounts()[0]).toMatchObject({ acknowledged: 1, shelved: 0, expired: 4 });
    spool.unshelve(shelf);
    expect(spool.shelf({ limit: 10 }), "each stands for others").toHaveLength(2);
    expectAccounts(spool);
    spool.close();
  });

  test("points that are given up are off the shelf, and count with those that are too old", async () => {
    const file = newFile();
    let spool = openSpool(file);
    const refused = (line: string, expired = false) => ({ line, reason: "no", expired });
    await spool.append([batchOf(1, { points: 4 })]);
    spool.settle("a", "", 1, 0, [refused("a n=1 1"), refused("a n=1 1"), refused("b n=1 1"), refused("c n=1 1", true)]);
    spool.settle("b", "", 1, 3, [refused("a n=1 1")]);
    const entries = spool.shelf({ target: "a", limit: 10 });
    expect(spool.giveUp(entries)).toBe(3);
    expect(spool.giveUp(entries), "they are gone").toBe(0);
    spool.close();
    spool = openSpool(file);
    expect(spool.shelf({ limit: 10 }).map(({ target: name }) => name)).toEqual(["b"]);
    expect(spool.accounts()[0]).toMatchObject({ target: "a", shelved: 0, expired: 4 });
    expectAccounts(spool);
    spool.close();
  });

  test("an entry of the shelf that is gone is not taken for the one that has its number now", async () => {
    const spool = openSpool(newFile());
    await spool.append([batchOf(1)]);
    spool.settle("a", "", 1, 1, [{ line: "first n=1 1", reason: "no", expired: false }]);
    const gone = spool.shelf({ limit: 10 });
    spool.unshelve(gone);
    await spool.append([batchOf(2)]);
    spool.settle("a", "", 2, 1, [{ line: "second n=1 1", reason: "no", expired: false }]);
    spool.unshelve(gone);
    expect(spool.shelf({ limit: 10 })).toMatchObject([{ id: gone[0]?.id, line: "second n=1 1" }]);
    expectAccounts(spool);
    spool.close();
  });

  test("hold though batches were forgotten between two looks", async () => {
    const clock = new SimulatedClock(startMs);
    const spool = openSpool(newFile(), { clock, cushionMs: hourMs });
    for (let id = 1; id <= 4; id += 1) await spool.append([batchOf(id)]);
    expectAccounts(spool);
    for (const target of ["a", "b"]) drain(spool, target);
    const windows = new Windows(spool);
    windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 10));
    await clock.advance(2 * hourMs);
    await spool.trim();
    expect([...spool.since(0).batches]).toEqual([]);
    expectAccounts(spool);
    spool.close();
  });
});

describe("targets", () => {
  test("a new one begins at the end and is compared; one that is gone keeps nobody up", async () => {
    const file = newFile();
    let spool = openSpool(file);
    expect(spool.target("a")).toMatchObject({ verifyReason: "it is new here", doubted: true, doubt: 1 });
    await spool.append([batchOf(1)]);
    drain(spool, "a");
    spool.close();
    const log = recordingLog();
    spool = openSpool(file, { targets: ["a", "c"], log });
    expect(log.lines).toEqual(["a target is no longer in the settings: what it lacks is not kept for it"]);
    expect(spool.target("c")).toMatchObject({ verifyReason: "it is new here", doubted: true });
    expect(spool.next("c", "", 10, 1e6)).toEqual([]);
    expect(spool.handedOver()).toBe(1);
    await spool.append([batchOf(2)]);
    expect(idsBehind(spool, "c")).toEqual([2]);
    expectAccounts(spool);
    spool.close();
  });

  test.for([
    ["all are", ["c", "d"], "c"],
    ["the one that stays lacks some too", ["b", "c"], "c"],
  ] as const)("a new one is given all that is in the log where %s", async ([, targets, name]) => {
    const file = newFile();
    let spool = openSpool(file);
    for (let id = 1; id <= 3; id += 1) await spool.append([batchOf(id)]);
    drain(spool, "a");
    spool.settle("b", "", 1, 2, []);
    spool.close();
    spool = openSpool(file, { targets });
    expect(idsBehind(spool, name)).toEqual([1, 2, 3]);
    expect(spool.target(name)).toMatchObject({ verifyReason: "it is new here", doubted: true });
    expectAccounts(spool);
    spool.close();
  });

  test("a verification ends the doubt that it began with, and none that arose meanwhile", () => {
    const file = newFile();
    let spool = openSpool(file);
    const { doubt: first } = spool.target("a");
    expect(spool.progress("a", first, 500)).toBe(true);
    expect(spool.target("a").verifiedFromMs).toBe(500);
    spool.doubt("a", "it was restarted", { trusted: true });
    expect(spool.target("a"), "in doubt as before").toMatchObject({ verifiedFromMs: null, doubted: true });
    expect(spool.progress("a", first, 400)).toBe(false);
    expect(spool.endDoubt("a", first)).toBe(false);
    expect(spool.target("a")).toMatchObject({ verifyReason: "it was restarted", verifiedFromMs: null });
    spool.noteTarget("a", { startedMs: 7 });
    const { doubt: second } = spool.target("a");
    expect(second).toBeGreaterThan(first);
    expect(spool.endDoubt("a", second)).toBe(true);
    spool.close();
    spool = openSpool(file);
    expect(spool.target("a")).toMatchObject({ verifyReason: null, doubted: false, doubt: second, startedMs: 7 });
    spool.doubt("a", "it was restarted", { trusted: true });
    expect(spool.target("a")).toMatchObject({ doubted: false, verifyReason: "it was restarted" });
    expect(spool.target("a").doubt).toBeGreaterThan(second);
    spool.close();
  });
});

describe("looking back", () => {
  test("batches are found by the windows that they touch, and of a target only those that it lacks", async () => {
    const spool = openSpool(newFile());
    const inWindow = (index: number) => startMs + index * 5 * minuteMs;
    for (let id = 0; id < 10; id += 1) await spool.append([batchOf(id, { timeMs: inWindow(id % 3) })]);
    await spool.append([batchOf(99, { measurement: "other", timeMs: inWindow(0) })]);
    spool.settle("a", "", 4, 8, []);
    expect(spool.touching({ measurement: "orders", startMs: inWindow(0) }).map(idOf)).toEqual([9, 6, 3, 0]);
    const starts = [
      { fromMs: inWindow(0), toMs: inWindow(0) + 1 },
      { fromMs: inWindow(2), toMs: inWindow(3) },
    ];
    const lacking = (target: string, most: number) => {
      const { batches, all } = spool.lacking(target, "orders", starts, most);
      return { ids: batches.map(idOf), all };
    };
    expect(lacking("a", 100)).toEqual({ ids: [5, 6, 8, 9], all: true });
    expect(lacking("b", 100)).toEqual({ ids: [0, 2, 3, 5, 6, 8, 9], all: true });
    expect(lacking("b", 4)).toEqual({ ids: [0, 2], all: false });
    drain(spool, "b");
    expect(lacking("b", 100)).toEqual({ ids: [], all: true });
    spool.close();
  });

  test("the cushion goes when all have it, its windows are sealed and it is old enough; not before", async () => {
    const clock = new SimulatedClock(startMs);
    const spool = openSpool(newFile(), { clock, cushionMs: hourMs });
    await spool.append([batchOf(1)]);
    await spool.append([batchOf(2)]);
    const kept = async () => {
      await spool.trim();
      return [...spool.since(0).batches].map(idOf);
    };
    await clock.advance(2 * hourMs);
    drain(spool, "a");
    expect(await kept(), "b lacks them").toEqual([1, 2]);
    drain(spool, "b");
    expect(await kept(), "their window is open").toEqual([1, 2]);
    const windows = new Windows(spool);
    windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 10));
    await spool.append([batchOf(3, { timeMs: startMs + hourMs })]);
    expect(await kept(), "old, sealed, handed over").toEqual([3]);
    expect(spool.touching({ measurement: "orders", startMs })).toEqual([]);
    expect(spool.since(2).whole).toBe(true);
    expect(spool.since(1).whole).toBe(false);
    spool.close();
  });
});

describe("who may open it", () => {
  test("a second process is refused, with the pid of the first", async () => {
    const file = newFile();
    const holder = start(import.meta.dirname, "spool-holder.ts", file);
    await new Promise((resolve) => holder.stdout?.once("data", resolve));
    expect(() => openSpool(file)).toThrow(
      expect.objectContaining({ code: "SPL-001", message: `held by process ${holder.pid}`, where: file }),
    );
    const looking = openSpool(file, { readOnly: true });
    expect([...looking.since(0).batches].map(idOf)).toEqual([1]);
    holder.stdin?.end("append\n");
    await outputOf(holder);
    expect([...looking.since(0).batches].map(idOf), "seen without opening it anew").toEqual([1, 2]);
    expect(looking.lacking("a", "orders", [{ fromMs: 0, toMs: startMs + 1 }], 9).batches.map(idOf)).toEqual([1, 2]);
    expectAccounts(looking);
    looking.close();
    const own = openSpool(file);
    expect(idsBehind(own, "a")).toEqual([1, 2]);
    own.close();
  });

  test("a file of a newer build is refused by name, and left as it is", async () => {
    const file = newFile();
    const spool = openSpool(file);
    await spool.append([batchOf(1)]);
    spool.close();
    withFile(file, (database) => database.pragma("user_version = 4"));
    expect(() => openSpool(file)).toThrow(
      expect.objectContaining({
        code: "SPL-002",
        message: "written by a newer build: version 4, this build reads up to 3",
      }),
    );
    withFile(file, (database) => database.pragma("user_version = 3"));
    const again = openSpool(file);
    expect(idsBehind(again, "a")).toEqual([1]);
    again.close();
  });

  test("a file of version 1 is brought up to date and keeps everything", async () => {
    const file = newFile();
    const spool = openSpool(file);
    for (let id = 1; id <= 5; id += 1) await spool.append([batchOf(id)]);
    spool.settle("a", "", 2, 1, [
      { line: "orders n=1 1", reason: "no", expired: false },
      { line: "orders,shop=1 n=1 1", reason: "too old", expired: true },
      { line: "orders,shop=2 n=1 1", reason: "too old", expired: true },
    ]);
    spool.noteTarget("a", { canaryMs: 7 });
    const slot = { sampler: "shop", slotMs: startMs };
    spool.file
      .sql<[string, number], never>("insert into gap values (?, ?, 3, 'no room', 1, 'refused')")
      .run(slot.sampler, slot.slotMs);
    const before = { accounts: spool.accounts(), shelf: spool.shelf({ limit: 9 }), ids: idsBehind(spool, "a") };
    spool.close();
    const old = newFile();
    withFile(old, (database) => {
      database.exec(`${spoolFormat.versions[0]}; pragma user_version = 1;`);
      database.exec(`attach '${file}' as newer`);
      const tables = database.prepare("select name from main.sqlite_master where type = 'table'").pluck().all();
      for (const table of tables) {
        const columns = (schema: string) =>
          database.prepare(`select name from pragma_table_info(?, ?)`).pluck().all(table, schema) as string[];
        const both = columns("main").filter((name) => columns("newer").includes(name));
        if (table !== "sqlite_sequence") database.exec(`delete from main.${table}`);
        database.exec(`insert into main.${table} (${both}) select ${both} from newer.${table}`);
      }
      // As they were kept then: each point by itself.
      database.exec(`update shelf set count = 1 where expired = 1;
        insert into shelf (target, bucket, line, expired, reason, first_ms, last_ms, count)
        select target, bucket, 'orders,shop=1 n=1 1', 1, reason, first_ms, last_ms, 1 from shelf where expired = 1`);
    });
    const upgraded = openSpool(old);
    expect({
      accounts: upgraded.accounts(),
      shelf: upgraded.shelf({ limit: 9 }),
      ids: idsBehind(upgraded, "a"),
    }).toEqual(before);
    expect(upgraded.target("a")).toMatchObject({ canaryMs: 7, verifyReason: "it is new here", doubt: 1 });
    expect(upgraded.gaps(9)).toMatchObject([{ ...slot, kind: "refused" }]);
    await upgraded.append([batchOf(6)]);
    expect(idsBehind(upgraded, "a")).toEqual([3, 4, 5, 6]);
    upgraded.close();
    withFile(old, (database) => expect(database.pragma("user_version", { simple: true })).toBe(3));
  });
});

describe("the bound", () => {
  const origin = (priority: Origin["priority"], slot: number): Origin => ({
    sampler: `${priority}-sampler`,
    priority,
    slotMs: startMs + slot * minuteMs,
  });

  test("low is refused before medium before high; every point is stored or in exactly one gap", async () => {
    const spool = openSpool(newFile(), { bytesMax: 3e6 });
    const stored = { low: 0, medium: 0, high: 0 };
    const refused = new Map<string, number>();
    const firstRefusal = { low: 0, medium: 0, high: 0 };
    let heldUpAt = 0;
    for (let slot = 0; refused.size < 60; slot += 1) {
      if (spool.heldUp && heldUpAt === 0) heldUpAt = spool.usedBytes() / spool.bytesMax;
      for (const priority of ["high", "low", "medium"] as const) {
        const from = origin(priority, slot);
        const batch = batchOf(slot, { points: 10, ballastBytes: 2_000 });
        try {
          await spool.append([batch], from);
          stored[priority] += 10;
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: "SPL-003", retryable: true });
          refused.set(`${from.sampler} ${from.slotMs}`, 10);
          firstRefusal[priority] ||= spool.usedBytes() / spool.bytesMax;
        }
        expect(spool.usedBytes(), "the bound holds, but for the log of the last write").toBeLessThan(1.2 * 3e6);
      }
    }
    expect(heldUpAt).toBeGreaterThanOrEqual(0.7);
    expect(heldUpAt).toBeLessThan(0.8);
    expect(firstRefusal.low).toBeGreaterThan(0.8);
    expect(firstRefusal.medium).toBeGreaterThan(firstRefusal.low);
    expect(firstRefusal.high).toBeGreaterThan(firstRefusal.medium);
    const gaps = spool.gaps(1_000);
    expect(new Map(gaps.map(({ sampler, slotMs, points }) => [`${sampler} ${slotMs}`, points]))).toEqual(refused);
    expect(gaps[0]?.reason).toMatch(/the spool has no room: \d+ % of 3 MB are in use/);
    expect(spool.accounts()[0]?.pending).toBe(stored.low + stored.medium + stored.high);
    expectAccounts(spool);
    spool.close();
  });

  test("what all targets have goes first, sealed windows before others; then there is room for every priority", async () => {
    const spool = openSpool(newFile(), { bytesMax: 10e6 });
    let id = 0;
    const fill = async (priority: Origin["priority"]) => {
      for (; ; id += 1) {
        const batch = batchOf(id, { points: 40, ballastBytes: 2_000, timeMs: startMs + id * 5 * minuteMs });
        await spool.append([batch], origin(priority, id));
      }
    };
    await expect(fill("low")).rejects.toMatchObject({ code: "SPL-003" });
    expect(spool.gapCount).toBe(1);
    const full = id;
    for (const target of ["a", "b"]) drain(spool, target);
    const windows = new Windows(spool);
    windows.seal(windows.closed(spool.handedOver(), startMs, 20));
    await spool.append([batchOf(id)], origin("low", id));
    expect(spool.gapCount, "the slot was stored after all").toBe(0);
    // A turn of forgetting is short; each write has one.
    while (spool.heldUp) await spool.append([batchOf(++id)], origin("high", id));
    const left = [...spool.since(0).batches].map(idOf);
    // How many go in one turn depends on its time: it may be that not even all sealed ones have to.
    expect(left[0], "the oldest went, as few as needed").toBeGreaterThan(0);
    expect(left, "and no others").toEqual(left.map((_, index) => (left[0] as number) + index));
    expect(left[0]).toBeLessThan(full);
    expect(spool.heldUp).toBe(false);
    expect(measure(spool, "bellwether_spool_batches_sacrificed_total")).toBe(left[0]);
    expectAccounts(spool);
    spool.close();
  });

  test("a slot that is refused twice is one gap with its own points; those without an origin are added up", async () => {
    const spool = openSpool(newFile(), { bytesMax: 50_000 });
    for (const points of [3, 5]) {
      await expect(spool.append([batchOf(1, { points, ballastBytes: 50_000 })], origin("high", 1))).rejects.toThrow();
      await expect(spool.append([batchOf(1, { points, ballastBytes: 50_000 })])).rejects.toThrow();
    }
    const seen = spool.gaps(10).map(({ sampler, slotMs, points }) => ({ sampler, slotMs, points }));
    expect(seen).toEqual([
      { sampler: "(nobody)", slotMs: 0, points: 8 },
      { sampler: "high-sampler", slotMs: startMs + minuteMs, points: 5 },
    ]);
    for (const gap of seen) spool.dropGap(gap);
    expect(spool.gapCount).toBe(0);
    spool.close();
  });

  test("gaps are listed page by page, in the order of their slots", async () => {
    const spool = openSpool(newFile(), { bytesMax: 50_000 });
    const batch = batchOf(1, { ballastBytes: 50_000 });
    for (const slot of [3, 1, 2]) {
      for (const priority of ["medium", "high"] as const) {
        await expect(spool.append([batch], origin(priority, slot))).rejects.toThrow();
      }
    }
    const seen: string[] = [];
    for (let page = spool.gaps(4); page.length > 0; page = spool.gaps(4, page.at(-1))) {
      for (const { sampler, slotMs, kind } of page) seen.push(`${(slotMs - startMs) / minuteMs} ${sampler} ${kind}`);
    }
    expect(seen).toEqual(
      [1, 2, 3].flatMap((slot) => [`${slot} high-sampler refused`, `${slot} medium-sampler refused`]),
    );
    spool.close();
  });
});

test("another process cannot be started on a file while the command looks on, and looking on changes nothing", () => {
  const file = newFile();
  expect(() => openSpool(file, { readOnly: true })).toThrow(expect.objectContaining({ code: "STR-002" }));
  expect(spawnSync("ls", [file]).status, "no file was made").not.toBe(0);
});

function withFile(file: string, work: (database: Sqlite.Database) => void): void {
  const database = new Sqlite(file);
  try {
    work(database);
  } finally {
    database.close();
  }
}

function measure(spool: Spool, name: string): number | undefined {
  return spool.measures().find((each) => each.name === name)?.value;
}
