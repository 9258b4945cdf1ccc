/** What a review found: verdicts that depended on restarts, campaigns that taught, kinds that flapped. */
import { expect, test } from "vitest";
import type { Calendar, Campaign, Expectation, Sampler } from "../../../src/core/definitions.ts";
import type { Verdict } from "../../../src/core/model.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** A Monday. */
const startMs = Date.parse("2026-03-02T00:00:00Z");
const count = judgingOf({ kind: "count" });

const at = (day: number, hour = 0): number => startMs + day * dayMs + hour * hourMs;

function slotsOf(stepMs: number, fromMs: number, toMs: number): number[] {
  return Array.from({ length: Math.ceil((toMs - fromMs) / stepMs) }, (_, slot) => fromMs + slot * stepMs);
}

/** Runs all slots by one Judge; in those of `looks` a new one must come to the same, and so must `explain`. */
async function judged(
  sampler: Sampler,
  slots: readonly number[],
  value: (timeMs: number) => number | null,
  looks: ReadonlySet<number> = new Set(),
  calendar: Calendar | null = null,
): Promise<Verdict[]> {
  const store = memoryStore();
  const judge = judgeOn(store, calendar);
  const verdicts: Verdict[] = [];
  for (const timeMs of slots) {
    const now = value(timeMs);
    const points = now === null ? [] : [orders(timeMs, now)];
    await store.write(points);
    const byNew = looks.has(timeMs) ? await judgeOn(store, calendar).judgeSlot(sampler, timeMs, points) : null;
    const found = await runSlot(store, judge, sampler, timeMs, points);
    if (byNew !== null) expect(found, new Date(timeMs).toISOString()).toEqual(byNew);
    verdicts.push(...found);
  }
  return verdicts;
}

/** 200 orders that differ by weekday, with a little that repeats every seven slots. */
const weekday = (timeMs: number): number => [0.9, 1, 1.1, 1.1, 1.25, 1, 0.8][new Date(timeMs).getUTCDay()] as number;
const usual = (stepMs: number, timeMs: number): number => Math.round(200 * weekday(timeMs)) + ((timeMs / stepMs) % 7);

test("what is remembered of the 60th slot back holds after a restart too, with slots of an hour", async () => {
  const pauseMs = at(12, 20);
  const slots = slotsOf(hourMs, startMs, at(17)).filter(
    (timeMs) => timeMs < pauseMs || timeMs >= pauseMs + 54 * hourMs,
  );
  const sampler = samplerOf({ stepMs: hourMs, judge: { orders: count } });
  const after = pauseMs + 54 * hourMs;
  const value = (timeMs: number) => 2_000 * (timeMs > at(12) ? 1.08 : 1) + ((timeMs / hourMs) % 7);
  const verdicts = await judged(sampler, slots, value, new Set([after, after + hourMs]));
  expect(verdicts.find(({ timeMs }) => timeMs === after)?.expected).toBeGreaterThan(2_060);
});

test("nights without a value do not make a long-lived Judge forget how weekdays differ", async () => {
  const value = (timeMs: number) => {
    const hour = (timeMs % dayMs) / hourMs;
    return hour >= 8 && hour < 21 ? usual(minuteMs, timeMs) : null;
  };
  const slots = slotsOf(minuteMs, startMs, at(16, 9.1));
  await judged(samplerOf({ judge: { orders: count } }), slots, value, new Set([at(16, 9)]));
});

test("a new normal is taken into account by all alike, at each time of day", async () => {
  const stepMs = 5 * minuteMs;
  const sinceMs = at(15) + 9.6 * hourMs;
  const value = (timeMs: number) => Math.round(usual(stepMs, timeMs) * (timeMs >= sinceMs ? 1.6 : 1));
  const looks = new Set([...slotsOf(stepMs, at(17, 9), at(17, 12)), ...slotsOf(stepMs, at(19, 9), at(19, 11))]);
  const sampler = samplerOf({ stepMs, judge: { orders: count } });
  const verdicts = await judged(sampler, slotsOf(stepMs, startMs, at(19, 11)), value, looks);
  expect(verdicts.filter(({ accepted }) => accepted !== undefined)).toHaveLength(1);
});

test.each([12_000, 15_000, 20_000])("the sum of two hours is the same for all, with slots of %i ms", async (stepMs) => {
  const looks = new Set([at(0, 22)]);
  const slots = slotsOf(stepMs, at(0, 20) + 7 * stepMs, at(0, 22) + stepMs);
  const verdicts = await judged(
    samplerOf({ stepMs, judge: { orders: count } }),
    slots,
    (ms) => usual(stepMs, ms),
    looks,
  );
  expect(verdicts.at(-1)?.part).toBeGreaterThan(0);
});

function calendarWith(campaigns: readonly Campaign[]): Calendar {
  const nothing = { holidays: {}, workdays: {}, knownUntil: null };
  return { name: "shop", zone: "UTC", place: "rules/calendars/shop.yaml:1:1", ...nothing, campaigns };
}

function campaign(fromMs: number, toMs: number, expected: Expectation): Campaign {
  return { title: "Sale", fromMs, toMs, match: [], expect: expected, place: "rules/calendars/shop.yaml:5:5" };
}

test.each([
  { third: "with a campaign", days: [5, 12, 19] },
  { third: "without one", days: [5, 12] },
])("campaigns on two Saturdays say nothing of a third $third", async ({ days }) => {
  const stepMs = 5 * minuteMs;
  const uplift = { kind: "uplift", min: 1.8, max: 2.6 } as const;
  const campaigns = days.map((day) => campaign(at(day), at(day + 1), uplift));
  const on = (timeMs: number) => days.some((day) => timeMs >= at(day) && timeMs < at(day + 1));
  const value = (timeMs: number) => 200 * (on(timeMs) ? 2.2 : 1) + ((timeMs / stepMs) % 7);
  const sampler = samplerOf({ stepMs, judge: { orders: count } });
  const verdicts = await judged(
    sampler,
    slotsOf(stepMs, startMs, at(19, 18)),
    value,
    new Set(),
    calendarWith(campaigns),
  );
  const third = verdicts.filter(({ timeMs }) => timeMs >= at(19, 6));
  expect(third.filter(({ level }) => level !== "normal").map(({ reason }) => reason)).toEqual([]);
});

test("a campaign may be like a day that was an incident, for nobody had told of it", async () => {
  const stepMs = 5 * minuteMs;
  const like = { kind: "like", day: "2026-03-11", daysBefore: 7, scale: 1 } as const;
  const calendar = calendarWith([campaign(at(16, 12), at(16, 14), like)]);
  const hour = (timeMs: number) => (timeMs % dayMs) / hourMs;
  const sale = (ms: number) =>
    [at(9), at(16)].some((day) => ms >= day && ms < day + dayMs) && hour(ms) >= 12 && hour(ms) < 14;
  const value = (timeMs: number) => 200 * (sale(timeMs) ? 2.5 : 1) + ((timeMs / stepMs) % 7);
  const sampler = samplerOf({ stepMs, judge: { orders: count } });
  const verdicts = await judged(sampler, slotsOf(stepMs, startMs, at(16, 14)), value, new Set(), calendar);
  expect(verdicts.some(({ timeMs, level }) => timeMs < at(10) && level === "critical")).toBe(true);
  expect([...new Set(verdicts.slice(-24).map(({ level }) => level))]).toEqual(["normal"]);
});

test("one broken value in an outage does not make its incident many", async () => {
  const slots = Array.from({ length: 10 }, (_, day) => slotsOf(minuteMs, at(day, 10), at(day, 13))).flat();
  const dropMs = at(9, 10) + 40 * minuteMs;
  const noise = (ms: number) => ((Math.imul(ms / minuteMs, 2_654_435_761) >>> 0) % 25) - 12;
  const value = (ms: number) => (ms === dropMs + 20 * minuteMs ? 12.5 : 50 + noise(ms) - (ms >= dropMs ? 30 : 0));
  const verdicts = await judged(samplerOf({ judge: { orders: judgingOf() } }), slots, value);
  const since = new Set(verdicts.filter(({ timeMs }) => timeMs >= dropMs + 5 * minuteMs).map(({ sinceMs }) => sinceMs));
  expect([...since]).toEqual([dropMs]);
  expect(verdictPoint(verdicts.at(-1) as Verdict).fields.memory).not.toContain("tails");
});
