import { afterEach, beforeEach, expect, test } from "vitest";
import type { Incident, OutboxItem } from "../../../src/core/model.ts";
import type { TimeSeriesStore } from "../../../src/core/ports.ts";
import { verdictPoint } from "../../../src/judge/stored.ts";
import { Composer, chartPoints } from "../../../src/notify/compose.ts";
import { stores } from "../../../src/store/stores/index.ts";
import { ShakyStore } from "../../support/shaky.ts";
import { definitions, route, verdict } from "../alert/builders.ts";
import { quiet, World } from "../alert/world.ts";

/** From verdicts in a real store and alerts in a real database to the message. */

let world: World;
let store: TimeSeriesStore;
let composer: Composer;
const logged: string[] = [];

beforeEach(async () => {
  world = await World.open(definitions({ route: route({ groupWaitMs: 0 }) }));
  store = stores.sqlite.create({ file: ":memory:" }, { clock: world.clock, log: quiet });
  composer = compose(store);
  logged.length = 0;
  const nowMs = world.clock.nowMs();
  for (let slot = -60; slot < 2; slot += 1) {
    const level = slot < 0 ? "normal" : "critical";
    await store.write([verdictPoint(verdict({ level, timeMs: nowMs + slot * 60_000 }))]);
    await store.write([
      verdictPoint(verdict({ level, country: "Germany", timeMs: nowMs + slot * 60_000, observed: 777 })),
    ]);
  }
  for (let slot = 0; slot < 2; slot += 1) await world.next({ level: "critical" });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

function compose(read: Pick<TimeSeriesStore, "read">): Composer {
  return new Composer({
    alerts: world.state.alerts,
    store: read,
    definitions: () => world.definitions,
    baseUrl: "http://console.example",
    zone: "UTC",
    clock: world.clock,
    log: { ...quiet, warn: (_, text) => void logged.push(text) },
  });
}

async function composeItem(kind: string, from = composer) {
  const item = (await world.send()).find((one) => one.kind === kind);
  if (item === undefined) throw new Error(`no ${kind}`);
  return from.compose(item);
}

test("reads the incident as it is now and draws its series", async () => {
  const message = await composeItem("opened");
  expect(message).toMatchObject({ subject: "[critical] Orders placed (United Kingdom): 3 instead of about 21" });
  expect(Buffer.from((message as { chart: Uint8Array }).chart.subarray(1, 4)).toString()).toBe("PNG");
});

test("the chart's slots are those of the series and no other's", async () => {
  const [item] = (await world.send()) as [OutboxItem];
  const before = await composer.compose(item);
  const tags = { country: "United Kingdom", city: "London" };
  for (let slot = 1; slot < 50; slot += 1) {
    const timeMs = world.clock.nowMs() - slot * 60_000;
    await store.write([verdictPoint(verdict({ level: "normal", tags, timeMs, observed: 500 }))]);
  }
  const after = await compose(store).compose(item);
  expect((after as { chart: Uint8Array }).chart).toEqual((before as { chart: Uint8Array }).chart);
});

test("one drawing serves all recipients of a notice", async () => {
  let reads = 0;
  const counting = compose({
    read: (query) => {
      reads += 1;
      return store.read(query);
    },
  });
  for (const item of await world.send()) await counting.compose(item);
  expect(reads).toBe(1);
});

test("a chart drawn from a copy that is behind says so", async () => {
  const shaky = new ShakyStore(store);
  shaky.reads = "behind";
  const behind = await composeItem("opened", compose(shaky));
  expect((behind as { chart?: Uint8Array }).chart).toBeDefined();
  expect((behind as { html: string }).html).toContain("One copy is behind: the chart may lack the newest points.");
});

test("without a chart the message goes as text, and the log says why", async () => {
  const broken = compose({ read: () => Promise.reject(new Error("store is down")) });
  const message = await composeItem("opened", broken);
  expect(message).toMatchObject({ chart: undefined });
  expect((message as { text: string }).text).toContain("orders is 3");
  expect(logged).toEqual(["a chart could not be drawn"]);
});

test("a repeat that was acknowledged meanwhile is not sent", async () => {
  await world.send();
  await world.clock.advance("5h");
  await world.tick();
  const [still] = await world.state.outbox.claim("w", world.clock.nowMs(), 60_000, 9);
  expect(still?.kind).toBe("still");
  await world.acknowledge("bo");
  expect(await composer.compose(still as OutboxItem)).toEqual({ cancel: "acknowledged by bo at 2026-11-20T14:02:00Z" });
});

test("an incident that is gone, and a test message that has none", async () => {
  const [item] = await world.send();
  expect(await composer.compose({ ...(item as OutboxItem), incidentId: "gone" })).toEqual({
    cancel: "its incident is no longer known",
  });
  const test = await composer.compose({ ...(item as OutboxItem), incidentId: null, kind: "test" });
  expect(test).toMatchObject({ subject: "[test] Bellwether reaches you" });
});

test("recovery tells the figures of the alert that ended", async () => {
  await world.send();
  for (let slot = 0; slot < 3; slot += 1) await world.next({ level: "normal", observed: 22 });
  const message = await composeItem("resolved");
  expect((message as { text: string }).text).toMatch(
    /^Recovered: Orders placed \(United Kingdom\): orders is 22 again, expected about 21; it lasted 2 min\./,
  );
  expect(((await world.incident()) as Incident).state).toBe("resolved");
});

test("what is wrong with Bellwether itself is told in words alone: nothing is drawn, nothing complained about", async () => {
  await world.send();
  const sinceMs = world.clock.nowMs();
  const reason = "restart influxd b";
  await world.tell({ kind: "replica-stuck", subject: "b", severity: "critical", reason, sinceMs });
  const refusing = compose({ read: () => Promise.reject(new Error("it was asked")) });
  const message = await composeItem("opened", refusing);
  expect(message).toMatchObject({ subject: "[critical] Bellwether: replica stuck (b)", chart: undefined });
  expect(logged).toEqual([]);
});

test("verdict points as rows: what is absent is null, an unknown level is not normal", () => {
  const series = (field: string, timesMs: number[], values: number[]) => ({
    measurement: "m",
    tags: {},
    field,
    timesMs,
    values,
  });
  const rows = chartPoints([
    series("observed", [2, 1], [20, 10]),
    series("level", [1], [2]),
    series("expected", [2], [5]),
  ]);
  expect(rows).toEqual([
    { timeMs: 1, observed: 10, expected: null, lower: null, upper: null, forecast: null, level: "critical" },
    { timeMs: 2, observed: 20, expected: 5, lower: null, upper: null, forecast: null, level: "unknown" },
  ]);
});
