import { afterEach, beforeEach, expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import type { Sampler } from "../../src/core/definitions.ts";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { explain } from "../../src/explain.ts";
import { Judge } from "../../src/judge/judge.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { openState, type State } from "../../src/state/database.ts";
import { stores } from "../../src/store/stores/index.ts";
import { SimulatedClock } from "../support/clock.ts";
import { ShakyStore } from "../support/shaky.ts";
import { definitions } from "./alert/builders.ts";
import { orders, samplerOf } from "./judge/support.ts";

/** Slots from rows to alerts, over a real store whose reads fail on demand, and a real database. */

/** A Wednesday. */
const beganMs = Date.parse("2026-03-11T14:00:00Z");
const uk = 'orders{country="uk"}.orders';
const sampler: Sampler = { ...samplerOf({ tags: ["country"] }), priority: "low" };
const warned: string[] = [];
const log = { debug() {}, info() {}, warn: (_: object, text: string) => void warned.push(text), error() {} };
const never = new AbortController().signal;

let clock: SimulatedClock;
let store: ShakyStore;
let state: State;
let rows: Record<string, unknown>[];
let minute: number;

beforeEach(async () => {
  clock = new SimulatedClock(beganMs);
  store = new ShakyStore(stores.sqlite.create({ file: ":memory:" }, { clock, log }));
  state = await openState({ file: ":memory:", clock, log });
  for (let day = 1; day <= 7; day += 1) {
    const slots = Array.from({ length: 300 }, (_, index) => beganMs - day * dayMs + (index - 80) * minuteMs);
    await store.inner.write(slots.map((timeMs) => orders(timeMs, 100, { country: "uk" })));
  }
  minute = 0;
  warned.length = 0;
});
afterEach(async () => {
  await state[Symbol.asyncDispose]();
  await store.inner[Symbol.asyncDispose]();
});

const defined = definitions({ samplers: [sampler] });

/** A process: what it remembers ends with it. */
function start(): { judge: Judge; run: (...values: number[]) => Promise<void> } {
  const judge = new Judge({ store, log });
  const alerting = new Alerting({ clock, state, definitions: () => defined });
  const runner = { run: async () => ({ rows, cost: { serverMs: 0, rowsRead: null }, elapsedMs: 0 }) };
  const pipeline = new Pipeline({ clock, runner, store, judge, alerting, log });
  const run = async (...values: number[]) => {
    for (const value of values) {
      rows = [{ country: "uk", orders: value }];
      const startMs = beganMs + minute * minuteMs;
      await clock.advance(minuteMs);
      await pipeline.run(sampler, { startMs, stepMs: minuteMs, dueMs: startMs + minuteMs, catchUp: false }, never);
      minute += 1;
    }
  };
  return { judge, run };
}

const standing = async () => (await state.alerts.standing()).map(({ state: now, recent }) => `${now} ${recent}`);

test("points go to the store with the name of their sampler, its priority and their slot", async () => {
  await start().run(100, 100);
  const origin = { sampler: "shop-orders", priority: "low" };
  expect(store.origins).toEqual([
    { ...origin, slotMs: beganMs },
    { ...origin, slotMs: beganMs + minuteMs },
  ]);
});

test.each(["away", "behind"] as const)("nothing resolves while the store is %s", async (reads) => {
  await start().run(100, 3, 3, 3);
  expect(await standing()).toEqual([expect.stringMatching(/^firing .*bbb$/)]);
  store.reads = reads;
  store.heldUntilMs = beganMs;
  const afterRestart = start();
  await afterRestart.run(100, 100, 100, 100, 100);
  expect(await standing()).toEqual([expect.stringMatching(/^firing .*uuuuu$/)]);
  expect(warned).toContainEqual(expect.stringMatching(/^a slot was not judged: its history could/));
  store.reads = "sound";
  await afterRestart.run(...Array.from({ length: 8 }, () => 100));
  expect(await standing()).toEqual([]);
});

test.each(["away", "behind"] as const)("nothing fires while the store is %s", async (reads) => {
  await start().run(100, 3);
  expect(await standing()).toEqual([expect.stringMatching(/^pending .*b$/)]);
  store.reads = reads;
  store.heldUntilMs = beganMs;
  const afterRestart = start();
  await afterRestart.run(3, 3, 3);
  expect(await standing()).toEqual([expect.stringMatching(/^pending .*uuu$/)]);
  store.reads = "sound";
  await afterRestart.run(3, 3);
  expect(await standing()).toEqual([expect.stringMatching(/^firing .*bb$/)]);
  const [alert] = await state.alerts.standing();
  expect(alert?.sinceMs, "it began before the outage").toBe(beganMs + minuteMs);
});

test("explain says that its history came from a copy that is behind, first of all notes", async () => {
  const { judge, run } = start();
  await run(100, 3);
  const deps = { definitions: () => defined, store, state, judge, clock };
  const timeMs = beganMs + minuteMs;
  const note = "Its history could only be read from a copy that is behind.";
  const sound = await explain(deps, uk, timeMs);
  expect(sound?.notes).not.toContain(note);
  store.reads = "behind";
  const behind = await explain(deps, uk, timeMs);
  expect(behind?.notes[0]).toBe(note);
  expect(behind?.lines).toContain(note);
  expect(behind?.verdict).toEqual(sound?.verdict);
});
