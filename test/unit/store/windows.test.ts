import { join } from "node:path";
import { expect, test } from "vitest";
import { minuteMs } from "../../../src/core/time.ts";
import { Windows, windowMs, windowsOf } from "../../../src/store/windows.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { batchOf, drain, openSpool, startMs } from "./spool-support.ts";
import { testFolder } from "./support.ts";

const folder = testFolder("windows");
let files = 0;

function begin() {
  const clock = new SimulatedClock(startMs);
  const spool = openSpool(join(folder, `${files++}.db`), { clock });
  const windows = new Windows(spool);
  const write = (id: number, window: number) => spool.append([batchOf(id, { timeMs: startMs + window * windowMs })]);
  const closed = (again = false) =>
    windows
      .closed(spool.handedOver(), clock.nowMs() - 2 * minuteMs, 10, { again })
      .map((each) => (each.startMs - startMs) / windowMs);
  const key = (window: number) => ({ measurement: "orders", startMs: startMs + window * windowMs });
  const carry = () => ["a", "b"].map((target) => drain(spool, target));
  return { clock, spool, windows, write, closed, key, carry };
}

test("a window closes when all targets have it and nobody wrote to it for a while", async () => {
  const { clock, spool, write, closed, carry } = begin();
  await write(1, 0);
  await clock.advance("3m");
  drain(spool, "a");
  expect(closed(), "b lacks it").toEqual([]);
  await write(2, 1);
  carry();
  expect(closed(), "the second one is fresh").toEqual([0]);
  await clock.advance("3m");
  expect(closed(), "those written to longest ago first").toEqual([0, 1]);
  await write(3, 0);
  carry();
  expect(closed(), "a late write opens it").toEqual([1]);
  spool.close();
});

test("a window that was written to while it was compared is not sealed", async () => {
  const { clock, spool, windows, write, closed, carry, key } = begin();
  await write(1, 0);
  await write(2, 1);
  carry();
  await clock.advance("3m");
  windows.markDirty("a", [key(0), key(1)], "no answer", clock.nowMs());
  const compared = windows.closed(spool.handedOver(), clock.nowMs(), 10);
  await write(3, 0);
  windows.seal(compared);
  carry();
  await clock.advance("3m");
  expect(closed()).toEqual([0]);
  expect([windows.isDirty("a", key(0)), windows.isDirty("a", key(1))], "sealed ones are clean").toEqual([true, false]);
  expect(windows.counts()).toEqual({ unsealed: 1, differing: 0, dirty: new Map([["a", 1]]) });
  spool.close();
});

test("windows that differ for good are looked at where asked for, last, keep no batches, and come back when written to", async () => {
  const { clock, spool, windows, write, closed, carry, key } = begin();
  for (let window = 0; window < 3; window += 1) await write(window, window);
  carry();
  await clock.advance("3m");
  windows.differ(key(0), "a has 1, b has 2");
  windows.differ(key(7), "found by a verification");
  expect(closed()).toEqual([1, 2]);
  expect(closed(true)).toEqual([1, 2, 7, 0]);
  expect(windows.differing(10).map(({ differs }) => differs)).toEqual(["found by a verification", "a has 1, b has 2"]);
  expect(windows.counts()).toMatchObject({ unsealed: 4, differing: 2 });
  windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 2));
  await clock.advance("72h");
  await spool.trim();
  expect([...spool.since(0).batches], "what nobody can decide holds nothing up").toEqual([]);
  await write(4, 0);
  carry();
  await clock.advance("3m");
  expect(windows.get(key(0))).toMatchObject({ differs: null, writes: 2 });
  expect(windows.counts()).toMatchObject({ unsealed: 2, differing: 1 });
  spool.close();
});

test("a window that a verification found differing keeps its batches from the next write on", async () => {
  const { clock, spool, windows, write, carry, key } = begin();
  windows.differ(key(7), "found by a verification");
  await write(1, 7);
  carry();
  await clock.advance("72h");
  await spool.trim();
  expect([...spool.since(0).batches]).toHaveLength(1);
  windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 10));
  await spool.trim();
  expect([...spool.since(0).batches]).toEqual([]);
  spool.close();
});

test("whether copies differ in a stretch of time is told by the windows that it touches", () => {
  const { spool, windows, key } = begin();
  windows.differ(key(3), "a has 1, b has 2");
  const { startMs: from } = key(3);
  const differs = (fromMs: number, toMs: number, measurement = "orders") =>
    windows.differsIn(measurement, fromMs, toMs);
  expect(differs(from, from + windowMs)).toBe(true);
  expect(differs(from + windowMs - 1, from + windowMs), "its last millisecond").toBe(true);
  expect(differs(from + windowMs, from + 9 * windowMs), "after it").toBe(false);
  expect(differs(from - windowMs, from), "before it").toBe(false);
  expect(differs(from - windowMs, from + 1)).toBe(true);
  expect(differs(from, from + windowMs, "visits"), "of another measurement").toBe(false);
  const plan = spool.file.sql<[], { detail: string }>(
    `explain query plan select 1 from window where measurement = 'orders' and start_ms > 1 and start_ms < 2
     and differs is not null`,
  );
  expect(plan.all()[0]?.detail).toMatch(/^SEARCH window USING .*\(measurement=\? AND start_ms>\? AND start_ms<\?\)$/);
  spool.close();
});

test("windows are compared once more when they are reopened: sealed ones, and those that differ for good", async () => {
  const { clock, spool, windows, write, closed, carry, key } = begin();
  await write(1, 0);
  await write(2, 1);
  carry();
  await clock.advance("3m");
  windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 1));
  windows.differ(key(1), "a has 1, b has 2");
  expect(closed()).toEqual([]);
  windows.reopen([key(0), key(1)], clock.nowMs());
  expect(closed(), "not at once").toEqual([]);
  await clock.advance("3m");
  expect(closed()).toEqual([0, 1]);
  expect(windows.get(key(1))).toMatchObject({ differs: null, writes: 2, lastSeq: 2 });
  spool.close();
});

test("a verification cleans the windows that were dirty before it, not those that became so again meanwhile", () => {
  const { spool, windows, key } = begin();
  windows.markDirty("a", [key(0), key(1)], "no answer", 1);
  windows.markDirty("b", [key(0)], "500", 1);
  windows.markDirty("a", [key(1), key(2)], "500", 5);
  windows.clean("a", 5);
  expect([0, 1, 2].map((window) => windows.isDirty("a", key(window)))).toEqual([false, true, true]);
  expect(windows.counts().dirty).toEqual(
    new Map([
      ["a", 2],
      ["b", 1],
    ]),
  );
  spool.close();
});

test("points lie in windows of five minutes that begin with the epoch, each named once", () => {
  const at = (text: string) => ({ measurement: "m", timeMs: Date.parse(text) });
  const points = [
    at("2026-01-01T00:04:59.999Z"),
    at("2026-01-01T00:05:00Z"),
    at("2026-01-01T00:00:00Z"),
    at("1969-12-31T23:59:59Z"),
  ];
  expect(windowsOf([...points, { ...points[0]!, measurement: "n" }])).toEqual([
    { measurement: "m", startMs: Date.parse("2026-01-01T00:00:00Z") },
    { measurement: "m", startMs: Date.parse("2026-01-01T00:05:00Z") },
    { measurement: "m", startMs: -300_000 },
    { measurement: "n", startMs: Date.parse("2026-01-01T00:00:00Z") },
  ]);
});
