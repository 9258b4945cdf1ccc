import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { acknowledge, isEmpty, orphanMs, planSlot, planTick } from "../../../src/alert/plan.ts";
import { noticeRecipientsMax } from "../../../src/alert/receivers.ts";
import type { Incident, Silence } from "../../../src/core/model.ts";
import { growthOf, nearlyLinear } from "../../support/cost.ts";
import { definitions, group, person, route, rule, sampler } from "./builders.ts";
import { World } from "./world.ts";

const down = { level: "warning" } as const;
const worse = { level: "critical" } as const;
const fine = { level: "normal" } as const;
const ana = "ana@shop.example";
const bo = "bo@shop.example";

let world: World;
beforeEach(async () => {
  world = await World.open(definitions());
});
afterEach(() => world[Symbol.asyncDispose]());

/** Two bad slots: an alert fires and its incident opens. */
async function outage(...parts: Parameters<World["next"]>): Promise<void> {
  await world.next(...parts);
  await world.next(...parts);
}

describe("one incident from beginning to end", () => {
  test("opened after the group wait, told once, and its recovery told to those who heard", async () => {
    await world.next(down);
    expect(await world.alert()).toMatchObject({ state: "pending", incidentId: null });
    expect(await world.incident()).toBeUndefined();
    await world.next(down);
    expect(await world.alert()).toMatchObject({ state: "firing" });
    expect(await world.heard()).toEqual([]);
    await world.later("9s");
    expect(await world.heard()).toEqual([]);
    await world.later("1s");
    expect(await world.heard()).toEqual([`opened to ${ana} by email`, `opened to ${bo} by email`]);
    await world.later("10s");
    expect(await world.heard()).toEqual([]);
    for (const part of [fine, fine]) await world.next(part);
    expect(await world.incident()).toMatchObject({ state: "open" });
    await world.next(fine);
    expect(await world.incident()).toMatchObject({ state: "resolved", resolvedMs: world.clock.nowMs(), notices: 2 });
    expect(await world.heard()).toEqual([`resolved to ${ana} by email`, `resolved to ${bo} by email`]);
    expect(await world.state.alerts.standing()).toEqual([]);
  });

  test("every transition and notice has a reason, in the story and in the audit log", async () => {
    await outage(down);
    await world.later("10s");
    for (const part of [fine, fine, fine]) await world.next(part);
    const story = await world.state.alerts.incident((await world.incident())?.id as string);
    expect(story?.transitions.map(({ subject, from, to }) => `${subject} ${from} ${to}`)).toEqual([
      "alert null pending",
      "incident null open",
      "alert pending firing",
      "alert firing recovering",
      "alert recovering resolved",
      "incident open resolved",
    ]);
    expect(story?.transitions.every(({ reason }) => reason !== "")).toBe(true);
    const audit = (await world.state.audit.list({ limit: 100 })).map(({ action }) => action);
    expect(audit).toContain("notice.opened");
    expect(audit).toContain("alert.firing");
    expect(audit).toContain("incident.resolved");
  });

  test("a slot planned again changes nothing", async () => {
    await outage(down);
    expect(isEmpty(await world.slot(down))).toBe(true);
  });

  test("a pending alert that turns good closes without a word", async () => {
    for (const part of [down, fine, fine]) await world.next(part);
    expect(await world.alert()).toBeUndefined();
    expect(await world.incident()).toBeUndefined();
    expect(await world.state.outbox.list({ limit: 9 })).toEqual([]);
  });

  test("unknown slots neither resolve nor fire", async () => {
    await outage(down);
    for (let slot = 0; slot < 6; slot += 1) await world.next({ level: "unknown", observed: null });
    expect(await world.alert()).toMatchObject({ state: "firing" });
  });

  test("resolved before anybody was told: nobody hears of it at all", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 10 * 60_000 }) });
    await outage(down);
    for (const part of [fine, fine, fine]) await world.next(part);
    expect(await world.incident()).toMatchObject({ state: "resolved", notices: 0 });
    expect(await world.state.outbox.list({ limit: 9 })).toEqual([]);
  });

  test("a closed incident never reopens; a new one begins", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage(down);
    for (const part of [fine, fine, fine]) await world.next(part);
    await outage(down);
    const [second, first] = await world.state.alerts.incidents({ limit: 9 });
    expect(first?.state).toBe("resolved");
    expect(second?.state).toBe("open");
    expect(second?.groupKey).toBe(first?.groupKey);
  });

  test("a value that swings to the other side is another alert of its incident, and good for the first", async () => {
    await outage(down);
    for (let slot = 0; slot < 3; slot += 1) await world.next({ ...down, direction: "up", observed: 60 });
    const standing = await world.state.alerts.standing();
    expect(standing.map((alert) => [alert.labels.direction, alert.state])).toEqual([["up", "firing"]]);
    expect((await world.incident())?.state).toBe("open");
    for (const part of [fine, fine, fine]) await world.next(part);
    expect((await world.incident())?.state).toBe("resolved");
  });
});

describe("grouping", () => {
  test("an alert that joins in the millisecond of a notice that did not tell of it is told as an update", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await world.next({ ...down, country: "Germany" }, { ...down, country: "France" });
    await world.next({ ...down, country: "Germany" });
    await world.slot({ ...down, country: "France" });
    expect(await world.heard()).toEqual([`opened to ${ana} by email`, `opened to ${bo} by email`]);
    await world.later("5m");
    expect(await world.heard()).toEqual([`update to ${ana} by email`, `update to ${bo} by email`]);
  });

  test("alerts of one group are one incident and one message", async () => {
    await outage({ ...down, country: "Germany" }, { ...down, country: "France" });
    await world.later("10s");
    expect(await world.heard()).toHaveLength(2);
    expect((await world.incident())?.title).toBe("Orders placed: 2 series");
    expect(new Set((await world.state.alerts.standing()).map((alert) => alert.incidentId)).size).toBe(1);
  });

  test("group_by another label makes another incident for each of its values", async () => {
    world.definitions = definitions({ route: route({ groupBy: ["sampler", "country"] }) });
    await outage({ ...down, country: "Germany" }, { ...down, country: "France" });
    const incidents = await world.state.alerts.standingIncidents();
    expect(incidents.map((incident) => incident.groupLabels.country).sort()).toEqual(["France", "Germany"]);
  });

  test("company that comes later is an update, not before the group interval", async () => {
    await outage({ ...down, country: "Germany" });
    await world.later("10s");
    await world.send();
    await outage({ ...down, country: "Germany" }, { ...down, country: "France" });
    expect(await world.heard()).toEqual([]);
    await world.later("3m");
    expect(await world.heard()).toEqual([`update to ${ana} by email`, `update to ${bo} by email`]);
  });

  test("a rise to critical is told at once, and once", async () => {
    await outage(down);
    await world.later("10s");
    await world.send();
    await world.next(worse);
    expect(await world.heard()).toEqual([`update to ${ana} by email`, `update to ${bo} by email`]);
    await world.next(worse);
    await world.later("1m");
    expect(await world.heard()).toEqual([]);
    expect((await world.incident())?.severity).toBe("critical");
  });

  test("it repeats after the repeat interval, until somebody acknowledges", async () => {
    await outage(down);
    await world.later("10s");
    await world.send();
    await world.later("3h");
    expect(await world.heard()).toEqual([]);
    await world.later("1h");
    expect(await world.heard()).toEqual([`still to ${ana} by email`, `still to ${bo} by email`]);
    await world.acknowledge("ana");
    await world.later("9h");
    expect(await world.heard()).toEqual([]);
    expect(await world.incident()).toMatchObject({ state: "acknowledged", acknowledgedBy: "ana" });
    for (const part of [fine, fine, fine]) await world.next(part);
    expect(await world.heard()).toEqual([`resolved to ${ana} by email`, `resolved to ${bo} by email`]);
  });

  test("an incident whose last alert another plan resolved is closed by the next tick", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage(down);
    const [alert] = await world.state.alerts.standing();
    if (alert === undefined) throw new Error("no alert");
    const gone = { ...alert, state: "resolved" as const, resolvedMs: world.clock.nowMs() };
    const nothing = { incidents: [], transitions: [], outbox: [], cancel: [], audit: [] };
    await world.state.alerts.apply({ ...nothing, alerts: [{ before: alert, after: gone }] });
    await world.tick();
    expect((await world.incident())?.state).toBe("resolved");
  });

  test("a relapse while recovering is the same alert: no new message", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0, groupIntervalMs: 0 }) });
    await outage(down);
    await world.send();
    for (const part of [fine, fine, down]) await world.next(part);
    expect((await world.alert())?.state).toBe("firing");
    await world.later("1m");
    expect(await world.heard()).toEqual([]);
  });

  test("an alert cannot join an incident that somebody else closes at the same moment", async () => {
    const samplers = [sampler(), sampler({ name: "other" })];
    world.definitions = definitions({ samplers, route: route({ groupBy: ["group"], groupWaitMs: 0 }) });
    await outage(down);
    for (const part of [fine, fine]) await world.next(part);
    await world.slot({ ...down, sampler: "other" });
    await world.clock.advance("1m");
    const closes = await world.plan(fine);
    const joins = await world.plan({ ...down, sampler: "other" });
    expect(closes.incidents[0]?.after.state).toBe("resolved");
    expect(joins.alerts[0]?.after.incidentId).toBe(closes.incidents[0]?.after.id);
    expect(await world.state.alerts.apply(closes)).toBe(true);
    expect(await world.state.alerts.apply(joins)).toBe(false);
    await world.slot({ ...down, sampler: "other" });
    expect(await world.state.alerts.standingIncidents()).toHaveLength(1);
  });

  test("who decides upon old rows is told so, and nothing is written twice", async () => {
    await outage(down);
    await world.clock.advance("10s");
    const input = await world.input();
    expect(await world.state.alerts.apply(planTick(input))).toBe(true);
    expect(await world.state.alerts.apply(planTick(input))).toBe(false);
    expect(await world.state.outbox.list({ limit: 9 })).toHaveLength(2);
  });
});

describe("escalation", () => {
  const steps = [
    { notifier: "email", to: null, waitMs: 0 },
    { notifier: "webhook", to: "http://127.0.0.1:9/x", waitMs: 15 * 60_000 },
    { notifier: "email", to: "boss@shop.example", waitMs: 30 * 60_000 },
  ];
  const hook = "opened to http://127.0.0.1:9/x by webhook";

  beforeEach(async () => {
    world.definitions = definitions({
      groups: [group("shop-team", ["ana"], { steps })],
      route: route({ groupWaitMs: 0 }),
    });
    await outage(down);
  });

  test("each step is told when its wait is over", async () => {
    expect(await world.heard()).toEqual([`opened to ${ana} by email`]);
    await world.later("15m");
    expect(await world.heard()).toEqual([hook]);
    await world.later("15m");
    expect(await world.heard()).toEqual(["opened to boss@shop.example by email"]);
  });

  test("acknowledging drops the steps to come, and they do not hear the recovery", async () => {
    await world.send();
    await world.later("16m");
    await world.send();
    await world.acknowledge("ana");
    await world.later("30m");
    expect(await world.heard()).toEqual([]);
    for (const part of [fine, fine, fine]) await world.next(part);
    expect(await world.heard()).toEqual([`resolved to ${ana} by email`, "resolved to http://127.0.0.1:9/x by webhook"]);
  });

  test("resolving drops them, too", async () => {
    await world.send();
    for (const part of [fine, fine, fine]) await world.next(part);
    expect(await world.heard()).toEqual([`resolved to ${ana} by email`]);
    await world.later("1h");
    expect(await world.heard()).toEqual([]);
    expect((await world.state.outbox.counts()).cancelled).toBe(2);
  });

  test("a repeat goes to the steps reached so far", async () => {
    await world.send();
    await world.later("20m");
    await world.send();
    world.definitions = { ...world.definitions, route: route({ groupWaitMs: 0, repeatIntervalMs: 21 * 60_000 }) };
    await world.later("1m");
    expect(await world.heard()).toEqual([`still to ${ana} by email`, "still to http://127.0.0.1:9/x by webhook"]);
  });

  test("a message that waits for its next attempt is not dropped by an acknowledgement", async () => {
    const [item] = await world.state.outbox.claim("w", world.clock.nowMs(), 60_000, 10);
    const dueMs = world.clock.nowMs() + 180_000;
    await world.state.outbox.settle(
      item?.id as string,
      "w",
      { state: "owed", error: "refused", dueMs },
      world.clock.nowMs(),
    );
    await world.acknowledge("bo");
    expect((await world.state.outbox.get(item?.id as string))?.state).toBe("owed");
    for (const part of [fine, fine, fine]) await world.next(part);
    await world.clock.advance("1m");
    expect(await world.heard()).toEqual([`opened to ${ana} by email`, `resolved to ${ana} by email`]);
  });
});

describe("routes", () => {
  const second = route({ match: ['severity="critical"'], group: "second-line" });
  const groups = [group("shop-team", ["ana"]), group("second-line", ["bo"])];

  test("the first child that matches takes the alert", async () => {
    world.definitions = definitions({
      groups,
      route: route({ groupWaitMs: 0, routes: [{ ...second, groupWaitMs: 0 }] }),
    });
    await outage(worse);
    expect(await world.heard()).toEqual([`opened to ${bo} by email`]);
    expect(await world.incident()).toMatchObject({ route: "0.0", group: "second-line" });
  });

  test("...and those after it do not hear", async () => {
    world.definitions = definitions({ groups, route: route({ routes: [second, route({ match: ['team="shop"'] })] }) });
    await outage(worse);
    await world.later("10s");
    expect(await world.heard()).toEqual([`opened to ${bo} by email`]);
  });

  test("a child that continues lets the next ones hear, too", async () => {
    const routes = [{ ...second, continue: true, groupWaitMs: 0 }, route({ match: ['team="shop"'] })];
    world.definitions = definitions({ groups, route: route({ routes }) });
    await outage(worse);
    expect(await world.heard()).toEqual([`opened to ${ana} by email`, `opened to ${bo} by email`]);
  });

  test("an alert that rises into another route is told to its group as well, from its first step", async () => {
    world.definitions = definitions({ groups, route: route({ groupWaitMs: 0, routes: [second] }) });
    await outage(down);
    expect(await world.heard()).toEqual([`opened to ${ana} by email`]);
    await world.next(worse);
    expect(await world.heard()).toEqual([`update to ${ana} by email`, `update to ${bo} by email`]);
  });

  test("an owner who is a person hears by e-mail", async () => {
    world.definitions = definitions({
      samplers: [sampler({ owner: "bo", group: "bo" })],
      route: route({ groupWaitMs: 0 }),
    });
    await outage(down);
    expect(await world.heard()).toEqual([`opened to ${bo} by email`]);
  });
});

describe("nothing is dropped silently", () => {
  const audited = async (): Promise<string | undefined> =>
    (await world.state.audit.list({ limit: 100 })).find(({ action }) => action === "notice.opened")?.detail;

  test("a group nobody defined", async () => {
    world.definitions = definitions({ groups: [], route: route({ groupWaitMs: 0 }) });
    await outage(down);
    expect(await audited()).toBe(
      "first notice, 1 firing; 0 messages written; group shop-team is not defined, nobody in it was told",
    );
    expect((await world.incident())?.notices).toBe(1);
  });

  test("members without an address, and an empty group", async () => {
    const people = [person("ana", { email: null })];
    world.definitions = definitions({
      people,
      groups: [group("shop-team", ["ana"])],
      route: route({ groupWaitMs: 0 }),
    });
    await outage(down);
    expect(await audited()).toContain("ana of group shop-team has no address for email");
  });

  test("more recipients than the bound", async () => {
    const people = Array.from({ length: noticeRecipientsMax + 7 }, (_, index) => person(`p${index}`));
    const groups = [
      group(
        "shop-team",
        people.map(({ id }) => id),
      ),
    ];
    world.definitions = definitions({ people, groups, route: route({ groupWaitMs: 0 }) });
    await outage(down);
    expect(await world.send()).toHaveLength(noticeRecipientsMax);
    expect(await audited()).toContain("7 more were not written to: one notice goes to at most 500");
  });
});

describe("silences", () => {
  const silence = (fields: Partial<Silence> = {}): Silence => ({
    id: "s",
    matchers: ['country="United Kingdom"'],
    reason: "planned work",
    author: "ana",
    createdMs: 0,
    startsMs: world.clock.nowMs(),
    endsMs: world.clock.nowMs() + 30 * 60_000,
    ...fields,
  });

  test("holds the notice back and says why; at its end what is still bad speaks", async () => {
    world.silences = [silence()];
    await outage(down);
    await world.later("1m");
    expect(await world.heard()).toEqual([]);
    expect((await world.incident())?.mutedReason).toBe("silenced by ana until 2026-11-20T09:30:00Z: planned work");
    expect(isEmpty(await world.later("1m"))).toBe(true);
    await world.later("27m");
    expect(await world.heard()).toEqual([`opened to ${ana} by email`, `opened to ${bo} by email`]);
    expect((await world.incident())?.mutedReason).toBeNull();
  });

  test("what recovered meanwhile stays unsaid", async () => {
    world.silences = [silence()];
    await outage(down);
    for (const part of [fine, fine, fine]) await world.next(part);
    await world.later("40m");
    expect(await world.heard()).toEqual([]);
    expect((await world.incident())?.state).toBe("resolved");
  });

  test("one that begins later stops repeats and steps to come, not the recovery", async () => {
    const steps = [
      { notifier: "email", to: null, waitMs: 0 },
      { notifier: "email", to: "boss@shop.example", waitMs: 15 * 60_000 },
    ];
    world.definitions = definitions({
      groups: [group("shop-team", ["ana"], { steps })],
      route: route({ groupWaitMs: 0 }),
    });
    await outage(down);
    await world.send();
    world.silences = [silence({ endsMs: world.clock.nowMs() + 6 * 3_600_000 })];
    await world.later("1m");
    await world.later("5h");
    expect(await world.heard()).toEqual([]);
    for (const part of [fine, fine, fine]) await world.next(part);
    expect(await world.heard()).toEqual([`resolved to ${ana} by email`]);
  });

  test("steps that it stopped are owed again at its end, unless somebody has acknowledged", async () => {
    const steps = [
      { notifier: "email", to: null, waitMs: 0 },
      { notifier: "email", to: "boss@shop.example", waitMs: 15 * 60_000 },
    ];
    world.definitions = definitions({
      groups: [group("shop-team", ["ana"], { steps })],
      route: route({ groupWaitMs: 0 }),
    });
    await outage(down);
    await world.send();
    await world.later("1m");
    world.silences = [silence({ endsMs: world.clock.nowMs() + 5 * 60_000 })];
    await world.later("1m");
    await world.later("5m");
    expect(await world.heard(), "its time has not come").toEqual([]);
    await world.later("10m");
    expect(await world.heard()).toEqual(["opened to boss@shop.example by email"]);
    expect(isEmpty(await world.later("1m")), "once").toBe(true);
  });

  test("of two alerts, the silenced one keeps quiet until its silence ends, then it is an update", async () => {
    world.silences = [silence({ matchers: ['country="Germany"'] })];
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage({ ...down, country: "Germany" }, down);
    expect(await world.heard()).toHaveLength(2);
    await world.later("10m");
    expect(await world.heard()).toEqual([]);
    await world.later("20m");
    expect(await world.heard()).toEqual([`update to ${ana} by email`, `update to ${bo} by email`]);
  });

  test("severity can be silenced: the rise to critical speaks", async () => {
    world.silences = [silence({ matchers: ['severity="warning"'] })];
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage(down);
    expect(await world.heard()).toEqual([]);
    await world.next(worse);
    expect(await world.heard()).toHaveLength(2);
  });
});

describe("definitions that change", () => {
  test("an alert nobody defines any more is closed after a day, with the reason", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage(down);
    await world.send();
    world.definitions = definitions({ samplers: [], route: route({ groupWaitMs: 0 }) });
    await world.later("1h");
    expect((await world.alert())?.state).toBe("firing");
    await world.later("6h");
    expect(await world.heard(), "no repeats of what is watched no more").toEqual([]);
    const id = (await world.alert())?.id;
    await world.later(`${orphanMs}ms`);
    expect(await world.alert()).toBeUndefined();
    const heard = await world.heard();
    expect(heard.map((text) => text.split(" ")[0])).toEqual(["resolved", "resolved"]);
    const story = await world.state.alerts.incident((await world.incident())?.id as string);
    expect(story?.alerts.find((alert) => alert.id === id)?.reason).toMatch(/^no definition judges/);
  });

  test("an alert whose source is silent for days is not", async () => {
    await outage(down);
    await world.later("72h");
    expect((await world.alert())?.state).toBe("firing");
  });

  test("an alert whose series has vanished is closed after a week, with the reason", async () => {
    await outage(down);
    await world.later("6d");
    expect((await world.alert())?.state).toBe("firing");
    const id = (await world.alert())?.id;
    await world.later("25h");
    expect(await world.alert()).toBeUndefined();
    const story = await world.state.alerts.incident((await world.incident())?.id as string);
    expect(story?.alerts.find((alert) => alert.id === id)?.reason).toMatch(/^nothing was heard of .* for 7d/);
  });

  test("an alert whose series another rule took over is", async () => {
    await outage(down);
    world.definitions = definitions({ rules: [rule({ name: "uk", match: ['country="United Kingdom"'] })] });
    await world.later("25h");
    expect(await world.alert()).toBeUndefined();
  });
});

describe("acknowledging", () => {
  test("a second person is told who was first", async () => {
    world.definitions = definitions({ route: route({ groupWaitMs: 0 }) });
    await outage(down);
    await world.acknowledge("li");
    const incident = (await world.incident()) as Incident;
    expect(() => acknowledge(incident, "bo", world.clock.nowMs(), world.newId)).toThrow(
      "already acknowledged by li at 2026-11-20T09:02:00Z",
    );
  });

  test("from old rows it changes nothing", async () => {
    await outage(down);
    const incident = (await world.incident()) as Incident;
    await world.later("10s");
    const changes = acknowledge(incident, "bo", world.clock.nowMs(), world.newId);
    expect(await world.state.alerts.apply(changes)).toBe(false);
  });
});

test("a slot with 5,000 bad series costs little more to plan than eight with 625", async () => {
  world.definitions = definitions({ route: route({ groupBy: ["country"], groupWaitMs: 0 }) });
  const parts = Array.from({ length: 5000 }, (_, index) => ({ ...down, country: `c${index}` }));
  await world.next(...parts);
  await world.clock.advance("1m");
  const input = await world.input();
  const { conclude } = await import("../../../src/relate/relate.ts");
  const { verdict } = await import("./builders.ts");
  const verdicts = parts.map((part) => verdict({ ...part, timeMs: world.clock.nowMs() - 60_000 }));
  const plan = (series: number): void => {
    const some = { sampler: sampler(), verdicts: verdicts.slice(0, series) };
    const conclusions = conclude({ ...some, rules: new Map(), standingRules: new Set() });
    const changes = planSlot({ ...input, conclusions });
    expect(changes.incidents).toHaveLength(series);
    expect(changes.outbox).toHaveLength(2 * series);
  };
  expect(await growthOf(plan, 625)).toBeLessThan(nearlyLinear);
});
