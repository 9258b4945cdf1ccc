/** A process that may write only so much: fills the file until it is refused, and says what it then finds. */
import { messageOf, Problem } from "../../../src/core/problem.ts";
import { stores } from "../../../src/store/stores/index.ts";
import { SimulatedClock } from "../../support/clock.ts";

// The kernel's signal at the limit would end the process; a full disk sends none.
process.on("SIGXFSZ", () => {});
const log = { debug() {}, info() {}, warn() {}, error() {} };
await using store = stores.sqlite.create({ file: process.argv[2] as string }, { clock: new SimulatedClock(0), log });
let slots = 0;
let refusal: unknown;
while (refusal === undefined) {
  const points = Array.from({ length: 500 }, (_, shop) => ({
    measurement: "orders",
    tags: { shop: `${shop} of slot ${slots}` },
    fields: { n: shop },
    timeMs: slots * 60_000,
  }));
  await store.write(points).then(
    () => {
      slots += 1;
    },
    (thrown: unknown) => {
      refusal = thrown;
    },
  );
}
const known = await store.list({});
const { series } = await store.read({ measurement: "orders", fields: ["n"], windows: [{ fromMs: 0, toMs: 1e12 }] });
const problem =
  refusal instanceof Problem ? { text: refusal.message, retryable: refusal.retryable } : messageOf(refusal);
process.stdout.write(`${JSON.stringify({ slots, problem, known: known.length, read: series.length })}\n`);
