import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Group, Person } from "../../src/core/definitions.ts";
import type { Alert, AuditEntry, Incident, OutboxItem, Silence, Transition } from "../../src/core/model.ts";
import type { AlertChanges } from "../../src/state/alerts.ts";
import type { State } from "../../src/state/database.ts";
import type { ProcessRecord } from "../../src/state/processes.ts";
import type { NewSlot, SlotOutcome } from "../../src/state/slots.ts";
import { SimulatedClock } from "../support/clock.ts";

/** Opens one more connection to the same facts; the first call of a test finds none. */
export type OpenState = (clock: SimulatedClock) => Promise<State>;

const nowMs = Date.UTC(2026, 10, 21, 9, 30);
const minuteMs = 60_000;

export function slot(count: number, sampler = "orders"): NewSlot {
  const startMs = nowMs + count * minuteMs;
  return { sampler, startMs, stepMs: minuteMs, dueMs: startMs + minuteMs + 5_000, catchUp: false };
}

export function alert(id: string, fields: Partial<Alert> = {}): Alert {
  return {
    id,
    fingerprint: `print of ${id}`,
    rule: "default",
    sampler: "orders",
    series: 'orders{country="Germany"}.n',
    labels: { sampler: "orders", country: "Germany" },
    severity: "critical",
    state: "firing",
    recent: "gbb",
    sinceMs: nowMs,
    lastSlotMs: nowMs,
    stepMs: minuteMs,
    firedMs: nowMs,
    resolvedMs: null,
    incidentId: null,
    observed: 2,
    expected: 9.25,
    worstObserved: 0,
    worstExpected: 9.5,
    lossSoFar: 16.75,
    reason: "2 orders; 9.25 expected",
    explained: {
      direction: "down",
      tags: ["country"],
      by: [{ tags: { country: "Côte d'Ivoire" }, share: 0.925 }],
      spread: null,
      against: [],
      unknown: 1,
    },
    version: 1,
    ...fields,
  };
}

function incident(id: string, fields: Partial<Incident> = {}): Incident {
  return {
    id,
    groupKey: `0:${id}`,
    groupLabels: { sampler: "orders" },
    route: "0",
    group: "shop-team",
    title: "Orders placed: below normal",
    severity: "critical",
    state: "open",
    openedMs: nowMs,
    resolvedMs: null,
    acknowledgedBy: null,
    acknowledgedMs: null,
    notices: 1,
    lastNoticeMs: nowMs,
    mutedReason: null,
    version: 1,
    ...fields,
  };
}

export function item(id: string, fields: Partial<OutboxItem> = {}): OutboxItem {
  return {
    id,
    noticeKey: `${id}:1:0`,
    incidentId: "i1",
    kind: "opened",
    notifier: "email",
    recipient: "ana@shop.example",
    recipientName: "Ana Silva",
    state: "owed",
    dueMs: nowMs,
    attempts: 0,
    leaseOwner: null,
    leaseUntilMs: null,
    createdMs: nowMs,
    sentMs: null,
    receipt: null,
    error: null,
    ...fields,
  };
}

export function transition(id: string, subjectId: string, fields: Partial<Transition> = {}): Transition {
  return {
    id,
    subject: "alert",
    subjectId,
    from: null,
    to: "firing",
    atMs: nowMs,
    slotMs: nowMs,
    reason: "3 of 3",
    ...fields,
  };
}

export function entry(id: string, fields: Partial<AuditEntry> = {}): AuditEntry {
  return { id, atMs: nowMs, actor: "system", action: "alert.firing", subject: "a1", detail: "2 of 3", ...fields };
}

export function changes(fields: Partial<AlertChanges>): AlertChanges {
  return { alerts: [], incidents: [], transitions: [], outbox: [], cancel: [], audit: [], ...fields };
}

/** What every database of facts keeps to. Two connections stand for two processes; real ones are tested beside. */
export function stateContract(name: string, makeOpen: () => OpenState): void {
  describe(`state: ${name}`, () => {
    let clock: SimulatedClock;
    let state: State;
    let other: State;
    beforeEach(async () => {
      const open = makeOpen();
      clock = new SimulatedClock(nowMs);
      state = await open(clock);
      other = await open(clock);
    });
    afterEach(async () => {
      await state[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    });

    describe("the slot ledger", () => {
      const untilMs = nowMs + 10 * minuteMs;

      test("knows a slot once and keeps what it knows", async () => {
        expect(await state.slots.add([slot(-3), slot(-2)])).toBe(2);
        await state.slots.lease(slot(-3), "w1", nowMs, untilMs);
        expect(await other.slots.add([{ ...slot(-3), dueMs: 0 }, slot(-2), slot(-1), slot(-1)])).toBe(1);
        expect(await state.slots.counts()).toEqual({ due: 2, leased: 1, done: 0, failed: 0, "caught-up": 0 });
        expect(await state.slots.get("orders", slot(-3).startMs)).toEqual({
          sampler: "orders",
          startMs: slot(-3).startMs,
          stepMs: minuteMs,
          state: "leased",
          dueMs: slot(-3).dueMs,
          catchUp: false,
          attempts: 1,
          leaseOwner: "w1",
          leaseUntilMs: untilMs,
          startedMs: nowMs,
          finishedMs: null,
          rows: null,
          points: null,
          dataState: null,
          serverMs: null,
          rowsRead: null,
          error: null,
        });
        expect(await state.slots.get("orders", 0)).toBeNull();
        expect(await state.slots.latestMs("orders")).toBe(slot(-1).startMs);
        expect(await state.slots.latestMs("sales")).toBeNull();
      });

      test("names that differ in case only are two", async () => {
        expect(await state.slots.add([slot(-3, "Orders"), slot(-3, "orders")])).toBe(2);
      });

      test("names the oldest unfinished slot of each sampler once it may run, the oldest due first", async () => {
        await state.slots.add([slot(-2), slot(-4), slot(-3), slot(-3, "sales"), slot(0, "visits")]);
        const ready = async (atMs: number, limit = 10) =>
          (await other.slots.ready(atMs, limit)).map((each) => `${each.sampler} ${(each.startMs - nowMs) / minuteMs}`);
        expect(await ready(nowMs)).toEqual(["orders -4", "sales -3"]);
        expect(await ready(nowMs, 1)).toEqual(["orders -4"]);
        expect(await ready(slot(0).dueMs - 1)).toEqual(["orders -4", "sales -3"]);
        expect(await ready(slot(0).dueMs)).toEqual(["orders -4", "sales -3", "visits 0"]);
        await state.slots.lease(slot(-4), "w1", nowMs, untilMs);
        expect(await ready(nowMs), "one at a time").toEqual(["sales -3"]);
        expect(await ready(untilMs), "the lease ran out").toContain("orders -4");
        await state.slots.finish(slot(-4), "w1", { state: "due", dueMs: nowMs + minuteMs }, nowMs);
        expect(await ready(nowMs), "its retry holds back the later ones").toEqual(["sales -3"]);
        expect(await other.slots.readyOf("orders", nowMs)).toBeNull();
        expect(await other.slots.readyOf("orders", nowMs + minuteMs)).toMatchObject({ startMs: slot(-4).startMs });
        await state.slots.lease(slot(-4), "w1", nowMs + minuteMs, untilMs);
        await state.slots.finish(slot(-4), "w1", { state: "done" }, nowMs);
        expect(await other.slots.readyOf("orders", nowMs)).toMatchObject({ startMs: slot(-3).startMs });
        expect(await other.slots.readyOf("nothing", nowMs)).toBeNull();
      });

      test("names of many samplers come at once, whatever the backlog of one", async () => {
        await state.slots.add(Array.from({ length: 300 }, (_, count) => slot(count - 400)));
        await state.slots.add(Array.from({ length: 250 }, (_, count) => slot(-3, `s${count}`)));
        const ready = await state.slots.ready(nowMs, 1_000);
        expect(ready).toHaveLength(251);
        expect(ready[0]).toMatchObject({ sampler: "orders", startMs: slot(-400).startMs });
      });

      test("leases a slot to one owner, and one slot of a sampler at a time", async () => {
        await state.slots.add([slot(-3), slot(-2), slot(-3, "sales"), slot(5)]);
        expect(await state.slots.lease(slot(-3), "w1", nowMs, untilMs)).toMatchObject({ state: "leased", attempts: 1 });
        expect(await other.slots.lease(slot(-3), "w2", nowMs, untilMs), "is leased").toBeNull();
        expect(await other.slots.lease(slot(-2), "w2", nowMs, untilMs), "another of its sampler is").toBeNull();
        expect(await other.slots.lease(slot(5), "w2", nowMs, untilMs), "not yet due").toBeNull();
        expect(await other.slots.lease(slot(-1), "w2", nowMs, untilMs), "not known").toBeNull();
        expect(await other.slots.lease(slot(-3, "sales"), "w2", nowMs, untilMs)).toMatchObject({ leaseOwner: "w2" });
        expect(await state.slots.renew(slot(-3), "w1", untilMs), "to the time it has already").toBe(true);
        const outcome = { state: "done", rows: 3, points: 2, dataState: "value" } as const;
        expect(await other.slots.finish(slot(-3), "w2", outcome, nowMs), "is not its own").toBe(false);
        expect(await state.slots.finish(slot(-3), "w1", outcome, nowMs + 50)).toBe(true);
        expect(await state.slots.get("orders", slot(-3).startMs)).toMatchObject({
          ...outcome,
          finishedMs: nowMs + 50,
          leaseOwner: null,
          leaseUntilMs: null,
        });
        expect(await state.slots.finish(slot(-3), "w1", outcome, nowMs), "is done already").toBe(false);
        expect(await other.slots.lease(slot(-3), "w2", nowMs, untilMs), "is done").toBeNull();
        expect(await other.slots.lease(slot(-2), "w2", nowMs, untilMs)).toMatchObject({ leaseOwner: "w2" });
      });

      test("a lease that ran out goes to the next; the first owner's result is refused", async () => {
        await state.slots.add([slot(-3)]);
        await state.slots.lease(slot(-3), "w1", nowMs, nowMs + 1_000);
        expect(await other.slots.lease(slot(-3), "w2", nowMs + 1_000, untilMs)).toMatchObject({
          attempts: 2,
          leaseOwner: "w2",
        });
        expect(await state.slots.renew(slot(-3), "w1", untilMs)).toBe(false);
        expect(await state.slots.finish(slot(-3), "w1", { state: "done" }, nowMs)).toBe(false);
        expect(await other.slots.finish(slot(-3), "w2", { state: "done" }, nowMs)).toBe(true);
      });

      test("a lease that ran out and that nobody took is still its owner's to renew and to finish", async () => {
        await state.slots.add([slot(-3)]);
        await state.slots.lease(slot(-3), "w1", nowMs, nowMs + 1_000);
        expect(await state.slots.renew(slot(-3), "w1", nowMs + 5_000)).toBe(true);
        expect(await other.slots.lease(slot(-3), "w2", nowMs + 4_999, untilMs)).toBeNull();
        expect(await state.slots.finish(slot(-3), "w1", { state: "failed", error: "no route" }, nowMs)).toBe(true);
        expect(await state.slots.get("orders", slot(-3).startMs)).toMatchObject({ state: "failed", error: "no route" });
      });

      test("a slot whose lease ran out gives way to another of its sampler, and cannot be renewed then", async () => {
        await state.slots.add([slot(-3), slot(-2)]);
        await state.slots.lease(slot(-3), "w1", nowMs, nowMs + 1_000);
        expect(await other.slots.lease(slot(-2), "w2", nowMs + 1_000, untilMs)).toMatchObject({ leaseOwner: "w2" });
        expect(await state.slots.renew(slot(-3), "w1", untilMs)).toBe(false);
        expect(await state.slots.lease(slot(-3), "w3", nowMs + 2_000, untilMs), "one at a time").toBeNull();
      });

      test("a slot to be tried again is due when the outcome says", async () => {
        await state.slots.add([slot(-3)]);
        await state.slots.lease(slot(-3), "w1", nowMs, untilMs);
        const again = { state: "due", error: "connection refused", dueMs: nowMs + 30_000 } as const;
        expect(await state.slots.finish(slot(-3), "w1", again, nowMs)).toBe(true);
        expect(await state.slots.ready(nowMs + 29_999, 5)).toEqual([]);
        expect(await state.slots.ready(nowMs + 30_000, 5)).toMatchObject([
          { attempts: 1, error: "connection refused", finishedMs: null, leaseOwner: null },
        ]);
      });

      test("two owners race for 60 slots of as many samplers: each has one winner", async () => {
        const slots = Array.from({ length: 60 }, (_, count) => slot(-3, `s${count}`));
        await state.slots.add(slots);
        const wins = await Promise.all(
          slots.map(async (each) => {
            const [mine, theirs] = await Promise.all([
              state.slots.lease(each, "w1", nowMs, untilMs),
              other.slots.lease(each, "w2", nowMs, untilMs),
            ]);
            return [mine, theirs].filter((won) => won !== null).length;
          }),
        );
        expect(wins).toEqual(slots.map(() => 1));
      });

      test("two owners race for different slots of one sampler: one of them runs", async () => {
        const slots = Array.from({ length: 20 }, (_, count) => slot(count - 30));
        await state.slots.add(slots);
        const won = await Promise.all(
          slots.map((each, index) => (index % 2 ? state : other).slots.lease(each, `w${index}`, nowMs, untilMs)),
        );
        expect(won.filter((each) => each !== null)).toHaveLength(1);
        expect(await state.slots.counts()).toMatchObject({ leased: 1, due: 19 });
      });

      test("lists newest first, by sampler, state and time, and pages on", async () => {
        await state.slots.add([slot(-4), slot(-3), slot(-2), slot(-3, "sales")]);
        await state.slots.lease(slot(-4), "w1", nowMs, untilMs);
        const list = async (filter: Parameters<State["slots"]["list"]>[0]) =>
          (await state.slots.list(filter)).map((each) => `${each.sampler} ${(each.startMs - nowMs) / minuteMs}`);
        expect(await list({ limit: 10 })).toEqual(["orders -2", "orders -3", "sales -3", "orders -4"]);
        expect(await list({ limit: 1, sampler: "orders", beforeMs: slot(-2).startMs })).toEqual(["orders -3"]);
        expect(await list({ limit: 9, state: "leased" })).toEqual(["orders -4"]);
        expect(await list({ limit: 9, fromMs: slot(-4).startMs, toMs: slot(-3).startMs })).toEqual(["orders -4"]);
      });

      test("older slots that wait can be made ones for the record; what runs or ended stays as it is", async () => {
        await state.slots.add([slot(-5), slot(-4), slot(-3), slot(-2), slot(-4, "sales")]);
        await state.slots.lease(slot(-5), "w1", nowMs, untilMs);
        await state.slots.forTheRecord("orders", slot(-2).startMs);
        const found = await state.slots.list({ limit: 9 });
        const became = found.map((each) => [`${each.sampler} ${(each.startMs - nowMs) / minuteMs}`, each.catchUp]);
        expect(Object.fromEntries(became)).toEqual({
          "orders -2": false,
          "orders -3": true,
          "orders -4": true,
          "sales -4": false,
          "orders -5": false,
        });
      });

      test("slots that ended can be run once more, for the record; what waits or runs stays", async () => {
        await state.slots.add([...[-6, -5, -4, -3].map((count) => slot(count)), slot(-6, "sales"), slot(-6, "visits")]);
        await state.slots.lease(slot(-6, "visits"), "w1", nowMs, untilMs);
        const fail = { state: "failed", dataState: "source-down", error: "no room for new points" } as const;
        for (const each of [slot(-6), slot(-5), slot(-6, "sales")]) {
          await state.slots.lease(each, "w1", nowMs, untilMs);
          await state.slots.finish(each, "w1", fail, nowMs);
        }
        await state.slots.lease(slot(-4), "w1", nowMs, untilMs);
        await state.slots.finish(slot(-4), "w1", { state: "done", rows: 3 }, nowMs);
        const before = await state.slots.get("orders", slot(-5).startMs);
        const asked = [slot(-6), slot(-4), slot(-3), slot(-9), slot(-6, "sales"), slot(-6, "visits"), slot(-6)];
        expect(await state.slots.reopen(asked, nowMs + 500)).toBe(3);
        expect(await other.slots.get("orders", slot(-6).startMs)).toMatchObject({
          state: "due",
          dueMs: nowMs + 500,
          catchUp: true,
          attempts: 0,
          finishedMs: null,
          error: "no room for new points",
        });
        expect(await state.slots.get("orders", slot(-5).startMs), "not asked for").toEqual(before);
        expect(await state.slots.counts()).toEqual({ due: 4, leased: 1, done: 0, failed: 1, "caught-up": 0 });
        expect(await state.slots.ready(nowMs + 499, 9)).toEqual([]);
        expect((await state.slots.ready(nowMs + 500, 9)).map((each) => each.sampler)).toEqual(["orders", "sales"]);
        expect(await other.slots.lease(slot(-6), "w2", nowMs + 500, untilMs)).toMatchObject({ attempts: 1 });
        expect(await state.slots.reopen([], nowMs)).toBe(0);
      });

      test("forgets old slots that ended, and no others", async () => {
        await state.slots.add(Array.from({ length: 5 }, (_, count) => slot(count - 9)));
        for (const count of [-9, -8, -6]) {
          await state.slots.lease(slot(count), "w1", nowMs, untilMs);
          await state.slots.finish(slot(count), "w1", { state: count === -8 ? "failed" : "done" }, nowMs);
        }
        expect(await state.slots.expire(slot(-6).startMs)).toBe(2);
        expect((await state.slots.list({ limit: 9 })).map((each) => (each.startMs - nowMs) / minuteMs)).toEqual([
          -5, -6, -7,
        ]);
      });
    });

    describe("the book of alerts", () => {
      const opened = changes({
        alerts: [{ before: null, after: alert("a1", { incidentId: "i1" }) }],
        incidents: [{ before: null, after: incident("i1") }],
        transitions: [
          transition("t1", "a1"),
          transition("t2", "i1", { subject: "incident", to: "open", slotMs: null }),
        ],
        outbox: [item("o1"), item("o2", { noticeKey: "i1:1:1", dueMs: nowMs + 15 * minuteMs })],
        audit: [entry("e1")],
      });

      test("writes all of a decision and reads it back as it was", async () => {
        expect(await state.alerts.apply(opened)).toBe(true);
        expect(await other.alerts.standing()).toEqual([alert("a1", { incidentId: "i1" })]);
        expect(await other.alerts.standing({ sampler: "sales" })).toEqual([]);
        expect(await other.alerts.standing({ sampler: "orders" })).toHaveLength(1);
        expect(await other.alerts.standingIncidents()).toEqual([incident("i1")]);
        expect(await other.alerts.incident("i1")).toEqual({
          incident: incident("i1"),
          alerts: [alert("a1", { incidentId: "i1" })],
          transitions: opened.transitions,
          outbox: opened.outbox,
        });
        expect(await other.alerts.incident("i2")).toBeNull();
        expect(await other.alerts.transitions("a1")).toEqual([transition("t1", "a1")]);
        expect(await other.audit.list({ limit: 5 })).toEqual([entry("e1")]);
      });

      test("changes what is as it was thought to be, and counts the version up", async () => {
        await state.alerts.apply(opened);
        const before = alert("a1", { incidentId: "i1" });
        const after = { ...before, lastSlotMs: nowMs + minuteMs, recent: "bbb", lossSoFar: null, version: 1 };
        expect(await state.alerts.apply(changes({ alerts: [{ before, after }] }))).toBe(true);
        expect(await state.alerts.standing()).toEqual([{ ...after, version: 2 }]);
      });

      test("writes nothing at all if one alert or incident has changed meanwhile", async () => {
        await state.alerts.apply(opened);
        const [stale] = await other.alerts.standing();
        const [group] = await other.alerts.standingIncidents();
        await state.alerts.apply(changes({ incidents: [{ before: group!, after: { ...group!, notices: 2 } }] }));
        const late = changes({
          alerts: [
            { before: stale!, after: { ...stale!, state: "recovering" } },
            { before: null, after: alert("a2") },
          ],
          incidents: [{ before: group!, after: { ...group!, notices: 3 } }],
          transitions: [transition("t3", "a1")],
          outbox: [item("o3")],
          cancel: [{ incidentId: "i1", reason: "late" }],
          audit: [entry("e2")],
        });
        expect(await other.alerts.apply(late)).toBe(false);
        expect(await state.alerts.standing()).toEqual([stale]);
        expect(await state.alerts.standingIncidents()).toMatchObject([{ notices: 2, version: 2 }]);
        expect(await state.outbox.counts()).toMatchObject({ owed: 2, cancelled: 0 });
        expect(await state.audit.list({ limit: 9 })).toHaveLength(1);
        expect(await state.alerts.transitions("a1")).toHaveLength(1);
        expect(await state.alerts.transitions("a2", "a1")).toEqual(await state.alerts.transitions("a1"));
        expect(await state.alerts.transitions()).toEqual([]);
      });

      test("of two that write a transition of one id the first does, and the other writes nothing", async () => {
        const apply = (one: State, side: string) =>
          one.alerts.apply(changes({ transitions: [transition("t9", "s1", { reason: side })], audit: [entry(side)] }));
        const done = await Promise.all([apply(state, "a"), apply(other, "b")]);
        expect([...done].sort()).toEqual([false, true]);
        const side = done[0] ? "a" : "b";
        expect(await state.alerts.transitions("s1")).toMatchObject([{ id: "t9", reason: side }]);
        expect(await state.audit.list({ limit: 9 })).toMatchObject([{ id: entry(side).id }]);
      });

      test("at most one alert of a fingerprint stands, and one incident of a group key", async () => {
        await state.alerts.apply(opened);
        const twin = alert("a2", { fingerprint: "print of a1" });
        expect(await other.alerts.apply(changes({ alerts: [{ before: null, after: twin }] }))).toBe(false);
        const double = incident("i2", { groupKey: "0:i1" });
        expect(await other.alerts.apply(changes({ incidents: [{ before: null, after: double }] }))).toBe(false);
        expect(await state.alerts.standing()).toHaveLength(1);
        expect(await state.alerts.standingIncidents()).toHaveLength(1);
      });

      test("once resolved another may begin, in the same decision even", async () => {
        await state.alerts.apply(opened);
        const [before] = await state.alerts.standing();
        const resolved: Alert = { ...before!, state: "resolved", resolvedMs: nowMs + minuteMs };
        const twin = alert("a2", { fingerprint: before!.fingerprint, sinceMs: nowMs + 2 * minuteMs });
        const both = changes({
          alerts: [
            { before: null, after: twin },
            { before: before!, after: resolved },
          ],
        });
        expect(await state.alerts.apply(both)).toBe(true);
        expect(await state.alerts.standing()).toEqual([twin]);
        const at = async (atMs: number) => (await state.alerts.alertsAt(before!.series, atMs)).map((each) => each.id);
        expect(await at(nowMs - 1)).toEqual([]);
        expect(await at(nowMs)).toEqual(["a1"]);
        expect(await at(nowMs + minuteMs)).toEqual([]);
        expect(await at(nowMs + 3 * minuteMs)).toEqual(["a2"]);
        expect(await state.alerts.alertsAt("orders.n", nowMs)).toEqual([]);
      });

      test("cancels what is owed later, and neither what is due, was tried, or is written now", async () => {
        await state.alerts.apply(opened);
        const later = { dueMs: nowMs + minuteMs };
        await state.outbox.add([item("o3", { ...later, incidentId: "i9" }), item("o5", { ...later, attempts: 1 })]);
        const acknowledged = changes({
          cancel: [{ incidentId: "i1", reason: "acknowledged by Ana Silva" }],
          outbox: [item("o4", { ...later, noticeKey: "i1:2:0" })],
        });
        expect(await state.alerts.apply(acknowledged)).toBe(true);
        const all = await state.outbox.list({ limit: 9 });
        expect(Object.fromEntries(all.map((each) => [each.id, `${each.state} ${each.error ?? ""}`.trim()]))).toEqual({
          o1: "owed",
          o2: "cancelled acknowledged by Ana Silva",
          o3: "owed",
          o4: "owed",
          o5: "owed",
        });
      });

      test("two processes decide the same at once 25 times: each time one of them wins", async () => {
        for (let round = 0; round < 25; round += 1) {
          const decide = (side: string) =>
            changes({
              alerts: [{ before: null, after: alert(`a${round}${side}`, { fingerprint: `same ${round}` }) }],
              incidents: [{ before: null, after: incident(`i${round}${side}`, { groupKey: `same ${round}` }) }],
              transitions: [transition(`t${round}${side}`, `a${round}${side}`)],
              outbox: [item(`o${round}${side}`)],
            });
          const won = await Promise.all([state.alerts.apply(decide("x")), other.alerts.apply(decide("y"))]);
          expect(won.filter(Boolean)).toHaveLength(1);
        }
        expect(await state.alerts.standing()).toHaveLength(25);
        expect(await state.alerts.standingIncidents()).toHaveLength(25);
        expect(await state.outbox.counts()).toMatchObject({ owed: 25 });
      });

      test("hundreds of alerts change in one decision, or none of them", async () => {
        const many = Array.from({ length: 450 }, (_, count) => alert(`a${count}`));
        await state.alerts.apply(changes({ alerts: many.map((after) => ({ before: null, after })) }));
        const better = many.map((before) => ({ before, after: { ...before, state: "recovering" as const } }));
        const stale = better.with(321, { ...better[321]!, before: { ...better[321]!.before, version: 9 } });
        expect(await state.alerts.apply(changes({ alerts: stale }))).toBe(false);
        expect((await state.alerts.standing()).every((each) => each.state === "firing")).toBe(true);
        expect(await state.alerts.apply(changes({ alerts: better }))).toBe(true);
        expect((await state.alerts.standing()).every((each) => each.state === "recovering" && each.version === 2)).toBe(
          true,
        );
      });

      test("lists incidents newest first, by state, and pages on", async () => {
        const incidents = [1, 2, 3].map((count) =>
          incident(`i${count}`, { openedMs: nowMs + count, state: count === 2 ? "acknowledged" : "open" }),
        );
        await state.alerts.apply(changes({ incidents: incidents.map((after) => ({ before: null, after })) }));
        const ids = async (filter: Parameters<State["alerts"]["incidents"]>[0]) =>
          (await state.alerts.incidents(filter)).map((each) => each.id);
        expect(await ids({ limit: 2 })).toEqual(["i3", "i2"]);
        expect(await ids({ limit: 2, beforeMs: nowMs + 2 })).toEqual(["i1"]);
        expect(await ids({ limit: 9, state: "open" })).toEqual(["i3", "i1"]);
      });

      test("forgets what was resolved long ago with its story, and nothing that stands", async () => {
        const old = { state: "resolved", resolvedMs: nowMs - 1 } as const;
        await state.alerts.apply(
          changes({
            alerts: [
              { before: null, after: alert("gone", { ...old, incidentId: "gone" }) },
              { before: null, after: alert("alone", old) },
              { before: null, after: alert("resolved in a standing one", { ...old, incidentId: "stands" }) },
              { before: null, after: alert("stands", { incidentId: "stands" }) },
              { before: null, after: alert("fresh", { ...old, resolvedMs: nowMs }) },
            ],
            incidents: [
              { before: null, after: incident("gone", old) },
              { before: null, after: incident("stands") },
            ],
            transitions: ["gone", "alone", "stands"].map((id) => transition(`t of ${id}`, id)),
            outbox: [
              item("o1", { incidentId: "gone" }),
              item("o2", { incidentId: "stands" }),
              item("o3", { incidentId: null, state: "sent", createdMs: nowMs - 1 }),
              item("o4", { incidentId: null, createdMs: nowMs - 1 }),
            ],
            audit: [entry("e1", { atMs: 0 })],
          }),
        );
        expect(await state.alerts.expire(nowMs)).toBe(3);
        expect(await state.alerts.incident("gone")).toBeNull();
        expect((await state.alerts.incident("stands"))?.alerts.map((each) => each.id)).toEqual([
          "resolved in a standing one",
          "stands",
        ]);
        expect((await state.alerts.alertsAt(alert("").series, nowMs - 2)).length).toBe(0);
        const left = await Promise.all(["gone", "alone", "stands"].map((id) => state.alerts.transitions(id)));
        expect(left.map((each) => each.length)).toEqual([0, 0, 1]);
        expect((await state.outbox.list({ limit: 9 })).map((each) => each.id).sort()).toEqual(["o2", "o4"]);
        expect(await state.audit.list({ limit: 9 }), "the audit stays").toHaveLength(1);
        expect(await state.alerts.expire(nowMs)).toBe(0);
      });
    });

    describe("the outbox", () => {
      test("owes a notice once per notifier and recipient", async () => {
        await state.outbox.add([item("o1", { noticeKey: "n" }), item("o2", { noticeKey: "n" })]);
        await other.outbox.add([
          item("o3", { noticeKey: "n" }),
          item("o4", { noticeKey: "n", notifier: "sms" }),
          item("o5", { noticeKey: "n", recipient: "li@shop.example" }),
        ]);
        expect((await state.outbox.list({ limit: 9 })).map((each) => each.id)).toEqual(["o1", "o4", "o5"]);
        expect(await state.outbox.get("o1")).toEqual(item("o1", { noticeKey: "n" }));
        expect(await state.outbox.get("o3")).toBeNull();
      });

      test("gives what is due to one owner, the oldest first, until it is settled", async () => {
        await state.outbox.add([
          item("o1", { dueMs: nowMs - 1 }),
          item("o2", { dueMs: nowMs - 2 }),
          item("o3", { dueMs: nowMs + 1 }),
        ]);
        const claimed = await state.outbox.claim("w1", nowMs, 30_000, 1);
        const sending = { state: "sending", attempts: 1, leaseOwner: "w1", leaseUntilMs: nowMs + 30_000 } as const;
        expect(claimed).toEqual([item("o2", { dueMs: nowMs - 2, ...sending })]);
        expect((await other.outbox.claim("w2", nowMs, 30_000, 9)).map((each) => each.id)).toEqual(["o1"]);
        expect(await state.outbox.claim("w1", nowMs, 30_000, 9)).toEqual([]);
        expect(await other.outbox.settle("o2", "w2", { state: "sent" }, nowMs)).toBe(false);
        expect(await state.outbox.settle("o2", "w1", { state: "sent", receipt: "<250 queued>" }, nowMs + 9)).toBe(true);
        expect(await state.outbox.settle("o2", "w1", { state: "failed" }, nowMs)).toBe(false);
        expect(await state.outbox.get("o2")).toMatchObject({
          state: "sent",
          sentMs: nowMs + 9,
          receipt: "<250 queued>",
          leaseOwner: null,
        });
        expect(await state.outbox.counts()).toEqual({
          owed: 1,
          sending: 1,
          sent: 1,
          failed: 0,
          unknown: 0,
          cancelled: 0,
        });
      });

      test("an item owed again waits for its time; one whose sender died is claimed once more", async () => {
        await state.outbox.add([item("o1")]);
        await state.outbox.claim("w1", nowMs, 30_000, 9);
        const again = { state: "owed", error: "421 busy", dueMs: nowMs + 60_000 } as const;
        expect(await state.outbox.settle("o1", "w1", again, nowMs)).toBe(true);
        expect(await state.outbox.claim("w1", nowMs + 59_999, 30_000, 9)).toEqual([]);
        expect(await state.outbox.claim("w1", nowMs + 60_000, 30_000, 9)).toMatchObject([
          { attempts: 2, error: "421 busy" },
        ]);
        expect(await other.outbox.claim("w2", nowMs + 89_999, 30_000, 9)).toEqual([]);
        expect(await other.outbox.claim("w2", nowMs + 90_000, 30_000, 9)).toMatchObject([
          { attempts: 3, leaseOwner: "w2" },
        ]);
        expect(await state.outbox.settle("o1", "w1", { state: "sent" }, nowMs), "lost it").toBe(false);
        expect(await other.outbox.settle("o1", "w2", { state: "unknown", error: "no answer" }, nowMs)).toBe(true);
        expect(await other.outbox.claim("w2", nowMs * 2, 30_000, 9), "unknown is for a person to say").toEqual([]);
      });

      test("two owners claim at once: no item goes to both, none to neither", async () => {
        const items = Array.from({ length: 60 }, (_, count) => item(`o${count}`));
        await state.outbox.add(items);
        const taken: string[] = [];
        while (taken.length < items.length) {
          const claims = await Promise.all([
            state.outbox.claim("w1", nowMs, 30_000, 7),
            other.outbox.claim("w2", nowMs, 30_000, 7),
          ]);
          const ids = claims.flat().map((each) => each.id);
          expect(ids.length).toBeGreaterThan(0);
          taken.push(...ids);
        }
        expect(taken.sort()).toEqual(items.map((each) => each.id).sort());
      });

      test("lists by incident and state, newest first, and pages on", async () => {
        await state.outbox.add([
          item("o1", { createdMs: nowMs + 1 }),
          item("o2", { createdMs: nowMs + 2, state: "sent" }),
          item("o3", { createdMs: nowMs + 3, incidentId: "i2" }),
        ]);
        const ids = async (filter: Parameters<State["outbox"]["list"]>[0]) =>
          (await state.outbox.list(filter)).map((each) => each.id);
        expect(await ids({ limit: 2 })).toEqual(["o3", "o2"]);
        expect(await ids({ limit: 9, beforeMs: nowMs + 2 })).toEqual(["o1"]);
        expect(await ids({ limit: 9, incidentId: "i1" })).toEqual(["o2", "o1"]);
        expect(await ids({ limit: 9, state: "owed" })).toEqual(["o3", "o1"]);
      });
    });

    describe("the ledger tells of the collection", () => {
      const untilMs = nowMs + 10 * minuteMs;
      /** Runs a slot from `startedMs` on, for `tookMs`. */
      async function run(each: NewSlot, startedMs: number, tookMs: number, outcome: SlotOutcome): Promise<void> {
        expect(await state.slots.lease(each, "w1", startedMs, untilMs)).not.toBeNull();
        expect(await state.slots.finish(each, "w1", outcome, startedMs + tookMs)).toBe(true);
      }

      test("what slots took since a time, by sampler: counts, lateness, duration and cost", async () => {
        const record = { ...slot(-9), catchUp: true };
        await state.slots.add([slot(-7), record, slot(-5), slot(-4), slot(-3, "sales"), slot(-2, "visits")]);
        const before = slot(-7).dueMs;
        await run(slot(-7), before, 500, { state: "done", rows: 9_000, serverMs: 9_000, rowsRead: 9_000 });
        await run(record, nowMs, 1_000, { state: "caught-up", rows: 4, serverMs: 12.5, rowsRead: 3_000_000_000 });
        await run(slot(-5), slot(-5).dueMs + 3_000, 2_000, { state: "done", rows: 6, serverMs: 7.25, rowsRead: null });
        await run(slot(-4), slot(-4).dueMs + 1_000, 3_000, { state: "failed", error: "no route" });
        await state.slots.lease(slot(-3, "sales"), "w1", slot(-3).dueMs, untilMs);
        const usage = await other.slots.usage(before + 1);
        expect([...usage.keys()].sort()).toEqual(["orders", "sales"]);
        expect(usage.get("orders")).toEqual({
          runs: 3,
          failed: 1,
          caughtUp: 1,
          latenessMsAvg: 2_000,
          latenessMsMax: 3_000,
          durationMsAvg: 2_000,
          durationMsMax: 3_000,
          rows: 10,
          rowsRead: 3_000_000_000,
          serverMs: 19.75,
        });
        const running = { runs: 1, latenessMsAvg: 0, durationMsAvg: null, rows: 0, rowsRead: 0, serverMs: 0 };
        expect(usage.get("sales")).toMatchObject(running);
        expect(await other.slots.get("orders", record.startMs)).toMatchObject({
          serverMs: 12.5,
          rowsRead: 3_000_000_000,
        });
        expect(await other.slots.usage(untilMs)).toEqual(new Map());
      });

      test("who has a slot that was due and has not ended", async () => {
        await state.slots.add([slot(-7), slot(-6), slot(-5, "sales"), slot(-4, "visits"), slot(9, "orders")]);
        await run(slot(-7), slot(-7).dueMs, 1, { state: "done" });
        await state.slots.lease(slot(-5, "sales"), "w1", slot(-5).dueMs, untilMs);
        expect(await other.slots.overdue(slot(-5).dueMs)).toEqual(
          new Map([
            ["orders", slot(-6).dueMs],
            ["sales", slot(-5).dueMs],
          ]),
        );
      });

      test("which samplers wait, and since when: not those that catch up as long as slots end", async () => {
        const past = (minute: number, sampler = "orders") => ({ ...slot(minute, sampler), catchUp: true });
        const waiting = () => other.slots.waiting(slot(0).dueMs);
        await state.slots.add([past(-900), past(-899), past(-900, "sales"), slot(-3, "visits")]);
        expect(await waiting()).toEqual(
          new Map([
            ["orders", null],
            ["sales", null],
            ["visits", slot(-3).dueMs],
          ]),
        );
        // Nothing has ended: a live slot that is due tells how long.
        await state.slots.add([slot(-4), slot(-3)]);
        expect((await waiting()).get("orders")).toBe(slot(-4).dueMs);
        const endedMs = slot(-1).dueMs;
        await run(past(-900), endedMs, 1, { state: "caught-up" });
        expect((await waiting()).get("orders")).toBeGreaterThanOrEqual(endedMs);
        await run(past(-899), endedMs, 1, { state: "caught-up" });
        expect((await waiting()).get("orders")).toBe(slot(-4).dueMs);
      });

      test("whose newest slots have failed, how many in a row, and why", async () => {
        const fail = (error: string): SlotOutcome => ({ state: "failed", dataState: "source-down", error });
        const outcomes: [NewSlot, SlotOutcome][] = [
          [slot(-9), fail("old")],
          [slot(-8), { state: "done" }],
          [slot(-7), fail("first")],
          [slot(-6), fail("newest")],
          [slot(-7, "sales"), fail("over")],
          [slot(-6, "sales"), { state: "done" }],
        ];
        await state.slots.add(outcomes.map(([each]) => each));
        for (const [each, outcome] of outcomes) await run(each, each.dueMs, 1, outcome);
        const found = { slots: 2, sinceMs: slot(-7).startMs, dataState: "source-down", error: "newest" };
        expect(await other.slots.failing(slot(-20).startMs)).toEqual(new Map([["orders", found]]));
        expect((await other.slots.failing(slot(-6).startMs)).get("orders")).toMatchObject({ slots: 1 });
      });

      test("a slot that ended can be amended, and failed ones run again for the record", async () => {
        await state.slots.add([slot(-7), slot(-6), slot(-5), slot(-4)]);
        for (const each of [slot(-7), slot(-6), slot(-5)]) {
          await run(each, each.dueMs, 1, { state: "failed", dataState: "source-down", error: "no route" });
        }
        const found = { rows: 5, points: 4, dataState: "value" } as const;
        await other.slots.amend(slot(-7), found);
        await other.slots.amend(slot(-4), found);
        expect(await state.slots.get("orders", slot(-7).startMs)).toMatchObject({ state: "failed", ...found });
        expect(await state.slots.get("orders", slot(-4).startMs), "it waits").toMatchObject({ rows: null });
        expect(await other.slots.reopenFailed("orders", slot(-9).startMs, 1, nowMs)).toBe(1);
        expect(await state.slots.get("orders", slot(-6).startMs)).toMatchObject({ state: "due", catchUp: true });
        expect(await other.slots.reopenFailed("orders", slot(-6).startMs, 9, nowMs)).toBe(1);
        expect(await other.slots.reopenFailed("orders", slot(-9).startMs, 9, nowMs), "-7 has values").toBe(0);
      });
    });

    describe("leases and processes", () => {
      const untilMs = nowMs + 10_000;

      test("a name has one owner until its lease runs out or is given back", async () => {
        expect(await state.leases.take(["b", "a"], "w1", nowMs, untilMs)).toEqual(["b", "a"]);
        expect(await other.leases.take(["a", "c"], "w2", nowMs, untilMs)).toEqual(["c"]);
        expect(await state.leases.take(["a"], "w1", nowMs, untilMs + 5), "its own").toEqual(["a"]);
        expect(await other.leases.renew(["a", "b", "c", "d"], "w2", untilMs + 1)).toEqual(["c"]);
        await other.leases.release(["a", "c"], "w2");
        expect(await state.leases.take(["c"], "w1", nowMs, untilMs)).toEqual(["c"]);
        expect(await other.leases.take(["a", "b"], "w2", untilMs, untilMs + 9), "b ran out").toEqual(["b"]);
        expect(await state.leases.renew(["a", "b"], "w1", untilMs + 20)).toEqual(["a"]);
        expect(await state.leases.take([], "w1", nowMs, untilMs)).toEqual([]);
      });

      test("two owners take the same names at once: each has one owner", async () => {
        const names = Array.from({ length: 32 }, (_, share) => `share-${share}`);
        const [mine, theirs] = await Promise.all([
          state.leases.take(names, "w1", nowMs, untilMs),
          other.leases.take([...names].reverse(), "w2", nowMs, untilMs),
        ]);
        const listed = await state.leases.list("share-");
        expect(listed.map(({ name }) => name).sort()).toEqual([...names].sort());
        for (const [owner, won] of [["w1", mine] as const, ["w2", theirs] as const]) {
          const owned = listed.filter((lease) => lease.owner === owner).map(({ name }) => name);
          expect([...won].sort()).toEqual(owned.sort());
        }
        await state.leases.take(["teller"], "w1", nowMs, untilMs);
        expect(await other.leases.list("tell")).toEqual([{ name: "teller", owner: "w1", untilMs }]);
      });

      test("a process is known by what it said last, until it ends or is forgotten", async () => {
        const process: ProcessRecord = {
          id: "worker-1",
          role: "worker console",
          host: "größe.example",
          pid: 4_194_304,
          version: "2.0.0",
          startedMs: nowMs,
          seenMs: nowMs,
          detail: { conditions: [{ kind: "spool-full" }] },
        };
        await state.processes.beat(process);
        await other.processes.beat({ ...process, id: "worker-2", seenMs: nowMs - 1 });
        expect(await other.processes.list(nowMs)).toEqual([process]);
        await state.processes.beat({ ...process, seenMs: nowMs + 5, detail: {} });
        expect(await other.processes.list(nowMs - 1)).toMatchObject([
          { id: "worker-1", seenMs: nowMs + 5, detail: {} },
          { id: "worker-2" },
        ]);
        expect(await state.processes.expire(nowMs)).toBe(1);
        await other.processes.end("worker-1");
        expect(await state.processes.list(0)).toEqual([]);
      });

      test("many beat at once", async () => {
        const beat = (index: number, seenMs: number) =>
          (index % 2 ? state : other).processes.beat({
            ...{ id: `p${index % 5}`, role: "worker", host: "h", pid: 1, version: "1" },
            ...{ startedMs: 0, seenMs, detail: {} },
          });
        await Promise.all(Array.from({ length: 40 }, (_, index) => beat(index, index)));
        expect(await state.processes.list(0)).toHaveLength(5);
      });
    });

    describe("what is written is what is read", () => {
      const texts = {
        "any script": "Größe 訂單 заказ \u{1F6D2} \\ ' \" ` % _ ; -- /* ?",
        "100,000 characters": "ü".repeat(100_000),
        "line breaks and blanks": "  a\r\n\tb  ",
      };

      test.each(Object.entries(texts))("%s", async (_, text) => {
        await state.audit.add([entry("e1", { detail: text, subject: text })]);
        expect(await other.audit.list({ limit: 1 })).toEqual([entry("e1", { detail: text, subject: text })]);
        await state.slots.add([slot(-3, text.slice(0, 60))]);
        expect(await other.slots.get(text.slice(0, 60), slot(-3).startMs)).toMatchObject({ startMs: slot(-3).startMs });
      });

      test("a NUL, which not every database takes, does no harm", async () => {
        await state.slots.add([slot(-3)]);
        await state.slots.lease(slot(-3), "w1", nowMs, nowMs + 1);
        expect(await state.slots.finish(slot(-3), "w1", { state: "failed", error: "a\0b" }, nowMs)).toBe(true);
        expect((await other.slots.get("orders", slot(-3).startMs))?.error).toMatch(/^a.b$/s);
      });

      test("times, counts and numbers of every size", async () => {
        const extremes = {
          observed: -0.1,
          expected: 1e-300,
          worstObserved: 1.7976931348623157e308,
          worstExpected: 0.1,
        };
        const after = alert("a1", {
          ...extremes,
          lossSoFar: 2 ** 53 - 1,
          sinceMs: 2 ** 52,
          lastSlotMs: -1,
          explained: null,
        });
        expect(await state.alerts.apply(changes({ alerts: [{ before: null, after }] }))).toBe(true);
        expect(await other.alerts.standing()).toEqual([after]);
      });
    });

    test("the clock of the database is about ours, or ours itself", async () => {
      await clock.advance(Date.now() - clock.nowMs());
      expect(Math.abs(await state.clockAheadMs())).toBeLessThan(1_000);
      await clock.advance(3_600_000);
      const aheadMs = await state.clockAheadMs();
      expect(aheadMs === 0 || Math.abs(aheadMs + 3_600_000) < 1_000, `${aheadMs}`).toBe(true);
    });

    describe("silences, people, audit", () => {
      const silence: Silence = {
        id: "s1",
        matchers: ['country="Germany"', 'sampler=~"orders|sales"'],
        reason: "the shop moves",
        author: "Ana Silva",
        createdMs: nowMs,
        startsMs: nowMs + minuteMs,
        endsMs: nowMs + 3 * minuteMs,
      };

      test("a silence holds from its start to its end, or until somebody ends it", async () => {
        await state.silences.add(silence, entry("e1", { action: "silence.add" }));
        const active = async (minutes: number) => (await other.silences.active(nowMs + minutes * minuteMs)).length;
        expect([await active(0), await active(1), await active(2), await active(3)]).toEqual([0, 1, 1, 0]);
        expect(await other.silences.list({ limit: 5 })).toEqual([silence]);
        const endMs = nowMs + 2 * minuteMs;
        expect(await state.silences.end("s1", endMs, entry("e2", { action: "silence.end" }))).toBe(true);
        expect([await active(1), await active(2)]).toEqual([1, 0]);
        expect(await state.silences.end("s1", endMs, entry("e3"))).toBe(false);
        expect(await state.silences.end("s2", endMs, entry("e4"))).toBe(false);
        expect((await state.audit.list({ limit: 9 })).map((each) => each.id)).toEqual(["e2", "e1"]);
      });

      test("the audit comes newest first, in the order of writing where times are equal, and pages on", async () => {
        await state.audit.add([
          entry("e1"),
          entry("e2", { atMs: nowMs + 5 }),
          entry("e3"),
          entry("e4", { atMs: nowMs + 5 }),
        ]);
        const ids = async (filter: { limit: number; beforeMs?: number }) =>
          (await other.audit.list(filter)).map((each) => each.id);
        expect(await ids({ limit: 9 })).toEqual(["e4", "e2", "e3", "e1"]);
        expect(await ids({ limit: 1, beforeMs: nowMs + 5 })).toEqual(["e3"]);
      });

      test("who existed when, and with what address, is on record", async () => {
        const ana: Person = {
          id: "ana",
          name: "Ana Silva",
          email: "ana@shop.example",
          phone: null,
          place: "p.yaml:1:1",
        };
        const li: Person = { id: "li", name: "Li Wei", email: null, phone: "+8613800138000", place: "p.yaml:2:1" };
        const team: Group = { id: "shop-team", title: "Shop team", members: ["ana"], steps: [], place: "p.yaml:4:1" };
        const sync = (at: number, people: Person[], groups: Group[]) =>
          state.people.sync(
            new Map(people.map((each) => [each.id, each])),
            new Map(groups.map((each) => [each.id, each])),
            at,
          );
        await sync(nowMs, [ana, li], [team]);
        await sync(nowMs + 10, [{ ...ana, place: "p.yaml:9:1" }, li], [team]);
        await sync(nowMs + 20, [{ ...ana, email: "as@shop.example" }], [team]);
        await sync(nowMs + 30, [{ ...ana, email: "as@shop.example" }, li], []);
        const at = async (ms: number) => {
          const { people, groups } = await other.people.at(nowMs + ms);
          return [...people.map((each) => each.email ?? each.phone), ...groups.map((each) => each.members.join())];
        };
        expect(await at(-1)).toEqual([]);
        expect(await at(0)).toEqual(["ana@shop.example", "+8613800138000", "ana"]);
        expect(await at(19)).toEqual(["ana@shop.example", "+8613800138000", "ana"]);
        expect(await at(20)).toEqual(["as@shop.example", "ana"]);
        expect(await at(30)).toEqual(["as@shop.example", "+8613800138000"]);
      });

      test("the measures tell how much of everything there is", async () => {
        await state.slots.add([slot(-1), slot(-2)]);
        await state.outbox.add([item("o1")]);
        await state.alerts.apply(changes({ alerts: [{ before: null, after: alert("a1") }] }));
        const found = Object.fromEntries(
          (await other.measures()).map((each) => [`${each.name} ${each.labels?.state ?? ""}`.trim(), each.value]),
        );
        expect(found).toMatchObject({
          "bellwether_slots due": 2,
          "bellwether_slots done": 0,
          "bellwether_outbox_items owed": 1,
          bellwether_alerts_standing: 1,
          bellwether_incidents_standing: 0,
        });
      });
    });
  });
}
