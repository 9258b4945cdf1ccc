import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { drawDay, shopZone, wallText } from "../../../src/cli/demo/drawing.ts";
import { readRealDays } from "../../../src/cli/demo/invoices.ts";
import { historyDays, liveFromMs, type Phase, story, storyEvents } from "../../../src/cli/demo/story.ts";
import type { Lifecycle, Sampler } from "../../../src/core/definitions.ts";
import type { Direction } from "../../../src/core/model.ts";
import { dayMs, minuteMs } from "../../../src/core/time.ts";
import { localTime, startOfDayMs } from "../../../src/core/zone.ts";
import { loadDefinitions } from "../../../src/define/load.ts";
import { decisions } from "../../../src/judge/backtest.ts";
import { notifiers } from "../../../src/notify/notifiers/index.ts";
import { sources } from "../../../src/sample/sources/index.ts";

/**
 * The demo's data under the shipped definitions and the real decision, without the rest of the pipeline: what happens
 * in the story is found, for any seed and not just for the one that is shown, and a normal Wednesday is quiet.
 */
const dir = join(import.meta.dirname, "../../..");
const kinds = { sources, notifiers: Object.keys(notifiers) };
const loaded = await loadDefinitions({ dir, zone: "UTC", kinds });
const realDays = readRealDays();
const dayStartMs = startOfDayMs(liveFromMs, shopZone);

type Count = { timesMs: number[]; values: number[] };

/** What the sampler would have counted, slot by slot, over the fifteen days and the Wednesday. */
function counted(sampler: Sampler, seed: number, withStory: boolean, counts: (row: Row) => boolean): Count {
  const { stepMs } = sampler.schedule;
  const { weekdays, fromMinute, toMinute } = sampler.active as NonNullable<Sampler["active"]>;
  const found: Count = { timesMs: [], values: [] };
  for (let day = historyDays; day >= 0; day -= 1) {
    const startMs = dayStartMs - day * dayMs; // no change of the clock in June
    if (!weekdays.includes(localTime(startMs, shopZone).weekday)) continue;
    const perSlot = new Map<number, number>();
    for (const row of drawDay(realDays, wallText(startMs).slice(0, 10), seed, withStory ? storyEvents : [])) {
      if (!counts(row)) continue;
      const [hour, minute] = [Number(row.invoicedAt.slice(11, 13)), Number(row.invoicedAt.slice(14, 16))];
      const slot = Math.floor(((hour * 60 + minute) * minuteMs) / stepMs);
      perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
    }
    for (let slot = (fromMinute * minuteMs) / stepMs; slot < (toMinute * minuteMs) / stepMs; slot += 1) {
      found.timesMs.push(startMs + slot * stepMs);
      found.values.push(perSlot.get(slot) ?? 0);
    }
  }
  return found;
}

type Row = ReturnType<typeof drawDay>[number];

/** Ends of the Wednesday's slots in which `pendingCount` of the latest `pendingOf` are bad. */
function alarms(sampler: Sampler, field: string, count: Count, rule: Lifecycle, direction: Direction): number[] {
  const judging = sampler.judge[field] as NonNullable<Sampler["judge"][string]>;
  const { stepMs } = sampler.schedule;
  const found: number[] = [];
  let recent: boolean[] = [];
  let index = 0;
  for (const decision of decisions({ ...count, stepMs, kind: judging.kind, zone: shopZone, judging })) {
    const timeMs = count.timesMs[index++] as number;
    const bad = decision.level === "warning" || decision.level === "critical";
    recent = [...recent, bad && decision.direction === direction].slice(-rule.pendingOf);
    if (timeMs >= dayStartMs && recent.filter(Boolean).length >= rule.pendingCount) found.push(timeMs + stepMs);
  }
  return found;
}

const uk = (row: Row) => row.country === "United Kingdom" && !row.cancelled;
const elsewhere = (row: Row) => row.country !== "United Kingdom" && !row.cancelled;
const cancelled = (row: Row) => row.cancelled;

function wednesday(seed: number, withStory: boolean) {
  const { samplers, rules } = loaded.definitions;
  const [orders, cancellations] = [samplers.get("shop-orders"), samplers.get("shop-cancellations")] as Sampler[] as [
    Sampler,
    Sampler,
  ];
  const [stop, rush] = [rules.get("uk-orders-stop"), rules.get("uk-orders-rush")] as Lifecycle[] as [
    Lifecycle,
    Lifecycle,
  ];
  const ukCount = counted(orders, seed, withStory, uk);
  const otherCount = counted(orders, seed, withStory, elsewhere);
  return {
    ukDown: alarms(orders, "orders", ukCount, stop, "down"),
    ukUp: alarms(orders, "orders", ukCount, rush, "up"),
    othersDown: alarms(orders, "orders", otherCount, orders.alerting, "down"),
    cancelledDown: alarms(
      cancellations,
      "cancelled",
      counted(cancellations, seed, withStory, cancelled),
      cancellations.alerting,
      "down",
    ),
  };
}

/** Minutes into the phase at which it is first alarmed; nothing if it is not. */
function minutesTo(name: string, alarmsMs: readonly number[]): number | undefined {
  const phase = story.find((each) => each.name === name) as Phase;
  const first = alarmsMs.find((timeMs) => timeMs > phase.fromMs && timeMs <= phase.toMs);
  return first === undefined ? undefined : (first - phase.fromMs) / minuteMs;
}

function during(name: string, alarmsMs: readonly number[]): number[] {
  const phase = story.find((each) => each.name === name) as Phase;
  return alarmsMs.filter((timeMs) => timeMs > phase.fromMs && timeMs <= phase.toMs);
}

test("the shipped definitions are free of faults and warnings", () => {
  expect(loaded.problems).toEqual([]);
  expect([...loaded.definitions.samplers.keys()].sort()).toEqual(["shop-cancellations", "shop-hours", "shop-orders"]);
});

describe("the story is found", () => {
  for (const seed of [1, 2, 3]) {
    test(`seed ${seed}`, () => {
      const { ukDown, ukUp, othersDown, cancelledDown } = wednesday(seed, true);
      expect(minutesTo("uk-payments", ukDown)).toBeLessThanOrEqual(8);
      expect(minutesTo("shop-down", ukDown)).toBeLessThanOrEqual(8);
      expect(minutesTo("shop-down", cancelledDown)).toBeLessThanOrEqual(30);
      expect(minutesTo("rush", ukUp)).toBeLessThanOrEqual(12);
      expect([...during("normal", ukDown), ...during("normal", ukUp)]).toEqual([]);
      for (const name of ["normal", "uk-payments"]) {
        expect([...during(name, othersDown), ...during(name, cancelledDown)], name).toEqual([]);
      }
      expect([...during("calm", ukDown), ...during("calm", cancelledDown)]).toEqual([]);
    });
  }
});

describe("a normal Wednesday is quiet from open to close", () => {
  for (const seed of [1, 2, 3]) {
    test(`seed ${seed}`, () => {
      expect(wednesday(seed, false)).toEqual({ ukDown: [], ukUp: [], othersDown: [], cancelledDown: [] });
    });
  }
});
