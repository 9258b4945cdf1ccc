/** What is read while a copy is behind, dead, or not what it was. */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stopwatch } from "../../src/core/time.ts";
import { long, must, playFaults, round } from "./fault.ts";
import { database } from "./load.ts";
import { percentile, type Rig } from "./rig.ts";

const writer = { name: "writer", password: "of points" };

type Look = { stale: number; fresh: number; missing: number };

/** Reads all several times; no answer that is not stale may lack a point that was acknowledged before it was asked for. */
async function look(rig: Rig, times: number): Promise<Look> {
  const counts = { stale: 0, fresh: 0, missing: 0 };
  for (let time = 0; time < times; time += 1) {
    const beforeMs = Date.now();
    const reading = await rig.read();
    counts[reading.stale ? "stale" : "fresh"] += 1;
    if (!reading.stale) counts.missing += rig.missingIn(reading, beforeMs);
  }
  must(counts.missing === 0, "points that an answer lacks without saying so", counts);
  return counts;
}

playFaults("reads of the copies", [
  {
    id: "X17",
    title: "B is behind; then A dies",
    options: {
      b: {
        admin: { name: "root", password: "of all" },
        databases: [database],
        users: [{ ...writer, rights: { [database]: "all" } }],
      },
      load: { series: 2_500, userOfB: { user: writer.name, password: writer.password } },
    },
    play: async (rig) => {
      await rig.burst(2);
      await rig.caughtUp("b");
      await rig.b.query(`revoke write on ${database} from ${writer.name}`);
      await rig.burst(10);
      await rig.caughtUp("a");
      const little = await look(rig, 3);
      await rig.a.kill();
      // What B lacks is little enough to be added from the spool.
      const added = await look(rig, 3);
      await rig.a.start();
      await rig.burst(14);
      await rig.until("B lacks more than is added", () => rig.pending("b") > 50_000);
      await rig.caughtUp("a");
      await sleep(1_500);
      const behind = await look(rig, 3);
      await rig.a.kill();
      const stale = await look(rig, 5);
      must(little.stale + added.stale + behind.stale === 0, "stale while all was known", { little, added, behind });
      must(stale.fresh === 0, "not stale while B alone answers", stale);
      await rig.a.start();
      await rig.b.query(`grant all on ${database} to ${writer.name}`);
      await Promise.all([rig.caughtUp("a"), rig.caughtUp("b")]);
      await look(rig, 2);
      return { "stale answers": stale.stale, "unmarked with points missing": 0 };
    },
  },
  {
    id: "X18",
    title: "A stops, then dies, during 100 reads a second",
    options: { load: { series: 50 } },
    play: async (rig) => {
      rig.generate();
      await sleep(1_500);
      const stop = new AbortController();
      const seen = { reads: 0, failed: 0, stale: 0, missing: 0 };
      const failedOf: number[] = [];
      const timesMs: number[] = [];
      const reader = async (client: number): Promise<void> => {
        failedOf[client] = 0;
        while (!stop.signal.aborted) {
          const elapsedMs = stopwatch();
          const beforeMs = Date.now();
          const fromMs = beforeMs - 2_000;
          const reading = await rig.read(fromMs).catch(() => null);
          timesMs.push(elapsedMs());
          seen.reads += 1;
          if (reading === null) failedOf[client] = (failedOf[client] as number) + 1;
          else if (reading.stale) seen.stale += 1;
          else seen.missing += rig.missingIn(reading, beforeMs, fromMs);
          await sleep(Math.max(0, 100 - elapsedMs()));
        }
      };
      const readers = Array.from({ length: 10 }, (_, client) => reader(client));
      const spellMs = long ? 60_000 : 2_000;
      await sleep(spellMs / 2);
      rig.a.pause();
      await sleep(spellMs);
      rig.a.resume();
      await sleep(spellMs / 2);
      await rig.a.kill();
      await sleep(spellMs);
      await rig.a.start();
      await sleep(spellMs / 2);
      stop.abort();
      await Promise.all(readers);
      const failed = failedOf.reduce((sum, each) => sum + each, 0);
      const hedged = rig.measure("bellwether_replica_reads_hedged_total");
      must(Math.max(...failedOf) <= 1 && failed / seen.reads <= 0.000_1, "reads that failed", failedOf);
      must(seen.missing === 0, "points that an answer lacks without saying so", seen);
      must(hedged > 0, "nobody asked B when A was slow", hedged);
      return {
        reads: seen.reads,
        failed,
        stale: seen.stale,
        hedged,
        "failed over": rig.measure("bellwether_replica_reads_failed_over_total"),
        "p50, ms": round(percentile(timesMs, 0.5)),
        "p99, ms": round(percentile(timesMs, 0.99)),
      };
    },
  },
  {
    id: "X20",
    title: "B is put back to an older state",
    play: async (rig) => {
      const backup = join(rig.dir, "backup");
      rig.generate();
      await sleep(2_500);
      await rig.b.kill();
      await rig.b.snapshotTo(backup);
      await rig.b.start();
      // A canary that the backup does not have is what will tell.
      await rig.told("everything in b is compared again");
      await sleep(2_500);
      await rig.caughtUp("b");
      // Under load: canaries that lanes write when B is back must not stand for those that it has lost.
      await rig.b.kill();
      await rig.b.restoreFrom(backup);
      await sleep(500);
      await rig.b.start();
      const seenMs = await rig.until("it is seen", () => /lost points/.test(rig.status("b").verifyReason ?? ""));
      await rig.rest();
      await rig.caughtUp("b");
      await rig.a.kill();
      const alone = await look(rig, 3);
      must(alone.fresh === 0, "B was trusted", alone);
      await rig.a.start();
      const both = await look(rig, 3);
      must(both.stale === 0, "A was not asked", both);
      await rig.tend();
      must(rig.status("b").verifyReason === null, "it is still in doubt", rig.status("b").verifyReason);
      await rig.a.kill();
      const again = await look(rig, 3);
      must(again.stale === 0, "B is not trusted again", again);
      await rig.a.start();
      return { "seen after, ms": Math.round(seenMs), "repaired, points": rig.repaired() };
    },
  },
  {
    id: "X20",
    title: "B is restarted, and has lost nothing",
    play: async (rig) => {
      rig.generate();
      await sleep(2_000);
      await rig.rest();
      await rig.caughtUp("b");
      await rig.restart(rig.b, 2_500);
      const seenMs = await rig.told("everything in b is compared again");
      must(/restarted/.test(rig.status("b").verifyReason ?? ""), "why it is compared", rig.status("b").verifyReason);
      await rig.a.kill();
      const alone = await look(rig, 3);
      must(alone.stale === 0, "B was not trusted", alone);
      await rig.a.start();
      await rig.tend();
      must(rig.status("b").verifyReason === null, "it is still being compared", rig.status("b").verifyReason);
      return { "seen after, ms": Math.round(seenMs), "repaired, points": rig.repaired() };
    },
  },
]);
