import { describe, expect, test } from "vitest";
import { planSlots } from "../../../src/schedule/plan.ts";
import { decideRetry } from "../../../src/schedule/retry.ts";
import { cron, every, iso, sampler } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
const nowMs = Date.parse("2026-11-20T09:00:30Z");
const minutes = sampler("m", every(minuteMs, 5_000));
const bounds = { ageMsMax: dayMs, slotsMax: 1_500 };
const plan = (afterMs: number | null, catchUp = bounds, subject = minutes) =>
  planSlots(subject, afterMs, nowMs, minuteMs, catchUp);

test("a sampler without history begins with the slot that is running, and none before", () => {
  const { slots, untilMs, skipped } = plan(null);
  expect(slots.map(({ startMs, catchUp }) => [iso([startMs])[0], catchUp])).toEqual([["2026-11-20T09:00:00Z", false]]);
  expect(iso([untilMs])).toEqual(["2026-11-20T09:01:00Z"]);
  expect(skipped).toBe(0);
});

describe("a sampler with a history", () => {
  const known = sampler("m", every(minuteMs, 5_000), { historyMs: 3 * dayMs });

  test("begins with that, for the record; of the latest slot that ended people are told", () => {
    const plans = [plan(null, bounds, known)];
    // A portion at a time, or others would have to wait for it.
    while (plans.at(-1)!.untilMs < nowMs) plans.push(plan(plans.at(-1)!.untilMs, bounds, known));
    expect(plans.map(({ slots }) => slots.length)).toEqual([2_000, 2_000, 321]);
    expect(plans.map(({ skipped }) => skipped)).toEqual([0, 0, 0]);
    const slots = plans.flatMap((each) => each.slots);
    expect(slots.every(({ startMs }, index) => startMs === slots[0]!.startMs + index * minuteMs)).toBe(true);
    expect(iso([slots[0]!.startMs, slots.at(-1)!.startMs])).toEqual(["2026-11-17T09:00:00Z", "2026-11-20T09:00:00Z"]);
    expect(iso(slots.filter(({ catchUp }) => !catchUp).map(({ startMs }) => startMs))).toEqual([
      "2026-11-20T08:59:00Z",
      "2026-11-20T09:00:00Z",
    ]);
  });

  test("is caught up as far back after a stop, or a start that was cut off", () => {
    const { slots, skipped } = plan(nowMs - 2 * dayMs, bounds, known);
    expect(iso([slots[0]!.startMs])).toEqual(["2026-11-18T09:00:00Z"]);
    expect(skipped).toBe(0);
    expect(plan(nowMs - 4 * dayMs, bounds, known).skipped).toBe(1_440);
  });

  test("shorter than what is caught up anyway shortens nothing", () => {
    const short = sampler("m", every(minuteMs, 5_000), { historyMs: hourMs });
    expect(plan(null, bounds, short).slots).toHaveLength(61);
    expect(plan(nowMs - dayMs, bounds, short).slots).toHaveLength(1_441);
  });

  test("has no slots outside its active hours", () => {
    const office = { zone: "UTC", weekdays: [1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1_020 };
    const { slots } = plan(null, bounds, { ...known, active: office });
    expect(slots.filter(({ catchUp }) => catchUp)).toHaveLength(480 + 2 * 540 + 59);
  });
});

test("a daily sampler is planned at once, however far its firing is", () => {
  const { slots } = plan(null, bounds, sampler("d", cron("0 5 * * *")));
  expect(slots.map(({ startMs, dueMs }) => iso([startMs, Math.floor(dueMs / hourMs) * hourMs]))).toEqual([
    ["2026-11-21T04:00:00Z", "2026-11-21T05:00:00Z"],
  ]);
});

test("while running, slots are planned before they end", () => {
  const { slots, untilMs } = plan(Date.parse("2026-11-20T09:01:00Z"));
  expect(slots).toEqual([]);
  expect(untilMs).toBe(nowMs + minuteMs);
  const next = planSlots(minutes, untilMs, nowMs + minuteMs, minuteMs, bounds);
  expect(next.slots.map(({ startMs, catchUp }) => [iso([startMs])[0], catchUp])).toEqual([
    ["2026-11-20T09:01:00Z", false],
  ]);
});

describe("after a stop", () => {
  test.each([
    ["of 90 s: the latest slot that ended still tells people", 90_000, ["2026-11-20T08:59:00Z"], 1],
    [
      "of 3 min 30 s: the earlier ones are for the record",
      210_000,
      ["2026-11-20T08:57:00Z", "2026-11-20T08:58:00Z", "2026-11-20T08:59:00Z"],
      3,
    ],
  ])("%s", (_, stopMs, starts, count) => {
    const { slots, skipped } = plan(Math.floor((nowMs - stopMs) / minuteMs) * minuteMs);
    const ended = slots.filter(({ startMs }) => startMs + minuteMs <= nowMs);
    expect(iso(ended.slice(-count).map(({ startMs }) => startMs))).toEqual(starts);
    expect(ended.map(({ catchUp }) => catchUp)).toEqual(ended.map((_slot, index) => index < ended.length - 1));
    expect(slots.at(-1)).toMatchObject({ startMs: Date.parse("2026-11-20T09:00:00Z"), catchUp: false });
    expect(skipped).toBe(0);
  });

  test("beyond the age: counted, not run", () => {
    const { slots, skipped } = plan(nowMs - 3 * dayMs);
    expect(iso([slots[0]!.startMs])).toEqual(["2026-11-19T09:00:00Z"]);
    expect(slots.filter(({ catchUp }) => catchUp)).toHaveLength(1_439);
    expect(skipped).toBe(2 * 1_440);
  });

  test("beyond the number: the newest are kept, the rest counted", () => {
    const { slots, skipped } = plan(nowMs - dayMs, { ageMsMax: dayMs, slotsMax: 10 });
    const ended = slots.filter(({ startMs }) => startMs + minuteMs <= nowMs);
    expect(ended).toHaveLength(10);
    expect(iso([ended.at(-1)!.startMs])).toEqual(["2026-11-20T08:59:00Z"]);
    expect(skipped).toBe(1_430);
  });

  test("active hours are not made up for", () => {
    const office = { zone: "UTC", weekdays: [1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1_020 };
    const { slots } = plan(Date.parse("2026-11-19T16:58:00Z"), bounds, { ...minutes, active: office });
    expect(iso(slots.slice(0, 3).map(({ startMs }) => startMs))).toEqual([
      "2026-11-19T16:58:00Z",
      "2026-11-19T16:59:00Z",
      "2026-11-20T08:00:00Z",
    ]);
  });

  test("of ten years by the second: counted up to a bound", () => {
    const { skipped } = plan(0, bounds, sampler("s", every(1_000)));
    expect(skipped).toBeGreaterThanOrEqual(100_000);
    expect(skipped).toBeLessThan(200_000);
  });
});

test("a clock that went back plans nothing that is planned already", () => {
  const ahead = plan(nowMs + hourMs);
  expect(ahead).toEqual({ slots: [], untilMs: nowMs + hourMs, skipped: 0 });
});

describe("whether a slot that failed is tried again", () => {
  const startMs = Date.parse("2026-11-20T09:00:00Z");
  const record = (attempts: number, changes: object = {}) => ({
    sampler: "m",
    startMs,
    stepMs: minuteMs,
    state: "leased" as const,
    dueMs: startMs + minuteMs,
    catchUp: false,
    attempts,
    leaseOwner: "w",
    leaseUntilMs: null,
    startedMs: null,
    finishedMs: null,
    rows: null,
    points: null,
    dataState: null,
    serverMs: null,
    rowsRead: null,
    error: null,
    ...changes,
  });
  const atMs = startMs + minuteMs + 1_000;

  test.each([
    ["after a twelfth of the step", record(1), atMs, { retry: true, atMs: atMs + 5_000 }],
    ["then after twice as long", record(2), atMs, { retry: true, atMs: atMs + 10_000 }],
    ["three times in all", record(3), atMs, { retry: false, reason: "tried 3 times" }],
    [
      "not once two newer slots have ended",
      record(1),
      startMs + 3 * minuteMs,
      { retry: false, reason: "too late to be useful" },
    ],
    [
      "caught up slots do not age",
      record(1, { catchUp: true }),
      atMs + dayMs,
      { retry: true, atMs: atMs + dayMs + 5_000 },
    ],
    ["waits of long steps are bounded", record(1, { stepMs: dayMs }), atMs, { retry: true, atMs: atMs + 300_000 }],
  ])("%s", (_, slot, failedMs, decision) => {
    expect(decideRetry(slot, failedMs, 3)).toEqual(decision);
  });

  test("not before the source asked for it", () => {
    expect(decideRetry(record(1), atMs, 3, 30_000)).toEqual({ retry: true, atMs: atMs + 30_000 });
  });
});
