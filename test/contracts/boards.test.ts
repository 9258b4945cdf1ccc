/**
 * Every query of the boards that we ship, on a real InfluxDB that holds what the demo stores: two weeks of its shop and
 * the outage of one country, sampled, judged and mirrored by the application itself.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { App } from "../../src/app.ts";
import { growShop } from "../../src/cli/demo/shop.ts";
import { demoSeed, liveFromMs, storyEvents } from "../../src/cli/demo/story.ts";
import type { Log } from "../../src/core/ports.ts";
import { dayMs, hourMs, minuteMs } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import type { Dashboard, InfluxTarget, Panel } from "../../src/show/boards/grafana.ts";
import { boardsOf } from "../../src/show/boards/index.ts";
import { type Shown, samplerBoard } from "../../src/show/boards/sampler.ts";
import { SimulatedClock } from "../support/clock.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { filled } from "../support/grafana.ts";
import { type Influx, startInflux } from "../support/servers/influx.ts";

const config = resolve(import.meta.dirname, "../..");
const database = "shop";
const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
/** Fifteen days as in the demo would be four seconds more; nine make a baseline of seven. */
const historyDays = 9;
/** When payments of the United Kingdom have failed for 25 minutes. */
const toMs = liveFromMs + 85 * minuteMs;
const range = { fromMs: toMs - dayMs, toMs };

type Answer = { readonly series: number; readonly values: number };

describe.skipIf(whyMissing(influxd) !== null)("queries of the boards that we ship", () => {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-boards-"));
  let servers: readonly Influx[] = [];
  let boards: readonly Dashboard[] = [];
  let metrics = "";

  beforeAll(async () => {
    servers = await Promise.all([startInflux(), startInflux()]);
    const [a, b] = servers as [Influx, Influx];
    const shop = { file: join(dir, "shop.db"), seed: demoSeed, events: storyEvents };
    await growShop({ ...shop, liveFromMs: toMs, historyDays });
    const settings = readSettings({
      BELLWETHER_CONFIG: config,
      BELLWETHER_DATA: dir,
      BELLWETHER_PORT: "0",
      BELLWETHER_ZONE: "Europe/London",
      BELLWETHER_KEEP_RAW: "forever", // the demo plays in the past of the servers' own clocks
      INFLUX_URLS: `a=${a.url}/${database} b=${b.url}/${database}`,
    });
    const app = await App.open({ settings, env: {}, clock: new SimulatedClock(toMs), log });
    await app.loadHistory(liveFromMs - historyDays * dayMs, toMs, () => {});
    app.run(); // its clock stands, but every part of it is there to be measured
    boards = boardsOf(app.desk.definitions.samplers.values());
    metrics = await (await fetch(`${app.url}/metrics`)).text();
    await arrived(app.url);
    await app[Symbol.asyncDispose]();
    // What servers sum of new points by themselves, they are told to sum of old ones.
    for (const server of servers) {
      const into = `"${database}"."bellwether_1h".:MEASUREMENT`;
      const since = `time >= ${liveFromMs - historyDays * dayMs}ms and time < ${toMs}ms`;
      await server.query(`select sum(*), mean(*) into ${into} from /.*/ where ${since} group by time(1h), *`, database);
    }
  }, 120_000);

  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const board = (uid: string): Dashboard => boards.find((one) => one.uid === uid) as Dashboard;

  /** What each query of a board brings, by panel and name of its line. */
  async function answers(uid: string, server: Influx, picks: Filling["picks"] = {}): Promise<Map<string, Answer>> {
    const found = new Map<string, Answer>();
    for (const { panel, target } of queriesOf(board(uid))) {
      const interval = panel.interval ?? "1m";
      const longer = panel.timeFrom === undefined ? {} : { fromMs: toMs - 90 * dayMs };
      const q = filled(target.query, { ...range, ...longer, interval, picks });
      const { results } = await server.query(q, database);
      const series = results[0]?.series ?? [];
      const values = series
        .flatMap((one) => one.values)
        .filter((row) => row.some((cell, at) => at > 0 && cell !== null));
      found.set(`${panel.title} / ${target.alias ?? target.refId}`, { series: series.length, values: values.length });
    }
    return found;
  }
  type Filling = Parameters<typeof filled>[1];

  const empty = (found: ReadonlyMap<string, Answer>): string[] =>
    [...found].filter(([, { values }]) => values === 0).map(([name]) => name);

  test.each([0, 1])("both copies answer all of the overview (%i)", async (copy) => {
    const found = await answers("bellwether-overview", servers[copy] as Influx);
    expect(found.size).toBe(9);
    // No series is unknown after nine days, save where there are too few orders to say.
    expect(empty(found).filter((name) => !name.startsWith("Series not judged now"))).toEqual([]);
    expect(found.get("Level now / Orders placed")).toEqual({ series: 1, values: 1 });
    expect(found.get("Level / Orders placed")?.values).toBeGreaterThan(60);
  });

  test("orders: band, forecast, marks of the outage, evidence, reasons, and every country", async () => {
    const picks = { pick_country: "United Kingdom" };
    const found = await answers("bellwether-shop-orders", servers[0] as Influx, picks);
    const of = "Observed and expected: orders of the series that is picked above";
    expect(empty(found).filter((name) => name !== `${of} / warning`)).toEqual([]);
    expect(found.get(`${of} / critical`)?.values).toBeGreaterThan(5);
    expect(found.get(`${of} / upper`)?.values).toBe(found.get(`${of} / lower`)?.values);
    expect(found.get("Level of each series / $tag_country")?.series).toBe(5);
    expect(found.get("orders by country / $tag_country")?.series).toBe(5);
    expect(found.get("Why / A")?.values).toBeGreaterThan(5);
  });

  test("a country without an outage has no marks", async () => {
    const found = await answers("bellwether-shop-orders", servers[0] as Influx, { pick_country: "France" });
    const of = "Observed and expected: orders of the series that is picked above";
    expect(empty(found)).toEqual(expect.arrayContaining([`${of} / warning`, `${of} / critical`]));
    expect(found.get(`${of} / observed`)?.values).toBeGreaterThan(60);
  });

  test("cancellations, which have no tags, need no choice", async () => {
    const found = await answers("bellwether-shop-cancellations", servers[0] as Influx);
    const marks = /\/ (warning|critical)$|^Why|forecast$/;
    expect(empty(found).filter((name) => !marks.test(name))).toEqual([]);
  });

  test("orders by the hour", async () => {
    const picks = { pick_country: "United Kingdom" };
    const found = await answers("bellwether-shop-hours", servers[0] as Influx, picks);
    const marks = /\/ (warning|critical)$|^Why|forecast$/;
    expect(empty(found).filter((name) => !marks.test(name))).toEqual([]);
    expect(found.get("orders by country / $tag_country")?.series).toBeGreaterThan(5);
  });

  test("what a reader may pick is what there is", async () => {
    const [, choice] = board("bellwether-shop-orders").templating?.list ?? [];
    const { results } = await (servers[0] as Influx).query(String(choice?.query), database);
    const values = results[0]?.series?.[0]?.values.map(([, value]) => value);
    expect(values).toEqual(["EIRE", "France", "Germany", "United Kingdom", "elsewhere"]);
  });

  test("every measure that boards and Prometheus' rules name stands in /metrics", () => {
    const rules = readFileSync(join(config, "deploy/prometheus/rules.yml"), "utf8");
    const named = new Set(`${JSON.stringify(boards)} ${rules}`.match(/bellwether_[a-z_]+(?=[{[) ])/g));
    expect(named.size).toBeGreaterThan(12);
    expect([...named].filter((name) => !metrics.includes(`# TYPE ${name} `))).toEqual([]);
  });
});

describe.skipIf(whyMissing(influxd) !== null)("values that are awkward in a regular expression", () => {
  const names = ["a/b", "a.b", "axb", "(c) [d]", 'say "x"', "$1 ^2", "a|b", "back\\slash", "Zürich +1", "{n}*?"];
  const tags = ["place", "shop"];
  const shown: Shown = {
    name: "awkward",
    title: "Awkward",
    owner: "a",
    purpose: null,
    runbook: null,
    zone: "UTC",
    schedule: { kind: "every", stepMs: minuteMs, delayMs: 0 },
    point: { measurement: "m", tags, fields: ["n"] },
    judge: { n: {} as Shown["judge"][string] },
  };
  let server: Influx;

  beforeAll(async () => {
    server = await startInflux({ databases: [database] });
    const lines = names.flatMap((name, index) => [
      `m,place=${escaped(name)},shop=s${index} n=${index} ${toMs - minuteMs}`,
      `m_verdict,field=n,place=${escaped(name)},shop=s${index} observed=${index},level=0 ${toMs - minuteMs}`,
    ]);
    expect((await server.write(database, lines.join("\n"))).status).toBe(204);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each(names.map((name, index) => [name, index] as const))("%s is picked alone", async (place, index) => {
    const made = samplerBoard(shown);
    const [observed] = queriesOf(made).filter(({ target }) => target.alias === "observed");
    const picks = { pick_place: place, pick_shop: `s${index}` };
    const q = filled(observed?.target.query ?? "", { ...range, fromMs: toMs - hourMs, interval: "1m", picks });
    const { results } = await server.query(q, database);
    const values = results[0]?.series?.[0]?.values.map(([, value]) => value).filter((value) => value !== null);
    expect(values).toEqual([index]);
    // The second choice offers what the first one leaves.
    const shops = made.templating?.list?.find(({ name }) => name === "pick_shop");
    const left = await server.query(filled(String(shops?.query), { ...range, interval: "1m", picks }), database);
    expect(left.results[0]?.series?.[0]?.values.map(([, value]) => value)).toEqual([`s${index}`]);
  });
});

function queriesOf(board: Dashboard): { panel: Panel; target: InfluxTarget }[] {
  const panels = board.panels.filter((panel): panel is Panel => panel.type !== "row");
  return panels.flatMap((panel) =>
    (panel.targets ?? []).flatMap((target) => ("query" in target ? [{ panel, target }] : [])),
  );
}

/** A tag's value in line protocol. */
function escaped(value: string): string {
  return value.replace(/[ ,=]/g, "\\$&");
}

/** Waits until both servers have all that was stored. */
async function arrived(url: string): Promise<void> {
  for (let round = 0; round < 600; round += 1) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const pending = [...text.matchAll(/^bellwether_replica_points_pending\{.*\} (\d+)$/gm)].map(([, count]) =>
      Number(count),
    );
    if (pending.length > 0 && pending.every((count) => count === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the servers did not get all points");
}
