/**
 * The production shape while processes and servers die: no slot is lost or doubled, no number is wrong, everybody hears
 * of an outage once and of its end once. `BELLWETHER_TEST_PRODUCTION_MINUTES=10` for so many minutes of it; the short
 * form is a bit more than one. `BELLWETHER_TEST_PRODUCTION_SEED` repeats a run's order of kills.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { stopwatch } from "../../src/core/time.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { whyNoPostgres } from "../support/servers/postgres.ts";
import { whyNoRedis } from "../support/servers/redis.ts";
import { Chaos, type Loss } from "./chaos.ts";
import { shopPeople } from "./definitions.ts";
import { type Figures, type Moved, reportText } from "./report.ts";
import { Rig } from "./rig.ts";
import type { Ended } from "./service.ts";
import {
  aheadMs,
  badLines,
  messagesTold,
  pendingPoints,
  pointsFound,
  recoveryFrom,
  secretsSeen,
  slotsFound,
  unfinished,
} from "./truth.ts";

const minutes = Number(process.env.BELLWETHER_TEST_PRODUCTION_MINUTES ?? 1.25);
const seed = Number(process.env.BELLWETHER_TEST_PRODUCTION_SEED ?? Math.floor(Math.random() * 1e9));
const chaosMs = minutes * 60_000;
/** All run undisturbed for so long before the end. */
const calmMs = 40_000;
const moveMsMax = 15_000;
const recoveryMsMax = 30_000;
const drainMsMax = 10_000;

const missing = whyMissing(influxd) ?? whyNoRedis({ own: true }) ?? whyNoPostgres({ own: true });

/** Everything is up; what ended by now is to be done, and on both copies. */
async function settle(rig: Rig): Promise<number> {
  const elapsedMs = stopwatch();
  await Promise.all([...rig.services.values()].map((service) => service.ready()));
  await sleep(Math.max(0, calmMs - 10_000 - elapsedMs()));
  const toMs = Math.floor(Date.now() / 10_000) * 10_000 - 10_000;
  while (elapsedMs() < 3 * calmMs) {
    if (elapsedMs() >= calmMs && (await unfinished(rig, toMs)) === 0 && (await pendingPoints(rig)) === 0) break;
    await sleep(250);
  }
  return toMs;
}

async function stopAll(rig: Rig): Promise<Map<string, Ended>> {
  const services = [...rig.services.values()];
  return new Map(await Promise.all(services.map(async (each) => [each.name, await each.stop()] as const)));
}

describe.skipIf(missing !== null)(`production${missing === null ? "" : ` (${missing})`}`, () => {
  test(`${minutes} minutes of kills, and nothing is lost or doubled`, { timeout: chaosMs + 900_000 }, async () => {
    await using rig = await Rig.open({ historyMs: chaosMs + 600_000 });
    try {
      await play(rig);
    } catch (thrown) {
      const said = [...rig.services.values()].map(({ name, text }) => `--- ${name}\n${text.slice(-2_500)}`);
      throw new Error(
        [thrown instanceof Error ? thrown.stack : thrown, `seed ${seed}`, ...rig.story, ...said].join("\n"),
      );
    }
  });
});

async function play(rig: Rig): Promise<void> {
  const fromMs = Math.ceil(Date.now() / 10_000) * 10_000;
  const chaos = new Chaos(rig, seed);
  await chaos.run(chaosMs);
  const toMs = await settle(rig);
  const losses = lossesOf(chaos);
  const recoveries = await Promise.all(chaos.events.map((event) => recoveryFrom(rig, chaos, event, losses)));
  const ended = await stopAll(rig);
  const moves = losses.map((loss) => movedOf(rig, chaos, losses, loss));
  const slots = await slotsFound(rig, fromMs, toMs);
  const points = await pointsFound(rig, fromMs, toMs);
  const told = await messagesTold(rig);
  const deaths = [...rig.services.values()].flatMap((service) => service.deaths);
  const figures: Figures = {
    deaths: deaths.length,
    minutes,
    seed,
    chaos,
    slots,
    points,
    told,
    moves,
    recoveries,
    ended,
    aheadMs: await aheadMs(rig, fromMs),
  };
  console.log(reportText(figures));

  // The rig itself did what it should.
  expect(rig.shop.fault).toBeNull();
  expect(figures.aheadMs, "orders are written before they count").toBeGreaterThan(0);
  // Whoever starts while a server is away ends with that reason, and is started again.
  expect(deaths.filter(({ said }) => !/(cannot be reached|does not answer)[^\n]*\n*$/.test(said))).toEqual([]);

  expect(slots.faults.slice(0, 20)).toEqual([]);
  expect(points.faults.slice(0, 20)).toEqual([]);
  expectMessages(figures);
  for (const { name, tookMs, mostMs, shares } of moves) {
    expect(tookMs ?? Number.POSITIVE_INFINITY, `${shares} shares of ${name}`).toBeLessThanOrEqual(mostMs);
  }
  for (const { event, tookMs } of recoveries) expect(tookMs, event.kind).toBeLessThanOrEqual(recoveryMsMax);
  for (const { takenMs, stoppedMs, before, after, said, service } of chaos.freezes) {
    expect(
      takenMs === null ? null : takenMs - chaos.calmFrom(stoppedMs, takenMs),
      `slot of ${service.name}`,
    ).toBeLessThanOrEqual(recoveryMsMax);
    expect(after, "a late result changes nothing").toBe(before);
    expect(said).toContain("a lease was lost");
  }
  for (const [name, { code, tookMs }] of ended) {
    expect({ name, code, inTime: tookMs <= drainMsMax }).toEqual({ name, code: 0, inTime: true });
  }
  expect(await rig.facts("select sampler, start_ms from slots where state = 'leased'")).toEqual([]);
  expect(await rig.facts(`select name from leases where name like 'share-%' and until_ms > ${Date.now()}`)).toEqual([]);
  expect(badLines(rig)).toEqual([]);
  expect(await secretsSeen(rig)).toEqual([]);
}

/** Workers that were killed or stood still, in the order of that. */
function lossesOf({ kills, freezes }: Chaos): Loss[] {
  const stopped = freezes.map(({ service: { name }, pid, stoppedMs }) => ({ name, pid, atMs: stoppedMs }));
  const all = [...kills.filter(({ name }) => name.startsWith("worker")), ...stopped];
  return all.sort((one, other) => one.atMs - other.atMs);
}

/** Whoever is to take them may be lost too; and while PostgreSQL stands still nobody can take anything. */
function movedOf(rig: Rig, { events }: Chaos, losses: readonly Loss[], { name, pid, atMs }: Loss): Moved {
  const untilMs = losses.reduce((end, loss) => {
    return loss.atMs > atMs && loss.atMs < end ? loss.atMs + moveMsMax : end;
  }, atMs + moveMsMax);
  const paused = events.filter(({ kind, fromMs, toMs }) => {
    return kind === "postgres paused" && fromMs < untilMs && toMs > atMs;
  });
  const pausedMs = paused.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const mostMs = untilMs - atMs + rig.shares.gapMs(atMs, untilMs) + pausedMs;
  return { name, mostMs, alone: untilMs === atMs + moveMsMax, ...rig.shares.moveAfter(pid, atMs) };
}

/** Of each outage one message to each of them, and one of its end; of nothing else any. */
function expectMessages({ chaos, told }: Figures): void {
  const shop = told.filter(({ to }) => (shopPeople as readonly string[]).includes(to));
  const wanted = chaos.outages.flatMap(({ channel }) =>
    shopPeople.flatMap((to) => ["opened", "resolved"].map((kind) => `channel-${channel} ${kind} ${to} 1`)),
  );
  expect(shop.map(({ sampler, kind, to, received }) => `${sampler} ${kind} ${to} ${received}`).sort()).toEqual(
    wanted.sort(),
  );
  expect(chaos.outages.length).toBeGreaterThan(0);
  // What the operator hears of the servers is as may be, but each of it once.
  expect(told.filter(({ received, state }) => state === "sent" && received !== 1)).toEqual([]);
}
