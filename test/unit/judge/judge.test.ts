import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Point, Tags, Verdict } from "../../../src/core/model.ts";
import type { ReadQuery, TimeSeriesStore } from "../../../src/core/ports.ts";
import type { Judge } from "../../../src/judge/judge.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
/** A Wednesday, 14:00 UTC. */
const nowMs = Date.parse("2026-03-11T14:00:00Z");

/** Values of the minutes around 14:00 on the seven days before, the same on each day but for a little. */
function pastDays(value: (minute: number, day: number) => number, tags: Tags = {}): Point[] {
  const points: Point[] = [];
  for (let day = 1; day <= 7; day += 1) {
    for (let minute = -80; minute < 120; minute += 1) {
      points.push(orders(nowMs - day * dayMs + minute * minuteMs, value(minute, day), tags));
    }
  }
  return points;
}

const steady = (minute: number, day: number) => 100 + ((minute * 5 + day * 3 + 700) % 7) - 3;

/** Counts the reads that pass through. */
function counting(store: TimeSeriesStore): { store: TimeSeriesStore; reads: ReadQuery[] } {
  const reads: ReadQuery[] = [];
  const counted: TimeSeriesStore = {
    write: (points) => store.write(points),
    read: (query) => {
      reads.push(query);
      return store.read(query);
    },
    list: (query) => store.list(query),
    expire: (beforeMs) => store.expire(beforeMs),
    [Symbol.asyncDispose]: async () => {},
  };
  return { store: counted, reads };
}

function facts({ timeMs, level, sinceMs, lossSoFar, evidence, reason }: Verdict) {
  return { timeMs, level, sinceMs, lossSoFar, evidence, reason };
}

test("history is read in blocks: an hour of slots of fifty series costs a handful of reads", async () => {
  const inner = memoryStore();
  const names = Array.from({ length: 50 }, (_, index) => ({ country: `c${index}` }));
  for (const tags of names) await inner.write(pastDays(steady, tags));
  const { store, reads } = counting(inner);
  const judge = judgeOn(store);
  const sampler = samplerOf({ tags: ["country"] });
  for (let minute = 0; minute < 60; minute += 1) {
    const timeMs = nowMs + minute * minuteMs;
    const verdicts = await runSlot(
      store,
      judge,
      sampler,
      timeMs,
      names.map((tags) => orders(timeMs, 100, tags)),
    );
    expect(verdicts.map(({ level }) => level)).toEqual(Array(50).fill("normal"));
  }
  expect(reads.length).toBeLessThanOrEqual(10);
  const held = judge.measures().find(({ name }) => name === "bellwether_judge_history_cells");
  expect(held?.value).toBeGreaterThan(50 * 7 * 60);
});

describe("an incident is remembered by the store alone", () => {
  test("a new Judge in its middle goes on with since and loss", async () => {
    const store = memoryStore();
    const sampler = samplerOf({});
    await store.write(pastDays(() => 100));
    const first = judgeOn(store);
    for (let minute = -20; minute < 0; minute += 1) {
      await runSlot(store, first, sampler, nowMs + minute * minuteMs, [orders(nowMs + minute * minuteMs, 100)]);
    }
    await runSlot(store, first, sampler, nowMs, [orders(nowMs, 10)]);
    const [verdict] = await runSlot(store, judgeOn(store), sampler, nowMs + minuteMs, [orders(nowMs + minuteMs, 20)]);
    expect(verdict).toMatchObject({ level: "critical", sinceMs: nowMs, lossSoFar: 170, direction: "down" });
  });

  test("hours without slots do not end it, nor does the fifth day keep it", async () => {
    const store = memoryStore();
    const sampler = samplerOf({});
    for (const shift of [-4, -3, -2, -1, 0]) {
      await store.write(pastDays(() => 100).map((point) => ({ ...point, timeMs: point.timeMs - shift * dayMs })));
    }
    const outageMs = nowMs - 20 * minuteMs;
    const longLived = [judgeOn(store), judgeOn(store)];
    const before = await longLived[1]?.judgeSlot(sampler, outageMs, [orders(outageMs, 0)]);
    await runSlot(store, longLived[0] as Judge, sampler, outageMs, [orders(outageMs, 0)]);
    expect(before).toHaveLength(1);
    for (const [index, [laterMs, sinceMs]] of [
      [outageMs + dayMs, outageMs],
      [outageMs + 4 * dayMs + minuteMs, outageMs + 4 * dayMs + minuteMs],
    ].entries()) {
      const points = [orders(laterMs as number, 0)];
      await store.write(points);
      const one = await judgeOn(store).judgeSlot(sampler, laterMs as number, points);
      const other = await (longLived[index] as Judge).judgeSlot(sampler, laterMs as number, points);
      expect(one.map(facts)).toEqual(other.map(facts));
      expect(one[0]).toMatchObject({ level: "critical", sinceMs });
    }
  });
});

describe("late data judges a slot again", () => {
  test("and takes it out of the incident that it was in", async () => {
    const store = memoryStore();
    const sampler = samplerOf({});
    await store.write(pastDays(() => 100));
    const judge = judgeOn(store);
    const [before] = await runSlot(store, judge, sampler, nowMs, [orders(nowMs, 3)]);
    expect(before?.level).toBe("critical");
    const [after] = await runSlot(store, judge, sampler, nowMs, [orders(nowMs, 98)]);
    expect(after).toMatchObject({ level: "normal", sinceMs: null, closes: true });
    expect(after?.reason).toContain("no longer part of an incident");
    expect(verdictPoint(after as Verdict).fields).toMatchObject({ level: 0, since: 0 });
    const [next] = await runSlot(store, judge, sampler, nowMs + minuteMs, [orders(nowMs + minuteMs, 99)]);
    expect(next).toMatchObject({ level: "normal", sinceMs: null });
    expect(next?.closes).toBeUndefined();
  });

  test("an old slot is judged by what came before it only", async () => {
    const store = memoryStore();
    const sampler = samplerOf({});
    await store.write(pastDays(steady));
    const judge = judgeOn(store);
    const first: Verdict[] = [];
    for (let minute = 0; minute < 20; minute += 1) {
      const timeMs = nowMs + minute * minuteMs;
      const value = minute >= 10 ? 5 : steady(minute, 0);
      first.push(...(await runSlot(store, judge, sampler, timeMs, [orders(timeMs, value)])));
    }
    for (const minute of [9, 14, 3, 19]) {
      const timeMs = nowMs + minute * minuteMs;
      const [again] = await judge.judgeSlot(sampler, timeMs, [orders(timeMs, first[minute]?.observed as number)]);
      expect(facts(again as Verdict)).toEqual(facts(first[minute] as Verdict));
    }
  });
});

test("a series that falls silent is unknown, slot after slot, and forgotten once nothing tells of it", async () => {
  const store = memoryStore();
  const sampler = samplerOf({ tags: ["country"] });
  await store.write(pastDays(steady, { country: "uk" }));
  const judge = judgeOn(store);
  const [verdict] = await runSlot(store, judge, sampler, nowMs, []);
  expect(verdict).toMatchObject({ state: "missing", level: "unknown", observed: null });
  expect(verdictPoint(verdict as Verdict).fields).not.toHaveProperty("observed");
  expect(await judgeOn(store).judgeSlot(sampler, nowMs + 9 * hourMs, [])).toEqual([]);
});

test("an incident goes on without values, and is forgotten with its series after four days of them", async () => {
  const store = memoryStore();
  const sampler = samplerOf({ tags: ["country"] });
  const uk = { country: "uk" };
  await store.write(pastDays(() => 100, uk));
  const judge = judgeOn(store);
  await runSlot(store, judge, sampler, nowMs, [orders(nowMs, 3, uk)]);
  for (let hours = 6; hours <= 8 * 24; hours += 6) {
    const timeMs = nowMs + hours * hourMs;
    const verdicts = await runSlot(store, judge, sampler, timeMs, []);
    expect(verdicts, "after a restart too").toEqual(await judgeOn(store).judgeSlot(sampler, timeMs, []));
    // At 14:00 there are values on the days before, the rest of the day there are none.
    if (hours <= 4 * 24) expect(verdicts).toMatchObject([{ state: "missing", sinceMs: nowMs }]);
    else if (hours <= 7 * 24 && hours % 24 === 0) expect(verdicts).toMatchObject([{ state: "missing", sinceMs: null }]);
    else expect(verdicts).toEqual([]);
  }
});

test("a series is missed for at most 14 days, however long its baseline is", async () => {
  const store = memoryStore();
  const sampler = samplerOf({ judge: { orders: judgingOf({ baseline: { days: 28 } }) }, tags: ["country"] });
  await store.write([1, 2, 3, 4, 5].map((day) => orders(nowMs - day * dayMs, 100, { country: "uk" })));
  const judge = judgeOn(store);
  const states: (string | undefined)[] = [];
  for (let day = 0; day < 28; day += 1) {
    const [verdict] = await runSlot(store, judge, sampler, nowMs + day * dayMs, []);
    states.push(verdict?.state);
  }
  expect(states).toEqual(Array.from({ length: 28 }, (_, day) => (day <= 13 ? "missing" : undefined)));
});

test("a new series is unknown for want of days", async () => {
  const store = memoryStore();
  const sampler = samplerOf({ tags: ["country"] });
  await store.write(pastDays(steady, { country: "uk" }));
  const judge = judgeOn(store);
  await runSlot(store, judge, sampler, nowMs, [orders(nowMs, 100, { country: "uk" })]);
  const timeMs = nowMs + minuteMs;
  const points = [orders(timeMs, 100, { country: "uk" }), orders(timeMs, 4, { country: "fr" })];
  const verdicts = await runSlot(store, judge, sampler, timeMs, points);
  expect(verdicts.map(({ series, level }) => [series.tags.country, level])).toEqual([
    ["uk", "normal"],
    ["fr", "unknown"],
  ]);
});

test("explain judges again from the store, changes nothing, and takes any time within the slot", async () => {
  const store = memoryStore();
  const sampler = samplerOf({ tags: ["country"] });
  const tags = { country: "uk" };
  await store.write(pastDays(steady, tags));
  const judge = judgeOn(store);
  const verdicts: Verdict[] = [];
  for (let minute = 0; minute < 8; minute += 1) {
    const timeMs = nowMs + minute * minuteMs;
    verdicts.push(...(await runSlot(store, judge, sampler, timeMs, [orders(timeMs, minute < 4 ? 101 : 30, tags)])));
  }
  for (const verdict of verdicts) {
    const series = { measurement: "orders", tags, field: "orders" };
    const again = await judge.explain(sampler, series, verdict.timeMs + 59_999);
    expect({ ...again, verdict: facts(again.verdict) }).toEqual({ verdict: facts(verdict), stale: false });
  }
  const other = { measurement: "orders", tags, field: "amount" };
  await expect(judge.explain(sampler, other, nowMs)).rejects.toThrow("does not judge orders.amount");
});

test("a verdict point holds finite numbers only, and the tags of its series", async () => {
  const store = memoryStore();
  await store.write(pastDays(() => 100, { country: "uk" }));
  const sampler = samplerOf({ tags: ["country"] });
  const [verdict] = await judgeOn(store).judgeSlot(sampler, nowMs, [orders(nowMs, 0, { country: "uk" })]);
  expect(verdictPoint(verdict as Verdict)).toMatchObject({
    measurement: "orders_verdict",
    tags: { country: "uk", field: "orders" },
    timeMs: nowMs,
    fields: { level: 2, observed: 0, expected: 100, since: nowMs, loss: 100, direction: "down" },
  });
});

describe("memory and store come to the same", () => {
  const slotOf = fc.record({
    a: fc.option(fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 80, max: 120 }) }, fc.constantFrom(0, 3, 400))),
    b: fc.option(fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constant(40))),
    skipped: fc.boolean().map((skipped) => skipped),
    again: fc.integer({ min: 0, max: 9 }),
  });

  test.each([
    { step: "1m", stepMs: minuteMs },
    { step: "1h", stepMs: hourMs },
  ])("one Judge over all slots of $step, and a new Judge for each, agree", async ({ stepMs }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(slotOf, { minLength: 5, maxLength: 70 }), async (slots) => {
        const store = memoryStore();
        const sampler = samplerOf({ tags: ["series"], stepMs, zone: "Europe/London" });
        const past: Point[] = [];
        for (let day = 1; day <= 7; day += 1) {
          for (let slot = -40; slot < 80; slot += 1) {
            const timeMs = nowMs - day * dayMs + slot * stepMs;
            if (timeMs >= nowMs) continue;
            past.push(
              orders(timeMs, 100 + ((slot + 40 + day) % 5), { series: "a" }),
              orders(timeMs, 3, { series: "b" }),
            );
          }
        }
        await store.write(past);
        const longLived = judgeOn(store);
        for (const [index, slot] of slots.entries()) {
          // Mostly one after the other, sometimes left out, sometimes one of the last ten again.
          if (slot.skipped && slot.again > 4) continue;
          const timeMs = nowMs + (slot.skipped && index > slot.again ? index - slot.again : index) * stepMs;
          const points: Point[] = [];
          if (slot.a !== null) points.push(orders(timeMs, slot.a, { series: "a" }));
          if (slot.b !== null) points.push(orders(timeMs, slot.b, { series: "b" }));
          await store.write(points);
          const byOne = await longLived.judgeSlot(sampler, timeMs, points);
          const byAnother = await judgeOn(store).judgeSlot(sampler, timeMs, points);
          expect(sorted(byOne)).toEqual(sorted(byAnother));
          await store.write(byOne.map((verdict) => verdictPoint(verdict)));
        }
        await store[Symbol.asyncDispose]();
      }),
      { numRuns: 25 },
    );
  });
});

function sorted(verdicts: readonly Verdict[]): Verdict[] {
  return [...verdicts].sort((one, other) =>
    (one.series.tags.series ?? "").localeCompare(other.series.tags.series ?? ""),
  );
}

test("whatever the values, there is a verdict and every number stored is finite", async () => {
  const value = fc.oneof(
    fc.constantFrom(0, -0, 1, -1, 1e300, -1e300, 1e59, 5e-324, Number.NaN, Number.POSITIVE_INFINITY, 0.1, 1e15),
    fc.double(),
    fc.integer(),
  );
  const kind = fc.constantFrom("auto", "count", "gauge", "ratio");
  await fc.assert(
    fc.asyncProperty(
      fc.array(value, { minLength: 1, maxLength: 60 }),
      kind,
      fc.boolean(),
      async (values, as, quiet) => {
        const store = memoryStore();
        const sampler = samplerOf({
          stepMs: hourMs,
          judge: { orders: judgingOf({ kind: as, floor: quiet ? { absolute: 0, volume: 0 } : {} }) },
        });
        const judge = judgeOn(store);
        // Every value stands at the same hour of some day, and among its neighbours.
        const past: Point[] = [];
        for (let slot = -200; slot < 0; slot += 1) {
          const past1 = values[(slot + 200) % values.length] as number;
          if (Number.isFinite(past1)) past.push(orders(nowMs + slot * hourMs, past1));
        }
        await store.write(past);
        for (const [index, now] of values.slice(0, 8).entries()) {
          const timeMs = nowMs + index * hourMs;
          const verdicts = await judge.judgeSlot(sampler, timeMs, [orders(timeMs, now)]);
          for (const verdict of verdicts) {
            expect(verdict.reason.length).toBeGreaterThan(10);
            expect(verdict.reason).not.toMatch(/NaN|Infinity|undefined/);
            for (const number of Object.values(verdictPoint(verdict).fields)) {
              if (typeof number === "number") expect(Number.isFinite(number)).toBe(true);
            }
            for (const gate of verdict.gates) expect(Number.isFinite(gate.measured)).toBe(true);
          }
          await store.write(verdicts.map((verdict) => verdictPoint(verdict)));
        }
        await store[Symbol.asyncDispose]();
      },
    ),
    { numRuns: 150 },
  );
});
