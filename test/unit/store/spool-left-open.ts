/** A process that fills a spool for the tests of damage, part of it in the log alone, and is killed or ends in order. */
import { once } from "node:events";
import { batchOf, damaged, openSpool, startMs } from "./spool-support.ts";

const spool = openSpool(process.argv[2] as string);
for (let id = 1; id <= damaged.batches; id += 1) {
  const origin = { sampler: "shop", priority: "high", slotMs: startMs + id * 60_000 } as const;
  const shape = { points: 3, ballastBytes: id % damaged.longEvery === 0 ? 9_000 : 200, timeMs: origin.slotMs };
  await spool.append([batchOf(id, shape)], origin);
  if (id === damaged.inFile) spool.file.shortenLog();
}
for (const [target, seq] of Object.entries(damaged.settled)) {
  spool.settle(target, "", seq, seq * 3, []);
  spool.endDoubt(target, spool.target(target).doubt);
}
process.stdout.write("open\n");
await once(process.stdin, "data");
spool.close();
