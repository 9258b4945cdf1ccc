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
  const closed = () =>
    windows
      .closed(spool.handedOver(), clock.nowMs() - 2 * minuteMs, 10)
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

test("windows that differ for good are looked at last, keep no batches, and come back when written to", async () => {
  const { clock, spool, windows, write, closed, carry, key } = begin();
  for (let window = 0; window < 3; window += 1) await write(window, window);
  carry();
  await clock.advance("3m");
  windows.differ(key(0), "a has 1, b has 2");
  windows.differ(key(7), "found by a verification");
  expect(closed()).toEqual([1, 2, 7, 0]);
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

test("dirty windows are those of one target, the newest first, noted once with their first reason", () => {
  const { spool, windows, key } = begin();
  windows.markDirty("a", [key(1), key(0)], "no answer", 1);
  windows.markDirty("a", [key(0), key(2)], "500", 2);
  windows.markDirty("b", [key(0)], "500", 3);
  expect(windows.dirty("a", 2)).toEqual([
    { target: "a", ...key(2), reason: "500", sinceMs: 2 },
    { target: "a", ...key(1), reason: "no answer", sinceMs: 1 },
  ]);
  expect(windows.dirty("a", 9).at(-1)).toMatchObject({ ...key(0), reason: "no answer" });
  windows.clean("a");
  expect(windows.counts().dirty).toEqual(new Map([["b", 1]]));
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
