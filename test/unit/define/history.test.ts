import { expect, test } from "vitest";
import type { LoadOptions } from "../../../src/define/load.ts";
import { base, load, messages, sampler } from "./support.ts";

const dayMs = 86_400_000;
const file = "samplers/orders.yaml";
const loaded = (changes: Readonly<Record<string, string | null>>, options: Partial<LoadOptions> = {}) =>
  load({ ...base, [file]: sampler(changes) }, options);

test("a history is taken, and there is none by default", async () => {
  const of = async (changes: Readonly<Record<string, string | null>>) =>
    (await loaded(changes)).definitions.samplers.get("shop-orders")?.historyMs;
  expect(await of({ history: "15d" })).toBe(15 * dayMs);
  expect(await of({})).toBe(0);
  expect(await of({ every: null, cron: '"0 5 * * *"', zone: "UTC", window: "1d", history: "35d" })).toBe(35 * dayMs);
});

test.each([
  ["longer than 35 days", { history: "36d" }, /SCH-003 .* history - wants/],
  [
    "a number of slots without end",
    { every: "1s", history: "1d" },
    /SCH-009 .* history - holds more than 50000 slots of 1s \(got "1d"\)\. Fix: write 13h or less/,
  ],
  [
    "the same, by a cron of seconds",
    { every: null, zone: "UTC", cron: '"*/5 * * * * *"', window: "1h", history: "1d" },
    /SCH-009 .*50000 slots of 1s/,
  ],
  ["the same, in days", { every: "30s", history: "18d" }, /SCH-009 .* Fix: write 17d or less/],
  [
    "a source that gives what is now",
    { history: "15d", source: '{ sql: { connection: shop, query: "select now" } }' },
    /SCH-009 .* history - its source gives what is now, whatever slot is asked for\. Fix: have it ask for the slot/,
  ],
] as const)("%s is refused", async (_, changes, text) => {
  expect(messages(await loaded(changes))).toEqual([expect.stringMatching(text)]);
});

test("more than points are kept is refused", async () => {
  const said = messages(await loaded({ history: "15d" }, { keepPointsMs: 14 * dayMs }));
  expect(said).toEqual([
    expect.stringMatching(/SCH-009 .* history - points are kept for 14d \(got "15d"\)\. Fix: write no more/),
  ]);
  expect(messages(await loaded({ history: "14d" }, { keepPointsMs: 14 * dayMs }))).toEqual([]);
});
