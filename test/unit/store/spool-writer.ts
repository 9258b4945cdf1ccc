/**
 * A process to be killed: appends, settles, shelves and trims at random, and never ends by itself. It says of each
 * batch that it is on the disk, and of each settlement before it is made: `stored ID`, `settling TARGET ID`.
 */
import { Windows } from "../../../src/store/windows.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { batchOf, idOf, openSpool, startMs } from "./spool-support.ts";

const [file, firstId] = process.argv.slice(2) as [string, string];
const clock = new SimulatedClock(startMs);
const spool = openSpool(file, { clock, cushionMs: 1 });
const windows = new Windows(spool);
process.stdout.write("open\n");
const chance = (share: number): boolean => Math.random() < share;

let id = Number(firstId);
for (;;) {
  // Several at once, of which some need pages of their own.
  const ids = Array.from({ length: 1 + Math.floor(Math.random() * 3) }, () => id++);
  await Promise.all(
    ids.map(async (each) => {
      const timeMs = startMs + each * 60_000;
      await spool.append([batchOf(each, { timeMs, ballastBytes: chance(0.2) ? 9_000 : 0 })]);
      process.stdout.write(`stored ${each}\n`);
    }),
  );
  const target = chance(0.5) ? "a" : "b";
  const group = chance(0.7) ? spool.next(target, "", 20, 1e6) : [];
  const last = group.at(-1);
  if (last !== undefined) {
    process.stdout.write(`settling ${target} ${idOf(last)}\n`);
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    const refused = chance(0.3) ? [{ line: `orders n=${idOf(last)} 1`, reason: "no", expired: chance(0.3) }] : [];
    spool.settle(target, "", last.seq, points - refused.length, refused);
  }
  if (chance(0.1)) spool.unshelve(spool.shelf({ limit: 1 }));
  if (chance(0.2)) {
    await clock.advance("1s");
    windows.seal(windows.closed(spool.handedOver(), clock.nowMs(), 50));
    await spool.trim();
  }
}
