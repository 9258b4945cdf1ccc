import { describe, expect, test } from "vitest";
import type { Sampler } from "../../../src/core/definitions.ts";
import { Block } from "../../../src/judge/block.ts";
import { ZoneDays } from "../../../src/judge/days.ts";
import { historyCellsIn } from "../../../src/judge/history.ts";
import { Judge } from "../../../src/judge/judge.ts";
import { judgeOn, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const nowMs = Date.parse("2026-03-11T14:00:00Z");
const log = { debug() {}, info() {}, warn() {}, error() {} };
const measure = (judge: Judge, name: string) =>
  judge.measures().find((each) => each.name === `bellwether_judge_history_${name}`)?.value;

function samplerCalled(name: string): Sampler {
  return { ...samplerOf({ tags: ["country"] }), name };
}

const points = (timeMs: number, series: number) =>
  Array.from({ length: series }, (_, index) => orders(timeMs, 100, { country: `c${index}` }));

/** Cells that the history of `series` needs. */
async function cellsOf(series: number): Promise<number> {
  const store = memoryStore();
  const judge = judgeOn(store);
  await runSlot(store, judge, samplerCalled("one"), nowMs, points(nowMs, series));
  return measure(judge, "cells") as number;
}

describe("history in memory is bounded", () => {
  test("by 100 million slots, and by what a small container has", () => {
    expect(historyCellsIn(64 * 1024 ** 3)).toBe(100_000_000);
    expect(historyCellsIn(1024 ** 3)).toBe(30_678_337);
  });

  test("beyond the bound the history that was not used for longest is given up, counted, and read again", async () => {
    const historyCellsMax = 2 * (await cellsOf(4));
    const store = memoryStore();
    const judge = new Judge({ store, log, historyCellsMax });
    const held: unknown[] = [];
    for (const [slot, name] of ["one", "two", "one", "three", "one", "two"].entries()) {
      const timeMs = nowMs + slot * minuteMs;
      const verdicts = await runSlot(store, judge, samplerCalled(name), timeMs, points(timeMs, 4));
      expect(verdicts).toHaveLength(4);
      held.push([name, measure(judge, "blocks"), measure(judge, "evictions_total")]);
      expect(measure(judge, "cells")).toBeLessThanOrEqual(historyCellsMax);
    }
    expect(held).toEqual([
      ["one", 1, 0],
      ["two", 2, 0],
      ["one", 2, 0],
      ["three", 2, 1],
      ["one", 2, 1],
      ["two", 2, 2],
    ]);
  });

  test("one sampler that is beyond it by itself is told what to do", async () => {
    const needed = await cellsOf(10);
    const store = memoryStore();
    const judge = new Judge({ store, log, historyCellsMax: needed - 1 });
    await expect(runSlot(store, judge, samplerCalled("one"), nowMs, points(nowMs, 10))).rejects.toMatchObject({
      message: `judging needs ${needed} values at hand, at most ${needed - 1} are allowed`,
      where: "one.orders",
      fix: "fewer series in one sampler, or fewer baseline days",
    });
  });

  test.each([
    ["near, blocks of 2 slots", 2],
    ["far away, blocks of 28 slots", 28],
  ])("holds ten samplers of 5,000 series at 1 minute: %s", (_, slots) => {
    const shape = { stepMs: minuteMs, fromMs: nowMs, slots, days: 14, points: 8, missedDays: 7, calendar: null };
    const { cellsEach } = new Block({ ...shape, zone: "UTC" }, new ZoneDays("UTC"));
    expect(50_000 * cellsEach).toBeLessThanOrEqual(measure(judgeOn(memoryStore()), "cells_limit") as number);
  });
});
