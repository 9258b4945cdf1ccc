import { expect, test } from "vitest";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { World } from "../support/world.ts";

const usual = { Germany: 40, France: 30 };

test("what is older than it is kept for goes: points, slots, closed incidents and their mails", async () => {
  const settings = { BELLWETHER_KEEP_POINTS: "8d", BELLWETHER_KEEP_FACTS: "1d", BELLWETHER_CATCH_UP: "1h 60" };
  await using world = await World.open("2026-11-18T10:00:00Z", usual, settings);
  const began = world.clock.nowMs();
  await world.minutes(3, usual);
  await world.minutes(6, { France: 30 });
  await world.minutes(8, usual);
  expect(await world.mails("ana")).toHaveLength(2);
  await world.minutes(3, usual);
  await world.minutes(6, { Germany: 40 });
  const standing = await world.app.desk.state.alerts.standingIncidents();
  expect(standing).toHaveLength(1);

  await world.stop();
  world.clock.jump("26h");
  await world.start();
  await world.minutes(1, usual);
  const { store, state } = world.app.desk;
  const before = world.clock.nowMs() - 8 * dayMs - minuteMs;
  const windows = [{ fromMs: 0, toMs: before }];
  expect((await store.read({ measurement: "orders", fields: ["orders"], windows })).series).toEqual([]);
  expect((await world.stored("France")).length).toBeGreaterThan(0);
  const slots = await state.slots.list({ sampler: "shop-orders", limit: 1_000 });
  expect(slots.filter(({ startMs }) => startMs < began + 20 * minuteMs)).toEqual([]);
  expect(slots.length).toBeGreaterThan(0);
  expect(await world.mails("ana")).toEqual([expect.stringMatching(/Still, 2nd time.*France/)]);
  // What stands is kept however old it is; the closed one and its mails are gone.
  const left = await state.alerts.incidents({ limit: 10 });
  expect(left.filter(({ state: became }) => became === "resolved")).toEqual([]);
  expect(left.map(({ id }) => id)).toEqual(standing.map(({ id }) => id));
});

/** Sample lines of the Prometheus text format: name, labels, value. */
const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (NaN|[+-]?(?:Inf|[\d.e+-]+))$/;

test("what it measures of itself reads as Prometheus wants it, names included", async () => {
  await using world = await World.open("2026-11-18T10:00:00Z", usual);
  await world.minutes(3, usual);
  await world.minutes(4, { France: 30 });
  const text = await (await fetch(`${world.app.url}/metrics`)).text();
  const types = new Map<string, string>();
  const seen = new Set<string>();
  const faults: string[] = [];
  let family = "";
  for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("# HELP "))) {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== undefined && type !== undefined) {
      if (types.has(name)) faults.push(`${name} twice`);
      types.set(name, type);
      family = name;
      continue;
    }
    const [, base = "", labels = ""] = sample.exec(line) ?? [];
    const stem = types.get(family) === "histogram" ? base.replace(/_(bucket|sum|count)$/, "") : base;
    if (stem !== family) faults.push(`not a sample of ${family}: ${line}`);
    if (seen.has(base + labels)) faults.push(`${base}${labels} twice`);
    seen.add(base + labels);
  }
  const own = [...types].filter(([name]) => name.startsWith("bellwether_"));
  // https://prometheus.io/docs/practices/naming, and the suffixes that histograms and summaries keep for themselves.
  faults.push(...own.filter(([name, type]) => (type === "counter") !== name.endsWith("_total")).map(String));
  faults.push(...own.filter(([name]) => /_(sum|count|bucket|ms|milliseconds|minutes)$/.test(name)).map(String));
  expect(faults).toEqual([]);
  expect(own.length).toBeGreaterThan(50);
  expect(text).toMatch(/^bellwether_unmeasured 0$/m);
});
