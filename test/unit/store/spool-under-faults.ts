/**
 * A process whose disk is made to fail: appends batch after batch and says `stored ID` of each, what is logged as `log
 * TEXT`, and ends with 75 when its spool is broken.
 */
import { batchOf, drain, openSpool } from "./spool-support.ts";

const [file, firstId, count] = process.argv.slice(2) as [string, string, string];
const tell = (text: string) => process.stdout.write(`${text}\n`);
const log = { debug() {}, info() {}, warn() {}, error: (_: object, text: string) => tell(`log ${text}`) };
const onBroken = ({ code, message }: { code: string | undefined; message: string }) => {
  tell(`broken ${code} ${message}`);
  process.exitCode = 75;
};
const spool = openSpool(file, { log, onBroken });
tell("open");
for (let id = Number(firstId); id < Number(firstId) + Number(count); id += 1) {
  const origin = { sampler: "shop", priority: "high", slotMs: id * 60_000 } as const;
  try {
    await spool.append([batchOf(id, { ballastBytes: 3_000 })], origin);
    tell(`stored ${id}`);
    if (id % 4 === 0) drain(spool, "a");
  } catch (thrown) {
    tell(`refused ${id} ${(thrown as { code?: string }).code}`);
  }
}
tell(`gaps ${spool.gapCount}`);
spool.close();
