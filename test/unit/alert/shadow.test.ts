/** Samplers in their shadow period over a real database: nobody is told, it is counted, and its end is told once. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Alerting } from "../../../src/alerting.ts";
import type { Sampler } from "../../../src/core/definitions.ts";
import { Shadows } from "../../../src/shadow.ts";
import { openState, type State } from "../../../src/state/database.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { definitions, group, minuteMs, route, rule, sampler, verdict } from "./builders.ts";
import { quiet } from "./world.ts";

const hour = 60 * minuteMs;
const live = sampler({ name: "shop-carts", point: { measurement: "carts", tags: ["country"], fields: ["orders"] } });
const steps = [
  { notifier: "email", to: null, waitMs: 0 },
  { notifier: "webhook", to: "http://127.0.0.1:9/hook", waitMs: 10 * minuteMs },
];

let clock: SimulatedClock;
let state: State;
let known: ReturnType<typeof definitions>;
let shadows: Shadows;
let alerting: Alerting;

beforeEach(async () => {
  clock = new SimulatedClock("2026-11-20T09:00:00Z");
  state = await openState({ file: ":memory:", clock, log: quiet });
  use({ shadow: { text: "2026-11-21", untilMs: Date.parse("2026-11-21T00:00Z") } });
});
afterEach(() => state[Symbol.asyncDispose]());

function use(fields: Partial<Sampler>, more: Parameters<typeof definitions>[0] = {}): void {
  known = definitions({
    samplers: [sampler(fields), live],
    // Incidents of all samplers together, so that the two would share one.
    route: route({ groupWaitMs: 0, groupBy: ["team"] }),
    groups: [group("shop-team", ["ana", "bo"], { steps })],
    ...more,
  });
  open();
}

/** As another process would: nothing is remembered but what is in the state. */
function open(): void {
  shadows = new Shadows({ clock, state, definitions: () => known });
  alerting = new Alerting({ clock, state, definitions: () => known, shadows });
}

async function slot(level: "normal" | "warning" | "critical", name = "shop-orders"): Promise<void> {
  await clock.advance(minuteMs);
  const timeMs = clock.nowMs() - minuteMs;
  await alerting.tellSlot(known.samplers.get(name) as Sampler, [verdict({ sampler: name, level, timeMs })]);
  await alerting.tick();
}

const owed = async () => (await state.outbox.list({ limit: 100 })).map(({ kind, notifier }) => `${kind} ${notifier}`);
const noise = async () => (await shadows.of("shop-orders"))?.forecast;

test("its alerts fire and recover, nobody is told, and what would have been told is counted", async () => {
  await slot("critical");
  await slot("critical");
  expect((await state.alerts.standing()).map(({ state: now }) => now)).toEqual(["firing"]);
  const [incident] = await state.alerts.standingIncidents();
  expect(incident?.mutedReason).toBe("shop-orders is in its shadow period until 2026-11-21T00:00:00Z");
  await clock.advance(5 * minuteMs);
  for (const _ of [1, 2, 3]) await slot("normal");
  expect(await state.alerts.standing()).toEqual([]);
  expect(await owed()).toEqual([]);
  // The second step, after ten minutes, was not reached.
  const first = { severity: "critical", notifier: "email", messages: 4, people: ["Ana", "Bo"] };
  expect(await noise()).toMatchObject({ alerts: 1, incidents: 1, messages: 4, parts: [first], perWeek: null });
  await slot("critical");
  await slot("critical");
  await clock.advance(11 * minuteMs);
  // The opening and its second step; the incident stands.
  expect(await noise()).toMatchObject({
    alerts: 2,
    incidents: 2,
    messages: 7,
    people: ["Ana", "Bo", "shop-team"],
  });
  expect((await noise())?.parts.map(({ notifier, messages }) => [notifier, messages])).toEqual([
    ["email", 6],
    ["webhook", 1],
  ]);
});

test("the forecast is what the same days told where nobody was in shadow", async () => {
  const days = async (): Promise<void> => {
    for (const first of ["warning", "critical", "warning"] as const) {
      await slot(first);
      await slot(first);
      // Ticks of the hours between: repeats, and the second step.
      for (let tick = 0; tick < 11 * 12; tick += 1) {
        await clock.advance(5 * minuteMs);
        await alerting.tick();
      }
      await slot("critical");
      for (const _ of [1, 2, 3]) await slot("normal");
      await clock.advance(hour);
    }
  };
  use({ shadow: { text: "true", untilMs: null } });
  await days();
  expect(await owed()).toEqual([]);
  const found = await noise();
  const seenMs = found?.seenMs ?? 0;
  expect(seenMs).toBeGreaterThan(35 * hour);
  expect(found?.perWeek).toBeCloseTo((7 * 24 * hour) / seenMs, 9);
  expect(found?.parts.map(({ severity, notifier }) => `${severity} ${notifier}`)).toEqual([
    "critical email",
    "critical webhook",
    "warning email",
    "warning webhook",
  ]);

  use({});
  await days();
  const told = await owed();
  expect(told.length).toBeGreaterThan(30);
  expect(found?.messages).toBe(told.length);
  const byEmail = found?.parts
    .filter((part) => part.notifier === "email")
    .reduce((sum, part) => sum + part.messages, 0);
  expect(byEmail).toBe(told.filter((message) => message.endsWith(" email")).length);
});

test("it joins no incident of a live sampler, and none joins its", async () => {
  await slot("critical");
  await slot("critical");
  await slot("critical", "shop-carts");
  await slot("critical", "shop-carts");
  expect(await state.alerts.standingIncidents()).toHaveLength(2);
  expect(await owed()).toEqual(expect.arrayContaining(["opened email", "opened email", "opened webhook"]));
  const [told] = await state.outbox.list({ limit: 1 });
  const story = await state.alerts.incident(told?.incidentId ?? "");
  expect(story?.alerts.map((alert) => alert.sampler)).toEqual(["shop-carts"]);
});

test("rules of live samplers that need its alerts do not fire by them", async () => {
  const rules = [
    rule({ name: "base", match: ['sampler="shop-orders"'], pendingCount: 1, pendingOf: 1 }),
    rule({ name: "led", match: ['sampler="shop-carts"'], needs: ["base"], pendingCount: 1, pendingOf: 1 }),
  ];
  use({ shadow: { text: "true", untilMs: null } }, { rules });
  await slot("critical");
  await slot("critical", "shop-carts");
  expect((await state.alerts.standing()).map((alert) => alert.rule)).toEqual(["base"]);
  await shadows.end("shop-orders", "Ana");
  await slot("critical", "shop-carts");
  expect((await state.alerts.standing()).map((alert) => alert.rule).sort()).toEqual(["base", "led"]);
});

test("at its date what goes on is told, once, as new; what is over is not", async () => {
  await slot("critical");
  await slot("critical");
  await clock.advance(14 * hour);
  await alerting.tick();
  expect(await owed()).toEqual([]);
  await clock.advance(hour);
  open();
  await alerting.tick();
  expect((await owed()).sort()).toEqual(["opened email", "opened email", "opened webhook"]);
  await alerting.tick();
  await slot("critical");
  expect(await owed()).toHaveLength(3);
  // From now on it is one incident with all others of its group.
  await slot("critical", "shop-carts");
  await slot("critical", "shop-carts");
  expect(await state.alerts.standingIncidents()).toMatchObject([{ mutedReason: null }]);
  expect((await shadows.of("shop-orders"))?.endedMs).toBe(Date.parse("2026-11-21T00:00Z"));
});

test("of two who end it at once one does, in whatever process, and what its date has ended nobody ends", async () => {
  use({ shadow: { text: "true", untilMs: null } });
  const names = ["Ana", "Ben", "Cleo"];
  const endings = await Promise.all(
    names.map((name) => new Shadows({ clock, state, definitions: () => known }).end("shop-orders", name)),
  );
  const first = names[endings.findIndex(({ done }) => done)];
  expect(endings.filter(({ done }) => !done)).toMatchObject(
    Array(2).fill({ over: true, reason: expect.stringMatching(`ended at 2026-11-20T09:00:00Z by ${first}$`) }),
  );
  expect(await state.audit.list({ limit: 50 })).toMatchObject([{ actor: first, action: "shadow.end" }]);
  use({ shadow: { text: "2026-11-20", untilMs: Date.parse("2026-11-20T00:00Z") } });
  expect(await shadows.end("shop-orders", "Ana")).toMatchObject({
    ...{ done: false, over: true },
    reason: expect.stringMatching(/it ended at 2026-11-20T00:00:00Z$/),
  });
});

test("a person's word ends it: for all processes, once, in the audit; another date begins another", async () => {
  use({ shadow: { text: "true", untilMs: null } });
  await slot("critical");
  await slot("critical");
  expect((await shadows.measures())[0]).toMatchObject({ name: "bellwether_samplers_in_shadow", value: 1 });
  const other = new Shadows({ clock, state, definitions: () => known });
  await other.end("shop-orders", "Ana Silva");
  await alerting.tick();
  await alerting.tick();
  expect((await owed()).sort()).toEqual(["opened email", "opened email", "opened webhook"]);
  const audit = (await state.audit.list({ limit: 50 })).filter(({ action }) => action === "shadow.end");
  expect(audit).toMatchObject([{ actor: "Ana Silva", subject: "shop-orders", detail: "shadow: true" }]);
  expect((await shadows.measures())[0]).toMatchObject({ value: 0 });
  const refused = (what: string) => `there is no shadow period to end: ${what}`;
  expect(await shadows.end("shop-orders", "Ben")).toEqual({
    ...{ done: false, over: true },
    reason: refused("it ended at 2026-11-20T09:02:00Z by Ana Silva"),
  });
  for (const name of ["shop-carts", "shop-none"]) {
    expect(await shadows.end(name, "Ben")).toEqual({ done: false, over: false, reason: refused("it has none") });
  }
  use({ shadow: { text: "2026-12-15", untilMs: Date.parse("2026-12-15T00:00Z") } });
  expect(await shadows.of("shop-orders")).toMatchObject({ endedMs: null, endedBy: null });
});
