import { expect, test } from "vitest";
import { Collector } from "../../src/collector.ts";
import type { SlotRecord } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import type { SlotEnd } from "../../src/schedule/worker.ts";
import { stores } from "../../src/store/stores/index.ts";
import { SimulatedClock } from "../support/clock.ts";
import { NotedLog } from "./schedule/support.ts";

const startMs = Date.parse("2026-11-20T09:00:00Z");
const end = (minute: number, outcome: Partial<SlotEnd["outcome"]> = {}): SlotEnd => {
  const slotMs = startMs + minute * 60_000;
  const record = { sampler: "orders", startMs: slotMs, dueMs: slotMs + 60_000, attempts: 1 } as SlotRecord;
  const times = { startedMs: slotMs + 60_250, endedMs: slotMs + 60_300 };
  const result = { rows: 2, points: 2, dataState: "value", serverMs: 12.5, rowsRead: 900 } as const;
  return { record, outcome: { state: "done", ...result, ...outcome }, ...times };
};
const window = { fromMs: startMs, toMs: startMs + 86_400_000 };
const ended = AbortSignal.abort();

async function openStore() {
  return stores.sqlite.create({ file: ":memory:" }, { clock: new SimulatedClock(startMs), log: new NotedLog() });
}

test("each slot is one point: what it took, and what became of it", async () => {
  await using store = await openStore();
  const collector = new Collector({ store, log: new NotedLog() });
  collector.note(end(0));
  collector.note(
    end(1, {
      state: "failed",
      rows: undefined,
      points: undefined,
      serverMs: undefined,
      rowsRead: null,
      dataState: "late",
    }),
  );
  collector.note(end(2, { state: "due" }));
  await collector.run(ended);
  const fields = ["lateness_ms", "duration_ms", "failed", "rows", "rows_read", "server_ms", "state"];
  const { series } = await store.read({ measurement: "bellwether_collection", fields, windows: [window] });
  expect(Object.fromEntries(series.map(({ field, values }) => [field, values]))).toEqual({
    lateness_ms: [250, 250],
    duration_ms: [50, 50],
    failed: [0, 1],
    rows: [2],
    rows_read: [900],
    server_ms: [12.5],
    state: ["value", "late"],
  });
  expect(series.every(({ tags }) => tags.sampler === "orders")).toBe(true);
});

test("what cannot be written waits, up to a bound; what goes beyond it is counted", async () => {
  await using inner = await openStore();
  let full = true;
  const store: TimeSeriesStore = {
    read: (query) => inner.read(query),
    list: (query) => inner.list(query),
    expire: (beforeMs) => inner.expire(beforeMs),
    write: (points, origin) =>
      full ? Promise.reject(new Problem("no room", { retryable: true })) : inner.write(points, origin),
    [Symbol.asyncDispose]: async () => {},
  };
  const log = new NotedLog();
  const collector = new Collector({ store, log });
  for (let slot = 0; slot < 10_003; slot += 1) collector.note(end(slot));
  await collector.run(ended);
  expect(log.lines).toEqual(["warn: the latest figures of the collection are lost: no room"]);
  expect(collector.measures()[0]?.value).toBe(3);
  full = false;
  await collector.run(ended);
  const wide = [{ fromMs: startMs, toMs: startMs + 20_000 * 60_000 }];
  const { series } = await inner.read({ measurement: "bellwether_collection", fields: ["rows"], windows: wide });
  expect(series[0]?.values).toHaveLength(10_000);
});
