import { describe, expect, test } from "vitest";
import { influxd, whyMissing } from "../support/debian.ts";
import { Rig } from "./rig.ts";

/** A share of the samplers goes to another process once that can read what was stored here. */
const missing = whyMissing(influxd);

describe.skipIf(missing !== null)(`what has arrived${missing === null ? "" : ` (${missing})`}`, () => {
  test("is on both copies; while one does not answer, it is said after the time that is given", async () => {
    await using rig = await Rig.open();
    const point = { measurement: "orders", tags: { s: "x" }, fields: { n: 7 } };
    const nowMs = Date.now();
    await rig.mirror.write([{ ...point, timeMs: nowMs }]);
    expect(await rig.mirror.arrived(5_000)).toBe(true);
    for (const server of [rig.a, rig.b]) expect(await countOn(server)).toBe(1);

    await rig.proxyB.set({ mode: "half-open" });
    await rig.mirror.write([{ ...point, timeMs: nowMs + 1 }]);
    expect(await rig.mirror.arrived(300)).toBe(false);
    await rig.proxyB.set({});
    await rig.until("B has it", () => rig.mirror.arrived(100));
    expect(await countOn(rig.b)).toBe(2);
  });
});

async function countOn(server: Rig["a"]): Promise<unknown> {
  const { results } = await server.query("select count(n) from orders", "faults");
  return results?.[0]?.series?.[0]?.values?.[0]?.[1];
}
