import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "../../../src/state/connection.ts";
import type { State } from "../../../src/state/database.ts";
import { openState } from "../../../src/state/database.ts";
import { SimulatedClock } from "../../support/clock.ts";

let state: State;
beforeEach(async () => {
  const silent = (): void => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  state = await openState({ file: ":memory:", clock: new SimulatedClock("2026-11-20T09:00:00Z"), log });
});
afterEach(() => state[Symbol.asyncDispose]());

const slot = (startMs: number) => ({ sampler: "orders", startMs, stepMs: 60_000, dueMs: startMs, catchUp: false });
const due = async () => (await state.slots.measures()).find(({ labels }) => labels?.state === "due")?.value;

test("scrapes within fifteen seconds share one count of all slots; whoever asks for the counts gets them fresh", async () => {
  await state.slots.add([slot(0)]);
  expect(await Promise.all([due(), due()])).toEqual([1, 1]);
  await state.slots.add([slot(60_000)]);
  expect(await due()).toBe(1);
  expect((await state.slots.counts()).due).toBe(2);
});

test("a count that failed is made again by the next scrape", async () => {
  const { run } = Database.prototype;
  Database.prototype.run = () => Promise.reject(new Error("away"));
  try {
    await expect(due()).rejects.toThrow("away");
  } finally {
    Database.prototype.run = run;
  }
  await state.slots.add([slot(0)]);
  expect(await due()).toBe(1);
});
