import { afterEach, beforeEach, expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import type { Condition, Verdict } from "../../src/core/model.ts";
import { openState, type State } from "../../src/state/database.ts";
import { SimulatedClock } from "../support/clock.ts";
import { definitions, group, route, rule, sampler, verdict } from "./alert/builders.ts";
import { quiet } from "./alert/world.ts";

/** The whole of alerting over a real database: own conditions beside verdicts. */

const clock = new SimulatedClock("2026-11-20T09:00:00Z");
const full: Condition = {
  kind: "spool-full",
  subject: "spool",
  severity: "critical",
  reason: "make room on the disk of the data folder: new points are refused",
  sinceMs: clock.nowMs(),
};
let known = definitions({ route: route({ groupWaitMs: 0 }), groups: [group("shop-team", ["ana"])] });
let state: State;
let alerting: Alerting;
let lines: string[];

beforeEach(async () => {
  known = definitions({ route: route({ groupWaitMs: 0 }), groups: [group("shop-team", ["ana"])] });
  state = await openState({ file: ":memory:", clock, log: quiet });
  lines = [];
  alerting = open();
});
afterEach(() => state[Symbol.asyncDispose]());

function open(): Alerting {
  const keep = (level: string) => (_: object, text: string) => void lines.push(`${level} ${text}`);
  const log = { debug() {}, info: keep("info"), warn: keep("warn"), error: keep("error") };
  return new Alerting({ clock, state, definitions: () => known, log });
}

async function kinds(): Promise<string[]> {
  return (await state.outbox.list({ limit: 100 })).map(({ kind }) => kind).toReversed();
}

test("rows remember: another process that tells the same says nothing, and one that does not ends it", async () => {
  await alerting.tellConditions([full]);
  await clock.advance("10s");
  alerting = open();
  await alerting.tellConditions([full]);
  await alerting.tick();
  expect(await kinds()).toEqual(["opened"]);
  await alerting.tellConditions([]);
  alerting = open();
  await clock.advance("29s");
  await alerting.tellConditions([]);
  expect(await state.alerts.standing()).toMatchObject([{ state: "recovering" }]);
  await clock.advance("1s");
  await alerting.tellConditions([]);
  expect(await state.alerts.standing()).toEqual([]);
  expect(await kinds()).toEqual(["opened", "resolved"]);
});

test("calls at the same time take turns: one alert, one message", async () => {
  await Promise.all([...Array(20)].map(() => alerting.tellConditions([full])));
  expect(await kinds()).toEqual(["opened"]);
  expect(await state.alerts.incidents({ limit: 9 })).toHaveLength(1);
});

test("two processes at the same time: still one alert, one message", async () => {
  const other = open();
  await Promise.all([...Array(5)].flatMap(() => [alerting.tellConditions([full]), other.tellConditions([full])]));
  expect(await kinds()).toEqual(["opened"]);
  expect(await state.alerts.incidents({ limit: 9 })).toHaveLength(1);
});

test("the log says what began and what is over, once", async () => {
  await alerting.tellConditions([full]);
  await alerting.tellConditions([{ ...full, reason: "make room: 12 points were refused" }]);
  await alerting.tellConditions([]);
  await clock.advance("30s");
  await alerting.tellConditions([]);
  expect(lines).toEqual([
    "error spool full: make room on the disk of the data folder: new points are refused",
    "info over: spool full: make room: 12 points were refused",
  ]);
});

test("the metric counts what was told last, by severity", async () => {
  const counts = () =>
    alerting
      .measures()
      .filter(({ name }) => name === "bellwether_conditions")
      .map(({ labels, value }) => [labels?.severity, value]);
  expect(counts()).toEqual([
    ["warning", 0],
    ["critical", 0],
  ]);
  await alerting.tellConditions([full, { ...full, kind: "replica-behind", subject: "a", severity: "warning" }]);
  expect(counts()).toEqual([
    ["warning", 1],
    ["critical", 1],
  ]);
});

test("a rule of somebody's that is called self, and needs, is another one", async () => {
  const rules = [
    rule({ name: "self", match: ['sampler="other"'] }),
    rule({ name: "watch-orders", match: ['sampler="shop-orders"'], needs: ["self"], pendingCount: 1, pendingOf: 1 }),
  ];
  known = definitions({ rules, route: route({ groupWaitMs: 0 }), groups: [group("shop-team", ["ana"])] });
  await alerting.tellConditions([full]);
  const bad: Verdict = verdict({ level: "critical", timeMs: clock.nowMs() });
  await alerting.tellSlot(sampler(), [bad]);
  expect((await state.alerts.standing()).map((alert) => alert.rule)).toEqual(["self"]);
});

test("it is acknowledged like any other: repeats stop, its end is told", async () => {
  await alerting.tellConditions([full]);
  const [incident] = await state.alerts.standingIncidents();
  expect(await alerting.acknowledge(incident?.id ?? "", "bo")).toMatchObject({ done: true });
  await state.outbox.claim("w", clock.nowMs(), 60_000, 9);
  await clock.advance("9h");
  await alerting.tellConditions([full]);
  await alerting.tick();
  expect(await kinds()).toEqual(["opened"]);
  await alerting.tellConditions([]);
  await clock.advance("30s");
  await alerting.tellConditions([]);
  expect(await kinds()).toEqual(["opened", "resolved"]);
});
