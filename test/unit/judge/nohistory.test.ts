import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Point, Tags, Verdict } from "../../../src/core/model.ts";
import type { ReadQuery } from "../../../src/core/ports.ts";
import { Problem } from "../../../src/core/problem.ts";
import type { Judge } from "../../../src/judge/judge.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { ShakyStore } from "../../support/shaky.ts";
import { judgeOn, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** A Wednesday, 14:00 UTC. */
const nowMs = Date.parse("2026-03-11T14:00:00Z");
const at = (minute: number) => nowMs + minute * minuteMs;
const uk: Tags = { country: "uk" };
const sampler = samplerOf({ tags: ["country"] });

/** A store that knows the minutes around 14:00 of the seven days before: 100 orders each. */
async function shaky(tags: readonly Tags[] = [uk]): Promise<ShakyStore> {
  const store = new ShakyStore(memoryStore());
  const points: Point[] = [];
  for (let day = 1; day <= 7; day += 1) {
    for (let minute = -80; minute < 200; minute += 1) {
      points.push(...tags.map((each) => orders(at(minute) - day * dayMs, 100, each)));
    }
  }
  await store.inner.write(points);
  return store;
}

const run = (store: ShakyStore, judge: Judge, minute: number, value: number, tags = uk) =>
  runSlot(store, judge, sampler, at(minute), [orders(at(minute), value, tags)]);
const measure = (judge: Judge, name: string) => judge.measures().find((each) => each.name === name)?.value;
const notJudged = (verdict: Verdict | undefined) =>
  verdict?.reason.includes("; not judged: its history could") === true;

describe("a slot whose history cannot be read is unknown", () => {
  test.each([
    ["away", "its history could not be read (no server answers)"],
    ["behind", "its history could only be read from a copy that is behind"],
  ] as const)(
    "where the store is %s, with the reason in a sentence and no figure of its own",
    async (reads, reason) => {
      const store = await shaky([uk, { country: "fr" }]);
      store.reads = reads;
      const judge = judgeOn(store);
      const tags = [uk, { country: "de" }];
      const points = [
        orders(at(5), 12, tags[0]),
        orders(at(5), 0, tags[1]),
        orders(at(5), Number.NaN, { country: "es" }),
      ];
      const verdicts = await judge.judgeSlot(sampler, at(5), points);
      const unknown = { level: "unknown", expected: null, lower: null, upper: null, evidence: 0, gates: [] };
      const quiet = { direction: null, sinceMs: null, lossSoFar: null, forecast: { value: null } };
      expect(verdicts).toMatchObject([
        { ...unknown, ...quiet, state: "value", observed: 12, reason: `12 orders at 14:05; not judged: ${reason}` },
        { ...unknown, ...quiet, state: "zero", observed: 0, reason: `0 orders at 14:05; not judged: ${reason}` },
        { ...unknown, ...quiet, state: "missing", reason: `no orders known at 14:05; not judged: ${reason}` },
      ]);
      expect(verdictPoint(verdicts[0] as Verdict).fields).toEqual({
        level: -1,
        reason: `12 orders at 14:05; not judged: ${reason}`,
        observed: 12,
        evidence: 0,
      });
      expect(measure(judge, "bellwether_judge_without_history_total")).toBe(1);
      expect(measure(judge, "bellwether_judge_history_blocks")).toBe(0);
    },
  );

  test("but a fault that asking again does not mend is thrown", async () => {
    const store = await shaky();
    store.read = () => Promise.reject(new Problem("more values than one read may return"));
    await expect(run(store, judgeOn(store), 0, 100)).rejects.toThrow("more values than one read may return");
  });
});

test("whichever read on the way to a new block fails, the slot can be judged afterwards as if none had", async () => {
  const judged = async (failing: number) => {
    const store = await shaky();
    const judge = judgeOn(store);
    await run(store, judge, 0, 100);
    await run(store, judgeOn(store.inner), 59, 10);
    const before = store.asked.length;
    const reads = () => (store.asked.length === before + failing ? "away" : "sound");
    Object.defineProperty(store, "reads", { get: reads });
    const [first] = await run(store, judge, 61, 10);
    const verdicts: (readonly Verdict[])[] = [];
    for (const minute of [61, 62, 63]) verdicts.push(await run(store, judge, minute, 10));
    return { failed: notJudged(first), verdicts };
  };
  const calm = await judged(0);
  expect(calm.verdicts[0]).toMatchObject([{ level: "critical", sinceMs: at(59) }]);
  let failing = 1;
  for (let tried = await judged(failing); tried.failed; tried = await judged(failing)) {
    expect(tried.verdicts).toEqual(calm.verdicts);
    failing += 1;
  }
  // Values and marks of the block; values, marks, memory, parts and new normals of the slots between.
  expect(failing - 1).toBe(7);
});

describe.each(["away", "behind"] as const)("while the store is %s", (reads) => {
  test("slots that need no more than is at hand are judged; those beyond it are again once it answers", async () => {
    const store = await shaky();
    const judge = judgeOn(store);
    await run(store, judge, 0, 100);
    store.reads = reads;
    store.heldUntilMs = at(0);
    for (let minute = 1; minute < 60; minute += 1) {
      const [verdict] = await run(store, judge, minute, 100);
      expect(verdict).toMatchObject({ level: "normal", expected: 100 });
    }
    expect(measure(judge, "bellwether_judge_without_history_total")).toBe(0);
    for (const minute of [60, 61]) {
      const [verdict] = await run(store, judge, minute, 3);
      expect(verdict).toMatchObject({ level: "unknown", observed: 3 });
    }
    expect(measure(judge, "bellwether_judge_without_history_total")).toBe(2);
    store.reads = "sound";
    const again = await run(store, judge, 62, 3);
    // Of slots that nobody could judge nothing was expected, so they are no evidence.
    expect(again).toMatchObject([{ level: "critical", sinceMs: at(62) }]);
  });

  test("what went on before goes on after it, whether or not there was a restart", async () => {
    const store = await shaky();
    const first = judgeOn(store);
    for (let minute = 0; minute < 6; minute += 1) await run(store, first, minute, 10);
    const second = judgeOn(store);
    store.reads = reads;
    for (let minute = 6; minute < 9; minute += 1) {
      const [verdict] = await run(store, second, minute, 10);
      expect(notJudged(verdict)).toBe(true);
      expect(verdictPoint(verdict as Verdict).fields).not.toHaveProperty("since");
    }
    store.reads = "sound";
    const points = [orders(at(9), 10, uk)];
    await store.write(points);
    for (const judge of [first, second]) {
      const [verdict] = await judge.judgeSlot(sampler, at(9), points);
      expect(verdict).toMatchObject({ level: "critical", sinceMs: nowMs, direction: "down" });
    }
  });

  test("what somebody else judged meanwhile is read once it can be, and nothing old before that", async () => {
    const store = await shaky();
    const judge = judgeOn(store);
    const other = judgeOn(store.inner);
    await run(store, judge, 0, 100);
    await run(store, other, 1, 0);
    store.reads = reads;
    store.heldUntilMs = at(1);
    expect(notJudged((await run(store, judge, 2, 0))[0])).toBe(true);
    store.reads = "sound";
    expect(await run(store, judge, 3, 0)).toMatchObject([{ level: "critical", sinceMs: at(1) }]);
  });

  test("an old slot judged again changes what later ones rest on, and what is at hand stays in use", async () => {
    const store = await shaky();
    const judge = judgeOn(store);
    for (let minute = 0; minute < 10; minute += 1) await run(store, judge, minute, 100);
    store.reads = reads;
    expect(notJudged((await run(store, judge, 5, 60))[0])).toBe(true);
    const next = await run(store, judge, 10, 100);
    expect(next).toMatchObject([{ level: "normal", expected: 100 }]);
    expect(next).toEqual(await judgeOn(store.inner).judgeSlot(sampler, at(10), [orders(at(10), 100, uk)]));
  });
});

test("after any outages a Judge comes to what another comes to that saw none", async () => {
  const slotOf = fc.record({
    value: fc.option(fc.constantFrom(100, 100, 100, 97, 0, 5, 300)),
    reads: fc.constantFrom("sound", "sound", "away", "behind"),
    // Mostly the next slot, sometimes one is left out, sometimes one of the last is judged again.
    step: fc.constantFrom(1, 1, 1, 1, 2, -3),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(slotOf, { minLength: 5, maxLength: 90 }), async (slots) => {
      const store = await shaky();
      const judge = judgeOn(store);
      let minute = 0;
      for (const { value, reads, step } of slots) {
        minute += step;
        store.reads = reads;
        store.heldUntilMs = at(minute - 5);
        const points = value === null ? [] : [orders(at(minute), value, uk)];
        await store.inner.write(points);
        const verdicts = await judge.judgeSlot(sampler, at(minute), points);
        const left = value === null && verdicts.length === 0;
        if (!left && !notJudged(verdicts[0])) {
          expect(verdicts).toEqual(await judgeOn(store.inner).judgeSlot(sampler, at(minute), points));
        }
        await store.inner.write(verdicts.map((verdict) => verdictPoint(verdict)));
      }
      await store.inner[Symbol.asyncDispose]();
    }),
    { numRuns: 25 },
  );
});

test("explain answers from a copy that is behind, and says so; where nobody answers it does not", async () => {
  const store = await shaky();
  const judge = judgeOn(store);
  await run(store, judge, 0, 3);
  const series = { measurement: "orders", tags: uk, field: "orders" };
  store.reads = "behind";
  store.heldUntilMs = at(0) - 3 * dayMs;
  const { verdict, stale } = await judge.explain(sampler, series, at(0));
  expect(stale).toBe(true);
  expect(verdict.baseline.daysUsed).toBeLessThan(7);
  store.reads = "away";
  await expect(judge.explain(sampler, series, at(0))).rejects.toThrow("no server answers");
});

describe("history of many series", () => {
  const names = Array.from({ length: 5_000 }, (_, index) => ({ country: `c${index}` }));
  const marked = names.slice(0, 1_000);
  const slotsOf = ({ windows }: ReadQuery) =>
    windows.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0) / minuteMs;

  /** Reads of judging the first slots, slot by slot; something goes on in a fifth of the series. */
  async function reads(farAway: boolean, slots: number): Promise<ReadQuery[][]> {
    const store = new ShakyStore(memoryStore(), farAway);
    const mark = { level: 2, since: at(-2), loss: 1, direction: "down" };
    await store.write(names.map((tags) => orders(at(-1), 1, tags)));
    await store.write(
      marked.map((tags) => {
        return { measurement: "orders_verdict", tags: { ...tags, field: "orders" }, fields: mark, timeMs: at(-1) };
      }),
    );
    const judge = judgeOn(store);
    const found: ReadQuery[][] = [];
    for (let minute = 0; minute < slots; minute += 1) {
      const points = names.map((tags) => orders(at(minute), 1, tags));
      await judge.judgeSlot(sampler, at(minute), points);
      found.push(store.asked.splice(0));
    }
    return found;
  }

  test("is read for more slots at once where each read is a journey, in pieces of bounded size", async () => {
    const [near, far] = [await reads(false, 12), await reads(true, 12)];
    const moves = (each: ReadQuery[][]) => each.slice(1).filter((asked) => asked.length > 0).length;
    expect([moves(near), moves(far)]).toEqual([5, 0]);
    for (const query of [...near, ...far].flat()) {
      const series = query.fields.includes("since") && far.flat().includes(query) ? marked.length : names.length;
      // Sums of two hours are there once in two hours, what became normal hardly ever.
      const rare = query.fields.includes("part") ? 120 : query.fields.includes("accepted") ? 1_000 : 1;
      const slots = slotsOf(query) / rare;
      expect(series * query.fields.length * slots).toBeLessThanOrEqual(500_000);
    }
    expect(far[0]?.length).toBeLessThan((near[0]?.length as number) / 2);
  });
});
