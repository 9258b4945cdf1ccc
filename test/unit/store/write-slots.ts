/** A process to be killed: writes slot after slot, says so after each, and never ends by itself. */
import { stores } from "../../../src/store/stores/index.ts";
import { SimulatedClock } from "../../support/clock.ts";

const [file, firstSlot, pointsPerSlot] = process.argv.slice(2) as [string, string, string];
const log = { debug() {}, info() {}, warn() {}, error() {} };
const store = stores.sqlite.create({ file }, { clock: new SimulatedClock(0), log });
process.stdout.write("open\n");
for (let slot = Number(firstSlot); ; slot += 1) {
  await store.write(
    Array.from({ length: Number(pointsPerSlot) }, (_, shop) => ({
      measurement: "orders",
      tags: { shop: `${shop}` },
      fields: { n: slot + shop, amount: slot / 7, reason: `slot ${slot}` },
      timeMs: slot * 60_000,
    })),
  );
  process.stdout.write(`${slot}\n`);
  await new Promise((resolve) => setImmediate(resolve));
}
