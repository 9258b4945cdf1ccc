/** Servers that are down, stopped, empty, slow or badly connected. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Problem } from "../../src/core/problem.ts";
import type { Spoiling } from "../support/servers/proxy.ts";
import { type Fault, type Figures, long, must, playFaults, round } from "./fault.ts";
import { database, measurement } from "./load.ts";
import type { Rig } from "./rig.ts";

const outageMs = long ? 120_000 : 4_000;
const megabyte = 1_048_576;

/** Runs the generator for a while, with B broken by `start` and mended by `end`; how long B then took to catch up. */
async function outage(rig: Rig, start: () => unknown, end: () => unknown, ms = outageMs): Promise<Figures> {
  rig.generate();
  await sleep(Math.max(1_500, ms / 4));
  const from = Date.now();
  await start();
  await sleep(ms);
  const to = Date.now();
  await end();
  const caughtUpMs = await rig.caughtUp("b", 60_000);
  // Of a short outage, most is the wait between two tries.
  must(!long || caughtUpMs <= 0.05 * (to - from), "catching up took, ms", caughtUpMs);
  await sleep(500);
  return {
    "p99 before, ms": round(rig.p99(0, from)),
    "p99 during, ms": round(rig.p99(from, to)),
    "catch-up / outage": round(caughtUpMs / (to - from)),
  };
}

/** The connection to B is spoiled for a while; at least one request must have met it. */
function spoiled(title: string, spoiling: Spoiling, ms = long ? 60_000 : 2_500): Fault {
  return {
    id: "X16",
    title,
    play: async (rig) => {
      let failures = 0;
      const figures = await outage(
        rig,
        () => rig.proxyB.set(spoiling),
        async () => {
          failures = rig.lane("b").failures;
          await rig.proxyB.set({});
        },
        ms,
      );
      if (spoiling.mode !== "slice") must(failures > 0, "no request met it", failures);
      return { failures, "catch-up / outage": figures["catch-up / outage"] as number };
    },
  };
}

playFaults("outages of the copies", [
  {
    id: "X1",
    title: "B is killed, and started again",
    play: (rig) =>
      outage(
        rig,
        () => rig.b.kill(),
        () => rig.b.start(),
      ),
  },
  {
    id: "X2",
    title: "both are killed, then we too; we come back first",
    play: async (rig) => {
      rig.generate();
      await sleep(1_500);
      await Promise.all([rig.a.kill(), rig.b.kill()]);
      const from = Date.now();
      await sleep(outageMs / 2);
      await rig.rest();
      const problem = await rig.read().then(
        () => null,
        (thrown: Problem) => thrown,
      );
      must(problem?.retryable === true, "a read while nobody answers", problem?.message);
      await rig.stop();
      const startedMs = await rig.start();
      rig.generate();
      await sleep(outageMs / 2);
      const to = Date.now();
      await Promise.all([rig.a.start(), rig.b.start()]);
      const caughtUpMs = Math.max(...(await Promise.all([rig.caughtUp("a", 60_000), rig.caughtUp("b", 60_000)])));
      must(!long || caughtUpMs <= 0.1 * (to - from), "catching up took, ms", caughtUpMs);
      return { "start, ms": round(startedMs), "catch-up / outage": round(caughtUpMs / (to - from)) };
    },
  },
  {
    id: "X3",
    title: "B is stopped, not dead",
    play: (rig) =>
      outage(
        rig,
        () => rig.b.pause(),
        () => rig.b.resume(),
      ),
  },
  {
    id: "X10",
    title: "B comes back empty",
    play: async (rig) => {
      rig.generate();
      await sleep(2_000);
      await rig.caughtUp("b");
      await rig.b.kill();
      await rig.b.wipe();
      await sleep(500);
      await rig.b.start();
      const seenMs = await rig.told("compared again");
      await rig.rest();
      await rig.caughtUp("b");
      await rig.tend();
      return { "seen after, ms": Math.round(seenMs), "repaired, points": rig.repaired() };
    },
  },
  {
    id: "X15",
    title: "B is slow: 50 KB/s, 2 s there and back",
    options: { load: { pace: { writeTimeoutMs: 5_000 } } },
    play: async (rig) => {
      rig.generate();
      await sleep(3_000);
      const used = () => process.memoryUsage().heapUsed + process.memoryUsage().external;
      const before = { rss: process.memoryUsage().rss, used: used() };
      const from = Date.now();
      await rig.proxyB.set({ bytesPerSecond: 50_000, latencyMs: 1_000 });
      let [lagA, lagB, rssGrown] = [0, 0, 0];
      // Of what is used, the least lately: what is garbage already does not count.
      let latest: number[] = [];
      for (const until = from + (long ? 120_000 : 8_000); Date.now() < until; await sleep(100)) {
        lagA = Math.max(lagA, rig.status("a").lagMs);
        lagB = Math.max(lagB, rig.status("b").lagMs);
        rssGrown = Math.max(rssGrown, process.memoryUsage().rss - before.rss);
        latest = [...latest, used()].slice(-50);
      }
      const to = Date.now();
      const usedGrown = Math.max(0, Math.min(...latest) - before.used);
      await rig.proxyB.set({});
      await rig.caughtUp("b", 60_000);
      must(lagB > 2_000, "B is not behind", lagB);
      must(lagA <= 1_000, "A is behind too, ms", lagA);
      must(usedGrown <= 10 * megabyte, "memory in use grew, bytes", usedGrown);
      // In minutes V8 takes more of it, also (and more so) where no server is slow.
      must(long || rssGrown <= 50 * megabyte, "memory grew, bytes", rssGrown);
      return {
        "lag of A, ms": lagA,
        "lag of B, ms": lagB,
        "RSS grew, MB": round(rssGrown / megabyte),
        "in use grew, MB": round(usedGrown / megabyte),
        "p99 before, ms": round(rig.p99(0, from)),
        "p99 during, ms": round(rig.p99(from, to)),
      };
    },
  },
  spoiled("requests to B are cut in mid-body", { mode: "reset-mid-body", resetAfterBytes: 1_500 }),
  spoiled("answers of B are cut", { mode: "reset-answer" }),
  spoiled("the connection to B is half-open", { mode: "half-open" }, long ? 60_000 : 4_000),
  spoiled("B is sent one byte at a time", { mode: "slice", sliceBytes: 1 }),
  {
    id: "X19",
    title: "a window of B is deleted by hand",
    play: async (rig) => {
      rig.generate();
      await sleep(2_000);
      await rig.rest();
      await rig.caughtUp("b");
      await rig.tend();
      await rig.b.query(`delete from ${measurement}`, database);
      const to = Date.now() + 60_000;
      const window = { fromMs: to - 3_600_000, toMs: to };
      const found = await rig.mirror.compare(window, false, AbortSignal.timeout(30_000));
      const started = Date.now();
      const mended = await rig.mirror.repair(window, false, AbortSignal.timeout(30_000));
      must(found.differing.length > 0, "windows found", found);
      return {
        "windows found": found.differing.length,
        repaired: mended.repaired,
        "mended in, ms": Date.now() - started,
      };
    },
  },
]);
